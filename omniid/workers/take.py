"""One take from its start to the one message that ends it."""

from __future__ import annotations

import abc
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from omniid.audio.files import read_take
from omniid.errors import OmniidError
from omniid.workers.channel import (
    ConfigureEar,
    Message,
    TakeEmpty,
    TakeFailed,
    TakeRecognised,
    TranscribeFile,
)
from omniid.workers.hearing import Hearing
from omniid.workers.model_loader import ModelLoader

_log = logging.getLogger(__name__)

Ending = TakeRecognised | TakeEmpty | TakeFailed


@dataclass(frozen=True, slots=True)
class Means:
    """What a take works with. `loader`: of the model that it wants. `cue` plays a short sound."""

    config: ConfigureEar
    loader: ModelLoader
    send: Callable[[Message], None]
    cue: Callable[[str], None]


class Take(abc.ABC):
    """Runs on a thread of its own and ends with exactly one message, whatever happens.

    `hangs` is true once it is over when the sound system did not come back from a call.
    """

    def __init__(self, take_id: str, means: Means, language: str | None) -> None:
        self.take_id = take_id
        self.hangs = False
        self._language = language
        self._means = means
        self._config = means.config
        self._send = means.send
        self._cancelled = threading.Event()
        self._lock = threading.Lock()
        self._is_over = False

    @property
    def is_over(self) -> bool:
        return self._is_over

    @property
    def has_microphone(self) -> bool:
        """Whether the microphone is this take's, so that no other can begin."""
        return False

    def start(self, after: Callable[[Take], None]) -> None:
        """Begin; `after` is called on the take's thread when it has ended."""
        threading.Thread(target=self._run, args=(after,), name="take", daemon=True).start()

    def release(self) -> None:
        """The user has said it all. A file has said it all from the start."""
        _log.debug("a file needs no release")

    def latch(self) -> None:
        """No key is held any more, and the take goes on. A file has no key."""
        _log.debug("a file has no key")

    def cancel(self) -> None:
        """The user does not want it."""
        self._cancelled.set()
        self._end(TakeEmpty(self.take_id, "cancelled"))

    @abc.abstractmethod
    def _outcome(self) -> Ending:
        """What comes of it.

        Raises:
            OmniidError: nothing can.
        """

    def _new_hearing(self, on_partial: Callable[[str], None] | None = None) -> Hearing:
        """What understands the sound. The model begins to load now."""
        means = self._means
        return Hearing(
            self.take_id, means.loader, means.config, language=self._language, on_partial=on_partial
        )

    def _on_end(self, ending: Ending) -> None:
        """It is over, and the daemon is about to hear of it."""
        _log.debug("take %s is over: %s", self.take_id, type(ending).__name__)

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

    def _end(self, message: Ending) -> None:
        """The first ending is the one."""
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
        self._on_end(message)
        self._send(message)


class FileTake(Take):
    """A whole sound file as one take."""

    def __init__(self, asked: TranscribeFile, means: Means) -> None:
        super().__init__(asked.take_id, means, asked.language)
        self._path = asked.path

    def _outcome(self) -> Ending:
        pcm = read_take(self._path, self._config.max_take_s)
        hearing = self._new_hearing()
        try:
            hearing.add(pcm)
            return hearing.finish(is_real=False, is_cancelled=self._cancelled.is_set)
        finally:
            hearing.close()
