"""Dates, times, zones, durations and decades as a voice should say them. Pure."""

from __future__ import annotations

import datetime as dt
import re

from omniid.speech.language import Language, counted, is_named, pattern_of

_SECONDS = r":\d\d(?:[.,]\d{1,9})?"
_HOURS_OFF = r"(?:0\d|1[0-4])(?::?[0-5]\d)?"
_ICAL_MOMENT = re.compile(r"(?<!\w)(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(?=Z?(?!\w))")
_ISO_MOMENT = re.compile(
    rf"(?<![\w-])(\d{{4}}-\d\d-\d\d)([T ])(\d\d:\d\d)({_SECONDS})?(?:\s?(Z|UTC)|([+-]{_HOURS_OFF}))?(?!\w)"
)
_ZONED_CLOCK = re.compile(rf"(?<![\w:.,-])(\d\d:\d\d(?:{_SECONDS})?)(?:Z|(\+{_HOURS_OFF}))(?!\w)")
_ZONE = re.compile(r"\b(UTC|GMT)\s?([+−–-])\s?0?(\d\d?)(?::?(\d\d))?(?![\d:])")
_ISO_DATE = re.compile(r"(?<![\w-])(\d{4})([-/])(\d\d?)\2(\d\d?)(?![\w/-])")
_ISO_WEEK = re.compile(r"(?<![\w-])(\d{4})-?W(\d\d)(?:-?([1-7]))?(?![\w-])")
_YEAR_MONTH = re.compile(r"(?<![\w.,:–-])((?:19|20)\d\d)-(0[1-9]|1[0-2])(?![\w–-]|[.,:]\d)")
_DOTTED_DATE = re.compile(r"(?<![\w.])(\d\d?)\.(\d\d?)\.(\d{4})(?![\w])")
_SLASHED_DATE = re.compile(r"(?<![\w/-])(\d\d?)([/-])(\d\d?)\2(\d{4})(?![\w/-])")
_CLOCK = re.compile(
    r"(?<![\w:.,])([01]?\d|2[0-3]):(\d\d)(?::(\d\d))?(?![\d:]|[.,]\d)(?:\s?(?:uhr|h|hrs)\b|\s?([ap]m\b|[ap]\.m\.))?",
    re.IGNORECASE,
)
_DOTTED_CLOCK = re.compile(r"(?<![\w:.,])([01]?\d|2[0-3])\.([0-5]\d)(?=\s?(?:Uhr|[ap]m)\b)")
_HOUR_PM = re.compile(r"(?<![\w:.,])(1[0-2]|[1-9])([ap]m)\b", re.IGNORECASE)
_DURATION = re.compile(
    r"(?<![\w.,:])\d{1,5}(?:\s?[dhm]|\s?min)(?:\s?\d{1,5}\s?(?:h|min|m|sec|s)){1,3}(?!\w)|(?<![\w.,:])\d{1,3}h\d\d(?!\w)"
)
_DURATION_PART = re.compile(r"(\d+)\s?([dhms]?)")
_OF_TEN = re.compile(r"(['’])?(?<![\w.,:])((?:1[1-9]|20)?)(\d)0s(?!\w)")
_DECADES_GO_ON = re.compile(r"\s?(?:,|-|–|and|or|to|,\s?and)\s?")


def say_dates(text: str, language: Language) -> str:
    text = _ICAL_MOMENT.sub(r"\1-\2-\3T\4:\5:\6", text)
    text = _ISO_MOMENT.sub(_moment, text)
    text = _ZONED_CLOCK.sub(lambda match: f"{match[1]} UTC{match[2] or ''}", text)
    text = _ZONE.sub(lambda match: _zone(match, language), text)
    text = _ISO_WEEK.sub(lambda match: _week(match, language), text)
    text = _ISO_DATE.sub(lambda match: _date(match, language, "y-md"), text)
    text = _YEAR_MONTH.sub(lambda match: _year_month(match, language), text)
    text = _DOTTED_DATE.sub(lambda match: _date(match, language, "dmy"), text)
    return _SLASHED_DATE.sub(lambda match: _slashed(match, language), text)


def _moment(match: re.Match[str]) -> str:
    """Without its seconds, and never without its zone: the same figures are another time elsewhere."""
    date, between, clock, seconds, utc, offset = match.groups()
    is_until = between == " " and not seconds and (offset or "").startswith("-")  # "10:30-11:30"
    zone = offset if is_until else f" UTC{offset or ''}" if utc or offset else ""
    return f"{date}, {clock}{zone}"


def _zone(match: re.Match[str], language: Language) -> str:
    name, sign, hours, minutes = match.groups()
    uneven = "" if minutes in {None, "00"} else f" {minutes}"
    if hours == "0" and not uneven:
        return name
    return f"{name} {language.plus if sign == '+' else language.minus} {hours}{uneven}"


def _week(match: re.Match[str], language: Language) -> str:
    year, week, day = int(match[1]), int(match[2]), int(match[3] or 1)
    try:
        date = dt.date.fromisocalendar(year, week, day)
    except ValueError:
        return match.group()
    return date.isoformat() if match[3] else language.week.format(week=week, year=year)


def _date(match: re.Match[str], language: Language, order: str) -> str:
    parts = dict(zip(order, match.groups(), strict=True))
    try:
        date = dt.date(int(parts["y"]), int(parts["m"]), int(parts["d"]))
    except ValueError:  # 31.02., or a version that looks like a date
        return match.group()
    return language.date.format(day=date.day, month=language.months[date.month - 1], year=date.year)


def _year_month(match: re.Match[str], language: Language) -> str:
    year, month = int(match[1]), int(match[2])
    if month == (year + 1) % 100 or is_named(match, language):  # the season of 2009-10, invoice 2026-11
        return match.group()
    return language.month_of_year.format(month=language.months[month - 1], year=year)


def _slashed(match: re.Match[str], language: Language) -> str:
    """In English 3/4/2026 may be either day; it is said as it stands."""
    first, second = int(match[1]), int(match[3])
    most_months = 12
    if language.code == "en" and first <= most_months:
        return _date(match, language, "m-dy") if second > most_months else match.group()
    return _date(match, language, "d-my")


def say_times(text: str, language: Language) -> str:
    if language.durations:
        text = _DURATION.sub(lambda match: _duration(match, language), text)
    if language.full_hour:
        text = _DOTTED_CLOCK.sub(r"\1:\2", text)
    text = _CLOCK.sub(lambda match: _clock(match, language), text)
    return _HOUR_PM.sub(r"\1 \2", text)


def _duration(match: re.Match[str], language: Language) -> str:
    parts: list[tuple[str, str]] = _DURATION_PART.findall(match.group())
    order = ["dhms".find(unit) if unit else len("dhms") for _, unit in parts]
    if order != sorted(set(order)):  # 2 m 3 h is no time
        return match.group()
    return " ".join(
        f"{int(number)} {counted(number, language.durations[unit])}" if unit else number
        for number, unit in parts
    )


def _clock(match: re.Match[str], language: Language) -> str:
    hour, minute, half = int(match[1]), int(match[2]), match[4]
    is_timer = half is None and match[3] is not None and match[1] in {"00", *"0123456789"}
    if minute > 59 or is_timer or match[3] not in {None, "00"}:  # noqa: PLR2004 minutes
        return match.group()
    if half is not None:
        return f"{hour}:{match[2]} {half}" if minute else f"{hour} {half}"
    if language.full_hour and not minute:
        return language.full_hour.format(hour=hour)
    if language.clock:
        return language.clock.format(hour=hour, minute=minute)
    return f"{match[1]}:{match[2]}"


def say_decades(text: str, language: Language) -> str:
    """The 1990s, '80s and 70s, which are no seconds."""
    if not language.decades:
        return text
    said: list[str] = []
    done, was_decade = 0, False
    for match in _OF_TEN.finditer(text):
        between = text[done : match.start()]
        follows = was_decade and _DECADES_GO_ON.fullmatch(between)
        is_told = match[1] or match[2] or follows or _is_decade(match, language)
        was_decade = match[3] != "0" and bool(is_told)
        said += [
            between,
            f"{match[2]} {language.decades[int(match[3]) - 1]}".lstrip() if was_decade else match.group(),
        ]
        done = match.end()
    return "".join([*said, text[done:]])


def _is_decade(match: re.Match[str], language: Language) -> bool:
    """Whether the words around say that "80s" are years."""
    if _are_timed(match, language):
        return False
    before = pattern_of(rf"(?:\b(?:{language.before_decade})[ -]|['’])$")
    after = pattern_of(rf" (?:{language.after_decade})\b")
    return before.search(_before(match)) is not None or after.match(match.string, match.end()) is not None


def is_seconds(match: re.Match[str], language: Language) -> bool:
    """Whether "5s" is no "two 5s" and no year, as far as the words around tell."""
    if re.match(r"\d{4}", match.group()):
        return False
    if not language.before_seconds:
        return True
    before = pattern_of(rf"\b(?:{language.before_seconds}) ~?$")
    return _are_timed(match, language) or before.search(_before(match)) is not None


def _are_timed(match: re.Match[str], language: Language) -> bool:
    return pattern_of(rf"[ -](?:{language.after_seconds})\b").match(match.string, match.end()) is not None


def _before(match: re.Match[str]) -> str:
    return match.string[max(0, match.start() - 12) : match.start()]
