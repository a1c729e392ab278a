"""The frames: one exact form out, whatever can be used in."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniid.errors import ProtocolError
from omniid.protocol.messages import (
    ApprovalFrame,
    ApprovalPayload,
    BatchFrame,
    BatchPayload,
    ChatFrame,
    CommandFrame,
    CommandPayload,
    ErrorFrame,
    HelloFrame,
    InterventionFrame,
    InterventionPayload,
    NotificationFrame,
    PingFrame,
    PingPayload,
    PongFrame,
    PongReply,
    ResponseFrame,
    ServerPing,
    StepExecution,
    SystemFrame,
    ThinkingFrame,
    UnifiedReply,
    UnknownFrame,
    WorkflowDraft,
    encode,
    parse_client_frame,
    parse_server_frame,
)

COMMAND = CommandPayload(
    command_type="voice_command",
    message="Grüße an Ann",
    user_id="ann",
    user_timezone="Europe/Berlin",
    local_datetime="2026-03-01T13:00:00.000+01:00",
    request_id="0195-1",
    metadata={"confidence": 0.9},
)
COMMAND_JSON = {
    "commandType": "voice_command",
    "message": "Grüße an Ann",
    "userId": "ann",
    "userTimezone": "Europe/Berlin",
    "localDatetime": "2026-03-01T13:00:00.000+01:00",
    "requestId": "0195-1",
    "metadata": {"confidence": 0.9},
}


@pytest.mark.parametrize(
    ("frame", "expected"),
    [
        pytest.param(
            CommandFrame(payload=COMMAND, timestamp=7),
            {"type": "command", "payload": COMMAND_JSON, "timestamp": 7},
            id="a command",
        ),
        pytest.param(
            PingFrame(payload=PingPayload(user_id="ann", sequence=3), timestamp=7),
            {"type": "ping", "payload": {"userId": "ann", "sequence": 3}, "timestamp": 7},
            id="a ping",
        ),
        pytest.param(PongFrame(timestamp=7), {"type": "pong", "timestamp": 7}, id="a pong"),
        pytest.param(
            BatchFrame(payload=BatchPayload(commands=[COMMAND]), timestamp=7),
            {"type": "batch", "payload": {"commands": [COMMAND_JSON]}, "timestamp": 7},
            id="a batch",
        ),
        pytest.param(
            InterventionFrame(
                payload=InterventionPayload(session_id="s", step_id="1", resolved_value="Bob"), timestamp=7
            ),
            {
                "type": "system",
                "payload": {
                    "action": "intervention_response",
                    "sessionId": "s",
                    "stepId": "1",
                    "resolvedValue": "Bob",
                },
                "timestamp": 7,
            },
            id="an answer to an intervention",
        ),
        pytest.param(
            ApprovalFrame(sessionId="s", payload=ApprovalPayload(action="approve_all"), timestamp=7),
            {
                "type": "workflow_approval",
                "sessionId": "s",
                "payload": {"action": "approve_all"},
                "timestamp": 7,
            },
            id="an approval of a workflow",
        ),
    ],
)
def test_what_is_sent_has_the_contracts_exact_form(frame: Any, expected: dict[str, Any]) -> None:
    text = encode(frame)

    assert json.loads(text) == expected
    assert parse_client_frame(text) == frame


def test_text_travels_as_utf_8_and_not_as_escapes() -> None:
    assert "Grüße" in encode(CommandFrame(payload=COMMAND, timestamp=7))


def test_metadata_that_is_not_there_stays_away() -> None:
    bare = CommandFrame(payload=COMMAND.model_copy(update={"metadata": None}), timestamp=7)

    assert "metadata" not in json.loads(encode(bare))["payload"]


def _command_with(**changes: Any) -> str:
    payload = {key: value for key, value in {**COMMAND_JSON, **changes}.items() if value is not ...}
    return json.dumps({"type": "command", "payload": payload, "timestamp": 7})


@pytest.mark.parametrize(
    ("text", "where"),
    [
        pytest.param(_command_with(color="red"), "color", id="an unknown field"),
        pytest.param(_command_with(message=5), "message", id="a message that is a number"),
        pytest.param(_command_with(userId=...), "userId", id="a user that is missing"),
        pytest.param(_command_with(commandType="shout"), "commandType", id="a command type that is none"),
        pytest.param('{"type":"pong","timestamp":"7"}', "timestamp", id="a timestamp that is text"),
        pytest.param('{"type":"launch"}', "launch", id="an unknown type"),
        pytest.param("{", "JSON", id="text that is no JSON"),
        pytest.param(b"\xff\xfe", "JSON", id="bytes that are no UTF-8"),
    ],
)
def test_a_server_holds_its_clients_to_the_form(text: str | bytes, where: str) -> None:
    with pytest.raises(ProtocolError, match=where):
        parse_client_frame(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        pytest.param('{"type":"response","status":"success","data":{}}', ResponseFrame, id="a response"),
        pytest.param('{"type":"RESPONSE","status":"success"}', ResponseFrame, id="a type in upper case"),
        pytest.param('{"type":"response","data":{"pong":true}}', PongReply, id="a pong as a response (a)"),
        pytest.param('{"type":"pong","data":{"pong":true,"sequence":1}}', PongReply, id="a pong"),
        pytest.param(
            '{"type":"response","status":"success","data":{"pong":true,"message":"Game on"}}',
            ResponseFrame,
            id="a reply about a game of pong",
        ),
        pytest.param('{"type":"ping"}', ServerPing, id="a bare ping (b)"),
        pytest.param('{"type":"error","error":{"code":"x","message":"y"}}', ErrorFrame, id="an error"),
        pytest.param('{"type":"hello","payload":{"features":["dedupe"]}}', HelloFrame, id="a hello"),
        pytest.param('{"type":"ai_thinking","stage":"x","timestamp":1}', ThinkingFrame, id="thinking (d)"),
        pytest.param(
            '{"type":"text","id":"1","content":"x","sender":"ai","timestamp":"2026-01-01T00:00:00Z"}',
            ChatFrame,
            id="a chat message with an ISO timestamp (d)",
        ),
        pytest.param('{"type":"rdf","success":true,"data":{}}', UnifiedReply, id="a unified reply (f)"),
        pytest.param('{"type":"Email","success":true}', UnifiedReply, id="a unified reply, capitalised"),
        pytest.param('{"type":"system","data":{"action":"x"}}', SystemFrame, id="a system frame (h)"),
        pytest.param('{"type":"WORKFLOW_DRAFT","payload":{}}', WorkflowDraft, id="a draft in capitals (i)"),
        pytest.param('{"type":"step_execution","payload":{}}', StepExecution, id="a step (i)"),
        pytest.param('{"type":"notification","payload":{}}', NotificationFrame, id="a notification (j)"),
        pytest.param('{"type":"tomorrow"}', UnknownFrame, id="an unknown type (k)"),
        pytest.param('{"type":5}', UnknownFrame, id="a type that is a number (k)"),
        pytest.param("{}", UnknownFrame, id="no type (k)"),
        pytest.param("[1]", UnknownFrame, id="a list (k)"),
        pytest.param("5", UnknownFrame, id="a number (k)"),
        pytest.param("hello?", UnknownFrame, id="no JSON at all (k)"),
        pytest.param(b"\xff\xfe\x00", UnknownFrame, id="bytes (k)"),
        pytest.param("[" * 100_000, UnknownFrame, id="an abyss of brackets"),
        pytest.param(
            '{"type":"response","status":"success","data":' + '{"a":' * 200 + "1" + "}" * 201,
            UnknownFrame,
            id="data nested too deeply to be carried on",
        ),
        pytest.param('{"type":"response","data":{"x":NaN}}', UnknownFrame, id="a number that is none"),
        pytest.param('{"type":"response","data":{"x":1e999}}', UnknownFrame, id="a number without end"),
    ],
)
def test_a_frame_is_read_as_what_it_is(text: str | bytes, kind: type[Any]) -> None:
    assert type(parse_server_frame(text)) is kind


def test_a_field_of_the_wrong_type_counts_as_absent_and_unknown_ones_are_kept() -> None:
    frame = parse_server_frame('{"type":"response","status":"success","data":"?","requestId":5,"new":[1]}')

    assert isinstance(frame, ResponseFrame)
    assert (frame.status, frame.data, frame.request_id) == ("success", None, None)
    assert frame.model_extra == {"type": "response", "new": [1]}


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"response","status":"success","message":"\\ud800"}',
        '{"type":"response","status":"success","\\uD83D":1,"data":{"message":"\\udfff"}}',
        '{"type":"response","status":"success","message":"\ud800"}',
    ],
)
def test_half_a_character_becomes_a_question_mark(text: str) -> None:
    frame = parse_server_frame(text)

    assert isinstance(frame, ResponseFrame)
    frame.model_dump_json()
    json.dumps(frame.model_dump(), ensure_ascii=False).encode()


def test_a_whole_character_in_two_escapes_stays_whole() -> None:
    frame = parse_server_frame('{"type":"response","status":"success","message":"\\ud83d\\ude00"}')

    assert isinstance(frame, ResponseFrame)
    assert frame.message == "😀"


def test_an_unknown_frame_keeps_a_bounded_piece_for_the_debug_panel() -> None:
    frame = parse_server_frame("x" * 100_000)

    assert isinstance(frame, UnknownFrame)
    assert len(frame.raw) == 2_000


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["type", "status", "data", "message", "error", "payload", "requestId", "request_id", "success", "id"]
)
TYPES = st.sampled_from(
    ["response", "pong", "error", "ping", "hello", "ai_thinking", "system", "text", "email", "rdf"]
) | st.sampled_from(
    ["WORKFLOW_DRAFT", "step_execution", "notification", "context_display", "ai_capability_disclosure"]
)
FRAMES = st.builds(
    lambda kind, fields: json.dumps({**fields, "type": kind}),
    TYPES,
    st.dictionaries(NAMES | st.text(), JSON | st.sampled_from(["success", "error"]), max_size=6),
)
ANYTHING = st.text() | st.binary() | JSON.map(json.dumps) | FRAMES


@given(ANYTHING)
@settings(max_examples=400, deadline=None)
def test_reading_never_raises_and_what_was_read_can_always_be_written(raw: str | bytes) -> None:
    frame = parse_server_frame(raw)

    json.dumps(frame.model_dump(by_alias=True), ensure_ascii=False, allow_nan=False).encode()
