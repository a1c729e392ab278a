"""Who recognises: omniid as its ear does, and stock faster-whisper as its documentation shows it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import faster_whisper
import numpy as np

from omniid.audio.frames import BLOCK_BYTES, BLOCK_S
from omniid.recognition.models import ModelChoice
from omniid.recognition.recognizer import Wishes
from omniid.workers.channel import ConfigureEar, TakeRecognised
from omniid.workers.hearing import Hearing
from omniid.workers.model_loader import ModelLoader, ModelSettings


@dataclass(frozen=True)
class Heard:
    """What came of a take. `wait_s`: from the release (for a file, the start) to the text."""

    text: str
    wait_s: float
    confidence: float = 0.0
    was_foreseen: bool = False


class Omniid:
    def __init__(self, choice: ModelChoice) -> None:
        self._config = ConfigureEar(model=str(choice.path))
        self._loader = ModelLoader(ModelSettings.of(self._config))
        self._loader.start()
        self.recognizer = self._loader.get()

    def hear_file(self, pcm: bytes) -> Heard:
        """All at once, with nothing known before the release."""
        began = time.perf_counter()
        hearing = Hearing("", self._loader, self._config)
        hearing.add(pcm)
        return self._finish(hearing, began)

    def hear_live(self, pcm: bytes) -> Heard:
        """At a microphone's pace, with partials, released at the last sample."""
        hearing = Hearing("", self._loader, self._config, on_partial=lambda _text: None)
        began = time.perf_counter()
        for index, start in enumerate(range(0, len(pcm), BLOCK_BYTES), start=1):
            time.sleep(max(0.0, began + index * BLOCK_S - time.perf_counter()))
            hearing.add(pcm[start : start + BLOCK_BYTES])
        return self._finish(hearing, time.perf_counter())

    def whole_text(self, pcm: bytes) -> str:
        """What the recogniser hears when nothing is cut off at either end."""
        return self.recognizer.recognise(pcm, Wishes(), lambda: False).text

    def _finish(self, hearing: Hearing, began: float) -> Heard:
        ending = hearing.finish(is_real=False, is_cancelled=lambda: False)
        wait_s = time.perf_counter() - began
        hearing.close()
        if isinstance(ending, TakeRecognised):
            return Heard(ending.text, wait_s, ending.confidence, ending.speculated)
        return Heard("", wait_s)


class Stock:
    """Every default but the compute type, which `compute_type` may name."""

    def __init__(self, choice: ModelChoice, compute_type: str) -> None:
        self._model: Any = faster_whisper.WhisperModel(str(choice.path), compute_type=compute_type)

    def hear_file(self, pcm: bytes) -> Heard:
        began = time.perf_counter()
        segments, _ = self._model.transcribe(np.frombuffer(pcm, "<i2").astype(np.float32) / 32_768)
        text = "".join(segment.text for segment in segments).strip()
        return Heard(text, time.perf_counter() - began)
