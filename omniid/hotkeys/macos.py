"""macOS, through pynput: an event tap that only listens. The system asks the user to allow Input Monitoring.

pynput tells of every key on a thread of its own; what is not of our chords is dropped there, unseen.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Never

from omniid.errors import HotkeyError
from omniid.hotkeys.contract import Binding, Keys, Live
from omniid.hotkeys.filtered import FilteredKeys
from omniid.hotkeys.keynames import KEYS
from omniid.hotkeys.matcher import Change, ChordChange, ChordMatcher

MAC_CODES = {key.mac: key.name for key in KEYS.values() if key.mac is not None}
_KEYBOARD = "all of them"  # macOS does not tell keyboards apart
# A held key repeats sooner. While a password is typed macOS hides key-ups, so a key may seem held for ever.
_NEW_PRESS_AFTER_S = 2.5
_LISTENING = 1  # kIOHIDRequestTypeListenEvent
_GRANTED = 0
_IOKIT = "/System/Library/Frameworks/IOKit.framework/IOKit"


class MacOS:
    """The backend `macos`. `codes`: the names of keys by the number that pynput gives them."""

    name = "macos"

    def __init__(self, codes: Mapping[int, str] | None = None) -> None:
        self._codes = MAC_CODES if codes is None else codes

    async def run(self, bindings: Sequence[Binding], keys: Keys, on_live: Callable[[Live], None]) -> Never:
        """Listen to the keyboard.

        Raises:
            HotkeyError: `no_keyboard_access`, `bad_chord` (not on a Mac's keyboard), or `server_gone`.
        """
        for binding in bindings:
            if binding.chord.key not in self._codes.values():
                raise _not_there(binding)
        listener_class = _library()
        if not may_listen():
            raise _no_access()
        chords = {binding.owner: binding.chord for binding in bindings}
        with FilteredKeys(chords, keys) as filtered:
            keyboard = _Keyboard(ChordMatcher(chords), filtered)
            with filtered.lost_on_error("server_gone"):
                await self._listen(listener_class, keyboard, lambda: on_live(Live(self.name)))
        raise AssertionError("listening ends with an error")

    async def _listen(self, listener_class: Any, keyboard: _Keyboard, on_live: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()

        def tell(key: Any, *, is_down: bool) -> None:
            name = name_of(key, self._codes)
            if name in keyboard.watched:
                loop.call_soon_threadsafe(keyboard.on_key, name, is_down)

        def wait_for(what: Callable[[], object], then: Callable[[], None]) -> None:
            what()
            with contextlib.suppress(RuntimeError):  # the loop has been closed meanwhile
                loop.call_soon_threadsafe(then)

        listener = listener_class(
            on_press=lambda key: tell(key, is_down=True), on_release=lambda key: tell(key, is_down=False)
        )
        listener.start()
        # Its own join waits for ever for a listener that died of an error.
        for what, then in (
            (listener.wait, lambda: None if ended.is_set() else on_live()),
            (lambda: threading.Thread.join(listener), ended.set),
        ):
            threading.Thread(target=wait_for, args=(what, then), name="keyboard", daemon=True).start()
        try:
            await ended.wait()
        finally:
            with contextlib.suppress(Exception):  # one that died may fail to stop in any way
                listener.stop()
        raise HotkeyError("Listening to the keyboard has ended. omniid tries again soon.", code="server_gone")


class _Keyboard:
    """Keys in, chords out, on the event loop."""

    def __init__(self, matcher: ChordMatcher, filtered: FilteredKeys) -> None:
        self.watched = matcher.watched
        self._matcher = matcher
        self._filtered = filtered
        self._last_down: dict[str, float] = {}

    def on_key(self, name: str, is_down: bool) -> None:
        if not is_down:
            self._last_down.pop(name, None)
            self._tell(self._matcher.key_up(_KEYBOARD, name))
            return
        now = asyncio.get_running_loop().time()
        last = self._last_down.get(name, now)
        self._last_down[name] = now
        if now - last >= _NEW_PRESS_AFTER_S:
            ended = self._matcher.keyboard_unsure(_KEYBOARD, self._last_down.keys() - {name})
            self._tell(ended)
            if ended:  # this press is meant to end what its last one began
                self._matcher.keyboard_unsure(_KEYBOARD, self._last_down)
                return
        self._tell(self._matcher.key_down(_KEYBOARD, name))

    def _tell(self, changes: list[ChordChange]) -> None:
        for owner, change in changes:
            match change:
                case Change.DOWN:
                    self._filtered.down(owner)
                case Change.UP:
                    self._filtered.up(owner)
                case Change.LOST:
                    self._filtered.lose(owner, "no_release")


def _library() -> Any:
    try:
        from pynput.keyboard import Listener  # noqa: PLC0415 - it asks the system for its keyboard
    except ImportError as error:  # where the system has no keyboard for it, too
        raise HotkeyError(
            f"The library pynput cannot be used ({error}). Install it: pip install pynput.", code="no_library"
        ) from error
    return Listener


def name_of(key: Any, codes: Mapping[int, str]) -> str | None:
    """Our name of a pynput key: its enumeration's members hold the code in their value."""
    code = getattr(getattr(key, "value", key), "vk", None)
    return None if code is None else codes.get(code)


def may_listen() -> bool:
    """Whether macOS lets us listen; it asks the user the first time. True where there is no such question."""
    try:
        system = ctypes.CDLL(_IOKIT)
        if system.IOHIDCheckAccess(_LISTENING) == _GRANTED:
            return True
        system.IOHIDRequestAccess.restype = ctypes.c_bool
        return bool(system.IOHIDRequestAccess(_LISTENING))
    except (OSError, AttributeError):  # another system, or macOS before 10.15
        return True


def _not_there(binding: Binding) -> HotkeyError:
    return HotkeyError(
        f"A Mac's keyboard has no {binding.chord.key}, so {binding.chord} cannot be pressed. Choose another "
        "with hotkey.key.",
        code="bad_chord",
    )


def _no_access() -> HotkeyError:
    return HotkeyError(
        "macOS does not let omniid see its key. Allow it (or the terminal it runs in) in System Settings > "
        "Privacy & Security > Input Monitoring, then start omniid again.",
        code="no_keyboard_access",
    )
