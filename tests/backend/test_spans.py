from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from omniid.backend.skills.days import ORDINALS, NoSuchDayError
from omniid.backend.skills.spans import known, named

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
    (THURSDAY, "Thursday", "today", "26 15:30", "27 00:00"),
    (THURSDAY, "on Thursday morning", "this morning", "26 12:00", "26 12:00"),
    (THURSDAY, "on Thursday evening", "this evening", "26 18:00", "27 00:00"),
    (MONDAY, "on friday afternoon", "on Friday, 4 December in the afternoon", "04 12:00", "04 18:00"),
    (
        THURSDAY,
        "on the evening of 4 December",
        "on Friday, 4 December in the evening",
        "04 18:00",
        "05 00:00",
    ),
    (THURSDAY, "December 4th at night", "on Friday, 4 December at night", "04 18:00", "05 00:00"),
    (THURSDAY, "next weekend", "on the weekend of 5 December", "05 00:00", "07 00:00"),
    (SUNDAY, "next weekend", "on the weekend of 5 December", "05 00:00", "07 00:00"),
    (THURSDAY, "the rest of the week", "this week", "26 15:30", "30 00:00"),
    (THURSDAY, "this month", "this month", "26 15:30", "01 00:00"),
    (THURSDAY, "in November", "this month", "26 15:30", "01 00:00"),
    (THURSDAY, "next month", "in December", "01 00:00", "01 00:00"),
    (THURSDAY, "in October", "in October 2027", "01 00:00", "01 00:00"),
]


@pytest.mark.parametrize(("now", "words", "name", "start", "end"), SPANS)
def test_a_stretch_of_days_is_meant(now: datetime, words: str, name: str, start: str, end: str) -> None:
    span = named(words, now)
    assert (span.name, f"{span.start:%d %H:%M}", f"{span.end:%d %H:%M}") == (name, start, end)
    assert span.over is (span.start == span.end)


FRIDAY = datetime(2026, 11, 27, 9, 0, tzinfo=BERLIN)
YEARS_END = datetime(2026, 12, 31, 23, 30, tzinfo=BERLIN)  # a Thursday
# Last moments before the clocks change.
SPRING = datetime(2027, 3, 13, 23, 59, tzinfo=ZoneInfo("America/New_York"))
DAYS = [
    # A weekday is the first from today on; "next" is the one of next week.
    (FRIDAY, "on Friday", "2026-11-27"),
    (FRIDAY, "this Friday?", "2026-11-27"),
    (FRIDAY, "my Friday", "2026-11-27"),
    (FRIDAY, "next Friday", "2026-12-04"),
    (FRIDAY, "the coming Friday", "2026-12-04"),
    (FRIDAY, "on Friday next week", "2026-12-04"),
    (FRIDAY, "next week on Friday", "2026-12-04"),
    (FRIDAY, "next Monday", "2026-11-30"),
    (FRIDAY, "on Thu", "2026-12-03"),
    (MONDAY, "on Friday", "2026-12-04"),
    (MONDAY, "next Friday", "2026-12-11"),
    (SUNDAY, "next Friday", "2026-12-04"),
    (SUNDAY, "next Sunday", "2026-12-06"),
    (YEARS_END, "on Friday", "2027-01-01"),
    (YEARS_END, "next Thursday", "2027-01-07"),
    (SPRING, "on Sunday", "2027-03-14"),
    # Typed, or as a recogniser writes it.
    (FRIDAY, "on 31 December", "2026-12-31"),
    (FRIDAY, "on 31. December", "2026-12-31"),
    (FRIDAY, "on December 31", "2026-12-31"),
    (FRIDAY, "on December 31st.", "2026-12-31"),
    (FRIDAY, "On the 31st of December?", "2026-12-31"),
    (FRIDAY, "ON DECEMBER THE 31ST", "2026-12-31"),
    (FRIDAY, "for Thursday, December 31st, 2026", "2026-12-31"),
    (FRIDAY, "on Thursday the 31st", "2026-12-31"),
    (FRIDAY, "Thursday, the 31st of December", "2026-12-31"),
    (FRIDAY, "31 December 2027", "2027-12-31"),
    (FRIDAY, "on Dec. 31", "2026-12-31"),
    (FRIDAY, "on the thirty-first of December", "2026-12-31"),
    (FRIDAY, "on January third", "2027-01-03"),
    (FRIDAY, "on Sept 3rd", "2027-09-03"),
    (FRIDAY, "on 2026-12-31", "2026-12-31"),
    (FRIDAY, "on 31.12.2026", "2026-12-31"),
    (FRIDAY, "on 12/31", "2026-12-31"),
    (FRIDAY, "on 31/12/2026", "2026-12-31"),
    (FRIDAY, "on 1/1", "2027-01-01"),
    (FRIDAY, "on Christmas Eve", "2026-12-24"),
    (FRIDAY, "on New Year’s Day", "2027-01-01"),
    (FRIDAY, "in three days", "2026-11-30"),
    (FRIDAY, "in a week", "2026-12-04"),
    (SPRING, "in 2 weeks", "2027-03-27"),
    # Without a year, or without a month: the first from today on.
    (FRIDAY, "on 27 November", "2026-11-27"),
    (FRIDAY, "on the 26th of November", "2027-11-26"),
    (FRIDAY, "on 29 February", "2028-02-29"),
    (FRIDAY, "on the 27th", "2026-11-27"),
    (FRIDAY, "on the 26th", "2026-12-26"),
    (FRIDAY, "on the 31st", "2026-12-31"),
    (FRIDAY, "on the first", "2026-12-01"),
    (YEARS_END, "on the 31st of December", "2026-12-31"),
    (YEARS_END, "on the 1st", "2027-01-01"),
    (YEARS_END, "the day after tomorrow", "2027-01-02"),
    (SPRING, "March 14", "2027-03-14"),
]  # fmt: skip


@pytest.mark.parametrize(("now", "words", "day"), DAYS)
def test_one_day_is_meant_and_named(now: datetime, words: str, day: str) -> None:
    meant = datetime.fromisoformat(day).replace(tzinfo=now.tzinfo)
    following = meant + timedelta(days=1)
    span = named(words, now)
    assert (span.start, span.end, span.one_day) == (max(meant, now), following, True)
    year = "" if meant.year == now.year else f" {meant.year}"
    written = f"on {meant:%A}, {meant.day} {meant:%B}{year}"
    assert span.name == ("today" if meant < now else words if "after" in words else written)


def test_every_day_of_a_month_has_its_ordinal() -> None:
    assert [named(f"on the {word} of January", FRIDAY).start.day for word in ORDINALS] == [*range(1, 32)]


NO_DAYS = [
    ("on 31 February", "There is no 31 February."),
    ("on February 29th, 2027", "There is no 29 February in 2027."),
    ("on the 31st of November", "There is no 31 November."),
    ("on 2027-02-30", "There is no 30 February in 2027."),
    ("on 2027-13-01", "There is no month 13."),
    ("on the 32nd", "No month has a day 32."),
    ("on Friday, December 5th", "5 December is a Saturday, not a Friday."),
    ("on 3/4", "I can't tell which day 3/4 is. Please say the month by its name."),
]


@pytest.mark.parametrize(("words", "sentence"), NO_DAYS)
def test_a_day_that_is_none_is_said_to_be(words: str, sentence: str) -> None:
    assert known(words)
    with pytest.raises(NoSuchDayError) as refusal:
        named(words, FRIDAY)
    assert str(refusal.value) == sentence


NOT_DAYS = [
    "31",
    "first",
    "a second",
    "this",
    "at 3.10",
    "in an hour",
    "to do today",
    "my list",
    "1st " * 1_000,
]


@pytest.mark.parametrize("words", NOT_DAYS)
def test_other_words_are_no_days(words: str) -> None:
    assert not known(words)
    with pytest.raises(ValueError, match="name no days"):
        named(words, FRIDAY)


@pytest.mark.parametrize("words", ["on 26 November 2026", "on 1999-01-01"])
def test_a_day_of_the_past_is_over(words: str) -> None:
    assert named(words, FRIDAY).over


CHANGES = [
    (datetime(2026, 10, 25, tzinfo=BERLIN), "today", 25),
    (datetime(2026, 10, 24, 12, 0, tzinfo=BERLIN), "on the 25th of October", 25),
    (SPRING, "on March 14th", 23),
    (THURSDAY, "tomorrow", 24),
]


@pytest.mark.parametrize(("now", "words", "hours"), CHANGES)
def test_the_day_on_which_the_clocks_change_is_one_day(now: datetime, words: str, hours: int) -> None:
    span = named(words, now)
    assert span.one_day
    assert (span.end.timestamp() - span.start.timestamp()) / 3_600 == hours
