from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from omniid.workers.patience import LOADED_S, SHORTEST_S, EarPatience

SECONDS = st.floats(0, 600)


def test_a_hang_of_a_warm_ear_is_found_within_three_seconds_and_the_take_s_own_time() -> None:
    patience = EarPatience()
    patience.model_is_ready()
    patience.learn(4.0, 0.1)

    assert patience.to_recognise(0.0) == SHORTEST_S
    assert patience.to_recognise(4.0) < SHORTEST_S + 1.0


def test_a_model_that_has_to_be_loaded_has_its_time() -> None:
    patience = EarPatience()
    assert patience.to_recognise(1.0) > LOADED_S
    patience.model_is_ready()
    patience.learn(1.0, 0.1)
    patience.model_is_gone()

    assert patience.to_recognise(1.0) > LOADED_S


def test_a_large_model_on_a_slow_machine_is_no_hang() -> None:
    patience = EarPatience()
    patience.model_is_ready()
    patience.learn(5.0, 20.0)

    assert patience.to_recognise(5.0) > 2 * 20.0


def test_a_recogniser_elsewhere_may_be_away_and_the_local_model_has_to_be_loaded() -> None:
    patience = EarPatience(remote=True)
    patience.model_is_ready()
    patience.learn(5.0, 0.1)

    assert patience.to_recognise(5.0) > LOADED_S + 5.0


@given(st.lists(st.tuples(SECONDS, SECONDS)), SECONDS)
def test_it_is_never_shorter_than_it_takes_to_answer_at_all(
    takes: list[tuple[float, float]], length: float
) -> None:
    patience = EarPatience()
    patience.model_is_ready()
    for duration_s, recognition_s in takes:
        patience.learn(duration_s, recognition_s)

    assert patience.to_recognise(length) >= SHORTEST_S
