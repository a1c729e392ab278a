"""`python -m omniid.backend.diary`: a question as JSON on stdin, the diary as JSON on stdout.

A process of its own, since calendars hold what strangers send: a rule can be written that no library gets to
the end of. A file that takes too long is given up; the process that asks has a deadline besides. And what
the libraries take of memory is given back with the answer.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import signal
import sys
import time
from collections.abc import Iterator
from datetime import datetime, tzinfo
from types import FrameType
from typing import Any
from zoneinfo import ZoneInfo

from omniid.backend.diary.events import Diary, Event
from omniid.backend.diary.files import Files, UnreadError, paths
from omniid.backend.diary.reading import read

_FILE_S = 2.0
_ALL_S = 10.0
_LEAST_S = 0.000_1
MAX_EVENTS = 500
_MAX_REASONS = 20


def main() -> None:
    asked = json.load(sys.stdin)
    start, end = datetime.fromisoformat(asked["start"]), datetime.fromisoformat(asked["end"])
    zone = ZoneInfo(asked["zone"]) if asked["zone"] else start.tzinfo
    if zone is None:
        raise SystemExit("A start without a zone says nothing.")
    signal.signal(signal.SIGALRM, _late)
    diary = _diary(asked["folders"], start, end, zone)
    json.dump(dataclasses.asdict(diary), sys.stdout, default=datetime.isoformat)


def _diary(folders: list[str], start: datetime, end: datetime, zone: tzinfo) -> Diary:
    files = Files()
    events: set[Event] = set()  # a calendar that lies in two places is told once
    unlisted: list[OSError] = []
    reasons: list[str] = []
    until = time.monotonic() + _ALL_S
    for path in paths(folders, unlisted.append):
        try:
            with _no_longer_than(min(_FILE_S, until - time.monotonic())):
                content = files.read(path)
                found, whole = ([], True) if content is None else read(content, start, end, zone)
            events.update(found)
            reason = "" if whole else "a rule in it is broken"
        except UnreadError as error:
            reason = str(error)
        except _LateError:
            reason = "it takes too long"
        except Exception as error:  # noqa: BLE001 the libraries raise anything at all on a broken file
            reason = f"it cannot be understood ({type(error).__name__})"
        if reason:
            reasons.append(f"{path}: {reason}")
    # A folder that has just gone is no failure.
    reasons += [f"{each.filename}: {each.strerror}" for each in unlisted if each.errno != errno.ENOENT]
    return Diary(tuple(sorted(events, key=_order)[:MAX_EVENTS]), len(reasons), tuple(reasons[:_MAX_REASONS]))


def _order(event: Event) -> tuple[Any, ...]:
    return event.start, not event.all_day, event.end, event.title


class _LateError(BaseException):
    """Past every `except Exception` of the libraries."""


@contextlib.contextmanager
def _no_longer_than(seconds: float) -> Iterator[None]:
    # Zero would mean no limit at all.
    signal.setitimer(signal.ITIMER_REAL, max(seconds, _LEAST_S))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def _late(_number: int, _frame: FrameType | None) -> None:
    raise _LateError


if __name__ == "__main__":
    main()
