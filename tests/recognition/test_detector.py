from __future__ import annotations

import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.ear import GO_FORWARD

from omniid.recognition.detector import VoiceDetector

pytestmark = pytest.mark.skipif(
    not GO_FORWARD.exists(), reason="the recordings are not here (pocketsphinx-testdata)"
)


@pytest.fixture(scope="module")
def detector() -> VoiceDetector:
    return VoiceDetector()


@pytest.fixture(scope="module")
def whole(detector: VoiceDetector) -> list[float]:
    stream = detector.stream()
    return [*stream.add(GO_FORWARD.read_bytes()), *stream.end()]


def test_speech_is_likely_where_somebody_speaks(whole: list[float]) -> None:
    assert len(whole) == -(-len(GO_FORWARD.read_bytes()) // 1024)
    assert max(whole[:10]) < 0.3
    assert min(whole[25:35]) > 0.7
    assert max(whole[-10:]) < 0.3


@pytest.mark.parametrize("bytes_", [640, 2, 1024, 3_000])
def test_blocks_of_any_size_say_the_same(detector: VoiceDetector, whole: list[float], bytes_: int) -> None:
    pcm, stream, found = GO_FORWARD.read_bytes(), detector.stream(), list[float]()
    for start in range(0, len(pcm), bytes_):
        found += stream.add(pcm[start : start + bytes_])
    assert [*found, *stream.end()] == pytest.approx(whole, abs=1e-4)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 40_000), max_size=5))
def test_how_the_sound_is_cut_makes_no_difference(
    detector: VoiceDetector, whole: list[float], cuts: list[int]
) -> None:
    pcm, stream, found = GO_FORWARD.read_bytes(), detector.stream(), list[float]()
    places = [0, *sorted(2 * cut for cut in cuts), len(pcm)]
    for start, end in pairwise(places):
        found += stream.add(pcm[start:end])
    assert [*found, *stream.end()] == pytest.approx(whole, abs=1e-4)


def test_two_takes_do_not_disturb_each_other(detector: VoiceDetector, whole: list[float]) -> None:
    pcm = GO_FORWARD.read_bytes()
    noise = np.random.default_rng(1).normal(0, 3_000, 16_000).astype("<i2").tobytes()
    stream, other, found = detector.stream(), detector.stream(), list[float]()
    for start in range(0, len(pcm), 5_120):
        found += stream.add(pcm[start : start + 5_120])
        other.add(noise)
    assert [*found, *stream.end()] == pytest.approx(whole, abs=1e-4)


def test_nothing_and_an_odd_end() -> None:
    stream = VoiceDetector().stream()
    assert stream.add(b"") == []
    assert stream.end() == []
    assert stream.add(bytes(1022)) == []
    assert len(stream.end()) == 1
    assert stream.end() == []


def test_it_needs_no_recogniser() -> None:
    """It is there long before the model because it does not import what the model needs."""
    code = (
        "import sys; from omniid.recognition.detector import VoiceDetector; VoiceDetector();"
        "sys.exit(bool({'faster_whisper', 'ctranslate2', 'av'} & set(sys.modules)))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
