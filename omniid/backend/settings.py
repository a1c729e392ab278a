"""How a backend is started. All of it comes from the command line; the token from its file or environment."""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from omniid import private_file
from omniid.backend.store import reason
from omniid.errors import ConfigError

TOKEN_VARIABLE = "OMNIID_BACKEND_TOKEN"  # noqa: S105 a name, not a token
_MIN_TOKEN_CHARACTERS = 16


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
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            token = f"{secrets.token_urlsafe(32)}\n"
            private_file.replace(path, token, unless=lambda: not _is_missing(path))
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


def _checked(raw: str, where: str) -> str:
    token = raw.strip()
    if len(token) < _MIN_TOKEN_CHARACTERS or not token.isascii() or not token.isprintable() or " " in token:
        raise ConfigError(
            f"{where} holds no fit token: {_MIN_TOKEN_CHARACTERS} plain characters are the least."
        )
    return token
