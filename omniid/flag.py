"""A wish of the user's that outlives a restart: a file that is there, or not."""

from __future__ import annotations

import os
from pathlib import Path

import structlog

log = structlog.get_logger()


class Flag:
    """Such as: the microphone is to be kept shut."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def is_set(self) -> bool:
        return self._path.exists()

    def set(self, wanted: bool) -> None:
        """A disk that does not take it costs the memory of it, and is logged."""
        try:
            if wanted:
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                os.close(os.open(self._path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            else:
                self._path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("a restart will not remember this", path=str(self._path), problem=error.strerror)
