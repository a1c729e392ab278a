"""The bytes of one .ics file and a span of time in; appointments out. Pure."""

from __future__ import annotations

import re
import unicodedata
from datetime import date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING

from omniid.backend.diary.events import Event

if TYPE_CHECKING:
    from icalendar import Calendar
    from icalendar import Event as CalendarEvent

_MAX_TEXT = 120
_DAY = timedelta(days=1)
_BOM = b"\xef\xbb\xbf"
_FOLD = re.compile(rb"\r?\n[ \t]")
_BLOCK = re.compile(rb"^BEGIN:VEVENT\s*?$.*?^END:VEVENT\s*?$\n?", re.MULTILINE | re.DOTALL | re.IGNORECASE)
_DATED = re.compile(rb"^DT(?:START|END)\b", re.MULTILINE | re.IGNORECASE)
_DATE = re.compile(rb"^DT(?:START|END)\b[^:\n]*:(\d{8})", re.MULTILINE | re.IGNORECASE)
_NOT_BY_DATE = re.compile(rb"^(?:RRULE|RDATE|EXRULE|RECURRENCE-ID|DURATION)\b", re.MULTILINE | re.IGNORECASE)


def read(content: bytes, start: datetime, end: datetime, zone: tzinfo) -> tuple[list[Event], bool]:
    """The occurrences between `start` and `end`, and whether all of the file could be read.

    Times that name no zone, and whole days, are the user's own (`zone`).

    Raises:
        ValueError: this is no calendar. The libraries raise others too, on files made to break them.
    """
    content = content.removeprefix(_BOM)
    if b"BEGIN:VCALENDAR" not in content[:4096].upper():
        raise ValueError("it is no calendar")
    content = _only_near(content, start, end)
    if b"BEGIN:VEVENT" not in content.upper():
        return [], True
    import icalendar  # noqa: PLC0415 most files have nothing in the span, and need no library

    events: list[Event] = []
    whole = True
    for calendar in icalendar.Calendar.from_ical(content, multiple=True):
        occurrences, complete = _occurrences(calendar, start - _DAY, end + _DAY)
        whole = whole and complete
        found = (_event(each, zone) for each in occurrences if each.get("STATUS") != "CANCELLED")
        events += (event for event in found if _within(event, start, end))
    return events, whole


def _only_near(content: bytes, start: datetime, end: datetime) -> bytes:
    """The file without what is certainly outside the span: the libraries take a millisecond an event.

    Days are compared as text, two days wider than asked for, whatever zones are meant. What recurs, what
    replaces an occurrence and what is not understood stays.
    """
    first, last = (f"{day:%Y%m%d}".encode() for day in (start - 2 * _DAY, end + 2 * _DAY))

    def kept(block: re.Match[bytes]) -> bytes:
        days = _DATE.findall(block[0])
        certain = len(days) == len(_DATED.findall(block[0])) > 0 and not _NOT_BY_DATE.search(block[0])
        return b"" if certain and (max(days) < first or min(days) > last) else block[0]

    return _BLOCK.sub(kept, _FOLD.sub(b"", content).replace(b"\r\n", b"\n"))


def _occurrences(calendar: Calendar, start: datetime, end: datetime) -> tuple[list[CalendarEvent], bool]:
    """Without the series whose rule is broken, and whether there was none of those."""
    import recurring_ical_events  # noqa: PLC0415 see read()

    try:
        return recurring_ical_events.of(calendar).between(start, end), True
    except ValueError:
        return recurring_ical_events.of(calendar, skip_bad_series=True).between(start, end), False


def _event(found: CalendarEvent, zone: tzinfo) -> Event:
    first = found.start
    return Event(
        title=_line(found.get("SUMMARY")),
        start=_moment(first, zone),
        end=_moment(found.end, zone),
        all_day=not isinstance(first, datetime),
        busy=str(found.get("TRANSP", "")).upper() != "TRANSPARENT",
        place=_line(found.get("LOCATION")),
    )


def _moment(found: date, zone: tzinfo) -> datetime:
    if not isinstance(found, datetime):
        return datetime.combine(found, time(), zone)
    return found.replace(tzinfo=zone) if found.tzinfo is None else found.astimezone(zone)


def _within(event: Event, start: datetime, end: datetime) -> bool:
    return event.start < end and (event.end > start or event.start >= start)


def _line(text: object) -> str:
    """One short line without control characters: it is other people's, and it will be spoken and shown."""
    plain = "".join(
        " " if char.isspace() else char
        for char in str(text or "")[: 8 * _MAX_TEXT]
        if char.isspace() or not unicodedata.category(char).startswith("C")
    )
    line = " ".join(plain.split())
    return line if len(line) <= _MAX_TEXT else f"{line[:_MAX_TEXT].rsplit(' ', 1)[0]} …"
