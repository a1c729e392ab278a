"""Loads the recogniser on a thread of its own, while the user speaks, and keeps it.

The voice detector comes first: it is light, and the end of speech must be known before the model is there.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from omniid.errors import OmniidError, RecognitionError
from omniid.recognition import models
from omniid.recognition.recognizer import Recognizer
from omniid.workers.channel import ConfigureEar, ModelReady, RecogniserNoted

if TYPE_CHECKING:
    from omniid.recognition.detector import SpeechStream, VoiceDetector

_log = logging.getLogger(__name__)


class ModelSettings(NamedTuple):
    """What makes one recogniser another. `uri`: where a recogniser of engine "wyoming" is."""

    engine: str
    uri: str | None
    model: str
    device: str
    compute_type: str

    @classmethod
    def of(cls, config: ConfigureEar, model: str | None = None) -> ModelSettings:
        """The configured ones, with the model that a take wishes for."""
        return cls(config.engine, config.uri, model or config.model, config.device, config.compute_type)


class ModelLoader:
    """One recogniser. A load that failed is tried again at the next `start`: the user may have mended it.

    `tell` is called on the thread that loads, or that recognises when a recogniser elsewhere goes or comes
    back. `turn` is held while the recogniser works: it serves one take at a time.
    """

    def __init__(
        self, settings: ModelSettings, tell: Callable[[ModelReady | RecogniserNoted], None] = lambda _: None
    ) -> None:
        self.settings = settings
        self.turn = threading.Lock()
        self._tell = tell
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._has_detector = threading.Event()  # or has failed to load it
        self._detector: VoiceDetector | None = None
        self._recognizer: Recognizer | None = None
        self._error: OmniidError | None = None

    @property
    def is_loaded(self) -> bool:
        return self._recognizer is not None

    def start(self) -> bool:
        """Begin to load, unless it is loaded or being loaded. True when this call began it."""
        with self._lock:
            if self._recognizer is not None or (self._thread is not None and self._thread.is_alive()):
                return False
            self._error = None
            self._has_detector.clear()
            self._thread = threading.Thread(target=self._load, name="model", daemon=True)
            self._thread.start()
            return True

    def get(self) -> Recognizer:
        """The loaded recogniser; waits for it.

        Raises:
            RecognitionError: there is no model, or it cannot be loaded.
        """
        if self._thread is not None:
            self._thread.join()
        if self._recognizer is None:
            raise self._error or RecognitionError("The model was never asked to load.")
        return self._recognizer

    def speech_stream(self) -> SpeechStream | None:
        """The voice detector's ear for one take; None while it is not loaded."""
        return None if self._detector is None else self._detector.stream()

    def wait_for_speech_stream(self) -> SpeechStream:
        """The same; waits for it.

        Raises:
            RecognitionError: the voice detector cannot be loaded.
        """
        self._has_detector.wait()
        if self._detector is None:
            raise self._error or RecognitionError("The voice detector was never asked to load.")
        return self._detector.stream()

    def _load(self) -> None:
        began = time.monotonic()
        try:
            self._load_detector()
            recognizer = self._load_recognizer()
        except OmniidError as error:
            self._error = error
        except Exception as error:  # noqa: BLE001 - a broken native library raises anything; the take must hear of it
            _log.exception("the recogniser does not load")
            self._error = RecognitionError(f"The recogniser does not load: {error}. Install omniid again.")
        else:
            self._recognizer = recognizer
            _log.info("recogniser ready after %.2f s", time.monotonic() - began)
            self._tell(_ready(recognizer))
        finally:
            self._has_detector.set()

    def _load_detector(self) -> None:
        if self._detector is None:
            from omniid.recognition.detector import VoiceDetector  # noqa: PLC0415 - numpy, and only for a take

            self._detector = VoiceDetector()
        self._has_detector.set()

    def _load_recognizer(self) -> Recognizer:
        if self.settings.engine != "wyoming":
            return self._load_local()
        from omniid.recognition.with_fallback import RemoteWithFallback  # noqa: PLC0415 - only for who uses it
        from omniid.recognition.wyoming import WyomingRecognizer  # noqa: PLC0415

        uri = self.settings.uri or ""
        return RemoteWithFallback(
            lambda: WyomingRecognizer(uri), self._load_local, lambda note: self._tell(RecogniserNoted(note))
        )

    def _load_local(self) -> Recognizer:
        choice = models.find(self.settings.model)
        from omniid.recognition.whisper import WhisperRecognizer  # noqa: PLC0415 - 100 MB, and only for a take

        return WhisperRecognizer(choice, device=self.settings.device, compute_type=self.settings.compute_type)


def _ready(recognizer: Recognizer) -> ModelReady:
    return ModelReady(
        recognizer.model_name, recognizer.device, recognizer.compute_type, recognizer.load_s, recognizer.note
    )
