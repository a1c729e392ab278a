"""One message of a conversation, made to fit: nothing that a server sends can fill the disk or the memory."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

MOST_TEXT_BYTES = 200_000
MOST_REPLY_BYTES = 200_000
MOST_METADATA_BYTES = 20_000

Sender = Literal["user", "assistant", "system"]
_ESSENTIAL = ("outcome", "type", "confidence", "category", "timestamp", "sender")


@dataclass(frozen=True, slots=True)
class HistoryMessage:
    """What was said, by whom.

    `at` is aware of its zone. `kind`: command, reply, partial, notification, question, … `reply` is the
    whole answer as a record. `whole_bytes` is the size of a text that was cut to fit; None: it was not.
    """

    id: str
    at: datetime
    sender: Sender
    kind: str
    text: str
    command_id: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    reply: dict[str, Any] | None = None
    whole_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Stored:
    """A message with its place in the history: a higher number was written later."""

    number: int
    message: HistoryMessage


def fitted(message: HistoryMessage) -> HistoryMessage:
    """The message with what is too long cut off, and said so; half characters and NUL become marks."""
    text, whole_bytes = fitted_text(message.text)
    return replace(
        message,
        at=message.at.astimezone(UTC),
        kind=message.kind[:80],
        text=text,
        metadata=_within(message.metadata, MOST_METADATA_BYTES, {}),
        reply=None if message.reply is None else _fitted_reply(message.reply),
        whole_bytes=message.whole_bytes if whole_bytes is None else whole_bytes,
    )


def fitted_text(text: str) -> tuple[str, int | None]:
    """The text as it can be kept, and its size in bytes where it had to be cut."""
    raw = text.encode(errors="replace").replace(b"\x00", "\N{REPLACEMENT CHARACTER}".encode())
    whole_bytes = len(raw) if len(raw) > MOST_TEXT_BYTES else None
    return raw[:MOST_TEXT_BYTES].decode(errors="ignore"), whole_bytes


def size_of(message: HistoryMessage) -> int:
    """About what it takes up, in bytes."""
    return 500 + len(message.text) + (0 if message.reply is None else len(json.dumps(message.reply)))


def _fitted_reply(reply: dict[str, Any]) -> dict[str, Any]:
    """The record; without the raw frame where that makes it too long, or only with what it is about."""
    bare = {key: value for key, value in reply.items() if key != "raw"}
    essence = {key: _short(reply[key]) for key in _ESSENTIAL if key in reply}
    return _within(reply, MOST_REPLY_BYTES, _within(bare, MOST_REPLY_BYTES, essence))


def _within(record: dict[str, Any], most_bytes: int, otherwise: dict[str, Any]) -> dict[str, Any]:
    size = len(json.dumps(record))
    return record if size <= most_bytes else {"omitted_bytes": size, **otherwise}


def _short(value: Any) -> Any:
    return value[:200] if isinstance(value, str) else value if isinstance(value, int | float) else None
