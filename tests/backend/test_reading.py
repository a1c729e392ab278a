"""What is read from .ics files."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from omniid.backend.diary.reading import read

BERLIN = ZoneInfo("Europe/Berlin")
DAY = datetime(2026, 11, 27, tzinfo=BERLIN)
VIENNA = """BEGIN:VTIMEZONE
TZID:Own Time
BEGIN:STANDARD
DTSTART:19700101T000000
TZOFFSETFROM:+0200
TZOFFSETTO:+0200
END:STANDARD
END:VTIMEZONE
"""


def ics(*events: str, before: str = "", line_end: str = "\r\n") -> bytes:
    blocks = "".join(
        f"BEGIN:VEVENT\nUID:u{number}\nDTSTAMP:20260101T000000Z\n{event}\nEND:VEVENT\n"
        for number, event in enumerate(events)
    )
    text = f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//t//t//\n{before}{blocks}END:VCALENDAR\n"
    return text.replace("\n", line_end).encode()


def found(content: bytes, days: int = 1, start: datetime = DAY) -> list[str]:
    events, _ = read(content, start, start + timedelta(days=days), BERLIN)
    return sorted(
        f"{event.title} {event.start:%d %H:%M}-{event.end:%d %H:%M}{' all day' if event.all_day else ''}"
        for event in events
    )


def on(start: str, end: str = "", more: str = "", title: str = "a") -> str:
    lines = [f"SUMMARY:{title}", f"DTSTART{start}", f"DTEND{end}" if end else "", more]
    return "\n".join(line for line in lines if line)


READ = {
    "in the user's zone": (
        on(";TZID=Europe/Berlin:20261127T100000", ";TZID=Europe/Berlin:20261127T110000"),
        ["a 27 10:00-27 11:00"],
    ),
    "in UTC": (on(":20261127T100000Z", ":20261127T110000Z"), ["a 27 11:00-27 12:00"]),
    "in another zone, on another day there": (
        on(";TZID=Asia/Tokyo:20261128T010000", more="DURATION:PT1H"),
        ["a 27 17:00-27 18:00"],
    ),
    "in another zone, on another day here": (
        on(";TZID=America/Los_Angeles:20261127T200000", more="DURATION:PT1H"),
        [],
    ),
    "in no zone": (on(":20261127T100000", ":20261127T110000"), ["a 27 10:00-27 11:00"]),
    "without an end": (on(":20261127T100000"), ["a 27 10:00-27 10:00"]),
    "at midnight, without an end": (on(":20261127T000000"), ["a 27 00:00-27 00:00"]),
    "with its end before its start": (on(":20261127T100000", ":20261127T090000"), ["a 27 09:00-27 10:00"]),
    "all day": (on(";VALUE=DATE:20261127", ";VALUE=DATE:20261128"), ["a 27 00:00-28 00:00 all day"]),
    "all day, without an end": (on(";VALUE=DATE:20261127"), ["a 27 00:00-28 00:00 all day"]),
    "all of the day before": (on(";VALUE=DATE:20261126", ";VALUE=DATE:20261127"), []),
    "over many days": (on(";VALUE=DATE:20261101", ";VALUE=DATE:20261224"), ["a 01 00:00-24 00:00 all day"]),
    "over many days, by duration": (on(":20261120T100000", more="DURATION:P14D"), ["a 20 10:00-04 10:00"]),
    "until the day begins": (on(":20261126T200000", ":20261127T000000"), []),
    "from the day's end on": (on(":20261128T000000", ":20261128T010000"), []),
    "every week, over the change of clocks": (
        on(";TZID=Europe/Berlin:20260703T100000", ";TZID=Europe/Berlin:20260703T110000", "RRULE:FREQ=WEEKLY"),
        ["a 27 10:00-27 11:00"],
    ),
    "every day until yesterday": (on(":20260701T080000", more="RRULE:FREQ=DAILY;UNTIL=20261126T235959"), []),
    "every day but today": (on(":20260701T080000", more="RRULE:FREQ=DAILY\nEXDATE:20261127T080000"), []),
    "on a further date": (on(":20260701T080000", more="RDATE:20261127T090000"), ["a 27 09:00-27 09:00"]),
    "every year, all day": (
        on(";VALUE=DATE:19901127", more="RRULE:FREQ=YEARLY"),
        ["a 27 00:00-28 00:00 all day"],
    ),
    "called off": (on(":20261127T100000", more="STATUS:CANCELLED"), []),
    "folded in the middle of a word": (
        on(":20260701T080000", more="RR\n ULE:FREQ=DAILY"),
        ["a 27 08:00-27 08:00"],
    ),
    "with an alarm": (
        on(":20261127T100000", more="BEGIN:VALARM\nACTION:DISPLAY\nDESCRIPTION:x\nTRIGGER:-PT5M\nEND:VALARM"),
        ["a 27 10:00-27 10:00"],
    ),
}  # fmt: skip


@pytest.mark.parametrize(("event", "expected"), READ.values(), ids=READ)
@pytest.mark.parametrize("line_end", ["\r\n", "\n"], ids=["crlf", "lf"])
def test_an_event_is_read(event: str, expected: list[str], line_end: str) -> None:
    assert found(ics(event, line_end=line_end)) == expected


def test_a_zone_that_only_the_file_knows_is_known() -> None:
    content = ics(on(";TZID=Own Time:20261127T100000"), before=VIENNA)
    assert found(content) == ["a 27 09:00-27 09:00"]


def test_an_occurrence_that_was_moved_is_where_it_was_moved_to() -> None:
    series = "UID:s\n" + on(":20261126T080000", more="RRULE:FREQ=DAILY;COUNT=3")
    moved = "UID:s\nRECURRENCE-ID:20261127T080000\n" + on(":20261127T150000", title="later")
    content = ics(series, moved).replace(b"UID:u0\r\n", b"").replace(b"UID:u1\r\n", b"")
    assert found(content) == ["later 27 15:00-27 15:00"]


def test_many_calendars_in_one_file_and_a_mark_at_its_start_are_read() -> None:
    content = b"\xef\xbb\xbf" + ics(on(":20261127T100000")) + ics(on(":20261127T110000", title="b"))
    assert found(content) == ["a 27 10:00-27 10:00", "b 27 11:00-27 11:00"]


def test_what_leaves_time_free_is_told_apart() -> None:
    content = ics(on(":20261127T100000", more="TRANSP:TRANSPARENT"))
    (event,), _ = read(content, DAY, DAY + timedelta(days=1), BERLIN)
    assert not event.busy


@pytest.mark.parametrize(
    ("written", "title"),
    [
        ("a\\nb\\, c\\; d", "a b, c; d"),
        ("\x1b[31mred\x07 \u202eturned\u200b", "[31mred turned"),
        ("word " * 100, ("word " * 24).strip() + " …"),
        ("Ünïcödé ☃", "Ünïcödé ☃"),
    ],
)
def test_a_title_is_one_short_plain_line(written: str, title: str) -> None:
    (event,), _ = read(ics(on(":20261127T100000", title=written)), DAY, DAY + timedelta(days=1), BERLIN)
    assert event.title == title


def test_one_broken_series_does_not_hide_the_others() -> None:
    content = ics(on(":20261127T100000"), on(":20261127T110000", more="RRULE:FREQ=NEVER;BYDAY=XX", title="b"))
    events, whole = read(content, DAY, DAY + timedelta(days=1), BERLIN)
    assert "a" in {event.title for event in events}
    assert not whole


@pytest.mark.parametrize("junk", [b"", b"hello", b"\x00" * 100, b"BEGIN:VCARD\nEND:VCARD", b"\xff\xfe"])
def test_what_is_no_calendar_is_refused(junk: bytes) -> None:
    with pytest.raises(ValueError, match="no calendar"):
        read(junk, DAY, DAY + timedelta(days=1), BERLIN)


def test_twenty_thousand_old_events_take_no_time() -> None:
    import time  # noqa: PLC0415 the only test that looks at a clock

    content = ics(
        *(on(f":2019{1 + n % 12:02}{1 + n % 28:02}T100000") for n in range(20_000)), on(":20261127T100000")
    )
    started = time.perf_counter()
    assert found(content) == ["a 27 10:00-27 10:00"]
    assert time.perf_counter() - started < 3
