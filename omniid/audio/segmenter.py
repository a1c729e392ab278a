"""Where in a take somebody speaks: a speech probability per window in, stretches of samples out.

Pure: time is counted samples, and the voice detector that judges the windows is somebody else's. What is
said about a take depends on its windows alone, not on how many of them came at a time; and what has been
said about its beginning stays true when more is added. So work on a stretch that is over is never lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from omniid.audio.frames import RATE

WINDOW_SAMPLES = 512
WINDOW_S = WINDOW_SAMPLES / RATE


@dataclass(frozen=True, slots=True)
class SegmenterRules:
    """`onset` starts a run of speech, falling below `offset` ends it: a probability that wavers is one run.

    A run shorter than `min_run_windows` is a click. The padding keeps soft first and last sounds.
    Stretches are parted at a pause of `pause_windows` once they have `min_stretch_windows`, at a
    `breath_windows` once they have `long_stretch_windows`, and in the middle of a word before they have more
    than `max_stretch_windows`, which is what a recogniser can take at once.
    """

    onset: float = 0.5
    offset: float = 0.35
    min_run_windows: int = 3
    pad_samples: int = RATE * 3 // 10
    pause_windows: int = 19  # 0.6 s
    min_stretch_windows: int = 125  # 4 s
    breath_windows: int = 6  # 0.2 s
    long_stretch_windows: int = 375  # 12 s
    max_stretch_windows: int = 840  # 27 s


DEFAULT_RULES = SegmenterRules()


@dataclass(frozen=True, slots=True)
class Run:
    """Speech without a pause: windows `first` up to, not including, `end`."""

    first: int
    end: int

    @property
    def windows(self) -> int:
        return self.end - self.first


@dataclass(frozen=True, slots=True)
class Stretch:
    """Speech to be recognised in one go: samples `start` up to, not including, `end`, padding included.

    Two stretches of a take with the same `runs` are the same speech. `is_over`: the next one has begun.
    """

    runs: tuple[Run, ...]
    start: int
    end: int
    is_over: bool

    @property
    def speech_samples(self) -> int:
        """How long somebody really spoke: without the padding and without pauses."""
        return sum(run.windows for run in self.runs) * WINDOW_SAMPLES


@dataclass
class Segmenter:
    """Follows one take, window by window."""

    rules: SegmenterRules = DEFAULT_RULES
    windows: int = 0
    _runs: list[Run] = field(default_factory=list)
    _first: int | None = None
    _weakest: tuple[float, int] = (2.0, 0)

    def add(self, probabilities: Iterable[float]) -> None:
        """For each next window of 512 samples, how likely it is that somebody speaks: 0 to 1."""
        for probability in probabilities:
            if self._first is None:
                if probability >= self.rules.onset:
                    self._begin(self.windows)
            elif probability < self.rules.offset:
                self._end(self.windows)
                self._first = None
            else:
                self._go_on(self._first, probability)
            self.windows += 1

    @property
    def is_speaking(self) -> bool:
        """Whether the newest window is speech and more than a click."""
        return self._first is not None and self._counts(Run(self._first, self.windows))

    @property
    def has_speech(self) -> bool:
        return bool(self._runs) or self.is_speaking

    @property
    def silent_windows(self) -> int | None:
        """How many windows ago the last speech ended; None when there was none."""
        if self.is_speaking:
            return 0
        return self.windows - self._runs[-1].end if self._runs else None

    @property
    def runs(self) -> tuple[Run, ...]:
        """All speech so far; the last run may still go on."""
        if self._first is not None and self.is_speaking:
            return (*self._runs, Run(self._first, self.windows))
        return tuple(self._runs)

    def stretches(self, total_samples: int) -> list[Stretch]:
        """The speech so far in a take with so many samples. Only the last stretch can still change."""
        groups = _parted(self.runs, self.rules)
        return [_stretch(groups, index, total_samples, self.rules) for index in range(len(groups))]

    def _counts(self, run: Run) -> bool:
        return run.windows >= self.rules.min_run_windows

    def _begin(self, window: int) -> None:
        self._first = window
        self._weakest = (2.0, window)

    def _go_on(self, first: int, probability: float) -> None:
        """A run that has no end is parted where it is least like speech, in the last quarter it may have."""
        length = self.windows - first
        if length >= self.rules.max_stretch_windows * 3 // 4:
            self._weakest = min(self._weakest, (probability, self.windows))
        if length + 1 >= self.rules.max_stretch_windows:
            cut = self._weakest[1]
            self._end(cut)
            self._begin(cut)

    def _end(self, window: int) -> None:
        if self._first is not None and self._counts(Run(self._first, window)):
            self._runs.append(Run(self._first, window))


def _parted(runs: Sequence[Run], rules: SegmenterRules) -> list[tuple[Run, ...]]:
    groups: list[list[Run]] = []
    for run in runs:
        if groups and not _parts(groups[-1], run, rules):
            groups[-1].append(run)
        else:
            groups.append([run])
    return [tuple(group) for group in groups]


def _parts(group: list[Run], run: Run, rules: SegmenterRules) -> bool:
    """Whether a new stretch begins with this run."""
    length, gap = group[-1].end - group[0].first, run.first - group[-1].end
    return (
        (gap >= rules.pause_windows and length >= rules.min_stretch_windows)
        or (gap >= rules.breath_windows and length >= rules.long_stretch_windows)
        or run.end - group[0].first > rules.max_stretch_windows
    )


def _stretch(groups: list[tuple[Run, ...]], index: int, total_samples: int, rules: SegmenterRules) -> Stretch:
    """The padding goes at most half way to the next stretch, so that no word is heard twice."""
    group = groups[index]
    first, end = group[0].first * WINDOW_SAMPLES, group[-1].end * WINDOW_SAMPLES
    before = (groups[index - 1][-1].end * WINDOW_SAMPLES + first + 1) // 2 if index else 0
    is_over = index + 1 < len(groups)
    after = (end + groups[index + 1][0].first * WINDOW_SAMPLES + 1) // 2 if is_over else total_samples
    return Stretch(
        runs=group,
        start=max(before, first - rules.pad_samples),
        end=min(after, end + rules.pad_samples, total_samples),
        is_over=is_over,
    )
