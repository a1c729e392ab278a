"""One voice: says one utterance after the other, and stops the moment it is told to.

Two threads. One makes sound out of sentences, a sentence ahead of the other, which hands it to the player and
alone decides how each utterance ends: exactly one of `finished` and `failed` is called for each.

A voice that fails or hangs is given up for good, and the sentence is made by the fallback, if there is one.
A speaker that is away is stood in for by the spare one, if there is one, for as long as it is away.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from omniid.errors import AudioError, OmniidError, SpeechError
from omniid.speech.outlet import Outlet, Output
from omniid.speech.speakable import speakable
from omniid.speech.synthesizer import Sound, Synthesizer

BLOCK_S = 0.02
VOICE_HUNG_S = 10.0
MAX_WAITING = 100
_BYTES = 2
_T = TypeVar("_T")


class Listener(Protocol):
    """Told what becomes of an utterance, from the speaker's thread."""

    def started(self, utterance_id: str, first_sound_at: float, device: str) -> None: ...
    def finished(self, utterance_id: str, cause: str) -> None: ...
    def failed(self, utterance_id: str, error: OmniidError) -> None: ...
    def replaced(self, error: SpeechError) -> None:
        """The voice failed and another has taken over; told once."""

    def moved(self, error: AudioError | None) -> None:
        """The speaker is away and the spare one sounds; None: it is back. Told once each."""


@dataclass(frozen=True, slots=True, eq=False)
class _Utterance:
    utterance_id: str
    text: str
    in_history: bool
    stop: threading.Event = field(default_factory=threading.Event)
    stopped: Future[None] = field(default_factory=Future)


@dataclass(frozen=True, slots=True)
class _Job(Generic[_T]):
    """What a voice is asked to do, kept so that another voice can be asked for the same."""

    work: Callable[[Synthesizer], _T]
    outcome: Future[_T]


class _StoppedError(Exception):
    """The utterance has been stopped."""


class Speaker:
    """Say and stop may be called from any one thread; they return at once."""

    def __init__(
        self,
        voice: Synthesizer,
        output: Output,
        listener: Listener,
        *,
        fallback: Synthesizer | None = None,
        spare: Output | None = None,
    ) -> None:
        self._voice = voice
        self._fallback = fallback
        self._outlet = Outlet(output, spare, listener.moved)
        self._listener = listener
        self._waiting: queue.Queue[_Utterance | None] = queue.Queue()
        self._unfinished: dict[_Utterance, None] = {}
        self._lock = threading.Lock()
        self._making = ThreadPoolExecutor(1, thread_name_prefix="voice")
        self._speaking = threading.Thread(target=self._run, name="speaking", daemon=True)

    def start(self) -> None:
        """Load voice and player beforehand. What fails now is reported by the first utterance."""
        # One after the other: while the voice loads it may hide the sound server from itself.
        self._making.submit(self._voice.prepare).add_done_callback(lambda _: self._outlet.prepare())
        self._speaking.start()

    def say(self, utterance_id: str, text: str, *, in_history: bool = True) -> None:
        """`in_history`: what a long text says where it is cut; see `speakable`."""
        utterance = _Utterance(utterance_id, text, in_history)
        with self._lock:
            full = len(self._unfinished) >= MAX_WAITING
            if not full:
                self._unfinished[utterance] = None
        if full:
            error = SpeechError(
                f"{MAX_WAITING} utterances are waiting to be spoken.", code="speech_queue_full"
            )
            self._listener.failed(utterance_id, error)
        else:
            self._waiting.put(utterance)

    def stop(self) -> None:
        """Silence, and forget what was waiting."""
        with self._lock:
            for utterance in self._unfinished:
                if not utterance.stop.is_set():
                    utterance.stop.set()
                    utterance.stopped.set_result(None)

    def unfinished(self) -> list[str]:
        """The ids of what has neither been finished nor failed yet."""
        with self._lock:
            return [utterance.utterance_id for utterance in self._unfinished]

    def close(self) -> None:
        """End after what is waiting, and wait for that."""
        self._waiting.put(None)
        self._speaking.join()
        self._making.shutdown()

    def _run(self) -> None:
        while (utterance := self._waiting.get()) is not None:
            self._say_whole(utterance)

    def _say_whole(self, utterance: _Utterance) -> None:
        try:
            self._play(utterance)
        except OmniidError as error:
            failure = self._outlet.silence() or error
            self._forget(utterance)
            self._listener.failed(utterance.utterance_id, failure)
            return
        self._forget(utterance)
        self._listener.finished(utterance.utterance_id, "stopped" if utterance.stop.is_set() else "spoken")

    def _forget(self, utterance: _Utterance) -> None:
        with self._lock:
            del self._unfinished[utterance]

    def _play(self, utterance: _Utterance) -> None:
        rate, started = 0, False
        for sound in self._sounds(utterance):
            if rate and sound.rate != rate:  # another voice has taken over
                self._outlet.finish(utterance.stop)
            if sound.rate != rate:
                rate, device = sound.rate, self._outlet.open(sound.rate)
            for block in _blocks(sound):
                if utterance.stop.is_set():
                    break
                self._outlet.write(block, utterance.stop)
                if not started:
                    started = True
                    self._listener.started(utterance.utterance_id, time.monotonic(), device)
            if not utterance.stop.is_set():
                self._outlet.look()
        if utterance.stop.is_set():
            self._outlet.abort()
        elif rate:
            self._outlet.finish(utterance.stop)

    def _sounds(self, utterance: _Utterance) -> Iterator[Sound]:
        """The sentences' sounds, each made while the one before it is played; ends early at a stop."""
        try:
            language = self._outcome(self._ask(_language), utterance)
            sentences = deque(speakable(utterance.text, language, in_history=utterance.in_history))
            job = self._make_next(sentences)
            while job is not None:
                sound = self._outcome(job, utterance)
                job = self._make_next(sentences)
                yield sound
        except _StoppedError:
            return

    def _make_next(self, sentences: deque[str]) -> _Job[Sound] | None:
        if not sentences:
            return None
        sentence = sentences.popleft()
        return self._ask(lambda voice: voice.synthesize(sentence))

    def _ask(self, work: Callable[[Synthesizer], _T]) -> _Job[_T]:
        return _Job(work, self._making.submit(work, self._voice))

    def _outcome(self, job: _Job[_T], utterance: _Utterance) -> _T:
        try:
            return _wait(job, utterance)
        except SpeechError as error:
            if self._fallback is None:
                raise
            return self._replaced(job.work, error, self._fallback, utterance)

    def _replaced(
        self,
        work: Callable[[Synthesizer], _T],
        error: SpeechError,
        fallback: Synthesizer,
        utterance: _Utterance,
    ) -> _T:
        """The same work, done by the fallback. If that fails too, the first error is what is told."""
        if error.code == "voice_hung":
            self._making = ThreadPoolExecutor(1, thread_name_prefix="voice")
        self._voice, self._fallback = fallback, None
        try:
            made = _wait(self._ask(work), utterance)
        except SpeechError as second:
            raise (second if second.code == "voice_hung" else error) from second
        self._listener.replaced(error)
        return made


def _language(voice: Synthesizer) -> str | None:
    voice.prepare()
    return voice.language


def _wait(job: _Job[_T], utterance: _Utterance) -> _T:
    either: tuple[Future[Any], ...] = (job.outcome, utterance.stopped)
    wait(either, timeout=VOICE_HUNG_S, return_when=FIRST_COMPLETED)
    if utterance.stop.is_set():
        job.outcome.cancel()
        raise _StoppedError
    if not job.outcome.done():
        raise SpeechError("The voice engine hangs.", code="voice_hung")
    return job.outcome.result()


def _blocks(sound: Sound) -> Iterator[bytes]:
    """20 ms each, the last one filled up with silence: devices take whole blocks."""
    size = _BYTES * round(sound.rate * BLOCK_S)
    for at in range(0, len(sound.samples), size):
        yield sound.samples[at : at + size].ljust(size, b"\0")
