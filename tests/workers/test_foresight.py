from __future__ import annotations

import pytest

from omniid.audio.segmenter import Segmenter
from omniid.recognition.recognizer import NOTHING, Recognition, Wishes
from omniid.workers.foresight import DRAFT_EVERY_WINDOWS, DRAFT_UP_TO_WINDOWS, Foresight, Work

W = 512
WORDS = Recognition("turn on the light", 0.8, "en")
LONG = [0.9] * 130


class Take:
    """A take that runs: windows of speech and silence, and what is foreseen of it."""

    def __init__(self, *, wants_drafts: bool = True) -> None:
        self.segmenter = Segmenter()
        self.foresight = Foresight(wants_drafts)

    def hear(self, speech: int = 0, silence: int = 0) -> Take:
        self.segmenter.add([0.9] * speech + [0.1] * silence)
        return self

    def due(self) -> Work | None:
        return self.foresight.due(self.stretches, self.segmenter)

    def learn(self, work: Work | None, heard: Recognition = WORDS, took_s: float = 0.0) -> None:
        assert work is not None
        self.foresight.learn(work, heard, took_s, self.segmenter.windows)

    @property
    def stretches(self) -> list:  # type: ignore[type-arg]
        return self.segmenter.stretches(self.segmenter.windows * W)

    @property
    def is_complete(self) -> bool:
        return self.foresight.is_complete(self.stretches)


def test_nothing_is_due_in_silence_and_nothing_is_missing() -> None:
    take = Take().hear(silence=50)
    assert take.due() is None
    assert take.is_complete
    assert take.foresight.joined(take.stretches) == NOTHING


def test_a_pause_is_the_moment_to_recognise() -> None:
    take = Take(wants_drafts=False).hear(speech=40)
    assert take.due() is None
    assert take.hear(silence=4).due() is None
    work = take.hear(silence=1).due()
    assert work is not None
    assert not work.is_draft
    take.learn(work)
    assert take.is_complete
    assert take.due() is None
    assert take.hear(silence=30).is_complete  # more silence changes nothing
    assert take.foresight.joined(take.stretches) == WORDS


def test_speech_after_the_pause_makes_it_unknown_again() -> None:
    take = Take(wants_drafts=False).hear(speech=40, silence=6)
    take.learn(take.due())
    assert not take.hear(speech=10).is_complete
    assert take.due() is None
    assert take.hear(silence=6).due() is not None


def test_a_click_after_the_words_changes_nothing() -> None:
    take = Take().hear(speech=40, silence=6)
    take.learn(take.due())
    take.segmenter.add([0.9, 0.9, 0.1])
    assert take.is_complete


def test_what_is_over_is_not_recognised_again() -> None:
    take = Take(wants_drafts=False).hear(speech=130, silence=20)
    first = take.due()
    take.learn(first)
    take.hear(speech=30)
    assert take.due() is None  # the first is known, the second has not paused
    second = take.hear(silence=6).due()
    assert first is not None
    assert second is not None
    assert second.stretch.start >= first.stretch.end
    take.learn(second, Recognition("and the heating", 0.5, "en"))
    joined = take.foresight.joined(take.stretches)
    assert joined.text == "turn on the light and the heating"
    assert 0.5 < joined.confidence < 0.8


def test_a_stretch_that_was_nothing_is_left_out() -> None:
    take = Take().hear(
        speech=130,
        silence=20,
    )
    take.learn(take.due(), NOTHING)
    take.hear(speech=30, silence=6)
    take.learn(take.due())
    assert take.foresight.joined(take.stretches) == WORDS


def test_drafts_come_now_and_then_and_never_when_not_wanted() -> None:
    take = Take().hear(speech=DRAFT_EVERY_WINDOWS - 1)
    assert take.due() is None
    draft = take.hear(speech=1).due()
    assert draft is not None
    assert draft.is_draft
    take.learn(draft)
    assert take.due() is None
    assert not take.is_complete
    assert take.hear(speech=DRAFT_EVERY_WINDOWS).due() is not None
    assert Take(wants_drafts=False).hear(speech=100).due() is None


def test_slow_drafts_are_rare_and_long_speech_has_none() -> None:
    take = Take().hear(speech=30)
    take.learn(take.due(), took_s=1.0)
    assert take.hear(speech=90).due() is None  # 2.9 s later
    assert take.hear(speech=10).due() is not None
    assert Take().hear(speech=DRAFT_UP_TO_WINDOWS + 1).due() is None


def test_partials_say_all_so_far_and_only_what_is_new() -> None:
    take = Take().hear(speech=130, silence=20)
    first = take.due()
    take.learn(first)
    assert first is not None
    assert take.foresight.partial(take.stretches, first, WORDS) == "turn on the light"
    draft = take.hear(speech=30).due()
    assert draft is not None
    assert draft.is_draft
    take.hear(speech=5)
    more = Recognition("and", 0.5, "en")
    assert take.foresight.partial(take.stretches, draft, more) == "turn on the light and"
    assert take.foresight.partial(take.stretches, draft, more) is None


@pytest.mark.parametrize(("wanted", "expected"), [(None, "de"), ("fr", "fr")])
def test_nobody_changes_the_language_in_a_take(wanted: str | None, expected: str) -> None:
    take = Take().hear(speech=130, silence=20)
    wishes = Wishes(language=wanted, languages=("en", "de"))
    first = take.due()
    assert first is not None
    assert take.foresight.wishes(first, take.stretches, wishes).language == wanted
    take.learn(first, Recognition("mach das Licht an", 0.9, "de"))
    second = take.hear(speech=30, silence=6).due()
    assert second is not None
    assert take.foresight.wishes(second, take.stretches, wishes).language == expected
