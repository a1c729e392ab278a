"""How the portal writes keys and what follows from what it says. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from omniid.hotkeys.chord import Chord
from omniid.hotkeys.contract import Binding
from omniid.hotkeys.keynames import KEYS, MODIFIERS

_MODIFIERS = {"ctrl": "CTRL", "alt": "ALT", "shift": "SHIFT", "super": "LOGO"}
# A held key that repeats comes again within a second at most.
_NO_REPEAT_S = 1.0


def trigger(chord: Chord) -> str:
    """A chord as the XDG shortcuts specification writes it, such as `CTRL+ALT+space`."""
    modifiers = [_MODIFIERS[name] for name in MODIFIERS if name in chord.modifiers]
    return "+".join([*modifiers, KEYS[chord.key].keysym])


def shortcut_id(owner: str) -> str:
    """An owner's name as one that every desktop takes, such as `hotkey-notes`. No two become one."""
    return "".join(_plain(letter) for letter in owner)


def _plain(letter: str) -> str:
    if letter.isascii() and letter.isalnum():
        return letter
    return "-" if letter == ":" else f"_{ord(letter):x}_"


def note_of(bindings: Sequence[Binding], shortcuts: Mapping[str, str]) -> str:
    """Which keys the desktop gave, or where to give them. `shortcuts`: its description of each by our id."""
    given = [shortcuts.get(shortcut_id(binding.owner), "") for binding in bindings]
    if all(given):
        return f"Your desktop gave omniid: {', '.join(given)}."
    first = bindings[given.index("")]
    modifiers = " ".join(
        "SUPER" if m == "super" else m.upper() for m in MODIFIERS if m in first.chord.modifiers
    )
    hyprland = f"bind = {modifiers}, {KEYS[first.chord.key].keysym}, global, :{shortcut_id(first.owner)}"
    return (
        f"Your desktop has not said which key it gives to omniid for {first.chord}. Look in its keyboard "
        f"settings; Hyprland wants this line: {hyprland}"
    )


class ReleaseWatch:
    """Whether a portal tells of releases. Some do not, and no property says so: only presses can show it."""

    def __init__(self) -> None:
        self.are_seen = True
        self._down_since: dict[str, float] = {}

    def activated(self, owner: str, now: float) -> bool:
        """Returns whether this press shows that the release before it was never told."""
        last = self._down_since.get(owner)
        self._down_since[owner] = now
        if not self.are_seen or last is None or now - last < _NO_REPEAT_S:
            return False
        self.are_seen = False
        return True

    def deactivated(self, owner: str) -> None:
        self._down_since.pop(owner, None)
        self.are_seen = True
