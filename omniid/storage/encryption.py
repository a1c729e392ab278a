"""The file as SQLite or as SQLCipher writes it: told apart, opened, and made over from one into the other.

Encrypted is the whole file: the outbox, the history, its search index and the log beside it. The key is 32
random bytes, used as it is; a passphrase would cost a third of a second of hashing at each start.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import shlex
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from omniid.errors import EXIT_CONFIG, StorageError

KEY_BYTES = 32

_PLAIN_BEGINS = b"SQLite format 3\x00"
_PAGE_BYTES = 4_096
_FEWEST_VALUES = 240  # of the 256 that a byte has; an encrypted page uses all, or all but one or two
_COMPANIONS = ("", "-journal", "-wal", "-shm")


class EncryptionError(StorageError):
    """A person has to see to it; starting again would not help. The file has not been touched."""

    exit_code: int = EXIT_CONFIG


@dataclass(frozen=True, slots=True)
class Form:
    """How a file is written. `driver` is a DB-API module: sqlite3, or SQLCipher's with the same names."""

    driver: ModuleType
    key: bytes | None = field(default=None, repr=False)

    @property
    def failures(self) -> tuple[type[Exception], ...]:
        """What its connections raise. SQLCipher's errors are no kin of sqlite3's."""
        return (sqlite3.Error, self.driver.Error, OSError)

    def connect(self, path: Path) -> sqlite3.Connection:
        """A connection that has read the first page.

        Raises:
            EncryptionError: the key does not fit; neither the file nor its log was written to.
            sqlite3.Error: or the driver's own: the file cannot be opened, or is damaged.
        """
        if self.key is not None and path.with_name(path.name + "-wal").exists():
            # Closing writes a log back into the file, whether its key fits or not. Not so if only reading.
            with contextlib.suppress(self.driver.OperationalError):  # it will be told below
                self._connect(f"{path.absolute().as_uri()}?mode=ro", path).close()
        return self._connect(os.fspath(path), path)

    def _connect(self, name: str, path: Path) -> sqlite3.Connection:
        with contextlib.ExitStack() as undo:
            connection: sqlite3.Connection
            connection = self.driver.connect(
                name, isolation_level=None, check_same_thread=False, uri=name.startswith("file:")
            )
            undo.callback(connection.close)
            connection.row_factory = self.driver.Row
            if self.key is not None:
                connection.execute("PRAGMA cipher_log_level=NONE")  # it would write to our stderr
                connection.execute(f'PRAGMA key="{_literal(self.key)}"')
                self._try_key(connection, path)
            undo.pop_all()
        return connection

    def _try_key(self, connection: sqlite3.Connection, path: Path) -> None:
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except self.driver.DatabaseError as error:
            if isinstance(error, self.driver.OperationalError):
                raise  # the disk or a lock
            raise EncryptionError(
                f"The key in the keyring does not open {path}: it is the key of another file, or the "
                f"file is damaged. The file is left as it is. Put the right key back. {_begin_anew(path)}",
                code="wrong_key",
            ) from error


PLAIN = Form(sqlite3)


def encrypted(key: bytes) -> Form:
    """The form of a file that only this key opens.

    Raises:
        EncryptionError: SQLCipher is not installed, or the key is not of 32 bytes.
    """
    if len(key) != KEY_BYTES:
        raise EncryptionError(
            f"The database's key has {len(key)} bytes and not {KEY_BYTES}: the keyring's entry was changed. "
            "Put the right one back.",
            code="wrong_key",
        )
    return Form(sqlcipher(), key)


def looks_encrypted(path: Path) -> bool:
    """Whether a file is encrypted, as far as can be told without its key: its first page looks random."""
    try:
        with path.open("rb") as file:
            page = file.read(_PAGE_BYTES)
    except FileNotFoundError:
        return False
    whole = len(page) == _PAGE_BYTES and not page.startswith(_PLAIN_BEGINS)
    return whole and len(set(page)) >= _FEWEST_VALUES


def form_of(path: Path, key: bytes | None) -> Form:
    """The form a file has now. What is neither plain nor random is a plain one that came to harm.

    Raises:
        EncryptionError: it is encrypted and there is no key, or SQLCipher is not installed.
    """
    if not looks_encrypted(path):
        return PLAIN
    if key is None:
        raise key_missing(path)
    return encrypted(key)


def key_missing(path: Path) -> EncryptionError:
    """The error for an encrypted file whose key is not there."""
    return EncryptionError(
        f"{path} is encrypted, and the keyring does not have its key. The file is left as it is. Put the key "
        f"back into the keyring. {_begin_anew(path)}",
        code="key_missing",
    )


def sqlcipher() -> ModuleType:
    """The library that reads and writes encrypted files.

    Raises:
        EncryptionError: it is not installed.
    """
    try:
        return importlib.import_module("sqlcipher3.dbapi2")
    except ImportError as error:
        raise EncryptionError(
            "The database is encrypted, or is to be, and SQLCipher is not installed. Run "
            "`pip install 'omniid[encrypted]'` where omniid is installed; where pipx has installed it, "
            "`pipx inject omniid sqlcipher3-wheels`. The file is left as it is.",
            code="encryption_missing",
        ) from error


def convert(path: Path, now: Form, wanted: Form) -> None:
    """Make a sound file over into another form.

    The copy takes the file's name in one step, once it is whole and on disk: whenever this is cut short,
    the file is the old one or the new one. The old one's log is written back and removed before that step,
    so that it cannot be taken for the new one's.

    Raises:
        EncryptionError: SQLCipher is not installed.
        StorageError: another program has the file open.
        sqlite3.Error: or the driver's own: it could not be read or written.
        OSError: it could not be written.
    """
    discard_unfinished(path)
    copy = _unfinished(path)
    try:
        os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with contextlib.closing(Form(sqlcipher(), now.key).connect(path)) as source:
            before = _copy(source, copy, wanted.key)
            _leave_no_log(source, path)
        with contextlib.closing(wanted.connect(copy)) as fresh:
            if _counts(fresh) != before:
                raise OSError(f"the copy {copy} is not complete")
        _sync(copy)
        copy.replace(path)
        _sync(path.parent)
    finally:
        discard_unfinished(path)


def discard_unfinished(path: Path) -> None:
    """Remove what a conversion that was cut short has left behind."""
    copy = _unfinished(path)
    for suffix in _COMPANIONS:
        copy.with_name(copy.name + suffix).unlink(missing_ok=True)


def _copy(source: sqlite3.Connection, copy: Path, key: bytes | None) -> list[Any]:
    """Copy everything; what was there."""
    literal = "" if key is None else _literal(key)
    source.execute(f'ATTACH DATABASE ? AS fresh KEY "{literal}"', (os.fspath(copy),))
    source.execute("PRAGMA fresh.synchronous=OFF")  # the whole file is synced at the end
    source.execute("SELECT sqlcipher_export('fresh')").fetchall()
    version = source.execute("PRAGMA user_version").fetchone()[0]
    source.execute(f"PRAGMA fresh.user_version={int(version)}")
    before = _counts(source)
    source.execute("DETACH DATABASE fresh")
    return before


def _leave_no_log(source: sqlite3.Connection, path: Path) -> None:
    mode = source.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
    if mode != "delete" or any(path.with_name(path.name + part).exists() for part in _COMPANIONS[1:3]):
        raise StorageError(
            f"{path} is open in another program, so it cannot be made over. Close that, and start omniid "
            "again."
        )


def _counts(connection: sqlite3.Connection) -> list[Any]:
    """The version and how many rows each table has."""
    tables = connection.execute(
        "SELECT name FROM main.sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
        " ORDER BY name"
    ).fetchall()
    counts = [
        (name, connection.execute(f'SELECT count(*) FROM main."{name}"').fetchone()[0])  # noqa: S608 our own tables
        for (name,) in tables
    ]
    return [connection.execute("PRAGMA main.user_version").fetchone()[0], *counts]


def _begin_anew(path: Path) -> str:
    """What to do about a key that is lost. The log goes with the file: a part of it may be only there."""
    aside = shlex.quote(str(path.with_name("unreadable")))
    return (
        "If it is lost, nobody can read the file any more: to begin a new one, run "
        f"`mkdir {aside} && mv {shlex.quote(str(path))}* {aside}` and start omniid again."
    )


def _literal(key: bytes) -> str:
    return f"x'{key.hex()}'"


def _unfinished(path: Path) -> Path:
    return path.with_name(path.name + ".unfinished")


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
