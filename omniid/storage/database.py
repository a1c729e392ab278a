"""The SQLite file: opened, checked, migrated, and worked on by one thread only.

WAL with `synchronous=FULL`: a committed command survives a power cut. What is asked for while a commit is
under way shares the next one, so a burst costs one fsync and not one each. A file that fails its check is set
aside under a name that says when, never deleted, and a fresh one takes its place.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from omniid.errors import StorageError

T = TypeVar("T")

_MOST_AT_ONCE = 64

_MIGRATIONS = (
    """
    CREATE TABLE commands (
        id TEXT PRIMARY KEY,
        position INTEGER NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('voice', 'text')),
        message TEXT NOT NULL,
        metadata TEXT NOT NULL,
        idempotency_key TEXT UNIQUE,
        state TEXT NOT NULL CHECK (state IN ('queued', 'sending', 'waiting', 'done', 'failed', 'rejected',
            'needs_auth', 'uncertain', 'expired', 'cancelled', 'dropped')),
        reason TEXT,
        reply TEXT,
        attempts INTEGER NOT NULL DEFAULT 0,
        answer_wanted INTEGER NOT NULL DEFAULT 1,
        bytes INTEGER NOT NULL,
        created_at TEXT NOT NULL,
        changed_at TEXT NOT NULL,
        expires_at TEXT NOT NULL
    ) STRICT;
    CREATE INDEX commands_line ON commands (state, position);
    CREATE TABLE attempts (
        command_id TEXT NOT NULL REFERENCES commands (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        began_at TEXT NOT NULL,
        written_at TEXT,
        outcome TEXT,
        PRIMARY KEY (command_id, number)
    ) STRICT;
    """,
    # `repeat_at`: the backend that may get the command again by itself, since it knew the id when it got it.
    # `first_message`: what an edited command said when it was accepted; its idempotency key stands for that.
    # `tally` keeps what the caps and the status need, so that no question about it reads the whole line.
    """
    ALTER TABLE commands ADD COLUMN repeat_at TEXT;
    ALTER TABLE commands ADD COLUMN first_message TEXT;
    ALTER TABLE attempts ADD COLUMN target TEXT NOT NULL DEFAULT '';
    ALTER TABLE attempts ADD COLUMN dedupes INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX commands_expiry ON commands (expires_at) WHERE state = 'queued';
    CREATE TABLE tally (
        state TEXT PRIMARY KEY,
        number INTEGER NOT NULL,
        bytes INTEGER NOT NULL
    ) STRICT;
    INSERT INTO tally SELECT state, count(*), sum(bytes) FROM commands GROUP BY state;
    CREATE TRIGGER tally_added AFTER INSERT ON commands BEGIN
        INSERT INTO tally VALUES (new.state, 1, new.bytes)
            ON CONFLICT (state) DO UPDATE SET number = number + 1, bytes = bytes + excluded.bytes;
    END;
    CREATE TRIGGER tally_removed AFTER DELETE ON commands BEGIN
        UPDATE tally SET number = number - 1, bytes = bytes - old.bytes WHERE state = old.state;
    END;
    CREATE TRIGGER tally_moved AFTER UPDATE OF state, bytes ON commands BEGIN
        UPDATE tally SET number = number - 1, bytes = bytes - old.bytes WHERE state = old.state;
        INSERT INTO tally VALUES (new.state, 1, new.bytes)
            ON CONFLICT (state) DO UPDATE SET number = number + 1, bytes = bytes + excluded.bytes;
    END;
    """,
)


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[sqlite3.Connection], Any]
    done: asyncio.Future[Any]


class Database:
    """One connection on one thread; `run` brings work to it, and an fsync never stalls the event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="storage")
        self._connection: sqlite3.Connection | None = None
        self._waiting: deque[_Job] = deque()
        self._idle = asyncio.Event()
        self._idle.set()
        self.set_aside: Path | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._on_thread(self._open)
        except BaseException:
            self._thread.shutdown(wait=False)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._idle.wait()
        await self._on_thread(self._close)
        self._thread.shutdown()

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` in a transaction; it is on disk when this returns, or nothing of it is.

        `work` may be called again where another's failed in the same transaction, so it must have no effect
        but on the connection.

        Raises:
            StorageError: the disk is full, read-only or broken; the message says so.
        """
        job = _Job(work, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        if self._idle.is_set():
            self._hand_over()
        try:
            # Shielded: a caller that is cancelled must not make a committed step look undone.
            result: T = await asyncio.shield(job.done)
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from error
        return result

    def _hand_over(self) -> None:
        """Give the thread all that waits, as one transaction."""
        self._idle.clear()
        jobs = [self._waiting.popleft() for _ in range(min(len(self._waiting), _MOST_AT_ONCE))]
        commit = asyncio.get_running_loop().run_in_executor(self._thread, self._commit, jobs)
        commit.add_done_callback(lambda done: self._committed(jobs, done.result()))

    def _committed(self, jobs: list[_Job], outcomes: list[Any]) -> None:
        for job, outcome in zip(jobs, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                job.done.set_exception(outcome)
            else:
                job.done.set_result(outcome)
        if self._waiting:
            self._hand_over()
        else:
            self._idle.set()

    def _commit(self, jobs: list[_Job]) -> list[Any]:
        """What each job gave, or the exception it ended with."""
        try:
            return self._transact(jobs)
        except Exception as error:  # noqa: BLE001 whatever it is, it goes to the one who asked
            if len(jobs) == 1:
                return [error]
        return [outcome for job in jobs for outcome in self._commit([job])]

    def _transact(self, jobs: list[_Job]) -> list[Any]:
        assert self._connection is not None  # noqa: S101 opened in __aenter__
        with self._connection:
            self._connection.execute("BEGIN IMMEDIATE")
            return [job.work(self._connection) for job in jobs]

    async def _on_thread(self, work: Callable[[], T]) -> T:
        future = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            return await asyncio.shield(future)
        except (sqlite3.Error, OSError) as error:
            raise self._unusable(error) from error

    def _unusable(self, error: sqlite3.Error | OSError) -> StorageError:
        return StorageError(
            f"The database {self._path} cannot be used: {error}. "
            "Check the free space and the rights on that folder; nothing was accepted meanwhile."
        )

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._connection = _connect(self._path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                raise  # the disk or the rights are at fault, not the file's content
            self.set_aside = _set_aside(self._path)
            self._connection = _connect(self._path)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.row_factory = sqlite3.Row
        version = _known_version(connection)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA fullfsync=1")  # macOS: a plain fsync stops at the drive's cache
        connection.execute("PRAGMA foreign_keys=1")
        verdict: Any = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise sqlite3.DatabaseError(str(verdict))
        _migrate(connection, version)
    except (sqlite3.Error, StorageError):
        connection.close()
        raise
    return connection


def _known_version(connection: sqlite3.Connection) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(_MIGRATIONS):
        raise StorageError(
            f"The database was written by a newer omniid (schema {version}, this one knows "
            f"{len(_MIGRATIONS)}). Update omniid; the file has not been touched."
        )
    return version


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    for number, script in enumerate(_MIGRATIONS[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version={number}; COMMIT;")


def _set_aside(path: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside
