"""Writes down what is said, on both sides, as it happens, and again later where the disk does not take it."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, Protocol

import structlog
import uuid_utils

from omniid.errors import StorageError
from omniid.events import (
    AnswerAcknowledged,
    CommandEdited,
    CommandFound,
    CommandProgressed,
    CommandQueued,
    CommandSettled,
    Event,
    LateReplyArrived,
    MessageArrived,
    QuestionAnswered,
    QuestionAsked,
    QuestionExpired,
    SettledHere,
    StorageFailed,
    StorageWorks,
)
from omniid.storage.messages import HistoryMessage, size_of

log = structlog.get_logger()

_MOST_WAITING = 1_000
_MOST_BYTES_WAITING = 20_000_000
_CAUGHT_UP_WITHIN_S = 2.0


class Book(Protocol):
    """Each raises StorageError: the disk does not take it. `clearings` counts how often all was forgotten."""

    clearings: int

    async def add(self, message: HistoryMessage, *, once: bool = False) -> object: ...
    async def add_lost(self, message: HistoryMessage) -> object: ...
    async def reword(self, message_id: str, text: str) -> object: ...


@dataclass(frozen=True, slots=True)
class _Entry:
    """Something to be written, unless all is forgotten before; `write` may be called again."""

    write: Callable[[], Awaitable[object]]
    size: int
    clearings: int


class Chronicle:
    """`observe` sees every event; `run` writes what is worth it. No command ever waits for either.

    What the disk refuses waits at its place, and all that comes later behind it, until the disk takes words
    again. What there is no room for meanwhile, or at the end, is counted, and the log says how much it was.
    """

    def __init__(self, book: Book, now: Callable[[], datetime], post: Callable[[Event], None]) -> None:
        self._book = book
        self._now = now
        self._post = post
        self._waiting: deque[_Entry] = deque()
        self._bytes = 0
        self._some_wait = asyncio.Event()
        self._storage_works = asyncio.Event()
        self._progress = asyncio.Event()
        self._kept = 0
        self._is_refused = False
        self._dropped = 0

    def observe(self, event: Event) -> None:
        match event:
            case StorageWorks():
                self._storage_works.set()
            case CommandFound(accepted_at=str(accepted_at)):
                # Its event died with the run that accepted it, where that run was killed at once.
                lost = _command(event, datetime.fromisoformat(accepted_at))
                self._keep(partial(self._book.add_lost, lost), size_of(lost))
            case CommandEdited(command_id=command_id, text=text):
                # The words as they were are written, or wait before these.
                self._keep(partial(self._book.reword, command_id, text), len(text))
            case _ if (message := message_of(event, self._now())) is not None:
                once = _may_come_again(event)
                self._keep(partial(self._book.add, message, once=once), size_of(message))
            case _:
                pass

    def _keep(self, write: Callable[[], Awaitable[object]], size: int) -> None:
        if len(self._waiting) >= _MOST_WAITING or self._bytes + size > _MOST_BYTES_WAITING:
            self._dropped += 1
            return
        self._waiting.append(_Entry(write, size, self._book.clearings))
        self._bytes += size
        self._kept += 1
        self._some_wait.set()

    async def caught_up(self) -> None:
        """All that was observed until now is written, or the disk does not take it, or is slow."""
        mark = self._kept
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CAUGHT_UP_WITHIN_S):
                while self._kept - len(self._waiting) < mark and not self._is_refused:
                    self._progress.clear()
                    await self._progress.wait()

    async def run(self) -> None:
        """Write until cancelled; what still waits then is written first, so far as the disk takes it."""
        try:
            while True:
                await self._some_wait.wait()
                self._storage_works.clear()
                if not await self._write_all():
                    await self._storage_works.wait()
        finally:
            if not await self._write_all():
                await self._write_what_fits()

    async def _write_all(self) -> bool:
        """Write what waits, the first first; whether the disk took all of it."""
        while self._waiting:
            entry = self._waiting[0]
            try:
                await self._write(entry)
            except StorageError as error:
                self._is_refused = True
                self._progress.set()
                self._post(StorageFailed(error.message))
                return False
            self._is_refused = False
            self._waiting.popleft()
            self._progress.set()
            self._bytes -= entry.size
            self._tell_dropped()
        self._some_wait.clear()
        return True

    async def _write_what_fits(self) -> None:
        """At the end: a full disk may have room for the short ones."""
        for entry in self._waiting:
            try:
                await self._write(entry)
            except StorageError:
                self._dropped += 1
        self._tell_dropped()

    async def _write(self, entry: _Entry) -> None:
        if entry.clearings == self._book.clearings:
            await entry.write()

    def _tell_dropped(self) -> None:
        if self._dropped:
            log.warning("left out of the history", messages=self._dropped)
            self._dropped = 0


def message_of(event: Event, at: datetime) -> HistoryMessage | None:
    """What of an event belongs into the history."""
    match event:
        case CommandQueued(again=False):
            return _command(event, at)
        case CommandSettled() | LateReplyArrived() | SettledHere():
            reply = dataclasses.asdict(event.reply)
            return HistoryMessage(
                _id(), at, "assistant", "reply", event.reply.content, event.command_id, reply=reply
            )
        case CommandProgressed(text=str(text)) if text:
            return _noted(event, "partial", text, at)
        case QuestionAnswered(text=text) if text:
            return HistoryMessage(_id(), at, "user", "answer", text)
        case AnswerAcknowledged(accepted=False, text=text) if text:
            return HistoryMessage(_id(), at, "assistant", "partial", text)
        case QuestionExpired(text=text):
            return HistoryMessage(_id(), at, "system", "expired", f"Too late to answer: {text}")
        case QuestionAsked(text=text):
            return _noted(event, "question", text, at)
        case MessageArrived(text=text) if text:
            return _noted(event, event.kind, text, at, {"inferred": True} if event.command_id else {})
        case _:
            return None


def _command(event: CommandQueued | CommandFound, at: datetime) -> HistoryMessage:
    metadata = {"type": event.kind}
    return HistoryMessage(event.command_id, at, "user", "command", event.message, event.command_id, metadata)


def _may_come_again(event: Event) -> bool:
    """Said in the same words: a late reply until the server is sure of it, a sign-in at each attempt."""
    match event:
        case LateReplyArrived():
            return True
        case CommandSettled(reply=reply):
            return reply.outcome == "needs_auth"
        case _:
            return False


def _noted(
    event: CommandProgressed | QuestionAsked | MessageArrived,
    kind: str,
    text: str,
    at: datetime,
    metadata: dict[str, Any] | None = None,
) -> HistoryMessage:
    """`inferred` in the metadata: nothing but the time says that it is about the command."""
    said = event.note or (event.reply if isinstance(event, MessageArrived) else None)
    sender = "assistant" if said is None else said.sender
    raw = event.raw if isinstance(event, QuestionAsked | MessageArrived) else {} if said is None else said.raw
    reply = None if said is None else {**dataclasses.asdict(replace(said, raw={})), "raw": raw}
    return HistoryMessage(_id(), at, sender, kind, text, event.command_id, metadata or {}, reply)


def _id() -> str:
    return str(uuid_utils.uuid7())
