"""Where in a take somebody speaks: a speech probability per window in, a range of samples out.

Pure: time is counted samples, and the voice detector that judges the windows is somebody else's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from omniid.audio.frames import RATE

WINDOW_SAMPLES = 512


@dataclass(frozen=True, slots=True)
class SpeechRange:
    """The part of a take that is worth recognising: samples `start` up to, not including, `end`."""

    start: int
    end: int
    speech_samples: int

    @property
    def speech_s(self) -> float:
        """How long somebody really spoke: without the padding and without pauses."""
        return self.speech_samples / RATE


@dataclass(frozen=True, slots=True)
class SegmenterRules:
    """`onset` starts a run of speech, falling below `offset` ends it: a probability that wavers is one run.

    A run shorter than `min_run_windows` is a click. The padding keeps soft first and last sounds.
    """

    onset: float = 0.5
    offset: float = 0.35
    min_run_windows: int = 3
    pad_samples: int = RATE * 3 // 10


DEFAULT_RULES = SegmenterRules()


def speech_range(
    probabilities: Sequence[float], total_samples: int, rules: SegmenterRules = DEFAULT_RULES
) -> SpeechRange | None:
    """The range from the first spoken run to the last, padded; None when nobody spoke.

    `probabilities` has one value, 0 to 1, for each window of 512 samples; the last window may be partial.
    """
    runs = [run for run in _runs(probabilities, rules) if run[1] - run[0] >= rules.min_run_windows]
    if not runs:
        return None
    first, last = runs[0][0] * WINDOW_SAMPLES, runs[-1][1] * WINDOW_SAMPLES
    spoken = sum(end - start for start, end in runs) * WINDOW_SAMPLES
    return SpeechRange(
        start=max(0, first - rules.pad_samples),
        end=min(total_samples, last + rules.pad_samples),
        speech_samples=min(spoken, total_samples),
    )


def _runs(probabilities: Sequence[float], rules: SegmenterRules) -> list[tuple[int, int]]:
    """Runs of speech as (first window, window after the last)."""
    runs: list[tuple[int, int]] = []
    start: int | None = None
    for index, probability in enumerate(probabilities):
        if start is None and probability >= rules.onset:
            start = index
        elif start is not None and probability < rules.offset:
            runs.append((start, index))
            start = None
    if start is not None:
        runs.append((start, len(probabilities)))
    return runs
