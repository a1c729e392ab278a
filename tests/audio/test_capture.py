from __future__ import annotations

import pytest

from omniid.audio.capture import (
    DRAIN_S,
    FIRST_BLOCK_S,
    LOST_AFTER_S,
    NOBODY_SPOKE_S,
    QUIET,
    TAIL_S,
    UNKNOWN_TAIL_S,
    Capture,
    Cause,
    NeverStarted,
    Voice,
)
from omniid.audio.frames import BLOCK_S, SILENT_BLOCK, Block, duration_s, is_all_zero

SPEAKING = Voice(is_speaking=True, has_spoken=True, silence_s=0.0)


def silent_for(seconds: float) -> Voice:
    return Voice(is_speaking=False, has_spoken=True, silence_s=seconds)


def filled(blocks: int, *, max_take_s: float = 60.0, ends_by_silence: bool = False) -> tuple[Capture, float]:
    """A capture that opened at 0 and has heard so many blocks; and the time now."""
    capture = Capture(opened_at=0.0, max_take_s=max_take_s, ends_by_silence=ends_by_silence)
    for index in range(blocks):
        capture.add(Block(SILENT_BLOCK, index * BLOCK_S), (index + 1) * BLOCK_S)
    return capture, blocks * BLOCK_S


def test_it_goes_on_while_blocks_come() -> None:
    capture, now = filled(100)
    assert capture.verdict(now) is None
    assert capture.duration_s == pytest.approx(2.0)


def test_a_slow_microphone_is_waited_for() -> None:
    capture = Capture(opened_at=10.0, max_take_s=60)
    assert capture.verdict(10.0 + FIRST_BLOCK_S) is None
    assert capture.verdict(10.0 + FIRST_BLOCK_S + 0.01) == NeverStarted()


def test_missing_blocks_are_a_lost_device() -> None:
    capture, now = filled(10)
    assert capture.verdict(now + LOST_AFTER_S) is None
    assert capture.verdict(now + LOST_AFTER_S + 0.01) is Cause.DEVICE_LOST


def test_a_release_waits_for_what_was_said_before_it() -> None:
    capture, now = filled(10)
    capture.ask(Cause.RELEASED, now + 0.03)
    assert capture.verdict(now + 0.03, QUIET) is None
    capture.add(Block(SILENT_BLOCK, now), now + 0.04)
    assert capture.verdict(now + 0.04, QUIET) is None
    capture.add(Block(SILENT_BLOCK, now + BLOCK_S), now + 0.06)
    assert capture.verdict(now + 0.06, QUIET) is Cause.RELEASED


def test_a_release_does_not_wait_for_ever() -> None:
    capture, now = filled(10)
    capture.ask(Cause.RELEASED, now + 0.5)
    assert capture.verdict(now + 0.5 + DRAIN_S, QUIET) is Cause.RELEASED


def test_a_release_before_the_first_block_ends_at_once() -> None:
    capture = Capture(opened_at=0.0, max_take_s=60)
    capture.ask(Cause.RELEASED, 0.01)
    assert capture.verdict(0.01) is Cause.RELEASED


def test_a_source_that_is_ahead_is_read_to_its_end_after_the_release() -> None:
    capture, now = filled(10)
    capture.ask(Cause.RELEASED, now)
    assert capture.verdict(now + 5.0, is_ahead=True) is not Cause.RELEASED
    capture, now = filled(10)
    capture.ask(Cause.RELEASED, now)
    assert capture.verdict(now + 0.5, is_ahead=True) is None
    assert capture.verdict(now + 0.5, is_ahead=False) is Cause.RELEASED


def tail_s(capture: Capture, released_at: float, voices: list[Voice | None]) -> float:
    """How long a capture goes on after the release; `voices` says what the detector finds, block by block."""
    capture.ask(Cause.RELEASED, released_at)
    start = capture.duration_s
    for index, voice in enumerate(voices):
        now = start + (index + 1) * BLOCK_S
        capture.add(Block(SILENT_BLOCK, now - BLOCK_S), now)
        cause = capture.verdict(now, voice)
        if cause is not None:
            assert cause is Cause.RELEASED
            return now - released_at
    raise AssertionError("it never ended")


@pytest.mark.parametrize(
    ("voices", "seconds"),
    [
        pytest.param([QUIET] * 99, BLOCK_S, id="nobody speaks: at once"),
        pytest.param([SPEAKING] * 99, TAIL_S, id="somebody speaks on and on: for so long"),
        pytest.param([SPEAKING] * 7 + [silent_for(0.02)] * 9, 8 * BLOCK_S, id="the last word is finished"),
        pytest.param([None] * 99, UNKNOWN_TAIL_S, id="nobody can tell: a middle way"),
        pytest.param([None, None, *[QUIET] * 9], 3 * BLOCK_S, id="the detector comes just then"),
        pytest.param([None, None, *[SPEAKING] * 99], TAIL_S, id="it comes, and hears a word"),
    ],
)
def test_the_last_word_is_not_cut_off(voices: list[Voice | None], seconds: float) -> None:
    capture, now = filled(50)
    assert tail_s(capture, now, voices) == pytest.approx(seconds, abs=BLOCK_S / 2)


def test_a_device_that_stops_after_the_release_does_not_hold_the_take() -> None:
    capture, now = filled(50)
    capture.ask(Cause.RELEASED, now)
    assert capture.verdict(now + TAIL_S + DRAIN_S - 0.01, SPEAKING) is None
    assert capture.verdict(now + TAIL_S + DRAIN_S, SPEAKING) is Cause.RELEASED


@pytest.mark.parametrize(
    ("voice", "blocks", "expected"),
    [
        (silent_for(1.19), 200, None),
        (silent_for(1.2), 200, Cause.SILENCE),
        (SPEAKING, 2_000, None),
        (QUIET, round(NOBODY_SPOKE_S / BLOCK_S) - 1, None),
        (QUIET, round(NOBODY_SPOKE_S / BLOCK_S), Cause.SILENCE),
        (None, 2_000, None),
    ],
)
def test_silence_ends_a_take_without_a_held_key(
    voice: Voice | None, blocks: int, expected: Cause | None
) -> None:
    capture, now = filled(blocks, ends_by_silence=True)
    assert capture.verdict(now, voice) is expected
    held, now = filled(blocks)
    assert held.verdict(now, voice) is None


def test_a_latched_take_ends_by_silence_from_then_on() -> None:
    capture, now = filled(300)
    assert capture.verdict(now, silent_for(3.0)) is None
    capture.latch()
    assert capture.verdict(now, silent_for(3.0)) is Cause.SILENCE
    assert capture.verdict(now, QUIET) is None
    for index in range(round(NOBODY_SPOKE_S / BLOCK_S)):
        capture.latch()  # said again: means nothing
        now += BLOCK_S
        capture.add(Block(SILENT_BLOCK, index * BLOCK_S), now)
    assert capture.verdict(now, QUIET) is Cause.SILENCE


def test_a_file_is_read_to_its_end_before_its_silence_counts() -> None:
    capture, now = filled(500, ends_by_silence=True)
    assert capture.verdict(now, silent_for(5.0), is_ahead=True) is None


def test_a_cancellation_overrules_a_release_and_never_waits() -> None:
    capture, now = filled(10)
    capture.ask(Cause.RELEASED, now)
    capture.ask(Cause.CANCELLED, now)
    capture.ask(Cause.RELEASED, now)
    assert capture.verdict(now) is Cause.CANCELLED


def test_the_cap_keeps_not_a_sample_more() -> None:
    capture, now = filled(60, max_take_s=1.005)
    assert capture.verdict(now) is Cause.CAP
    assert len(capture.pcm) == 16_080 * 2


def test_what_is_kept_of_a_block_is_told() -> None:
    capture = Capture(opened_at=0.0, max_take_s=0.03)
    kept = [capture.add(Block(SILENT_BLOCK, 0.0), 0.0) for _ in range(3)]
    assert [len(pcm) for pcm in kept] == [640, 320, 0]


def test_frames_tell_length_and_silence() -> None:
    assert duration_s(SILENT_BLOCK) == pytest.approx(BLOCK_S)
    assert is_all_zero(SILENT_BLOCK)
    assert not is_all_zero(SILENT_BLOCK[:-1] + b"\1")
