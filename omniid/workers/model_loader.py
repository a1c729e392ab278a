"""Loads the recogniser on a thread of its own, while the user speaks, and keeps it."""

from __future__ import annotations

import logging
import threading
import time

from omniid.errors import OmniidError, RecognitionError
from omniid.recognition import models
from omniid.recognition.recognizer import Recognizer

_log = logging.getLogger(__name__)


class ModelLoader:
    """One model. A load that failed is tried again at the next `start`: the user may have mended it."""

    def __init__(self, model: str, device: str, compute_type: str) -> None:
        self.settings = (model, device, compute_type)
        self.turn = threading.Lock()  # a recogniser serves one take at a time
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._recognizer: Recognizer | None = None
        self._error: OmniidError | None = None

    def start(self) -> bool:
        """Begin to load, unless it is loaded or being loaded. True when this call began it."""
        with self._lock:
            if self._recognizer is not None or (self._thread is not None and self._thread.is_alive()):
                return False
            self._error = None
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

    def _load(self) -> None:
        model, device, compute_type = self.settings
        began = time.monotonic()
        try:
            choice = models.find(model)
            from omniid.recognition.whisper import WhisperRecognizer  # noqa: PLC0415 - 100 MB, and only for a take

            self._recognizer = WhisperRecognizer(choice, device=device, compute_type=compute_type)
        except OmniidError as error:
            self._error = error
        except Exception as error:  # noqa: BLE001 - a broken native library raises anything; the take must hear of it
            _log.exception("the recogniser does not load")
            self._error = RecognitionError(f"The recogniser does not load: {error}. Install omniid again.")
        else:
            _log.info("recogniser ready after %.2f s", time.monotonic() - began)
