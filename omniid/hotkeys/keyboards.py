"""Linux's own keyboards, read through evdev: works everywhere, and asks for the right to read every key.

The kernel is told to send us only the keys of our chords and the modifiers; where it cannot filter, the
others are dropped unseen. Nothing of them is kept or logged.
"""

from __future__ import annotations

import asyncio
import ctypes
import fcntl
import struct
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Never, Self

import structlog
from evdev import InputDevice, ecodes

from omniid.errors import HotkeyError
from omniid.hotkeys.aside import call_aside
from omniid.hotkeys.contract import Binding, Keys, Live
from omniid.hotkeys.filtered import FilteredKeys
from omniid.hotkeys.inotify import FolderWatch
from omniid.hotkeys.keynames import KEYS
from omniid.hotkeys.matcher import Change, ChordChange, ChordMatcher

log = structlog.get_logger()

FOLDER = Path("/dev/input")
OPEN_WITHIN_S = 10.0
_NO_KEYBOARD = "No keyboard is connected. omniid listens as soon as one is."
_SOME_DENIED = "Some input devices may not be read; the key is not seen on those."
_SET_MASK = 0x40104593  # EVIOCSMASK, since Linux 4.4
_MASK = struct.Struct("=IIQ")


class Evdev:
    """The backend `evdev`."""

    name = "evdev"

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder

    async def run(self, bindings: Sequence[Binding], keys: Keys, on_live: Callable[[Live], None]) -> Never:
        """Read all keyboards, those that are plugged in later among them.

        Raises:
            HotkeyError: `no_keyboard_access`, or `no_keyboard` where the system has no such folder.
        """
        owners = {binding.owner: binding.chord for binding in bindings}
        try:
            watch = FolderWatch(self._folder)
        except OSError as error:
            raise HotkeyError(_not_watched(self._folder, error), code="no_keyboard") from error
        with (
            watch,
            FilteredKeys(owners, keys) as filtered,
            _Keyboards(ChordMatcher(owners), filtered) as all_,
        ):
            touched = self._all_names()
            told: Live | None = None
            while True:
                await self._follow(touched, all_)
                if all_.denied and told is None and not all_.paths:
                    raise _no_access(self._folder)
                live = Live(self.name, note=_note(all_))
                if live != told:
                    on_live(live)
                    told = live
                touched = await watch.changes()
                if "" in touched:
                    touched = self._all_names() | {path.name for path in all_.paths}

    def _all_names(self) -> set[str]:
        return {path.name for path in self._folder.glob("event*")}

    async def _follow(self, names: Iterable[str], keyboards: _Keyboards) -> None:
        """Open what has come and close what has gone."""
        for path in (self._folder / name for name in sorted(names) if name.startswith("event")):
            if not path.exists():
                keyboards.remove(path)
            elif path not in keyboards.paths:
                await _open(path, keyboards)


async def _open(path: Path, keyboards: _Keyboards) -> None:
    """Waking a device up can take its time."""
    keyboards.denied.discard(path)
    try:
        device = await call_aside(
            lambda: InputDevice(path, readonly=True), OPEN_WITHIN_S, lambda late: late.close()
        )
    except PermissionError:  # a new device's permissions may come a moment later
        keyboards.denied.add(path)
    except (OSError, TimeoutError) as error:  # gone again, or nothing that evdev understands
        log.debug("an input device cannot be opened", path=str(path), error=str(error))
    else:
        keyboards.add(path, device)


def _note(keyboards: _Keyboards) -> str | None:
    if not keyboards.paths:
        return _NO_KEYBOARD
    return _SOME_DENIED if keyboards.denied else None


@dataclass(slots=True)
class _Keyboard:
    device: Any
    is_unsure: bool = False  # the kernel has dropped events; the rest of its report is worth nothing


class _Keyboards:
    """The open ones that have a key of ours. As a context manager it closes them."""

    def __init__(self, matcher: ChordMatcher, filtered: FilteredKeys) -> None:
        self._matcher = matcher
        self._filtered = filtered
        self.denied: set[Path] = set()  # what may not be read
        self._open: dict[Path, _Keyboard] = {}
        self._name_of = {KEYS[name].evdev: name for name in matcher.watched}
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for keyboard in self._open.values():
            self._close(keyboard)

    @property
    def paths(self) -> set[Path]:
        return set(self._open)

    def add(self, path: Path, device: Any) -> None:
        """Listen to a device, or close it if it has none of our keys."""
        if not self._name_of.keys() & set(device.capabilities().get(ecodes.EV_KEY, ())):
            device.close()
            return
        _ask_for_only(device, self._name_of)
        self._open[path] = _Keyboard(device)
        self._ask_what_is_down(path, device)
        self._loop.add_reader(device.fd, self._readable, path)
        log.debug("listening to a keyboard", path=str(path), device=device.name)

    def remove(self, path: Path) -> None:
        """A keyboard has gone; what it held down is lost."""
        self.denied.discard(path)
        keyboard = self._open.pop(path, None)
        if keyboard is not None:
            self._close(keyboard)
            self._tell(self._matcher.keyboard_gone(str(path)), "keyboard_gone")

    def _close(self, keyboard: _Keyboard) -> None:
        self._loop.remove_reader(keyboard.device.fd)
        keyboard.device.close()

    def _readable(self, path: Path) -> None:
        keyboard = self._open[path]
        try:
            events = list(keyboard.device.read())
        except BlockingIOError:
            return
        except OSError:
            events = []
        if not events:  # readable and empty: it has gone
            self.remove(path)
            return
        for event in events:
            if event.type == ecodes.EV_SYN:
                self._on_report(path, keyboard, event.code)
            elif event.type == ecodes.EV_KEY and not keyboard.is_unsure:
                self._on_key(str(path), event.code, event.value)

    def _on_report(self, path: Path, keyboard: _Keyboard, code: int) -> None:
        if code == ecodes.SYN_DROPPED:
            keyboard.is_unsure = True
            self._tell(self._matcher.keyboard_gone(str(path)), "events_dropped")
        elif code == ecodes.SYN_REPORT and keyboard.is_unsure:
            keyboard.is_unsure = False
            self._ask_what_is_down(path, keyboard.device)

    def _ask_what_is_down(self, path: Path, device: Any) -> None:
        """Modifiers that are held count for what comes; a key that is held has to be pressed again."""
        with suppress(OSError):  # if it has gone, the next read says so
            down = [self._name_of[code] for code in device.active_keys() if code in self._name_of]
            self._matcher.keyboard_unsure(str(path), down)

    def _on_key(self, path: str, code: int, value: int) -> None:
        name = self._name_of.get(code)
        if name is not None and value == 1:
            self._tell(self._matcher.key_down(path, name))
        elif name is not None and value == 0:
            self._tell(self._matcher.key_up(path, name))

    def _tell(self, changes: list[ChordChange], reason: str = "") -> None:
        for owner, change in changes:
            match change:
                case Change.DOWN:
                    self._filtered.down(owner)
                case Change.UP:
                    self._filtered.up(owner)
                case Change.LOST:
                    self._filtered.lose(owner, reason)


def _ask_for_only(device: Any, codes: Iterable[int]) -> None:
    """Have the kernel keep all other events from us. What it does not filter, we do."""
    for event_type, wanted in ((ecodes.EV_SYN, (ecodes.EV_SYN, ecodes.EV_KEY)), (ecodes.EV_KEY, codes)):
        bits = bitmap(wanted)
        buffer = ctypes.create_string_buffer(bits, len(bits))
        with suppress(OSError):
            fcntl.ioctl(device.fd, _SET_MASK, _MASK.pack(event_type, len(bits), ctypes.addressof(buffer)))


def bitmap(codes: Iterable[int]) -> bytes:
    """A set of numbers in the kernel's form: the lowest in the first byte's lowest bit, in whole words."""
    number = sum(1 << code for code in set(codes))
    return number.to_bytes(-(-number.bit_length() // 64) * 8, "little")


def _not_watched(folder: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"There are no keyboards to read: {folder} is not there."
    return f"The keyboards in {folder} cannot be watched: {error.strerror}."


def _no_access(folder: Path) -> HotkeyError:
    return HotkeyError(
        f"omniid may not read the keyboards in {folder}. To allow it, run `sudo usermod -aG input $USER` and "
        "log in again. Mind that every program of yours can then read every key, passwords among them.",
        code="no_keyboard_access",
    )
