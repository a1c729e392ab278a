from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniid.audio.segmenter import WINDOW_SAMPLES, Run, Segmenter, SegmenterRules, Stretch

W = WINDOW_SAMPLES
SMALL = SegmenterRules(
    pad_samples=2 * W,
    pause_windows=6,
    min_stretch_windows=10,
    breath_windows=3,
    long_stretch_windows=20,
    max_stretch_windows=40,
)
NO_PADDING = SegmenterRules(pad_samples=0)
SPEECH, SILENCE = [0.9], [0.1]


def segmented(probabilities: list[float], rules: SegmenterRules = SMALL) -> Segmenter:
    segmenter = Segmenter(rules)
    segmenter.add(probabilities)
    return segmenter


def stretches(probabilities: list[float], rules: SegmenterRules = SMALL) -> list[Stretch]:
    return segmented(probabilities, rules).stretches(len(probabilities) * W)


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
        ("a pause is inside the stretch and is no speech", [0.9] * 3 + [0] * 10 + [0.9] * 4, (0, 17, 7)),
        ("a click after the words does not count", [0.9] * 4 + [0] * 9 + [0.9] + [0], (0, 4, 4)),
        ("speech to the very end", [0, 0.9, 0.9, 0.9], (1, 4, 3)),
    ],
)
def test_a_stretch_holds_what_is_spoken(
    case: str, probabilities: list[float], expected: tuple[int, int, int] | None
) -> None:
    found = stretches(probabilities, NO_PADDING)
    if expected is None:
        assert found == [], case
        return
    (stretch,) = found
    assert (stretch.start, stretch.end, stretch.speech_samples) == tuple(part * W for part in expected), case
    assert not stretch.is_over


def test_soft_sounds_before_and_after_are_kept_inside_the_take() -> None:
    rules = SegmenterRules(pad_samples=1000)
    (inside,) = stretches([0.0] * 20 + [0.9] * 5 + [0.0] * 20, rules)
    assert (inside.start, inside.end) == (20 * W - 1000, 25 * W + 1000)
    (edge,) = segmented([0.9] * 4, rules).stretches(4 * W - 100)
    assert (edge.start, edge.end) == (0, 4 * W - 100)


def test_it_knows_who_speaks_now() -> None:
    segmenter = Segmenter()
    seen = []
    for probability in [0.1, 0.9, 0.9, 0.9, 0.1, 0.1]:
        segmenter.add([probability])
        seen.append((segmenter.is_speaking, segmenter.has_speech, segmenter.silent_windows))
    assert seen == [
        (False, False, None),
        (False, False, None),
        (False, False, None),
        (True, True, 0),
        (False, True, 1),
        (False, True, 2),
    ]


def test_a_click_does_not_end_the_silence() -> None:
    segmenter = segmented([0.9] * 3 + [0.1] * 5 + [0.9] * 2)
    assert segmenter.silent_windows == 7
    segmenter.add([0.9])
    assert segmenter.silent_windows == 0


@pytest.mark.parametrize(
    ("case", "probabilities", "parts"),
    [
        ("a pause after little speech", SPEECH * 5 + SILENCE * 8 + SPEECH * 5, [(0, 18)]),
        ("a pause after much", SPEECH * 10 + SILENCE * 6 + SPEECH * 5, [(0, 10), (16, 21)]),
        ("a breath after much", SPEECH * 10 + SILENCE * 3 + SPEECH * 5, [(0, 18)]),
        ("a breath after very much", SPEECH * 20 + SILENCE * 3 + SPEECH * 5, [(0, 20), (23, 28)]),
        ("what would be too long", SPEECH * 19 + SILENCE * 2 + SPEECH * 25, [(0, 19), (21, 46)]),
        ("a word without end, where it is weakest", SPEECH * 33 + [0.4] + SPEECH * 20, [(0, 33), (33, 54)]),
        ("silence behind", SPEECH * 10 + SILENCE * 20, [(0, 10)]),
    ],
)
def test_where_long_speech_is_parted(
    case: str, probabilities: list[float], parts: list[tuple[int, int]]
) -> None:
    found = stretches(probabilities)
    assert [(part.runs[0].first, part.runs[-1].end) for part in found] == parts, case
    assert [part.is_over for part in found] == [True] * (len(found) - 1) + [False]


def test_the_padding_of_two_stretches_does_not_overlap() -> None:
    near, far = stretches(SPEECH * 20 + SILENCE * 3 + SPEECH * 5)
    assert near.end == far.start == (20 * W + 23 * W + 1) // 2
    long = stretches(SPEECH * 60)
    assert [one.end for one in long[:-1]] == [two.start for two in long[1:]]


PROBABILITIES = st.lists(
    st.tuples(st.sampled_from([0.05, 0.2, 0.4, 0.6, 0.95]), st.integers(1, 25)), max_size=25
).map(lambda parts: [value for value, times in parts for _ in range(times)])


@given(PROBABILITIES, st.data())
def test_how_the_sound_is_cut_makes_no_difference(probabilities: list[float], data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(probabilities)))
    again = data.draw(st.integers(cut, len(probabilities)))
    pieces = Segmenter(SMALL)
    for piece in (probabilities[:cut], probabilities[cut:again], probabilities[again:]):
        pieces.add(piece)
    total = len(probabilities) * W
    assert pieces.stretches(total) == stretches(probabilities)
    assert pieces.silent_windows == segmented(probabilities).silent_windows


@given(PROBABILITIES, st.integers(0, W - 1))
def test_stretches_lie_in_the_take_one_after_the_other(probabilities: list[float], missing: int) -> None:
    total = max(0, len(probabilities) * W - missing)
    found = segmented(probabilities).stretches(total)
    for stretch in found:
        assert 0 <= stretch.start < stretch.end <= total
        assert stretch.speech_samples > 0
        assert stretch.runs[-1].end - stretch.runs[0].first <= SMALL.max_stretch_windows
    assert all(one.end <= two.start for one, two in pairwise(found))
    runs = [run for stretch in found for run in stretch.runs]
    assert all(run.windows >= SMALL.min_run_windows for run in runs)
    assert all(one.end <= two.first for one, two in pairwise(runs))


@given(PROBABILITIES, PROBABILITIES)
def test_what_is_over_stays_as_it_is(first: list[float], more: list[float]) -> None:
    def over(probabilities: list[float]) -> list[tuple[tuple[Run, ...], int, int]]:
        return [(s.runs, s.start, s.end) for s in stretches(probabilities) if s.is_over]

    before = over(first)
    assert over(first + more)[: len(before)] == before
