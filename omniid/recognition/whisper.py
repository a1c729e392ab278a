"""Whisper through faster-whisper, and the silero voice detector that comes with it.

Imports numpy, CTranslate2 and onnxruntime: some 100 MB and a second. Import this module only to recognise.
"""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Callable
from typing import Any, Protocol

import ctranslate2
import faster_whisper
import numpy as np
from faster_whisper.vad import get_vad_model

from omniid.errors import RecognitionError
from omniid.recognition.models import ModelChoice
from omniid.recognition.recognizer import NOTHING, Recognition, Wishes

_log = logging.getLogger(__name__)

WINDOW_SAMPLES = 512
BEAM_SIZE = 5  # a fifth slower than 1 here, and it hears "ill-disposed" where 1 hears "old-exposed"
# One retry, warmer: it ends a loop of repeated words. The default six hold a command up for seconds.
TEMPERATURES = (0.0, 0.4)
MAX_CPU_THREADS = 4
# On silence the model writes "You", says itself that nobody spoke, and is half sure of both.
NO_SPEECH_PROBABILITY = 0.6
CERTAIN_NO_SPEECH = 0.9
UNSURE_LOGPROB = -0.7
MAX_COMPRESSION_RATIO = 2.4


class Segment(Protocol):
    """What faster-whisper says about a stretch of sound."""

    text: str
    tokens: list[int]
    avg_logprob: float
    no_speech_prob: float
    compression_ratio: float


class WhisperRecognizer:
    """One loaded model. Not for use by two threads at a time.

    Raises:
        RecognitionError: the model cannot be loaded (`model_unusable`).
    """

    def __init__(self, choice: ModelChoice, *, device: str, compute_type: str) -> None:
        began = time.monotonic()
        self.model_name = choice.name
        self._model = _load(choice, device, compute_type)
        self._detector = get_vad_model()
        self.load_s = time.monotonic() - began

    def speech_probabilities(self, pcm: bytes) -> list[float]:
        samples = _samples(pcm)
        if not samples.size:
            return []
        padded = np.pad(samples, (0, -samples.size % WINDOW_SAMPLES))
        return [float(value) for value in self._detector(padded).ravel()]

    def recognise(self, pcm: bytes, wishes: Wishes, is_cancelled: Callable[[], bool]) -> Recognition:
        try:
            found, info = self._model.transcribe(
                _samples(pcm),
                language=wishes.language if self._model.model.is_multilingual else "en",
                beam_size=BEAM_SIZE,
                temperature=TEMPERATURES,
                condition_on_previous_text=False,
                compression_ratio_threshold=MAX_COMPRESSION_RATIO,
                hotwords=", ".join(wishes.vocabulary) or None,
            )
            kept = []
            for segment in found:
                if is_cancelled():
                    return NOTHING
                if is_credible(segment):
                    kept.append(segment)
        except (RuntimeError, ValueError) as error:  # CTranslate2's, and faster-whisper's for a bad language
            raise RecognitionError(f"The recogniser failed: {error}.") from error
        return join(kept, str(info.language))


def is_credible(segment: Segment) -> bool:
    """Whether somebody may have said this."""
    if segment.compression_ratio > MAX_COMPRESSION_RATIO:
        return False  # it repeats itself
    limit = NO_SPEECH_PROBABILITY if segment.avg_logprob < UNSURE_LOGPROB else CERTAIN_NO_SPEECH
    return segment.no_speech_prob <= limit


def join(segments: list[Any], language: str) -> Recognition:
    """The segments as one text; its confidence is the mean over all their tokens."""
    tokens = sum(len(segment.tokens) for segment in segments)
    if not tokens:
        return NOTHING
    logprob = sum(segment.avg_logprob * len(segment.tokens) for segment in segments) / tokens
    text = " ".join(segment.text.strip() for segment in segments)
    return Recognition(text=text.strip(), confidence=min(1.0, math.exp(logprob)), language=language)


def _samples(pcm: bytes) -> Any:
    """Int16 as floats from -1 to 1."""
    return np.frombuffer(pcm, dtype="<i2").astype(np.float32) / 32768.0


def _load(choice: ModelChoice, device: str, compute_type: str) -> Any:
    """The model on the wanted device. "auto" takes a GPU where CTranslate2 can use one."""
    chosen = _device(device)
    try:
        return _load_on(choice, chosen, compute_type)
    except (RuntimeError, ValueError, OSError) as error:
        if device != "auto" or chosen == "cpu":
            raise RecognitionError(
                f"The model {choice.name} in {choice.path} cannot be loaded on {chosen}: {error}. "
                "Check recognition.device and recognition.compute_type, or download the model again.",
                code="model_unusable",
            ) from error
        _log.warning("the model cannot be loaded on %s, taking the CPU: %s", chosen, error)
    return _load(choice, "cpu", "auto")


def _load_on(choice: ModelChoice, device: str, compute_type: str) -> Any:
    wanted = compute_type if compute_type != "auto" else "int8" if device == "cpu" else "float16"
    model = faster_whisper.WhisperModel(
        str(choice.path),
        device=device,
        compute_type=wanted,
        cpu_threads=_cpu_threads(),
        local_files_only=True,
    )
    _log.info(
        "model %s (%s) on %s as %s", choice.name, choice.origin, model.model.device, model.model.compute_type
    )
    return model


def _device(wanted: str) -> str:
    if wanted != "auto":
        return wanted
    return "cuda" if ctranslate2.get_cuda_device_count() > 0 else "cpu"


def _cpu_threads() -> int:
    """As many as this process may use; beyond four a short take only gets slower."""
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(usable, MAX_CPU_THREADS)
