"""A settling frame as a chat message: what history, the speaker and the caller of `ask` are given.

The mapping is the mission's (protocol.md section 1) for the contract's `response`, and the nearest
true reading for what servers in the field send (section 2 e to g). Pure; it never raises on any frame.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from omniid.protocol.messages import ErrorFrame, ResponseFrame, UnifiedReply

_NO_WORDS = "Action completed"
_SIGN_IN = "You have to sign in first."
_NO_ERROR_WORDS = "The assistant reported an error and gave no reason."
_CONFIDENCE_SUCCESS = 95
_CONFIDENCE_AUTH = 80
_CONFIDENCE_OTHER = 70
_CONFIDENCE_SOURCE = 90

Outcome = Literal["done", "failed", "needs_auth"]


@dataclass(frozen=True, slots=True)
class Source:
    id: str
    name: str
    type: str
    confidence: int
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What the assistant answered. `confidence` is a percentage."""

    outcome: Outcome
    content: str
    confidence: int
    category: str = "response"
    sources: tuple[Source, ...] = ()
    reasoning: str | None = None
    alternatives: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    actions: tuple[Any, ...] = ()
    auth_url: str | None = None
    raw: dict[str, Any] = field(default_factory=dict, repr=False)


def from_frame(frame: ResponseFrame | ErrorFrame | UnifiedReply) -> Reply:
    """The reply a settling frame holds."""
    match frame:
        case UnifiedReply():
            return _from_unified(frame)
        case ResponseFrame(status="success"):
            return _from_success(frame)
        case _:
            return _from_error(frame)


def _from_success(frame: ResponseFrame) -> Reply:
    data = frame.data or {}
    metadata = _record(data.get("metadata"))
    needs_auth = data.get("requiresAuth") is True
    return Reply(
        outcome="needs_auth" if needs_auth else "done",
        content=_words(data.get("message")) or (_SIGN_IN if needs_auth else _NO_WORDS),
        confidence=_CONFIDENCE_SUCCESS,
        sources=_source(metadata),
        reasoning=_words(metadata.get("reasoning")),
        alternatives=_all_words(metadata.get("suggestions")),
        context=_all_words(metadata.get("context")),
        actions=_items(data.get("actions")),
        auth_url=_words(data.get("authUrl")),
        raw=_raw(frame),
    )


def _from_error(frame: ResponseFrame | ErrorFrame) -> Reply:
    data = frame.data or {}
    metadata = _record(data.get("metadata"))
    needs_auth = data.get("requiresAuth") is True
    return Reply(
        outcome="needs_auth" if needs_auth else "failed",
        content=_error_words(frame),
        confidence=_CONFIDENCE_AUTH if needs_auth else _CONFIDENCE_OTHER,
        category="error",
        sources=_source(metadata),
        reasoning=_words(metadata.get("reasoning")),
        alternatives=_all_words(metadata.get("suggestions")),
        context=_all_words(metadata.get("context")),
        actions=_items(data.get("actions")),
        auth_url=_words(data.get("authUrl")),
        raw=_raw(frame),
    )


def _from_unified(frame: UnifiedReply) -> Reply:
    data = frame.data or {}
    ui = _record(data.get("ui"))
    metadata = _record(ui.get("metadata"))
    structured = _record(data.get("structured"))
    needs_auth = frame.auth_required is True
    failed = frame.success is False
    words = _words(frame.message) or _words(ui.get("content")) or _words(ui.get("title"))
    return Reply(
        outcome="needs_auth" if needs_auth else "failed" if failed else "done",
        content=words or (_SIGN_IN if needs_auth else _NO_ERROR_WORDS if failed else _NO_WORDS),
        confidence=_percentage(metadata.get("confidence"), failed=failed, needs_auth=needs_auth),
        category=_words(metadata.get("category")) or frame.type,
        sources=_source(metadata) + _references(structured),
        alternatives=_all_words(structured.get("suggestions")),
        actions=_items(ui.get("actions")),
        auth_url=_words(frame.auth_url),
        raw=_raw(frame),
    )


def _error_words(frame: ResponseFrame | ErrorFrame) -> str:
    """The first there is of error.message, data.error, data.message and message."""
    data = frame.data or {}
    for candidate in (
        (frame.error or {}).get("message"),
        data.get("error"),
        data.get("message"),
        frame.message,
    ):
        words = _words(candidate)
        if words:
            return words
    return _NO_ERROR_WORDS


def _percentage(value: object, *, failed: bool, needs_auth: bool) -> int:
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 100:  # noqa: PLR2004 a percentage
        return round(value if value > 1 else value * 100)
    if needs_auth:
        return _CONFIDENCE_AUTH
    return _CONFIDENCE_OTHER if failed else _CONFIDENCE_SUCCESS


def _source(metadata: dict[str, Any]) -> tuple[Source, ...]:
    name = _words(metadata.get("source"))
    if name is None:
        return ()
    kind = _words(metadata.get("sourceType")) or "integration"
    return (Source(id="1", name=name, type=kind, confidence=_CONFIDENCE_SOURCE),)


def _references(structured: dict[str, Any]) -> tuple[Source, ...]:
    references = [item for item in _items(structured.get("references")) if isinstance(item, dict)]
    return tuple(
        Source(
            id=str(number),
            name=_words(item.get("title")) or "reference",
            type=_words(item.get("type")) or "reference",
            confidence=_CONFIDENCE_SOURCE,
            url=_words(item.get("url")),
        )
        for number, item in enumerate(references, start=2)
    )


def _words(value: object) -> str | None:
    """Text that has some; lone surrogates, which no file or socket can carry, are replaced."""
    if not isinstance(value, str) or not value.strip():
        return None
    return value.encode("utf-8", errors="replace").decode("utf-8")


def _all_words(value: object) -> tuple[str, ...]:
    return tuple(words for item in _items(value) if (words := _words(item)))


def _items(value: object) -> tuple[Any, ...]:
    return tuple(value) if isinstance(value, list) else ()


def _record(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _raw(frame: BaseModel) -> dict[str, Any]:
    return frame.model_dump(by_alias=True, exclude_none=True)
