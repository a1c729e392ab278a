"""What omniid says aloud: what is said first, what silences it, and what it remembers of it."""

from __future__ import annotations

import pytest

from omniid.effects import Announce, Effect, RememberMuted, Speak, StopSpeech
from omniid.events import HushRequested, SpeechRequested, VoiceMuted
from omniid.voice import ECHOES_FOR_S, Rank, Voice, VoiceEvent
from omniid.workers.channel import MOUTH_LOST, SpeechFailed, SpeechFinished, SpeechStarted


class House:
    """A voice with the user beside it, and a mouth that says what it is given."""

    def __init__(self) -> None:
        self.user_talks = False
        self.silent: set[str | None] = set()
        self.voice = Voice("always", lambda: not self.user_talks, lambda command: command in self.silent)
        self.with_mouth: str | None = None
        self.heard: list[str] = []

    def tell(self, text: str, rank: Rank = Rank.REMARK, command_id: str | None = None) -> list[Effect]:
        return self.carry_out(self.voice.tell(text, "text", command_id, rank))

    def handle(self, event: VoiceEvent, now: float = 0.0) -> list[Effect]:
        return self.carry_out(self.voice.handle(event, now))

    def carry_out(self, effects: list[Effect]) -> list[Effect]:
        for effect in effects:
            if isinstance(effect, Speak):
                assert self.with_mouth is None, "one at a time"
                self.with_mouth = effect.utterance_id
                self.heard.append(effect.text)
            elif isinstance(effect, StopSpeech):
                self.with_mouth = None
        return effects

    def start(self, now: float = 0.0) -> None:
        assert self.with_mouth is not None
        self.handle(SpeechStarted(self.with_mouth, now, "speaker"), now)

    def finish(self, now: float = 0.0) -> None:
        utterance, self.with_mouth = self.with_mouth, None
        assert utterance is not None
        self.handle(SpeechFinished(utterance, "spoken"), now)

    def say_all(self) -> list[str]:
        while self.with_mouth is not None:
            self.start()
            self.finish()
        return self.heard


def test_one_thing_is_said_after_the_other_questions_first_then_the_answer_to_what_was_asked_last() -> None:
    house = House()
    house.tell("first")
    house.tell("remark 1")
    house.tell("answer to 1", Rank.ANSWER, "c1")
    house.tell("answer to 3", Rank.ANSWER, "c3")
    house.tell("old question", Rank.QUESTION)
    house.tell("answer to 2", Rank.ANSWER, "c2")
    house.tell("new question", Rank.QUESTION)
    house.tell("remark 2")

    assert house.say_all() == [
        "first",
        "new question",
        "old question",
        "answer to 3",
        "answer to 2",
        "answer to 1",
        "remark 1",
        "remark 2",
    ]
    assert not house.voice.is_busy


def test_what_is_asked_to_be_said_is_said_though_answers_are_not() -> None:
    house = House()
    house.voice = Voice("never", lambda: True, lambda _: False)

    assert house.tell("Sent.", Rank.ANSWER, "c1") == []
    assert house.handle(SpeechRequested("mine", "Hi")) == [Speak("mine", "Hi", in_history=False)]


def test_while_the_user_talks_all_waits_and_is_said_afterwards() -> None:
    house = House()
    house.user_talks = True
    house.tell("Sent.")
    house.handle(SpeechRequested("mine", "Hi"))
    assert house.heard == []

    house.user_talks = False
    house.carry_out(house.voice.next())
    assert house.say_all() == ["Sent.", "Hi"]


def test_the_key_silences_all_but_what_is_asked_and_whoever_waits_for_a_text_is_told() -> None:
    house = House()
    house.tell("a long answer", Rank.ANSWER, "c1")
    house.start()
    house.tell("another", Rank.ANSWER, "c2")
    house.handle(SpeechRequested("mine", "Hi"))
    house.tell("Which Bob?", Rank.QUESTION)

    house.user_talks = True
    assert house.carry_out(house.voice.barge_in(1.0)) == [
        Announce(SpeechFinished("mine", "stopped")),
        StopSpeech(),
    ]
    assert house.handle(SpeechFinished("u1", "stopped")) == []
    house.user_talks = False
    house.carry_out(house.voice.next())

    assert house.say_all() == ["a long answer", "Which Bob?"]


def test_the_key_while_nothing_is_said_has_nothing_to_silence() -> None:
    house = House()
    assert house.voice.barge_in(0.0) == []

    house.user_talks = True
    house.tell("Which Bob?", Rank.QUESTION)
    assert house.voice.barge_in(0.0) == []
    assert house.voice.is_busy


@pytest.mark.parametrize("event", [HushRequested(), VoiceMuted(muted=True)])
def test_hush_and_mute_forget_all(event: VoiceEvent) -> None:
    house = House()
    house.tell("first")
    house.start()
    house.tell("Which Bob?", Rank.QUESTION)
    house.handle(SpeechRequested("mine", "Hi"))

    effects = house.handle(event)

    assert StopSpeech() in effects
    assert Announce(SpeechFinished("mine", "stopped")) in effects
    assert not house.voice.is_busy
    assert not house.voice.is_speaking
    house.handle(SpeechFinished("u1", "stopped"))
    assert house.say_all() == ["first"]


def test_a_muted_voice_says_nothing_until_it_may_again() -> None:
    house = House()
    assert house.handle(VoiceMuted(muted=True)) == [RememberMuted(muted=True)]
    assert house.tell("Sent.") == []

    house.handle(VoiceMuted(muted=False))
    house.tell("Sent.")
    assert house.heard == ["Sent."]


def test_what_a_key_wants_unspoken_is_not_spoken() -> None:
    house = House()
    house.silent.add("c1")

    assert house.tell("Sent.", Rank.ANSWER, "c1") == []


def test_a_text_that_fails_is_a_problem_and_no_end_of_the_others() -> None:
    house = House()
    house.tell("first")
    house.tell("second")
    house.with_mouth = None

    house.handle(SpeechFailed("u1", "no_speaker", "Connect one."))

    assert house.voice.problem == "Connect one."
    assert house.heard == ["first", "second"]
    house.start()
    assert house.voice.problem is None


def lose_the_mouth(house: House) -> None:
    utterance, house.with_mouth = house.with_mouth, None
    assert utterance is not None
    house.handle(SpeechFailed(utterance, MOUTH_LOST, "It died."))


def test_a_mouth_that_dies_while_something_is_heard_takes_that_text_with_it() -> None:
    house = House()
    house.tell("first")
    house.start()
    house.tell("second")

    lose_the_mouth(house)

    assert house.heard == ["first", "second"]
    assert house.voice.problem is None  # the mouth's, which is told of by itself


def test_what_nobody_has_heard_of_is_said_by_the_next_mouth_and_costs_no_third() -> None:
    house = House()
    house.tell("first")
    house.tell("second")

    lose_the_mouth(house)
    assert house.heard == ["first", "first"]
    lose_the_mouth(house)

    assert house.heard == ["first", "first", "second"]


def test_what_is_not_so_any_more_is_not_said_and_what_is_newer_takes_its_place() -> None:
    house = House()
    house.tell("first")
    for text in ("Which Bob?", "Still: which Bob?"):
        house.carry_out(house.voice.tell(text, "text", rank=Rank.QUESTION, about="q1"))
    house.carry_out(house.voice.tell("Send it?", "text", rank=Rank.QUESTION, about="q2"))

    house.carry_out(house.voice.withdraw("q2"))

    assert house.say_all() == ["first", "Still: which Bob?"]


def test_a_text_that_races_with_a_mute_is_over_at_once() -> None:
    house = House()
    house.handle(VoiceMuted(muted=True))

    assert house.handle(SpeechRequested("mine", "Hi")) == [Announce(SpeechFinished("mine", "stopped"))]


def test_the_late_end_of_a_silenced_text_is_not_the_end_of_the_next() -> None:
    house = House()
    house.tell("first")
    house.start()
    house.handle(HushRequested())
    house.tell("second")
    house.tell("third")

    house.handle(SpeechFinished("u1", "stopped"))
    house.handle(SpeechStarted("u1", 1.0, "speaker"))

    assert house.heard == ["first", "second"]
    assert not house.voice.is_speaking


def test_what_waits_is_bounded_and_remarks_are_missed_least() -> None:
    house = House()
    house.tell("first")
    for number in range(100):
        house.tell(f"remark {number}")
    for number in range(60):
        house.tell(f"answer {number}", Rank.ANSWER, f"c{number:03}")

    heard = house.say_all()

    assert len(heard) == 51
    assert heard[1] == "answer 59"


def test_a_text_that_finds_no_room_is_over_for_whoever_waits_for_it() -> None:
    house = House()
    house.handle(SpeechRequested("s0", "Hi"))
    told = [effect for number in range(1, 60) for effect in house.handle(SpeechRequested(f"s{number}", "Hi"))]

    over = [each.event.utterance_id for each in told if isinstance(each, Announce)]  # type: ignore[union-attr]
    assert over == [f"s{number}" for number in range(1, 10)]


def test_it_knows_what_could_be_heard_of_it_at_a_moment() -> None:
    house = House()
    house.tell("first")
    assert house.voice.said_at(10.0) == []  # not heard yet
    house.start(10.0)
    assert house.voice.said_at(9.9) == []
    assert house.voice.said_at(500.0) == ["first"]
    house.finish(20.0)

    assert house.voice.said_at(20.0 + ECHOES_FOR_S) == ["first"]
    assert house.voice.said_at(20.1 + ECHOES_FOR_S) == []


def test_what_the_key_silenced_could_be_heard_until_then() -> None:
    house = House()
    house.tell("first")
    house.start(10.0)
    house.carry_out(house.voice.barge_in(12.0))

    assert house.voice.said_at(12.0) == ["first"]
    assert house.voice.said_at(15.0) == []
