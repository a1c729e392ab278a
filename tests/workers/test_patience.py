"""What the ear owes, and for how long it may."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniid.workers.channel import (
    CancelTake,
    CaptureEnded,
    CaptureOpened,
    ModelReady,
    StartTake,
    StopTake,
    TakeBegun,
    TakeEmpty,
    TakeRecognised,
    TranscribeFile,
)
from omniid.workers.patience import (
    BEGUN_S,
    CLOSED_S,
    LOADED_S,
    OPENED_S,
    SHORTEST_S,
    STARTED_S,
    Deadline,
    EarDeadlines,
)

SECONDS = st.floats(0, 600)
READY = ModelReady("tiny.en", "cpu", "int8", 0.4)
LONGEST_S = 60.0


def deadlines(*, remote: bool = False) -> EarDeadlines:
    return EarDeadlines(LONGEST_S, lambda _: 64_000, remote)


def recognised(take_id: str, duration_s: float, took_s: float, *, speculated: bool = False) -> TakeRecognised:
    return TakeRecognised(take_id, "Hi", 0.9, "en", duration_s, 1.0, "tiny.en", 0.0, took_s, speculated)


def warm(took_s: float = 0.1, duration_s: float = 4.0, model: str | None = None) -> EarDeadlines:
    """An ear that has recognised a take."""
    ear = deadlines()
    ear.on_told(StartTake("t0", model=model), ready=True)
    ear.on_heard(READY)
    ear.on_heard(CaptureEnded("t0", "released", 1.0, duration_s, 0))
    ear.on_heard(recognised("t0", duration_s, took_s))
    return ear


def to_recognise(ear: EarDeadlines, duration_s: float, model: str | None = None) -> float:
    ear.on_told(StartTake("t1", model=model), ready=True)
    deadline = ear.on_heard(CaptureEnded("t1", "released", 1.0, duration_s, 0))
    assert deadline is not None
    assert deadline.seconds is not None
    return deadline.seconds


def test_each_step_of_a_take_has_its_time() -> None:
    ear = deadlines()

    assert ear.on_told(StartTake("t1"), ready=True) == Deadline("t1", BEGUN_S)
    assert ear.on_heard(TakeBegun("t1")) == Deadline("t1", OPENED_S)
    assert ear.on_heard(CaptureOpened("t1", "mic", 0.0)) == Deadline("t1", LONGEST_S + CLOSED_S)
    assert ear.on_told(StopTake("t1"), ready=True) == Deadline("t1", CLOSED_S)
    assert ear.on_heard(CaptureEnded("t1", "released", 1.0, 1.0, 0)) is not None
    assert ear.on_heard(TakeEmpty("t1", "no_speech")) == Deadline("t1", None)


def test_an_ear_that_is_still_starting_may_start_before_it_has_to_close() -> None:
    ear = deadlines()

    assert ear.on_told(StartTake("t1"), ready=False) == Deadline("t1", STARTED_S)
    assert ear.on_told(StopTake("t1"), ready=False) == Deadline("t1", STARTED_S + CLOSED_S)
    assert ear.on_heard(TakeBegun("t1")) == Deadline("t1", CLOSED_S)


def test_a_first_sound_that_crosses_the_release_leaves_the_deadline_of_the_closing() -> None:
    ear = deadlines()
    ear.on_told(StartTake("t1"), ready=True)
    ear.on_told(StopTake("t1"), ready=True)

    assert ear.on_heard(CaptureOpened("t1", "mic", 0.0)) is None


@pytest.mark.parametrize("message", [StopTake("t1"), CancelTake("t1")])
def test_a_release_that_crosses_the_end_leaves_the_deadline_of_the_recognition(
    message: StopTake | CancelTake,
) -> None:
    ear = deadlines()
    ear.on_told(StartTake("t1"), ready=True)
    ear.on_heard(CaptureEnded("t1", "cap", 1.0, 60.0, 0))

    assert ear.on_told(message, ready=True) is None
    assert ear.on_told(StopTake("unknown"), ready=True) is None


def test_a_hang_of_a_warm_ear_is_found_within_seconds() -> None:
    assert to_recognise(warm(), 0.0) == SHORTEST_S
    assert to_recognise(warm(), 4.0) <= SHORTEST_S + 2.0


@pytest.mark.parametrize("ear", [deadlines(), warm(took_s=0.1, model="small")], ids=["new", "another model"])
def test_a_model_that_has_to_be_loaded_has_its_time(ear: EarDeadlines) -> None:
    assert to_recognise(ear, 1.0) > LOADED_S


def test_a_fresh_ear_has_to_load_its_model_again() -> None:
    ear = warm()
    ear.on_lost()

    assert to_recognise(ear, 1.0) > LOADED_S


def test_what_was_known_before_the_release_says_nothing_about_the_pace() -> None:
    ear = deadlines()
    ear.on_told(StartTake("t0"), ready=True)
    ear.on_heard(READY)
    ear.on_heard(recognised("t0", 4.0, 0.0, speculated=True))

    assert to_recognise(ear, 4.0) > LOADED_S


def test_a_large_model_on_a_slow_machine_is_no_hang() -> None:
    assert to_recognise(warm(took_s=20.0, duration_s=5.0), 5.0) > 2 * 20.0


def test_takes_before_it_are_recognised_first() -> None:
    ear = warm()
    alone = to_recognise(ear, 4.0)
    ear.on_told(StartTake("t2"), ready=True)
    second = ear.on_heard(CaptureEnded("t2", "released", 1.0, 4.0, 0))

    assert second == Deadline("t2", 2 * alone)


def test_a_kept_take_is_given_time_by_its_length() -> None:
    deadline = deadlines().on_told(TranscribeFile("t1", "/x.wav"), ready=False)

    assert deadline is not None
    assert deadline.seconds is not None
    assert deadline.seconds > STARTED_S + LOADED_S


def test_a_recogniser_elsewhere_may_be_away_and_the_local_model_has_to_be_loaded() -> None:
    assert to_recognise(deadlines(remote=True), 5.0) > LOADED_S + 5.0


@given(st.lists(st.tuples(SECONDS, SECONDS)), SECONDS)
def test_it_is_never_shorter_than_it_takes_to_answer_at_all(
    takes: list[tuple[float, float]], length: float
) -> None:
    ear = warm()
    for number, (duration_s, took_s) in enumerate(takes):
        ear.on_told(StartTake(f"u{number}"), ready=True)
        ear.on_heard(recognised(f"u{number}", duration_s, took_s))

    assert to_recognise(ear, length) >= SHORTEST_S
