"""How a backend is started. All of it comes from the command line; the token from its file or environment."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from omniid.backend.store import reason
from omniid.errors import ConfigError

TOKEN_VARIABLE = "OMNIID_BACKEND_TOKEN"  # noqa: S105 a name, not a token
_MIN_TOKEN_CHARACTERS = 16
_PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class UnixAddress:
    path: Path


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """Port 0 takes a free one. `allow_remote` lets other machines in."""

    host: str
    port: int
    allow_remote: bool = False


@dataclass(frozen=True, slots=True)
class Settings:
    """`token` is asked of a client where it is set. At the end of file on `parent_fd` the backend ends.

    In `calendar_dirs` calendars may lie; they are read once the user has allowed it.
    """

    address: UnixAddress | TcpAddress
    data_dir: Path
    token: str | None = None
    parent_fd: int | None = None
    calendar_dirs: tuple[Path, ...] = ()


def read_token(path: Path) -> str:
    """The token from the environment, else from its file, made (0600, random) if it is missing or empty.

    Raises:
        ConfigError: the file cannot be read or made, is open to other users, or holds no fit token.
    """
    given = os.environ.get(TOKEN_VARIABLE)
    if given is not None:
        return _checked(given, f"${TOKEN_VARIABLE}")
    try:
        if _is_missing(path):
            _make(path)
    except OSError as error:
        raise ConfigError(f"The token file {path} cannot be made: {reason(error)}.") from error
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise ConfigError(f"Other users may read the token file {path}. Run `chmod 600 {path}`.")
        return _checked(path.read_text(encoding="ascii"), f"The token file {path}")
    except OSError as error:
        raise ConfigError(f"The token file {path} cannot be read: {reason(error)}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"The token file {path} holds no plain text.") from error


def _is_missing(path: Path) -> bool:
    """An empty file counts as none: earlier versions left one where they were killed as they made it."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return True
    return stat.S_ISREG(found.st_mode) and found.st_size == 0


def _make(path: Path) -> None:
    """Makes the file whole or not at all, unless another start has made it meanwhile."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    with open(_open_alone(new), "w", encoding="ascii") as file:
        try:
            if not _is_missing(path):
                new.unlink()
                return
            os.fchmod(file.fileno(), _PRIVATE)
            os.ftruncate(file.fileno(), 0)  # a start that was cut off may have left a token in it
            file.write(f"{secrets.token_urlsafe(32)}\n")
            file.flush()
            os.fsync(file.fileno())
            new.replace(path)
            _sync(path.parent)
        except BaseException:
            new.unlink(missing_ok=True)
            raise


def _open_alone(path: Path) -> int:
    """A descriptor of the file; until it is closed, whoever else calls this waits."""
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _PRIVATE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(descriptor), path.lstat()):
                return descriptor
        except FileNotFoundError:
            pass  # who had it before has renamed or removed it: that is another file now
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _sync(folder: Path) -> None:
    """Makes a rename last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _checked(raw: str, where: str) -> str:
    token = raw.strip()
    if len(token) < _MIN_TOKEN_CHARACTERS or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            f"{where} holds no fit token: {_MIN_TOKEN_CHARACTERS} plain characters are the least."
        )
    return token
