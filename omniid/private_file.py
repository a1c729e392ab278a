"""Small private text files that are there whole or not at all, whoever is killed over them."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

_PRIVATE = 0o600


def replace(path: Path, text: str, *, unless: Callable[[], bool] = lambda: False) -> None:
    """Write the file (ASCII, 0600), over what is there. Whoever writes it at the same time waits.

    It is written beside its place, always under the same name, so that kills leave one file at the most.
    `unless` is asked once it is our turn; where it is true, the file stays as it is.

    Raises:
        OSError: it stays as it was, or (at the very end) may not outlast a power cut.
    """
    new = beside(path)
    with os.fdopen(_open_alone(new), "w", encoding="ascii") as file:
        try:
            if unless():
                new.unlink()
                return
            os.fchmod(file.fileno(), _PRIVATE)  # where the umask took the owner's own bits
            os.ftruncate(file.fileno(), 0)  # whoever was killed before may have left something in it
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
            new.replace(path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
    sync(path.parent)


def beside(path: Path) -> Path:
    """Where the file lies until it is whole."""
    return path.with_name(f".{path.name}.new")


def sync(folder: Path) -> None:
    """Make what was renamed or removed in a folder last."""
    number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def _open_alone(path: Path) -> int:
    """A descriptor of the file, private from its first moment; who else wants it waits until it is closed."""
    while True:
        number = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, _PRIVATE)
        try:
            fcntl.flock(number, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(number), path.lstat()):
                return number
        except FileNotFoundError:
            pass  # who had it before has renamed or removed it: that is another file now
        except BaseException:
            os.close(number)
            raise
        os.close(number)
