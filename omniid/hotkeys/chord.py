"""What a user writes for a key, such as `ctrl+alt+space`, understood. Pure, and light enough for settings."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from omniid.errors import HotkeyError
from omniid.hotkeys.keynames import KEYS, MODIFIER_OF, MODIFIERS, NEEDED_FOR_TYPING

_EXAMPLES = "Examples: ctrl+alt+space, super+F9, F9, pause, rightctrl."
_MODIFIER_ALIASES = {
    "control": "ctrl",
    "option": "alt",
    "opt": "alt",
    "cmd": "super",
    "command": "super",
    "logo": "super",
    "meta": "super",
    "win": "super",
}
_KEY_ALIASES = {
    "altgr": "rightalt",
    "break": "pause",
    "del": "delete",
    "esc": "escape",
    "ins": "insert",
    "pgdn": "pagedown",
    "pgup": "pageup",
    "print": "printscreen",
    "return": "enter",
}
_BY_LOWER_CASE = {name.lower(): name for name in KEYS}


class ChordError(HotkeyError, ValueError):
    """The words name no key that could be a hotkey; also a ValueError, for whoever validates settings."""

    default_code = "bad_chord"


@dataclass(frozen=True, slots=True)
class Chord:
    """One key, with modifiers of either side of the keyboard (ctrl, alt, shift, super) held before it."""

    key: str
    modifiers: frozenset[str] = frozenset()

    def __str__(self) -> str:
        return "+".join([name for name in MODIFIERS if name in self.modifiers] + [self.key])


def parse(text: str) -> Chord:
    """The chord that `text` names, in any case and order of modifiers.

    Raises:
        ChordError: it names none; the message says what is wrong with it.
    """
    *before, last = (part.strip() for part in text.split("+"))
    if not last or not all(before):
        raise _wrong(text, "a name is missing beside a +" if "+" in text else "it is empty")
    modifiers = [_modifier(text, name) for name in before]
    if len(set(modifiers)) < len(modifiers):
        raise _wrong(text, "it names a modifier twice")
    key = _key(text, last)
    _check_fit(text, key, frozenset(modifiers))
    return Chord(key, frozenset(modifiers))


def _modifier(text: str, written: str) -> str:
    name = _MODIFIER_ALIASES.get(written.lower(), written.lower())
    if name in MODIFIERS:
        return name
    if name in MODIFIER_OF:
        raise _wrong(text, f"before the last + either side counts: write {MODIFIER_OF[name]} for {written}")
    if name in _BY_LOWER_CASE or name in _KEY_ALIASES:
        raise _wrong(text, f"{written} is not a modifier; they are {', '.join(MODIFIERS)}")
    raise _wrong(text, f"there is no modifier {written!r}; they are {', '.join(MODIFIERS)}")


def _key(text: str, written: str) -> str:
    name = written.lower()
    modifier = _MODIFIER_ALIASES.get(name, name)
    if modifier in MODIFIERS:
        raise _wrong(text, f"it ends with a modifier; add a key, or say which side: right{modifier}")
    found = _BY_LOWER_CASE.get(_KEY_ALIASES.get(name, name))
    if found is None:
        near = difflib.get_close_matches(name, [*_BY_LOWER_CASE, *_KEY_ALIASES], n=1)
        hint = f"; did you mean {_BY_LOWER_CASE.get(near[0], near[0])}?" if near else ""
        raise _wrong(text, f"there is no key {written!r}{hint}")
    return found


def _check_fit(text: str, key: str, modifiers: frozenset[str]) -> None:
    if MODIFIER_OF.get(key) in modifiers:
        raise _wrong(text, f"it names {MODIFIER_OF[key]} twice")
    if key in NEEDED_FOR_TYPING and not modifiers - {"shift"}:
        raise _wrong(text, "it would take that key away from typing; add ctrl, alt or super")


def _wrong(text: str, why: str) -> ChordError:
    return ChordError(f"{text!r} is not a key to listen for: {why.rstrip('?.')}. {_EXAMPLES}")
