from __future__ import annotations

import pytest

from omniid.audio.capture import DRAIN_S, FIRST_BLOCK_S, LOST_AFTER_S, Capture, Cause, NeverStarted
from omniid.audio.frames import BLOCK_S, SILENT_BLOCK, Block, duration_s, is_all_zero


def filled(blocks: int, *, max_take_s: float = 60.0) -> tuple[Capture, float]:
    """A capture that opened at 0 and has heard so many blocks; and the time now."""
    capture = Capture(opened_at=0.0, max_take_s=max_take_s)
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
    assert capture.verdict(now + 0.03) is None
    capture.add(Block(SILENT_BLOCK, now), now + 0.04)
    assert capture.verdict(now + 0.04) is None
    capture.add(Block(SILENT_BLOCK, now + BLOCK_S), now + 0.06)
    assert capture.verdict(now + 0.06) is Cause.RELEASED


def test_a_release_does_not_wait_for_ever() -> None:
    capture, now = filled(10)
    capture.ask(Cause.RELEASED, now + 0.5)
    assert capture.verdict(now + 0.5 + DRAIN_S) is Cause.RELEASED


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


def test_frames_tell_length_and_silence() -> None:
    assert duration_s(SILENT_BLOCK) == pytest.approx(BLOCK_S)
    assert is_all_zero(SILENT_BLOCK)
    assert not is_all_zero(SILENT_BLOCK[:-1] + b"\1")
