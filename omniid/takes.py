"""The shelf of takes: the sound of each, in the runtime folder (memory, not disk) while it is needed.

The ear writes it; the daemon deletes it when its command is on the wire, or after ten minutes. It outlives a
daemon that is killed, and is there for the next one.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog

log = structlog.get_logger()

KEPT_S = 600.0
_SUFFIX = ".wav"
_NAME = re.compile(r"[0-9A-Za-z-]{1,64}")
_HEADER_BYTES = 44
_BYTES_PER_S = 32_000  # 16 kHz mono int16, as the ear writes it


@dataclass(frozen=True, slots=True)
class KeptTake:
    id: str
    changed_at: datetime
    duration_s: float


class Takes:
    """`folder` exists and is private."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def path(self, take_id: str) -> Path | None:
        """Where the sound of a take lies; None when nothing was kept of it."""
        path = self._file(take_id)
        return path if path is not None and path.is_file() else None

    def list(self) -> list[KeptTake]:
        """What is kept, the newest first."""
        found = []
        for path in self.folder.glob(f"*{_SUFFIX}"):
            with contextlib.suppress(FileNotFoundError):  # deleted meanwhile
                about = path.stat()
                changed_at = datetime.fromtimestamp(about.st_mtime, UTC)
                found.append(KeptTake(path.stem, changed_at, _duration_s(about.st_size)))
        return sorted(found, key=lambda take: take.changed_at, reverse=True)

    def forget(self, take_id: str) -> None:
        path = self._file(take_id)
        if path is None:
            return
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            log.warning("a take could not be deleted", path=str(path), problem=error.strerror)

    def clear(self) -> None:
        """Delete them all: while omniid is stopped, nobody would after ten minutes."""
        for take in self.list():
            self.forget(take.id)

    def sweep(self, now: datetime) -> None:
        """Delete what has been kept for long enough."""
        for take in self.list():
            if (now - take.changed_at).total_seconds() > KEPT_S:
                self.forget(take.id)

    def _file(self, take_id: str) -> Path | None:
        """None for an id that could name something outside the folder."""
        return self.folder / f"{take_id}{_SUFFIX}" if _NAME.fullmatch(take_id) else None


def _duration_s(size: int) -> float:
    return round(max(0, size - _HEADER_BYTES) / _BYTES_PER_S, 2)
