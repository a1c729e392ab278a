from __future__ import annotations

import numpy as np
import pytest

from omniid.audio.convert import Converter


@pytest.mark.parametrize(("rate", "channels"), [(48_000, 1), (44_100, 2), (8_000, 1)])
def test_a_devices_own_form_becomes_16_khz_mono(rate: int, channels: int) -> None:
    moments = np.arange(rate * 2) / rate
    tone = (16_000 * np.sin(2 * np.pi * 440 * moments)).astype("<i2")
    sound = np.repeat(tone[:, None], channels, axis=1).tobytes()
    block = rate // 50 * channels * 2
    converter = Converter(rate, channels)
    pieces = [converter.convert(sound[start : start + block]) for start in range(0, len(sound), block)]
    heard = np.frombuffer(b"".join(pieces), "<i2").astype(float)
    assert len(heard) == pytest.approx(32_000, rel=0.05)
    strongest = np.argmax(np.abs(np.fft.rfft(heard))) * 16_000 / len(heard)
    assert strongest == pytest.approx(440, abs=2)
    # A click on a seam would be a jump far beyond what 440 Hz can do between two samples.
    middle = heard[2_000:-2_000]
    assert np.abs(np.diff(middle)).max() < 16_000 * 2 * np.pi * 440 / 16_000 * 1.1
