"""Which days are meant: a match of a form in `spans` and today's date in; the days and their name out."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date, timedelta

DAY = timedelta(days=1)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
COUNTS = {
    "a": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
    "ten": 10,
}  # fmt: skip
_TO_NINTH = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth")
ORDINALS = (
    *_TO_NINTH, "tenth", "eleventh", "twelfth", "thirteenth", "fourteenth", "fifteenth", "sixteenth",
    "seventeenth", "eighteenth", "nineteenth", "twentieth", *(f"twenty-{word}" for word in _TO_NINTH),
    "thirtieth", "thirty-first",
)  # fmt: skip
# The day and the month.
FEASTS = {
    "christmas": (25, 12), "christmas day": (25, 12), "christmas eve": (24, 12), "boxing day": (26, 12),
    "new years day": (1, 1), "new years eve": (31, 12),
}  # fmt: skip
_WEEK_DAYS = 7
_SATURDAY = 5
_YEAR_MONTHS = 12
# A 29 February may be eight years off.
_YEARS_AHEAD = 8

# The first day, how many, and a name that follows a sentence.
Days = tuple[date, int, str]
Found = re.Match[str]


class NoSuchDayError(Exception):
    """What was said is no one day; the message is a sentence that says why."""


def today(_found: Found, now: date) -> Days:
    return now, 1, "today"


def tomorrow(_found: Found, now: date) -> Days:
    return now + DAY, 1, "tomorrow"


def after_tomorrow(_found: Found, now: date) -> Days:
    return now + 2 * DAY, 1, "the day after tomorrow"


def ahead(found: Found, now: date) -> Days:
    """In so many days or weeks."""
    count = COUNTS.get(found["count"]) or int(found["count"])
    return _one(now + count * (_WEEK_DAYS if found["unit"] == "week" else 1) * DAY, now)


def weekday(found: Found, now: date) -> Days:
    """The first one from today on; "next" is the one in the week that begins with the next Monday."""
    number = _place(found["weekday"], WEEKDAYS)
    days = (number - now.weekday()) % _WEEK_DAYS
    if "next" in found[0]:
        days = _WEEK_DAYS - now.weekday() + number
    elif "coming" in found[0]:
        days = days or _WEEK_DAYS
    return _one(now + days * DAY, now)


def dated(found: Found, now: date) -> Days:
    """A day of a month, of the next one that has it where none is said."""
    said = found.groupdict()
    words = said["day"].replace(" ", "-")
    day = ORDINALS.index(words) + 1 if words in ORDINALS else int(words.rstrip("stndrh"))
    meant = _next(day, _month(said.get("month")), _year(said), now)
    spoken_weekday = said.get("weekday")
    if spoken_weekday and _place(spoken_weekday, WEEKDAYS) != meant.weekday():
        wrong = WEEKDAYS[_place(spoken_weekday, WEEKDAYS)]
        raise NoSuchDayError(f"{_spoken(meant, now)} is a {meant:%A}, not a {wrong}.")
    return _one(meant, now)


def slashed(found: Found, now: date) -> Days:
    """12/31 and 31/12 are clear; 3/4 is in March for some and in April for others."""
    small, large = sorted((int(found["one"]), int(found["other"])))
    if large <= _YEAR_MONTHS and small != large:
        either = f"{found['one']}/{found['other']}"
        raise NoSuchDayError(f"I can't tell which day {either} is. Please say the month by its name.")
    return _one(_next(large, small, _year(found.groupdict()), now), now)


def feast(found: Found, now: date) -> Days:
    day, month = FEASTS[found["feast"].replace("'", "")]
    return _one(_next(day, month, _year(found.groupdict()), now), now)


def week(found: Found, now: date) -> Days:
    left = _WEEK_DAYS - now.weekday()
    return (now + left * DAY, _WEEK_DAYS, "next week") if found["next"] else (now, left, "this week")


def weekend(found: Found, now: date) -> Days:
    days = _SATURDAY - now.weekday()
    if found["next"]:
        first = now + (days + _WEEK_DAYS) * DAY
        return first, 2, f"on the weekend of {_spoken(first, now)}"
    return now + max(0, days) * DAY, min(2, days + 2), "this weekend"


def month(found: Found, now: date) -> Days:
    """This month from today on, the next one, or one by its name."""
    said = found.groupdict()
    number = _month(said.get("month"))
    if number is None:
        number = now.month % _YEAR_MONTHS + 1 if said["next"] else now.month
    year = _year(said) or now.year + (number < now.month)
    days = monthrange(year, number)[1]
    if (year, number) == (now.year, now.month):
        return now, days - now.day + 1, "this month"
    first = date(year, number, 1)
    return first, days, f"in {first:%B}{_other_year(first, now)}"


def _next(day: int, month: int | None, year: int | None, now: date) -> date:
    """The first such date from today on, or the one of that year.

    Raises:
        NoSuchDayError: there is none.
    """
    if month is not None and not 1 <= month <= _YEAR_MONTHS:
        raise NoSuchDayError(f"There is no month {month}.")
    for each_year in [year] if year else range(now.year, now.year + _YEARS_AHEAD + 1):
        for each_month in [month] if month else range(1, _YEAR_MONTHS + 1):
            if 1 <= day <= monthrange(each_year, each_month)[1]:
                found = date(each_year, each_month, day)
                if year or found >= now:
                    return found
    if month is None:
        raise NoSuchDayError(f"No month has a day {day}.")
    raise NoSuchDayError(f"There is no {day} {MONTHS[month - 1]}{f' in {year}' if year else ''}.")


def _one(day: date, now: date) -> Days:
    return day, 1, "today" if day == now else f"on {day:%A}, {_spoken(day, now)}"


def _spoken(day: date, now: date) -> str:
    return f"{day.day} {day:%B}{_other_year(day, now)}"


def _other_year(day: date, now: date) -> str:
    return "" if day.year == now.year else f" {day.year}"


def _year(said: dict[str, str | None]) -> int | None:
    year = said.get("year")
    return int(year) if year else None


def _month(said: str | None) -> int | None:
    if said is None:
        return None
    return int(said) if said.isdigit() else _place(said, MONTHS) + 1


def _place(word: str, names: tuple[str, ...]) -> int:
    return next(place for place, name in enumerate(names) if name.lower().startswith(word[:3]))
