"""How fast commands may go out: a burst of a minute's worth, then evenly, and nobody waits for ever."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniid.protocol.pace import Pace

TIMES = st.floats(0, 1e9)
STEPS = st.one_of(st.just(0.0), st.floats(0, 1), st.floats(0, 200), st.floats(0, 1e7))
RATES = st.integers(1, 10_000)


@pytest.mark.parametrize("per_minute", [None, 0])
def test_without_a_limit_all_may_go_at_once(per_minute: int | None) -> None:
    pace = Pace(per_minute)

    assert [pace.take(5.0, 1_000_000) for _ in range(3)] == [1_000_000] * 3
    pace.give_back(7)
    assert pace.take(5.0) == 1
    assert pace.ready_at(5.0) == 5.0


def test_a_minutes_worth_goes_at_once_and_the_rest_evenly() -> None:
    pace = Pace(6)

    assert pace.take(100.0, 9) == 6
    assert pace.take(100.0) == 0
    assert pace.ready_at(100.0) == 110.0
    assert pace.take(109.0) == 0
    assert pace.take(110.0, 9) == 1
    assert pace.take(135.0, 9) == 2
    assert pace.ready_at(135.0) == 140.0  # the half that had come by then is kept


def test_a_long_pause_fills_it_to_a_minutes_worth_and_no_further() -> None:
    pace = Pace(6)
    pace.take(100.0, 6)

    assert pace.take(1e9, 100) == 6
    assert pace.take(1e9, 100) == 0


def test_what_did_not_go_may_go_later_and_never_more_than_it_holds() -> None:
    pace = Pace(6)
    pace.take(0.0, 6)

    pace.give_back(2)
    assert pace.ready_at(0.0) == 0.0
    assert pace.take(0.0, 9) == 2

    pace.give_back(1_000)
    assert pace.take(0.0, 1_000) == 6


def test_nothing_and_less_than_nothing_change_nothing() -> None:
    pace = Pace(2)

    assert pace.take(0.0, 0) == 0
    assert pace.take(0.0, -5) == 0
    pace.take(0.0, 2)
    pace.give_back(-5)
    assert pace.take(30.0, 9) == 1


def test_a_clock_that_goes_back_gives_nothing_and_takes_nothing() -> None:
    pace = Pace(60)
    pace.take(100.0, 60)

    assert pace.take(50.0) == 0
    assert pace.ready_at(50.0) == 101.0
    assert pace.take(101.0, 9) == 1


def test_a_pace_below_nothing_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="below nothing"):
        Pace(-1)


ACTS = st.lists(st.tuples(STEPS, st.integers(0, 30), st.integers(0, 5)), max_size=25)


@given(st.integers(1, 60), TIMES, ACTS)
@settings(max_examples=300, deadline=None)
def test_no_window_of_any_length_lets_more_through_than_a_burst_and_its_share(
    per_minute: int, start: float, acts: list[tuple[float, int, int]]
) -> None:
    pace, now = Pace(per_minute), start
    log: list[tuple[Fraction, int]] = []
    for step, wanted, back in acts:
        now += step
        taken = pace.take(now, wanted)
        returned = min(back, taken)
        pace.give_back(returned)
        assert 0 <= taken <= min(wanted, per_minute)
        assert 0 <= pace._held <= per_minute
        log.append((Fraction(now), taken - returned))

    for first, (begin, _) in enumerate(log):
        went = 0
        for end, count in log[first:]:
            went += count
            assert went <= per_minute * (1 + (end - begin) / 60)


@given(RATES, TIMES, st.lists(st.tuples(STEPS, st.integers(0, 10_000)), max_size=10))
@settings(max_examples=500, deadline=None)
def test_who_waits_until_it_is_ready_gets_one(
    per_minute: int, start: float, before: list[tuple[float, int]]
) -> None:
    pace, now = Pace(per_minute), start
    for step, wanted in before:
        now += step
        pace.take(now, wanted)

    ready = pace.ready_at(now)

    assert now <= ready <= now + 60 / per_minute + 1e-6
    assert pace.take(ready, 1) == 1


@given(RATES, TIMES)
@settings(max_examples=100, deadline=None)
def test_over_many_waits_the_pace_is_kept_to_the_letter(per_minute: int, start: float) -> None:
    pace, now = Pace(per_minute), start
    pace.take(now, per_minute)
    for _ in range(100):
        now = pace.ready_at(now)
        assert pace.take(now, per_minute) == 1

    assert now - start == pytest.approx(100 * 60 / per_minute, abs=1e-4)
