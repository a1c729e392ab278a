"""Whether the other end still lives. Pure: time goes in, and what to do about silence comes out.

Any byte from the other end is life. After `interval_s` without one it is asked to say something, and after
`timeout_s` more it counts as dead. Every socket has a heartbeat of its own.
"""

from __future__ import annotations

from typing import Literal

Verdict = Literal["well", "ask", "dead"]


class Heartbeat:
    """Times are monotonic seconds."""

    def __init__(self, interval_s: float, timeout_s: float, now: float) -> None:
        self._interval_s = interval_s
        self._timeout_s = timeout_s
        self._asked_until: float | None = None  # when it counts as dead, once it has been asked
        self.heard_at = now

    def heard(self, now: float) -> None:
        self.heard_at = now
        self._asked_until = None

    def probe(self, now: float, within_s: float) -> None:
        """It has just been asked, out of turn, and has this long to say something."""
        due = now + within_s
        self._asked_until = due if self._asked_until is None else min(due, self._asked_until)

    def next_deadline(self) -> float:
        """When `check` has something to say, unless something is heard before."""
        return self.heard_at + self._interval_s if self._asked_until is None else self._asked_until

    def check(self, now: float) -> Verdict:
        """`ask`: send a ping now; it is expected to be answered from here on."""
        if now < self.next_deadline():
            return "well"
        if self._asked_until is not None:
            return "dead"
        self._asked_until = now + self._timeout_s
        return "ask"
