"""The conversations: what was said by both sides, found again by page or by word, until it is forgotten.

The recent messages are answered from memory. What is deleted is gone from the file, its search index and its
log, also where omniid ends before that is finished: a chore that is left over is done at the next start.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from omniid.storage import search
from omniid.storage.database import Database
from omniid.storage.messages import HistoryMessage, Stored, fitted, fitted_text, size_of

RECENT = 200
MOST_ON_A_PAGE = 500

_RECENT_BYTES = 4_000_000
_PAGE_BYTES = 8_000_000
_DELETED_AT_ONCE = 500
_SAID_LATELY = 1_000  # messages; where a reply is looked for that may come again
_LOST_WITHIN = timedelta(seconds=10)  # so much may what was written last be newer than what was lost
_MERGED_AT_ONCE = 200  # pages of the index; keeps each step short, so that a command need not wait long
_TIDY = "tidy the search index"
_COMPACT = "compact the file"  # and the index


@dataclass(frozen=True, slots=True)
class Page:
    """The newest first. `before`: where the next page begins; None when this is the last."""

    messages: list[Stored]
    before: int | None


class History:
    """The messages in a `Database`. With not `enabled`, nothing is added; what is there can still be read."""

    def __init__(self, database: Database, *, enabled: bool = True) -> None:
        self._database = database
        self._recent = _Recent()
        self._chores_noted = 0
        self.enabled = enabled
        self.clearings = 0

    async def add(self, message: HistoryMessage, *, once: bool = False) -> None:
        """Keep a message, cut to what fits. One whose id is known already is not kept twice.

        `once`: nor is one that has been said of the same command lately, in the same words.

        Raises:
            StorageError: it could not be written.
        """
        if not self.enabled:
            return
        kept = fitted(message)

        def work(connection: sqlite3.Connection) -> int | None:
            return None if once and _was_said(connection, kept) else _insert(connection, kept)

        try:
            number = await self._database.run(work)
        except asyncio.CancelledError:
            self._recent.stale = True  # it may have been written all the same
            raise
        if number is not None:
            self._recent.append(Stored(number, kept))

    async def add_lost(self, message: HistoryMessage) -> None:
        """Keep a message of an earlier run that was killed, where it is missing at the end of the history.

        One that is older than what is there, or said before a clear or while no history was kept, is not.

        Raises:
            StorageError: it could not be written.
        """
        if self.enabled:
            kept = fitted(message)
            await self._database.run(lambda connection: _insert_lost(connection, kept))
            self._recent.stale = True

    async def reword(self, message_id: str, text: str) -> None:
        """Change what a message says, cut to what fits. One that is not there is not made.

        What it said before is a chore for the next `forget_older_than`, which lets go of every trace of it.

        Raises:
            StorageError: it could not be written.
        """
        if not self.enabled:
            return
        kept = (*fitted_text(text), message_id)
        self._chores_noted += 1
        try:
            await self._database.run(lambda connection: _reword(connection, kept))
        finally:
            self._recent.stale = True  # where the caller went away, it may have been written all the same

    async def page(
        self,
        limit: int,
        *,
        before: int | None = None,
        query: str | None = None,
        since: datetime | None = None,
    ) -> Page:
        """Messages, the newest first: `before` a place, with all words of `query`, not older than `since`.

        A page may be shorter than `limit` (1 to 500) where the messages are very long.

        Raises:
            StorageError: they could not be read.
        """
        if query is None:
            if self._recent.stale:
                await self._recall()
            if (page := self._recent.page(limit, before, since)) is not None:
                return page
        return await self._database.run(lambda connection: _select(connection, limit, before, query, since))

    async def clear(self) -> int:
        """Delete every message; how many there were.

        It is counted in `clearings` first: what waits to be written then must not be written after it.

        Raises:
            StorageError: they are still there, or (the next start will see to it) traces of them are.
        """
        self.clearings += 1
        self._chores_noted += 1
        gone = await self._database.run(_delete_all)
        self._recent.stale = True
        await self._tidy(compact=True)
        return gone

    async def forget_older_than(self, days: int, now: datetime) -> int:
        """Delete what is older; how much it was. Also ends what a deletion or a rewording left to do.

        Raises:
            StorageError: not all of it is gone. The next call goes on.
        """
        limit = _text(now - timedelta(days=days))
        await self._database.run(
            lambda connection: _mark_whether_kept(connection, enabled=self.enabled, now=now)
        )
        gone = 0
        while step := await self._database.run(lambda connection: _delete_some(connection, limit)):
            gone += step
            self._recent.stale = True
        chores = await self._database.run(_chores)
        if chores:
            await self._tidy(compact=_COMPACT in chores)
        return gone

    async def count(self) -> int:
        return await self._database.run(
            lambda connection: int(connection.execute("SELECT count(*) FROM messages").fetchone()[0])
        )

    async def _recall(self) -> None:
        """Read the recent ones again."""
        page = await self._database.run(lambda connection: _select(connection, RECENT, None, None, None))
        self._recent.replace(page)

    async def _tidy(self, *, compact: bool = False) -> None:
        """Rewrite the search index without the words of what was deleted, then the file and its log.

        The chore stays where another was noted meanwhile: its words may have come too late for this time.
        """
        noted = self._chores_noted
        while not await self._database.run(_merge_some):
            pass
        await self._database.scrub(compact=compact)
        if noted != self._chores_noted:
            return
        done = (_TIDY, _COMPACT if compact else _TIDY)
        await self._database.run(
            lambda connection: connection.execute("DELETE FROM chores WHERE name IN (?, ?)", done).close()
        )


class _Recent:
    """The newest messages without a gap. `stale`: there may be one, and they have to be read again."""

    def __init__(self) -> None:
        self._messages: deque[tuple[Stored, int]] = deque()
        self._bytes = 0
        self._from_the_first = False
        self.stale = True

    def append(self, stored: Stored) -> None:
        if self._messages and stored.number <= self._messages[-1][0].number:
            self.stale = True
        if not self.stale:
            size = size_of(stored.message)
            self._messages.append((stored, size))
            self._bytes += size
            self._fit()

    def replace(self, page: Page) -> None:
        self._messages = deque((stored, size_of(stored.message)) for stored in reversed(page.messages))
        self._bytes = sum(size for _, size in self._messages)
        self._from_the_first = page.before is None
        self.stale = False
        self._fit()

    def _fit(self) -> None:
        while len(self._messages) > RECENT or (self._bytes > _RECENT_BYTES and len(self._messages) > 1):
            self._bytes -= self._messages.popleft()[1]
            self._from_the_first = False

    def page(self, limit: int, before: int | None, since: datetime | None) -> Page | None:
        """The page, or None where older messages than these could belong to it."""
        if self.stale:
            return None
        found = [
            stored
            for stored, _ in reversed(self._messages)
            if (before is None or stored.number < before) and (since is None or stored.message.at >= since)
        ]
        if len(found) > limit:
            return Page(found[:limit], found[limit - 1].number)
        return Page(found, None) if self._from_the_first else None


def _insert(connection: sqlite3.Connection, message: HistoryMessage) -> int | None:
    """Its number, or None where it is there already."""
    row = connection.execute(
        "INSERT INTO messages (id, at, sender, kind, text, whole_bytes, command_id, metadata, reply)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING RETURNING number",
        (
            message.id,
            _text(message.at),
            message.sender,
            message.kind,
            message.text,
            message.whole_bytes,
            message.command_id,
            json.dumps(message.metadata),
            None if message.reply is None else json.dumps(message.reply),
        ),
    ).fetchone()
    return None if row is None else int(row["number"])


def _insert_lost(connection: sqlite3.Connection, message: HistoryMessage) -> None:
    last, cleared = connection.execute(
        "SELECT (SELECT max(at) FROM messages), (SELECT at FROM marks WHERE name = 'cleared')"
    ).fetchone()
    if _text(message.at) > (cleared or "") and _text(message.at + _LOST_WITHIN) >= (last or ""):
        _insert(connection, message)


def _mark(connection: sqlite3.Connection, name: str, now: datetime) -> None:
    connection.execute("INSERT OR REPLACE INTO marks VALUES (?, ?)", (name, _text(now)))


def _mark_whether_kept(connection: sqlite3.Connection, *, enabled: bool, now: datetime) -> None:
    """What is said while no history is kept does not come into it when one is kept again."""
    if not enabled:
        _mark(connection, "off", now)
    elif connection.execute("DELETE FROM marks WHERE name = 'off'").rowcount:
        _mark(connection, "cleared", now)


def _was_said(connection: sqlite3.Connection, message: HistoryMessage) -> bool:
    """Only the latest are looked at, so that it costs no more in a long history."""
    found = connection.execute(
        "SELECT 1 FROM messages WHERE number > (SELECT max(number) FROM messages) - ?"
        " AND kind = ? AND command_id = ? AND text = ?",
        (_SAID_LATELY, message.kind, message.command_id, message.text),
    )
    return found.fetchone() is not None


def _select(
    connection: sqlite3.Connection,
    limit: int,
    before: int | None,
    query: str | None,
    since: datetime | None,
) -> Page:
    conditions: list[tuple[str, Any]] = []
    source, place = "messages", "number"
    if query is not None:
        wanted = search.parse(query)
        if wanted.is_empty:
            return Page([], None)
        if wanted.match is not None:
            source, place = "words CROSS JOIN messages ON number = words.rowid", "words.rowid"
            conditions.append(("words MATCH ?", wanted.match))
        conditions += [("messages.text LIKE ? ESCAPE '\\'", piece) for piece in wanted.pieces]
    if before is not None:
        conditions.append((f"{place} < ?", before))
    if since is not None:
        conditions.append(("+at >= ?", _text(since)))
    where = " AND ".join(condition for condition, _ in conditions) or "1"
    rows = connection.execute(
        f"SELECT messages.* FROM {source} WHERE {where} ORDER BY {place} DESC LIMIT ?",  # noqa: S608 only our own words
        (*(value for _, value in conditions), limit + 1),
    )
    return _page(rows, limit)


def _page(rows: sqlite3.Cursor, limit: int) -> Page:
    """As many as may go on a page; they are read one by one, so that long ones never all stand in memory."""
    messages: list[Stored] = []
    room = _PAGE_BYTES
    for row in rows:
        if len(messages) == limit or (messages and room <= 0):
            return Page(messages, messages[-1].number)
        messages.append(_stored(row))
        room -= size_of(messages[-1].message)
    return Page(messages, None)


def _delete_all(connection: sqlite3.Connection) -> int:
    # The index is emptied whole and not word by word: its trigger is away meanwhile.
    trigger = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'words_removed'").fetchone()[
        "sql"
    ]
    connection.execute("DROP TRIGGER words_removed")
    gone = connection.execute("DELETE FROM messages").rowcount
    connection.execute("INSERT INTO words (words) VALUES ('delete-all')")
    connection.execute(trigger)
    _note_chore(connection, _COMPACT)
    _mark(connection, "cleared", datetime.now(UTC))
    return gone


def _delete_some(connection: sqlite3.Connection, limit: str) -> int:
    gone = connection.execute(
        "DELETE FROM messages WHERE number IN (SELECT number FROM messages WHERE at < ? LIMIT ?)",
        (limit, _DELETED_AT_ONCE),
    ).rowcount
    if gone:
        _note_chore(connection, _TIDY)
    return gone


def _reword(connection: sqlite3.Connection, kept: tuple[str, int | None, str]) -> None:
    changed = connection.execute("UPDATE messages SET text = ?, whole_bytes = ? WHERE id = ?", kept).rowcount
    if changed:
        # SQLite overwrites what it deletes, but not what it left behind where it moved rows between pages.
        _note_chore(connection, _COMPACT)


def _note_chore(connection: sqlite3.Connection, name: str) -> None:
    connection.execute("INSERT INTO chores VALUES (?) ON CONFLICT DO NOTHING", (name,))


def _chores(connection: sqlite3.Connection) -> set[str]:
    rows = connection.execute("SELECT name FROM chores WHERE name IN (?, ?)", (_TIDY, _COMPACT))
    return {row["name"] for row in rows}


def _merge_some(connection: sqlite3.Connection) -> bool:
    """One step of writing the index anew into one piece; whether that is finished."""
    before = connection.total_changes
    connection.execute("INSERT INTO words (words, rank) VALUES ('merge', ?)", (-_MERGED_AT_ONCE,))
    return connection.total_changes - before < 2  # noqa: PLR2004 as FTS5 defines it: the order itself counts as one


def _stored(row: sqlite3.Row) -> Stored:
    return Stored(
        row["number"],
        HistoryMessage(
            id=row["id"],
            at=datetime.fromisoformat(row["at"]),
            sender=row["sender"],
            kind=row["kind"],
            text=row["text"],
            command_id=row["command_id"],
            metadata=json.loads(row["metadata"]),
            reply=None if row["reply"] is None else json.loads(row["reply"]),
            whole_bytes=row["whole_bytes"],
        ),
    )


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")
