"""A take from the microphone, or from the file that stands in for it."""

from __future__ import annotations

import logging
import queue
import time
from dataclasses import replace

from omniid.audio.capture import QUIET, Capture, Cause, NeverStarted, Voice
from omniid.audio.frames import Block, Source
from omniid.audio.level import LevelMeter
from omniid.audio.take_file import TakeFile
from omniid.errors import AudioError
from omniid.workers.channel import (
    CaptureEnded,
    CaptureOpened,
    InputFileEnded,
    LevelHeard,
    StartTake,
    TakeEmpty,
    TakeFailed,
    TakePartial,
)
from omniid.workers.hearing import Hearing
from omniid.workers.take import Ending, Means, Take

_log = logging.getLogger(__name__)

READ_S = 0.05
MODEL_WAITS_S = 0.2  # for a microphone that is slow to start
CLOSE_S = 1.5  # a first opening may still be under way when a tap is over
CLOSE_STUCK_S = 0.1  # it has had its time


class LiveTake(Take):
    """The commands come from the channel's thread; all else happens on the take's own."""

    def __init__(self, asked: StartTake, means: Means, *, source: Source) -> None:
        super().__init__(asked.take_id, means, asked.language)
        self._source = source
        self._ends_by_silence = asked.ends_by_silence
        self._asked: queue.SimpleQueue[tuple[Cause | None, float]] = queue.SimpleQueue()
        self._file = TakeFile(means.config.takes_folder, asked.take_id)
        self._meter = LevelMeter()
        self._hearing: Hearing | None = None
        self._is_capturing = True
        self._told_file_end = False

    @property
    def has_microphone(self) -> bool:
        with self._lock:
            return self._is_capturing and not self._is_over

    def release(self) -> None:
        self._asked.put((Cause.RELEASED, time.monotonic()))

    def latch(self) -> None:
        self._asked.put((None, time.monotonic()))

    def cancel(self) -> None:
        """While the microphone is open it is closed first; a recognition that runs is let run for nobody."""
        with self._lock:
            self._cancelled.set()
            if self._is_capturing:
                self._asked.put((Cause.CANCELLED, time.monotonic()))
                return
        super().cancel()

    def _outcome(self) -> Ending:
        try:
            self._capture()
            if self._cancelled.is_set():
                return TakeEmpty(self.take_id, "cancelled")
            if self._hearing is None:
                return TakeEmpty(self.take_id, "too_short")
            return self._hearing.finish(is_real=self._source.is_real, is_cancelled=self._cancelled.is_set)
        finally:
            if self._hearing is not None:
                self._hearing.close()

    def _on_end(self, ending: Ending) -> None:
        match ending:
            case TakeEmpty(reason="cancelled"):
                self._file.forget()
                self._means.cue("nothing_heard")
            case TakeEmpty(reason=reason):
                self._means.cue("error" if reason == "dead_microphone" else "nothing_heard")
            case TakeFailed():
                self._means.cue("error")
            case _:
                pass

    def _tell_partial(self, text: str) -> None:
        if not self.is_over:
            self._send(TakePartial(self.take_id, text))

    def _capture(self) -> None:
        """From the opening of the microphone to its closing.

        Raises:
            AudioError: there was nothing to hear.
        """
        opened_at = time.monotonic()
        capture = Capture(
            opened_at=opened_at,
            max_take_s=self._config.max_take_s,
            end_silence_s=self._config.end_silence_ms / 1000,
            ends_by_silence=self._ends_by_silence,
        )
        cause: Cause | NeverStarted | None = None
        try:
            self._source.open()
            cause = self._listen(capture, opened_at)
            held_s = time.monotonic() - opened_at
        finally:
            self._file.complete()
            has_waited = isinstance(cause, NeverStarted) and self._source.is_stuck
            self.hangs = not self._source.close(CLOSE_STUCK_S if has_waited else CLOSE_S)
        has_hung = self.hangs and capture.first_sample_at is None and cause is Cause.RELEASED
        if isinstance(cause, NeverStarted) or has_hung:
            raise self._silent_device(hangs=has_waited or has_hung)
        # One step under the lock: who hears of the end can start the next take, and no ending overtakes it.
        with self._lock:
            self._tell_end(cause, capture)
            self._is_capturing = False
        if cause is Cause.RELEASED and capture.first_sample_at is None:
            self._blame_slow_start(held_s)

    def _listen(self, capture: Capture, opened_at: float) -> Cause | NeverStarted:
        """Take blocks in until the capture is over.

        The model begins to load at the first block: until then it would only be in the microphone's way.
        """
        while True:
            block = self._source.read(READ_S)
            now = time.monotonic()
            if block is not None:
                self._take_in(block, now, capture)
            elif self._hearing is None and now - opened_at > MODEL_WAITS_S:
                self._hearing = self._new_hearing(self._tell_partial)
            if self._source.file_ended and not self._told_file_end:
                self._told_file_end = True
                self._send(InputFileEnded(self.take_id))
            self._obey(capture)
            voice = self._voice()
            if self._source.file_ended:  # whatever was last said in it, nobody goes on speaking
                voice = replace(voice or QUIET, is_speaking=False)
            cause = capture.verdict(now, voice, is_ahead=self._source.is_ahead)
            if cause is not None:
                return cause

    def _take_in(self, block: Block, now: float, capture: Capture) -> None:
        if capture.first_sample_at is None:
            self._send(CaptureOpened(self.take_id, self._source.device, block.first_sample_at))
            self._means.cue("error" if self._source.is_muted else "listening")
        if self._hearing is None:
            self._hearing = self._new_hearing(self._tell_partial)
        kept = capture.add(block, now)
        self._hearing.add(kept)
        self._file.write(kept)
        level = self._meter.add(kept, now)
        if level is not None:
            self._send(LevelHeard(self.take_id, level))

    def _voice(self) -> Voice | None:
        """What the detector says; None while there is none."""
        hearing = self._hearing
        if hearing is None or hearing.is_speaking is None:
            return None
        return Voice(hearing.is_speaking, hearing.heard_speech, hearing.silence_s or 0.0)

    def _obey(self, capture: Capture) -> None:
        while not self._asked.empty():
            cause, asked_at = self._asked.get()
            if cause is None:
                capture.latch()
            else:
                capture.ask(cause, asked_at)

    def _silent_device(self, *, hangs: bool) -> AudioError:
        if hangs:
            return AudioError(
                "The sound system hangs and opens no microphone: restart it (systemctl --user restart "
                "pipewire pipewire-pulse, or pulseaudio -k), then try again.",
                code="sound_system_hangs",
            )
        return AudioError(
            f"The microphone ({self._source.device}) gives no sound: check that it is connected and "
            "switched on, or choose another with audio.input_device; `omniid devices` names them.",
            code="no_microphone",
        )

    def _blame_slow_start(self, held_s: float) -> None:
        """A key held for long enough, and the microphone was not there yet: that is no short take."""
        if held_s * 1000 >= self._config.min_take_ms:
            raise AudioError(
                f"The microphone ({self._source.device}) had not started yet when the take ended: "
                "hold the key until it is heard to listen, then speak.",
                code="microphone_not_ready",
            )

    def _tell_end(self, cause: Cause, capture: Capture) -> None:
        overflows = self._source.overflows
        _log.info("capture ended: %s, %.2f s, %d overflows", cause, capture.duration_s, overflows)
        self._send(CaptureEnded(self.take_id, str(cause), time.monotonic(), capture.duration_s, overflows))
        if cause is Cause.DEVICE_LOST:
            self._means.cue("error")
        elif cause is not Cause.CANCELLED and capture.duration_s * 1000 >= self._config.min_take_ms:
            self._means.cue("done")
