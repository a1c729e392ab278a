"""One take from its start to the one message that ends it."""

from __future__ import annotations

import abc
import logging
import queue
import threading
import time
from collections.abc import Callable

from omniid.audio.capture import Capture, Cause, NeverStarted
from omniid.audio.files import read_take
from omniid.audio.frames import Source
from omniid.errors import AudioError, OmniidError
from omniid.workers.channel import (
    CaptureEnded,
    CaptureOpened,
    ConfigureEar,
    InputFileEnded,
    Message,
    TakeEmpty,
    TakeFailed,
    TakeRecognised,
)
from omniid.workers.hearing import hear, reason_unheard
from omniid.workers.model_loader import ModelLoader

_log = logging.getLogger(__name__)

Ending = TakeRecognised | TakeEmpty | TakeFailed

READ_S = 0.05
CLOSE_S = 1.0


class Take(abc.ABC):
    """Runs on a thread of its own and ends with exactly one message, whatever happens.

    `hangs` is true once it is over when the sound system did not let go of the microphone.
    """

    def __init__(
        self, take_id: str, config: ConfigureEar, loader: ModelLoader, send: Callable[[Message], None]
    ) -> None:
        self.take_id = take_id
        self.hangs = False
        self._config = config
        self._loader = loader
        self._send = send
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        self._is_over = False
        self._began_load = False

    @property
    def is_over(self) -> bool:
        return self._is_over

    @property
    def has_microphone(self) -> bool:
        """Whether the microphone is this take's, so that no other can begin."""
        return False

    def start(self, after: Callable[[Take], None]) -> None:
        """Begin; `after` is called on the take's thread when it has ended."""
        self._began_load = self._loader.start()
        threading.Thread(target=self._run, args=(after,), name="take", daemon=True).start()

    def release(self) -> None:
        """The user has said it all. A file has said it all from the start."""
        _log.debug("a file needs no release")

    def cancel(self) -> None:
        """The user does not want it."""
        self._cancelled.set()
        self._end(TakeEmpty(self.take_id, "cancelled"))

    @abc.abstractmethod
    def _sound(self) -> tuple[bytes, bool]:
        """The take's sound, and whether a real microphone gave it.

        Raises:
            AudioError: there is none.
        """

    def _run(self, after: Callable[[Take], None]) -> None:
        try:
            self._end(self._outcome())
        except OmniidError as error:
            self._end(TakeFailed(self.take_id, error.code, error.message))
        except Exception as error:  # noqa: BLE001 - a take that raised anything still has to end
            _log.exception("the take failed unexpectedly")
            self._end(
                TakeFailed(self.take_id, "failed", f"The take failed unexpectedly: {error}. Try again.")
            )
        finally:
            after(self)

    def _outcome(self) -> Ending:
        pcm, is_real = self._sound()
        if self._cancelled.is_set():
            return TakeEmpty(self.take_id, "cancelled")
        reason = reason_unheard(pcm, min_take_ms=self._config.min_take_ms, is_real=is_real)
        if reason is not None:
            return TakeEmpty(self.take_id, reason)
        recognizer = self._loader.get()
        with self._loader.turn:
            return hear(
                self.take_id,
                pcm,
                recognizer,
                self._config,
                model_load_s=recognizer.load_s if self._began_load else 0.0,
                is_cancelled=self._cancelled.is_set,
            )

    def _end(self, message: Ending) -> None:
        """The first ending is the one."""
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
        self._send(message)


class FileTake(Take):
    """A whole sound file as one take."""

    def __init__(
        self,
        take_id: str,
        config: ConfigureEar,
        loader: ModelLoader,
        send: Callable[[Message], None],
        *,
        path: str,
    ) -> None:
        super().__init__(take_id, config, loader, send)
        self._path = path

    def _sound(self) -> tuple[bytes, bool]:
        return read_take(self._path, self._config.max_take_s), False


class LiveTake(Take):
    """A take from a microphone, or from the file that stands in for it."""

    def __init__(
        self,
        take_id: str,
        config: ConfigureEar,
        loader: ModelLoader,
        send: Callable[[Message], None],
        *,
        source: Source,
    ) -> None:
        super().__init__(take_id, config, loader, send)
        self._source = source
        self._asked: queue.SimpleQueue[tuple[Cause, float]] = queue.SimpleQueue()
        self._is_capturing = True
        self._told_file_end = False

    @property
    def has_microphone(self) -> bool:
        with self._lock:
            return self._is_capturing and not self._is_over

    def release(self) -> None:
        self._asked.put((Cause.RELEASED, time.monotonic()))

    def cancel(self) -> None:
        """While the microphone is open it is closed first; a recognition that runs is let run for nobody."""
        with self._lock:
            self._cancelled.set()
            if self._is_capturing:
                self._asked.put((Cause.CANCELLED, time.monotonic()))
                return
        super().cancel()

    def _sound(self) -> tuple[bytes, bool]:
        opened_at = time.monotonic()
        capture = Capture(opened_at=opened_at, max_take_s=self._config.max_take_s)
        try:
            self._source.open()
            cause = self._listen(capture)
        finally:
            self.hangs = not self._source.close(CLOSE_S)
        if isinstance(cause, NeverStarted):
            raise AudioError(
                f"The microphone ({self._source.device}) gives no sound: check that it is connected and "
                "switched on, or choose another with audio.input_device; `omniid doctor` names them.",
                code="no_microphone",
            )
        # One step under the lock: who hears of the end can start the next take, and no ending overtakes it.
        with self._lock:
            self._tell_end(cause, capture)
            self._is_capturing = False
        if cause is Cause.RELEASED and capture.first_sample_at is None:
            self._blame_slow_start(time.monotonic() - opened_at)
        return bytes(capture.pcm), self._source.is_real

    def _listen(self, capture: Capture) -> Cause | NeverStarted:
        """Take blocks in until the capture is over."""
        while True:
            block = self._source.read(READ_S)
            now = time.monotonic()
            if block is not None:
                if capture.first_sample_at is None:
                    self._send(CaptureOpened(self.take_id, self._source.device, block.first_sample_at))
                capture.add(block, now)
            if self._source.file_ended and not self._told_file_end:
                self._told_file_end = True
                self._send(InputFileEnded(self.take_id))
            while not self._asked.empty():
                capture.ask(*self._asked.get())
            cause = capture.verdict(now, is_ahead=self._source.is_ahead)
            if cause is not None:
                return cause

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
