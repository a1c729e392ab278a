"""A settling frame as a chat message."""

from __future__ import annotations

import dataclasses
import json
import re
from datetime import datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniid.protocol.chat import Note, Reply, Source, from_frame, note
from omniid.protocol.messages import ErrorFrame, ResponseFrame, UnifiedReply, parse_server_frame
from omniid.protocol.reading import MOST_CHARACTERS, MOST_ITEMS


def reply(frame: dict[str, Any]) -> Reply:
    parsed = parse_server_frame(json.dumps(frame))
    assert isinstance(parsed, ResponseFrame | ErrorFrame | UnifiedReply)
    return from_frame(parsed)


def response(status: str, **data: Any) -> dict[str, Any]:
    return {"type": "response", "status": status, "data": data, "timestamp": 7}


def unified(kind: str = "email", ui: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    structured = fields.pop("structured", {})
    return {"type": kind, "success": True, **fields, "data": {"ui": ui or {}, "structured": structured}}


@pytest.mark.parametrize(
    ("frame", "outcome", "content", "confidence"),
    [
        pytest.param(response("success", message="Sent."), "done", "Sent.", 95, id="success"),
        pytest.param(response("success"), "done", "Action completed", 95, id="success without a message"),
        pytest.param(response("success", message=5), "done", "Action completed", 95, id="a message of 5"),
        pytest.param({"type": "response", "status": "success"}, "done", "Action completed", 95, id="no data"),
        pytest.param(response("error", message="No."), "failed", "No.", 70, id="error"),
        pytest.param(
            response("error", message="Sign in.", requiresAuth=True),
            "needs_auth",
            "Sign in.",
            80,
            id="error that asks to sign in",
        ),
        pytest.param(
            response("success", message="Sign in.", requiresAuth=True, authUrl=None, action="oauth_required"),
            "needs_auth",
            "Sign in.",
            95,
            id="success that asks to sign in (g)",
        ),
        pytest.param(
            response("success", message="Sent.", requiresAuth="no"), "done", "Sent.", 95, id="requires 'no'"
        ),
        pytest.param(
            {"type": "error", "error": {"code": "x", "message": "Broken."}},
            "failed",
            "Broken.",
            70,
            id="an error frame",
        ),
        pytest.param(unified(message="Done."), "done", "Done.", 95, id="unified success"),
        pytest.param(unified(message="No.", success=False), "failed", "No.", 70, id="unified failure"),
        pytest.param(
            unified(message="Sign in.", authRequired=True, success=False),
            "needs_auth",
            "Sign in.",
            80,
            id="unified that asks to sign in (g)",
        ),
        pytest.param(
            unified(ui={"content": "Two mails", "title": "Mail"}), "done", "Two mails", 95, id="ui content"
        ),
        pytest.param(unified(ui={"title": "Mail"}), "done", "Mail", 95, id="ui title"),
        pytest.param(
            unified(message="Your day.", ui={"content": "10:00 dentist"}),
            "done",
            "Your day.\n\n10:00 dentist",
            95,
            id="more is shown than said",
        ),
        pytest.param(
            unified(message="Your day:", ui={"content": "**Your day**: 10:00 dentist"}),
            "done",
            "**Your day**: 10:00 dentist",
            95,
            id="what is shown says it too",
        ),
        pytest.param(
            unified(message="Your mail was sent to Ann.", ui={"content": "Your mail was sent"}),
            "done",
            "Your mail was sent to Ann.",
            95,
            id="what is said has it all",
        ),
        pytest.param(
            unified(message="No.", ui={"content": "The calendar is away"}, success=False),
            "failed",
            "No.",
            70,
            id="what went wrong is what is said",
        ),
        pytest.param(unified(), "done", "Action completed", 95, id="unified without a word"),
    ],
)
def test_what_happened_in_which_words_and_how_surely(
    frame: dict[str, Any], outcome: str, content: str, confidence: int
) -> None:
    got = reply(frame)

    assert (got.outcome, got.content, got.confidence) == (outcome, content, confidence)


ERROR_PLACES: dict[str, dict[str, Any]] = {
    "error.message": {"error": {"message": "one"}},
    "data.error": {"data": {"error": "two"}},
    "data.message": {"data": {"message": "three"}},
    "message": {"message": "four"},
}


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        (["error.message", "data.error", "message"], "one"),
        (["data.error", "message"], "two"),
        (["data.message", "message"], "three"),
        (["message"], "four"),
        ([], "The assistant reported an error and gave no reason."),
    ],
    ids=["error.message first", "then data.error", "then data.message", "then message", "none at all"],
)
@pytest.mark.parametrize("kind", [{"type": "error"}, {"type": "response", "status": "error"}], ids=["e", "r"])
def test_an_errors_words_are_the_first_there_are(
    kind: dict[str, Any], places: list[str], expected: str
) -> None:
    frame: dict[str, Any] = dict(kind)
    for place in places:
        frame |= ERROR_PLACES[place]

    assert reply(frame).content == expected


@pytest.mark.parametrize("status", ["success", "error"])
def test_the_metadata_is_kept_whatever_the_status(status: str) -> None:
    metadata = {
        "reasoning": "because",
        "suggestions": ["a", 5, "b"],
        "context": ["c"],
        "source": "Gmail",
        "sourceType": "mail",
    }

    got = reply(response(status, message="x", metadata=metadata, actions=[{"id": 1}], authUrl="https://a/b"))

    assert got.reasoning == "because"
    assert got.alternatives == ("a", "b")
    assert got.context == ("c",)
    assert got.sources == (Source("1", "Gmail", "mail", 90),)
    assert got.actions == ({"id": 1},)
    assert got.auth_url == "https://a/b"


def test_a_source_without_a_type_is_an_integration() -> None:
    got = reply(response("success", metadata={"source": "Gmail"}))

    assert got.sources == (Source("1", "Gmail", "integration", 90),)


def test_no_source_is_made_up() -> None:
    assert reply(response("success", metadata={"sourceType": "mail"})).sources == ()


@pytest.mark.parametrize(
    ("given", "expected"),
    [(0.5, 50), (1, 100), (0, 0), (87, 87), (87.4, 87), (101, 95), (-1, 95), (True, 95), ("0.5", 95)],
)
def test_a_confidence_above_one_is_a_percentage(given: object, expected: int) -> None:
    assert reply(unified(ui={"metadata": {"confidence": given}})).confidence == expected


def test_a_general_replys_references_are_sources() -> None:
    got = reply(
        unified(
            "general",
            ui={"metadata": {"category": "search", "source": "Web"}},
            structured={
                "suggestions": ["more"],
                "references": [{"title": "Page", "url": "https://x", "type": "web"}, "?", {}],
            },
        )
    )

    assert got.category == "search"
    assert got.alternatives == ("more",)
    assert [(s.id, s.name, s.type, s.url) for s in got.sources] == [
        ("1", "Web", "integration", None),
        ("2", "Page", "web", "https://x"),
        ("3", "reference", "reference", None),
    ]


@pytest.mark.parametrize(
    ("address", "kept"),
    [
        ("https://a/b", True),
        ("http://a/b", True),
        ("HTTPS://A", True),
        ("javascript:alert(1)", False),
        ("file:///etc/passwd", False),
        ("/relative", False),
        (5, False),
        ("https://a/" + "x" * 10_000, False),
    ],
)
def test_a_citation_points_at_a_page_or_nowhere(address: object, *, kept: bool) -> None:
    got = reply(unified("general", structured={"references": [{"title": "Page", "url": address}]}))

    assert got.sources == (Source("2", "Page", "reference", 90, str(address) if kept else None),)


def test_the_frame_itself_is_kept() -> None:
    frame = unified(message="Done.", id="r1", userId="ann", timestamp="2026-01-01T00:00:00Z")

    assert reply(frame).raw == frame


@pytest.mark.parametrize(
    ("frame", "type_"),
    [
        (response("success", message="x"), "text"),
        (response("error", message="x"), "error"),
        ({"type": "error", "error": {"message": "x"}}, "error"),
        (unified(message="x"), "unified_tool_response"),
    ],
)
def test_a_reply_says_whose_and_of_which_kind_it_is(frame: dict[str, Any], type_: str) -> None:
    got = reply(frame)

    assert (got.sender, got.type) == ("assistant", type_)


MOMENT = "2026-03-01T12:00:00.500+00:00"


@pytest.mark.parametrize(
    ("given_", "expected"),
    [
        (1_772_366_400_500, MOMENT),
        (1_772_366_400_500.0, MOMENT),
        ("1772366400500", MOMENT),
        ("2026-03-01T12:00:00.500Z", MOMENT),
        ("2026-03-01T21:00:00.500+09:00", MOMENT),
        ("2026-03-01T12:00:00.500", MOMENT),
        (" 2026-03-01T12:00:00.500Z ", MOMENT),
        (0, "1970-01-01T00:00:00.000+00:00"),
        (-1, None),
        (10**30, None),
        ("9" * 400, None),
        (1e300, None),
        (True, None),
        ("yesterday", None),
        ("", None),
        ("0001-01-01T00:00:00+23:00", None),
        ("9999-12-31T23:59:59-23:00", None),
        (None, None),
        ([], None),
    ],
)
@pytest.mark.parametrize("kind", ["response", "error", "email", "notification"])
def test_the_servers_moment_in_whatever_form_it_came(kind: str, given_: object, expected: str | None) -> None:
    frame = {"type": kind, "status": "success", "payload": {"message": "x"}, "timestamp": given_}
    parsed = parse_server_frame(json.dumps(frame))
    told = note(parsed) if kind == "notification" else reply(frame)

    assert told is not None
    assert told.timestamp == expected


# --- what settles nothing -----------------------------------------------------------------------------------


def noted(frame: dict[str, Any]) -> Note | None:
    return note(parse_server_frame(json.dumps(frame)))


NOTES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "thinking (d)": (
        {"type": "ai_thinking", "stage": "Looking at your mail", "timestamp": 1_772_366_400_500},
        {"kind": "partial", "type": "thinking", "content": "Looking at your mail", "timestamp": MOMENT},
    ),
    "context (d)": (
        {
            "type": "context_display",
            "title": "What I know",
            "reasoning": ["first", 5, "second"],
            "contextSummary": {"contacts": 3, "city": "Bern", "deep": {}},
            "confidence": {"overall": 0.8},
        },
        {
            "kind": "partial",
            "type": "context",
            "content": "What I know",
            "reasoning": "first\nsecond",
            "context": ("contacts: 3", "city: Bern"),
            "confidence": 80,
        },
    ),
    "capabilities (d)": (
        {
            "type": "ai_capability_disclosure",
            "title": "I can",
            "content": "read your mail",
            "capabilities": ["read", "write"],
            "data_sources": ["Gmail", {"title": "Web", "url": "https://x", "type": "web"}, {}, 7],
        },
        {
            "kind": "partial",
            "type": "capabilities",
            "content": "read your mail",
            "alternatives": ("read", "write"),
            "sources": (Source("1", "Gmail", "reference", 90), Source("2", "Web", "web", 90, "https://x")),
        },
    ),
    "immediate (d)": (
        {"type": "system", "data": {"action": "immediate_response", "message": "On it."}},
        {"kind": "partial", "type": "immediate_response", "content": "On it."},
    ),
    "data update (d)": (
        {"type": "system", "data": {"action": "data_update", "message": "Two new mails", "count": 2}},
        {"kind": "partial", "type": "data_update", "content": "Two new mails"},
    ),
    "chat (d)": (
        {
            "id": "c1",
            "content": "Hello",
            "sender": "ai",
            "timestamp": "2026-03-01T12:00:00.500Z",
            "type": "text",
            "metadata": {"source": "Gmail", "reasoning": "because", "suggestions": ["a"], "confidence": 0.5},
        },
        {
            "kind": "message",
            "type": "text",
            "content": "Hello",
            "sources": (Source("1", "Gmail", "integration", 90),),
            "reasoning": "because",
            "alternatives": ("a",),
            "confidence": 50,
            "category": "message",
            "timestamp": MOMENT,
        },
    ),
    "a unified chat (d)": (
        {
            "type": "unified_tool_response",
            "content": "Done",
            "sender": "user",
            "metadata": {"category": "email"},
        },
        {
            "kind": "message",
            "type": "unified_tool_response",
            "content": "Done",
            "sender": "user",
            "category": "email",
        },
    ),
    "processing (d)": (
        response("processing", message="Wait", metadata={"context": ["c"]}, actions=[1]),
        {
            "kind": "partial",
            "type": "processing",
            "content": "Wait",
            "context": ("c",),
            "actions": (1,),
            "timestamp": "1970-01-01T00:00:00.007+00:00",
        },
    ),
    "intervention (h)": (
        {
            "type": "system",
            "data": {
                "action": "user_intervention_required",
                "sessionId": "s",
                "stepId": "t",
                "reason": "two Anns",
                "timeout": 5,
            },
        },
        {
            "kind": "question",
            "type": "user_intervention_required",
            "content": "two Anns",
            "category": "question",
        },
    ),
    "intervention without a word (h)": (
        {"type": "system", "data": {"action": "user_intervention_required"}},
        {
            "kind": "question",
            "type": "user_intervention_required",
            "content": "The assistant has a question.",
            "category": "question",
        },
    ),
    "draft (i)": (
        {
            "type": "WORKFLOW_DRAFT",
            "sessionId": "s",
            "payload": {"summary": "Send two mails", "steps": [{"id": "1"}], "risks": ["cannot be undone"]},
        },
        {
            "kind": "question",
            "type": "workflow_draft",
            "content": "Send two mails",
            "category": "approval",
            "actions": ({"id": "1"},),
            "context": ("cannot be undone",),
        },
    ),
    "step (i)": (
        {"type": "step_execution", "sessionId": "s", "payload": {"status": "done", "message": "Sent"}},
        {"kind": "partial", "type": "step", "content": "Sent", "category": "done"},
    ),
    "notification (j)": (
        {
            "type": "notification",
            "payload": {"notificationType": "warning", "title": "Mail", "message": "It is full"},
        },
        {
            "kind": "notification",
            "type": "notification",
            "content": "Mail: It is full",
            "category": "warning",
            "sender": "system",
        },
    ),
}


@pytest.mark.parametrize(("frame", "expected"), NOTES.values(), ids=list(NOTES))
def test_each_frame_that_settles_nothing_has_its_message(
    frame: dict[str, Any], expected: dict[str, Any]
) -> None:
    got = noted(frame)

    assert got is not None
    assert got.raw["type"] == frame["type"]
    assert dataclasses.replace(got, raw={}) == Note(**expected)


@pytest.mark.parametrize(
    "frame",
    [
        {"type": "pong", "data": {"pong": True, "sequence": 1}},
        response("success", pong=True),
        {"type": "ping"},
        {"type": "hello", "payload": {"features": ["correlate"]}},
        {"type": "tomorrow"},
        response("success", message="x"),
        {"type": "error", "error": {"message": "x"}},
        unified(message="x"),
        {"type": "ai_thinking"},
        {"type": "system", "data": {"action": "data_update"}},
        {"type": "notification"},
        {"type": "notification", "payload": {"title": "\u202e", "message": "\x00\x1b"}},
        {"type": "text", "content": "   "},
        {"type": "step_execution", "payload": {"status": "done"}},
    ],
    ids=lambda frame: json.dumps(frame)[:60],
)
def test_what_has_nothing_for_a_person_to_read_is_no_message(frame: dict[str, Any]) -> None:
    assert noted(frame) is None


# --- whatever comes -----------------------------------------------------------------------------------------

STRANGE = {
    "only controls": "\x00\x01\x1b\x7f",
    "only overrides": "\u202e\u2066",
    "only space": " \n\t\u00a0\u3000",
}
KEPT = {
    "ansi": "\x1b[2J\x1b]0;title\x07 gone",
    "override": "\u202eevil",
    "html": "<script>alert(1)</script>",
    "null": "a\x00b",
    "right to left": "שלום",
}


@pytest.mark.parametrize("text", STRANGE.values(), ids=list(STRANGE))
def test_text_with_nothing_to_see_in_it_is_no_text(text: str) -> None:
    assert reply(response("success", message=text)).content == "Action completed"
    assert reply(unified(ui={"content": text, "title": "Mail"})).content == "Mail"
    assert reply(response("success", metadata={"source": text})).sources == ()


@pytest.mark.parametrize("text", KEPT.values(), ids=list(KEPT))
def test_strange_text_is_kept_as_it_is_for_those_who_show_it_to_make_safe(text: str) -> None:
    assert reply(response("success", message=text)).content == text


def test_a_reply_of_a_megabyte_is_cut_and_says_so() -> None:
    got = reply(response("success", message="x" * 1_000_000))

    assert got.content.startswith("x" * MOST_CHARACTERS + "…")
    assert got.content.endswith("[shortened: 1,000,000 characters came]")
    assert len(got.content) < MOST_CHARACTERS + 100
    assert got.raw.keys() == {"type", "omitted_bytes"}
    assert got.raw["type"] == "response"
    assert got.raw["omitted_bytes"] > 1_000_000


def test_ten_thousand_actions_are_the_first_hundred() -> None:
    got = reply(response("success", message="x", actions=[{"id": number} for number in range(10_000)]))

    assert got.actions == tuple({"id": number} for number in range(MOST_ITEMS))


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=20),
    st.sampled_from([*STRANGE.values(), *KEPT.values()]),
)
NAMES = st.sampled_from(
    re.findall(
        r"\w+",
        """
        message error requiresAuth authUrl actions metadata ui structured data payload status success stage
        content title summary steps risks confidence contextSummary reasoning suggestions context references
        source sender category url type timestamp action reason capabilities data_sources overall
        """,
    )
)
ANYTHING = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=6),
    max_leaves=30,
)
TYPES = [
    "response",
    "error",
    "email",
    "general",
    "ai_thinking",
    "context_display",
    "ai_capability_disclosure",
]
TYPES += ["system", "text", "unified_tool_response", "workflow_draft", "step_execution", "notification"]
FRAMES = st.builds(
    lambda fields, kind, status: {**fields, "type": kind, "status": status},
    st.dictionaries(NAMES, ANYTHING, max_size=8),
    st.sampled_from(TYPES),
    st.sampled_from(["success", "error", "processing", None, 5]),
)


@given(FRAMES)
@settings(max_examples=500, deadline=None)
def test_any_type_in_any_field_gives_a_message_or_none(frame: dict[str, Any]) -> None:
    parsed = parse_server_frame(json.dumps(frame))
    told: list[Reply | Note | None] = [note(parsed)]
    if isinstance(parsed, ResponseFrame | ErrorFrame | UnifiedReply):
        told.append(from_frame(parsed))
    for message in told:
        if message is not None:
            assert any(character.isprintable() for character in message.content)
            assert message.confidence is None or 0 <= message.confidence <= 100
            assert all(isinstance(word, str) for word in (*message.alternatives, *message.context))
            assert all(
                source.url is None or source.url.lower().startswith("http") for source in message.sources
            )
            assert message.timestamp is None or datetime.fromisoformat(message.timestamp).tzinfo
            assert len(json.dumps(dataclasses.asdict(message), ensure_ascii=False).encode()) < 2_000_000


@pytest.mark.parametrize("kind", TYPES)
def test_a_frame_that_is_huge_in_every_field_is_bounded(kind: str) -> None:
    huge = "x" * (MOST_CHARACTERS + 1)
    many = [huge, {"title": huge, "url": huge}]
    fields: dict[str, Any] = {
        **dict.fromkeys(["message", "content", "title", "stage", "summary", "source", "category"], huge),
        **dict.fromkeys(["suggestions", "context", "references", "actions", "steps", "capabilities"], many),
        "contextSummary": {f"{number}": huge for number in range(3)},
    }
    nested = {**fields, "metadata": fields, "ui": {**fields, "metadata": fields}, "structured": fields}
    frame = {
        **fields,
        "type": kind,
        "status": "success",
        "metadata": fields,
        "data": nested,
        "payload": fields,
    }
    parsed = parse_server_frame(json.dumps(frame))
    told: list[Reply | Note | None] = [note(parsed)]
    if isinstance(parsed, ResponseFrame | ErrorFrame | UnifiedReply):
        told.append(from_frame(parsed))
    assert any(told)
    for message in told:
        assert message is None or len(json.dumps(dataclasses.asdict(message))) < 2_000_000
