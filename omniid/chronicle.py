"""Writes down what is said, on both sides, as it happens."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

import structlog
import uuid_utils

from omniid.errors import StorageError
from omniid.events import (
    CommandProgressed,
    CommandQueued,
    CommandSettled,
    Event,
    LateReplyArrived,
    MessageArrived,
    QuestionAnswered,
    QuestionAsked,
    SettledHere,
    StorageFailed,
)
from omniid.storage.messages import HistoryMessage

log = structlog.get_logger()

_MOST_WAITING = 1_000


class Book(Protocol):
    async def add(self, message: HistoryMessage) -> object:
        """Raises StorageError: the disk does not take it."""


class Chronicle:
    """`observe` sees every event; `run` writes what is worth it. No command ever waits for either."""

    def __init__(self, book: Book, now: Callable[[], datetime], post: Callable[[Event], None]) -> None:
        self._book = book
        self._now = now
        self._post = post
        self._waiting: asyncio.Queue[HistoryMessage] = asyncio.Queue(_MOST_WAITING)
        self._dropped = 0

    def observe(self, event: Event) -> None:
        message = message_of(event, self._now())
        if message is None:
            return
        if self._waiting.full():
            self._dropped += 1
            return
        self._waiting.put_nowait(message)

    async def run(self) -> None:
        """Write until cancelled; what still waits then is written first."""
        try:
            while True:
                await self._write(await self._waiting.get())
        finally:
            while not self._waiting.empty():
                await self._write(self._waiting.get_nowait())

    async def _write(self, message: HistoryMessage) -> None:
        try:
            await self._book.add(message)
        except StorageError as error:
            self._post(StorageFailed(error.message))
        if self._dropped:
            log.warning("not written into the history: too much at once", messages=self._dropped)
            self._dropped = 0


def message_of(event: Event, at: datetime) -> HistoryMessage | None:
    """What of an event belongs into the history."""
    match event:
        case CommandQueued(again=False):
            metadata = {"type": event.kind}
            return HistoryMessage(
                event.command_id, at, "user", "command", event.message, event.command_id, metadata
            )
        case CommandSettled() | LateReplyArrived() | SettledHere():
            reply = dataclasses.asdict(event.reply)
            return HistoryMessage(
                _id(), at, "assistant", "reply", event.reply.content, event.command_id, reply=reply
            )
        case CommandProgressed(text=str(text)) if text:
            return _noted(event, "partial", text, at)
        case QuestionAnswered(text=text) if text:
            return HistoryMessage(_id(), at, "user", "answer", text)
        case QuestionAsked(text=text):
            return _noted(event, "question", text, at)
        case MessageArrived(text=text) if text:
            return _noted(event, event.kind, text, at, {"inferred": True} if event.command_id else {})
        case _:
            return None


def _noted(
    event: CommandProgressed | QuestionAsked | MessageArrived,
    kind: str,
    text: str,
    at: datetime,
    metadata: dict[str, Any] | None = None,
) -> HistoryMessage:
    """`inferred` in the metadata: nothing but the time says that it is about the command."""
    note = event.note
    sender = "assistant" if note is None else note.sender
    raw = event.raw if isinstance(event, QuestionAsked | MessageArrived) else {} if note is None else note.raw
    reply = None if note is None else {**dataclasses.asdict(replace(note, raw={})), "raw": raw}
    return HistoryMessage(_id(), at, sender, kind, text, event.command_id, metadata or {}, reply)


def _id() -> str:
    return str(uuid_utils.uuid7())
