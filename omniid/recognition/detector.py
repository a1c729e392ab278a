"""The silero voice detector that comes with faster-whisper, as a stream.

Imports numpy and onnxruntime, some 50 ms; faster-whisper itself, which takes far longer, is not imported.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from omniid.errors import RecognitionError

WINDOW_SAMPLES = 512
_CONTEXT_SAMPLES = 64
_STATE_SHAPE = (1, 1, 128)
_FILE = "silero_vad_v6.onnx"


class VoiceDetector:
    """The loaded network. It keeps nothing between calls: any number of streams can share it.

    Raises:
        RecognitionError: it cannot be loaded (`detector_unusable`).
    """

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.inter_op_num_threads = options.intra_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 4
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(_path()), providers=["CPUExecutionProvider"], sess_options=options
            )
        except Exception as error:  # onnxruntime's errors have no common class
            raise RecognitionError(
                f"The voice detector cannot be loaded: {error}. Install omniid again.",
                code="detector_unusable",
            ) from error

    def stream(self) -> SpeechStream:
        """For one take."""
        return SpeechStream(self)

    def judge(self, windows: Any, hidden: Any, cell: Any) -> tuple[Any, Any, Any]:
        """Windows of 64 + 512 floats, and the state after the last: the probabilities and the new state."""
        found, hidden, cell = self._session.run(None, {"input": windows, "h": hidden, "c": cell})
        return found.ravel(), hidden, cell


class SpeechStream:
    """One sound, piece by piece. How it is cut into pieces makes no difference. One thread at a time."""

    def __init__(self, detector: VoiceDetector) -> None:
        self._detector = detector
        self._hidden = np.zeros(_STATE_SHAPE, np.float32)
        self._cell = np.zeros(_STATE_SHAPE, np.float32)
        self._context = np.zeros(_CONTEXT_SAMPLES, np.float32)
        self._rest = np.zeros(0, np.float32)

    def add(self, pcm: bytes | bytearray | memoryview) -> list[float]:
        """For each window of 512 samples that is now complete, how likely it is that somebody speaks."""
        samples = np.concatenate([self._rest, np.frombuffer(pcm, "<i2").astype(np.float32) / 32768.0])
        whole = samples.size // WINDOW_SAMPLES * WINDOW_SAMPLES
        self._rest = samples[whole:]
        return self._judge(samples[:whole])

    def end(self) -> list[float]:
        """The last window, filled up with silence; nothing when there is none."""
        if not self._rest.size:
            return []
        last = np.pad(self._rest, (0, WINDOW_SAMPLES - self._rest.size))
        self._rest = self._rest[:0]
        return self._judge(last)

    def _judge(self, samples: Any) -> list[float]:
        if not samples.size:
            return []
        windows = samples.reshape(-1, WINDOW_SAMPLES)
        before = np.concatenate([self._context[None], windows[:-1, -_CONTEXT_SAMPLES:]])
        self._context = windows[-1, -_CONTEXT_SAMPLES:].copy()
        found, self._hidden, self._cell = self._detector.judge(
            np.concatenate([before, windows], axis=1), self._hidden, self._cell
        )
        return [float(value) for value in found]


def _path() -> Path:
    package = importlib.util.find_spec("faster_whisper")
    if package is None or not package.submodule_search_locations:
        raise FileNotFoundError("faster-whisper is not installed")
    return Path(package.submodule_search_locations[0]) / "assets" / _FILE
