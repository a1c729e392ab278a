"""A frame as a chat message: what history, the speaker and the caller of `ask` are given.

A settling frame is a `Reply`, by the mission's mapping (protocol.md section 1) for the contract's `response`,
and by the nearest true reading for what servers in the field send (section 2 e to g). Whatever else a server
says is a `Note`. Pure; it never raises on any frame, and what it gives is bounded whatever the frame holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Literal

from pydantic import BaseModel

from omniid.protocol import reading
from omniid.protocol.messages import (
    CapabilityFrame,
    ChatFrame,
    ContextFrame,
    ErrorFrame,
    NotificationFrame,
    ResponseFrame,
    ServerFrame,
    StepExecution,
    SystemFrame,
    ThinkingFrame,
    UnifiedReply,
    WorkflowDraft,
)
from omniid.protocol.reading import all_words, items, percentage, record, url, words

NO_WORDS = "Action completed"
_SIGN_IN = "You have to sign in first."
_NO_ERROR_WORDS = "The assistant reported an error and gave no reason."
QUESTION = "The assistant has a question."
_CONFIDENCE_SUCCESS = 95
_CONFIDENCE_AUTH = 80
_CONFIDENCE_OTHER = 70
_CONFIDENCE_SOURCE = 90

Outcome = Literal["done", "failed", "needs_auth"]
Sender = Literal["user", "assistant", "system"]


@dataclass(frozen=True, slots=True)
class Source:
    """Where an answer comes from: a citation. `url` is http or https."""

    id: str
    name: str
    type: str
    confidence: int
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Reply:
    """What the assistant answered. `confidence` is a percentage.

    `timestamp` is the server's, in ISO 8601 and UTC; None where the frame had none that could be read.
    """

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
    type: Literal["text", "error", "unified_tool_response"] = "text"
    sender: Sender = "assistant"
    timestamp: str | None = None


NoteKind = Literal["partial", "question", "notification", "message"]


@dataclass(frozen=True, slots=True)
class Note:
    """What a server says besides its answers. Fields as those of a `Reply`.

    `kind` is what it is to the user: news of a command in work, a question, or something of its own accord.
    `type` is the server's word for it.
    """

    kind: NoteKind
    type: str
    content: str
    confidence: int | None = None
    category: str = "progress"
    sources: tuple[Source, ...] = ()
    reasoning: str | None = None
    alternatives: tuple[str, ...] = ()
    context: tuple[str, ...] = ()
    actions: tuple[Any, ...] = ()
    raw: dict[str, Any] = field(default_factory=dict, repr=False)
    sender: Sender = "assistant"
    timestamp: str | None = None


def note(frame: ServerFrame) -> Note | None:
    """What a frame that settles nothing says; None where it has nothing for a person to read."""
    match frame:
        case ThinkingFrame():
            return _noted(frame, "partial", "thinking", words(frame.stage))
        case ContextFrame():
            return _from_context(frame)
        case CapabilityFrame():
            return _from_capabilities(frame)
        case SystemFrame():
            return _from_system(frame)
        case ChatFrame():
            return _from_chat(frame)
        case ResponseFrame(status="processing"):
            data = record(frame.data)
            said = words(data.get("message")) or words(frame.message)
            actions = items(data.get("actions"))
            return _noted(frame, "partial", "processing", said, **_metadata(data), actions=actions)
        case WorkflowDraft():
            return _from_draft(frame)
        case StepExecution():
            payload = record(frame.payload)
            category = words(payload.get("status")) or "progress"
            return _noted(frame, "partial", "step", words(payload.get("message")), category=category)
        case NotificationFrame():
            return _from_notification(frame)
        case _:
            return None


def _noted(frame: BaseModel, kind: NoteKind, type_: str, content: str | None, **more: Any) -> Note | None:
    if content is None:
        return None
    return Note(kind, type_, content, **more, raw=reading.raw(frame), timestamp=reading.timestamp(frame))


def _from_context(frame: ContextFrame) -> Note | None:
    summary = record(frame.context_summary)
    said = all_words(frame.reasoning)
    return _noted(
        frame,
        "partial",
        "context",
        words(frame.title),
        reasoning=words("\n".join(said)),
        context=all_words(
            [f"{key}: {value}" for key, value in summary.items() if isinstance(value, str | int)]
        ),
        confidence=percentage(record(frame.confidence).get("overall")),
    )


def _from_capabilities(frame: CapabilityFrame) -> Note | None:
    listed = [item if isinstance(item, dict) else {"title": item} for item in items(frame.data_sources)]
    return _noted(
        frame,
        "partial",
        "capabilities",
        words(frame.content) or words(frame.title),
        alternatives=all_words(frame.capabilities),
        sources=tuple(
            _citation(item, number) for number, item in enumerate(listed, start=1) if words(item.get("title"))
        ),
    )


def _from_system(frame: SystemFrame) -> Note | None:
    data = record(frame.data)
    said = words(data.get("message")) or words(data.get("reason"))
    type_ = words(frame.action) or "system"
    if type_ == "user_intervention_required":
        return _noted(frame, "question", type_, said or QUESTION, category="question")
    return _noted(frame, "partial", type_, said, **_metadata(data))


def _from_chat(frame: ChatFrame) -> Note | None:
    sender: Sender = (
        "user" if frame.sender == "user" else "system" if frame.sender == "system" else "assistant"
    )
    metadata = record(frame.metadata)
    return _noted(
        frame,
        "message",
        reading.type_of(frame),
        words(frame.content),
        **_metadata({"metadata": metadata}),
        confidence=percentage(metadata.get("confidence")),
        category=words(metadata.get("category")) or "message",
        actions=items(metadata.get("actions")),
        sender=sender,
    )


def _from_draft(frame: WorkflowDraft) -> Note | None:
    payload = record(frame.payload)
    said = words(payload.get("summary")) or words(payload.get("originalMessage")) or QUESTION
    risks = all_words(payload.get("risks"))
    steps = items(payload.get("steps"))
    return _noted(
        frame, "question", "workflow_draft", said, category="approval", context=risks, actions=steps
    )


def _from_notification(frame: NotificationFrame) -> Note | None:
    payload = record(frame.payload)
    parts = [part for part in (words(payload.get("title")), words(payload.get("message"))) if part]
    category = words(payload.get("notificationType")) or "info"
    said = words(": ".join(parts))
    return _noted(frame, "notification", "notification", said, category=category, sender="system")


def _metadata(data: dict[str, Any]) -> dict[str, Any]:
    """What the contract's `metadata` holds, as fields."""
    metadata = record(data.get("metadata"))
    return {
        "sources": _source(metadata),
        "reasoning": words(metadata.get("reasoning")),
        "alternatives": all_words(metadata.get("suggestions")),
        "context": all_words(metadata.get("context")),
    }


def from_frame(frame: ResponseFrame | ErrorFrame | UnifiedReply) -> Reply:
    """The reply a settling frame holds."""
    match frame:
        case UnifiedReply():
            return _from_unified(frame)
        case ResponseFrame(status="success"):
            return _from_success(frame)
        case _:
            return _from_error(frame)


def in_words(reply: Reply, said: str | None) -> Reply:
    """A reply that has no words of its own means what the server said in a chat message before it."""
    return replace(reply, content=said) if said and reply.content == NO_WORDS else reply


def _from_success(frame: ResponseFrame) -> Reply:
    data = record(frame.data)
    needs_auth = data.get("requiresAuth") is True
    return Reply(
        outcome="needs_auth" if needs_auth else "done",
        content=words(data.get("message")) or (_SIGN_IN if needs_auth else NO_WORDS),
        confidence=_CONFIDENCE_SUCCESS,
        **_metadata(data),
        actions=items(data.get("actions")),
        auth_url=reading.address(data.get("authUrl")),
        raw=reading.raw(frame),
        timestamp=reading.timestamp(frame),
    )


def _from_error(frame: ResponseFrame | ErrorFrame) -> Reply:
    data = record(frame.data)
    needs_auth = data.get("requiresAuth") is True
    return Reply(
        outcome="needs_auth" if needs_auth else "failed",
        content=_error_words(frame),
        confidence=_CONFIDENCE_AUTH if needs_auth else _CONFIDENCE_OTHER,
        category="error",
        **_metadata(data),
        actions=items(data.get("actions")),
        auth_url=reading.address(data.get("authUrl")),
        raw=reading.raw(frame),
        type="error",
        timestamp=reading.timestamp(frame),
    )


def _from_unified(frame: UnifiedReply) -> Reply:
    data = record(frame.data)
    ui = record(data.get("ui"))
    metadata = record(ui.get("metadata"))
    structured = record(data.get("structured"))
    needs_auth = frame.auth_required is True
    failed = frame.success is False
    otherwise = _CONFIDENCE_AUTH if needs_auth else _CONFIDENCE_OTHER if failed else _CONFIDENCE_SUCCESS
    confidence = percentage(metadata.get("confidence"))
    message, content = words(frame.message), words(ui.get("content"))
    said = message if failed or needs_auth else _with_what_is_shown(message, content)
    said = said or content or words(ui.get("title"))
    source = _source(metadata)
    return Reply(
        outcome="needs_auth" if needs_auth else "failed" if failed else "done",
        content=said or (_SIGN_IN if needs_auth else _NO_ERROR_WORDS if failed else NO_WORDS),
        confidence=otherwise if confidence is None else confidence,
        category=words(metadata.get("category")) or frame.type,
        sources=source + _references(structured),
        reasoning=words(metadata.get("reasoning")),
        alternatives=all_words(structured.get("suggestions")),
        context=all_words(metadata.get("context")),
        actions=items(ui.get("actions")),
        auth_url=reading.address(frame.auth_url),
        raw=reading.raw(frame),
        type="unified_tool_response",
        timestamp=reading.timestamp(frame),
    )


def _with_what_is_shown(message: str | None, content: str | None) -> str | None:
    """Both, once where one has the words of the other: "Here is your day." and the day."""
    if message is None or content is None:
        return message
    said, shown = (" ".join(text.split()).casefold().rstrip(".!:") for text in (message, content))
    if shown in said:
        return message
    return content if said in shown else f"{message}\n\n{content}"


def _error_words(frame: ResponseFrame | ErrorFrame) -> str:
    """The first there is of error.message, data.error, data.message and message."""
    data = record(frame.data)
    for candidate in (
        record(frame.error).get("message"),
        data.get("error"),
        data.get("message"),
        frame.message,
    ):
        said = words(candidate)
        if said:
            return said
    return _NO_ERROR_WORDS


def _source(metadata: dict[str, Any]) -> tuple[Source, ...]:
    name = words(metadata.get("source"))
    if name is None:
        return ()
    kind = words(metadata.get("sourceType")) or "integration"
    return (Source(id="1", name=name, type=kind, confidence=_CONFIDENCE_SOURCE),)


def _references(structured: dict[str, Any]) -> tuple[Source, ...]:
    references = [item for item in items(structured.get("references")) if isinstance(item, dict)]
    return tuple(_citation(item, number) for number, item in enumerate(references, start=2))


def _citation(item: dict[str, Any], number: int) -> Source:
    return Source(
        id=str(number),
        name=words(item.get("title")) or "reference",
        type=words(item.get("type")) or "reference",
        confidence=_CONFIDENCE_SOURCE,
        url=url(item.get("url")),
    )
