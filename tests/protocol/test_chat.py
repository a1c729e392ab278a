"""A settling frame as a chat message."""

from __future__ import annotations

import json
from typing import Any

import pytest

from omniid.protocol.chat import Reply, Source, from_frame
from omniid.protocol.messages import ErrorFrame, ResponseFrame, UnifiedReply, parse_server_frame


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


def test_the_frame_itself_is_kept() -> None:
    frame = unified(message="Done.", id="r1", userId="ann", timestamp="2026-01-01T00:00:00Z")

    assert reply(frame).raw == frame
