"""The daemon's children: how each is configured, which deadlines its work has, and what becomes an event."""

from __future__ import annotations

import dataclasses
import sys
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import structlog

from omniid.config import Settings
from omniid.events import EarEvent, Event, WorkerFailed, WorkerStood
from omniid.workers.channel import (
    MOUTH_LOST,
    ConfigureEar,
    ConfigureMouth,
    KeepMicrophoneShut,
    Message,
    Say,
    SpeechFailed,
    SpeechFinished,
    SpeechStarted,
    StopSpeaking,
    ToEar,
    ToMouth,
    VoiceNoted,
    WorkerReady,
)
from omniid.workers.lifecycle import Supervised
from omniid.workers.patience import Deadline, EarDeadlines
from omniid.workers.supervisor import FD, Service, ServiceReady, Worker, WorkerLost, worker_command

log = structlog.get_logger()

Post = Callable[[Event], None]
_Name = Literal["ear", "mouth", "backend"]

SOUNDING_WITHIN_S = 30.0
MOUTH_QUIET_S = 60.0


class EarPort:
    """The ear, with a deadline on each thing asked of it: one that hangs is killed and replaced."""

    def __init__(self, settings: Settings, takes_folder: Path, post: Post) -> None:
        self._post = post
        self._deadlines = EarDeadlines(
            settings.audio.max_take_s + settings.audio.preroll_ms / 1000,
            _size,
            remote=settings.recognition.engine == "wyoming",
        )
        self._shut = False
        self.worker = Worker(
            "the ear",
            worker_command("ear"),
            configure=lambda: dataclasses.replace(ear_config(settings, takes_folder), shut=self._shut),
            on_message=self._on_message,
            log=_logger("ear"),
        )

    def send(self, message: ToEar) -> None:
        if isinstance(message, KeepMicrophoneShut):
            self._shut = message.shut
            if self.worker.state != "ready":
                return  # a fresh ear is told with its configuration
        self.worker.send(message)
        self._expect(self._deadlines.on_told(message, ready=self.worker.state == "ready"))

    def replace(self) -> None:
        self.worker.replace()

    def _on_message(self, report: Message | WorkerLost) -> None:
        match report:
            case WorkerLost(message=message):
                self._deadlines.on_lost()
                self._post(WorkerFailed("ear", message))
            case WorkerReady(pid=pid):
                self._post(WorkerStood("ear", pid))
            case _:
                self._expect(self._deadlines.on_heard(report))
                if isinstance(report, get_args(EarEvent)):
                    self._post(report)

    def _expect(self, deadline: Deadline | None) -> None:
        match deadline:
            case Deadline(take_id=take_id, seconds=None):
                self.worker.done(take_id)
            case Deadline(take_id=take_id, seconds=seconds):
                self.worker.expect(take_id, seconds)
            case None:
                pass


class MouthPort:
    """The mouth. It speaks one utterance after the other, so only the first of them has a deadline."""

    def __init__(self, settings: Settings, post: Post) -> None:
        self._post = post
        self._line: deque[str] = deque()
        self.worker = Worker(
            "the mouth",
            worker_command("mouth"),
            configure=lambda: _mouth_config(settings),
            on_message=self._on_message,
            log=_logger("mouth"),
            quiet_s=MOUTH_QUIET_S,
        )

    def wake(self) -> None:
        """A reply will have to be spoken soon."""
        self.worker.wake()

    def send(self, message: ToMouth) -> None:
        if isinstance(message, StopSpeaking) and not self._line:
            return  # it is silent already, and need not be started for that
        self.worker.send(message)
        if isinstance(message, Say):
            self._line.append(message.utterance_id)
            if len(self._line) == 1:
                self.worker.expect(message.utterance_id, SOUNDING_WITHIN_S)

    def _on_message(self, report: Message | WorkerLost) -> None:
        match report:
            case SpeechStarted(utterance_id=utterance_id):
                self.worker.expect(utterance_id, None)
                self._post(report)
            case SpeechFinished(utterance_id=utterance_id) | SpeechFailed(utterance_id=utterance_id):
                self._next(utterance_id)
                self._post(report)
            case VoiceNoted():
                self._post(report)
            case WorkerReady(pid=pid):
                self._post(WorkerStood("mouth", pid))
            case WorkerLost(message=message):
                lost, self._line = self._line, deque()
                for utterance_id in lost:
                    self._post(SpeechFailed(utterance_id, MOUTH_LOST, message))
                self._post(WorkerFailed("mouth", message))
            case _:
                pass

    def _next(self, utterance_id: str) -> None:
        self.worker.done(utterance_id)
        if utterance_id in self._line:
            self._line.remove(utterance_id)
        if self._line:
            self.worker.expect(self._line[0], SOUNDING_WITHIN_S)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the children find and leave things."""

    backend_socket: Path
    backend_data: Path
    takes: Path


class Children:
    """All of them; the mouth and the backend only where the settings want them."""

    def __init__(
        self,
        settings: Settings,
        places: Places,
        post: Post,
        wake_link: Callable[[], None],
    ) -> None:
        self.ear = EarPort(settings, places.takes, post)
        self.mouth = None if settings.speech.engine == "none" else MouthPort(settings, post)
        self._backend: Service | None = None
        if settings.route != "remote":
            self._backend = _backend(places.backend_socket, places.backend_data, post, wake_link)

    def by_name(self) -> dict[str, Supervised]:
        children: dict[str, Supervised] = {"ear": self.ear.worker}
        if self.mouth is not None:
            children["mouth"] = self.mouth.worker
        if self._backend is not None:
            children["backend"] = self._backend
        return children


def _backend(socket: Path, data: Path, post: Post, wake_link: Callable[[], None]) -> Service:
    def on_change(change: ServiceReady | WorkerLost) -> None:
        if isinstance(change, WorkerLost):
            post(WorkerFailed("backend", change.message))
        else:
            post(WorkerStood("backend", int(change.said["pid"])))
            wake_link()

    command = [sys.executable, "-P", "-m", "omniid.backend", "--parent-fd", FD]
    command += ["--socket", str(socket), "--data-dir", str(data)]
    return Service("the embedded backend", command, on_change=on_change, log=_logger("backend"))


def _logger(child: _Name) -> Callable[[str, str], None]:
    return lambda stream, line: log.debug("child says", child=child, stream=stream, line=line)


def ear_config(settings: Settings, takes_folder: Path | None = None) -> ConfigureEar:
    """What an ear is told first. Without a folder for takes nothing is kept of them."""
    audio, recognition = settings.audio, settings.recognition
    return ConfigureEar(
        input_device=audio.input_device,
        input_file=None if audio.input_file is None else str(audio.input_file),
        input_pace=float(audio.input_pace),
        output_device=audio.output_device,
        cues=audio.cues,
        preroll_ms=audio.preroll_ms,
        end_silence_ms=audio.end_silence_ms,
        min_take_ms=audio.min_take_ms,
        max_take_s=audio.max_take_s,
        takes_folder=None if takes_folder is None else str(takes_folder),
        engine=recognition.engine,
        uri=recognition.uri,
        model=recognition.model,
        device=recognition.device,
        compute_type=recognition.compute_type,
        language=recognition.language,
        languages=list(recognition.languages),
        vocabulary=list(recognition.vocabulary),
        keep_model=recognition.keep_model,
        partials=recognition.partials,
        accept=recognition.accept,
        reject=recognition.reject,
    )


def _size(path: str) -> int:
    try:
        return Path(path).stat().st_size
    except OSError:
        return 0  # the ear will say what is wrong with it


def _mouth_config(settings: Settings) -> ConfigureMouth:
    audio, speech = settings.audio, settings.speech
    return ConfigureMouth(
        engine=speech.engine,
        voice=speech.voice,
        rate=speech.rate,
        volume=speech.volume,
        output_device=audio.output_device,
        output_file=None if audio.output_file is None else str(audio.output_file),
    )
