"""Telephone numbers, postal codes, the numbers of books, cards and machines, by the digit. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

from omniid.speech.language import Language, is_named

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
_SPACED_THOUSANDS = re.compile(r"(?<![\w.,+])(?<!\d )[1-9]\d{0,2}(?: \d{3}){1,5}(?!\w| \d)")
_NEXT_WORD = re.compile(r"\s?([^\s.,;:!?)]{1,8})")


def say_codes(text: str, language: Language) -> str:
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
    """As one number; in English, where a comma parts thousands, 101 102 103 may also be three."""
    _, *groups = match.group().split(" ")
    before = match.string[max(0, match.start() - 2) : match.start()].strip()
    after = _NEXT_WORD.match(match.string, match.end())
    is_measured = (
        len(groups) > 1 and after and (after[1] in language.units or after[1] in language.currencies)
    )
    is_one = language.code != "en" or set(groups) == {"000"} or before in language.currencies or is_measured
    if not is_one or is_named(match, language, many=True):
        return match.group()
    return match.group().replace(" ", "")


def _word_between(word: str) -> Callable[[re.Match[str]], str]:
    def said(match: re.Match[str]) -> str:
        if any(int(part) > 255 for part in match[1].split(".")):  # noqa: PLR2004 a byte
            return match.group()
        return match[1].replace(".", f" {word} ") + (f" port {match[2]}" if match[2] else "")

    return said
