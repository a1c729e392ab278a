"""The calendars' folders, and a child process that reads them."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from pydantic import TypeAdapter, ValidationError

from omniid.backend.diary.events import Diary

_log = logging.getLogger("omniid.backend")
_DEADLINE_S = 20.0
_DIARY = TypeAdapter(Diary)


def usual_folders(environment: Mapping[str, str], home: Path) -> tuple[Path, ...]:
    """Where desktop programs keep calendars as files: Evolution, khal, vdirsyncer."""
    given = Path(environment.get("XDG_DATA_HOME", ""))
    data = given if given.is_absolute() else home / ".local" / "share"
    below = ("evolution/calendar", "calendars", "khal/calendars", "vdirsyncer")
    return (*(data / name for name in below), home / ".calendars")


class Shelf:
    """Only what is asked for is read, each time anew; nothing is kept."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = tuple(dict.fromkeys(folders))
        self._lock = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._closed = False

    def present(self) -> tuple[str, ...]:
        """The folders that are there."""
        # Path.is_dir() raises where a folder above may not be searched.
        return tuple(str(folder) for folder in self._folders if os.path.isdir(folder))  # noqa: PTH112

    def read(self, folders: Sequence[str], start: datetime, end: datetime) -> Diary:
        """What the folders hold between two aware times; blocks, 20 s at most. Never raises."""
        zone = start.tzinfo.key if isinstance(start.tzinfo, ZoneInfo) else None
        asked = {"folders": list(folders), "start": start.isoformat(), "end": end.isoformat(), "zone": zone}
        try:
            diary = _DIARY.validate_json(self._answer(json.dumps(asked).encode()))
        except subprocess.TimeoutExpired:
            return Diary(failed="Reading your calendar took too long, so I stopped. Please try again.")
        except (OSError, ValidationError) as error:
            # The error's text may hold the user's appointments.
            _log.error("the calendars could not be read: %s", type(error).__name__)
            return Diary(failed="I couldn't read your calendar: the part of me that does it broke.")
        for reason in diary.reasons:
            _log.warning("a calendar file was skipped: %r", reason)
        return diary

    def close(self) -> None:
        """Ends a reading that is under way, and lets none begin; for another thread than the reader's."""
        with self._lock:
            self._closed = True
            if self._child is not None:
                self._child.kill()

    def _answer(self, question: bytes) -> bytes:
        with self._lock:
            if self._closed:
                raise ChildProcessError("closed")
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "omniid.backend.diary"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip
            self._child = child
        with child:
            try:
                return child.communicate(question, _DEADLINE_S)[0]
            finally:
                with self._lock:
                    child.kill()
                    self._child = None
