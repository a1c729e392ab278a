"""What each effect for the ear becomes on its channel."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.core import SilentEar, ear_performer

from omniid.ear_performer import EarEffect
from omniid.effects import (
    CancelCapture,
    Cue,
    LatchCapture,
    RecogniseAgain,
    ShutMicrophone,
    StartCapture,
    StopCapture,
)
from omniid.errors import WorkerError
from omniid.workers.channel import (
    CancelTake,
    KeepMicrophoneShut,
    LatchTake,
    PlayCue,
    StartTake,
    StopTake,
    TakeFailed,
    ToEar,
    TranscribeFile,
)


@pytest.mark.parametrize(
    ("effect", "message"),
    [
        (StartCapture("t1", "de", "base", ends_by_silence=True), StartTake("t1", "de", "base", True)),
        (LatchCapture("t1"), LatchTake("t1")),
        (StopCapture("t1"), StopTake("t1")),
        (CancelCapture("t1"), CancelTake("t1")),
        (Cue("error"), PlayCue("error")),
        (ShutMicrophone(shut=True), KeepMicrophoneShut(shut=True)),
    ],
)
def test_an_effect_is_a_message_to_the_ear(tmp_path: Path, effect: EarEffect, message: ToEar) -> None:
    ear = SilentEar()

    assert ear_performer(ear, tmp_path).perform(effect) == []
    assert ear.heard == [message]


def test_a_take_that_was_kept_is_recognised_again_from_its_file(tmp_path: Path) -> None:
    ear, path = SilentEar(), tmp_path / "t1.wav"
    path.write_bytes(b"sound")

    assert ear_performer(ear, tmp_path).perform(RecogniseAgain("t1", "de")) == []
    assert ear.heard == [TranscribeFile("t1", str(path), "de")]


def test_a_take_of_which_nothing_was_kept_is_lost_and_that_is_said(tmp_path: Path) -> None:
    (failed,) = ear_performer(SilentEar(), tmp_path).perform(RecogniseAgain("t1"))

    assert isinstance(failed, TakeFailed)
    assert failed.code == "take_lost"


def test_the_wish_for_a_shut_microphone_is_remembered(tmp_path: Path) -> None:
    performer = ear_performer(SilentEar(), tmp_path)

    performer.perform(ShutMicrophone(shut=True))
    assert (tmp_path / "shut").exists()
    performer.perform(ShutMicrophone(shut=False))
    assert not (tmp_path / "shut").exists()


class FullEar(SilentEar):
    def send(self, message: ToEar) -> None:
        raise WorkerError(f"{type(message).__name__} is one too many.")


def test_an_ear_that_takes_no_more_ends_the_take(tmp_path: Path) -> None:
    (failed,) = ear_performer(FullEar(), tmp_path).perform(StartCapture("t1"))

    assert isinstance(failed, TakeFailed)
