"""One key's raw downs and ups in, clean edges out. Pure: time is an argument, in seconds.

A press is told at once. A release is told after a grace, since a worn contact and the auto-repeat of some
servers send an up with a down right behind it. A press right after a release has to last for a moment before
it counts. Whatever comes, presses and ends alternate.
"""

from __future__ import annotations

from enum import Enum, StrEnum

DEBOUNCE_S = 0.030
GRACE_S = 0.050


class Edge(StrEnum):
    PRESSED = "pressed"
    RELEASED = "released"
    LOST = "lost"


class _State(Enum):
    UP = "up"
    SETTLING = "settling"  # down, too soon after a release to count yet
    DOWN = "down"
    ENDING = "ending"  # up, and a down may follow within the grace


class _Input(Enum):
    DOWN = "down"
    UP = "up"
    DUE = "due"  # the deadline has passed
    LOSE = "lose"


# What is not in here changes nothing.
_TABLE: dict[tuple[_State, _Input], tuple[_State, Edge | None]] = {
    (_State.UP, _Input.DOWN): (_State.DOWN, Edge.PRESSED),
    (_State.SETTLING, _Input.UP): (_State.UP, None),
    (_State.SETTLING, _Input.DUE): (_State.DOWN, Edge.PRESSED),
    (_State.SETTLING, _Input.LOSE): (_State.UP, None),
    (_State.DOWN, _Input.UP): (_State.ENDING, None),
    (_State.DOWN, _Input.LOSE): (_State.UP, Edge.LOST),
    (_State.ENDING, _Input.DOWN): (_State.DOWN, None),
    (_State.ENDING, _Input.DUE): (_State.UP, Edge.RELEASED),
    (_State.ENDING, _Input.LOSE): (_State.UP, Edge.RELEASED),  # it was seen to go up
}


class EdgeFilter:
    """The filter of one key. `deadline` is when to call `due`, if nothing comes before; None: never."""

    def __init__(self, *, debounce_s: float = DEBOUNCE_S, grace_s: float = GRACE_S) -> None:
        self.deadline: float | None = None
        self._debounce_s = debounce_s
        self._grace_s = grace_s
        self._state = _State.UP
        self._quiet_until = float("-inf")

    @property
    def is_pressed(self) -> bool:
        """Whether a press was told and its end was not."""
        return self._state in {_State.DOWN, _State.ENDING}

    def down(self, now: float) -> list[Edge]:
        """The key went down, or repeats."""
        return [*self.due(now), *self._handle(_Input.DOWN, now)]

    def up(self, now: float) -> list[Edge]:
        return [*self.due(now), *self._handle(_Input.UP, now)]

    def lose(self, now: float) -> list[Edge]:
        """Nobody can say where the key is."""
        return [*self.due(now), *self._handle(_Input.LOSE, now)]

    def due(self, now: float) -> list[Edge]:
        """What the passing of time tells. A call too early tells nothing."""
        if self.deadline is None or now < self.deadline:
            return []
        return self._handle(_Input.DUE, self.deadline)

    def _handle(self, what: _Input, now: float) -> list[Edge]:
        if self._state is _State.UP and what is _Input.DOWN and now < self._quiet_until:
            self._state, self.deadline = _State.SETTLING, self._quiet_until
            return []
        if (self._state, what) not in _TABLE:
            return []
        self._state, edge = _TABLE[self._state, what]
        self.deadline = now + self._grace_s if self._state is _State.ENDING else None
        if edge is Edge.RELEASED:
            self._quiet_until = now + self._debounce_s
        return [] if edge is None else [edge]
