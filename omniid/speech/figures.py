"""Times, dates, sums, measures, versions, telephone numbers and addresses as a voice should say them. Pure.

What comes out is left alone by a second pass: "27 November 2026" holds nothing that is matched again.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from functools import cache

from omniid.speech.language import Language

_MAIL = re.compile(r"(?<![\w.+-])([\w.+-]{1,64})@([\w-]{1,63}(?:\.[\w-]{1,63}){1,5})(?![\w@])")
_MAIL_SIGN = re.compile(r"[.+_-]")
_ISO_DATE = re.compile(r"(?<![\w-])(\d{4})-(\d\d)-(\d\d)(?![\w-])")
_ISO_MOMENT = re.compile(
    r"(?<![\w-])(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d)(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:?\d\d)?(?!\w)"
)
_DOTTED_DATE = re.compile(r"(?<![\w.])(\d\d?)\.(\d\d?)\.(\d{4})(?![\w])")
_SLASHED_DATE = re.compile(r"(?<![\w/])(\d\d?)/(\d\d?)/(\d{4})(?![\w/])")
_CLOCK = re.compile(
    r"(?<![\w:.,])([01]?\d|2[0-3])[:](\d\d)(?::\d\d)?(?![\d:])(?:\s?uhr\b|\s?([ap]m\b|[ap]\.m\.))?",
    re.IGNORECASE,
)
_HOUR_PM = re.compile(r"(?<![\w:.,])(1[0-2]|[1-9])([ap]m)\b", re.IGNORECASE)
_VERSION = re.compile(r"(?<!\w)(?:(versi[oó]n) )?v(\d{1,6}(?:\.\d{1,6}){1,4})\b", re.IGNORECASE)
_INTERNATIONAL = re.compile(r"(?<![\w.,+])(?:\+\d{2,}|0\d+)(?:[ /-]?\(?\d{2,}\)?){0,8}(?![\w.,]*\d)")
_AMERICAN = re.compile(r"(?<![\w.,])(?:\(\d{3}\) ?|\d{3}-)\d{3}-\d{4}(?!\w)")
_LEAST_PHONE_DIGITS = 7
_MOST_PHONE_DIGITS = 15
_AMOUNT = r"(\d{1,3}(?:[.,]\d{3}){1,5}|\d{1,15})(?:([.,])(\d{1,4}))?"
_SCALE = r"(?:\s?(thousand|million|billion|trillion|Millionen|Milliarden|millions|milliards|millones))?"
_RANGE = re.compile(
    r"(?<![\w.,:–-])(?!\d{3}-\d{4})(\d{1,9}(?:[.,:]\d{1,3})?)(?:-|\s?–\s?)(\d{1,9}(?:[.,:]\d{1,3})?)(?![\d–-])"
)
_TIMES = re.compile(r"(?<=[\w)]) \* (?=[\w(])|(?<=\d)\*(?=\d)")
_SHARP = re.compile(r"(?<!\w)([A-G])#(?!\w)")
_ABOUT = re.compile(r"(?<!\w)~\s?(?=\d)")
_NUMBER = re.compile(r"(?<!\w)#(?=\d)")
_FEW_CENTS = 2


def say_figures(text: str, language: Language) -> str:
    """The text with its figures written out where the engine would read them badly."""
    text = _MAIL.sub(lambda match: _mail(match, language), text)
    if language.months:
        text = _ISO_MOMENT.sub(r"\1, \2", text)
        text = _ISO_DATE.sub(lambda match: _date(match, language, "ymd"), text)
        text = _DOTTED_DATE.sub(lambda match: _date(match, language, "dmy"), text)
        text = _SLASHED_DATE.sub(lambda match: _slashed(match, language), text)
    text = _AMERICAN.sub(_digits, text)
    text = _INTERNATIONAL.sub(lambda match: _phone(match, language), text)
    text = _CLOCK.sub(lambda match: _clock(match, language), text)
    text = _HOUR_PM.sub(r"\1 \2", text)
    text = _VERSION.sub(lambda match: f"{match[1] or language.version} {match[2]}", text)
    text = _money(text, language)
    text = _measures(text, language)
    return _signs(text, language)


def _mail(match: re.Match[str], language: Language) -> str:
    words = {".": language.dot, "+": language.plus, "_": "", "-": ""}
    local = _MAIL_SIGN.sub(lambda sign: f" {words[sign.group()]} ", match[1])
    host = match[2].replace("_", " ").replace(".", f" {language.dot} ")
    return f"{local} {language.at} {host}"


def _date(match: re.Match[str], language: Language, order: str) -> str:
    parts = dict(zip(order, map(int, match.groups()), strict=True))
    try:
        date = dt.date(parts["y"], parts["m"], parts["d"])
    except ValueError:  # 31.02., or a version that looks like a date
        return match.group()
    return language.date.format(day=date.day, month=language.months[date.month - 1], year=date.year)


def _slashed(match: re.Match[str], language: Language) -> str:
    """In English 3/4/2026 may be either day; it is said as it stands."""
    first, second = int(match[1]), int(match[2])
    most_months = 12
    if language.code == "en" and first <= most_months:
        return _date(match, language, "mdy") if second > most_months else match.group()
    return _date(match, language, "dmy")


def _clock(match: re.Match[str], language: Language) -> str:
    hour, minute, half = int(match[1]), int(match[2]), match[3]
    if minute > 59:  # noqa: PLR2004 minutes
        return match.group()
    if half is not None:
        return f"{hour}:{match[2]} {half}" if minute else f"{hour} {half}"
    if language.full_hour and not minute:
        return language.full_hour.format(hour=hour)
    if language.clock:
        return language.clock.format(hour=hour, minute=minute)
    return f"{match[1]}:{match[2]}"


def _phone(match: re.Match[str], language: Language) -> str:
    count = sum(char.isdigit() for char in match.group())
    if not _LEAST_PHONE_DIGITS <= count <= _MOST_PHONE_DIGITS:
        return match.group()
    plus = f"{language.plus} " if match.group().startswith("+") else ""
    return plus + _digits(match)


def _digits(match: re.Match[str]) -> str:
    """One by one, with a pause between the groups."""
    return ", ".join(" ".join(group) for group in re.findall(r"\d+", match.group()))


@cache
def _money_patterns(signs: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    sign = f"([{re.escape(signs)}])"
    before = re.compile(rf"(?<![\w]){sign}\s?{_AMOUNT}{_SCALE}(?![\d])")
    after = re.compile(rf"(?<![\w.,]){_AMOUNT}{_SCALE}\s?{sign}")
    return before, after


def _money(text: str, language: Language) -> str:
    if not language.currencies:
        return text
    before, after = _money_patterns("".join(language.currencies))
    text = before.sub(lambda match: _sum(match.group(), match[1], match.groups()[1:], language), text)
    return after.sub(lambda match: _sum(match.group(), match[5], match.groups()[:4], language), text)


def _sum(written: str, sign: str, parts: tuple[str | None, ...], language: Language) -> str:
    whole, mark, fraction, scale = parts
    many, cents = language.currencies[sign]
    if scale:
        return f"{whole}{mark or ''}{fraction or ''} {scale} {_counted('2', many)}"
    if fraction is not None and (len(fraction) != _FEW_CENTS or mark != language.decimal or not cents):
        return f"{whole}{mark}{fraction} {_counted('2', many)}"
    if whole is None:
        return written
    large = f"{whole} {_counted(whole, many)}"
    hundredths = int(fraction or 0)
    small = f"{hundredths} {_counted(str(hundredths), cents)}"
    if not hundredths:
        return large
    return small if whole == "0" else f"{large} {language.money_and} {small}"


def _counted(number: str, words: str) -> str:
    one, _, many = words.partition("|")
    return one if number == "1" else many


@cache
def _unit_pattern(units: tuple[str, ...]) -> re.Pattern[str]:
    longest_first = sorted(units, key=len, reverse=True)
    choice = "|".join(re.escape(unit) for unit in longest_first)
    return re.compile(rf"(?<![\w.,])(\d+(?:[.,]\d+)*)[ \u00a0]?({choice})(?![\w/²³°'’])")


def _measures(text: str, language: Language) -> str:
    if not language.units:
        return text
    return _unit_pattern(tuple(language.units)).sub(
        lambda match: f"{match[1]} {_counted(match[1], language.units[match[2]])}", text
    )


def _signs(text: str, language: Language) -> str:
    if language.to:
        text = _RANGE.sub(rf"\1 {language.to} \2", text)
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
    before, after = (r"[\d)\s]", r"[\s\d(]") if is_bracket else (r"[\w)\s]", r"[\s\w(]")
    return re.compile(rf"(?<={before}){re.escape(sign)}(?={after})")


def _word(template: str, word: str) -> str | Callable[[re.Match[str]], str]:
    return template.format(word) if word else (lambda match: match.group())
