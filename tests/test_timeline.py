"""Where the time went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import pytest
from support.reports import RECOGNISED, opened

from omniid.events import (
    CommandProgressed,
    CommandQueued,
    CommandSettled,
    CommandWritten,
    KeyPressed,
    KeyReleased,
    Manner,
    SpeechQueued,
)
from omniid.protocol.chat import Reply
from omniid.timeline import Timelines
from omniid.workers.channel import CaptureEnded, SpeechStarted

SETTLED = CommandSettled("c1", Reply("done", "Sent.", 95))


def spoken() -> Timelines:
    timelines = Timelines()
    timelines.observe(KeyPressed("key", "t1"), 100.0)
    timelines.observe(opened("t1", 100.05), 100.1)
    timelines.observe(CaptureEnded("t1", "released", 102.0, 1.95, 0), 102.1)
    timelines.observe(RECOGNISED, 102.4)
    timelines.observe(CommandQueued("c1", "voice", "Hi", "t1"), 102.41)
    return timelines


def test_a_spoken_command_is_timed_from_the_key_to_the_first_sound() -> None:
    timelines = spoken()
    timelines.observe(CommandWritten("c1", "{}"), 102.42)
    timelines.observe(CommandProgressed("c1", "thinking", None), 102.5)
    timelines.observe(SETTLED, 103.0)
    timelines.observe(SpeechQueued("u1", "c1"), 103.0)
    timelines.observe(SpeechStarted("u1", 103.2, "speaker"), 103.3)

    assert timelines.of("c1") == {
        "pressed": 0,
        "first_sample": 50,
        "released": 2_000,
        "recognised": 2_400,
        "committed": 2_410,
        "written": 2_420,
        "first_frame": 2_500,
        "settled": 3_000,
        "first_sound": 3_200,
    }


def test_a_typed_command_starts_when_it_is_committed() -> None:
    timelines = Timelines()
    timelines.observe(CommandQueued("c1", "text", "Hi"), 50.0)
    timelines.observe(SETTLED, 50.25)

    assert timelines.of("c1") == {"committed": 0, "first_frame": 250, "settled": 250}


def test_a_command_sent_again_keeps_its_first_attempts_times() -> None:
    timelines = spoken()
    timelines.observe(CommandWritten("c1", "{}"), 102.42)
    timelines.observe(CommandWritten("c1", "{}"), 900.0)

    assert timelines.of("c1")["written"] == 2_420


def test_a_stage_is_told_once_with_the_marks_so_far() -> None:
    told: list[tuple[str, dict[str, float]]] = []

    def on_stage(stage: str, marks: Mapping[str, float]) -> None:
        told.append((stage, dict(marks)))

    timelines = Timelines(on_stage)
    timelines.observe(KeyPressed("key", "t1"), 100.0)
    timelines.observe(CommandQueued("c1", "voice", "Hi", "t1"), 102.0)
    timelines.observe(CommandWritten("c1", "{}"), 103.0)
    timelines.observe(CommandWritten("c1", "{}"), 900.0)

    assert told == [
        ("pressed", {"pressed": 100.0}),
        ("committed", {"pressed": 100.0, "committed": 102.0}),
        ("written", {"pressed": 100.0, "committed": 102.0, "written": 103.0}),
    ]


def test_a_held_key_is_released_when_the_finger_lets_go_and_not_when_the_capture_ends() -> None:
    timelines = Timelines()
    timelines.observe(KeyPressed("key", "t1"), 100.0)
    timelines.observe(KeyReleased("key"), 102.0)
    timelines.observe(CaptureEnded("t1", "released", 102.3, 2.3, 0), 102.3)

    assert timelines.of("t1") == {"pressed": 0, "released": 2_000}


@pytest.mark.parametrize("mode", ["toggle", "hybrid"])
def test_a_take_that_no_key_holds_is_released_when_the_capture_ends(
    mode: Literal["toggle", "hybrid"],
) -> None:
    timelines = Timelines()
    timelines.observe(KeyPressed("key", "t1", Manner(mode)), 100.0)
    timelines.observe(KeyReleased("key"), 100.1)
    timelines.observe(CaptureEnded("t1", "silence", 104.0, 4.0, 0), 104.0)

    assert timelines.of("t1") == {"pressed": 0, "released": 4_000}


def test_an_unknown_run_has_no_times() -> None:
    assert Timelines().of("c9") == {}


def test_only_the_latest_runs_are_kept() -> None:
    timelines = Timelines()
    for number in range(1_000):
        timelines.observe(CommandQueued(f"c{number}", "text", "Hi"), float(number))

    assert timelines.of("c0") == {}
    assert timelines.of("c999") == {"committed": 0}
    assert sum(1 for number in range(1_000) if timelines.of(f"c{number}")) <= 200
