"""The SQLite file: opened, checked, migrated, and worked on by one thread only.

WAL with `synchronous=FULL`: a committed command survives a power cut. What is asked for while a commit is
under way shares the next one, so a burst costs one fsync and not one each. A file that fails its check is set
aside under a name that says when, never deleted, and a fresh one takes its place. With a key the whole file
is encrypted; a key that does not fit is an error, and the file is left as it is.
"""

from __future__ import annotations

import asyncio
import contextlib
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
from omniid.storage import encryption
from omniid.storage.encryption import Form
from omniid.storage.schema import MIGRATIONS

T = TypeVar("T")

_MOST_AT_ONCE = 64


@dataclass(frozen=True, slots=True)
class _Job:
    work: Callable[[sqlite3.Connection], Any]
    done: asyncio.Future[Any]


class Database:
    """One connection on one thread; `run` brings work to it, and an fsync never stalls the event loop."""

    def __init__(self, path: Path, key: bytes | None = None, *, encrypted: bool = True) -> None:
        """`key`: 32 random bytes, None for a file in clear.

        A file that is not yet as it should be is made over when it is opened: encrypted where a key is given,
        in clear again where one is given and not `encrypted`.
        """
        self._path = path
        self._key = key
        self._encrypted = encrypted
        self._form = encryption.PLAIN
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
        except self._form.failures as error:
            raise self._unusable(error) from error
        return result

    async def scrub(self, *, compact: bool = False) -> None:
        """Leave nothing of what was deleted in the file or its log. `compact`: the file shrinks, too.

        A program that reads the file meanwhile may keep a part of the log until the next time.

        Raises:
            StorageError: as for `run`.
        """

        def work() -> None:
            assert self._connection is not None  # noqa: S101 opened in __aenter__
            if compact:
                self._connection.execute("VACUUM")
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

        await self._on_thread(work)

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
        except self._form.failures as error:
            raise self._unusable(error) from error

    def _unusable(self, error: Exception) -> StorageError:
        return StorageError(
            f"The database {self._path} cannot be used: {error}. "
            "Check the free space and the rights on that folder; nothing was accepted meanwhile."
        )

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        wanted = encryption.PLAIN
        if self._key is not None and self._encrypted:
            wanted = encryption.encrypted(self._key)
        encryption.discard_unfinished(self._path)
        is_new = not self._path.exists() or not self._path.stat().st_size
        found = wanted if is_new else encryption.form_of(self._path, self._key)
        self._connection = self._checked(found, wanted)
        if found != wanted and self.set_aside is None:
            self._connection.close()
            self._form = wanted if found == encryption.PLAIN else found  # whose errors are to be expected
            encryption.convert(self._path, found, wanted)
            self._connection = self._checked(wanted, wanted)

    def _checked(self, found: Form, wanted: Form) -> sqlite3.Connection:
        """A connection to a sound file: the one there is, or a fresh one in the form that is wanted."""
        self._form = found
        try:
            return _connect(self._path, found)
        except found.driver.DatabaseError as error:
            if isinstance(error, found.driver.OperationalError):
                raise  # the disk or the rights are at fault, not the file's content
            self.set_aside = _set_aside(self._path)
            self._form = wanted
            return _connect(self._path, wanted)

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()


def _connect(path: Path, form: Form) -> sqlite3.Connection:
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    with contextlib.ExitStack() as undo:
        connection = undo.enter_context(contextlib.closing(form.connect(path)))
        version = _known_version(connection)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA fullfsync=1")  # macOS: a plain fsync stops at the drive's cache
        connection.execute("PRAGMA foreign_keys=1")
        connection.execute("PRAGMA secure_delete=1")  # what is deleted is overwritten, and not only let go
        verdict: Any = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if verdict != "ok":
            raise form.driver.DatabaseError(str(verdict))
        _migrate(connection, version)
        undo.pop_all()
    return connection


def _known_version(connection: sqlite3.Connection) -> int:
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > len(MIGRATIONS):
        raise StorageError(
            f"The database was written by a newer omniid (schema {version}, this one knows "
            f"{len(MIGRATIONS)}). Update omniid; the file has not been touched."
        )
    return version


def _migrate(connection: sqlite3.Connection, version: int) -> None:
    for number, script in enumerate(MIGRATIONS[version:], start=version + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {script} PRAGMA user_version={number}; COMMIT;")


def _set_aside(path: Path) -> Path:
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    aside = path.with_name(f"{path.name}.damaged-{stamp}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside
