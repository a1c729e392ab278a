"""How long to wait before dialling again."""

from __future__ import annotations

import random

import pytest

from omniid.protocol.backoff import PROVEN_AFTER_S, Backoff


def test_the_ceiling_doubles_until_the_maximum() -> None:
    backoff = Backoff(0.25, 60.0, lambda: 1.0)

    assert [backoff.next_delay() for _ in range(10)] == [0.25, 0.5, 1, 2, 4, 8, 16, 32, 60, 60]


def test_each_delay_is_drawn_between_nothing_and_the_ceiling() -> None:
    drawn = iter([0.0, 0.5, 1.0])
    backoff = Backoff(1.0, 60.0, lambda: next(drawn))

    assert [backoff.next_delay() for _ in range(3)] == [0.0, 1.0, 4.0]


def test_an_outage_of_any_length_stays_within_bounds() -> None:
    backoff = Backoff(0.25, 60.0, random.random)

    assert all(0 <= backoff.next_delay() <= 60 for _ in range(5_000))


@pytest.mark.parametrize(
    ("alive_s", "frames", "starts_over"),
    [
        pytest.param(PROVEN_AFTER_S, 1, True, id="a link that lived and spoke has proven itself"),
        pytest.param(PROVEN_AFTER_S - 0.1, 99, False, id="one that spoke and fell at once has not"),
        pytest.param(3_600.0, 0, False, id="one that never said a word has not"),
    ],
)
def test_only_a_proven_link_makes_the_delay_start_over(
    alive_s: float, frames: int, starts_over: bool
) -> None:
    backoff = Backoff(0.25, 60.0, lambda: 1.0)
    for _ in range(4):
        backoff.next_delay()

    backoff.link_ended(alive_s=alive_s, frames_received=frames)

    assert backoff.next_delay() == (0.25 if starts_over else 4.0)
