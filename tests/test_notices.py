"""Which event shows which notice, and what a click on it means."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniid.events import (
    AnswerAcknowledged,
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
    ConfirmationAnswered,
    ConfirmationAsked,
    Event,
    FateDecided,
    LateReplyArrived,
    LinkDialling,
    LinkLost,
    LinkOpened,
    LinkStopped,
    MessageArrived,
    PageOpened,
    QuestionAnswered,
    QuestionClosed,
    QuestionExpired,
    QuestionNotAnswered,
    QuestionPosed,
    QuestionReplied,
    SettledHere,
    SignInEnded,
    SignInRefused,
    SignInReopened,
    SignInStarted,
    TakeGivenUp,
    TakesFound,
    WorkerFailed,
)
from omniid.fate import State
from omniid.notice_board import Notice, Wanted, Withdraw
from omniid.notices import Notices, NoticeSettings, Replies
from omniid.notifications import text
from omniid.protocol.chat import Note, Outcome, Reply
from omniid.wording import takes_found
from omniid.workers.channel import (
    MOUTH_LOST,
    CaptureEnded,
    CaptureOpened,
    SpeechFailed,
    SpeechStarted,
    TakeEmpty,
    TakeFailed,
)

ONLINE = LinkOpened(1, 1)
SAID = CommandQueued("c1", "voice", "Turn on the light.", "t1")
TYPED = CommandQueued("c2", "text", "Turn on the light.")
YES_NO = (("yes", "Yes"), ("no", "No"))
APPROVAL = QuestionPosed("q1", "approval", "Send the letter?", "c1", again=False)
INTERVENTION = QuestionPosed("q2", "intervention", "Call Anna?", "c1", again=False)
SIGN_IN = SignInStarted("s1", "https://a.example/x", "https://a.example/x", "Sign in to the calendar.", None)
OPEN_PAGE = (("default", "Open the page"), ("open", "Open the page"))
STARTS = CaptureOpened("t1", "mic", 0.0)
ENDS = CaptureEnded("t1", "released", 1.0, 1.0, 0)


def reply(outcome: Outcome = "done", content: str = "It is on.") -> Reply:
    return Reply(outcome, content, 95)


def message(content: str, **note: Any) -> MessageArrived:
    fields = {"kind": "notification", "type": "notification", "category": "info", **note}
    return MessageArrived(fields["kind"], content, {}, Note(content=content, **fields), None)


def notices(*events: Event, replies: Replies = "voice", listening: bool = False) -> Notices:
    """Online, and after these events."""
    one = Notices(NoticeSettings(replies, listening))
    for event in (ONLINE, *events):
        one.on(event)
    return one


def said(title: str, body: str, *, transient: bool = False) -> list[Wanted]:
    return [Notice("conversation", title, body, transient=transient)]


def expired(*lines: str) -> Notice:
    last = "It has waited for too long. Say it again if you still want it."
    return Notice("expired", "This was not sent", "\n".join([*lines, last]))


GONE: list[Wanted] = [Withdraw("conversation")]


@pytest.mark.parametrize(
    ("before", "event", "wanted"),
    [
        pytest.param([], SAID, said("You said", "Turn on the light."), id="said"),
        pytest.param([], TYPED, [], id="typed"),
        pytest.param(
            [LinkLost("it broke", 1.0)],
            SAID,
            said("Waiting until I am back online", "Turn on the light."),
            id="said while the link is lost",
        ),
        pytest.param(
            [LinkLost("it broke", 1.0), LinkDialling("wss://a")],
            SAID,
            said("Waiting until I am back online", "Turn on the light."),
            id="said while the link is dialled",
        ),
        pytest.param(
            [LinkStopped("no token", needs_token=True)],
            SAID,
            said("Waiting until I am back online", "Turn on the light."),
            id="said while the link has stopped",
        ),
        pytest.param(
            [LinkLost("it broke", 1.0), SAID, ONLINE],
            AttemptBegun("c1", "voice"),
            said("You said", "Turn on the light."),
            id="what waited goes out",
        ),
        pytest.param([SAID], AttemptBegun("c1", "voice"), [], id="it goes out at once"),
        pytest.param([SAID], CommandSettled("c1", reply()), said("omniid", "It is on."), id="done"),
        pytest.param(
            [SAID],
            CommandSettled("c1", reply("failed", "There is no light.")),
            said("That did not work", "There is no light."),
            id="failed",
        ),
        pytest.param([SAID], CommandSettled("c1", reply("needs_auth")), [], id="needs a sign-in"),
        pytest.param([TYPED], CommandSettled("c2", reply()), [], id="the answer to a typed one"),
        pytest.param([], CommandSettled("c3", reply()), [], id="the answer to one of another time"),
        pytest.param([SAID], LateReplyArrived("c1", reply()), said("omniid", "It is on."), id="late"),
        pytest.param(
            [AttemptBegun("c1", "voice")],
            LateReplyArrived("c1", reply()),
            said("omniid", "It is on."),
            id="queued before we started",
        ),
        pytest.param([], SettledHere("c1", "voice", reply()), said("omniid", "It is on."), id="done here"),
        pytest.param([SAID], AnswerUnwanted("c1"), GONE, id="called off"),
        pytest.param([SAID, AnswerUnwanted("c1")], CommandSettled("c1", reply()), [], id="unwanted"),
        pytest.param([SAID], CommandMoved("c1", State.CANCELLED), GONE, id="cancelled in the line"),
        pytest.param([SAID], CommandMoved("c9", State.CANCELLED), [], id="another one is cancelled"),
        pytest.param([SAID], CommandMoved("c1", State.SENDING), [], id="on its way"),
        pytest.param(
            [SAID],
            CommandMoved("c1", State.EXPIRED),
            [*GONE, expired("“Turn on the light.”")],
            id="expired",
        ),
        pytest.param([TYPED], CommandMoved("c2", State.EXPIRED), [], id="a typed one expired"),
        pytest.param(
            [SAID],
            CommandRejected("c1", "the server refused its frame (1009)"),
            said("That did not work", "Not done: the server refused its frame (1009)."),
            id="rejected",
        ),
        pytest.param([TYPED], CommandRejected("c2", "no"), [], id="a typed one rejected"),
        pytest.param(
            [],
            CommandRefused("t1", "outbox_full", "Too many wait."),
            said("That did not work", "Too many wait."),
            id="refused",
        ),
        pytest.param(
            [],
            TakeFailed("t1", "no_microphone", "No microphone."),
            said("That did not work", "No microphone."),
            id="take failed",
        ),
        pytest.param(
            [], TakeGivenUp("t1", "Given up."), said("That did not work", "Given up."), id="take given up"
        ),
        pytest.param(
            [],
            TakeEmpty("t1", "no_speech"),
            said("I heard nothing", "Nobody spoke.", transient=True),
            id="nobody spoke",
        ),
        pytest.param(
            [],
            TakeEmpty("t1", "something new"),
            said("I heard nothing", "There was nothing to understand.", transient=True),
            id="an unknown reason",
        ),
        pytest.param([], TakeEmpty("t1", "cancelled"), [], id="cancelled take"),
        pytest.param(
            [ConfirmationAsked("t0", "hello", "unsure")],
            TakeEmpty("t1", "too_short"),
            [],
            id="a tap says yes",
        ),
        pytest.param([], STARTS, [], id="listening is not shown"),
        pytest.param([], WorkerFailed("ear", "It ended."), [], id="a child ended"),
        pytest.param([], ClockTicked(), [], id="housekeeping"),
        pytest.param([], message("New mail"), [Notice("message:1", "Notice", "New mail")], id="message"),
        pytest.param(
            [], message("Hot!", category="warning"), [Notice("message:1", "Warning", "Hot!")], id="warning"
        ),
        pytest.param(
            [],
            message("Hi", kind="message", type="chat", category="smalltalk"),
            [Notice("message:1", "omniid", "Hi")],
            id="chat",
        ),
        pytest.param([], message("Hi", kind="message", sender="user"), [], id="the user's own words"),
        pytest.param([], message("Thinking", kind="partial"), [], id="news of work"),
        pytest.param([], message(""), [], id="no words"),
        pytest.param(
            [],
            MessageArrived("response", "It is on.", {}),
            [Notice("message:1", "omniid", "It is on.")],
            id="an answer nobody waits for",
        ),
    ],
)
def test_the_conversation(before: list[Event], event: Event, wanted: list[Wanted]) -> None:
    assert notices(*before).on(event) == wanted


def test_before_the_link_was_ever_open() -> None:
    (shown,) = Notices(NoticeSettings()).on(SAID)

    assert isinstance(shown, Notice)
    assert shown.title == "Waiting until I am back online"


@pytest.mark.parametrize(
    ("replies", "events", "wanted"),
    [
        ("always", [TYPED, CommandSettled("c2", reply())], said("omniid", "It is on.")),
        ("always", [SettledHere("c2", "text", reply())], said("omniid", "It is on.")),
        ("always", [TYPED, CommandRejected("c2", "no")], said("That did not work", "Not done: no.")),
        ("never", [SAID], []),
        ("never", [SAID, CommandSettled("c1", reply())], []),
        ("never", [message("New mail")], []),
        ("never", [LinkLost("it broke", 1.0), SAID], said("Waiting until I am back online", SAID.message)),
        ("never", [LinkLost("it broke", 1.0), SAID, ONLINE, AttemptBegun("c1", "voice")], GONE),
        ("never", [SAID, CommandRejected("c1", "no")], said("That did not work", "Not done: no.")),
    ],
)
def test_whose_replies_are_shown(replies: Replies, events: list[Event], wanted: list[Wanted]) -> None:
    assert notices(*events[:-1], replies=replies).on(events[-1]) == wanted


def test_listening_is_shown_to_those_who_want_it() -> None:
    one = notices(listening=True)

    assert one.on(STARTS) == said("I am listening", "", transient=True)
    assert one.on(ENDS) == GONE
    assert one.on(ENDS) == []


def test_the_end_of_a_capture_takes_away_no_other_notice() -> None:
    one = notices(STARTS, listening=True)
    one.on(SAID)

    assert one.on(ENDS) == []


def test_an_approval() -> None:
    one = notices()

    assert one.on(APPROVAL) == [
        Notice(
            "question:q1",
            "omniid asks",
            "Send the letter?",
            (("approve", "Approve"), ("reject", "Reject")),
        )
    ]
    assert one.answer("question:q1", "yes") is None
    assert one.answer("question:q1", "approve") == QuestionReplied("q1", None, "approve_all")
    assert one.answer("question:q1", "reject") is None  # one click is one answer
    assert one.on(QuestionAnswered("q1")) == [Withdraw("question:q1")]
    assert one.on(QuestionAnswered("q1")) == []


def test_a_step_of_a_draft() -> None:
    one = notices()
    posed = QuestionPosed("q1", "approval", "Plan a lunch", "c1", again=True, step="Book a table")

    assert one.on(posed) == [
        Notice(
            "question:q1",
            "Still waiting for your answer",
            "Plan a lunch\nNext step: Book a table",
            (("approve", "Approve this step"), ("reject", "Skip this step")),
        )
    ]
    assert one.answer("question:q1", "reject") == QuestionReplied("q1", action="reject_step")


def test_a_draft_is_refused() -> None:
    assert notices(APPROVAL).answer("question:q1", "reject") == QuestionReplied("q1", None, "cancel_all")


@pytest.mark.parametrize("key", ["yes", "no"])
def test_an_intervention(key: str) -> None:
    one = notices()

    assert one.on(INTERVENTION) == [
        Notice("question:q2", "omniid asks", "Call Anna?\nIn your words: omniid reply q2 …", YES_NO)
    ]
    assert one.answer("question:q2", key) == QuestionReplied("q2", key, None)


def test_a_reminder_takes_the_questions_place() -> None:
    one = notices(APPROVAL)
    one.answer("question:q1", "approve")
    (reminder,) = one.on(QuestionPosed("q1", "approval", "Send the letter?", "c1", again=True))

    assert isinstance(reminder, Notice)
    assert (reminder.tag, reminder.title) == ("question:q1", "Still waiting for your answer")
    assert one.answer("question:q1", "approve") is not None


def test_an_answer_that_did_not_get_through_may_be_given_again() -> None:
    one = notices(INTERVENTION)
    one.answer("question:q2", "yes")
    (again,) = one.on(QuestionNotAnswered("q2"))

    assert isinstance(again, Notice)
    assert again.title == "Your answer did not get through"
    assert again.actions == YES_NO
    assert one.answer("question:q2", "yes") == QuestionReplied("q2", "yes", None)
    assert one.on(QuestionNotAnswered("q7")) == []


def test_an_answer_that_the_server_does_not_take() -> None:
    one = notices()

    assert one.on(AnswerAcknowledged("s", "1", accepted=True, text="Thanks.")) == []
    assert one.on(AnswerAcknowledged("s", "1", accepted=False, text="That is over.")) == [
        Notice("answer", "Your answer was not taken", "That is over.")
    ]


def test_a_question_that_is_over() -> None:
    one = notices(APPROVAL, INTERVENTION)

    assert one.on(QuestionClosed("q2")) == [Withdraw("question:q2")]
    assert one.on(QuestionExpired("q1", "Send the letter?")) == [
        Notice("question:q1", "Too late to answer", "Send the letter?", transient=True)
    ]
    assert one.answer("question:q1", "approve") is None
    assert one.answer("question:q2", "yes") is None


@pytest.mark.parametrize(
    ("why", "because"),
    [
        ("unsure", "I am not sure that I heard it right."),
        ("cut_short", "The recording was cut short."),
        ("echo", "I had just said that myself."),
    ],
)
def test_a_confirmation(why: Any, because: str) -> None:
    one = notices()

    assert one.on(ConfirmationAsked("t1", "delete all", why)) == [
        Notice("confirmation", "Did you say this?", f"“delete all”\n{because}", YES_NO)
    ]
    assert one.answer("confirmation", "yes") == ConfirmationAnswered("t1", True, "notification")
    assert one.on(ConfirmationAnswered("t1", True, "notification")) == [Withdraw("confirmation")]


def test_what_was_not_sent_and_then_is() -> None:
    one = notices(ConfirmationAsked("t1", "call Ann", "unsure"), ConfirmationAnswered("t1", False, "timeout"))
    assert Withdraw("confirmation") in one.on(CommandQueued("c1", "voice", "call Ann", "t1"))


def test_what_an_earlier_run_left() -> None:
    (notice,) = notices().on(TakesFound(("t1",)))
    assert notice == Notice("takes-found", "What you said is kept", takes_found(1))


def test_a_no_to_a_confirmation() -> None:
    one = notices(ConfirmationAsked("t1", "delete all", "unsure"))

    assert one.answer("confirmation", "no") == ConfirmationAnswered("t1", False, "notification")


def test_a_confirmation_that_nobody_answered() -> None:
    one = notices(ConfirmationAsked("t1", "delete all", "unsure"))
    body = "“delete all”\nI am not sure that I heard it right.\nKept for ten minutes: omniid take retry"

    assert one.on(ConfirmationAnswered("t1", False, "timeout")) == [
        Notice("confirmation", "This was not sent", body, transient=True)
    ]
    assert one.answer("confirmation", "yes") is None
    assert one.on(TakeEmpty("t2", "too_short")) != []  # a tap is an answer no more


def test_the_answer_to_an_earlier_confirmation_leaves_the_next() -> None:
    one = notices(ConfirmationAsked("t1", "a", "unsure"), ConfirmationAsked("t2", "b", "unsure"))

    assert one.on(ConfirmationAnswered("t1", False, "replaced")) == []
    assert one.answer("confirmation", "yes") == ConfirmationAnswered("t2", True, "notification")


def test_a_sign_in() -> None:
    one = notices()
    body = "https://a.example/x\nSign in to the calendar."

    assert one.on(SIGN_IN) == [Notice("sign-in:s1", "Please sign in", body, OPEN_PAGE)]
    for key in ("open", "default", "open"):  # as often as it takes
        assert one.answer("sign-in:s1", key) == SignInReopened("s1")
    assert one.on(PageOpened("s1")) == []
    assert one.on(PageOpened("s1", "No browser.")) == [
        Notice("sign-in:s1", "Please sign in", "https://a.example/x\nNo browser.", OPEN_PAGE)
    ]
    assert one.on(PageOpened("s1")) == [Notice("sign-in:s1", "Please sign in", body, OPEN_PAGE)]
    assert one.on(SignInRefused("s1", "You said no.")) == [
        Notice("sign-in:s1", "Please sign in", "https://a.example/x\nYou said no.", OPEN_PAGE)
    ]
    assert one.answer("sign-in:s1", "open") == SignInReopened("s1")


@pytest.mark.parametrize("outcome", ["done", "cancelled"])
def test_a_sign_in_that_needs_no_words(outcome: Any) -> None:
    one = notices(SIGN_IN)

    assert one.on(SignInEnded("s1", outcome, "Over.")) == [Withdraw("sign-in:s1")]
    assert one.on(SignInRefused("s1", "No.")) == []


def test_a_sign_in_that_came_too_late() -> None:
    one = notices(SIGN_IN)

    assert one.on(SignInEnded("s1", "expired", "Ask again.")) == [
        Notice("sign-in:s1", "You did not sign in", "Ask again.")
    ]
    assert one.answer("sign-in:s1", "open") is None


@pytest.mark.parametrize(
    "waits",
    [
        [SAID, CommandMoved("c1", State.NEEDS_AUTH)],
        [CommandFound("c1", "voice", "Turn on the light.", State.NEEDS_AUTH)],
    ],
    ids=["now", "of an earlier run"],
)
def test_a_command_whose_sign_in_came_too_late_is_told_of_there(waits: list[Event]) -> None:
    one = notices(*waits, SIGN_IN)

    assert one.on(CommandMoved("c1", State.EXPIRED)) == []


def test_a_sign_in_without_a_page() -> None:
    one = notices()
    event = SignInStarted("s1", None, None, "Sign in.", "Its address is not safe to open.")

    assert one.on(event) == [
        Notice("sign-in:s1", "Please sign in", "Sign in.\nIts address is not safe to open.")
    ]
    assert one.answer("sign-in:s1", "open") is None


def test_was_it_done() -> None:
    one = notices(SAID)

    assert one.on(CommandMoved("c1", State.UNCERTAIN)) == [
        Notice(
            "uncertain:c1",
            "Was this done?",
            "“Turn on the light.”\nIt may have been done already. Nothing is repeated by itself.",
            (("retry", "Send it again"), ("drop", "Drop it")),
        )
    ]
    assert one.answer("uncertain:c1", "retry") == FateDecided("c1", again=True)
    assert one.answer("uncertain:c1", "drop") is None
    assert one.on(CommandMoved("c1", State.QUEUED)) == [Withdraw("uncertain:c1")]
    assert one.on(CommandMoved("c1", State.SENDING)) == []


def test_what_an_earlier_run_left_open_is_asked_about_in_its_words() -> None:
    one = Notices(NoticeSettings())
    (shown,) = one.on(CommandFound("c1", "voice", "Wire the rent", State.UNCERTAIN))

    assert isinstance(shown, Notice)
    assert shown.body.startswith("“Wire the rent”")
    assert one.answer("uncertain:c1", "retry") == FateDecided("c1", again=True)
    assert one.on(CommandMoved("c1", State.UNCERTAIN)) == []  # once is enough
    assert one.on(CommandFound("c2", "voice", "Call Ann", State.QUEUED)) == []
    assert one.on(CommandMoved("c2", State.EXPIRED)) == [expired("“Call Ann”")]


def test_it_is_dropped() -> None:
    one = notices(CommandMoved("c1", State.UNCERTAIN))

    assert one.answer("uncertain:c1", "drop") == FateDecided("c1", again=False)


def test_many_uncertain_ones_are_counted() -> None:
    one = notices()
    shown = [one.on(CommandMoved(f"c{number}", State.UNCERTAIN)) for number in range(7)]
    rest = "may have been done already. `omniid outbox list` shows them; nothing is repeated."

    assert [wanted[0].tag for wanted in shown] == [*(f"uncertain:c{n}" for n in range(5)), *["uncertain"] * 2]
    assert shown[5] == [Notice("uncertain", "Was this done?", f"One more command {rest}")]
    assert shown[6] == [Notice("uncertain", "Was this done?", f"2 more commands {rest}")]
    assert one.on(CommandMoved("c5", State.DONE)) == [
        Notice("uncertain", "Was this done?", f"One more command {rest}")
    ]
    assert one.on(CommandMoved("c0", State.DONE)) == [Withdraw("uncertain:c0")]
    assert one.on(CommandMoved("c6", State.DROPPED)) == [Withdraw("uncertain")]


def test_other_words_for_a_command() -> None:
    one = notices(SAID)

    assert one.on(CommandEdited("c1", "Turn off the light.")) == said("You said", "Turn off the light.")
    assert one.on(CommandEdited("c9", "Sing.")) == []
    assert one.on(CommandMoved("c1", State.EXPIRED)) == [*GONE, expired("“Turn off the light.”")]


def test_what_expires_together_is_one_notice_until_the_user_says_more() -> None:
    one = notices(*(CommandQueued(f"c{number}", "voice", f"Call {number}" * 20) for number in range(5)))
    shown = [one.on(CommandMoved(f"c{number}", State.EXPIRED))[-1] for number in range(5)]

    assert {each.tag for each in shown} == {"expired"}
    assert isinstance(shown[-1], Notice)
    lines = shown[-1].body.splitlines()
    assert [line[:7] for line in lines[:3]] == ["“Call 2", "“Call 3", "“Call 4"]
    assert lines[3] == "and 2 more, which `omniid outbox list --all` shows"
    assert text.body(shown[-1].body) == shown[-1].body  # it fits
    one.on(SAID)
    assert one.on(CommandMoved("c1", State.EXPIRED))[-1] == expired("“Turn on the light.”")


def test_that_nothing_is_heard_is_told_once_until_something_is() -> None:
    one = notices()
    silent = SpeechFailed("u1", "no_speaker", "No speaker can be opened.")

    assert one.on(SpeechFailed("u0", MOUTH_LOST, "It ended.")) == []  # it is said once more
    assert one.on(silent) == [Notice("speaker", "I cannot be heard", "No speaker can be opened.")]
    assert one.on(silent) == []
    assert one.on(SpeechStarted("u2", 1.0, "speaker")) == [Withdraw("speaker")]
    assert one.on(SpeechFailed("u3", MOUTH_LOST, "It ended.")) == []
    assert one.on(SpeechFailed("u3", MOUTH_LOST, "It ended.")) == [
        Notice("speaker", "I cannot be heard", "It ended.")
    ]


def test_what_is_remembered_is_bounded() -> None:
    one = notices()
    wanted: list[Wanted] = []
    for number in range(3_000):
        wanted += one.on(CommandQueued(f"c{number}", "voice", "x" * 8_000))
        wanted += one.on(CommandMoved(f"c{number}", State.UNCERTAIN))
        wanted += one.on(QuestionPosed(f"q{number}", "approval", "?", None, again=False))
    tags: dict[str, bool] = {}
    for each in wanted:
        tags[each.tag] = isinstance(each, Notice)

    assert sum(tags.values()) == len(one._board._shown) == 100
    assert len(one._commands) == len(one._uncertain._has_own) == 1_000
    assert max(len(command.message) for command in one._commands.values()) == 400


# --- any events in any order ------------------------------------------------------------------------------

IDS = st.sampled_from(["1", "2", "3", "4", "5", "6", "7", "8"])
WORDS = st.text(st.characters(codec=None), max_size=100) | st.just("word\x1b[2J\u202e " * 300)
KINDS: st.SearchStrategy[Any] = st.sampled_from(["voice", "text"])
REPLIES = st.builds(Reply, st.sampled_from(["done", "failed", "needs_auth"]), WORDS, st.just(95))
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.just(ONLINE),
    st.builds(LinkLost, WORDS, st.just(1.0)),
    st.builds(QuestionPosed, IDS, st.sampled_from(["approval", "intervention"]), WORDS, IDS, st.booleans()),
    st.builds(QuestionAnswered, IDS),
    st.builds(QuestionNotAnswered, IDS),
    st.builds(QuestionExpired, IDS, WORDS),
    st.builds(QuestionClosed, IDS),
    st.builds(ConfirmationAsked, IDS, WORDS, st.sampled_from(["unsure", "cut_short", "echo"])),
    st.builds(ConfirmationAnswered, IDS, st.booleans(), WORDS),
    st.builds(SignInStarted, IDS, st.none() | WORDS, st.none() | WORDS, WORDS, st.none() | WORDS),
    st.builds(PageOpened, IDS, st.none() | WORDS),
    st.builds(SignInRefused, IDS, WORDS),
    st.builds(SignInEnded, IDS, st.sampled_from(["done", "expired", "cancelled"]), WORDS),
    st.builds(CommandQueued, IDS, KINDS, WORDS, IDS, st.booleans()),
    st.builds(AttemptBegun, IDS, KINDS),
    st.builds(CommandMoved, IDS, st.sampled_from(State)),
    st.builds(CommandMoved, IDS, st.just(State.UNCERTAIN)),
    st.builds(CommandFound, IDS, KINDS, WORDS, st.sampled_from(State)),
    st.builds(CommandEdited, IDS, WORDS),
    st.builds(AnswerAcknowledged, WORDS, WORDS, st.booleans(), WORDS),
    st.builds(SpeechFailed, IDS, st.just(MOUTH_LOST) | WORDS, WORDS),
    st.builds(SpeechStarted, IDS, st.just(1.0), WORDS),
    st.builds(AnswerUnwanted, IDS),
    st.builds(CommandRejected, IDS, WORDS),
    st.builds(CommandSettled, IDS, REPLIES),
    st.builds(LateReplyArrived, IDS, REPLIES),
    st.builds(SettledHere, IDS, KINDS, REPLIES),
    st.builds(MessageArrived, WORDS, WORDS, st.just({}), st.none(), st.none() | IDS),
    st.builds(CaptureOpened, IDS, WORDS, st.just(0.0)),
    st.builds(CaptureEnded, IDS, WORDS, st.just(0.0), st.just(0.0), st.just(0)),
    st.builds(TakeEmpty, IDS, WORDS),
    st.builds(TakeFailed, IDS, WORDS, WORDS),
    st.builds(TakeGivenUp, IDS, WORDS),
    st.builds(CommandRefused, IDS, WORDS, WORDS),
)
SETTINGS = st.builds(NoticeSettings, st.sampled_from(["voice", "always", "never"]), st.booleans())


@given(SETTINGS, st.lists(EVENTS, max_size=60))
def test_whatever_happens_a_notice_can_be_told_by_its_tag(
    settings: NoticeSettings, events: list[Event]
) -> None:
    one = Notices(settings)
    on_screen: dict[str, Notice] = {}
    for event in events:
        wanted = one.on(event)
        assert len({each.tag for each in wanted}) == len(wanted)
        for each in wanted:
            if isinstance(each, Withdraw):
                assert on_screen.pop(each.tag, None) is not None, f"{each} was not shown"
            else:
                on_screen[each.tag] = each
                assert len(text.title(each.title)) <= text.MAX_TITLE
                assert len(text.body(each.body)) <= text.MAX_BODY
                assert text.title(each.title) == each.title  # titles are our own words
        uncertain = [tag for tag in on_screen if tag.startswith("uncertain:")]
        assert len(uncertain) <= 5

    assert set(on_screen) == set(one._board._shown)
    for tag, notice in on_screen.items():
        keys = [key for key, _ in notice.actions]
        assert all(one.answer(tag, key) is not None for key in keys[:1])
        assert one.answer(tag, "unheard of") is None
    assert one.answer("no such tag", "yes") is None


def test_a_question_that_yes_and_no_do_not_answer_has_no_such_buttons() -> None:
    (notice,) = notices().on(QuestionPosed("q1", "intervention", "Which Bob?", "c1", again=False))

    assert isinstance(notice, Notice)
    assert notice.actions == ()
    assert "omniid reply q1" in notice.body


def test_what_is_said_unasked_stands_beside_what_was_said_before() -> None:
    one = notices()

    tags = [
        notice.tag
        for number in range(4)
        for notice in one.on(MessageArrived("notification", f"{number}", {}))
        if isinstance(notice, Notice)
    ]

    assert len(set(tags[:3])) == 3
    assert tags[3] == tags[0]
