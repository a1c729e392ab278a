"""What a killed omniid leaves on the screen: a small file in the runtime folder (memory, not disk).

Its first word names the server that shows the notices, the others are their ids: no other server knows those.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import structlog

from omniid import private_file

log = structlog.get_logger()

_MOST_BYTES = 4096
_LARGEST_ID = 0xFFFF_FFFF

_Left = tuple[str, frozenset[int]]
_NOTHING: _Left = ("", frozenset())


class Leftovers:
    """The notices that would be left, should omniid be killed now.

    `path` None: they are kept in mind and not in a file. A file that cannot be read, or written, costs the
    memory of them, and is logged once.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._is_told = False
        self._left = _NOTHING if path is None else self._found(path)

    def are_there(self) -> bool:
        return self._left != _NOTHING

    def keep(self, server: str, ids: frozenset[int]) -> None:
        """Remember these and no others. `server` is one word."""
        left = (server, ids) if ids else _NOTHING
        if left == self._left:
            return
        self._left = left
        if self._path is None:
            return
        try:
            if ids:
                private_file.replace(self._path, "\n".join([server, *map(str, sorted(ids))]) + "\n")
            else:
                self._path.unlink(missing_ok=True)
        except OSError as error:
            self._tell(self._path, error.strerror)

    def take(self, server: str) -> frozenset[int]:
        """The ids of what this server has been left with; all are forgotten."""
        whose, ids = self._left
        self.keep(server, frozenset())
        return ids if whose == server else frozenset()

    def _found(self, path: Path) -> _Left:
        try:
            return _read(path)
        except FileNotFoundError:
            pass
        except OSError as error:
            self._tell(path, error.strerror)
        except ValueError:
            self._tell(path, "it is damaged")
            with contextlib.suppress(OSError):
                path.unlink()
        return _NOTHING

    def _tell(self, path: Path, problem: str | None) -> None:
        if not self._is_told:
            log.warning(
                "notices that a killed omniid leaves on the screen may stay", path=str(path), problem=problem
            )
        self._is_told = True


def _read(path: Path) -> _Left:
    """What the file says.

    Raises:
        OSError: it is not there, or cannot be read.
        ValueError: that is nothing that was written here.
    """
    with path.open("rb") as file:
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise ValueError(f"{path} is too long")
    server, *words = content.decode().split()
    ids = frozenset(map(int, words))
    if not all(0 < notice_id <= _LARGEST_ID for notice_id in ids):
        raise ValueError(f"{path} names what is no id")
    return (server, ids) if ids else _NOTHING
