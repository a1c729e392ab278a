"""A command's fate: the states it can be in and the only ways between them.

The table is the whole law. Storage refuses a step that is not in it, so no mistake elsewhere can lose a
command or do it twice.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    QUEUED = "queued"  # committed to disk, waiting for its turn
    SENDING = "sending"  # the attempt is on disk; the frame may or may not have left
    WAITING = "waiting"  # the frame was written; no settling frame yet
    DONE = "done"
    FAILED = "failed"  # the server answered with an error
    REJECTED = "rejected"  # the server closed the link over this very frame
    NEEDS_AUTH = "needs_auth"  # the server asks the user to sign in first
    UNCERTAIN = "uncertain"  # it may have been done; only the user can say "again"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    DROPPED = "dropped"  # given up by the user after it was uncertain or had failed

    @property
    def words(self) -> str:
        """What follows "the command is"."""
        return "waiting for a sign-in" if self is State.NEEDS_AUTH else self.value


CALLED_OFF = "called off by the user"  # why a command on the wire does not go back to the line

ON_THE_WIRE = frozenset({State.SENDING, State.WAITING})
ENDED = frozenset({State.DONE, State.FAILED, State.REJECTED, State.EXPIRED, State.CANCELLED, State.DROPPED})
RETRYABLE = frozenset({State.UNCERTAIN, State.FAILED, State.REJECTED, State.EXPIRED, State.NEEDS_AUTH})

_NEXT: dict[State, frozenset[State]] = {
    State.QUEUED: frozenset(
        {
            State.SENDING,
            State.EXPIRED,
            State.CANCELLED,
            State.DONE,  # omniid itself has answered it, while the backend was away
            State.UNCERTAIN,  # it was to be repeated to a backend that dedupes, and that one is gone
        }
    ),
    State.SENDING: frozenset(
        {
            State.WAITING,
            State.QUEUED,  # the write failed before a byte left, or the server knows a repeated id
            State.UNCERTAIN,
            State.DONE,  # the answer can overtake our own record of the write
            State.FAILED,
            State.REJECTED,
            State.NEEDS_AUTH,
        }
    ),
    State.WAITING: frozenset(
        {
            State.DONE,
            State.FAILED,
            State.REJECTED,
            State.NEEDS_AUTH,
            State.UNCERTAIN,
            State.QUEUED,  # only with a server that knows a repeated id
        }
    ),
    State.NEEDS_AUTH: frozenset({State.QUEUED, State.EXPIRED, State.CANCELLED, State.DROPPED}),
    State.UNCERTAIN: frozenset({State.DONE, State.FAILED, State.NEEDS_AUTH, State.QUEUED, State.DROPPED}),
    State.FAILED: frozenset({State.QUEUED, State.DROPPED}),
    State.REJECTED: frozenset({State.QUEUED, State.DROPPED}),
    State.EXPIRED: frozenset({State.QUEUED, State.DROPPED}),
    State.DONE: frozenset(),
    State.CANCELLED: frozenset(),
    State.DROPPED: frozenset(),
}


def may_become(current: State, following: State) -> bool:
    """Whether the table has a way from one state to the other."""
    return following in _NEXT[current]
