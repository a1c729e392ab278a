"""Carries out the effects that are for the ear, and keeps the shelf of takes."""

from __future__ import annotations

import contextlib
from typing import Protocol

from omniid.effects import (
    CancelCapture,
    Cue,
    LatchCapture,
    RecogniseAgain,
    ReplaceEar,
    ShutMicrophone,
    StartCapture,
    StopCapture,
)
from omniid.errors import ProtocolError, WorkerError
from omniid.events import Event
from omniid.flag import Flag
from omniid.takes import Takes
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

_LOST = "I lost what you said. Please say it again."

EarEffect = (
    StartCapture
    | LatchCapture
    | StopCapture
    | CancelCapture
    | RecogniseAgain
    | ReplaceEar
    | ShutMicrophone
    | Cue
)


class Ear(Protocol):
    def send(self, message: ToEar) -> None: ...
    def replace(self) -> None: ...


class EarPerformer:
    def __init__(self, ear: Ear, takes: Takes, shut: Flag) -> None:
        self.takes = takes
        self._ear = ear
        self._shut = shut

    def perform(self, effect: EarEffect) -> list[Event]:
        """Do it; what came of it.

        Raises:
            WorkerError, ProtocolError: the ear takes no more words.
        """
        match effect:
            case StartCapture(take_id, language, model, ends_by_silence):
                return self._begin(StartTake(take_id, language, model, ends_by_silence))
            case RecogniseAgain(take_id, language, model):
                path = self.takes.path(take_id)
                if path is None:
                    return [TakeFailed(take_id, "take_lost", _LOST)]
                return self._begin(TranscribeFile(take_id, str(path), language, model))
            case LatchCapture(take_id=take_id):
                self._ear.send(LatchTake(take_id))
            case StopCapture(take_id=take_id):
                self._ear.send(StopTake(take_id))
            case CancelCapture(take_id=take_id):
                self._ear.send(CancelTake(take_id))
            case ReplaceEar():
                self._ear.replace()
            case ShutMicrophone(shut=shut):
                self._shut.set(shut)
                self._ear.send(KeepMicrophoneShut(shut))
            case Cue(cue=cue):
                self._ear.send(PlayCue(cue))
        return []

    def at_once(self, message: StopTake | KeepMicrophoneShut) -> None:
        """Past the queue of events: a microphone closes when the user wants it, whatever else is slow.

        The event that follows says the same again, which does no harm, so a failure here may be passed over.
        """
        with contextlib.suppress(WorkerError, ProtocolError):
            self._ear.send(message)

    def _begin(self, message: StartTake | TranscribeFile) -> list[Event]:
        try:
            self._ear.send(message)
        except WorkerError as error:
            return [TakeFailed(message.take_id, error.code, error.message)]
        return []
