"""Stretches of days as people name them: "tomorrow afternoon", "this week", "on Friday"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

_DAY = timedelta(days=1)
_WEEK_DAYS = 7
_SATURDAY = 5
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_PARTS = {"morning": (5, 12), "afternoon": (12, 18), "evening": (18, 24), "night": (18, 24)}
_WORD = re.compile(r"[a-z]+")
_PART = re.compile(rf"(?:{'|'.join(_PARTS)})$")


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` until before `end`, both in the user's zone. `name` follows a sentence ("… tomorrow")."""

    name: str
    start: datetime
    end: datetime

    @property
    def one_day(self) -> bool:
        return self.end - self.start <= _DAY

    @property
    def over(self) -> bool:
        return self.start >= self.end


def named(words: str, now: datetime) -> Span:
    """The stretch that is meant; today where no words are. What of it is over does not count."""
    words = " ".join(_WORD.findall(words.lower()))
    first, days, name = _days(words, now.date())
    start, end = _midnight(first, now), _midnight(first + days * _DAY, now)
    part = _PART.search(words)
    if part is not None:
        begins, ends = _PARTS[part[0]]
        end = end if ends == 24 else _at(first, ends, now)  # noqa: PLR2004 midnight
        start = _at(first, begins, now)
        name = _part_of(name, part[0])
    return Span(name, max(start, min(now, end)), end)


def _days(words: str, today: date) -> tuple[date, int, str]:
    """The first day, how many, and the name."""
    weekday = today.weekday()
    if "week" in words.split():
        if "next" in words:
            return today + (_WEEK_DAYS - weekday) * _DAY, _WEEK_DAYS, "next week"
        return today, _WEEK_DAYS - weekday, "this week"
    if "weekend" in words:
        return today + max(0, _SATURDAY - weekday) * _DAY, min(2, _WEEK_DAYS - weekday), "this weekend"
    if "after tomorrow" in words:
        return today + 2 * _DAY, 1, "the day after tomorrow"
    if "tomorrow" in words:
        return today + _DAY, 1, "tomorrow"
    for number, name in enumerate(_WEEKDAYS):
        if name in words:
            day = today + ((number - weekday - 1) % _WEEK_DAYS + 1) * _DAY
            return day, 1, f"on {day:%A}, {day.day} {day:%B}"
    return today, 1, "today"


def _part_of(day: str, part: str) -> str:
    if day == "today":
        return "tonight" if part == "night" else f"this {part}"
    return f"{day} in the {part}" if day.startswith("on ") else f"{day} {part}"


def _midnight(day: date, now: datetime) -> datetime:
    return datetime.combine(day, time(), now.tzinfo)


def _at(day: date, hour: int, now: datetime) -> datetime:
    return datetime.combine(day, time(hour), now.tzinfo)
