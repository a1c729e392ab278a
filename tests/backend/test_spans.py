from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from omniid.backend.skills.spans import named

BERLIN = ZoneInfo("Europe/Berlin")
THURSDAY = datetime(2026, 11, 26, 15, 30, tzinfo=BERLIN)
SUNDAY = datetime(2026, 11, 29, 9, 0, tzinfo=BERLIN)
MONDAY = datetime(2026, 11, 30, 9, 0, tzinfo=BERLIN)

SPANS = [
    (THURSDAY, "", "today", "26 15:30", "27 00:00"),
    (THURSDAY, "Today?", "today", "26 15:30", "27 00:00"),
    (THURSDAY, "tomorrow", "tomorrow", "27 00:00", "28 00:00"),
    (THURSDAY, "Tomorrow  Morning.", "tomorrow morning", "27 05:00", "27 12:00"),
    (THURSDAY, "the day after tomorrow", "the day after tomorrow", "28 00:00", "29 00:00"),
    (THURSDAY, "this afternoon", "this afternoon", "26 15:30", "26 18:00"),
    (THURSDAY, "this evening", "this evening", "26 18:00", "27 00:00"),
    (THURSDAY, "tonight", "tonight", "26 18:00", "27 00:00"),
    (THURSDAY, "this morning", "this morning", "26 12:00", "26 12:00"),
    (THURSDAY, "this week", "this week", "26 15:30", "30 00:00"),
    (THURSDAY, "this weekend", "this weekend", "28 00:00", "30 00:00"),
    (SUNDAY, "this weekend", "this weekend", "29 09:00", "30 00:00"),
    (SUNDAY, "this week", "this week", "29 09:00", "30 00:00"),
    (MONDAY, "at the weekend", "this weekend", "05 00:00", "07 00:00"),
    (MONDAY, "this week", "this week", "30 09:00", "07 00:00"),
    (SUNDAY, "next week", "next week", "30 00:00", "07 00:00"),
    (MONDAY, "next week", "next week", "07 00:00", "14 00:00"),
    (THURSDAY, "on Friday", "on Friday, 27 November", "27 00:00", "28 00:00"),
    (THURSDAY, "Thursday", "on Thursday, 3 December", "03 00:00", "04 00:00"),
    (MONDAY, "on friday afternoon", "on Friday, 4 December in the afternoon", "04 12:00", "04 18:00"),
]


@pytest.mark.parametrize(("now", "words", "name", "start", "end"), SPANS)
def test_a_stretch_of_days_is_meant(now: datetime, words: str, name: str, start: str, end: str) -> None:
    span = named(words, now)
    assert (span.name, f"{span.start:%d %H:%M}", f"{span.end:%d %H:%M}") == (name, start, end)
    assert span.over is (start == end)


@pytest.mark.parametrize(("now", "hours"), [(datetime(2026, 10, 25, tzinfo=BERLIN), 25), (THURSDAY, 24)])
def test_the_day_on_which_the_clocks_change_is_one_day(now: datetime, hours: int) -> None:
    span = named("today", now.replace(hour=0, minute=0))
    assert span.one_day
    assert (span.end.timestamp() - span.start.timestamp()) / 3_600 == hours
