"""The keys of an X display: which codes a chord has in the layout of the moment, and the grabs on them."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from operator import or_
from typing import Any, NamedTuple

import structlog
from Xlib import XK, X
from Xlib.display import Display
from Xlib.error import BadAccess, CatchError, ConnectionClosedError, DisplayError, XauthError, XError

from omniid.errors import HotkeyError
from omniid.hotkeys import xkb
from omniid.hotkeys.chord import Chord
from omniid.hotkeys.contract import Binding
from omniid.hotkeys.keynames import KEYS

log = structlog.get_logger()

_FAILED = (ConnectionClosedError, XError, OSError)
_MODIFIER_KEYSYMS = {
    "ctrl": ("Control_L", "Control_R"),
    "alt": ("Alt_L", "Alt_R", "Meta_L"),
    "shift": ("Shift_L", "Shift_R"),
    "super": ("Super_L", "Super_R", "Hyper_L"),
}
_LOCKS = ("Num_Lock", "Scroll_Lock")
_OTHER_KEYSYMS = {"rightalt": "ISO_Level3_Shift"}  # where the layout has an AltGr
_ALL_MODIFIERS = 0xFF


class Place(NamedTuple):
    """Where a chord is in a layout."""

    key_code: int
    mask: int


@dataclass(frozen=True, slots=True)
class Plan:
    """What is grabbed, by owner. `note` tells of the keys that could not be."""

    places: Mapping[str, Place]
    modifier_codes: Mapping[str, frozenset[int]]
    locks: int
    note: str | None = None

    def is_at(self, places: Mapping[str, Place], locks: int) -> bool:
        return self.locks == locks and self.places == places

    def owner_of(self, key_code: int, state: int) -> str | None:
        place = Place(key_code, state & _ALL_MODIFIERS & ~self.locks)
        return next((owner for owner, held in self.places.items() if held == place), None)


def connect(name: str | None) -> Grabs:
    """A connection to a display. It may take for ever.

    Raises:
        HotkeyError: `no_display`.
    """
    try:
        return Grabs(Display(name))
    except (DisplayError, XauthError, *_FAILED) as error:
        why = str(error)
    # Without its cause, which would keep the sockets open that the library leaves behind.
    raise HotkeyError(
        f"The X display cannot be reached ({why}). Start omniid inside the desktop session, "
        "or set hotkey.backend to what your session has.",
        code="no_display",
    )


class Grabs:
    """The connection and what is grabbed through it. Only `hold` waits for the server, once it is made."""

    def __init__(self, display: Any) -> None:
        self._display = display
        self._root = display.screen().root
        self._layout_events = {X.MappingNotify}
        display.set_error_handler(lambda error, _request: log.debug("X error", error=str(error)))
        code = xkb.use(display)
        if code is None:
            log.info("the X server has no detectable auto-repeat; repeats are told by their times")
        else:
            self._layout_events.add(code)

    def close(self) -> None:
        """The server lets go of the keys with the connection."""
        with suppress(*_FAILED):
            # A thread may still wait for the server's answer: this wakes it.
            self._display.display.socket.shutdown(socket.SHUT_RDWR)
        with suppress(*_FAILED):
            self._display.close()

    def fileno(self) -> int:
        return int(self._display.fileno())

    def pending(self) -> list[Any]:
        """The events that are here.

        Raises:
            HotkeyError: `server_gone`.
        """
        try:
            return [self._display.next_event() for _ in range(self._display.pending_events())]
        except _FAILED as error:
            raise _server_gone(error) from error

    def tells_of_layout(self, event: Any) -> bool:
        return event.type in self._layout_events

    def is_press(self, event: Any) -> bool:
        return bool(event.type == X.KeyPress)

    def is_release(self, event: Any) -> bool:
        return bool(event.type == X.KeyRelease)

    def hold(self, bindings: Sequence[Binding], instead_of: Plan | None = None) -> Plan:
        """Grab each chord where the layout has it now. Waits for the server.

        Raises:
            HotkeyError: none could be grabbed (`key_taken`, `bad_chord`), or `server_gone`.
        """
        try:
            return self._hold(bindings, instead_of)
        except _FAILED as error:
            raise _server_gone(error) from error

    def _hold(self, bindings: Sequence[Binding], before: Plan | None) -> Plan:
        keyboard = _Keyboard(self._display)
        places, refusals = keyboard.places(bindings)
        if before is not None:
            if before.is_at(places, keyboard.locks):
                return before
            self._ungrab_all(before)
        for binding in bindings:
            try:
                if binding.owner in places:
                    self._grab(binding.chord, places[binding.owner], keyboard.locks)
            except HotkeyError as error:
                refusals.append(error)
                del places[binding.owner]
        if refusals and not places:
            raise refusals[0]
        modifiers = {owner: keyboard.codes_of(place.mask) for owner, place in places.items()}
        return Plan(places, modifiers, keyboard.locks, " ".join(one.message for one in refusals) or None)

    def _ungrab_all(self, plan: Plan) -> None:
        for place in plan.places.values():
            self._ungrab(place, plan.locks)

    def _grab(self, chord: Chord, place: Place, locks: int) -> None:
        refused = CatchError(BadAccess)
        modes = (X.GrabModeAsync, X.GrabModeAsync)
        for combination in _subsets(locks):
            self._root.grab_key(place.key_code, place.mask | combination, False, *modes, onerror=refused)
        self._display.sync()
        if refused.get_error() is not None:
            self._ungrab(place, locks)
            raise HotkeyError(
                f"Another program already has the key {chord}. Free it there (often the desktop's keyboard "
                "settings), or choose another with hotkey.key.",
                code="key_taken",
            )

    def _ungrab(self, place: Place, locks: int) -> None:
        for combination in _subsets(locks):
            self._root.ungrab_key(place.key_code, place.mask | combination)


class _Keyboard:
    """The layout at one moment. Reading it waits for the server."""

    def __init__(self, display: Any) -> None:
        info = display.display.info
        rows = display.get_keyboard_mapping(info.min_keycode, info.max_keycode - info.min_keycode + 1)
        self._code_of: dict[int, int] = {}
        for column in range(max(map(len, rows), default=0)):  # a key's plain meaning before its shifted one
            for code, keysyms in enumerate(rows, info.min_keycode):
                if column < len(keysyms):
                    self._code_of.setdefault(keysyms[column], code)
        self._modifier_rows = [[code for code in row if code] for row in display.get_modifier_mapping()]
        self.locks = X.LockMask
        for name in _LOCKS:
            self.locks |= self._mask_of((name,))

    def places(self, bindings: Sequence[Binding]) -> tuple[dict[str, Place], list[HotkeyError]]:
        """Where each chord is, by owner, and what to say of those that are nowhere."""
        found, refusals = {}, []
        for owner, chord in ((binding.owner, binding.chord) for binding in bindings):
            key_code = self._key_code(KEYS[chord.key].keysym)
            key_code = key_code or self._key_code(_OTHER_KEYSYMS.get(chord.key, ""))
            masks = {name: self._mask_of(_MODIFIER_KEYSYMS[name]) for name in chord.modifiers}
            missing = [name for name, mask in masks.items() if not mask] or ([] if key_code else [chord.key])
            if missing:
                refusals.append(_not_there(chord, missing[0]))
            else:
                found[owner] = Place(key_code, reduce(or_, masks.values(), 0))
        return found, refusals

    def codes_of(self, mask: int) -> frozenset[int]:
        """The key codes of all modifiers in a mask."""
        return frozenset(
            code for bit, row in enumerate(self._modifier_rows) if mask >> bit & 1 for code in row
        )

    def _mask_of(self, keysyms: Sequence[str]) -> int:
        for name in keysyms:
            code = self._key_code(name)
            for bit, row in enumerate(self._modifier_rows):
                if code and code in row:
                    return 1 << bit
        return 0

    def _key_code(self, keysym: str) -> int:
        number = XK.string_to_keysym(keysym)
        return self._code_of.get(number, 0) if number else 0


def _subsets(mask: int) -> list[int]:
    bits = [1 << bit for bit in range(8) if mask >> bit & 1]
    return [sum(chosen) for count in range(len(bits) + 1) for chosen in combinations(bits, count)]


def _not_there(chord: Chord, missing: str) -> HotkeyError:
    return HotkeyError(
        f"This keyboard layout has no {missing}, so {chord} cannot be pressed. Choose another with "
        "hotkey.key.",
        code="bad_chord",
    )


def _server_gone(error: Exception) -> HotkeyError:
    return HotkeyError(f"The X server has gone ({error}). Log in again.", code="server_gone")
