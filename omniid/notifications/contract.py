"""What every way to show notifications has in common: what it is given, what it says, how it fails."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from omniid.notice_board import Notice

# Told of a click: the notice's tag and the action's key. On the event loop, must be quick and must not raise.
OnAction = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to wait. Only tests change it."""

    answer_s: float = 5.0
    retry_s: float = 30.0
    leave_s: float = 0.5


PACE = Pace()


class NotShownError(Exception):
    """A notice was not shown; the message says why, in a sentence for the user.

    `is_away`: nobody is there to show any, so asking again at once is of no use. `is_lost`: the notice cannot
    have reached anybody, so it may be shown later.
    """

    def __init__(self, message: str, *, is_away: bool = False, is_lost: bool = False) -> None:
        super().__init__(message)
        self.is_away = is_away
        self.is_lost = is_lost


class Screen(Protocol):
    """One way to show notifications. It is used by one task, one call at a time."""

    async def begin(self) -> None:
        """Take away what a killed omniid left and can no longer be answered. It fails without a word."""

    async def show(self, notice: Notice) -> None:
        """Show it, in place of the one with its tag.

        Raises:
            NotShownError: it was not shown.
        """

    async def withdraw(self, tag: str) -> None:
        """Take away the notice with this tag, as far as it can be done. It fails without a word."""

    def shows(self, tag: str) -> bool:
        """Whether a notice with this tag may be on the screen, and can be taken away."""

    async def close(self) -> None:
        """Take away what can no longer be answered, and let go."""
