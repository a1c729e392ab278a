"""One socket's conversation as tables: frames and time in, frames and events out.

The letters are those of the protocol's list of what servers in the field do.
"""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.moments import START_MONOTONIC, at

from omniid.events import (
    CommandProgressed,
    CommandRejected,
    CommandSettled,
    CommandUncertain,
    FrameIgnored,
    LateReplyArrived,
    LinkEvent,
    LinkSpoilt,
    MessageArrived,
    QuestionAsked,
    WindowGrew,
)
from omniid.protocol.link import Link, LinkSettings, Outgoing

TIMEOUT_S = 120.0
NEVER_S = 1e9  # the heartbeat has tests of its own
SETTINGS = LinkSettings("ann", "Europe/Berlin", 16, TIMEOUT_S, NEVER_S, NEVER_S)
SUCCESS = {"type": "response", "status": "success", "data": {"message": "Sent."}}
ERROR = {"type": "error", "error": {"code": "x", "message": "No."}}
UNIFIED = {"type": "email", "success": True, "message": "Sent.", "data": {}}


def new_link(*commands: str, features: list[str] | None = None) -> Link:
    """A link with commands in flight, on a server that names these features."""
    link = Link(SETTINGS, at())
    if features is not None:
        link.receive(json.dumps({"type": "hello", "payload": {"features": features}}), at())
    for command_id in commands:
        link.commands([outgoing(command_id)], at())
    return link


def outgoing(command_id: str) -> Outgoing:
    return Outgoing(command_id, "text", "Send it", {})


def receive(link: Link, frame: dict[str, Any] | str, seconds: float = 1.0) -> list[LinkEvent]:
    return link.receive(frame if isinstance(frame, str) else json.dumps(frame), at(seconds))


def deadline_of(link: Link) -> float | None:
    """In seconds after the start."""
    seconds = link.next_deadline() - START_MONOTONIC
    return None if seconds >= NEVER_S else seconds


# --- out ----------------------------------------------------------------------------------------------------


def test_a_command_carries_all_the_contract_asks_for_and_its_own_id() -> None:
    link = new_link()

    frame = json.loads(link.commands([Outgoing("c1", "voice", "Hi", {"confidence": 0.9})], at())[0])

    assert frame == {
        "type": "command",
        "payload": {
            "commandType": "voice_command",
            "message": "Hi",
            "userId": "ann",
            "userTimezone": "Europe/Berlin",
            "localDatetime": "2026-03-01T12:00:00.000+00:00",
            "requestId": "c1",
            "metadata": {"confidence": 0.9},
        },
        "timestamp": at().unix_ms,
    }


def test_a_typed_command_says_so_and_sends_no_empty_metadata() -> None:
    payload = json.loads(new_link().commands([outgoing("c1")], at())[0])["payload"]

    assert payload["commandType"] == "text_command"
    assert "metadata" not in payload


# --- in: what each frame means for the one command in flight ------------------------------------------------

SETTLING: dict[str, dict[str, Any]] = {
    "a success": SUCCESS,
    "an error response": {"type": "response", "status": "error", "data": {"error": "No."}},
    "an error frame": ERROR,
    "a unified reply": UNIFIED,
    "a failed unified reply": {**UNIFIED, "success": False},
    "a reply without timestamp or data": {"type": "response", "status": "success"},
    "a reply with a timestamp as text": {**SUCCESS, "timestamp": "2026-01-01T00:00:00Z"},
    "a request to sign in": {
        "type": "response",
        "status": "success",
        "data": {"requiresAuth": True, "authUrl": None, "message": "Sign in.", "action": "oauth_required"},
    },
}


@pytest.mark.parametrize("frame", SETTLING.values(), ids=SETTLING.keys())
def test_a_settling_frame_settles_the_one_command_in_flight(frame: dict[str, Any]) -> None:
    """Letters e, f and g."""
    link = new_link("c1")

    (event,) = receive(link, frame)

    assert isinstance(event, CommandSettled)
    assert event.command_id == "c1"
    assert deadline_of(link) is None


PROGRESS: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "thinking": (
        {"type": "ai_thinking", "stage": "Reading mail", "timestamp": 1},
        "thinking",
        "Reading mail",
    ),
    "context": ({"type": "context_display", "title": "Found", "reasoning": []}, "context", "Found"),
    "capabilities": (
        {"type": "ai_capability_disclosure", "title": "I can", "content": "do it"},
        "capabilities",
        "do it",
    ),
    "an immediate response": (
        {"type": "system", "data": {"action": "immediate_response", "message": "On it"}},
        "immediate_response",
        "On it",
    ),
    "a data update": ({"type": "system", "data": {"action": "data_update"}}, "data_update", None),
    "a chat message": ({"type": "text", "content": "Hm", "sender": "ai", "id": "1"}, "chat", "Hm"),
    "a tool's chat message": ({"type": "unified_tool_response", "content": "Hm"}, "chat", "Hm"),
    "processing": ({"type": "response", "status": "processing", "data": {}}, "processing", None),
    "a step": ({"type": "STEP_EXECUTION", "payload": {"message": "Step 1"}}, "step", "Step 1"),
}


@pytest.mark.parametrize(("frame", "kind", "text"), PROGRESS.values(), ids=PROGRESS.keys())
def test_a_frame_that_does_not_settle_is_progress_and_starts_the_deadline_anew(
    frame: dict[str, Any], kind: str, text: str | None
) -> None:
    """Letter d."""
    link = new_link("c1")

    assert receive(link, frame, 100) == [CommandProgressed("c1", kind, text)]
    assert deadline_of(link) == 100 + TIMEOUT_S


WITHOUT_EFFECT: dict[str, dict[str, Any] | str] = {
    "a pong (a)": {"type": "pong", "data": {"pong": True, "sequence": 1}},
    "a pong as a response (a)": {"type": "response", "status": "success", "data": {"pong": True}},
    "a hello": {"type": "hello", "payload": {}},
}
IGNORED: dict[str, dict[str, Any] | str] = {
    "an unknown type (k)": {"type": "tomorrow", "data": {}},
    "no JSON (k)": "<html>",
    "a list (k)": "[]",
    "nothing (k)": "",
}


@pytest.mark.parametrize("frame", WITHOUT_EFFECT.values(), ids=WITHOUT_EFFECT.keys())
def test_a_pong_is_never_a_reply(frame: dict[str, Any]) -> None:
    link = new_link("c1")

    assert receive(link, frame, 100) == []
    assert deadline_of(link) == TIMEOUT_S


@pytest.mark.parametrize("frame", IGNORED.values(), ids=IGNORED.keys())
def test_a_broken_or_unknown_frame_is_kept_and_changes_nothing_else(frame: dict[str, Any] | str) -> None:
    link = new_link("c1")

    (event,) = receive(link, frame, 100)

    assert isinstance(event, FrameIgnored)
    assert event.raw == (frame if isinstance(frame, str) else json.dumps(frame))
    assert deadline_of(link) == TIMEOUT_S
    assert link.frames_received == 1


def test_a_servers_ping_is_answered_with_a_pong_once() -> None:
    """Letter b."""
    link = new_link("c1")

    assert receive(link, {"type": "ping"}) == []
    assert [json.loads(frame) for frame in link.frames_to_send()] == [
        {"type": "pong", "timestamp": at(1).unix_ms}
    ]
    assert link.frames_to_send() == []
    assert deadline_of(link) == TIMEOUT_S


def test_a_notification_is_nobodys_progress() -> None:
    """Letter j."""
    link = new_link("c1")
    frame = {"type": "notification", "payload": {"title": "Mail", "message": "New mail"}}

    assert receive(link, frame, 100) == [MessageArrived("notification", "New mail", frame)]
    assert deadline_of(link) == TIMEOUT_S


@pytest.mark.parametrize("frame", [SUCCESS, ERROR, UNIFIED], ids=["response", "error", "unified"])
def test_a_reply_nobody_waits_for_is_a_message(frame: dict[str, Any]) -> None:
    (event,) = receive(new_link(), frame)

    assert isinstance(event, MessageArrived)
    assert event.text in {"Sent.", "No."}


# --- questions ----------------------------------------------------------------------------------------------

INTERVENTION: dict[str, Any] = {
    "type": "system",
    "data": {
        "action": "user_intervention_required",
        "sessionId": "s",
        "stepId": "1",
        "reason": "Which Bob?",
        "timeout": 300_000,
        "message": "Which Bob do you mean?",
    },
}
DRAFT = {"type": "WORKFLOW_DRAFT", "sessionId": "s", "payload": {"summary": "Two mails", "steps": []}}


@pytest.mark.parametrize(
    ("frame", "kind", "text", "deadline"),
    [
        pytest.param(INTERVENTION, "intervention", "Which Bob do you mean?", 310 + TIMEOUT_S, id="h"),
        pytest.param(DRAFT, "approval", "Two mails", 610 + TIMEOUT_S, id="i"),
    ],
)
def test_the_deadline_rests_while_a_question_is_open(
    frame: dict[str, Any], kind: Any, text: str, deadline: float
) -> None:
    link = new_link("c1")

    (asked,) = receive(link, frame, 10)
    assert isinstance(asked, QuestionAsked)
    assert (asked.command_id, asked.kind, asked.text, asked.raw) == ("c1", kind, text, frame)
    assert asked.session_id == "s"
    assert deadline_of(link) == deadline


def test_a_question_does_not_make_an_earlier_deadline_of_it() -> None:
    link = new_link("c1")
    short = {"type": "system", "data": {**INTERVENTION["data"], "timeout": 1}}

    receive(link, short, 100)

    assert deadline_of(link) == pytest.approx(100 + 0.001 + TIMEOUT_S)


def test_a_question_that_is_nobodys_is_still_asked() -> None:
    (event,) = receive(new_link(), INTERVENTION)

    assert isinstance(event, QuestionAsked)
    assert event.command_id is None


# --- correlation --------------------------------------------------------------------------------------------


def test_one_command_may_be_in_flight_until_the_server_shows_that_it_correlates() -> None:
    """Letter c."""
    assert new_link().window == 1


def test_a_hello_that_says_correlate_opens_the_window() -> None:
    link = new_link()

    assert receive(link, {"type": "hello", "payload": {"features": ["correlate"]}}) == [WindowGrew(16)]
    assert link.window == 16


def test_dedupe_says_nothing_about_correlation() -> None:
    assert new_link(features=["dedupe", "batch"]).window == 1


@pytest.mark.parametrize(
    "frame",
    [SUCCESS, {"type": "ai_thinking", "stage": "x"}],
    ids=["on the settling frame", "on an earlier frame"],
)
def test_an_echoed_id_opens_the_window_from_then_on(frame: dict[str, Any]) -> None:
    link = new_link("c1")

    events = receive(link, {**frame, "requestId": "c1"})

    assert events[0] == WindowGrew(16)
    assert isinstance(events[1], CommandSettled | CommandProgressed)
    assert link.window == 16


def test_an_id_we_never_sent_proves_nothing() -> None:
    link = new_link("c1")

    (event,) = receive(link, {**SUCCESS, "requestId": "another"})

    assert isinstance(event, LateReplyArrived)
    assert link.window == 1
    assert deadline_of(link) == TIMEOUT_S


def test_replies_settle_the_commands_they_name_in_any_order() -> None:
    link = new_link("c1", "c2", "c3", features=["correlate"])

    settled = [
        event.command_id
        for command_id in ("c2", "c3", "c1")
        for event in receive(link, {**SUCCESS, "requestId": command_id})
        if isinstance(event, CommandSettled)
    ]

    assert settled == ["c2", "c3", "c1"]


@pytest.mark.parametrize("frame", [SUCCESS, ERROR, UNIFIED, {"type": "ai_thinking", "stage": "x"}])
def test_a_frame_without_an_id_belongs_to_none_of_several(frame: dict[str, Any]) -> None:
    link = new_link("c1", "c2", features=["correlate"])

    (event,) = receive(link, frame, 100)

    assert isinstance(event, MessageArrived)
    assert deadline_of(link) == TIMEOUT_S


def test_a_second_answer_to_the_same_command_settles_nothing_else() -> None:
    link = new_link("c1", "c2", features=["correlate"])
    receive(link, {**SUCCESS, "requestId": "c1"})

    (event,) = receive(link, {**SUCCESS, "requestId": "c1"})

    assert isinstance(event, LateReplyArrived)
    assert event.command_id == "c1"
    assert deadline_of(link) == TIMEOUT_S


# --- deadlines ----------------------------------------------------------------------------------------------


def test_a_command_has_its_time_and_not_a_moment_less() -> None:
    link = new_link("c1")

    assert deadline_of(link) == TIMEOUT_S
    assert link.advance(at(TIMEOUT_S - 0.001)) == []
    assert [type(event) for event in link.advance(at(TIMEOUT_S))] == [CommandUncertain, LinkSpoilt]
    assert deadline_of(link) is None
    assert link.advance(at(TIMEOUT_S)) == []


def test_talk_without_a_settling_frame_buys_ten_minutes_at_most() -> None:
    link = new_link("c1")
    for seconds in range(100, 600, 100):
        receive(link, {"type": "ai_thinking", "stage": "x"}, seconds)

    assert deadline_of(link) == 600
    assert isinstance(link.advance(at(600))[0], CommandUncertain)


def test_a_deadline_spoils_a_link_whose_late_reply_would_name_nobody() -> None:
    """Letter m."""
    link = new_link("c1")

    lost, spoilt = link.advance(at(TIMEOUT_S))

    assert lost == CommandUncertain("c1", "no answer came in time", repeatable=False)
    assert isinstance(spoilt, LinkSpoilt)
    assert link.spoilt


def test_a_link_that_correlates_outlives_a_deadline_and_takes_the_late_reply_by_its_id() -> None:
    link = new_link("c1", features=["correlate"])

    assert [type(event) for event in link.advance(at(TIMEOUT_S))] == [CommandUncertain]
    (event,) = receive(link, {**SUCCESS, "requestId": "c1"}, TIMEOUT_S + 1)
    assert isinstance(event, LateReplyArrived)
    assert not link.spoilt


def test_after_a_deadline_a_reply_without_an_id_settles_nobody() -> None:
    link = new_link("c1", features=["correlate"])
    link.advance(at(TIMEOUT_S))
    link.commands([outgoing("c2")], at(TIMEOUT_S))

    (event,) = receive(link, SUCCESS, TIMEOUT_S + 1)

    assert isinstance(event, MessageArrived)
    (event,) = receive(link, {**SUCCESS, "requestId": "c2"}, TIMEOUT_S + 2)
    assert isinstance(event, CommandSettled)


def test_each_of_several_commands_has_a_deadline_of_its_own() -> None:
    link = new_link("c1", features=["correlate"])
    link.commands([outgoing("c2")], at(50))

    assert [type(event) for event in link.advance(at(TIMEOUT_S))] == [CommandUncertain]
    assert deadline_of(link) == 50 + TIMEOUT_S


# --- the end ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [1003, 1007, 1009])
def test_a_close_over_the_frame_rejects_the_one_command_in_flight(code: int) -> None:
    (event,) = new_link("c1").closed(code, "too big")

    assert event == CommandRejected("c1", f"the server refused its frame ({code} too big)")


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1008, 1011, 1012, 4401, None])
def test_any_other_end_leaves_it_uncertain(code: int | None) -> None:
    (event,) = new_link("c1").closed(code, "")

    assert event == CommandUncertain("c1", "the link was lost before its answer came", repeatable=False)


def test_a_server_that_knows_a_repeated_id_may_be_given_it_again() -> None:
    events = new_link("c1", "c2", features=["correlate", "dedupe"]).closed(1006, "")

    assert [(e.command_id, e.repeatable) for e in events if isinstance(e, CommandUncertain)] == [
        ("c1", True),
        ("c2", True),
    ]


def test_a_frame_that_closes_links_is_not_repeated_for_ever() -> None:
    events = new_link("c1", "c2", features=["correlate", "dedupe"]).closed(1009, "")

    assert [(type(e), getattr(e, "repeatable", None)) for e in events] == [(CommandUncertain, False)] * 2


def test_an_echo_says_nothing_about_running_twice() -> None:
    link = new_link("c1")
    receive(link, {"type": "ai_thinking", "requestId": "c1"})

    (event,) = link.closed(None, "")

    assert isinstance(event, CommandUncertain)
    assert not event.repeatable


def test_an_end_is_told_once() -> None:
    link = new_link("c1")
    link.closed(None, "")

    assert link.closed(None, "") == []


# --- anything at all ----------------------------------------------------------------------------------------

IDS = ["c0", "c1", "c2", "c3"]
KNOWN_FRAMES: list[dict[str, Any]] = [
    *SETTLING.values(),
    *(frame for frame, _, _ in PROGRESS.values()),
    INTERVENTION,
    DRAFT,
    {"type": "ping"},
    {"type": "pong"},
    {"type": "hello", "payload": {"features": ["correlate"]}},
    {"type": "hello", "payload": {"features": ["dedupe"]}},
    {"type": "notification", "payload": {}},
]
STEPS = st.lists(
    st.one_of(
        st.just(("command", "")),
        st.tuples(
            st.just("frame"),
            st.builds(
                lambda frame, owner: json.dumps(frame if owner is None else {**frame, "requestId": owner}),
                st.sampled_from(KNOWN_FRAMES),
                st.none() | st.sampled_from(IDS) | st.text(max_size=3),
            ),
        ),
        st.tuples(st.just("frame"), st.text(max_size=40) | st.binary(max_size=40)),
        st.tuples(st.just("time"), st.floats(0, 400)),
    ),
    max_size=25,
)
LAST_WORDS = (CommandSettled, CommandUncertain, CommandRejected)


@given(STEPS, st.sampled_from([None, 1000, 1003, 1009, 4401]))
@settings(max_examples=300, deadline=None)
def test_every_command_gets_exactly_one_last_word(steps: list[tuple[str, Any]], code: int | None) -> None:
    link = new_link()
    waiting = list(IDS)
    written: list[str] = []
    events: list[LinkEvent] = []
    seconds = 0.0
    for what, value in steps:
        if what == "time":
            seconds += value
            events += link.advance(at(seconds))
        elif what == "frame":
            events += link.receive(value, at(seconds))
        elif waiting:
            written.append(waiting.pop(0))
            json.loads(link.commands([outgoing(written[-1])], at(seconds))[0])
        for frame in link.frames_to_send():
            json.loads(frame)

    events += link.closed(code, "")

    last_words = [event.command_id for event in events if isinstance(event, LAST_WORDS)]
    assert sorted(last_words) == sorted(written)


def test_a_question_with_an_absurd_timeout_changes_nothing_else() -> None:
    link = new_link("c1")
    data = {"action": "user_intervention_required", "timeout": 10**400, "message": "Which Ann?"}
    (asked,) = receive(link, {"type": "system", "data": data})
    assert isinstance(asked, QuestionAsked)
    assert deadline_of(link) is not None
