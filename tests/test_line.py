"""The line as tables: what goes out and when, and what becomes of a command whatever the link does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.moments import START_MONOTONIC, at

from omniid.effects import (
    AskHere,
    Cue,
    Effect,
    ExpireOverdue,
    GiveUpRepeats,
    Move,
    OpenPage,
    SendLater,
    SendNext,
    SettleHere,
    Speak,
)
from omniid.events import (
    AnsweredHere,
    AnswerUnwanted,
    AttemptBegun,
    CommandMoved,
    CommandProgressed,
    CommandQueued,
    CommandRejected,
    CommandSettled,
    CommandUncertain,
    CommandWritten,
    Event,
    Kind,
    LateReplyArrived,
    LineServed,
    LinkDialling,
    LinkLost,
    LinkOpened,
    LinkSpoilt,
    LinkStopped,
    SendingDue,
    ServerDedupes,
    SettledHere,
    StopRequested,
    WindowGrew,
    WriteFailed,
)
from omniid.fate import State
from omniid.line import Line, LineSettings, LinkState
from omniid.protocol.chat import Outcome, Reply
from omniid.protocol.link import Link, LinkSettings

EPOCH = 7
NOW = 100.0
DONE = Reply("done", "Sent.", 95)
FAILED = Reply("failed", "No.", 70)
NEEDS_AUTH = Reply("needs_auth", "Sign in.", 80)
OFFLINE = "I am offline. Your command waits, and goes out as soon as I am back."
UNCERTAIN = "I cannot tell whether your last command was done. Please check before you repeat it."

OPEN = LinkOpened(EPOCH, 1)
WIDE = LinkOpened(EPOCH, 4)
TEXT = CommandQueued("c1", "text", "Send it")
VOICE = CommandQueued("c1", "voice", "Send it")
AGAIN = CommandQueued("c1", "voice", "Send it", again=True)
FALLBACK = LineSettings(fallback=True)


def said(text: str, kind: Kind = "text", command_id: str | None = None) -> Speak:
    """What the line wants told. The kind travels as the utterance's id, so that a table can show it."""
    return Speak(kind, text, command_id)


WAITS: list[Effect] = [Cue("waiting"), said(OFFLINE, "voice")]


def sign_in(command_id: str, kind: Kind, reply: Reply, now: float) -> list[Effect]:
    assert (reply.outcome, now) == ("needs_auth", NOW)
    return [OpenPage(command_id, kind)]


def line_after(*events: Event, settings: LineSettings | None = None, now: float = NOW) -> Line:
    line = Line(
        settings or LineSettings(), lambda text, kind, command_id: [said(text, kind, command_id)], sign_in
    )
    for event in events:
        line.handle(event, now)
    return line


def in_flight(*commands: str, kind: Kind = "text", settings: LineSettings | None = None) -> Line:
    """A line whose link is full with these."""
    begun = [AttemptBegun(each, kind) for each in commands]
    served = LineServed(len(commands), len(commands))
    return line_after(LinkOpened(EPOCH, len(commands)), *begun, served, settings=settings)


# --- sending ------------------------------------------------------------------------------------------------

NEXT = SendNext(1, EPOCH)
SENDING: dict[str, tuple[list[Event], Event, list[Effect]]] = {
    "a link that opens takes the first": ([TEXT], OPEN, [NEXT]),
    "as many as its window holds": ([], WIDE, [SendNext(4, EPOCH)]),
    "none through no window": ([], LinkOpened(EPOCH, 0), []),
    "a command that comes": ([OPEN], TEXT, [NEXT]),
    "a command that is put back": ([OPEN], AGAIN, [NEXT]),
    "it names the link that is open now": ([OPEN, LinkLost("x", 1.0)], LinkOpened(9, 1), [SendNext(1, 9)]),
    "not while offline": ([], TEXT, []),
    "not while connecting": ([LinkDialling("x")], TEXT, []),
    "not on a link that was lost": ([OPEN, LinkLost("x", 1.0)], TEXT, []),
    "not on a link that was stopped": ([OPEN, LinkStopped("x", needs_token=False)], TEXT, []),
    "not on a link that is spoilt": ([OPEN, LinkSpoilt("x")], TEXT, []),
    "not while the window is full": ([OPEN, AttemptBegun("c0", "text")], TEXT, []),
    "what is left of the window": ([WIDE, AttemptBegun("c0", "text")], TEXT, [SendNext(3, EPOCH)]),
    "more once the window grew": (
        [OPEN, AttemptBegun("c0", "text")],
        WindowGrew(16),
        [SendNext(15, EPOCH)],
    ),
    "the next once one is settled": ([OPEN, AttemptBegun("c0", "text")], LineServed(1, 1), []),
    "on, while the line gives all that is asked": (
        [WIDE, AttemptBegun("c0", "text")],
        LineServed(1, 1),
        [SendNext(3, EPOCH)],
    ),
    "not on, once the line is empty": ([WIDE, AttemptBegun("c0", "text")], LineServed(4, 1), []),
    "not on, once the link took nothing": ([WIDE], LineServed(4, 4, refused=True), []),
    "not on, while the first is held": ([WIDE], LineServed(4, 0, held=True), []),
    "to a server that dedupes it says so": ([OPEN], ServerDedupes(), [SendNext(1, EPOCH, dedupes=True)]),
    "and goes on saying so": ([OPEN, ServerDedupes()], TEXT, [SendNext(1, EPOCH, dedupes=True)]),
    "but not to the next one": ([OPEN, ServerDedupes(), LinkLost("x", 1.0)], OPEN, [NEXT]),
    "nothing once omniid is to stop": ([OPEN, StopRequested()], TEXT, []),
    "nor by a window that grows": ([OPEN, StopRequested()], WindowGrew(16), []),
    "nor on a link that opens": ([StopRequested()], OPEN, []),
    "to stop is no more than that": ([OPEN], StopRequested(), []),
    "progress lets nothing out": ([OPEN, AttemptBegun("c0", "text")], CommandProgressed("c0", "x", None), []),
}


@pytest.mark.parametrize(("before", "event", "effects"), SENDING.values(), ids=SENDING.keys())
def test_what_goes_out(before: list[Event], event: Event, effects: list[Effect]) -> None:
    assert line_after(*before).handle(event, NOW) == effects


LINKS: list[tuple[list[Event], LinkState, str | None, int]] = [
    ([], "offline", None, 0),
    ([LinkDialling("x")], "connecting", None, 0),
    ([OPEN], "ready", None, 1),
    ([OPEN, WindowGrew(16)], "ready", None, 16),
    ([OPEN, LinkSpoilt("late")], "ready", None, 0),
    ([OPEN, LinkLost("cut", 1.0)], "waiting", "cut", 0),
    ([OPEN, LinkLost("cut", 1.0), LinkDialling("x")], "connecting", "cut", 0),
    ([LinkLost("cut", 1.0), OPEN], "ready", None, 1),
    ([LinkStopped("401", needs_token=True)], "needs_token", "401", 0),
    ([LinkStopped("404", needs_token=False)], "stopped", "404", 0),
]


@pytest.mark.parametrize(("events", "link", "reason", "window"), LINKS)
def test_what_the_link_is(events: list[Event], link: LinkState, reason: str | None, window: int) -> None:
    line = line_after(*events)

    assert (line.link, line.reason, line.window) == (link, reason, window)


def test_a_tick_looks_for_what_is_overdue_and_for_what_may_go_out() -> None:
    assert line_after().tick(NOW) == [ExpireOverdue()]
    assert line_after(OPEN).tick(NOW) == [ExpireOverdue(), NEXT]
    assert line_after(OPEN, StopRequested()).tick(NOW) == [ExpireOverdue()]


# --- the rate limit -----------------------------------------------------------------------------------------

SLOW = LineSettings(rate_per_minute=6)  # one in ten seconds, six at once


def test_a_rate_limit_lets_a_minutes_worth_out_and_asks_once_to_be_reminded() -> None:
    line = line_after(settings=SLOW)

    assert line.handle(LinkOpened(EPOCH, 16), NOW) == [SendNext(6, EPOCH)]
    served = [line.handle(each, NOW) for each in [AttemptBegun(f"c{n}", "text") for n in range(6)]]
    assert served == [[]] * 6
    assert line.handle(LineServed(6, 6), NOW) == [SendLater(10.0)]
    assert line.handle(CommandQueued("c7", "text", "x"), NOW + 1) == []  # the reminder is on its way
    assert line.tick(NOW + 2) == [ExpireOverdue()]
    assert line.handle(SendingDue(), NOW + 10) == [SendNext(1, EPOCH)]


def test_a_reminder_that_comes_early_asks_for_another() -> None:
    line = line_after(LinkOpened(EPOCH, 6), settings=SLOW)
    for _ in range(2):
        line.handle(LineServed(6, 6), NOW)

    assert line.handle(SendingDue(), NOW + 4) == [SendLater(6.0)]
    assert line.handle(SendingDue(), NOW + 10) == [SendNext(1, EPOCH)]


def test_what_the_line_did_not_give_may_still_go_out() -> None:
    line = line_after(LinkOpened(EPOCH, 6), LineServed(6, 0), settings=SLOW)

    assert line.handle(TEXT, NOW) == [SendNext(6, EPOCH)]
    assert line.handle(LineServed(6, 1), NOW) == []
    assert line.handle(TEXT, NOW) == [SendNext(5, EPOCH)]


def test_what_could_not_be_written_may_still_go_out() -> None:
    line = line_after(LinkOpened(EPOCH, 6), settings=SLOW)
    begun = [f"c{number}" for number in range(6)]
    for command_id in begun:
        line.handle(AttemptBegun(command_id, "text"), NOW)
        line.handle(WriteFailed(command_id), NOW)
    line.handle(LineServed(6, 6, refused=True), NOW)

    assert line.handle(TEXT, NOW) == [SendNext(6, EPOCH)]


def test_a_window_without_room_takes_nothing_from_the_rate() -> None:
    line = line_after(OPEN, AttemptBegun("c0", "text"), LineServed(1, 1), settings=SLOW)
    for _ in range(20):
        assert line.handle(TEXT, NOW) == []

    assert line.handle(WindowGrew(16), NOW) == [SendNext(5, EPOCH)]


@given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 16))
def test_no_minute_lets_more_out_than_twice_the_rate(waits: list[float], window: int) -> None:
    line = line_after(LinkOpened(EPOCH, window), settings=SLOW)
    now, sent = NOW, [NOW] * min(window, 6)
    line.handle(LineServed(min(window, 6), min(window, 6)), now)
    for wait_s in waits:
        now += wait_s
        for effect in [*line.handle(TEXT, now), *line.handle(SendingDue(), now)]:
            if isinstance(effect, SendNext):
                sent += [now] * effect.limit

    # A burst of a minute's worth, and what has come again since.
    assert all(sum(at <= each <= at + 60 for each in sent) <= 12 for at in sent)


# --- a line that is held ------------------------------------------------------------------------------------

HELD = LineServed(1, 0, held=True)


def test_a_line_that_is_held_is_given_up_after_three_seconds_and_once() -> None:
    line = line_after(OPEN, HELD)

    assert line.tick(NOW + 2.9) == [ExpireOverdue(), NEXT]
    line.handle(HELD, NOW + 2.9)  # it is still held; that starts nothing anew
    assert line.tick(NOW + 3) == [ExpireOverdue(), GiveUpRepeats(), NEXT]
    assert line.tick(NOW + 4) == [ExpireOverdue(), NEXT]


def test_a_server_that_says_in_time_that_it_dedupes_is_given_what_was_held() -> None:
    line = line_after(OPEN, HELD)

    assert line.handle(ServerDedupes(), NOW + 1) == [SendNext(1, EPOCH, dedupes=True)]
    line.handle(LineServed(1, 1), NOW + 1)
    assert GiveUpRepeats() not in line.tick(NOW + 10)


@pytest.mark.parametrize("over", [LinkLost("cut", 1.0), LinkStopped("404", needs_token=False)])
def test_a_link_that_ends_takes_the_three_seconds_with_it(over: Event) -> None:
    line = line_after(OPEN, HELD, over)

    assert line.tick(NOW + 10) == [ExpireOverdue()]
    line.handle(OPEN, NOW + 10)
    line.handle(HELD, NOW + 10)
    assert GiveUpRepeats() not in line.tick(NOW + 12.9)
    assert GiveUpRepeats() in line.tick(NOW + 13)


def test_a_line_that_moves_again_is_not_held() -> None:
    line = line_after(OPEN, HELD, LineServed(1, 1))

    assert GiveUpRepeats() not in line.tick(NOW + 10)


# --- fates --------------------------------------------------------------------------------------------------

REASON = "the link was lost before its answer came"
FATES: dict[str, tuple[Event, list[Effect]]] = {
    "written": (CommandWritten("c1", "{}"), [Move("c1", State.WAITING)]),
    "done": (
        CommandSettled("c1", DONE),
        [Move("c1", State.DONE, reply=DONE), said("Sent.", "voice", "c1"), NEXT],
    ),
    "failed": (
        CommandSettled("c1", FAILED),
        [Move("c1", State.FAILED, reply=FAILED), said("No.", "voice", "c1"), NEXT],
    ),
    "asked to sign in, it steps aside": (
        CommandSettled("c1", NEEDS_AUTH),
        [Move("c1", State.NEEDS_AUTH, reply=NEEDS_AUTH), OpenPage("c1", "voice"), NEXT],
    ),
    "not written": (
        WriteFailed("c1"),
        [Move("c1", State.QUEUED, "it could not be written; it keeps its place")],
    ),
    "lost": (
        CommandUncertain("c1", REASON),
        [Move("c1", State.UNCERTAIN, REASON), said(UNCERTAIN, "voice")],
    ),
    "lost, at a server that dedupes": (
        CommandUncertain("c1", REASON, repeatable=True),
        [Move("c1", State.QUEUED, f"{REASON}; the server knows a repeated id", repeat=True)],
    ),
    "rejected": (
        CommandRejected("c1", "too big"),
        [Move("c1", State.REJECTED, "too big"), said("Not done: too big.", "voice")],
    ),
    "progress": (CommandProgressed("c1", "thinking", "Hm"), []),
}


@pytest.mark.parametrize(("event", "effects"), FATES.values(), ids=FATES.keys())
def test_what_becomes_of_a_command_on_the_wire(event: Event, effects: list[Effect]) -> None:
    line = in_flight("c1", kind="voice")

    assert line.handle(event, NOW) == effects
    stays = isinstance(event, CommandWritten | CommandProgressed)
    assert list(line.in_flight) == (["c1"] if stays else [])


def test_a_write_that_is_told_after_its_answer_moves_nothing() -> None:
    line = in_flight("c1")
    line.handle(CommandSettled("c1", DONE), NOW)

    assert line.handle(CommandWritten("c1", "{}"), NOW) == []


def test_a_command_that_could_not_be_written_is_tried_again_by_the_clock_and_not_at_once() -> None:
    line = in_flight("c1")

    assert not any(isinstance(effect, SendNext) for effect in line.handle(WriteFailed("c1"), NOW))
    assert line.tick(NOW + 1) == [ExpireOverdue(), NEXT]


def test_a_loss_costs_only_the_commands_that_were_on_the_wire() -> None:
    line = in_flight("c1", "c2")

    line.handle(CommandUncertain("c1", REASON), NOW)

    assert list(line.in_flight) == ["c2"]


# --- delivery.uncertain -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uncertain", "told", "then"),
    [
        ("ask", [said(UNCERTAIN, "voice")], []),
        ("resend", [], [Move("c1", State.QUEUED, "sent again, as delivery.uncertain says")]),
        ("drop", [], [Move("c1", State.DROPPED, "dropped, as delivery.uncertain says")]),
    ],
)
def test_what_is_uncertain_is_recorded_as_such_before_anything_is_done_about_it(
    uncertain: Any, told: list[Effect], then: list[Effect]
) -> None:
    line = in_flight("c1", kind="voice", settings=LineSettings(uncertain=uncertain))

    assert line.handle(CommandUncertain("c1", REASON), NOW) == [Move("c1", State.UNCERTAIN, REASON), *told]
    assert line.handle(CommandMoved("c1", State.UNCERTAIN), NOW) == then


@pytest.mark.parametrize(
    ("uncertain", "then"),
    [
        ("ask", []),
        ("resend", [Move("old", State.QUEUED, "sent again, as delivery.uncertain says")]),
        ("drop", [Move("old", State.DROPPED, "dropped, as delivery.uncertain says")]),
    ],
)
def test_what_is_found_uncertain_at_the_start_has_the_same_fate(uncertain: Any, then: list[Effect]) -> None:
    line = line_after(settings=LineSettings(uncertain=uncertain))

    assert line.handle(CommandMoved("old", State.UNCERTAIN), NOW) == then


@pytest.mark.parametrize("state", [state for state in State if state is not State.UNCERTAIN])
@pytest.mark.parametrize("uncertain", ["ask", "resend", "drop"])
def test_no_other_step_is_answered_with_another(uncertain: Any, state: State) -> None:
    line = line_after(OPEN, settings=LineSettings(uncertain=uncertain))

    assert line.handle(CommandMoved("c1", state), NOW) == []


@pytest.mark.parametrize("uncertain", ["ask", "resend", "drop"])
def test_what_a_server_that_dedupes_may_have_is_never_uncertain(uncertain: Any) -> None:
    line = in_flight("c1", settings=LineSettings(uncertain=uncertain))

    (move,) = line.handle(CommandUncertain("c1", REASON, repeatable=True), NOW)

    assert isinstance(move, Move)
    assert (move.to, move.repeat) == (State.QUEUED, True)


# --- late replies -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "state"), [(DONE, State.DONE), (FAILED, State.FAILED), (NEEDS_AUTH, State.NEEDS_AUTH)]
)
def test_a_late_reply_settles_what_was_uncertain_and_is_told_as_the_command_came_in(
    reply: Reply, state: State
) -> None:
    line = in_flight("c1", kind="voice")
    line.handle(CommandUncertain("c1", REASON), NOW)
    line.handle(CommandMoved("c1", State.UNCERTAIN), NOW)

    told = OpenPage("c1", "voice") if reply is NEEDS_AUTH else said(reply.content, "voice", "c1")
    assert line.handle(LateReplyArrived("c1", reply), NOW) == [Move("c1", state, reply=reply), told]


LATE: dict[str, list[Event]] = {
    "it is told once": [
        CommandUncertain("c1", REASON),
        CommandMoved("c1", State.UNCERTAIN),
        LateReplyArrived("c1", DONE),
    ],
    "nobody knows the command": [],
    "the user has dropped it": [CommandUncertain("c1", REASON), CommandMoved("c1", State.DROPPED)],
    "the user has put it back in the line": [
        CommandUncertain("c1", REASON),
        CommandMoved("c1", State.QUEUED),
    ],
    "it is on its way again": [CommandUncertain("c1", REASON), AttemptBegun("c1", "text")],
    "it was settled in time": [CommandSettled("c1", DONE)],
}


@pytest.mark.parametrize("before", LATE.values(), ids=LATE.keys())
def test_a_late_reply_to_any_other_command_is_recorded_if_it_can_be_and_not_told(before: list[Event]) -> None:
    line = line_after(OPEN, *([AttemptBegun("c1", "text")] if before else []), *before)

    assert line.handle(LateReplyArrived("c1", FAILED), NOW) == [Move("c1", State.FAILED, reply=FAILED)]


def test_a_late_reply_to_what_was_uncertain_at_the_start_is_told() -> None:
    line = line_after(CommandMoved("old", State.UNCERTAIN))

    assert line.handle(LateReplyArrived("old", DONE), NOW) == [
        Move("old", State.DONE, reply=DONE),
        said("Sent.", "text", "old"),
    ]


def test_a_late_reply_changes_nothing_of_what_is_on_the_wire() -> None:
    line = in_flight("c2")
    line.handle(LateReplyArrived("c1", DONE), NOW)

    assert list(line.in_flight) == ["c2"]


def test_the_memory_of_uncertain_commands_is_bounded_and_keeps_the_newest() -> None:
    line = line_after(*(CommandMoved(f"c{number}", State.UNCERTAIN) for number in range(1_500)))

    oldest, newest = (line.handle(LateReplyArrived(each, DONE), NOW) for each in ("c0", "c1499"))

    assert oldest == [Move("c0", State.DONE, reply=DONE)]
    assert newest == [Move("c1499", State.DONE, reply=DONE), said("Sent.", "text", "c1499")]


# --- answers that are not wanted ----------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["done", "failed", "needs_auth"])
def test_an_answer_that_is_not_wanted_is_recorded_and_not_told(outcome: Outcome) -> None:
    line = in_flight("c1", kind="voice")
    reply = Reply(outcome, "Words", 95)

    assert line.handle(AnswerUnwanted("c1"), NOW) == []
    assert list(line.in_flight) == ["c1"]  # it cannot be called back
    called_off = Move("c1", State.CANCELLED, "called off by the user")
    assert line.handle(CommandSettled("c1", reply), NOW) == [
        Move("c1", State(outcome), reply=reply),
        *([called_off] if outcome == "needs_auth" else []),
        NEXT,
    ]


def test_a_late_answer_that_is_not_wanted_is_not_told_either() -> None:
    line = in_flight("c1")
    line.handle(AnswerUnwanted("c1"), NOW)
    line.handle(CommandUncertain("c1", REASON), NOW)

    assert line.handle(LateReplyArrived("c1", DONE), NOW) == [Move("c1", State.DONE, reply=DONE)]


def test_only_the_one_answer_is_not_wanted() -> None:
    line = in_flight("c1", "c2")
    line.handle(AnswerUnwanted("c1"), NOW)

    assert said("Sent.", "text", "c2") in line.handle(CommandSettled("c2", DONE), NOW)


def test_a_word_about_a_command_that_is_not_on_the_wire_is_kept_by_nobody() -> None:
    line = line_after(OPEN, AnswerUnwanted("c1"), AttemptBegun("c1", "text"))

    assert said("Sent.", "text", "c1") in line.handle(CommandSettled("c1", DONE), NOW)


# --- the embedded backend as a stand-in ---------------------------------------------------------------------

ASK = AskHere("c1", "voice", "Send it")
STAND_IN: dict[str, tuple[LineSettings, list[Event], Event, list[Effect]]] = {
    "offline, it is asked": (FALLBACK, [], VOICE, [ASK]),
    "also while connecting": (FALLBACK, [LinkDialling("x")], VOICE, [ASK]),
    "also between two dials": (FALLBACK, [LinkLost("x", 1.0)], VOICE, [ASK]),
    "also where a token is needed": (FALLBACK, [LinkStopped("401", needs_token=True)], VOICE, [ASK]),
    "for a typed one too": (FALLBACK, [], TEXT, [AskHere("c1", "text", "Send it")]),
    "not while the link is ready": (FALLBACK, [OPEN], VOICE, [NEXT]),
    "nor for what was put back": (FALLBACK, [], AGAIN, []),
    "nor where nobody stands in": (LineSettings(), [], VOICE, WAITS),
    "who types sees it wait": (LineSettings(), [], TEXT, []),
    "put back, it is no news": (LineSettings(), [], AGAIN, []),
    "what it must not answer waits": (FALLBACK, [VOICE], AnsweredHere("c1", None), WAITS),
    "who types sees that wait too": (FALLBACK, [TEXT], AnsweredHere("c1", None), []),
    "and it waits no more if the link is back": (FALLBACK, [VOICE, OPEN], AnsweredHere("c1", None), []),
    "an answer is recorded first": (
        FALLBACK,
        [VOICE],
        AnsweredHere("c1", DONE),
        [SettleHere("c1", "voice", DONE, "Send it")],
    ),
    "and then told": (
        FALLBACK,
        [VOICE, AnsweredHere("c1", DONE)],
        SettledHere("c1", "voice", DONE),
        [said("Sent.", "voice", "c1")],
    ),
    "told as it came in": (
        FALLBACK,
        [TEXT, AnsweredHere("c1", DONE)],
        SettledHere("c1", "text", DONE),
        [said("Sent.", "text", "c1")],
    ),
}


@pytest.mark.parametrize(("settings", "before", "event", "effects"), STAND_IN.values(), ids=STAND_IN.keys())
def test_what_stands_in_for_a_backend_that_is_away(
    settings: LineSettings, before: list[Event], event: Event, effects: list[Effect]
) -> None:
    assert line_after(*before, settings=settings).handle(event, NOW) == effects


# --- stopping -----------------------------------------------------------------------------------------------


def test_what_is_in_flight_when_omniid_is_to_stop_is_still_settled() -> None:
    line = in_flight("c1")
    line.handle(StopRequested(), NOW)

    assert line.handle(CommandSettled("c1", DONE), NOW) == [
        Move("c1", State.DONE, reply=DONE),
        said("Sent.", "text", "c1"),
    ]


def test_no_reminder_lets_anything_out_once_omniid_is_to_stop() -> None:
    line = line_after(LinkOpened(EPOCH, 6), settings=SLOW)
    for event in (LineServed(6, 6), LineServed(6, 6), StopRequested()):
        line.handle(event, NOW)

    assert line.handle(SendingDue(), NOW + 60) == []


def test_what_was_asked_here_is_forgotten_whatever_became_of_it() -> None:
    line = Line(FALLBACK, lambda _text, _kind, _id: [])
    for number in range(5):
        for event in (
            CommandQueued(f"c{number}", "text", "x"),
            AnsweredHere(f"c{number}", DONE),  # and then it has left the line meanwhile
            AttemptBegun(f"c{number}", "text"),
            CommandSettled(f"c{number}", DONE),
        ):
            line.handle(event, 0.0)

    assert line._asked_here == {}


def test_a_retry_wants_the_answer_that_was_called_off_before() -> None:
    line = Line(LineSettings(), lambda text, kind, command_id: [said(text, kind, command_id)])
    for event in (
        LinkOpened(1, 1),
        AttemptBegun("c1", "text"),
        AnswerUnwanted("c1"),
        CommandUncertain("c1", "cut"),
        CommandMoved("c1", State.UNCERTAIN),
        CommandQueued("c1", "text", "x", again=True),
        AttemptBegun("c1", "text"),
    ):
        line.handle(event, 0.0)

    assert said("Sent.", "text", "c1") in line.handle(CommandSettled("c1", DONE), 1.0)


@pytest.mark.parametrize("back", [WriteFailed("c1"), CommandUncertain("c1", "cut", repeatable=True)])
def test_what_was_called_off_and_comes_back_to_the_line_is_not_sent_again(back: Event) -> None:
    line = Line(LineSettings(), lambda _text, _kind, _id: [])
    for event in (LinkOpened(1, 1), AttemptBegun("c1", "text"), AnswerUnwanted("c1")):
        line.handle(event, 0.0)

    moves = [effect for effect in line.handle(back, 0.0) if isinstance(effect, Move)]

    assert [move.to for move in moves] == [State.QUEUED, State.CANCELLED]


def test_what_goes_out_because_of_a_hello_is_noted_as_sent_to_a_server_that_dedupes() -> None:
    link = Link(LinkSettings("ann", "UTC", 16, 120), at())
    line = Line(LineSettings(), lambda _text, _kind, _id: [])
    line.handle(LinkOpened(1, link.window), START_MONOTONIC)
    line.handle(AttemptBegun("first", "text"), START_MONOTONIC)
    hello = '{"type":"hello","payload":{"features":["correlate","dedupe"]}}'

    effects = [e for event in link.receive(hello, at()) for e in line.handle(event, START_MONOTONIC)]

    assert [e.dedupes for e in effects if isinstance(e, SendNext)] == [True]
