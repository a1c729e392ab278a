from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniid.audio.segmenter import WINDOW_SAMPLES, SegmenterRules, speech_range

W = WINDOW_SAMPLES
NO_PADDING = SegmenterRules(pad_samples=0)


@pytest.mark.parametrize(
    ("case", "probabilities", "expected"),
    [
        ("nothing", [], None),
        ("silence", [0.0] * 20, None),
        ("almost speech", [0.49] * 20, None),
        ("a click of two windows", [0, 0, 0.9, 0.9, 0, 0], None),
        ("one word", [0, 0.9, 0.9, 0.9, 0], (1, 4, 3)),
        ("wavering above the offset is one run", [0.9, 0.4, 0.4, 0.9, 0], (0, 4, 4)),
        ("a weak start does not begin a run", [0.4, 0.4, 0.9, 0.9, 0.9, 0.1], (2, 5, 3)),
        ("a pause is inside the range and is no speech", [0.9] * 3 + [0] * 10 + [0.9] * 4, (0, 17, 7)),
        ("a click after the words does not stretch the range", [0.9] * 4 + [0] * 9 + [0.9] + [0], (0, 4, 4)),
        ("speech to the very end", [0, 0.9, 0.9, 0.9], (1, 4, 3)),
    ],
)
def test_the_range_holds_what_is_spoken(
    case: str, probabilities: list[float], expected: tuple[int, int, int] | None
) -> None:
    found = speech_range(probabilities, len(probabilities) * W, NO_PADDING)
    if expected is None:
        assert found is None, case
        return
    assert found is not None, case
    assert (found.start, found.end, found.speech_samples) == tuple(part * W for part in expected), case


def test_the_padding_stays_inside_the_take() -> None:
    found = speech_range([0.9] * 4, 4 * W - 100, SegmenterRules(pad_samples=10_000))
    assert found is not None
    assert (found.start, found.end) == (0, 4 * W - 100)
    assert found.speech_samples <= 4 * W - 100


def test_soft_sounds_before_and_after_are_kept() -> None:
    found = speech_range([0.0] * 20 + [0.9] * 5 + [0.0] * 20, 45 * W, SegmenterRules(pad_samples=1000))
    assert found is not None
    assert (found.start, found.end) == (20 * W - 1000, 25 * W + 1000)


@given(st.lists(st.floats(0, 1), max_size=80), st.integers(0, W - 1))
def test_a_range_is_always_within_the_take(probabilities: list[float], missing: int) -> None:
    total = max(0, len(probabilities) * W - missing)
    found = speech_range(probabilities, total)
    if found is not None:
        assert 0 <= found.start < found.end <= total
        assert 0 < found.speech_samples <= total
