"""Which chords are down, told from single keys on several keyboards. Pure.

For backends that see keys one by one (evdev, macOS). A chord goes down when its key does while exactly its
modifiers are held, on whichever keyboard; it goes up when any of its keys does.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import NamedTuple

from omniid.hotkeys.chord import Chord
from omniid.hotkeys.keynames import MODIFIER_OF


class Change(StrEnum):
    DOWN = "down"
    UP = "up"
    LOST = "lost"


class ChordChange(NamedTuple):
    owner: str
    change: Change


class ChordMatcher:
    """`chords` by owner. Keys are called by their names in `keynames`, keyboards by what the caller likes."""

    def __init__(self, chords: Mapping[str, Chord]) -> None:
        self._chords = dict(chords)
        self._down: dict[str, set[str]] = {}  # by keyboard
        self._held: set[str] = set()
        # All modifiers, or ctrl+F9 could not be told from F9.
        self.watched = frozenset(chord.key for chord in chords.values()) | MODIFIER_OF.keys()

    def key_down(self, keyboard: str, key: str) -> list[ChordChange]:
        """A key went down, or repeats."""
        down = self._down.setdefault(keyboard, set())
        if key not in self.watched or key in down:
            return []
        modifiers = self._modifiers(without=key)
        down.add(key)
        found = [
            owner
            for owner, chord in self._chords.items()
            if chord.key == key and chord.modifiers == modifiers and owner not in self._held
        ]
        self._held.update(found)
        return [ChordChange(owner, Change.DOWN) for owner in found]

    def key_up(self, keyboard: str, key: str) -> list[ChordChange]:
        self._down.get(keyboard, set()).discard(key)
        return self._end_broken(Change.UP)

    def keyboard_gone(self, keyboard: str) -> list[ChordChange]:
        """Nobody can say where its keys are: whatever chord one of them was part of is lost."""
        self._down.pop(keyboard, None)
        return self._end_broken(Change.LOST)

    def keyboard_unsure(self, keyboard: str, still_down: Iterable[str]) -> list[ChordChange]:
        """Events of a keyboard were dropped. `still_down` is where its keys are now."""
        changes = self.keyboard_gone(keyboard)
        self._down[keyboard] = set(still_down) & self.watched
        return changes

    def _end_broken(self, how: Change) -> list[ChordChange]:
        broken = [owner for owner in self._held if not self._is_whole(self._chords[owner])]
        self._held.difference_update(broken)
        return [ChordChange(owner, how) for owner in sorted(broken)]

    def _is_whole(self, chord: Chord) -> bool:
        return chord.modifiers <= self._modifiers(without=chord.key) and any(
            chord.key in keys for keys in self._down.values()
        )

    def _modifiers(self, *, without: str) -> frozenset[str]:
        down = set().union(*self._down.values()) - {without}
        return frozenset(MODIFIER_OF[key] for key in down if key in MODIFIER_OF)
