"""What is read from calendars."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Event:
    """One occurrence, in the user's own time. `title` and `place` are one short line each, and may be empty.

    One that lasts all day goes from midnight to the midnight after it. One that is not `busy` leaves its
    time free.
    """

    title: str
    start: datetime
    end: datetime
    all_day: bool = False
    busy: bool = True
    place: str = ""


@dataclass(frozen=True, slots=True)
class Diary:
    """The occurrences of a span, by their start. `unread` files were skipped; `reasons` says why of some.

    `failed` is a sentence where nothing could be read at all.
    """

    events: tuple[Event, ...] = ()
    unread: int = 0
    reasons: tuple[str, ...] = ()
    failed: str = ""
