"""The key, the take and the doubt, as tables and as any order of events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniid.effects import (
    Announce,
    CancelCapture,
    Cue,
    Effect,
    Enqueue,
    ForgetTake,
    LatchCapture,
    RecogniseAgain,
    RemindLater,
    ShutMicrophone,
    StartCapture,
    StopCapture,
)
from omniid.events import (
    CommandMoved,
    CommandQueued,
    CommandRefused,
    CommandWritten,
    ConfirmationAnswered,
    ConfirmationAsked,
    ConfirmationDue,
    Event,
    KeyLost,
    KeyPressed,
    KeyReleased,
    KeyToggled,
    MachineWoke,
    Manner,
    MicrophoneForbidden,
    TakeCancelRequested,
    TakeDropped,
    TakeGivenUp,
    TakeRetried,
    TakesFound,
)
from omniid.fate import State
from omniid.listening import CONFIRM_WITHIN_S, TAP_S, Listening, ListeningSettings
from omniid.wording import takes_found
from omniid.workers.channel import (
    CaptureEnded,
    CaptureOpened,
    TakeEmpty,
    TakeFailed,
    TakeRecognised,
)

PRESSED = KeyPressed("key", "t1")
RELEASED = KeyReleased("key")
OPENED = CaptureOpened("t1", "microphone", 0.0)
ENDED = CaptureEnded("t1", "released", 1.0, 1.0, 0)
CAPPED = CaptureEnded("t1", "cap", 1.0, 60.0, 0)
TOGGLE = Manner("toggle")
HYBRID = Manner("hybrid")
LOST = "ear lost"
NOT_RECOGNISED = TakeFailed("t1", "recognition_failed", "It failed.")
SETTINGS = ListeningSettings(accept=0.6, tap_s=0.3)
METADATA = {"confidence": 0.9, "language": "en", "durationSeconds": 1.0, "model": "tiny.en"}
UNSURE = METADATA | {"confidence": 0.5}


def said(text: str = "Send it", confidence: float = 0.9, take_id: str = "t1") -> TakeRecognised:
    return TakeRecognised(take_id, text, confidence, "en", 1.0, 0.8, "tiny.en", 0.0, 0.1)


Step = tuple[float, Event | str] | Event | str


class HisVoice:
    """What omniid says itself."""

    def __init__(self) -> None:
        self.is_busy = False
        self.said: dict[float, str] = {}

    def said_at(self, moment: float) -> list[str]:
        return [self.said[moment]] if moment in self.said else []


class Region:
    """The region with what it has told, and each derived event handled as the reactor would."""

    def __init__(self, *before: Step) -> None:
        self.problems: dict[str, str] = {}
        self.told: list[str] = []
        self.voice = HisVoice()
        self.listening = Listening(SETTINGS, self.problems, self._tell, self.voice)
        for step in before:
            at, event = step if isinstance(step, tuple) else (0.0, step)
            self.handle(event, at)

    def _tell(self, text: str, take_id: str | None = None, *, asks: bool = False) -> list[Effect]:
        assert asks is text.startswith("Did you say")
        assert take_id is None or take_id.startswith("t")
        self.told.append(text)
        return []

    def handle(self, event: Event | str, now: float = 0.0) -> list[Effect]:
        effects = self._once(event, now)
        derived = [effect.event for effect in effects if isinstance(effect, Announce)]
        return effects + [effect for each in derived for effect in self.handle(each, now)]

    def _once(self, event: Event | str, now: float) -> list[Effect]:
        listening = self.listening
        match event:
            case str():
                return listening.on_ear_lost("It hung.", now)
            case KeyPressed() | KeyReleased() | KeyLost() | KeyToggled() | TakeCancelRequested():
                return listening.on_key(event, now)
            case CaptureOpened() | CaptureEnded() | TakeRecognised() | TakeEmpty() | TakeFailed():
                return listening.on_take(event, now)
            case ConfirmationAsked() | ConfirmationAnswered() | ConfirmationDue():
                return listening.on_confirmation(event)
            case MachineWoke():
                return listening.on_woke(now)
            case MicrophoneForbidden():
                return listening.on_forbidden(event)
            case TakesFound():
                return listening.on_found(event)
            case TakeRetried():
                return listening.on_retried(event)
            case TakeDropped():
                return listening.on_dropped(event)
            case TakeGivenUp():
                return []
            case CommandQueued() | CommandRefused() | CommandWritten() | CommandMoved():
                return listening.on_command(event)
            case _:
                raise AssertionError(event)


# --- the key ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "event", "effects"),
    [
        pytest.param([], PRESSED, [StartCapture("t1")], id="a press opens the microphone"),
        pytest.param([PRESSED], KeyPressed("key", "t2"), [], id="a repeated press does nothing"),
        pytest.param([PRESSED], KeyPressed("cli", "t2"), [], id="another key's press does nothing"),
        pytest.param([PRESSED], RELEASED, [StopCapture("t1")], id="the release closes it"),
        pytest.param([PRESSED], KeyReleased("cli"), [], id="another key's release does not"),
        pytest.param([], RELEASED, [], id="a release out of nowhere does nothing"),
        pytest.param([PRESSED, RELEASED, ENDED], RELEASED, [], id="a repeated release does nothing"),
        pytest.param(
            [PRESSED, RELEASED, ENDED],
            KeyPressed("key", "t2"),
            [StartCapture("t2")],
            id="the next take starts while the first is recognised",
        ),
        pytest.param(
            [], KeyToggled("cli", "t1"), [StartCapture("t1", ends_by_silence=True)], id="a toggle opens"
        ),
        pytest.param(
            [KeyToggled("cli", "t1")], KeyToggled("cli", "t2"), [StopCapture("t1")], id="a second closes"
        ),
        pytest.param(
            [PRESSED], TakeCancelRequested("key"), [CancelCapture("t1")], id="a cancel forgets the take"
        ),
        pytest.param([], TakeCancelRequested("key"), [], id="a cancel out of nowhere does nothing"),
        pytest.param(
            [PRESSED, RELEASED, ENDED],
            TakeCancelRequested("key"),
            [CancelCapture("t1")],
            id="a cancel reaches a take that is being recognised",
        ),
        pytest.param([PRESSED, RELEASED], RELEASED, [], id="a second release does nothing"),
        pytest.param(
            [PRESSED, RELEASED], KeyPressed("key", "t2"), [], id="a press waits for the microphone to close"
        ),
        pytest.param(
            [PRESSED, RELEASED, KeyPressed("key", "t2")],
            ENDED,
            [StartCapture("t2")],
            id="and has it as soon as it is closed",
        ),
        pytest.param(
            [PRESSED, RELEASED, KeyPressed("key", "t2"), RELEASED],
            ENDED,
            [],
            id="unless the key is up again",
        ),
    ],
)
def test_the_keys_edges(before: list[Event], event: Event, effects: list[Effect]) -> None:
    assert Region(*before).handle(event) == effects


@pytest.mark.parametrize(
    ("before", "event", "effects"),
    [
        pytest.param(
            [],
            KeyPressed("key", "t1", TOGGLE),
            [StartCapture("t1", ends_by_silence=True)],
            id="toggle: a press begins, and silence may end it",
        ),
        pytest.param([KeyPressed("key", "t1", TOGGLE)], RELEASED, [], id="toggle: the release is nothing"),
        pytest.param(
            [KeyPressed("key", "t1", TOGGLE), RELEASED],
            KeyPressed("key", "t2", TOGGLE),
            [StopCapture("t1")],
            id="toggle: the next press ends it",
        ),
        pytest.param(
            [KeyPressed("key", "t1", TOGGLE)],
            KeyPressed("other", "t2", TOGGLE),
            [],
            id="toggle: another key's press does not",
        ),
        pytest.param(
            [KeyPressed("key", "t1", TOGGLE)], KeyLost("key", "gone"), [], id="toggle: no key is held to lose"
        ),
        pytest.param([], KeyPressed("key", "t1", HYBRID), [StartCapture("t1")], id="hybrid: begins as held"),
        pytest.param(
            [KeyPressed("key", "t1", HYBRID)],
            (TAP_S - 0.01, RELEASED),
            [LatchCapture("t1")],
            id="hybrid: a short press latches",
        ),
        pytest.param(
            [KeyPressed("key", "t1", HYBRID)],
            (TAP_S, RELEASED),
            [StopCapture("t1")],
            id="hybrid: a long one talks",
        ),
        pytest.param(
            [KeyPressed("key", "t1", HYBRID), RELEASED],
            (9.0, KeyPressed("key", "t2", HYBRID)),
            [StopCapture("t1")],
            id="hybrid: the press after a latch ends it",
        ),
        pytest.param(
            [KeyPressed("key", "t1", HYBRID), RELEASED],
            KeyLost("key", "gone"),
            [],
            id="hybrid: a latched take needs no key",
        ),
        pytest.param(
            [KeyPressed("key", "t1", HYBRID)],
            KeyLost("key", "gone"),
            [StopCapture("t1")],
            id="hybrid: a lost key does not latch",
        ),
        pytest.param(
            [PRESSED, OPENED], KeyLost("key", "unplugged"), [StopCapture("t1")], id="hold: a lost key ends it"
        ),
        pytest.param(
            [PRESSED, RELEASED, KeyPressed("key", "t2", HYBRID), RELEASED],
            ENDED,
            [StartCapture("t2", ends_by_silence=True)],
            id="hybrid: a tap while the microphone closes latches",
        ),
        pytest.param(
            [PRESSED, RELEASED, KeyPressed("key", "t2", TOGGLE), RELEASED],
            ENDED,
            [StartCapture("t2", ends_by_silence=True)],
            id="toggle: a press while the microphone closes counts",
        ),
        pytest.param(
            [],
            KeyPressed("key", "t1", Manner("hold", "german", "de", "base")),
            [StartCapture("t1", "de", "base")],
            id="a profile's language and model go with the take",
        ),
    ],
)
def test_modes_and_profiles(
    before: list[Event], event: Event | tuple[float, Event], effects: list[Effect]
) -> None:
    at, what = event if isinstance(event, tuple) else (0.0, event)

    assert Region(*before).handle(what, at) == effects


# --- what was heard -----------------------------------------------------------------------------------------


def test_what_was_said_becomes_a_command_with_how_it_was_heard() -> None:
    assert Region(PRESSED, OPENED, RELEASED, ENDED).handle(said()) == [Enqueue("t1", "Send it", METADATA)]


def test_a_profile_stands_in_the_metadata() -> None:
    region = Region(KeyPressed("key", "t1", Manner("hold", "german")), RELEASED, ENDED)

    (effect,) = region.handle(said())

    assert isinstance(effect, Enqueue)
    assert effect.metadata["profile"] == "german"


@pytest.mark.parametrize("reason", ["too_short", "no_speech", "cancelled"])
def test_nothing_heard_is_no_command_and_nothing_is_kept(reason: str) -> None:
    region = Region(PRESSED, RELEASED, ENDED)

    assert region.handle(TakeEmpty("t1", reason)) == [ForgetTake("t1")]
    assert region.told == []


def test_words_that_could_not_be_made_out_are_told_and_kept_for_another_try() -> None:
    region = Region(PRESSED, RELEASED, ENDED)

    assert region.handle(TakeEmpty("t1", "unsure")) == []
    assert len(region.told) == 1


def test_a_dead_microphone_is_told_from_silence() -> None:
    region = Region(PRESSED, RELEASED, ENDED)
    region.handle(TakeEmpty("t1", "dead_microphone"))

    assert "muted" in region.problems["microphone"]
    assert len(region.told) == 1


def test_a_take_is_kept_until_its_command_is_on_the_wire() -> None:
    region = Region(PRESSED, RELEASED, ENDED, said(), CommandQueued("c1", "voice", "Send it", "t1"))

    assert region.handle(CommandMoved("c1", State.SENDING)) == []
    assert region.handle(CommandWritten("c1", "{}")) == [ForgetTake("t1")]
    assert region.handle(CommandWritten("c1", "{}")) == []


@pytest.mark.parametrize("state", [State.CANCELLED, State.EXPIRED, State.DROPPED])
def test_a_take_whose_command_is_over_is_kept_no_longer(state: State) -> None:
    region = Region(PRESSED, RELEASED, ENDED, said(), CommandQueued("c1", "voice", "Send it", "t1"))

    effects = region.handle(CommandMoved("c1", state))

    assert effects == [ForgetTake("t1")]


# --- the doubt ----------------------------------------------------------------------------------------------

ASKED: list[Step] = [PRESSED, RELEASED, ENDED, said(confidence=0.5)]
ANSWER: list[Step] = [
    KeyPressed("key", "t2"),
    (1.0, KeyReleased("key")),
    CaptureEnded("t2", "released", 1.0, 1.0, 0),
]
ACCEPTED = Enqueue("t1", "Send it", UNSURE)


def enqueued(effects: list[Effect]) -> list[str]:
    return [effect.take_id for effect in effects if isinstance(effect, Enqueue)]


def test_unsure_words_are_asked_about() -> None:
    region = Region(PRESSED, RELEASED, ENDED)

    effects = region.handle(said(confidence=0.5))

    reminder = RemindLater(CONFIRM_WITHIN_S / 2, ConfirmationDue("t1", reminds=True))
    due = RemindLater(CONFIRM_WITHIN_S, ConfirmationDue("t1"))
    assert effects == [Announce(ConfirmationAsked("t1", "Send it", "unsure")), Cue("question"), reminder, due]
    assert region.told == ["Did you say: Send it"]


@pytest.mark.parametrize("cause", ["cap", "device_lost"])
def test_what_was_cut_short_is_asked_about_however_sure_it_is(cause: str) -> None:
    region = Region(PRESSED, OPENED, CaptureEnded("t1", cause, 1.0, 1.0, 0))

    assert Announce(ConfirmationAsked("t1", "Send it", "cut_short")) in region.handle(said())


def test_a_tap_is_a_yes() -> None:
    region = Region(*ASKED, (1.0, KeyPressed("key", "t2")))

    effects = region.handle(RELEASED, 1.2)

    assert effects == [
        CancelCapture("t2"),
        Announce(ConfirmationAnswered("t1", accepted=True, by="tap")),
        ACCEPTED,
    ]
    assert region.handle(TakeEmpty("t2", "cancelled")) == [ForgetTake("t2")]


@pytest.mark.parametrize("mode", ["toggle", "hybrid"])
def test_where_every_press_is_short_none_is_a_yes(mode: str) -> None:
    region = Region(*ASKED, (1.0, KeyPressed("key", "t2", Manner(mode))))  # type: ignore[arg-type]

    assert enqueued(region.handle(RELEASED, 1.2)) == []
    assert region.listening.capture == "opening"


def test_a_press_from_before_the_question_is_no_answer_to_it() -> None:
    asked: list[Step] = [
        PRESSED,
        RELEASED,
        ENDED,
        (1.0, KeyPressed("key", "t2")),
        (1.1, said(confidence=0.5)),
    ]

    assert enqueued(Region(*asked).handle(RELEASED, 1.2)) == []


def test_a_press_while_the_microphone_closes_is_as_long_as_the_finger_was_down() -> None:
    region = Region(*ASKED, (1.0, KeyPressed("key", "t2")), (2.0, RELEASED), (2.1, KeyPressed("key", "t3")))
    region.handle(CaptureEnded("t2", "released", 1.0, 1.0, 0), 2.8)

    assert region.handle(RELEASED, 2.9) == [StopCapture("t3")]


def test_with_sound_from_before_the_key_a_tap_is_forgotten() -> None:
    region = Region()
    region.listening = Listening(
        ListeningSettings(accept=0.6, tap_s=0.3, forgets_taps=True), {}, region._tell, region.voice
    )
    region.handle(PRESSED, 1.0)

    assert region.handle(RELEASED, 1.2) == [CancelCapture("t1")]


def test_what_omniid_itself_was_saying_is_asked_about_however_well_it_was_heard() -> None:
    heard = said("I have sent the message to Anna", 0.99)
    region = Region((5.0, PRESSED), (5.1, OPENED), (6.0, RELEASED), (6.1, ENDED))
    region.voice.said[5.0] = "I have sent the message to Anna. She has read it."

    effects = region.handle(heard, 6.5)

    assert effects[0] == Announce(ConfirmationAsked("t1", heard.text, "echo"))
    assert not [effect for effect in effects if isinstance(effect, Enqueue)]


def test_the_same_words_said_while_omniid_was_silent_are_a_command() -> None:
    region = Region((5.0, PRESSED), (5.1, OPENED), (6.0, RELEASED), (6.1, ENDED))
    region.voice.said[4.0] = "I have sent the message to Anna. She has read it."

    (enqueued,) = region.handle(said("I have sent the message to Anna", 0.99), 6.5)

    assert isinstance(enqueued, Enqueue)


@pytest.mark.parametrize("words", ["Yes.", "Yeah", "send it!", "Ja", "Oui.", "はい"])
def test_a_yes_sends_it(words: str) -> None:
    effects = Region(*ASKED, *ANSWER).handle(said(words, take_id="t2"))

    assert ACCEPTED in effects
    assert ForgetTake("t2") in effects


@pytest.mark.parametrize("words", ["No.", "Nope", "cancel that", "Nein!", "never mind"])
def test_a_no_drops_it(words: str) -> None:
    region = Region(*ASKED, *ANSWER)

    effects = region.handle(said(words, take_id="t2"))

    assert enqueued(effects) == []
    assert ForgetTake("t1") in effects
    assert region.listening.doubt is None


def test_a_yes_has_to_be_sure_and_the_question_stays() -> None:
    region = Region(*ASKED, *ANSWER)

    assert region.handle(said("Yes.", 0.4, take_id="t2")) == [ForgetTake("t2")]
    assert "say it again" in region.told[-1]
    assert region.listening.doubt is not None


def test_a_no_need_not_be_sure() -> None:
    region = Region(*ASKED, *ANSWER)
    region.handle(said("No.", 0.4, take_id="t2"))

    assert region.listening.doubt is None


@pytest.mark.parametrize(
    ("confidence", "cause", "answers"),
    [(0.9, "released", True), (0.4, "released", False), (0.9, "cap", False)],
)
def test_a_question_of_the_backends_is_answered_only_by_words_that_are_sure(
    confidence: float, cause: str, answers: bool
) -> None:
    answer = RemindLater(1.0, ConfirmationDue("answered"))
    region = Region()
    region.listening = Listening(SETTINGS, {}, region._tell, region.voice, lambda _: [answer])
    for event in (PRESSED, OPENED, RELEASED, CaptureEnded("t1", cause, 1.0, 1.0, 0)):
        region.handle(event)

    assert (answer in region.handle(said("Yes.", confidence))) is answers
    assert bool(region.told) is not answers


def test_a_take_whose_command_waits_is_not_to_be_tried_again() -> None:
    region = Region(PRESSED, RELEASED, ENDED, said(), CommandQueued("c1", "voice", "Send it", "t1"))

    assert region.listening.is_in_hand("t1")
    assert region.handle(TakeRetried("t1")) == []
    region.handle(CommandWritten("c1", "{}"))
    assert not region.listening.is_in_hand("t1")


@pytest.mark.parametrize("words", ["no, at six", "yes and call Bob", "Call Bob"])
def test_anything_else_is_a_new_command_in_its_place(words: str) -> None:
    region = Region(*ASKED, *ANSWER)

    effects = region.handle(said(words, take_id="t2"))

    assert enqueued(effects) == ["t2"]
    assert ForgetTake("t1") in effects
    assert region.listening.doubt is None


def test_another_unsure_take_is_asked_about_in_its_place() -> None:
    region = Region(*ASKED, *ANSWER)
    region.handle(said("Call Rob", 0.5, take_id="t2"))

    assert region.listening.doubt is not None
    assert region.listening.doubt.take_id == "t2"


def test_it_is_reminded_of_once_where_nobody_talks() -> None:
    region = Region(*ASKED)
    reminder = ConfirmationDue("t1", reminds=True)

    assert region.handle(reminder, CONFIRM_WITHIN_S / 2) == [Cue("question")]
    assert region.listening.doubt is not None
    region.voice.is_busy = True
    assert region.handle(reminder, CONFIRM_WITHIN_S / 2) == []


def test_nothing_said_in_time_drops_it_and_keeps_its_sound() -> None:
    region = Region(*ASKED)

    effects = region.handle(ConfirmationDue("t1"), CONFIRM_WITHIN_S)

    assert enqueued(effects) == []
    assert ForgetTake("t1") not in effects
    assert region.listening.doubt is None
    assert region.handle(TakeRetried("t1")) == [RecogniseAgain("t1")]


def test_the_time_does_not_run_out_while_the_question_or_the_answer_is_being_spoken() -> None:
    region = Region(*ASKED)
    region.voice.is_busy = True
    (again,) = region.handle(ConfirmationDue("t1"), CONFIRM_WITHIN_S)
    assert isinstance(again, RemindLater)
    region.voice.is_busy = False
    region.handle(KeyPressed("key", "t2"), CONFIRM_WITHIN_S)

    (again,) = region.handle(ConfirmationDue("t1"), CONFIRM_WITHIN_S + 1)

    assert isinstance(again, RemindLater)
    assert region.listening.doubt is not None


def test_an_answer_counts_once() -> None:
    region = Region(*ASKED)
    yes = ConfirmationAnswered("t1", accepted=True, by="api")

    assert region.handle(yes) == [ACCEPTED]
    assert region.handle(yes) == []


def test_a_cancel_answers_no() -> None:
    effects = Region(*ASKED).handle(TakeCancelRequested("key"))

    assert enqueued(effects) == []
    assert ForgetTake("t1") in effects


def test_a_doubt_survives_a_take_in_which_nobody_spoke() -> None:
    region = Region(*ASKED, *ANSWER)
    region.handle(TakeEmpty("t2", "no_speech"))

    assert region.listening.doubt is not None


# --- a microphone that is kept shut -------------------------------------------------------------------------


def test_a_shut_microphone_is_not_opened_and_says_why() -> None:
    region = Region()
    assert region.handle(MicrophoneForbidden(shut=True)) == [ShutMicrophone(shut=True)]

    assert region.handle(PRESSED) == [Cue("error")]
    assert "listen enable" in region.problems["microphone"]
    assert region.handle(MicrophoneForbidden(shut=False)) == [ShutMicrophone(shut=False)]
    assert region.problems == {}
    assert region.handle(PRESSED) == [StartCapture("t1")]


def test_shutting_it_in_mid_take_forgets_the_take() -> None:
    effects = Region(PRESSED, OPENED).handle(MicrophoneForbidden(shut=True))

    assert effects == [CancelCapture("t1"), ShutMicrophone(shut=True)]


# --- a machine that sleeps ----------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["hold", "toggle", "hybrid"])
def test_a_take_that_a_sleep_came_into_ends_and_is_asked_about(mode: str) -> None:
    region = Region(KeyPressed("key", "t1", Manner(mode)), OPENED)  # type: ignore[arg-type]

    assert region.handle(MachineWoke()) == [StopCapture("t1")]
    assert region.handle(MachineWoke()) == []
    region.handle(ENDED)
    assert Announce(ConfirmationAsked("t1", "Send it", "cut_short")) in region.handle(said())


def test_a_sleep_between_takes_is_nothing() -> None:
    assert Region(PRESSED, RELEASED, ENDED, said()).handle(MachineWoke()) == []


# --- an ear that goes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "effects"),
    [
        pytest.param([], [], id="idle"),
        pytest.param([PRESSED], [StartCapture("t1")], id="before the first sound: it is opened again"),
        pytest.param([PRESSED, OPENED], [RecogniseAgain("t1")], id="in mid-sentence: what is kept"),
        pytest.param([PRESSED, OPENED, RELEASED], [RecogniseAgain("t1")], id="after the release"),
        pytest.param([PRESSED, OPENED, RELEASED, ENDED], [RecogniseAgain("t1")], id="while recognising"),
        pytest.param(
            [PRESSED, OPENED, RELEASED, ENDED, KeyPressed("key", "t2")],
            [StartCapture("t2"), RecogniseAgain("t1")],
            id="both",
        ),
        pytest.param(
            [PRESSED, OPENED, TakeCancelRequested("key")], [ForgetTake("t1")], id="of a cancelled take"
        ),
    ],
)
def test_a_lost_ear_costs_one_retry(before: list[Event | str], effects: list[Effect]) -> None:
    assert Region(*before).handle(LOST) == effects


def test_what_was_said_before_the_ear_went_in_mid_sentence_is_asked_about() -> None:
    region = Region(PRESSED, OPENED, LOST)

    assert Announce(ConfirmationAsked("t1", "Send it", "cut_short")) in region.handle(said())


def test_a_whole_sentence_is_a_command_after_the_ear_was_lost() -> None:
    assert enqueued(Region(PRESSED, OPENED, RELEASED, ENDED, LOST).handle(said())) == ["t1"]


@pytest.mark.parametrize(("held_s", "whole"), [(1.1, True), (2.0, False)])
def test_after_the_release_what_is_kept_is_the_whole_if_it_is_as_long_as_the_key_was_held(
    held_s: float, whole: bool
) -> None:
    region = Region(PRESSED, OPENED, (held_s, RELEASED), (held_s + 2.5, LOST))

    assert (enqueued(region.handle(said())) == ["t1"]) is whole


def test_a_take_that_began_anew_in_a_fresh_ear_may_lack_its_beginning() -> None:
    region = Region(PRESSED, LOST, OPENED, RELEASED, ENDED)

    assert Announce(ConfirmationAsked("t1", "Send it", "cut_short")) in region.handle(said())


def test_a_key_that_was_lost_leaves_a_take_that_is_asked_about() -> None:
    region = Region(PRESSED, OPENED, KeyLost("key", "unplugged"), ENDED)

    assert Announce(ConfirmationAsked("t1", "Send it", "cut_short")) in region.handle(said())


def test_two_ears_lost_before_the_first_sound_lose_the_take_and_say_so() -> None:
    region = Region(PRESSED, LOST)

    (given_up,) = region.handle(LOST)

    assert isinstance(given_up, Announce)
    assert isinstance(given_up.event, TakeGivenUp)
    assert region.told == [given_up.event.message]
    assert region.listening.is_idle


def test_two_lost_ears_leave_the_take_for_the_user_to_try_again() -> None:
    region = Region(PRESSED, OPENED, RELEASED, ENDED, LOST)

    (given_up,) = region.handle(LOST)

    assert isinstance(given_up, Announce)
    assert isinstance(given_up.event, TakeGivenUp)
    assert "omniid take retry" in region.told[-1]
    assert region.listening.is_idle
    assert region.handle(TakeRetried("t1")) == [RecogniseAgain("t1")]
    assert enqueued(region.handle(said())) == ["t1"]


def test_what_an_earlier_run_left_is_told_and_asked_about_when_it_is_retried() -> None:
    region = Region(TakesFound(("t1", "t2")))
    assert region.told == [takes_found(2)]
    assert region.handle(TakeRetried("t1")) == [RecogniseAgain("t1")]

    effects = region.handle(said("Turn off"))

    assert Announce(ConfirmationAsked("t1", "Turn off", "cut_short")) in effects, "it may be a part of it"
    assert enqueued(effects) == []
    assert enqueued(region.handle(ConfirmationAnswered("t1", True, "tap"))) == ["t1"]


@pytest.mark.parametrize(
    "before",
    [
        [*ASKED, ConfirmationDue("t1")],
        [PRESSED, OPENED, KeyLost("key", "unplugged"), ENDED, said(), ConfirmationDue("t1")],
        [PRESSED, OPENED, LOST, LOST],
        [PRESSED, OPENED, CaptureEnded("t1", "cap", 1.0, 1.0, 0), NOT_RECOGNISED, NOT_RECOGNISED],
    ],
    ids=["unsure", "cut short", "lost with its ear", "at its cap, and failed"],
)
def test_a_kept_take_that_was_to_be_asked_about_is_asked_about_when_it_is_retried(before: list[Step]) -> None:
    region = Region(*before)
    assert region.handle(TakeRetried("t1")) == [RecogniseAgain("t1")]
    assert enqueued(region.handle(said())) == []
    assert region.listening.doubt is not None


def test_a_kept_take_answers_no_question_that_was_asked_after_it() -> None:
    region = Region()
    region.listening = Listening(SETTINGS, {}, region._tell, region.voice, lambda _: [])
    region.handle(TakesFound(("t1",)))
    region.handle(TakeRetried("t1"))

    effects = region.handle(said())

    assert ForgetTake("t1") not in effects
    assert region.listening.doubt is not None


def test_a_recogniser_that_fails_is_tried_once_more() -> None:
    region = Region(PRESSED, RELEASED, ENDED)
    failed = TakeFailed("t1", "recognition_failed", "It failed.")

    assert region.handle(failed) == [RecogniseAgain("t1")]
    assert region.handle(failed) == []
    assert region.told == ["It failed."]


def test_a_microphone_that_is_not_there_is_told_and_not_tried_again() -> None:
    region = Region(PRESSED)

    assert region.handle(TakeFailed("t1", "no_microphone", "No microphone.")) == []
    assert region.problems == {"microphone": "No microphone."}
    assert region.handle(KeyPressed("key", "t2")) == [StartCapture("t2")]


# --- any order ----------------------------------------------------------------------------------------------

OWNERS = st.sampled_from(["key", "other"])
MANNERS = st.sampled_from([Manner("hold"), TOGGLE, HYBRID])
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("press"), OWNERS, MANNERS),
        st.tuples(st.just("toggle"), OWNERS),
        st.tuples(st.just("release"), OWNERS),
        st.tuples(st.just("lost"), OWNERS),
        st.tuples(st.sampled_from(["cancel", "shut", "allow", "due", "hang"])),
        st.tuples(
            st.just("ear"), st.sampled_from(["open", "end", "cap", "gone", "words", "doubt", "none", "fail"])
        ),
    ),
    max_size=40,
)


class FakeEar:
    """Does what it is told, as the real one would, when `advance` says so; one microphone, many takes."""

    def __init__(self) -> None:
        self.capturing: str | None = None
        self.asked_to_end = False
        self.recognising: list[str] = []
        self.started: list[str] = []
        self.ended: list[str] = []

    def take(self, effect: Effect) -> None:
        match effect:
            case StartCapture(take_id=take_id):
                assert self.capturing is None, "two takes have the microphone"
                self.capturing, self.asked_to_end = take_id, False
                self.started.append(take_id)
            case StopCapture(take_id=take_id) | CancelCapture(take_id=take_id):
                self.asked_to_end = self.asked_to_end or take_id == self.capturing
            case RecogniseAgain(take_id=take_id):
                self.recognising.append(take_id)
            case _:
                pass

    def advance(self, what: str) -> Event | None:
        if what == "open" and self.capturing:
            return CaptureOpened(self.capturing, "m", 0.0)
        if what in {"end", "cap", "gone"} and self.capturing:
            if what == "end" and not self.asked_to_end:
                return None
            take_id, self.capturing = self.capturing, None
            self.recognising.append(take_id)
            cause = {"end": "released", "cap": "cap", "gone": "device_lost"}[what]
            return CaptureEnded(take_id, cause, 1.0, 1.0, 0)
        if what in {"words", "doubt", "none", "fail"} and self.recognising:
            take_id = self.recognising.pop(0)
            self.ended.append(take_id)
            endings: dict[str, Event] = {
                "words": said("Call Bob", 0.9, take_id),
                "doubt": said("Call Bob", 0.5, take_id),
                "none": TakeEmpty(take_id, "no_speech"),
                "fail": TakeFailed(take_id, "recognition_failed", "It failed."),
            }
            return endings[what]
        return None

    def hang(self) -> None:
        self.capturing, self.asked_to_end = None, False
        self.recognising.clear()


@given(STEPS)
def test_no_order_of_events_leaves_the_microphone_open_or_a_take_twice_a_command(
    steps: list[tuple[str, ...]],
) -> None:
    region, ear, commands = Region(), FakeEar(), list[str]()

    def happen(event: Event | str | None, now: float) -> None:
        effects = [] if event is None else region.handle(event, now)
        for effect in effects:
            ear.take(effect)
        commands.extend(enqueued(effects))
        assert (region.listening.capture == "idle") is (ear.capturing is None)
        assert region.listening.take_id == ear.capturing

    now = 0.0
    for number, (what, *more) in enumerate(steps):
        now += 0.2
        owner = more[0] if more else ""
        match what:
            case "press":
                happen(KeyPressed(owner, f"t{number}", more[1]), now)  # type: ignore[arg-type]
            case "toggle":
                happen(KeyToggled(owner, f"t{number}", TOGGLE), now)
            case "release":
                happen(KeyReleased(owner), now)
            case "lost":
                happen(KeyLost(owner, "gone"), now)
            case "cancel":
                happen(TakeCancelRequested("key"), now)
            case "shut" | "allow":
                happen(MicrophoneForbidden(shut=what == "shut"), now)
            case "due":
                doubt = region.listening.doubt
                happen(None if doubt is None else ConfirmationDue(doubt.take_id), now)
            case "hang":
                ear.hang()
                happen(LOST, now)
            case _:
                happen(ear.advance(owner), now)

    # Everybody lets go, and the ear does what it still owes: then all is over.
    for owner in ("key", "other"):
        happen(KeyReleased(owner), now)
    happen(MicrophoneForbidden(shut=True), now + 9)
    for _ in range(100):
        for what in ("end", "none"):
            happen(ear.advance(what), now + 9)
    assert ear.capturing is None
    assert region.listening.is_idle
    assert len(commands) == len(set(commands))
