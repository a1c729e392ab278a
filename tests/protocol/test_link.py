"""One socket's conversation as tables: frames and time in, frames and events out.

The letters are those of the protocol's list of what servers in the field do: `-k letter_h` runs those of one.
The parts of our own extension are found in the same way: `-k extension_batch`.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey
from support.moments import START_MONOTONIC, at

from omniid.events import (
    AnswerAcknowledged,
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
    ServerDedupes,
    SignInReported,
    WindowGrew,
)
from omniid.protocol.chat import Outcome
from omniid.protocol.codec import JSON, MSGPACK, Codec, chosen
from omniid.protocol.link import Answer, Link, LinkSettings, Outgoing
from omniid.protocol.messages import ApprovalAction, parse_client_frame
from omniid.protocol.sealing import Sealer, Unsealer

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


def settled_by_name(link: Link, *command_ids: str) -> list[str]:
    """What is settled when these are answered, in this order."""
    return [
        event.command_id
        for command_id in command_ids
        for event in receive(link, {**SUCCESS, "requestId": command_id})
        if isinstance(event, CommandSettled)
    ]


def deadline_of(link: Link) -> float | None:
    """In seconds after the start."""
    seconds = link.next_deadline() - START_MONOTONIC
    return None if seconds >= NEVER_S else seconds


# --- out ----------------------------------------------------------------------------------------------------


def test_extension_request_id_a_command_carries_all_the_contract_asks_for_and_its_own_id() -> None:
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


def test_several_commands_are_one_frame_each_in_their_order() -> None:
    link = new_link(features=["correlate"])

    frames = link.commands([outgoing(each) for each in ("c3", "c1", "c2")], at())

    assert [json.loads(frame)["type"] for frame in frames] == ["command"] * 3
    assert [json.loads(frame)["payload"]["requestId"] for frame in frames] == ["c3", "c1", "c2"]
    assert settled_by_name(link, "c1", "c2", "c3") == ["c1", "c2", "c3"]


def test_no_commands_are_no_frame() -> None:
    link = new_link(features=["correlate", "batch"])

    assert link.commands([], at()) == []
    assert deadline_of(link) is None


UNCARRIED: dict[str, tuple[Codec, bool, dict[str, Any]]] = {
    "no number, in JSON": (JSON, False, {"n": float("nan")}),
    "no number, in MessagePack": (MSGPACK, False, {"n": float("inf")}),
    "a number that MessagePack has not": (MSGPACK, False, {"n": 2**64}),
    "what is no data at all": (JSON, False, {"n": object()}),
    "no number, under a seal": (JSON, True, {"n": float("nan")}),
}


@pytest.mark.parametrize(("codec", "sealed", "metadata"), UNCARRIED.values(), ids=UNCARRIED.keys())
@pytest.mark.parametrize("features", [[], ["correlate", "batch"]], ids=["one each", "a batch"])
def test_a_command_that_no_frame_can_carry_is_an_error_and_nothing_is_in_flight(
    codec: Codec, sealed: bool, metadata: dict[str, Any], features: list[str]
) -> None:
    link = Link(SETTINGS, at(), codec=codec, sealer=ends()[0] if sealed else None)
    link.receive(json.dumps({"type": "hello", "payload": {"features": features}}), at())

    with pytest.raises(ValueError, match="cannot carry"):
        link.commands([outgoing("c1"), Outgoing("c2", "text", "Send it", metadata), outgoing("c3")], at())

    assert deadline_of(link) is None
    assert link.closed(1006, "") == []


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
def test_letter_e_a_settling_frame_settles_the_one_command_in_flight(frame: dict[str, Any]) -> None:
    link = new_link("c1")

    (event,) = receive(link, frame)

    assert isinstance(event, CommandSettled)
    assert event.command_id == "c1"
    assert deadline_of(link) is None


ERROR_WORDS: dict[str, tuple[dict[str, Any], str]] = {
    "error.message": (
        {
            "error": {"message": "first"},
            "data": {"error": "second", "message": "third"},
            "message": "fourth",
        },
        "first",
    ),
    "data.error": ({"data": {"error": "second", "message": "third"}, "message": "fourth"}, "second"),
    "data.message": ({"error": {}, "data": {"message": "third"}, "message": "fourth"}, "third"),
    "message": ({"data": {}, "message": "fourth"}, "fourth"),
}


@pytest.mark.parametrize(
    "kind", [{"type": "error"}, {"type": "response", "status": "error"}], ids=["error", "response"]
)
@pytest.mark.parametrize(("words", "told"), ERROR_WORDS.values(), ids=ERROR_WORDS.keys())
def test_letter_e_the_first_words_that_an_error_has_are_told(
    kind: dict[str, Any], words: dict[str, Any], told: str
) -> None:
    (event,) = receive(new_link("c1"), {**kind, **words})

    assert isinstance(event, CommandSettled)
    assert (event.reply.outcome, event.reply.content) == ("failed", told)


CHAT = {
    "id": "1",
    "content": "It is 42.",
    "sender": "ai",
    "type": "text",
    "timestamp": "2026-03-01T12:00:00Z",
}


@pytest.mark.parametrize(
    ("before", "settling", "content"),
    [
        ([CHAT], {"data": {}}, "It is 42."),
        ([CHAT, {**CHAT, "content": "It is 43."}], {}, "It is 43."),
        ([{**CHAT, "sender": "user"}], {}, "Action completed"),
        ([CHAT], {"data": {"message": "Done."}}, "Done."),
        ([{"type": "ai_thinking", "stage": "Looking"}], {}, "Action completed"),
    ],
    ids=["said before", "the latest counts", "the user's own words", "has words of its own", "no message"],
)
def test_letter_d_a_reply_without_words_means_the_message_before_it(
    before: list[dict[str, Any]], settling: dict[str, Any], content: str
) -> None:
    link = new_link("c1")
    for frame in before:
        receive(link, frame)

    (event,) = receive(link, {"type": "response", "status": "success", **settling})

    assert isinstance(event, CommandSettled)
    assert event.reply.content == content


@pytest.mark.parametrize("category", ["email", "calendar", "contact", "task", "general", "rdf", "EMAIL"])
@pytest.mark.parametrize(
    ("success", "confidence", "outcome"), [(True, 0.8, "done"), (True, 80, "done"), (False, 0.8, "failed")]
)
def test_letter_f_a_unified_reply_settles_whatever_its_category(
    category: str, success: bool, confidence: float, outcome: Outcome
) -> None:
    link = new_link("c1")
    ui = {"title": "Mail", "content": "Sent", "metadata": {"confidence": confidence, "source": "Gmail"}}
    references = {
        "suggestions": ["Call her"],
        "references": [{"title": "A page", "url": "https://x.example"}],
    }
    frame = {
        "type": category,
        "success": success,
        "message": "Sent.",
        "data": {"ui": ui, "structured": references},
        "timestamp": "2026-03-01T12:00:00Z",
        "id": "m1",
        "userId": "ann",
    }

    (event,) = receive(link, frame)

    assert isinstance(event, CommandSettled)
    reply = event.reply
    assert (event.command_id, reply.outcome, reply.content) == ("c1", outcome, "Sent.")
    assert (reply.confidence, reply.alternatives) == (80, ("Call her",))
    assert [source.name for source in reply.sources] == ["Gmail", "A page"]
    assert deadline_of(link) is None


SIGN_IN: dict[str, tuple[dict[str, Any], str | None]] = {
    "a response with an address": (
        {
            "type": "response",
            "status": "success",
            "data": {
                "requiresAuth": True,
                "authUrl": "https://sign.in.example",
                "message": "Sign in.",
                "action": "oauth_required",
            },
        },
        "https://sign.in.example",
    ),
    "a response without one": (
        {"type": "response", "status": "success", "data": {"requiresAuth": True, "authUrl": None}},
        None,
    ),
    "an error response": (
        {
            "type": "response",
            "status": "error",
            "data": {"requiresAuth": True, "authUrl": "https://a.example"},
        },
        "https://a.example",
    ),
    "a unified reply": (
        {**UNIFIED, "authRequired": True, "authUrl": "https://b.example"},
        "https://b.example",
    ),
    "a unified reply without an address": ({**UNIFIED, "success": False, "authRequired": True}, None),
}


@pytest.mark.parametrize(("frame", "address"), SIGN_IN.values(), ids=SIGN_IN.keys())
def test_letter_g_a_request_to_sign_in_settles_the_command_as_such(
    frame: dict[str, Any], address: str | None
) -> None:
    link = new_link("c1")

    (event,) = receive(link, frame)

    assert isinstance(event, CommandSettled)
    assert (event.command_id, event.reply.outcome, event.reply.auth_url) == ("c1", "needs_auth", address)
    assert event.reply.content
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
def test_letter_d_a_frame_that_does_not_settle_is_progress_and_starts_the_deadline_anew(
    frame: dict[str, Any], kind: str, text: str | None
) -> None:
    link = new_link("c1")

    (progressed,) = receive(link, frame, 100)
    assert isinstance(progressed, CommandProgressed)
    assert (progressed.command_id, progressed.kind, progressed.text) == ("c1", kind, text)
    assert (progressed.note is None) == (text is None)
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
def test_letter_a_a_pong_is_never_a_reply(frame: dict[str, Any]) -> None:
    link = new_link("c1")

    assert receive(link, frame, 100) == []
    assert deadline_of(link) == TIMEOUT_S


@pytest.mark.parametrize("frame", IGNORED.values(), ids=IGNORED.keys())
def test_letter_k_a_broken_or_unknown_frame_is_kept_and_changes_nothing_else(
    frame: dict[str, Any] | str,
) -> None:
    link = new_link("c1")

    (event,) = receive(link, frame, 100)

    assert isinstance(event, FrameIgnored)
    assert event.raw == (frame if isinstance(frame, str) else json.dumps(frame))
    assert deadline_of(link) == TIMEOUT_S
    assert link.frames_received == 1


def test_letter_b_a_servers_ping_is_answered_with_a_pong_once() -> None:
    link = new_link("c1")

    assert receive(link, {"type": "ping"}) == []
    assert [json.loads(frame) for frame in link.frames_to_send()] == [
        {"type": "pong", "timestamp": at(1).unix_ms}
    ]
    assert link.frames_to_send() == []
    assert deadline_of(link) == TIMEOUT_S


@pytest.mark.parametrize("timestamp", [{}, {"timestamp": "now"}, {"timestamp": 1}, {"timestamp": [1]}])
@pytest.mark.parametrize(
    ("frame", "kind"), [(SUCCESS, CommandSettled), ({"type": "ai_thinking", "stage": "x"}, CommandProgressed)]
)
def test_letter_k_a_frame_means_the_same_with_any_timestamp_and_with_unknown_fields(
    frame: dict[str, Any], kind: type[Any], timestamp: dict[str, Any]
) -> None:
    (event,) = receive(new_link("c1"), {**frame, **timestamp, "tomorrow": {"x": [None]}})

    assert isinstance(event, kind)
    assert event.command_id == "c1"


@pytest.mark.parametrize("kind", ["info", "warning", "error", "success"])
def test_letter_j_a_notification_is_nobodys_progress(kind: str) -> None:
    link = new_link("c1")
    payload = {"userId": "ann", "notificationType": kind, "title": "Mail", "message": "New mail"}
    frame = {"type": "notification", "payload": payload}

    (message,) = receive(link, frame, 100)
    assert isinstance(message, MessageArrived)
    assert (message.kind, message.raw, message.command_id) == ("notification", frame, "c1")
    assert message.note is not None
    assert message.note.category == kind
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
        pytest.param(DRAFT, "approval", "Two mails", 610 + TIMEOUT_S, id="i in upper case"),
        pytest.param(
            {**DRAFT, "type": "workflow_draft"},
            "approval",
            "Two mails",
            610 + TIMEOUT_S,
            id="i in lower case",
        ),
    ],
)
def test_letter_h_and_letter_i_the_deadline_rests_while_a_question_is_open(
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


# --- answers ------------------------------------------------------------------------------------------------

RESOLVED = Answer("s", "1", "Bob Ross")
APPROVED = Answer("s", None, action="approve_all")
REJECTED = Answer("s", "2", "Not him", action="reject_step", leaves_open=True)
ANSWERS = {"a value (h)": RESOLVED, "an approval (i)": APPROVED, "one step of it (i)": REJECTED}
NO_IDS: dict[str, dict[str, Any]] = {
    "an error frame": ERROR,
    "an error response": {"type": "response", "status": "error", "data": {"error": "No."}},
    "an error response without data": {"type": "response", "status": "error", "message": "No."},
}


def answered(*answers: Answer, seconds: float = 50.0) -> Link:
    """A link whose command in flight has brought questions at 10 s, with these answers given to them."""
    link = new_link("c1")
    receive(link, INTERVENTION, 10)
    receive(link, DRAFT, 10)
    for each in answers:
        link.answer(each, at(seconds))
    return link


def naming(answer: Answer, frame: dict[str, Any]) -> dict[str, Any]:
    ids = {"sessionId": answer.session_id, "stepId": answer.step_id}
    given = {key: value for key, value in ids.items() if value is not None}
    return {**frame, "data": {**frame.get("data", {}), **given}}


def test_letter_h_an_answer_has_the_protocols_form() -> None:
    link = answered()

    assert json.loads(link.answer(RESOLVED, at(50))) == {
        "type": "system",
        "payload": {
            "action": "intervention_response",
            "sessionId": "s",
            "stepId": "1",
            "resolvedValue": "Bob Ross",
        },
        "timestamp": at(50).unix_ms,
    }


@pytest.mark.parametrize(
    "action", ["approve_all", "approve_step", "reject_step", "modify_step", "cancel_all"]
)
@pytest.mark.parametrize(
    ("step_id", "reason", "more"),
    [(None, None, {}), ("2", "Not him", {"stepId": "2", "reason": "Not him"})],
    ids=["on all of it", "on a step, with a reason"],
)
def test_letter_i_a_decision_has_the_protocols_form(
    action: ApprovalAction, step_id: str | None, reason: str | None, more: dict[str, str]
) -> None:
    frame = answered().answer(Answer("s", step_id, reason, action), at(50))

    assert json.loads(frame) == {
        "type": "workflow_approval",
        "sessionId": "s",
        "payload": {"action": action, **more},
        "timestamp": at(50).unix_ms,
    }


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
def test_letter_h_and_letter_i_the_deadline_starts_anew_with_the_answer(answer: Answer) -> None:
    link = new_link("c1")
    receive(link, INTERVENTION if answer is RESOLVED else DRAFT, 10)

    link.answer(answer, at(50))

    if answer.leaves_open:  # the draft's other steps are still to be decided
        assert deadline_of(link) == 10 + 600 + TIMEOUT_S
        link.answer(APPROVED, at(50))
    assert deadline_of(link) == 50 + TIMEOUT_S
    assert link.advance(at(50 + TIMEOUT_S - 0.001)) == []
    assert isinstance(link.advance(at(50 + TIMEOUT_S))[0], CommandUncertain)


def test_letter_h_an_answer_starts_only_the_deadline_of_the_command_that_asked() -> None:
    link = new_link("c1", "c2", features=["correlate"])
    receive(link, {**INTERVENTION, "requestId": "c2"}, 10)

    link.answer(RESOLVED, at(100))

    assert deadline_of(link) == TIMEOUT_S
    assert settled_by_name(link, "c1") == ["c1"]
    assert deadline_of(link) == 100 + TIMEOUT_S


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
@pytest.mark.parametrize(
    ("frame", "accepted", "text"),
    [
        pytest.param(SUCCESS, True, "Sent.", id="a success"),
        pytest.param({"type": "response", "status": "success"}, True, "", id="no words"),
        pytest.param(NO_IDS["an error response"], False, "No.", id="an error response"),
        pytest.param(ERROR, False, "No.", id="an error frame"),
    ],
)
def test_letter_h_and_letter_i_a_response_that_names_the_answer_is_not_the_commands(
    answer: Answer, frame: dict[str, Any], accepted: bool, text: str
) -> None:
    link = answered(answer)

    assert receive(link, naming(answer, frame), 51) == [
        AnswerAcknowledged(answer.session_id, answer.step_id, accepted, text)
    ]
    assert deadline_of(link) is not None
    (settled,) = receive(link, SUCCESS, 52)
    assert isinstance(settled, CommandSettled)
    assert settled.command_id == "c1"


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
@pytest.mark.parametrize("frame", NO_IDS.values(), ids=NO_IDS.keys())
def test_letter_h_and_letter_i_an_error_without_ids_is_the_unacknowledged_answers(
    answer: Answer, frame: dict[str, Any]
) -> None:
    link = answered(answer)

    assert receive(link, frame, 51) == [
        AnswerAcknowledged(answer.session_id, answer.step_id, accepted=False, text="No.")
    ]
    assert deadline_of(link) is not None
    (settled,) = receive(link, frame, 52)  # the next one is the command's
    assert isinstance(settled, CommandSettled)
    assert (settled.command_id, settled.reply.outcome) == ("c1", "failed")


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS.keys())
@pytest.mark.parametrize(
    "frame",
    [SUCCESS, UNIFIED, SIGN_IN["a response with an address"][0]],
    ids=["response", "unified", "sign in"],
)
def test_letter_h_and_letter_i_a_success_without_ids_is_the_commands_though_an_answer_is_unacknowledged(
    answer: Answer, frame: dict[str, Any]
) -> None:
    link = answered(answer)

    (settled,) = receive(link, frame, 51)

    assert isinstance(settled, CommandSettled)
    assert settled.command_id == "c1"
    assert deadline_of(link) is None


def test_letter_h_an_error_that_echoes_the_commands_id_is_the_commands() -> None:
    link = answered(RESOLVED)

    events = receive(link, {**ERROR, "requestId": "c1"}, 51)

    assert [type(event) for event in events] == [WindowGrew, CommandSettled]
    assert receive(link, naming(RESOLVED, SUCCESS), 52) == [AnswerAcknowledged("s", "1", True, "Sent.")]


@pytest.mark.parametrize(
    "ids", [{"sessionId": "other", "stepId": "1"}, {"sessionId": "s", "stepId": "9"}, {"sessionId": "s"}]
)
def test_letter_h_a_response_that_names_another_question_is_the_commands(ids: dict[str, str]) -> None:
    (settled,) = receive(answered(RESOLVED), {**SUCCESS, "data": {"message": "Sent.", **ids}}, 51)

    assert isinstance(settled, CommandSettled)
    assert settled.command_id == "c1"


def test_letter_h_before_any_answer_an_error_is_the_commands() -> None:
    (settled,) = receive(answered(), ERROR, 51)

    assert isinstance(settled, CommandSettled)


def test_letter_h_what_only_talks_acknowledges_nothing() -> None:
    link = answered(RESOLVED)

    (progressed,) = receive(link, {"type": "ai_thinking", "stage": "x"}, 51)
    assert isinstance(progressed, CommandProgressed)
    assert receive(link, ERROR, 52) == [AnswerAcknowledged("s", "1", False, "No.")]


def test_letter_h_and_letter_i_errors_without_ids_acknowledge_two_answers_in_their_order() -> None:
    link = answered(RESOLVED, APPROVED)

    assert [receive(link, ERROR, 51), receive(link, ERROR, 52)] == [
        [AnswerAcknowledged("s", "1", False, "No.")],
        [AnswerAcknowledged("s", None, False, "No.")],
    ]
    assert isinstance(receive(link, ERROR, 53)[0], CommandSettled)


def test_letter_h_and_letter_i_of_two_answers_a_response_acknowledges_the_one_that_it_names() -> None:
    link = answered(RESOLVED, APPROVED)

    assert receive(link, naming(APPROVED, SUCCESS), 51) == [AnswerAcknowledged("s", None, True, "Sent.")]
    assert receive(link, ERROR, 52) == [AnswerAcknowledged("s", "1", False, "No.")]
    assert isinstance(receive(link, naming(APPROVED, SUCCESS), 53)[0], CommandSettled)


def test_letter_h_an_answer_to_an_unknown_question_goes_out_and_its_error_is_not_the_commands() -> None:
    link = new_link("c1")

    frame = json.loads(link.answer(Answer("ghost", "9", "Boo"), at(50)))

    assert (frame["payload"]["sessionId"], frame["payload"]["stepId"]) == ("ghost", "9")
    assert deadline_of(link) == TIMEOUT_S
    assert receive(link, ERROR, 51) == [AnswerAcknowledged("ghost", "9", False, "No.")]
    assert deadline_of(link) == TIMEOUT_S


def test_letter_h_the_deadline_rests_again_where_the_answer_is_not_taken() -> None:
    link = new_link("c1")
    receive(link, INTERVENTION, 10)
    before = deadline_of(link)
    link.answer(RESOLVED, at(50))
    assert deadline_of(link) == 50 + TIMEOUT_S

    receive(link, naming(RESOLVED, ERROR), 51)

    assert deadline_of(link) == before
    link.answer(RESOLVED, at(60))
    assert deadline_of(link) == 60 + TIMEOUT_S


def test_letter_h_it_rests_again_where_the_refusal_names_the_command_too() -> None:
    link = new_link("c1")
    receive(link, INTERVENTION, 10)
    before = deadline_of(link)
    link.answer(RESOLVED, at(50))

    (refused,) = [
        event
        for event in receive(link, {**naming(RESOLVED, ERROR), "requestId": "c1"}, 51)
        if isinstance(event, AnswerAcknowledged)
    ]

    assert not refused.accepted
    assert deadline_of(link) == before


def test_letter_i_it_rests_again_where_a_step_is_refused_after_the_last_was_decided() -> None:
    link = new_link("c1")
    receive(link, DRAFT, 10)
    before = deadline_of(link)
    first = Answer("s", "1", action="approve_step", leaves_open=True)
    link.answer(first, at(50))
    link.answer(Answer("s", "2", action="approve_step"), at(51))
    assert deadline_of(link) == 51 + TIMEOUT_S

    receive(link, naming(first, ERROR), 52)

    assert deadline_of(link) == before


def test_letter_h_an_answer_refused_after_its_command_was_called_off_rests_no_more() -> None:
    link = new_link("c1")
    receive(link, INTERVENTION, 10)
    link.answer(RESOLVED, at(50))
    link.leave_questions("c1", at(51))

    receive(link, naming(RESOLVED, ERROR), 52)

    deadline = deadline_of(link)
    assert deadline is not None
    assert deadline <= 52 + TIMEOUT_S


def test_letter_h_who_answers_no_more_waits_for_the_reply_alone() -> None:
    link = answered()
    link.leave_questions("c1", at(50))
    assert deadline_of(link) == 50 + TIMEOUT_S
    link.leave_questions("unknown", at(60))
    assert deadline_of(link) == 50 + TIMEOUT_S


def test_letter_h_an_answer_after_its_command_is_settled_brings_nothing_back() -> None:
    link = answered()
    receive(link, SUCCESS, 20)

    link.answer(RESOLVED, at(50))

    assert deadline_of(link) is None
    assert link.closed(1006, "") == []


# --- correlation --------------------------------------------------------------------------------------------


def test_letter_c_one_command_may_be_in_flight_until_the_server_shows_that_it_correlates() -> None:
    assert new_link().window == 1


def test_extension_hello_that_says_correlate_opens_the_window() -> None:
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
def test_extension_request_id_an_echo_opens_the_window_from_then_on(frame: dict[str, Any]) -> None:
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


def test_letter_c_replies_settle_the_commands_they_name_in_any_order() -> None:
    link = new_link("c1", "c2", "c3", features=["correlate"])

    assert settled_by_name(link, "c2", "c3", "c1") == ["c2", "c3", "c1"]


@pytest.mark.parametrize("frame", [SUCCESS, ERROR, UNIFIED, {"type": "ai_thinking", "stage": "x"}])
def test_letter_c_a_frame_without_an_id_belongs_to_none_of_several(frame: dict[str, Any]) -> None:
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


def test_extension_hello_that_says_dedupe_is_told_once() -> None:
    link = new_link()
    hello = {"type": "hello", "payload": {"features": ["dedupe"]}}

    assert not link.dedupes
    assert receive(link, hello) == [ServerDedupes()]
    assert link.dedupes
    assert receive(link, hello) == []


def test_extension_hello_may_say_all_at_once_and_what_nobody_knows() -> None:
    features = ["correlate", "dedupe", "batch", "tomorrow", 7, None]

    events = receive(new_link(), {"type": "hello", "payload": {"features": features}})

    assert events == [ServerDedupes(), WindowGrew(16)]


@pytest.mark.parametrize("payload", [{}, {"features": "dedupe correlate"}, {"features": {}}, "dedupe", None])
def test_extension_hello_that_is_broken_says_nothing(payload: Any) -> None:
    link = new_link("c1")

    assert receive(link, {"type": "hello", "payload": payload}) == []
    assert (link.window, link.dedupes, deadline_of(link)) == (1, False, TIMEOUT_S)


def test_extension_request_id_is_the_same_on_every_attempt() -> None:
    first, second = new_link(), new_link()

    frames = [link.commands([outgoing("c1")], at(seconds))[0] for link, seconds in ((first, 0), (second, 9))]

    assert [json.loads(frame)["payload"]["requestId"] for frame in frames] == ["c1", "c1"]


# --- the socket before --------------------------------------------------------------------------------------


def test_letter_l_the_direct_reply_on_a_new_socket_settles_though_the_old_one_is_still_registered() -> None:
    old = new_link("c1")
    assert [type(event) for event in old.closed(1006, "")] == [CommandUncertain]
    new = new_link("c2")

    (event,) = receive(new, SUCCESS)

    assert isinstance(event, CommandSettled)
    assert event.command_id == "c2"


def test_letter_l_what_was_owed_to_the_old_socket_settles_nothing_of_the_new_ones() -> None:
    new = new_link("c2")

    (late,) = receive(new, {**SUCCESS, "requestId": "c1"})

    assert isinstance(late, LateReplyArrived)
    assert late.command_id == "c1"
    assert new.window == 1
    assert deadline_of(new) == TIMEOUT_S


# --- several in one frame -----------------------------------------------------------------------------------


def test_extension_batch_commands_queued_together_travel_together() -> None:
    link = new_link(features=["correlate", "batch"])
    together = [Outgoing("c1", "voice", "Hi", {"confidence": 0.9}), outgoing("c2"), outgoing("c3")]

    (frame,) = link.commands(together, at(5))

    singly = [new_link().commands([each], at(5))[0] for each in together]
    assert json.loads(frame) == {
        "type": "batch",
        "payload": {"commands": [json.loads(each)["payload"] for each in singly]},
        "timestamp": at(5).unix_ms,
    }
    parse_client_frame(frame)


def test_extension_batch_each_of_its_commands_is_in_flight() -> None:
    link = new_link(features=["correlate", "batch"])
    link.commands([outgoing("c1"), outgoing("c2"), outgoing("c3")], at())

    assert settled_by_name(link, "c3", "c1") == ["c3", "c1"]
    assert link.advance(at(TIMEOUT_S)) == [CommandUncertain("c2", "no answer came in time")]


def test_extension_batch_a_close_over_it_says_not_which_command_is_meant() -> None:
    link = new_link(features=["correlate", "batch"])
    link.commands([outgoing("c1"), outgoing("c2")], at())

    assert [type(event) for event in link.closed(1009, "")] == [CommandUncertain] * 2


@pytest.mark.parametrize("features", [[], ["batch"], ["correlate"], ["batch", "dedupe"]])
def test_extension_batch_needs_a_server_that_names_it_and_correlates(features: list[str]) -> None:
    frames = new_link(features=features).commands([outgoing("c1"), outgoing("c2")], at())

    assert [json.loads(frame)["type"] for frame in frames] == ["command", "command"]


def test_extension_batch_an_echo_correlates_as_well() -> None:
    link = new_link("c1", features=["batch"])
    receive(link, {**SUCCESS, "requestId": "c1"})

    (frame,) = link.commands([outgoing("c2"), outgoing("c3")], at())

    assert json.loads(frame)["type"] == "batch"


def test_extension_batch_one_command_is_none() -> None:
    (frame,) = new_link(features=["correlate", "batch"]).commands([outgoing("c1")], at())

    assert json.loads(frame)["type"] == "command"


# --- encodings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("subprotocol", "kind"), [("omnii.v1+msgpack", bytes), ("omnii.v1+json", str), (None, str)]
)
def test_extension_subprotocol_all_that_goes_out_is_in_the_encoding_that_was_taken(
    subprotocol: str | None, kind: type[Any]
) -> None:
    codec = chosen(subprotocol)
    link, plain = Link(SETTINGS, at(), codec=codec), Link(SETTINGS, at())

    def said(by: Link) -> list[str | bytes]:
        by.receive('{"type": "ping"}', at())
        return [
            *by.ping(at()),
            *by.commands([Outgoing("c1", "voice", "Grüße 😀", {"n": [1, 2.5]})], at()),
            by.answer(RESOLVED, at()),
            by.answer(APPROVED, at()),
            *by.frames_to_send(),
        ]

    frames = said(link)

    assert len(frames) == 5
    assert {type(frame) for frame in frames} == {kind}
    assert [codec.unpack(frame) for frame in frames] == [JSON.unpack(frame) for frame in said(plain)]


def test_extension_subprotocol_messagepack_is_read_as_the_same_frames() -> None:
    link = Link(SETTINGS, at(), codec=MSGPACK)
    link.commands([outgoing("c1")], at())

    (progressed,) = link.receive(MSGPACK.pack({"type": "ai_thinking", "stage": "x"}), at())
    assert isinstance(progressed, CommandProgressed)
    assert (progressed.command_id, progressed.text) == ("c1", "x")
    (broken,) = link.receive(b"\xc1", at())
    assert isinstance(broken, FrameIgnored)
    (settled,) = link.receive(MSGPACK.pack(SUCCESS), at())
    assert isinstance(settled, CommandSettled)


# --- seals --------------------------------------------------------------------------------------------------

RECIPIENT = ECKey.generate_key("P-256")


def ends() -> tuple[Sealer, Unsealer]:
    """A client and the recipient that it seals to."""
    return (
        Sealer.from_key_text(json.dumps(RECIPIENT.as_dict(private=False))),
        Unsealer.from_key_text(json.dumps(RECIPIENT.as_dict(private=True))),
    )


def sealed_link(*commands: str) -> tuple[Link, Unsealer, Any]:
    """A link that seals, with commands in flight; the recipient, and the key to seal replies to."""
    sealer, unsealer = ends()
    link = Link(SETTINGS, at(), sealer=sealer)
    for command_id in commands:
        link.commands([outgoing(command_id)], at())
    _, _, reply_key = unsealer.open_command(sealer.seal("", None))
    return link, unsealer, reply_key


def tampered(sealed: str) -> str:
    parts = sealed.split(".")
    first = "A" if parts[3][0] != "A" else "B"
    parts[3] = first + parts[3][1:]
    return ".".join(parts)


def test_extension_sealed_a_commands_words_stand_nowhere_in_clear() -> None:
    sealer, unsealer = ends()
    link = Link(SETTINGS, at(), sealer=sealer)

    (frame,) = link.commands([Outgoing("c1", "voice", "The surprise", {"place": "the attic"})], at())

    payload = json.loads(frame)["payload"]
    assert not payload.keys() & {"message", "metadata"}
    assert "surprise" not in frame
    assert "attic" not in frame
    assert (payload["requestId"], payload["commandType"]) == ("c1", "voice_command")
    message, metadata, _ = unsealer.open_command(payload["sealed"])
    assert (message, metadata) == ("The surprise", {"place": "the attic"})


def test_extension_sealed_commands_travel_in_a_batch_too() -> None:
    link, unsealer, _ = sealed_link()
    hello = {"type": "hello", "payload": {"features": ["correlate", "batch"]}}
    receive(link, hello)

    (frame,) = link.commands([outgoing("c1"), outgoing("c2")], at())

    commands = json.loads(frame)["payload"]["commands"]
    assert [unsealer.open_command(each["sealed"])[0] for each in commands] == ["Send it"] * 2
    assert not any(each.keys() & {"message", "metadata"} for each in commands)


def test_extension_sealed_a_reply_is_opened_and_settles_with_what_it_held() -> None:
    link, unsealer, key = sealed_link("c1")
    inner = {"message": "Sent.", "metadata": {"reasoning": "You asked.", "suggestions": ["Call her"]}}

    (event,) = receive(
        link, {"type": "response", "status": "success", "data": {"sealed": unsealer.seal_reply(inner, key)}}
    )

    assert isinstance(event, CommandSettled)
    reply = event.reply
    assert (reply.content, reply.reasoning, reply.alternatives) == ("Sent.", "You asked.", ("Call her",))
    assert "sealed" not in reply.raw["data"]


def test_extension_sealed_errors_and_questions_are_opened_as_well() -> None:
    link, unsealer, key = sealed_link("c1")
    question = {"type": "system", "data": {"sealed": unsealer.seal_reply(INTERVENTION["data"], key)}}
    error = {"type": "error", "data": {"sealed": unsealer.seal_reply({"error": "No."}, key)}}

    (asked,) = receive(link, question, 10)
    assert isinstance(asked, QuestionAsked)
    assert (asked.command_id, asked.session_id, asked.step_id) == ("c1", "s", "1")
    (settled,) = receive(link, error, 20)
    assert isinstance(settled, CommandSettled)
    assert (settled.reply.outcome, settled.reply.content) == ("failed", "No.")


UNOPENED = ["tampered with", "for another process", "no text", "in clear", "empty"]


@pytest.mark.parametrize("how", UNOPENED)
@pytest.mark.parametrize(
    "frame",
    [SUCCESS, {"type": "response", "status": "error"}, ERROR, UNIFIED, {**SUCCESS, "requestId": "c1"}],
)
def test_extension_sealed_a_reply_that_does_not_open_is_ignored_and_the_command_stays_in_flight(
    how: str, frame: dict[str, Any]
) -> None:
    link, unsealer, key = sealed_link("c1")
    good = unsealer.seal_reply({"message": "Sent."}, key)
    stranger = sealed_link()[2]
    sealed: Any = dict(
        zip(
            UNOPENED,
            (tampered(good), unsealer.seal_reply({"message": "Sent."}, stranger), 7, "Sent.", ""),
            strict=True,
        )
    )[how]

    (event,) = receive(link, {**frame, "data": {"message": "Sent.", "sealed": sealed}}, 100)

    assert isinstance(event, FrameIgnored)
    assert event.problem.startswith("a sealed reply that cannot be opened: ")
    assert (deadline_of(link), link.window) == (TIMEOUT_S, 1)
    (settled,) = receive(link, {"type": "response", "status": "success", "data": {"sealed": good}}, 101)
    assert isinstance(settled, CommandSettled)


def test_extension_sealed_a_reply_that_nobody_asked_for_is_ignored_and_says_what_is_missing() -> None:
    link = new_link("c1")
    _, unsealer, key = sealed_link()

    (event,) = receive(
        link, {"type": "response", "status": "success", "data": {"sealed": unsealer.seal_reply({}, key)}}, 100
    )

    assert isinstance(event, FrameIgnored)
    assert event.problem == "a sealed reply, and no backend.seal_key_file is set"
    assert deadline_of(link) == TIMEOUT_S


def test_extension_sealed_a_server_that_answers_in_clear_is_understood() -> None:
    link, _, _ = sealed_link("c1")

    assert isinstance(receive(link, SUCCESS)[0], CommandSettled)


# --- signs of life ------------------------------------------------------------------------------------------

BEATING = LinkSettings("ann", "UTC", 16, TIMEOUT_S, ping_interval_s=15, ping_timeout_s=10)


def beating(*commands: str) -> Link:
    link = Link(BEATING, at())
    for command_id in commands:
        link.commands([outgoing(command_id)], at())
    return link


def test_a_silent_peer_is_asked_after_the_interval_in_both_ways_and_once() -> None:
    link = beating()

    assert deadline_of(link) == 15
    assert link.advance(at(14.999)) == []
    assert (link.frames_to_send(), link.take_ping()) == ([], False)
    assert link.advance(at(15)) == []
    (ping,) = link.frames_to_send()
    assert json.loads(ping) == {
        "type": "ping",
        "payload": {"userId": "ann", "sequence": 1},
        "timestamp": at(15).unix_ms,
    }
    assert (link.take_ping(), link.take_ping()) == (True, False)
    assert deadline_of(link) == 25
    assert link.advance(at(24.999)) == []
    assert (link.frames_to_send(), link.take_ping()) == ([], False)


def test_a_peer_that_says_nothing_to_a_ping_is_dead() -> None:
    link = beating("c1")
    link.advance(at(15))

    (spoilt,) = link.advance(at(25))

    assert isinstance(spoilt, LinkSpoilt)
    assert link.spoilt
    assert [type(event) for event in link.closed(None, "")] == [CommandUncertain]


def test_no_ping_of_the_wires_own_goes_out_while_a_command_is_in_flight() -> None:
    link = beating("c1")

    assert link.advance(at(15)) == []
    assert (link.frames_to_send(), link.take_ping()) == ([], True)
    assert link.ping(at(16)) == []
    receive(link, SUCCESS, 17)
    assert [json.loads(frame)["payload"]["sequence"] for frame in link.ping(at(18))] == [1]


def test_the_sequence_of_the_pings_grows() -> None:
    link = beating()

    frames = [frame for seconds in range(4) for frame in link.ping(at(seconds))]

    assert [json.loads(frame)["payload"]["sequence"] for frame in frames] == [1, 2, 3, 4]


def test_any_byte_is_life_though_it_is_no_whole_frame() -> None:
    link = beating("c1")
    link.advance(at(15))

    link.heard(at(24))

    assert (deadline_of(link), link.heard_at) == (24 + 15, at(24).monotonic)
    assert link.frames_received == 0
    assert link.advance(at(25)) == []
    assert not link.spoilt


@pytest.mark.parametrize("frame", ['{"type": "pong"}', "<html>", '{"type": "notification", "payload": {}}'])
def test_any_frame_is_life(frame: str) -> None:
    link = beating()
    link.advance(at(15))

    receive(link, frame, 20)

    assert deadline_of(link) == 20 + 15
    assert link.heard_at == at(20).monotonic


def test_a_life_sign_lengthens_no_commands_deadline() -> None:
    link = beating("c1")
    for seconds in range(10, 120, 10):
        link.heard(at(seconds))
        assert link.advance(at(seconds)) == []

    assert [type(event) for event in link.advance(at(TIMEOUT_S))] == [CommandUncertain, LinkSpoilt]


@pytest.mark.parametrize("commands", [(), ("c1",)], ids=["idle", "with a command in flight"])
def test_a_link_that_is_probed_has_to_say_something_in_time(commands: tuple[str, ...]) -> None:
    link = beating(*commands)

    assert len(link.ping(at(5), within_s=3)) == (0 if commands else 1)
    assert deadline_of(link) == 8
    assert link.advance(at(7.999)) == []
    assert isinstance(link.advance(at(8))[0], LinkSpoilt)


def test_a_link_that_answers_a_probe_lives_on() -> None:
    link = beating()
    link.ping(at(5), within_s=3)

    receive(link, {"type": "pong", "data": {"pong": True, "sequence": 1}}, 6)

    assert link.advance(at(8)) == []
    assert deadline_of(link) == 6 + 15


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


def test_letter_m_a_deadline_spoils_a_link_whose_late_reply_would_name_nobody() -> None:
    link = new_link("c1")

    lost, spoilt = link.advance(at(TIMEOUT_S))

    assert lost == CommandUncertain("c1", "no answer came in time", repeatable=False)
    assert isinstance(spoilt, LinkSpoilt)
    assert link.spoilt


def test_letter_m_a_link_that_correlates_outlives_a_deadline_and_takes_the_late_reply_by_its_id() -> None:
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


def test_once_the_late_reply_has_come_what_names_nobody_is_the_commands_in_flight() -> None:
    link = new_link("c1", features=["correlate"])
    link.advance(at(TIMEOUT_S))
    receive(link, {**SUCCESS, "requestId": "c1"}, TIMEOUT_S + 1)
    link.commands([outgoing("c2")], at(TIMEOUT_S + 2))

    (asked,) = receive(link, INTERVENTION, TIMEOUT_S + 3)

    assert isinstance(asked, QuestionAsked)
    assert asked.command_id == "c2"


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
def test_letter_m_any_other_end_leaves_it_uncertain(code: int | None) -> None:
    (event,) = new_link("c1").closed(code, "")

    assert event == CommandUncertain("c1", "the link was lost before its answer came", repeatable=False)


def test_letter_m_a_server_that_knows_a_repeated_id_may_be_given_it_again() -> None:
    events = new_link("c1", "c2", features=["correlate", "dedupe"]).closed(1006, "")

    assert [(e.command_id, e.repeatable) for e in events if isinstance(e, CommandUncertain)] == [
        ("c1", True),
        ("c2", True),
    ]


def test_a_frame_that_closes_links_is_not_repeated_for_ever() -> None:
    events = new_link("c1", "c2", features=["correlate", "dedupe"]).closed(1009, "")

    assert [(type(e), getattr(e, "repeatable", None)) for e in events] == [(CommandUncertain, False)] * 2


def test_extension_request_id_an_echo_says_nothing_about_running_twice() -> None:
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
    {"type": "hello", "payload": {"features": ["correlate", "batch", "dedupe"]}},
    {"type": "response", "status": "success", "data": {"sessionId": "s", "stepId": "1"}},
    {"type": "response", "status": "error", "data": {"sessionId": "s"}},
    {"type": "response", "status": "success", "data": {"sealed": "x"}},
]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("commands"), st.integers(1, 3)),
        st.tuples(st.just("answer"), st.sampled_from([RESOLVED, APPROVED, REJECTED, Answer("", None)])),
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
        elif what == "answer":
            json.loads(link.answer(value, at(seconds)))
        else:
            together, waiting = waiting[:value], waiting[value:]
            written += together
            for frame in link.commands([outgoing(each) for each in together], at(seconds)):
                json.loads(frame)
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


def question(step_id: str | None, timeout_s: float) -> dict[str, Any]:
    data: dict[str, Any] = {"action": "user_intervention_required", "sessionId": "s", "message": "Which Bob?"}
    data |= {"timeout": int(timeout_s * 1000)} | ({} if step_id is None else {"stepId": step_id})
    return {"type": "system", "data": data}


@pytest.mark.parametrize("answered_at", [550, 620])
def test_letter_h_the_ten_minutes_rest_too_while_a_question_is_open(answered_at: float) -> None:
    link = new_link("c1")
    receive(link, question("1", 600), 30)

    link.answer(Answer("s", "1", "Bob"), at(answered_at))

    assert deadline_of(link) == answered_at + TIMEOUT_S


def test_letter_h_the_deadline_rests_until_the_last_of_several_questions_is_answered() -> None:
    link = new_link("c1")
    receive(link, question("1", 300), 10)
    receive(link, question("2", 300), 10)
    receive(link, question("3", 1), 10)

    link.answer(Answer("s", "1", "Bob"), at(20))

    assert link.advance(at(200)) == []
    assert deadline_of(link) == 310 + TIMEOUT_S


def test_letter_h_a_question_without_a_step_is_answered_and_acknowledged() -> None:
    link = new_link("c1")
    receive(link, question(None, 300), 10)
    sent = json.loads(link.answer(Answer("s", None, "Bob"), at(20)))["payload"]
    data = {"sessionId": sent["sessionId"], "stepId": sent["stepId"]}

    (event,) = receive(link, {"type": "response", "status": "success", "data": data}, 21)

    assert isinstance(event, AnswerAcknowledged)


def test_letter_h_a_processing_response_that_names_the_answer_refuses_nothing() -> None:
    link = new_link("c1")
    receive(link, question("1", 300), 10)
    link.answer(Answer("s", "1", "Bob"), at(20))
    data = {"sessionId": "s", "stepId": "1", "message": "Working"}

    (event,) = receive(link, {"type": "response", "status": "processing", "data": data}, 21)

    assert isinstance(event, CommandProgressed)


def test_letter_h_an_error_for_the_next_command_is_not_taken_for_an_old_answers() -> None:
    link = new_link("c1")
    receive(link, question("1", 300), 10)
    link.answer(Answer("s", "1", "Bob"), at(20))
    receive(link, SUCCESS, 21)  # and the answer is never acknowledged
    link.commands([outgoing("c2")], at(30))

    (event,) = receive(link, ERROR, 31)

    assert isinstance(event, CommandSettled)
    assert event.command_id == "c2"


@pytest.mark.parametrize(
    ("frame", "reported"),
    [
        ({"type": "system", "data": {"action": "oauth_completed"}}, SignInReported(None, accepted=True)),
        (
            {
                "type": "system",
                "data": {"action": "oauth_completed", "success": False, "authUrl": "https://a/x"},
            },
            SignInReported("https://a/x", accepted=False),
        ),
        ({"type": "system", "data": {"action": "oauth_failed"}}, SignInReported(None, accepted=False)),
    ],
)
def test_letter_g_word_of_a_finished_sign_in_settles_no_command(
    frame: dict[str, Any], reported: SignInReported
) -> None:
    link = new_link("c1")

    assert receive(link, frame, 1) == [reported]
    (settled,) = receive(link, SUCCESS, 2)
    assert isinstance(settled, CommandSettled)


def test_what_is_said_unasked_is_about_the_latest_command_where_it_is_recent() -> None:
    link = new_link("c1")
    receive(link, SUCCESS, 1)
    note = {"type": "notification", "payload": {"message": "New mail"}}

    def about(seconds: float) -> str | None:
        (message,) = receive(link, note, seconds)
        assert isinstance(message, MessageArrived)
        return message.command_id

    assert (about(600), about(601)) == ("c1", None)

    later = Link(SETTINGS, at(500))
    assert later.latest is None
    later.latest = link.latest
    link = later
    assert about(590) == "c1"


@pytest.mark.parametrize(("status", "accepted"), [("success", True), ("error", False)])
def test_letter_g_a_reply_that_tells_of_a_sign_in_is_a_reply_too(status: str, accepted: bool) -> None:
    link = new_link("c1")
    data = {"action": "oauth_completed", "message": "Your account is connected."}

    reported, settled = receive(link, {"type": "response", "status": status, "data": data}, 1)

    assert reported == SignInReported(None, accepted=accepted)
    assert isinstance(settled, CommandSettled)
    assert settled.reply.content == "Your account is connected."


def payload_sent(link: Link, command: Outgoing) -> dict[str, Any]:
    (frame,) = link.commands([command], at())
    payload: dict[str, Any] = json.loads(frame)["payload"]
    return payload


def test_letter_g_a_server_that_takes_a_return_page_is_given_one() -> None:
    link = Link(replace(SETTINGS, return_page=lambda command_id: f"http://127.0.0.1:1/{command_id}"), at())

    assert "metadata" not in payload_sent(link, outgoing("c1"))

    receive(link, {"type": "hello", "payload": {"features": ["redirect", "correlate"]}})
    metadata = payload_sent(link, Outgoing("c2", "text", "hi", {"a": 1}))["metadata"]
    assert metadata == {"a": 1, "redirectUrl": "http://127.0.0.1:1/c2"}
