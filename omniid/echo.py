"""Whether a take is what omniid itself was just saying, so that it is asked about and not sent. Pure.

An echo is a piece of the spoken text with a recogniser's mistakes in it. A command may share most words
with the reply it follows: "remind me to call Anna" after "I will remind you to call Anna". What tells the two
apart is what a recogniser seldom changes and a person does: who is meant, yes and no, numbers, and a verb
that is told instead of reported ("turn off" after "I turned off"). The very words are taken for an echo,
whoever said them.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice

from omniid.speech.speakable import MAX_SPOKEN_CHARS, speakable

_MAX_HEARD_CHARS, _MAX_HEARD_WORDS = 2_000, 200  # a minute of quick speech
_MAX_WRITTEN_CHARS = 2 * MAX_SPOKEN_CHARS  # what is spoken has markup around it
_MOST_PLACES = 15  # that are looked at more closely
_WRONG_SHARE = 0.2  # of the words heard
_EXACT_BELOW = 7  # words: in a shorter take a mistake would be a large part
_FEW_WORDS, _FEW_LETTERS = 3, 8
_LONG_WORD = 6  # letters
_SHORTEST_VERB = 3  # letters
_SLIPS_FROM, _SLIPS_UP_TO = 4, 20  # letters of a word in which one may be wrong

# Scripts without spaces go by the character.
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]|\d+|[^\W\d_]+")
_IN_A_NUMBER = re.compile(r"(?<=\d)[,.'’](?=\d{3}(?!\d))")
_FULL_HOUR = re.compile(r"(?<=\d)[:.]00\b")
_CLOCK = re.compile(r"\b(\d\d?)(\d\d)\b")
_HALF_DAY = re.compile(r"\b[ap]\.?\s?m\b\.?|\bo['’]clock\b")
_FOR_EXAMPLE = re.compile(r"\be\.\s?g\b\.?")
_ORDINAL = re.compile(r"(?<=\d)(?:st|nd|rd|th)\b")
_SHORTENED = (
    (re.compile(r"n['’]t\b"), " not"),
    (re.compile(r"\bcannot\b"), "can not"),
    (re.compile(r"['’]ll\b"), " will"),
    (re.compile(r"['’]ve\b"), " have"),
    (re.compile(r"['’]re\b"), " are"),
    (re.compile(r"['’]m\b"), " am"),
    (re.compile(r"['’]d\b"), " would"),
    (re.compile(r"['’]s\b"), " is"),
)


def _table(lines: str) -> list[list[str]]:
    """The words of each line."""
    return [line.split() for line in lines.strip().splitlines()]


# From zero; "-" where a number is written as another word is.
_NUMBERS = {
    word: number
    for words in _table("""
        zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
        null eins zwei drei vier funf sechs sieben acht neun zehn elf zwolf
        - - deux trois quatre cinq - sept huit neuf dix onze douze
        cero - dos tres cuatro - seis siete ocho nueve diez - doce
        - - - - - - - - - - - - - - - - sixteen seventeen eighteen nineteen twenty
    """)
    for number, word in enumerate(words)
    if word != "-"
} | {"thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90}
_WHOLE_TENS = frozenset(str(tens) for tens in range(20, 100, 10))
_UNITS = range(1, 10)
_AFTERNOON = frozenset(map(str, range(13, 24)))
_OF_AN_HOUR = frozenset(("uhr", "heure", "heures", "hora", "horas"))
# A person changes these when they answer or repeat a reply; a recogniser seldom does.
_TELLING = frozenset(
    chain.from_iterable(
        _table("""
            i me my mine you your yours we us our yes yeah no not okay ok please stop cancel instead
            ich mich mir mein meine meinen du dich dir dein deine deinen wir uns
            ja nein nicht kein keine bitte stattdessen
            je moi mon ma mes tu te toi ton ta tes vous votre nous oui non pas merci
            yo mi mis ti tus usted si
        """)
    )
)
# A verb behind one of these reports; told as a command it has another form.
_REPORTING = frozenset(
    chain.from_iterable(
        _table("""
            i have has had been was were is are will
            ich habe wurde wird
            je ai
            he ha
        """)
    )
)


def sounds_like(heard: str, spoken: str, language: str | None = "en") -> bool:
    """Whether a recognised take is a piece of a text that is being spoken, as written or as it is said.

    `language`: of the voice, as `speakable` takes it. One word is never an echo; two are where both are long.
    """
    words = _words(heard[:_MAX_HEARD_CHARS])[:_MAX_HEARD_WORDS]
    if not _are_enough(words):
        return False
    written = spoken[:_MAX_WRITTEN_CHARS]
    said = " ".join(speakable(written, language))
    return any(_is_piece(words, _words(text)) for text in (said, written))


def _are_enough(words: Sequence[str]) -> bool:
    if len(words) >= _FEW_WORDS:
        return sum(map(len, words)) >= _FEW_LETTERS
    return len(words) > 1 and min(map(len, words)) >= _LONG_WORD


def _is_piece(heard: Sequence[str], spoken: Sequence[str]) -> bool:
    most_wrong = 0 if len(heard) < _EXACT_BELOW else int(_WRONG_SHARE * len(heard))
    for end in islice(_ends(heard, spoken, most_wrong), _MOST_PLACES):
        # The same from behind finds where the piece begins.
        before = spoken[max(0, end - len(heard) - most_wrong) : end]
        start = end - max(_ends(heard[::-1], before[::-1], most_wrong), default=len(before))
        if not _is_meant(heard, spoken, start, end):
            return True
    return False


def _is_meant(heard: Sequence[str], spoken: Sequence[str], start: int, end: int) -> bool:
    """Whether words so like `spoken[start:end]` are a person's own all the same."""
    told = Counter(word for word in heard if word in _TELLING or word.isdecimal())
    if told - Counter(spoken[start:end]):
        return True
    verb, around = heard[0], spoken[max(0, start - 3) : start + 2]
    if verb in around:
        return False
    is_reported = not _REPORTING.isdisjoint(around) and any(word[0] == verb[0] for word in around)
    return is_reported or any(word.startswith(verb) for word in around if len(verb) >= _SHORTEST_VERB)


def _ends(heard: Sequence[str], spoken: Sequence[str], most_wrong: int) -> Iterator[int]:
    """Behind which words of `spoken` a piece ends that differs from `heard` in at most so many words.

    Myers' bit-vector algorithm, a bit for each word heard: a word left out, put in or changed counts one.
    """
    places = _places(heard)
    every, last = (1 << len(heard)) - 1, 1 << (len(heard) - 1)
    plus, minus, wrong = every, 0, len(heard)
    known: dict[str, int] = {}
    for end, word in enumerate(spoken, 1):
        if word not in known:
            known[word] = 0
            for spelling in _spellings(word):
                known[word] |= places.get(spelling, 0)
        same = known[word]
        across = (((same & plus) + plus) ^ plus) | same
        up, down = minus | (every & ~(across | plus)), plus & across
        wrong += bool(up & last) - bool(down & last)
        up, down = up << 1 & every, down << 1 & every
        plus, minus = down | (every & ~(same | minus | up)), up & (same | minus)
        if wrong <= most_wrong:
            yield end


def _places(heard: Sequence[str]) -> dict[str, int]:
    places: dict[str, int] = {}
    for place, word in enumerate(heard):
        for spelling in _spellings(word):
            places[spelling] = places.get(spelling, 0) | 1 << place
    return places


def _spellings(word: str) -> set[str]:
    """The word, and it without each of its letters: words of which one letter differs share one of them."""
    if not _SLIPS_FROM <= len(word) <= _SLIPS_UP_TO or word.isdecimal():
        return {word}
    return {word, *(word[:at] + word[at + 1 :] for at in range(len(word)))}


def _words(text: str) -> list[str]:
    """As they sound rather than as they are written: no case, marks or accents, figures for numbers."""
    text = unicodedata.normalize("NFKD", text.casefold())
    text = "".join(char for char in text if not unicodedata.combining(char))
    text = _FOR_EXAMPLE.sub("for example", _HALF_DAY.sub("", text))
    text = _FULL_HOUR.sub("", _IN_A_NUMBER.sub("", text))
    for pattern, whole in _SHORTENED:
        text = pattern.sub(whole, text)
    text = _CLOCK.sub(r"\1 \2", _ORDINAL.sub("", text))
    words: list[str] = []
    for word in _WORD.findall(text):
        _add(word, words)
    return words


def _add(word: str, words: list[str]) -> None:
    """Numbers in figures; an hour by the twelve-hour clock, and without what only says that it is one."""
    before = words[-1] if words else ""
    number = _NUMBERS.get(word)
    if number in _UNITS and before in _WHOLE_TENS:
        words[-1] = str(int(before) + (number or 0))
    elif word not in _OF_AN_HOUR:
        figures = word.lstrip("0") if number is None else str(number)
        words.append(str(int(figures) - 12) if figures in _AFTERNOON else figures or "0")
