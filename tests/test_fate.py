"""The table of a command's states."""

from __future__ import annotations

import itertools

import pytest

from omniid.fate import ENDED, ON_THE_WIRE, RETRYABLE, State, may_become

ALLOWED = {
    State.QUEUED: {State.SENDING, State.EXPIRED, State.CANCELLED, State.DONE, State.UNCERTAIN},
    State.SENDING: {
        State.WAITING,
        State.QUEUED,
        State.UNCERTAIN,
        State.DONE,
        State.FAILED,
        State.REJECTED,
        State.NEEDS_AUTH,
    },
    State.WAITING: {
        State.DONE,
        State.FAILED,
        State.REJECTED,
        State.NEEDS_AUTH,
        State.UNCERTAIN,
        State.QUEUED,
    },
    State.NEEDS_AUTH: {State.QUEUED, State.EXPIRED, State.CANCELLED, State.DROPPED},
    State.UNCERTAIN: {State.DONE, State.FAILED, State.NEEDS_AUTH, State.QUEUED, State.DROPPED},
    State.FAILED: {State.QUEUED, State.DROPPED},
    State.REJECTED: {State.QUEUED, State.DROPPED},
    State.EXPIRED: {State.QUEUED, State.DROPPED},
    State.DONE: set(),
    State.CANCELLED: set(),
    State.DROPPED: set(),
}


@pytest.mark.parametrize(("current", "following"), list(itertools.product(State, State)))
def test_there_is_exactly_this_way_between_two_states(current: State, following: State) -> None:
    assert may_become(current, following) is (following in ALLOWED[current])


@pytest.mark.parametrize("state", [State.DONE, State.CANCELLED, State.DROPPED])
def test_what_is_over_for_good_stays_so(state: State) -> None:
    assert not any(may_become(state, following) for following in State)


def test_what_is_on_the_wire_cannot_be_cancelled_or_dropped_or_expire() -> None:
    quiet_ends = (State.CANCELLED, State.DROPPED, State.EXPIRED)

    assert not any(may_become(current, end) for current in ON_THE_WIRE for end in quiet_ends)


def test_a_command_is_sent_from_the_line_only() -> None:
    assert [state for state in State if may_become(state, State.SENDING)] == [State.QUEUED]


def test_whatever_may_have_been_done_is_sent_again_only_by_way_of_the_line() -> None:
    assert all(may_become(state, State.QUEUED) for state in RETRYABLE)
    assert State.DONE not in RETRYABLE


def test_what_ended_has_left_the_wire() -> None:
    assert not ENDED & ON_THE_WIRE
    assert State.UNCERTAIN not in ENDED
