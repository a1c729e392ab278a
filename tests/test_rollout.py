"""A rollout moves a steady share of the users, and moves nobody back while it grows."""

from __future__ import annotations

import math
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniid.rollout import includes

IDS = [f"user-{number}" for number in range(10_000)]
PERCENTS = st.floats(0, 100)


def test_nobody_is_moved_at_0_and_everybody_at_100() -> None:
    assert not any(includes(user_id, 0) for user_id in IDS)
    assert all(includes(user_id, 100) for user_id in IDS)


@pytest.mark.parametrize("percent", [0.5, 1, 10, 25, 50, 75, 99])
def test_about_the_right_share_is_moved(percent: float) -> None:
    share = percent / 100

    moved = sum(includes(user_id, percent) for user_id in IDS)

    # Five standard deviations of a fair draw; the ids are fixed, so this never changes its mind.
    assert abs(moved - share * len(IDS)) <= 5 * math.sqrt(len(IDS) * share * (1 - share))


@given(st.text(), PERCENTS, PERCENTS)
def test_who_is_moved_stays_moved_as_the_share_grows(user_id: str, one: float, other: float) -> None:
    small, large = sorted((one, other))

    assert includes(user_id, large) or not includes(user_id, small)


@given(st.text())
@settings(max_examples=20, deadline=None)
def test_every_user_is_moved_at_some_step_of_a_hundredth_of_a_percent(user_id: str) -> None:
    steps = [includes(user_id, step / 100) for step in range(10_001)]

    assert steps == sorted(steps)
    assert (steps[0], steps[-1]) == (False, True)


# Written down once: a new version or another machine must not move people back and forth.
PLACES = {"ann": 37.48, "bob": 35.28, "": 87.3, "Grüße 😀": 81.01, "user@example.org": 43.03}


@pytest.mark.parametrize(("user_id", "place"), PLACES.items())
def test_a_users_place_is_the_same_for_ever(user_id: str, place: float) -> None:
    assert not includes(user_id, place)
    assert includes(user_id, place + 0.01)


def test_a_users_place_is_the_same_in_every_process() -> None:
    program = (
        "from omniid.rollout import includes; print(sum(includes(f'user-{n}', 50) << n for n in range(300)))"
    )
    here = sum(includes(f"user-{number}", 50) << number for number in range(300))

    # Python's own hash of a text is another one in each process.
    said = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True
        ).stdout
        for seed in ("1", "2")
    }

    assert said == {f"{here}\n".encode()}
