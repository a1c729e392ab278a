"""Times, dates, sums, measures, versions, telephone numbers and addresses as a voice should say them. Pure.

What comes out is left alone by a second pass: "27 November 2026" holds nothing that is matched again. What
may mean two things is left to the engine, which names the letter: "5m" may be metres, minutes or millions.
Every pattern begins where no figure stands before it and is bounded, so the time is linear in the text.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from functools import cache

from omniid.speech.language import Language

_MAIL = re.compile(r"(?<![\w.+-])([\w.+-]{1,64})@([\w-]{1,63}(?:\.[\w-]{1,63}){1,5})(?![\w@])")
_MAIL_SIGN = re.compile(r"[.+_-]")

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

_VERSION = re.compile(r"(?<!\w)(?:(versi[oó]n) )?v(\d{1,6}(?:\.\d{1,6}){1,4})\b", re.IGNORECASE)
_IP_ADDRESS = re.compile(r"(?<![\w.,])(\d{1,3}(?:\.\d{1,3}){3})(?::(\d{1,5}))?(?!\w|\.\d)")
_INTERNATIONAL = re.compile(r"(?<![\w.,+])(?:\+\d+|0\d+)(?:[ /-]?(?:\(0\))?\(?\d{2,}\)?){0,8}(?![\w.,]*\d)")
_AMERICAN = re.compile(
    r"(?<![\w.,+])(?:\+?1[ .-]?)?(?:\(\d{3}\) ?|\d{3}[-. ])\d{3}[-. ]\d{4}(?!\w|[.,]\d|-\d)"
    r"|(?<![\w.,+])\+1 ?\d{3} ?\d{7}(?!\w|[.,]\d|-\d)"
)
_LOCAL_OR_ZIP = re.compile(r"(?<![\w.,:/–-])(\d{3}|\d{5})-(\d{4})(?![\w/–-]|[.,:]\d)")
_CODE = re.compile(
    r"(?<![\w.,+/-])(?:\d{1,15}(?:-\d{1,15}){2,7}(?:-?X)?|\d{4}(?: \d{4}){2,4}|\d{10,30})(?![\w/-]|[.,]\d)"
)
_DATE_LIKE = re.compile(r"\d{4}-\d\d?-\d\d?|\d\d?([/-])\d\d?\1\d{4}")
_LEAST_PHONE_DIGITS = 7
_MOST_PHONE_DIGITS = 15

_AMOUNT = r"(\d{1,3}(?:[.,]\d{3}){1,5}|\d{1,15})(?:([.,])(\d{1,4}))?"
_SPACED_THOUSANDS = re.compile(r"(?<![\w.,+])(?<!\d )[1-9]\d{0,2}(?: \d{3}){1,5}(?!\w| \d)")
_NUMERAL = r"\d{1,9}(?:[.,:]\d{1,3})?"
_TO = r"(?:-|\s?–\s?|(?<=:\d\d)\s-\s|(?<=[ap]m)\s-\s|(?<=[ap]\.m\.)\s-\s)"
_RANGE = re.compile(rf"(?<![\w.,:–-])({_NUMERAL}){_TO}(?={_NUMERAL}(?![\d–-]))")
_UNIT = r"[^\W\d_]{1,5}|%|°[CF]?"
_RANGE_OF_UNITS = re.compile(  # 7pm-9pm, 10%-20%, 500MB-1GB
    rf"(?<![\w.,:–-])({_NUMERAL}\s?({_UNIT}|[ap]\.m\.)){_TO}"
    rf"(?={_NUMERAL}(?:{_UNIT}|\s?(?:\2|[ap]m|[ap]\.m\.))(?!\w))",
    re.IGNORECASE,
)
_MINUS = re.compile(r"(?<![^\s(\[“\"'])(?<!\d\s)(?:[-−](?=[$€£¥₹]?\d)|–(?=\d{1,9}(?:[.,]\d{1,3})?\s?[°%]))")
_IN_A_SUM = re.compile(r"(?<=[\d)])\s?([-–−/])\s?(?=\d{1,9}(?:[.,]\d{1,9})?\s?=)")
_TIMES = re.compile(r"(?<=[\w)]) \* (?=[\w(])|(?<=\d)\*(?=\d)")
_CARET = re.compile(r"(?<=[\w)])\^(\([^()\s]{1,12}\)|[-−]?\w{1,9})")
_RAISED = re.compile(r"(?<![^\W\d_][^\W\d_][^\W\d_])(?<=[\w)])(?!¹)(⁻?[⁰¹²³⁴-⁹]{1,9})")
_PLAIN_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻₀₁₂₃₄₅₆₇₈₉", "0123456789-0123456789")
_LOW_DIGITS = re.compile(r"[₀-₉]")
_COMPARISON = re.compile(r"(?<![<>=!+-])(?:>=|<=|!=|&&|\+/?-(?=\s?\d))(?![<>=])")
_COMPARISONS = {">=": "≥", "<=": "≤", "!=": "≠", "&&": "&"}
_ARROW = re.compile(r"(?<![<=>-])\s?(?:->|-->|=>|==>)\s?")
_SHARP = re.compile(r"(?<!\w)([A-G])#(?!\w)")
_ABOUT = re.compile(r"(?<!\w)~\s?(?=\d)")
_NUMBER = re.compile(r"(?<!\w)#(?=\d)")
_FEET_AND_INCHES = re.compile(r"(?<![\w.,°'’′])(\d{1,2})\s?['’′]\s?(\d{1,2})(?:[\"”″]|''|′′)")
_INCHES = re.compile(r"(?<![\w.,°'’′])(\d{1,3}(?:[.,]\d{1,2})?)[\"″](?!\w)")
_OF_TEN = re.compile(r"(['’])?(?<![\w.,:])((?:1[1-9]|20)?)(\d)0s(?!\w)")
_DECADES_GO_ON = re.compile(r"\s?(?:,|-|–|and|or|to|,\s?and)\s?")
_ORDINAL = re.compile(r"(?<![\w.,])(\d{1,2}|[IVX]{1,5})(?:e|è?me|ième)(?!\w)")
_ROMAN = {"I": 1, "V": 5, "X": 10}
_FEW_CENTS = 2
_CLEARLY_METRES = 90  # "5m" may be minutes


def say_figures(text: str, language: Language) -> str:
    """The text with its figures written out where the engine would read them badly."""
    text = _MAIL.sub(lambda match: _mail(match, language), text)
    if language.months:
        text = _dates(text, language)
    text = _codes(text, language)
    text = _short_forms(text, language)
    text = _parts(text, language)
    text = _operators(text, language)
    text = _money(text, language)
    text = _ranges(text, language)
    text = _times(text, language)
    text = _VERSION.sub(lambda match: f"{match[1] or language.version} {match[2]}", text)
    text = _decades(text, language)
    text = _measures(text, language)
    return _signs(_powers(text, language), language)


def _mail(match: re.Match[str], language: Language) -> str:
    words = {".": language.dot, "+": language.plus, "_": language.underscore, "-": language.dash}
    local, host = (
        _MAIL_SIGN.sub(lambda sign: f" {words[sign.group()]} ", part) for part in (match[1], match[2])
    )
    return f"{local} {language.at} {host}"


def _dates(text: str, language: Language) -> str:
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
    if month == (year + 1) % 100:  # the season of 2009-10
        return match.group()
    return language.month_of_year.format(month=language.months[month - 1], year=year)


def _slashed(match: re.Match[str], language: Language) -> str:
    """In English 3/4/2026 may be either day; it is said as it stands."""
    first, second = int(match[1]), int(match[3])
    most_months = 12
    if language.code == "en" and first <= most_months:
        return _date(match, language, "m-dy") if second > most_months else match.group()
    return _date(match, language, "d-my")


def _codes(text: str, language: Language) -> str:
    text = _AMERICAN.sub(lambda match: _plus(match, language) + _digits(match), text)
    text = _INTERNATIONAL.sub(lambda match: _phone(match, language), text)
    text = _CODE.sub(_code, text)
    if language.code == "en":
        text = _LOCAL_OR_ZIP.sub(_local, text)
    if language.months:
        text = _SPACED_THOUSANDS.sub(lambda match: _thousands(match, language), text)
    return _IP_ADDRESS.sub(_word_between(language.dot), text) if language.dot else text


def _phone(match: re.Match[str], language: Language) -> str:
    count = sum(char.isdigit() for char in match.group())
    if not _LEAST_PHONE_DIGITS <= count <= _MOST_PHONE_DIGITS or _DATE_LIKE.fullmatch(match.group()):
        return match.group()
    return _plus(match, language) + _digits(match)


def _plus(match: re.Match[str], language: Language) -> str:
    return f"{language.plus} " if match.group().startswith("+") else ""


def _digits(match: re.Match[str]) -> str:
    """One by one, with a pause between the groups."""
    return ", ".join(" ".join(group) for group in re.findall(r"[\dX]+", match.group()))


def _code(match: re.Match[str]) -> str:
    """The numbers of books, cards and parcels by the digit; what is as short as 4-4-2 by the number."""
    if _DATE_LIKE.fullmatch(match.group()) or re.fullmatch(r"\d+000", match.group()):
        return match.group()
    groups = re.findall(r"[\dX]+", match.group())
    is_short = max(map(len, groups)) <= 2  # noqa: PLR2004 digits
    return ", ".join(groups) if is_short else _digits(match)


def _local(match: re.Match[str]) -> str:
    """A telephone number or postal code; 500-1000 is more likely a range."""
    first, second = int(match[1]), int(match[2])
    return match.group() if first < second and first % 10 == second % 10 == 0 else _digits(match)


def _thousands(match: re.Match[str], language: Language) -> str:
    """As one number; in English 1 800 may also be two."""
    _, *groups = match.group().split(" ")
    is_one = len(groups) > 1 or groups[-1] == "000" or language.code != "en"
    return match.group().replace(" ", "") if is_one else match.group()


def _word_between(word: str) -> Callable[[re.Match[str]], str]:
    def said(match: re.Match[str]) -> str:
        if any(int(part) > 255 for part in match[1].split(".")):  # noqa: PLR2004 a byte
            return match.group()
        return match[1].replace(".", f" {word} ") + (f" port {match[2]}" if match[2] else "")

    return said


def _short_forms(text: str, language: Language) -> str:
    if language.words:
        text = _word_pattern(tuple(language.words)).sub(lambda match: language.words[match.group()], text)
    if language.number_marks:
        text = _number_pattern(language.number_marks).sub(f"{language.number} ", text)
    return text


@cache
def _word_pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w/.,])(?:{_any_of(words)})(?![\w/])")


@cache
def _number_pattern(marks: tuple[str, ...]) -> re.Pattern[str]:
    """Not where a sentence begins: the answer may be "No. 5 are left"."""
    return re.compile(rf"(?<!^)(?<![.!?]\s)(?<![\w.])(?:{_any_of(marks)})\s?(?=\d)")


def _operators(text: str, language: Language) -> str:
    """Signs put together on a keyboard as the one they stand for; a minus that some engines do not hear."""
    text = _COMPARISON.sub(lambda match: _COMPARISONS.get(match.group(), "±"), text)
    if not language.minus:
        return text
    text = _ARROW.sub(" → ", text)
    text = _IN_A_SUM.sub(lambda match: " ÷ " if match[1] == "/" else " − ", text)
    return _MINUS.sub(f"{language.minus} ", text)


@cache
def _money_patterns(signs: str, scales: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    sign = f"[{re.escape(signs)}]"
    longest_first = sorted(map(re.escape, scales), key=len, reverse=True)
    scale = rf"\s?(?:{'|'.join(longest_first)})"
    # "costs $5 b" may go on as "b/c"; one letter with a space before it is no million.
    apart = rf"(?:{'|'.join(word for word in longest_first if len(word) > 1)})"
    glued = rf"(?:{'|'.join(word for word in longest_first if len(word) == 1)})"
    end = rf"(?![\w{re.escape(signs)}]|[.,]\d)(/(?=[^\W\d_]))?"
    before = re.compile(
        rf"(?<!\w)({sign})\s?{_AMOUNT}(\s?{apart}|{glued})?"
        rf"(?:(?:-|\s?–\s?|\s-\s(?={sign}))(?:\1\s?)?{_AMOUNT}(\s?{apart}|{glued})?)?{end}"
    )
    after = re.compile(
        rf"(?<![\w.,])(?:{_AMOUNT}({scale})?(?:\s?{sign}\s?-\s?|-|(?:\s?{sign})?\s?–\s?))?{_AMOUNT}({scale})?\s?({sign})(?!\w)(/(?=[^\W\d_]))?"
    )
    return before, after


def _money(text: str, language: Language) -> str:
    if not language.currencies:
        return text
    before, after = _money_patterns("".join(language.currencies), tuple(language.scales))
    text = before.sub(lambda match: _price(match[1], match.groups()[1:], language), text)
    return after.sub(lambda match: _price(match[9], (*match.groups()[:8], match[10]), language), text)


def _price(sign: str, parts: tuple[str | None, ...], language: Language) -> str:
    """Of "$5-10k/month": a sum or the two ends of a range, each in four parts, and the slash."""
    first, second, slash = parts[:4], parts[4:8], parts[8]
    per = f" {language.per} " if slash else ""
    if first[0] is None or second[0] is None:
        return _sum(sign, second if first[0] is None else first, language) + per
    whole, mark, fraction, scale = first
    low = f"{whole}{mark or ''}{fraction or ''}"
    if scale and scale != second[3]:
        low = f"{low} {_scaled(low, scale, language)}"
    return f"{low} {language.to} {_sum(sign, second, language)}{per}"


def _sum(sign: str, parts: tuple[str | None, ...], language: Language) -> str:
    whole, mark, fraction, scale = parts
    many, cents = language.currencies[sign]
    written = f"{whole}{mark or ''}{fraction or ''}"
    if scale:
        word = _scaled(written, scale, language)
        is_noun = word.endswith(("on", "ons", "ard", "ards", "ones", "ón"))
        of = language.of_currency.get(sign) if is_noun else None
        return f"{written} {word} {of or _counted('2', many)}"
    if fraction is not None and (len(fraction) != _FEW_CENTS or not cents):
        return f"{written} {_counted('2', many)}"
    if fraction is not None and mark != language.decimal:  # grouped as in another language
        whole = re.sub("[.,]", "", whole or "")
    large = f"{whole} {_counted(whole or '', many)}"
    hundredths = int(fraction or 0)
    small = f"{hundredths} {_counted(str(hundredths), cents)}"
    if not hundredths:
        return large
    return small if whole == "0" else f"{large} {language.and_} {small}"


def _scaled(number: str, scale: str, language: Language) -> str:
    return _counted(number, language.scales[scale.strip()])


def _counted(number: str, words: str) -> str:
    one, _, many = words.partition("|")
    return one if number == "1" else many


def _ranges(text: str, language: Language) -> str:
    if not language.to:
        return text
    text = _RANGE_OF_UNITS.sub(rf"\1 {language.to} ", text)
    text = _RANGE.sub(rf"\1 {language.to} ", text)
    return _span_pattern("|".join((*language.months, language.spans))).sub(rf"\1 {language.to} ", text)


@cache
def _span_pattern(names: str) -> re.Pattern[str]:
    return re.compile(rf"\b({names})\.?\s?[-–]\s?(?=(?:{names})\b)")


def _times(text: str, language: Language) -> str:
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
        f"{int(number)} {_counted(number, language.durations[unit])}" if unit else number
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


def _decades(text: str, language: Language) -> str:
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
    before, after, never = _decade_patterns(
        language.before_decade, language.after_decade, language.after_seconds
    )
    around = match.string[max(0, match.start() - 12) : match.start()]
    if never.match(match.string, match.end()):
        return False
    return before.search(around) is not None or after.match(match.string, match.end()) is not None


@cache
def _decade_patterns(before: str, after: str, never: str) -> tuple[re.Pattern[str], ...]:
    return (
        re.compile(rf"(?:\b(?:{before})[ -]|['’])$", re.IGNORECASE),
        re.compile(rf" (?:{after})\b"),
        re.compile(rf"[ -](?:{never})\b"),
    )


@cache
def _unit_pattern(units: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(
        rf"(?<![\w.,])(?<![^\W\d_]-)(\d+(?:[.,]\d+)*)([ \u00a0]?)({_any_of(units)})"
        r"(?![\w²³°'’]|/(?!\d)|-[^\W\d_])"
    )


def _measures(text: str, language: Language) -> str:
    if not language.units:
        return text
    return _unit_pattern(tuple(language.units)).sub(lambda match: _measure(match, language), text)


def _measure(match: re.Match[str], language: Language) -> str:
    number, space, unit = match.groups()
    if not space and number.isdecimal() and _is_unclear(number, unit, match, language):
        return match.group()
    return f"{number} {_counted(number, language.units[unit])}"


def _is_unclear(number: str, unit: str, match: re.Match[str], language: Language) -> bool:
    if unit == "m":
        return int(number[-9:]) < _CLEARLY_METRES
    if unit != "s":
        return False
    is_year = re.fullmatch(r"(?:1[1-9]|20)\d0", number) is not None
    return is_year or (bool(language.before_decade) and _is_decade(match, language))


def _parts(text: str, language: Language) -> str:
    """Halves and inches; a quotation mark behind a figure is an inch where no quotation begins."""
    if not language.fractions:
        return text
    foot, inch = language.foot_and_inch
    text = _FEET_AND_INCHES.sub(
        lambda match: f"{match[1]} {_counted(match[1], foot)} {match[2]} {_counted(match[2], inch)}", text
    )
    if text.count('"') == len(_INCHES.findall(text)):
        text = _INCHES.sub(lambda match: f"{match[1]} {_counted(match[1], inch)}", text)
    units = tuple(language.units)
    text = _parts_pattern(language.parted, units).sub(_sign_of_part, text)
    return _halves_pattern(units).sub(lambda match: _half(match, language), text)


@cache
def _parts_pattern(nouns: str, units: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(
        rf"(?<![\w/.,])(?:(\d{{1,4}})[ -])?([1-3]/[2348])(?= (?:{nouns}|{_any_of(units)})(?!\w))"
    )


@cache
def _halves_pattern(units: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?<![\d/.,])(?:(\d{{1,4}}) ?)?([½⅓⅔¼¾⅛])(?: ?({_any_of(units)}))?(?![\w/²³])")


def _any_of(words: tuple[str, ...]) -> str:
    return "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))


def _sign_of_part(match: re.Match[str]) -> str:
    sign = {"1/2": "½", "1/3": "⅓", "2/3": "⅔", "1/4": "¼", "3/4": "¾", "1/8": "⅛"}.get(match[2])
    return f"{match[1] or ''}{sign}" if sign else match.group()


def _half(match: re.Match[str], language: Language) -> str:
    whole = f"{match[1]} {language.and_} " if match[1] else ""
    unit = f" {_counted('2' if whole else '1', language.units[match[3]])}" if match[3] else ""
    return f"{whole}{language.fractions[match[2]]}{unit}"


def _ordinal(match: re.Match[str], language: Language) -> str:
    number = int(match[1]) if match[1].isdecimal() else _from_roman(match[1])
    return language.ordinals[number - 1] if 0 < number <= len(language.ordinals) else match.group()


def _from_roman(numeral: str) -> int:
    values = [_ROMAN[char] for char in numeral]
    following = [*values[1:], 0]
    return sum(-value if value < after else value for value, after in zip(values, following, strict=True))


def _powers(text: str, language: Language) -> str:
    if language.ordinals:
        text = _ORDINAL.sub(lambda match: _ordinal(match, language), text)
    if language.to_the_power:
        for pattern in (_CARET, _RAISED):
            text = pattern.sub(lambda match: _power(match[1], language), text)
    return _LOW_DIGITS.sub(lambda match: match.group().translate(_PLAIN_DIGITS), text)


def _power(raised: str, language: Language) -> str:
    power = raised.strip("()").translate(_PLAIN_DIGITS)
    if power in {"2", "3"}:
        return f" {language.squared if power == '2' else language.cubed}"
    return f" {language.to_the_power} {re.sub('^[-−]', f'{language.minus} ', power)}"


def _signs(text: str, language: Language) -> str:
    text = _SHARP.sub(_word(r"\1 {}", language.sharp), text)
    text = _ABOUT.sub(_word("{} ", language.about), text)
    text = _NUMBER.sub(_word("{} ", language.number), text)
    text = _TIMES.sub(_word(" {} ", language.times), text)
    for sign, word in language.signs.items():
        if sign in text:
            text = _sign_pattern(sign).sub(f" {word} ", text)
    return text


@cache
def _sign_pattern(sign: str) -> re.Pattern[str]:
    """Between words, numbers or spaces; a < that opens a word is left-over markup."""
    is_bracket = sign in "<>"
    before, after = (r"[\d()\s]", r"[\s\d(]") if is_bracket else (r"[\w()\s]", r"[\s\w(]")
    return re.compile(rf"(?:(?<={before})|^){re.escape(sign)}(?={after})")


def _word(template: str, word: str) -> str | Callable[[re.Match[str]], str]:
    return template.format(word) if word else (lambda match: match.group())
