"""What is worth recognising while a take still runs, and what is known of it already. Pure.

A stretch of speech is recognised for good once it has paused: if nothing is added before the release, its
words are known by then. While speech goes on, a quick draft now and then shows the user what is understood;
it must never make the words at the release come later, so drafts are short and far between.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from omniid.audio.segmenter import WINDOW_S, Run, Segmenter, Stretch
from omniid.recognition.recognizer import NOTHING, Recognition, Wishes

PAUSE_WINDOWS = 5  # 160 ms: longer than a stop consonant, shorter than it takes to let a key go
DRAFT_EVERY_WINDOWS = 22  # 0.7 s
DRAFT_UP_TO_WINDOWS = 312  # 10 s: beyond that a draft takes too long
DRAFT_REST = 3  # so many times as long as a draft took, none is begun


@dataclass(frozen=True, slots=True)
class Work:
    """A stretch to recognise, for good or as a draft."""

    stretch: Stretch
    is_draft: bool = False


@dataclass
class Foresight:
    """One take's. A take's stretches are named by their runs of speech."""

    wants_drafts: bool
    _known: dict[tuple[Run, ...], Recognition] = field(default_factory=dict)
    _draft_from: int = DRAFT_EVERY_WINDOWS
    _told: str = ""

    def missing(self, stretches: Sequence[Stretch]) -> Work | None:
        """The first stretch that is not known for good."""
        return next((Work(stretch) for stretch in stretches if stretch.runs not in self._known), None)

    def is_complete(self, stretches: Sequence[Stretch]) -> bool:
        return self.missing(stretches) is None

    def due(self, stretches: Sequence[Stretch], heard: Segmenter) -> Work | None:
        """What to recognise now, while the take runs."""
        work = self.missing(stretches)
        if work is None:
            return None
        has_paused = work.stretch.is_over or (heard.silent_windows or 0) >= PAUSE_WINDOWS
        if has_paused:
            return work
        first = work.stretch.runs[0].first
        is_time = heard.windows >= max(self._draft_from, first + DRAFT_EVERY_WINDOWS)
        is_short = heard.windows - first <= DRAFT_UP_TO_WINDOWS
        return Work(work.stretch, is_draft=True) if self.wants_drafts and is_time and is_short else None

    def wishes(self, work: Work, stretches: Sequence[Stretch], wishes: Wishes) -> Wishes:
        """The user's, and what the stretches before have shown: nobody changes the language in a take."""
        wishes = replace(wishes, is_draft=work.is_draft)
        before = self._known.get(stretches[0].runs) if stretches else None
        if wishes.language or before is None or not before.language or work.stretch.runs == stretches[0].runs:
            return wishes
        return replace(wishes, language=before.language)

    def learn(self, work: Work, heard: Recognition, took_s: float, windows: int) -> None:
        """What came of a work that took so long, when the take had so many windows."""
        if not work.is_draft:
            self._known[work.stretch.runs] = heard
        self._draft_from = windows + max(DRAFT_EVERY_WINDOWS, int(DRAFT_REST * took_s / WINDOW_S))

    def partial(self, stretches: Sequence[Stretch], work: Work, heard: Recognition) -> str | None:
        """All that is understood so far; None when that says nothing new."""
        texts = [
            heard.text if stretch.runs == work.stretch.runs else self._known.get(stretch.runs, NOTHING).text
            for stretch in stretches
        ]
        if work.stretch.runs not in {stretch.runs for stretch in stretches}:  # it has gone on since
            texts.append(heard.text)
        text = " ".join(filter(None, texts))
        if not text or text == self._told:
            return None
        self._told = text
        return text

    def joined(self, stretches: Sequence[Stretch]) -> Recognition:
        """All stretches as one, when all are known. Each counts for as much as it has text."""
        heard = [known for stretch in stretches if (known := self._known[stretch.runs]).text]
        letters = sum(len(part.text) for part in heard)
        if not letters:
            return NOTHING
        confidence = sum(part.confidence * len(part.text) for part in heard) / letters
        return Recognition(" ".join(part.text for part in heard), confidence, heard[0].language)
