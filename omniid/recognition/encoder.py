"""Whisper's encoder on the sound there is, and not on thirty seconds of which most is padding.

Whisper was trained on windows of thirty seconds. An encoder given only the speech and a second of silence
costs a tenth, but then the decoder finds no end and says the same words over and over. What it looks for is
the encoder's picture of the silence behind the words; and that is much the same behind all words. So it is
taken once, from behind a made-up voice in a full window, and a piece of it is put behind each short encode.
"""

from __future__ import annotations

from typing import Any

import ctranslate2
import numpy as np

RATE = 16_000
FRAMES_PER_S = 100
WINDOW_FRAMES = 3_000
WINDOW_POSITIONS = WINDOW_FRAMES // 2
PAD_S = 1.0  # with less the last word suffers
LONG_PAD_S = 4.0  # a second look: it hears some of what the first did not, and costs little more
SILENCE_POSITIONS = 150  # three seconds; with 50 it loops now and then, more only costs time
_VOICE_S = 2.0
_VOWELS_HZ = ((700, 1200, 2500), (300, 2300, 3000), (500, 900, 2400), (400, 1900, 2600))


class Encoder:
    """Of one loaded model. `model` is CTranslate2's, `extractor` faster-whisper's for it."""

    def __init__(self, model: Any, extractor: Any) -> None:
        self._model = model
        self._extractor = extractor
        self._silence = self._picture_of_silence()

    def encode(self, samples: Any, pad_s: float = PAD_S) -> Any:
        """A sound of up to thirty seconds, as floats from -1 to 1, for the decoder: quickly."""
        features = self._features(np.pad(samples, (0, int(pad_s * RATE))))
        picture = _as_numbers(self._encode(features))
        room = WINDOW_POSITIONS - picture.shape[1]
        if room <= 0:
            return ctranslate2.StorageView.from_array(picture)
        return _as_storage(
            np.concatenate([picture, self._silence[:, : min(room, SILENCE_POSITIONS)]], axis=1)
        )

    def encode_fully(self, samples: Any) -> Any:
        """The same in a window of thirty seconds, as Whisper was trained: slowly."""
        features = self._features(samples)
        return self._encode(np.pad(features, ((0, 0), (0, WINDOW_FRAMES - features.shape[1]))))

    def _features(self, samples: Any) -> Any:
        """The log-mel frames, an even number: the encoder takes two for a position."""
        features = self._extractor(samples)[:, :WINDOW_FRAMES]
        return features[:, : features.shape[1] // 2 * 2]

    def _encode(self, features: Any) -> Any:
        return self._model.encode(_as_storage(features[None]), to_cpu=True)

    def _picture_of_silence(self) -> Any:
        sound = np.pad(_voice(), (0, 30 * RATE))[: 30 * RATE]
        behind = int((_VOICE_S + PAD_S) * FRAMES_PER_S / 2)
        picture = _as_numbers(self._encode(self._features(sound)))
        return picture[:, behind : behind + SILENCE_POSITIONS].copy()


def _voice() -> Any:
    """Like somebody who sings four vowels a second: overtones of a wavering pitch, shaped by formants."""
    moments = np.arange(int(_VOICE_S * RATE)) / RATE
    phase = 2 * np.pi * np.cumsum(120 * (1 + 0.1 * np.sin(2 * np.pi * 2.1 * moments))) / RATE
    vowel = (moments * 4).astype(int) % len(_VOWELS_HZ)
    sound = np.zeros(moments.size)
    for overtone in range(1, 40):
        loud = [sum(1 / (1 + ((120 * overtone - peak) / 90) ** 2) for peak in peaks) for peaks in _VOWELS_HZ]
        sound += np.array(loud)[vowel] * np.sin(overtone * phase)
    syllables = np.sqrt(np.sin(np.pi * (moments * 4 % 1)))
    return (0.3 * sound / np.abs(sound).max() * syllables).astype(np.float32)


def _as_storage(numbers: Any) -> Any:
    return ctranslate2.StorageView.from_array(np.ascontiguousarray(numbers, dtype=np.float32))


def _as_numbers(storage: Any) -> Any:
    return np.array(storage.to(ctranslate2.DataType.float32))
