from __future__ import annotations

import numpy as np
import pytest

from omniid.audio import cues


def sound(cue: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    return np.frombuffer(cues.samples(cue), "<i2").astype(float)


@pytest.mark.parametrize("cue", cues.CUES)
def test_a_cue_is_short_quiet_and_has_no_clicks(cue: str) -> None:
    heard = sound(cue)
    assert 0.05 < len(heard) / cues.RATE < 0.2
    assert 0.05 * 32_767 < np.abs(heard).max() < 0.2 * 32_767
    assert heard[0] == heard[-1] == 0
    loudest, highest_hz = np.abs(heard).max(), max(tone.hz for tone in cues.CUES[cue])
    assert np.abs(np.diff(heard)).max() < loudest * 2 * np.pi * highest_hz / cues.RATE * 1.2


def test_the_cue_that_says_i_listen_is_over_before_anybody_speaks() -> None:
    assert len(sound("listening")) / cues.RATE <= 0.08


def test_no_two_cues_are_alike() -> None:
    assert len({cues.samples(cue) for cue in cues.CUES}) == len(cues.CUES) == 6


def test_a_tone_has_its_pitch() -> None:
    heard = sound("nothing_heard")
    strongest = np.argmax(np.abs(np.fft.rfft(heard, cues.RATE)))
    assert strongest == pytest.approx(330, abs=5)
