"""The backend's folder: one file that is replaced as a whole, and a lock that says whose it is.

The tasks and the answered commands lie in the same file, so that a command is on the disk with its reply
or not at all, whenever the power goes.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import logging
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from pydantic import ValidationError

from omniid import private_file
from omniid.backend.records import VERSION, Memory
from omniid.errors import AlreadyRunningError, ConfigError, StorageError

_log = logging.getLogger("omniid.backend")
_FILE = "tasks.json"
_NEW_FILE = "tasks.json.new"
_LOCK = "lock"
_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the disk is read-only",
    errno.ENOENT: "its folder is gone",
    errno.EACCES: "its folder may not be written",
}


def claim(path: Path, what: str) -> int:
    """Locks a file for as long as the returned descriptor is open; the file holds the owner's process id.

    Raises:
        AlreadyRunningError: another process holds it.
        ConfigError: the file cannot be made.
    """
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    except OSError as error:
        raise ConfigError(f"{what} {path.parent} cannot be written: {reason(error)}.") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        owner = os.read(descriptor, 32).decode("ascii", errors="replace").strip() or "unknown"
        os.close(descriptor)
        raise AlreadyRunningError(
            f"Another backend (process {owner}) uses {what[0].lower()}{what[1:]} {path.parent}. "
            "Stop it first, or choose another folder."
        ) from error
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
    except OSError as error:
        # On a full disk the lock still holds; only its owner's number is missing from it.
        _log.warning("the lock could not be signed: %s", reason(error))
    return descriptor


def reason(error: OSError) -> str:
    """Why the disk refused, in words for people."""
    return _REASONS.get(error.errno or 0) or (error.strerror or str(error)).lower()


class Store:
    """The folder, owned until `close`."""

    def __init__(self, folder: Path) -> None:
        """Takes the folder, making it if need be.

        Raises:
            AlreadyRunningError: another backend owns it.
            ConfigError: it cannot be made or written.
        """
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigError(f"The data folder {folder} cannot be made: {reason(error)}.") from error
        self._folder = folder
        self._lock = claim(folder / _LOCK, "The data folder")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        os.close(self._lock)

    def load(self) -> tuple[Memory, str]:
        """What is remembered, and a sentence for the user where a damaged file was set aside.

        Raises:
            StorageError: the file cannot be read, or a newer omniid wrote it.
        """
        path = self._folder / _FILE
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return Memory(), ""
        except OSError as error:
            raise StorageError(f"The tasks in {path} cannot be read: {reason(error)}.") from error
        try:
            return Memory.model_validate_json(content), ""
        except ValidationError:
            _refuse_newer(path, content)
            return Memory(), self._set_aside(path)

    def save(self, memory: Memory) -> None:
        """Replaces the file; when it returns, the disk has it.

        Raises:
            StorageError: it could not be written; the message is a clause, such as "the disk is full".
        """
        new = self._folder / _NEW_FILE
        try:
            _write(new, memory.model_dump_json().encode())
            new.replace(self._folder / _FILE)
            private_file.sync(self._folder)
        except OSError as error:
            with contextlib.suppress(OSError):  # a leftover is overwritten by the next save
                new.unlink()
            raise StorageError(reason(error), code="not_saved") from error

    def _set_aside(self, path: Path) -> str:
        """Renames a damaged file to a name that is free; nothing is ever deleted."""
        number = 1
        while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
            number += 1
        try:
            path.rename(aside)
            private_file.sync(self._folder)
        except OSError as error:
            raise StorageError(
                f"The damaged file {path} cannot be set aside: {reason(error)}.", code="damaged"
            ) from error
        _log.error("the tasks file was damaged; it is kept as %s", aside)
        return f"Your task list was damaged, so I start a new one; the old file is kept as {aside.name}."


def _refuse_newer(path: Path, content: bytes) -> None:
    """A file of a later version is no damage: it is left alone.

    Raises:
        StorageError: it is one.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return
    version = found.get("version") if isinstance(found, dict) else None
    if isinstance(version, int) and version > VERSION:
        raise StorageError(f"A newer omniid wrote {path} (version {version}). Update this one.", code="newer")


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 a Path cannot open a descriptor
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
