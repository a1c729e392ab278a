"""Sums of money, measures, their ranges and their parts as a voice should say them. Pure."""

from __future__ import annotations

import re
from functools import cache

from omniid.speech.dates import is_seconds
from omniid.speech.language import Language, any_of, counted, is_named, pattern_of

_AMOUNT = r"(\d{1,3}(?:[.,]\d{3}){1,5}|\d{1,15})(?:([.,])(\d{1,4}))?"
_NUMERAL = r"\d{1,9}(?:[.,:]\d{1,3})?"
_TO = r"(?:[-~]|\s?–\s?|(?<=:\d\d)\s-\s|(?<=[ap]m)\s-\s|(?<=[ap]\.m\.)\s-\s)"
_RANGE = re.compile(rf"(?<![\w.,:–-])({_NUMERAL})({_TO})(?=({_NUMERAL})(?![\d–-]))")
_CLOCK_ENDS = re.compile(r"\s?(?:[ap]\.?m\b|Uhr\b)", re.IGNORECASE)
_THOUSANDS = re.compile(r"(?<=[1-9])[.,](?=\d{3}$)")
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
# English: "5 m users" are millions, and "7 W 57th" and "1600 L Street" are addresses.
_NO_UNIT = re.compile(
    r"(?<=m) (?!(?:away|tall|long|wide|deep|high|ahead|apart|above|below|from|of|onto|until|past|then)\b)\w"
    r"|(?<=[LVW]) [A-Z\d]"
)


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
        rf"(?<!\w)(?<!\d/)({sign})\s?{_AMOUNT}(\s?{apart}|{glued})?"
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
    if not scale and not second[3] and _size(first) > _size(second):  # $10 - $3 is no range
        return f"{_sum(sign, first, language)} - {_sum(sign, second, language)}{per}"
    low = f"{whole}{mark or ''}{fraction or ''}"
    if scale and scale != second[3]:
        low = f"{low} {_scaled(low, scale, language)}"
    return f"{low} {language.to} {_sum(sign, second, language)}{per}"


def _size(parts: tuple[str | None, ...]) -> float:
    whole, _, fraction, _ = parts
    return float(f"{re.sub('[.,]', '', whole or '')}.{fraction or 0}")


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
    text = _RANGE_OF_UNITS.sub(
        lambda match: match.group() if is_named(match, language) else f"{match[1]} {language.to} ", text
    )
    text = _RANGE.sub(
        lambda match: f"{match[1]} {language.to} " if _is_range(match, language) else match.group(), text
    )
    return _span_pattern("|".join((*language.months, language.spans))).sub(rf"\1 {language.to} ", text)


def _is_range(match: re.Match[str], language: Language) -> bool:
    """Not of "room 3-12"; where the greater number comes first, only of a score, a time, a date or years."""
    first, dash, second = match.groups()
    text, start, end = match.string, match.start(), match.end(3)
    if ":" in first + second or _CLOCK_ENDS.match(text, end):
        return True
    if is_named(match, language):
        return False
    is_date = text[start - 1 : start] == "/"
    if is_date or text[end : end + 1] == "/":  # 12/24-12/26, but 3-1/2
        return is_date
    if "–" in dash or _value(first) < _value(second):
        return True
    if re.fullmatch(r"(?:1\d|20)\d\d-\d\d", first + "-" + second) and int(second) > int(first[2:]):
        return True  # 1914-18
    around = f"{text[max(0, start - 40) : start]} {text[end : end + 16]}"
    return bool(language.scored) and pattern_of(rf"\b(?:{language.scored})\b").search(around) is not None


def _value(number: str) -> float:
    return float(_THOUSANDS.sub("", number).replace(",", "."))


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
    number, _, unit = match.groups()
    if len(unit) == 1 and _is_unclear(match, language):
        return match.group()
    return f"{number} {counted(number, language.units[unit])}"


def _is_unclear(match: re.Match[str], language: Language) -> bool:
    """Whether the one letter behind the figure may be no unit."""
    number, space, unit = match.groups()
    if is_named(match, language) or (language.code == "en" and _NO_UNIT.match(match.string, match.end())):
        return True
    if space or not number.isdecimal():
        return False
    if unit == "m":
        return int(number[-9:]) < _CLEARLY_METRES
    return unit == "s" and not is_seconds(match, language)


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
