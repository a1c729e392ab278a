"""The policy as tables: what came before, an event, what is done about it."""

from __future__ import annotations

from typing import Literal

import pytest
from support.reports import opened, recognised

from omniid.assistant import Assistant, AssistantSettings, Hotkey
from omniid.effects import (
    Announce,
    CancelCapture,
    Decide,
    Effect,
    Enqueue,
    ExpireOverdue,
    ForgetTake,
    Move,
    ProbeStorage,
    RecordWhatFailed,
    RememberMuted,
    ReplaceEar,
    SendNext,
    Speak,
    StartCapture,
    StopCapture,
    StopSpeech,
    SweepTakes,
)
from omniid.events import (
    AnswerUnwanted,
    AttemptBegun,
    ClockTicked,
    CommandEdited,
    CommandFound,
    CommandMoved,
    CommandQueued,
    CommandRefused,
    CommandRejected,
    CommandSettled,
    CommandUncertain,
    CommandWritten,
    Event,
    FateDecided,
    HotkeyChanged,
    HushRequested,
    KeyPressed,
    KeyReleased,
    LateReplyArrived,
    LineServed,
    LinkDialling,
    LinkLost,
    LinkOpened,
    LinkSpoilt,
    LinkStopped,
    Manner,
    MessageArrived,
    NotificationsNoted,
    QuestionAsked,
    QuestionClosed,
    ServerDedupes,
    SpeechRequested,
    StorageFailed,
    StorageWorks,
    TakeCancelRequested,
    VoiceMuted,
    WindowGrew,
    WorkerFailed,
    WorkerStood,
    WriteFailed,
)
from omniid.fate import State
from omniid.listening import ListeningSettings
from omniid.protocol.chat import Note, Outcome, Reply
from omniid.voice import SpeakWhen
from omniid.workers.channel import (
    MOUTH_LOST,
    CaptureEnded,
    MicrophoneKept,
    ModelReady,
    RecogniserNoted,
    SpeechFailed,
    SpeechFinished,
    SpeechStarted,
    TakeEmpty,
    TakeFailed,
    TakeRecognised,
)

IDLE_S = 300.0
PRESSED = KeyPressed("key", "t1")
RELEASED = KeyReleased("key")
ENDED = CaptureEnded("t1", "released", 1.0, 1.0, 0)
ASKED = SpeechRequested("u1", "Hi")
STARTED = SpeechStarted("u1", 1.0, "speaker")
SENT = Reply("done", "Sent.", 95)


def after(*events: Event, when: SpeakWhen = "always") -> Assistant:
    """An assistant that has seen these."""
    assistant = Assistant(AssistantSettings(when, IDLE_S))
    for event in events:
        assistant.handle(event, 0.0)
    return assistant


def said(text: str, command_id: str | None = None, number: int = 1) -> Speak:
    """The `number`th thing that omniid itself had to say."""
    return Speak(f"u{number}", text, command_id)


def settled(command_id: str = "c1", outcome: Outcome = "done", content: str = "Sent.") -> CommandSettled:
    return CommandSettled(command_id, Reply(outcome, content, 95))


# --- the key ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "silences"),
    [
        pytest.param([], False, id="nothing is being said"),
        pytest.param([ASKED, STARTED], True, id="it speaks"),
        pytest.param([SpeechRequested("u1", "Hi")], True, id="it is about to speak"),
        pytest.param(
            [SpeechRequested("u1", "A"), SpeechRequested("u2", "B"), STARTED, SpeechFinished("u1", "spoken")],
            True,
            id="one thing is said and another follows",
        ),
        pytest.param(
            [SpeechRequested("u1", "A"), STARTED, SpeechFinished("u1", "spoken")], False, id="all is said"
        ),
        pytest.param([SpeechRequested("u1", "A"), SpeechFailed("u1", "x", "y")], False, id="it failed"),
        pytest.param(
            [
                SpeechRequested("u1", "A"),
                STARTED,
                SpeechFailed("u1", MOUTH_LOST, "x"),
                WorkerFailed("mouth", "x"),
            ],
            False,
            id="the mouth died",
        ),
        pytest.param([SpeechRequested("u1", "A"), HushRequested()], False, id="it was hushed"),
        pytest.param(
            [
                SpeechRequested("u1", "A"),
                HushRequested(),
                SpeechRequested("u2", "B"),
                SpeechFinished("u1", "stopped"),
            ],
            True,
            id="the late end of a hushed text is not the end of the next",
        ),
    ],
)
def test_the_key_pressed_while_it_speaks_silences_it_at_once(before: list[Event], silences: bool) -> None:
    effects = after(*before).handle(PRESSED, 0.0)

    assert effects == [*([StopSpeech()] if silences else []), StartCapture("t1")]


# --- the take -----------------------------------------------------------------------------------------------


def test_a_take_is_listening_only_once_the_microphone_gives_sound() -> None:
    assistant = after(PRESSED)
    assert assistant.snapshot().capture == "opening"
    assistant.handle(opened("t1"), 0.0)
    assert assistant.snapshot().capture == "listening"
    assistant.handle(ENDED, 0.0)
    assert (assistant.snapshot().capture, assistant.snapshot().headline) == ("idle", "recognising")


def test_what_was_said_becomes_a_command_with_how_it_was_heard() -> None:
    effects = after(PRESSED, opened("t1"), ENDED).handle(recognised("t1", "Send it"), 0.0)

    metadata = {"confidence": 0.912, "language": "en", "durationSeconds": 1.95, "model": "tiny.en"}
    assert effects == [Enqueue("t1", "Send it", metadata)]


def test_nothing_heard_is_never_a_command() -> None:
    assistant = after(PRESSED, ENDED)

    assert assistant.handle(TakeEmpty("t1", "no_speech"), 0.0) == [ForgetTake("t1")]
    assert assistant.snapshot().headline == "offline"


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        (TakeFailed("t1", "no_microphone", "No microphone."), {"microphone": "No microphone."}),
        (TakeFailed("t1", "model_missing", "No model."), {"recognition": "No model."}),
        (CommandRefused("t1", "outbox_full", "Full."), {}),
    ],
    ids=["no microphone", "no model", "no room"],
)
def test_a_take_that_came_to_nothing_is_told(
    event: TakeFailed | CommandRefused, problem: dict[str, str]
) -> None:
    assistant = after(PRESSED, ENDED)

    assert assistant.handle(event, 0.0) == [said(event.message)]
    assert assistant.snapshot().problems == problem


def test_a_microphone_that_works_again_is_no_problem_any_more() -> None:
    assistant = after(
        PRESSED, TakeFailed("t1", "no_microphone", "No."), KeyPressed("key", "t2"), opened("t2")
    )

    assert assistant.snapshot().problems == {}


def test_an_ear_lost_twice_in_mid_take_loses_the_take_and_says_so() -> None:
    assistant = after(PRESSED, WorkerFailed("ear", "It hung."))

    given_up, told = assistant.handle(WorkerFailed("ear", "It hung."), 0.0)

    assert isinstance(given_up, Announce)
    assert isinstance(told, Speak)
    assert assistant.snapshot().capture == "idle"
    assert assistant.snapshot().recognising == 0
    assert assistant.snapshot().problems == {"ear": "It hung.", "recognition": told.text}
    assert assistant.handle(WorkerStood("ear", 7), 0.0) == []
    assert assistant.snapshot().problems == {"recognition": told.text}
    assert assistant.handle(KeyPressed("key", "t2"), 0.0)[-1] == StartCapture("t2")


def test_an_idle_ear_is_replaced_in_silence() -> None:
    assert after().handle(WorkerFailed("ear", "It hung."), 0.0) == []


# --- the link and the line ----------------------------------------------------------------------------------

READY = LinkOpened(1, 1)
SEND = SendNext(1, 1)
QUEUED = CommandQueued("c1", "text", "Send it")
VOICE = CommandQueued("c1", "voice", "Send it", "t1")
BEGUN = AttemptBegun("c1", "text")


@pytest.mark.parametrize(
    ("before", "event", "effects"),
    [
        pytest.param([], READY, [SEND], id="an open link asks for the first of the line"),
        pytest.param([READY], QUEUED, [SEND], id="a command goes out at once"),
        pytest.param([], QUEUED, [], id="offline it waits"),
        pytest.param([READY, BEGUN], CommandQueued("c2", "text", "x"), [], id="one in flight is enough"),
        pytest.param(
            [READY, BEGUN], WindowGrew(16), [SendNext(15, 1)], id="a window that grew lets more out"
        ),
        pytest.param(
            [LinkOpened(1, 2), BEGUN], AttemptBegun("c2", "text"), [], id="a full window takes no more"
        ),
        pytest.param(
            [LinkOpened(7, 2), BEGUN], LineServed(1, 1), [SendNext(1, 7)], id="room left asks for the next"
        ),
        pytest.param([LinkOpened(1, 2)], LineServed(2, 0), [], id="an empty line is not asked again"),
        pytest.param(
            [READY], ServerDedupes(), [SendNext(1, 1, dedupes=True)], id="what may be repeated goes"
        ),
        pytest.param([READY, LinkLost("x", 1.0)], QUEUED, [], id="a lost link takes nothing"),
        pytest.param([READY, LinkSpoilt("x")], QUEUED, [], id="a spoilt link takes nothing"),
        pytest.param([READY, LinkDialling("x")], QUEUED, [], id="a dialling link takes nothing"),
        pytest.param([READY, LinkStopped("x", needs_token=True)], QUEUED, [], id="nor does a stopped one"),
        pytest.param(
            [READY, BEGUN], CommandWritten("c1", "{}"), [Move("c1", State.WAITING)], id="written: it waits"
        ),
        pytest.param(
            [READY, BEGUN, settled()], CommandWritten("c1", "{}"), [], id="written after its answer came"
        ),
        pytest.param(
            [READY, BEGUN, WriteFailed("c1")],
            CommandQueued("c2", "text", "x"),
            [SEND],
            id="a failed write leaves room",
        ),
    ],
)
def test_the_line(before: list[Event], event: Event, effects: list[Effect]) -> None:
    assert after(*before, when="never").handle(event, 0.0) == effects


def test_a_failed_write_puts_the_command_back_and_does_not_try_in_a_hot_loop() -> None:
    (move,) = after(READY, BEGUN).handle(WriteFailed("c1"), 0.0)

    assert isinstance(move, Move)
    assert (move.command_id, move.to) == ("c1", State.QUEUED)


@pytest.mark.parametrize(
    ("outcome", "state"),
    [("done", State.DONE), ("failed", State.FAILED)],
)
def test_an_answer_settles_is_spoken_and_lets_the_next_one_out(outcome: Outcome, state: State) -> None:
    event = settled(outcome=outcome)

    effects = after(READY, BEGUN).handle(event, 0.0)

    assert effects == [Move("c1", state, reply=event.reply), said("Sent.", "c1"), SEND]


def test_an_uncertain_command_is_recorded_and_told_and_not_resent() -> None:
    move, speak = after(READY, BEGUN).handle(CommandUncertain("c1", "the link was lost"), 0.0)

    assert move == Move("c1", State.UNCERTAIN, "the link was lost")
    assert isinstance(speak, Speak)


def test_a_command_that_a_server_knows_by_its_id_goes_back_into_the_line_quietly() -> None:
    (move,) = after(READY, BEGUN).handle(CommandUncertain("c1", "lost", repeatable=True), 0.0)

    assert isinstance(move, Move)
    assert move.to is State.QUEUED


def test_a_rejected_command_is_told() -> None:
    effects = after(READY, BEGUN).handle(CommandRejected("c1", "too big"), 0.0)

    assert effects == [Move("c1", State.REJECTED, "too big"), said("Not done: too big.")]


def test_a_late_answer_settles_an_uncertain_command_and_is_spoken_once() -> None:
    assistant = after(READY, BEGUN, CommandUncertain("c1", "lost"), CommandMoved("c1", State.UNCERTAIN))
    late = LateReplyArrived("c1", SENT)
    move = Move("c1", State.DONE, reply=SENT)

    assistant.handle(SpeechFinished("u1", "spoken"), 0.0)
    assert assistant.handle(late, 0.0) == [move, said("Sent.", "c1", 2)]
    assert assistant.handle(late, 0.0) == [move]


@pytest.mark.parametrize(
    "before",
    [
        pytest.param([READY], id="another device's command"),
        pytest.param([READY, BEGUN, settled()], id="a command that has its answer"),
        pytest.param(
            [READY, BEGUN, CommandUncertain("c1", "lost"), CommandMoved("c1", State.DROPPED)],
            id="a command that was given up",
        ),
        pytest.param(
            [READY, BEGUN, CommandUncertain("c1", "lost"), BEGUN, settled()], id="one that was sent again"
        ),
    ],
)
def test_an_answer_nobody_waits_for_is_not_spoken(before: list[Event]) -> None:
    effects = after(*before).handle(LateReplyArrived("c1", SENT), 0.0)

    assert not [effect for effect in effects if isinstance(effect, Speak)]


# --- the voice ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "kind", "spoken"),
    [
        ("always", "voice", True),
        ("always", "text", True),
        ("voice", "voice", True),
        ("voice", "text", False),
        ("never", "voice", False),
        ("never", "text", False),
    ],
)
def test_answers_are_spoken_as_the_user_wants(
    when: SpeakWhen, kind: Literal["voice", "text"], spoken: bool
) -> None:
    effects = after(READY, AttemptBegun("c1", kind), when=when).handle(settled(), 0.0)

    assert (said("Sent.", "c1") in effects) is spoken


def test_nothing_is_said_into_the_users_words() -> None:
    effects = after(READY, BEGUN, PRESSED).handle(settled(), 0.0)

    assert not [effect for effect in effects if isinstance(effect, Speak)]


@pytest.mark.parametrize("when", ["always", "voice", "never"])
def test_what_the_user_wants_said_is_said(when: SpeakWhen) -> None:
    effects = after(when=when).handle(SpeechRequested("u1", "Hi"), 0.0)

    assert effects == [Speak("u1", "Hi", in_history=False)]


def test_a_hush_silences() -> None:
    assert after().handle(HushRequested(), 0.0) == [StopSpeech()]


@pytest.mark.parametrize(
    ("before", "event", "told"),
    [
        pytest.param([], VOICE, True, id="a spoken command, offline"),
        pytest.param([LinkDialling("x")], VOICE, True, id="a spoken command, still connecting"),
        pytest.param([READY], VOICE, False, id="a spoken command, online"),
        pytest.param([], QUEUED, False, id="a typed one: its caller is told otherwise"),
        pytest.param([], CommandQueued("c1", "voice", "x", again=True), False, id="one the user sends again"),
    ],
)
def test_a_spoken_command_that_has_to_wait_is_told(before: list[Event], event: Event, told: bool) -> None:
    effects = after(*before).handle(event, 0.0)

    assert any(isinstance(effect, Speak) and "offline" in effect.text for effect in effects) is told


# --- the house ----------------------------------------------------------------------------------------------


def test_a_tick_expires_what_is_overdue() -> None:
    assert after().handle(ClockTicked(), 0.0) == [SweepTakes(), ExpireOverdue()]
    assert after(READY).handle(ClockTicked(), 0.0) == [SweepTakes(), ExpireOverdue(), SEND]


def test_an_ear_that_was_used_is_replaced_once_it_has_been_idle_long_enough() -> None:
    assistant = after(PRESSED, opened("t1"), ENDED)
    assert ReplaceEar() not in assistant.handle(ClockTicked(), 10_000.0)  # it is recognising
    assistant.handle(recognised("t1"), 100.0)

    assert ReplaceEar() not in assistant.handle(ClockTicked(), 100.0 + IDLE_S - 1)
    assert ReplaceEar() in assistant.handle(ClockTicked(), 100.0 + IDLE_S)
    assert ReplaceEar() not in assistant.handle(ClockTicked(), 100.0 + 2 * IDLE_S)


def test_an_ear_is_not_replaced_under_the_users_words() -> None:
    assistant = after(PRESSED, ENDED, recognised("t1"), KeyPressed("key", "t2"))

    assert ReplaceEar() not in assistant.handle(ClockTicked(), 10_000.0)


def test_a_storage_problem_is_shown_until_the_disk_is_seen_to_take_words_again() -> None:
    assistant = after(StorageFailed("Full."))
    assert assistant.handle(ClockTicked(), 0.0)[0] == ProbeStorage()
    assert assistant.snapshot().problems == {"storage": "Full."}
    assert assistant.handle(StorageWorks(), 0.0) == [RecordWhatFailed()]
    assert assistant.snapshot().problems == {}
    assert ProbeStorage() not in assistant.handle(ClockTicked(), 0.0)


@pytest.mark.parametrize(
    ("before", "headline"),
    [
        ([], "offline"),
        ([LinkDialling("x")], "offline"),
        ([READY], "ready"),
        ([LinkStopped("x", needs_token=True)], "waiting for a token"),
        ([LinkStopped("x", needs_token=False)], "stopped"),
        ([READY, BEGUN], "waiting for an answer"),
        ([READY, BEGUN, ASKED, STARTED], "speaking"),
        ([READY, ASKED, STARTED, PRESSED, ENDED], "recognising"),
        ([READY, ASKED, STARTED, PRESSED], "listening"),
    ],
)
def test_one_headline_is_derived_from_the_rest(before: list[Event], headline: str) -> None:
    assert after(*before).snapshot().headline == headline


def test_the_snapshot_says_why_there_is_no_link() -> None:
    snapshot = after(READY, LinkLost("the server closed the link", 1.0)).snapshot()
    assert (snapshot.link, snapshot.link_reason) == ("waiting", "the server closed the link")
    assert after(LinkLost("x", 1.0), READY).snapshot().link_reason is None


def test_a_reply_that_comes_while_the_user_talks_is_spoken_afterwards() -> None:
    assistant = after(LinkOpened(1, 1), AttemptBegun("c1", "voice"), PRESSED)
    settled = assistant.handle(CommandSettled("c1", SENT), 0.0)
    assert not any(isinstance(effect, Speak) for effect in settled)
    assert assistant.handle(RELEASED, 0.0) == [StopCapture("t1")]
    assert assistant.snapshot().capture == "closing"
    assert assistant.handle(ENDED, 0.0) == [said("Sent.", "c1")]
    assert assistant.handle(TakeEmpty("t1", "no_speech"), 0.0) == [ForgetTake("t1")]


def test_words_of_a_cancelled_take_that_were_on_their_way_are_no_command() -> None:
    assistant = after(PRESSED, RELEASED, ENDED)
    assert assistant.handle(TakeCancelRequested("key"), 0.0) == [CancelCapture("t1")]
    assert assistant.handle(TakeCancelRequested("key"), 0.0) == []
    late = TakeRecognised("t1", "send it", 0.9, "en", 1.0, 1.0, "tiny.en", 0.0, 0.1)
    assert assistant.handle(late, 0.0) == [ForgetTake("t1")]


def test_a_question_is_asked_aloud_and_shown() -> None:
    settings = ListeningSettings(accept=0.95)
    assistant = Assistant(AssistantSettings("always", IDLE_S), listening=settings)
    for event in (PRESSED, RELEASED, ENDED):
        assistant.handle(event, 0.0)

    effects = assistant.handle(recognised("t1", "Send it"), 0.0)

    assert said("Did you say: Send it") in effects
    assert assistant.snapshot().confirming == "Send it"
    assert assistant.snapshot().headline == "asking you"


@pytest.mark.parametrize("speak", [True, False])
def test_a_key_may_want_no_spoken_answers(speak: bool) -> None:
    key = KeyPressed("key", "t1", Manner(speak=speak))
    before: list[Event] = [LinkOpened(1, 1), key, RELEASED, ENDED, recognised("t1"), VOICE]
    assistant = after(*before, AttemptBegun("c1", "voice"))

    assert (said("Sent.", "c1") in assistant.handle(settled(), 0.0)) is speak


def test_what_the_ear_and_the_key_say_of_themselves_is_shown() -> None:
    assistant = after(
        ModelReady("tiny.en", "cpu", "int8", 0.4, "CUDA failed."),
        MicrophoneKept(is_open=True, device="Desk microphone"),
        HotkeyChanged("x11", sees_releases=True),
    )
    snapshot = assistant.snapshot()
    assert (snapshot.model, snapshot.microphone) == ("tiny.en on cpu (int8)", "kept open")
    assert snapshot.hotkey == Hotkey("x11", sees_releases=True)
    assert snapshot.problems == {"recogniser": "CUDA failed."}

    assistant.handle(WorkerFailed("ear", "It hung."), 0.0)
    assistant.handle(RecogniserNoted(None), 0.0)
    assistant.handle(HotkeyChanged(None, advice="Bind it yourself."), 0.0)

    snapshot = assistant.snapshot()
    assert (snapshot.model, snapshot.microphone) == (None, "closed")
    assert snapshot.problems == {"ear": "It hung.", "hotkey": "Bind it yourself."}


def test_a_model_that_is_to_be_kept_is_never_unloaded() -> None:
    assistant = Assistant(AssistantSettings("always", None))
    for event in (PRESSED, opened("t1"), ENDED, recognised("t1")):
        assistant.handle(event, 0.0)

    assert ReplaceEar() not in assistant.handle(ClockTicked(), 1e6)


def test_a_muted_voice_stops_says_nothing_and_is_remembered() -> None:
    assistant = after(READY, BEGUN, ASKED, STARTED)

    assert assistant.handle(VoiceMuted(muted=True), 0.0) == [StopSpeech(), RememberMuted(muted=True)]
    assert said("Sent.", "c1") not in assistant.handle(settled(), 0.0)
    assert assistant.snapshot().muted
    assert assistant.handle(VoiceMuted(muted=False), 0.0) == [RememberMuted(muted=False)]
    assert assistant.handle(CommandRejected("c2", "too big"), 0.0)[-1] == said("Not done: too big.")


NOTICE = Note("notification", "notification", "New mail", sender="system")


def arrived(note: Note | None = NOTICE, about: str | None = "c1") -> MessageArrived:
    return MessageArrived("notification", "New mail", {}, note, about)


@pytest.mark.parametrize(
    ("when", "kind", "message", "is_said"),
    [
        ("voice", "voice", arrived(), True),
        ("voice", "text", arrived(), False),
        ("voice", "voice", arrived(about=None), False),
        ("always", "text", arrived(), True),
        ("always", "text", arrived(about=None), True),
        ("always", "text", arrived(note=None), True),  # an answer that nobody waits for
        ("never", "voice", arrived(), False),
        ("always", "voice", arrived(Note("partial", "thinking", "Looking")), False),
        ("always", "voice", arrived(Note("message", "text", "Hi", sender="user")), False),
    ],
)
def test_what_the_server_says_unasked_is_spoken_as_the_user_wants(
    when: SpeakWhen, kind: Literal["voice", "text"], message: MessageArrived, is_said: bool
) -> None:
    assistant = Assistant(AssistantSettings("always", IDLE_S, when))
    for event in (READY, CommandQueued("c1", kind, "Send it")):
        assistant.handle(event, 0.0)

    assert bool(assistant.handle(message, 0.0)) is is_said


def test_what_the_user_decides_of_an_uncertain_command_is_done() -> None:
    assert after().handle(FateDecided("c1", again=True), 0.0) == [Decide("c1", again=True)]


def test_what_keeps_notices_from_being_shown_is_a_problem_until_they_are_shown_again() -> None:
    assistant = after(NotificationsNoted("There is no session bus."))
    assert assistant.snapshot().problems == {"notifications": "There is no session bus."}
    assistant.handle(NotificationsNoted(None), 0.0)
    assert assistant.snapshot().problems == {}


ASKS = Reply("needs_auth", "Please sign in.", 80, auth_url="https://a.example/x")


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ([CommandQueued("c1", "voice", "Call Ann")], True),
        ([CommandFound("c1", "voice", "Call Ann", State.QUEUED)], True),
        ([CommandQueued("c1", "voice", "Call Bob"), CommandEdited("c1", "Call Ann")], True),
        ([CommandQueued("c1", "text", "Call Ann")], False),
        ([CommandFound("c1", "text", "Call Ann", State.QUEUED)], False),
        (
            [
                CommandQueued("c1", "voice", "Call Ann"),
                AttemptBegun("c1", "voice"),
                CommandSettled("c1", ASKS),
            ],
            False,  # the sign-in tells
        ),
    ],
)
def test_a_spoken_command_that_was_not_sent_in_time_is_told_aloud(before: list[Event], said: bool) -> None:
    assistant = after(READY, *before)
    for effect in assistant.handle(CommandMoved("c1", State.EXPIRED), 0.0):
        if isinstance(effect, Speak) and "was not sent" in effect.text:
            assert said
            assert effect.text.startswith("“Call Ann”")
            return
    assert not said


def test_many_that_expire_at_once_are_told_once() -> None:
    assistant = after(READY, *(CommandQueued(f"c{number}", "voice", "Call Ann") for number in range(5)))
    assistant.handle(ASKED, 0.0)
    told = [
        effect
        for number in range(5)
        for effect in assistant.handle(CommandMoved(f"c{number}", State.EXPIRED), 0.0)
    ]
    assert not told  # while something is said
    over = assistant.handle(SpeechFinished("u1", "spoken"), 1.0)
    assert [type(effect) for effect in over] == [Speak]
    assert over[0].text.startswith("“Call Ann”, and 4 more of what you said,")  # type: ignore[union-attr]
    assert assistant.handle(SpeechFinished(over[0].utterance_id, "spoken"), 2.0) == []  # type: ignore[union-attr]


def test_what_a_silent_key_said_is_not_read_aloud_when_it_expires() -> None:
    assistant = after(
        READY, KeyPressed("key", "t1", manner=Manner(speak=False)), opened("t1"), RELEASED, ENDED
    )
    assistant.handle(recognised("t1"), 0.0)
    assistant.handle(CommandQueued("c1", "voice", "Buy the surprise", "t1"), 0.0)
    told = assistant.handle(CommandMoved("c1", State.EXPIRED), 0.0)
    assert not [effect for effect in told if isinstance(effect, Speak)]


def test_a_long_command_that_expires_is_told_in_short() -> None:
    assistant = after(READY, CommandQueued("c1", "voice", "buy milk " * 900))
    (said,) = [
        each for each in assistant.handle(CommandMoved("c1", State.EXPIRED), 0.0) if isinstance(each, Speak)
    ]
    assert len(said.text) < 200


@pytest.mark.parametrize("over", [LinkLost("it broke", 1.0), LinkStopped("refused", needs_token=True)])
def test_a_question_of_no_command_goes_with_its_link(over: Event) -> None:
    assistant = after(READY, QuestionAsked(None, "intervention", "Really send it?", {}, "s", "1"))
    assert Announce(QuestionClosed("q1")) in assistant.handle(over, 0.0)
    assert assistant.snapshot().headline != "asking you"


def test_who_calls_a_command_off_hears_no_more_of_its_question() -> None:
    asked = QuestionAsked("c1", "intervention", "Really send it?", {}, "s", "1")
    assistant = after(READY, CommandQueued("c1", "voice", "Send it"), AttemptBegun("c1", "voice"), asked)
    assert Announce(QuestionClosed("q1")) in assistant.handle(AnswerUnwanted("c1"), 0.0)
    assert not assistant.questions
