"""Sums of money, measures, their ranges and their parts as a voice should say them. Pure."""

from __future__ import annotations

import re
from functools import cache

from omniid.speech.dates import is_decade
from omniid.speech.language import Language, any_of, counted

_AMOUNT = r"(\d{1,3}(?:[.,]\d{3}){1,5}|\d{1,15})(?:([.,])(\d{1,4}))?"
_NUMERAL = r"\d{1,9}(?:[.,:]\d{1,3})?"
_TO = r"(?:-|\s?–\s?|(?<=:\d\d)\s-\s|(?<=[ap]m)\s-\s|(?<=[ap]\.m\.)\s-\s)"
_RANGE = re.compile(rf"(?<![\w.,:–-])({_NUMERAL}){_TO}(?={_NUMERAL}(?![\d–-]))")
_UNIT = r"[^\W\d_]{1,5}|%|°[CF]?"
_RANGE_OF_UNITS = re.compile(  # 7pm-9pm, 10%-20%, 500MB-1GB
    rf"(?<![\w.,:–-])({_NUMERAL}\s?({_UNIT}|[ap]\.m\.)){_TO}"
    rf"(?={_NUMERAL}(?:{_UNIT}|\s?(?:\2|[ap]m|[ap]\.m\.))(?!\w))",
    re.IGNORECASE,
)
_FEET_AND_INCHES = re.compile(r"(?<![\w.,°'’′])(\d{1,2})\s?['’′]\s?(\d{1,2})(?:[\"”″]|''|′′)")
_INCHES = re.compile(r"(?<![\w.,°'’′])(\d{1,3}(?:[.,]\d{1,2})?)[\"″](?!\w)")
_FEW_CENTS = 2
_CLEARLY_METRES = 90  # "5m" may be minutes


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


def say_money(text: str, language: Language) -> str:
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
        return f"{written} {word} {of or counted('2', many)}"
    if fraction is not None and (len(fraction) != _FEW_CENTS or not cents):
        return f"{written} {counted('2', many)}"
    if fraction is not None and mark != language.decimal:  # grouped as in another language
        whole = re.sub("[.,]", "", whole or "")
    large = f"{whole} {counted(whole or '', many)}"
    hundredths = int(fraction or 0)
    small = f"{hundredths} {counted(str(hundredths), cents)}"
    if not hundredths:
        return large
    return small if whole == "0" else f"{large} {language.and_} {small}"


def _scaled(number: str, scale: str, language: Language) -> str:
    return counted(number, language.scales[scale.strip()])


def say_ranges(text: str, language: Language) -> str:
    if not language.to:
        return text
    text = _RANGE_OF_UNITS.sub(rf"\1 {language.to} ", text)
    text = _RANGE.sub(rf"\1 {language.to} ", text)
    return _span_pattern("|".join((*language.months, language.spans))).sub(rf"\1 {language.to} ", text)


@cache
def _span_pattern(names: str) -> re.Pattern[str]:
    return re.compile(rf"\b({names})\.?\s?[-–]\s?(?=(?:{names})\b)")


@cache
def _unit_pattern(units: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(
        rf"(?<![\w.,])(?<![^\W\d_]-)(\d+(?:[.,]\d+)*)([ \u00a0]?)({any_of(units)})"
        r"(?![\w²³°'’]|/(?!\d)|-[^\W\d_])"
    )


def say_measures(text: str, language: Language) -> str:
    if not language.units:
        return text
    return _unit_pattern(tuple(language.units)).sub(lambda match: _measure(match, language), text)


def _measure(match: re.Match[str], language: Language) -> str:
    number, space, unit = match.groups()
    if not space and number.isdecimal() and _is_unclear(number, unit, match, language):
        return match.group()
    return f"{number} {counted(number, language.units[unit])}"


def _is_unclear(number: str, unit: str, match: re.Match[str], language: Language) -> bool:
    if unit == "m":
        return int(number[-9:]) < _CLEARLY_METRES
    if unit != "s":
        return False
    is_year = re.fullmatch(r"(?:1[1-9]|20)\d0", number) is not None
    return is_year or (bool(language.before_decade) and is_decade(match, language))


def say_parts(text: str, language: Language) -> str:
    """Halves and inches; a quotation mark behind a figure is an inch where no quotation begins."""
    if not language.fractions:
        return text
    foot, inch = language.foot_and_inch
    text = _FEET_AND_INCHES.sub(
        lambda match: f"{match[1]} {counted(match[1], foot)} {match[2]} {counted(match[2], inch)}", text
    )
    if text.count('"') == len(_INCHES.findall(text)):
        text = _INCHES.sub(lambda match: f"{match[1]} {counted(match[1], inch)}", text)
    units = tuple(language.units)
    text = _parts_pattern(language.parted, units).sub(_sign_of_part, text)
    return _halves_pattern(units).sub(lambda match: _half(match, language), text)


@cache
def _parts_pattern(nouns: str, units: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(
        rf"(?<![\w/.,])(?:(\d{{1,4}})[ -])?([1-3]/[2348])(?= (?:{nouns}|{any_of(units)})(?!\w))"
    )


@cache
def _halves_pattern(units: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?<![\d/.,])(?:(\d{{1,4}}) ?)?([½⅓⅔¼¾⅛])(?: ?({any_of(units)}))?(?![\w/²³])")


def _sign_of_part(match: re.Match[str]) -> str:
    sign = {"1/2": "½", "1/3": "⅓", "2/3": "⅔", "1/4": "¼", "3/4": "¾", "1/8": "⅛"}.get(match[2])
    return f"{match[1] or ''}{sign}" if sign else match.group()


def _half(match: re.Match[str], language: Language) -> str:
    whole = f"{match[1]} {language.and_} " if match[1] else ""
    unit = f" {counted('2' if whole else '1', language.units[match[3]])}" if match[3] else ""
    return f"{whole}{language.fractions[match[2]]}{unit}"
