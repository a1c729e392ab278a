"""Stretches of days as people name them: "tomorrow afternoon", "next week", "on the 31st of December"."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time

from omniid.backend.skills import days
from omniid.backend.skills.days import DAY, Days, Found

_PARTS = {"morning": (5, 12), "afternoon": (12, 18), "evening": (18, 24), "night": (18, 24)}
_PART = "|".join(_PARTS)
# No name of a stretch is longer.
_MAX_CHARACTERS = 80
_MARKS = re.compile(r"[.,;:?!]+(?=\s|$)")
_OF_TODAY = re.compile(rf"\bthis (?=(?:{_PART})$)")


@dataclass(frozen=True, slots=True)
class Span:
    """From `start` until before `end`, both in the user's zone. `name` follows a sentence ("… tomorrow")."""

    name: str
    start: datetime
    end: datetime

    @property
    def one_day(self) -> bool:
        return self.end - self.start <= DAY

    @property
    def over(self) -> bool:
        return self.start >= self.end


def known(words: str) -> bool:
    """Whether words name days, be it some that never come."""
    return _form(words) is not None


def named(words: str, now: datetime) -> Span:
    """The stretch that is meant; today where no words are. What of it is over does not count.

    Raises:
        NoSuchDayError: that day is in no calendar, or it could be one of several.
        ValueError: the words are not `known`.
    """
    form = _form(words or "today")
    if form is None:
        raise ValueError("These words name no days.")
    found, read = form
    first, count, name = read(found, now.date())
    start, end = _midnight(first, now), _midnight(first + count * DAY, now)
    said = found.groupdict()
    part = said.get("part") or said.get("part_of")
    if part:
        begins, ends = _PARTS[part]
        end = end if ends == 24 else _at(first, ends, now)  # noqa: PLR2004 midnight
        start = _at(first, begins, now)
        name = _part_of(name, part)
    return Span(name, max(start, min(now, end)), end)


def _form(words: str) -> tuple[Found, Callable[[Found, date], Days]] | None:
    """The form that all the words have."""
    if len(words) > _MAX_CHARACTERS:
        return None
    plain = " ".join(_MARKS.sub(" ", words.lower().replace("’", "'")).split())
    plain = _OF_TODAY.sub("today ", plain.replace("tonight", "today night"))
    matches = ((form.fullmatch(plain), read) for form, read in _forms())
    return next(((found, read) for found, read in matches if found), None)


@functools.cache
def _forms() -> tuple[tuple[re.Pattern[str], Callable[[Found, date], Days]], ...]:
    ordinals = "|".join(days.ORDINALS).replace("-", "[- ]")
    weekday = rf"(?P<weekday>{_long_or_short(days.WEEKDAYS)})"
    month = rf"(?P<month>{_long_or_short(days.MONTHS)}|sept)"
    year = r"(?P<year>(?:19|20)\d\d)"
    day = rf"(?:the )?(?P<day>\d\d?(?:st|nd|rd|th)?|{ordinals})"
    # Without a month, "31" and "first" alone are no days.
    lone_day = rf"(?:the )?(?P<day>\d\d?(?:st|nd|rd|th)|(?<=the )(?:\d\d?|{ordinals}))"
    one_day = {
        r"(?:(?:later|the rest of) )?today|my day": days.today,
        "tomorrow": days.tomorrow,
        "(?:the )?day after tomorrow": days.after_tomorrow,
        rf"in (?P<count>\d\d?|{'|'.join(days.COUNTS)}) (?P<unit>day|week)s?": days.ahead,
        rf"(?:(?:this|the|next|coming|my) ){{0,2}}{weekday}(?: (?:of )?next week)?": days.weekday,
        rf"next week (?:on )?{weekday}": days.weekday,
        rf"(?:{weekday} )?{day} (?:of )?{month}(?: {year})?": days.dated,
        rf"(?:{weekday} )?{month} {day}(?: {year})?": days.dated,
        rf"(?:{weekday} )?{lone_day}": days.dated,
        rf"{year}-(?P<month>\d\d?)-(?P<day>\d\d?)": days.dated,
        rf"(?P<day>\d\d?)\.(?P<month>\d\d?)\.{year}": days.dated,
        rf"(?P<one>\d\d?)/(?P<other>\d\d?)(?:/{year})?": days.slashed,
        rf"(?P<feast>christmas(?: day| eve)?|boxing day|new year'?s (?:day|eve))(?: {year})?": days.feast,
    }
    more = {
        r"(?:(?:the )?(?P<next>next)|(?:the rest of )?(?:this|the|my)) week": days.week,
        r"(?:(?:the )?(?P<next>next) |this |the |my )?weekend": days.weekend,
        r"(?:(?P<next>next)|(?:the rest of )?(?:this|the)) month": days.month,
        rf"{month}(?: {year})?": days.month,
    }
    lead = "(?:(?:for|on|in|at|over|during) ){0,2}"
    forms = {
        rf"{lead}(?:the (?P<part_of>{_PART}) of )?(?:{form})(?: (?:in the |at )?(?P<part>{_PART}))?": read
        for form, read in one_day.items()
    } | {lead + form: read for form, read in more.items()}
    return tuple((re.compile(form), read) for form, read in forms.items())


def _long_or_short(names: tuple[str, ...]) -> str:
    return "|".join(f"{name[:3]}(?:{name[3:]})?" for name in map(str.lower, names))


def _part_of(day: str, part: str) -> str:
    if day == "today":
        return "tonight" if part == "night" else f"this {part}"
    if not day.startswith("on "):
        return f"{day} {part}"
    return f"{day} at night" if part == "night" else f"{day} in the {part}"


def _midnight(day: date, now: datetime) -> datetime:
    return datetime.combine(day, time(), now.tzinfo)


def _at(day: date, hour: int, now: datetime) -> datetime:
    return datetime.combine(day, time(hour), now.tzinfo)
