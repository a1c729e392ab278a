"""Figures as a voice should say them: dates, sums, codes, and the signs and short forms between them. Pure.

What comes out is left alone by a second pass: "27 November 2026" holds nothing that is matched again. What
may mean two things is left to the engine, which names the letter: "5m" may be metres, minutes or millions.
Every pattern begins where no figure stands before it and is bounded, so the time is linear in the text.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache

from omniid.speech.amounts import say_measures, say_money, say_parts, say_ranges
from omniid.speech.codes import say_codes
from omniid.speech.dates import say_dates, say_decades, say_times
from omniid.speech.language import Language, any_of

_MAIL = re.compile(r"(?<![\w.+-])([\w.+-]{1,64})@([\w-]{1,63}(?:\.[\w-]{1,63}){1,5})(?![\w@])")
_MAIL_SIGN = re.compile(r"[.+_-]")
_VERSION = re.compile(r"(?<!\w)(?:(versi[oó]n) )?v(\d{1,6}(?:\.\d{1,6}){1,4})\b", re.IGNORECASE)
_MINUS = re.compile(r"(?<![^\s(\[“\"'])(?<!\d\s)(?:[-−](?=[$€£¥₹]?\d)|–(?=\d{1,9}(?:[.,]\d{1,3})?\s?[°%]))")
_IN_A_SUM = re.compile(r"(?<=[\d)$€£])\s?([-–−/])\s?(?=[$€£¥₹]?\d{1,9}(?:[.,]\d{1,9})?(?:\s?[$€£])?\s?=)")
_TIMES = re.compile(r"(?<=[\w)]) \* (?=[\w(])|(?<=[\d%)])\*(?=[\w(])|(?<!\w\w)(?<=\w)\*(?=\w(?!\w))")
_CARET = re.compile(r"(?<=[\w)])\^(\([^()\s]{1,12}\)|[-−]?\w{1,9})")
_RAISED = re.compile(r"(?<![^\W\d_][^\W\d_][^\W\d_])(?<=[\w)])(?!¹)(⁻?[⁰¹²³⁴-⁹]{1,9})")
_PLAIN_DIGITS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻₀₁₂₃₄₅₆₇₈₉", "0123456789-0123456789")
_LOW_DIGITS = re.compile(r"[₀-₉]")
_COMPARISON = re.compile(r"(?<![<>=!+-])(?:>=|<=|!=|&&|\+/?-(?=\s?\d))(?![<>=])")
_COMPARISONS = {">=": "≥", "<=": "≤", "!=": "≠", "&&": "&"}
_ARROW = re.compile(r"(?<![<=>-])\s?(?:->|-->|=>|==>)\s?")
_MENU = re.compile(r"(?<=\w) > (?=[A-Z]\w)")
_SHARP = re.compile(r"(?<!\w)([A-G])#(?!\w)")
_ABOUT = re.compile(r"(?<!\w)~\s?(?=\d)")
_NUMBER = re.compile(r"(?<!\w)#(?=\d)")
_ORDINAL = re.compile(r"(?<![\w.,])(\d{1,2}|[IVX]{1,5})(?:e|è?me|ième)(?!\w)")
_ROMAN = {"I": 1, "V": 5, "X": 10}


def say_figures(text: str, language: Language) -> str:
    """The text with its figures written out where the engine would read them badly."""
    text = _MAIL.sub(lambda match: _mail(match, language), text)
    if language.months:
        text = say_dates(text, language)
    text = say_codes(text, language)
    text = _short_forms(text, language)
    text = say_parts(text, language)
    text = _operators(text, language)
    text = say_money(text, language)
    text = say_ranges(text, language)
    text = say_times(text, language)
    text = _VERSION.sub(lambda match: f"{match[1] or language.version} {match[2]}", text)
    text = say_decades(text, language)
    text = say_measures(text, language)
    return _signs(_powers(text, language), language)


def _mail(match: re.Match[str], language: Language) -> str:
    words = {".": language.dot, "+": language.plus, "_": language.underscore, "-": language.dash}
    local, host = (
        _MAIL_SIGN.sub(lambda sign: f" {words[sign.group()]} ", part) for part in (match[1], match[2])
    )
    return f"{local} {language.at} {host}"


def _short_forms(text: str, language: Language) -> str:
    if language.words:
        text = _word_pattern(tuple(language.words)).sub(lambda match: language.words[match.group()], text)
    if language.number_marks:
        text = _number_pattern(language.number_marks).sub(f"{language.number} ", text)
    return text


@cache
def _word_pattern(words: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w/.,])(?:{any_of(words)})(?![\w/])")


@cache
def _number_pattern(marks: tuple[str, ...]) -> re.Pattern[str]:
    """Not where a sentence begins: the answer may be "No. 5 are left"."""
    return re.compile(rf"(?<!^)(?<![.!?]\s)(?<![\w.])(?:{any_of(marks)})\s?(?=\d)")


def _operators(text: str, language: Language) -> str:
    """Signs put together on a keyboard as the one they stand for; a minus that some engines do not hear."""
    text = _COMPARISON.sub(lambda match: _COMPARISONS.get(match.group(), "±"), text)
    if not language.minus:
        return text
    text = _ARROW.sub(" → ", text)
    text = _IN_A_SUM.sub(lambda match: " ÷ " if match[1] == "/" else " − ", text)
    return _MINUS.sub(f"{language.minus} ", text)


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
    text = _MENU.sub(", ", text)
    text = _SHARP.sub(_word(r"\1 {}", language.sharp), text)
    text = _ABOUT.sub(_word("{} ", language.about), text)
    text = _NUMBER.sub(_word("{} ", language.number), text)
    text = _TIMES.sub(_word(" {} ", language.times), text)
    for sign, word in {**language.signs, "@": language.at}.items():
        if sign in text and word:
            text = _sign_pattern(sign).sub(f" {word} ", text)
    return text


@cache
def _sign_pattern(sign: str) -> re.Pattern[str]:
    """Between words, numbers or spaces; a < that opens a word is left-over markup, a @ a person's name."""
    if sign == "@":
        return re.compile(r"(?<=\w)@(?=\w)|@(?=[\s\d])")
    if sign in "<>":
        apart = rf"(?:(?<=[()\s])|(?<![^\W\d_]\d)(?<=\d)|^){sign}(?=[\s(])"
        between = rf"(?<=\d){sign}(?=\w)|(?<!\w\w)(?<=\w){sign}(?=\w(?!\w))"
        return re.compile(rf"{apart}|(?<![<>=-]){sign}(?=\s?[-−]?\.?\d)|{between}")
    return re.compile(rf"(?:(?<=[\w()\s])|^){re.escape(sign)}(?=[\s\w(])")


def _word(template: str, word: str) -> str | Callable[[re.Match[str]], str]:
    return template.format(word) if word else (lambda match: match.group())
