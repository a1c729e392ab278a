"""The SQLite file: opened, checked, migrated, and worked on by one thread only.

WAL with `synchronous=FULL`: a committed command survives a power cut. A file that fails its check is set
aside under a name that says when, never deleted, and a fresh one takes its place.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from omniid.errors import AlreadyRunningError, StorageError

T = TypeVar("T")

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
)


class OwnerLock:
    """A file lock that says who holds it; the kernel lets go of it when the holder dies."""

    def __init__(self, path: Path) -> None:
        """Take the lock.

        Raises:
            AlreadyRunningError: another process holds it; the message names its pid.
        """
        self._path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(self._fd, 20, 0).decode("ascii", "replace").strip()
            os.close(self._fd)
            raise AlreadyRunningError(
                f"omniid is already running (pid {holder or 'unknown'}). "
                "Use that one, or stop it first with `omniid stop`."
            ) from None
        os.ftruncate(self._fd, 0)
        os.pwrite(self._fd, str(os.getpid()).encode(), 0)

    def release(self) -> None:
        """Let go. The file stays: removing it would let two processes lock two files of one name."""
        os.close(self._fd)


class Database:
    """One connection on one thread; `run` brings work to it, and an fsync never stalls the event loop."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="storage")
        self._connection: sqlite3.Connection | None = None
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
        await self._on_thread(self._close)
        self._thread.shutdown()

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` in one transaction; it is on disk when this returns, or nothing of it is.

        Raises:
            StorageError: the disk is full, read-only or broken; the message says so.
        """

        def transact() -> T:
            assert self._connection is not None  # noqa: S101 opened in __aenter__
            with self._connection:
                self._connection.execute("BEGIN IMMEDIATE")
                return work(self._connection)

        return await self._on_thread(transact)

    async def _on_thread(self, work: Callable[[], T]) -> T:
        future = asyncio.get_running_loop().run_in_executor(self._thread, work)
        try:
            # Shielded: a caller that is cancelled must not make a committed step look undone.
            return await asyncio.shield(future)
        except (sqlite3.Error, OSError) as error:
            raise StorageError(
                f"The database {self._path} cannot be used: {error}. "
                "Check the free space and the rights on that folder; nothing was accepted meanwhile."
            ) from error

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
