"""A reply as people write it for the eye, made into sentences for a voice. Pure; bounded in time and length.

A second pass changes nothing: the sentences, written as paragraphs of their own, give the same list again.
"""

from __future__ import annotations

import re
from itertools import accumulate

from omniid.speech.figures import say_figures
from omniid.speech.language import LANGUAGES, Language, find_language
from omniid.speech.markup import paragraphs

MAX_READ_CHARS = 50_000
MAX_SPOKEN_CHARS = 3_000  # about three and a half minutes
MAX_PIECE_CHARS = 240
MAX_FIRST_PIECE_CHARS = 80  # it is made while nothing is heard yet
_ROOM_FOR_NOTE_CHARS = 100
_MOST_PASSES = 4

_UNSPEAKABLE = re.compile(r"[<>\[\]{}|\\`*_~^#@&]|://")
_SPACE_BEFORE_MARK = re.compile(r"\s+([.,;:!?])(?=[\s.,;:!?]|$)")
_LEADING_MARKS = re.compile(r"(?:[-+•‣◦▪·–—=.,;:!?…。！？]+\s+|[-+=]{3,})+")
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)]*(?=\s)|[。！？؟۔।]+[\"'”’」』)）]*")
_MONTHS = "|".join(month for language in LANGUAGES.values() for month in language.months)
# A full stop after one of these ends no sentence; a single letter ("p.m.", "J. S. Bach") never does.
_ABBREVIATION = re.compile(
    r"[^\W\d_]|mrs?|mx|ms|messrs|dr|prof|st|jr|sr|vs|etc|approx|dept|est|inc|ltd|corp|ave|blvd|rd|gen|col|sgt|rev|hon"
    r"|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec|tues?|thurs?|fri|incl|esp|resp|cf|al|ca|ie|eg"
    r"|bzw|evtl|ggf|inkl|zzgl|hr|fr|tel|str|sog|vgl|usw|mme|mlle|sra|srta|ud",
    re.IGNORECASE,
)
_BEFORE_A_NUMBER = re.compile(
    r"no|nos|nr|vol|pp?|figs?|art|ch|sec|para|op|núm|apt|ste|ext|ver", re.IGNORECASE
)
_NUMBER_NEXT = re.compile(r"\s+\d")
_LOWER_CASE_NEXT = re.compile(r"\s+[a-zß-öø-ÿ]")
_UPPER_CASE_NEXT = re.compile(r"\s+[^\W\d_]")
_MONTH_NEXT = re.compile(rf"\s+(?:{_MONTHS})\b")
_LAST_WORD = re.compile(r"([^\W\d_]+)\.$")
_ITEM_NUMBER = re.compile(r"\s*\d{1,4}\.$")
_DAY_NUMBER = re.compile(r"(?<![\d.,:])\d\d?\.$")
_ENDS_WELL = re.compile(r"[.!?…:;,。！？؟۔।、，][\"'”’」』)）]*$")
_SENTENCE_ENDED = re.compile(r"[.!?…。！？؟۔।:][\"'”’」』)）]*$")
_WEAK_BREAK = re.compile(r"[,;:–—]\s|[、，；]")


def speakable(text: str, language: str | None = None, *, in_history: bool = True) -> list[str]:
    """What a voice should say for a reply, a sentence (or part of a very long one) at a time.

    `language`: a tag such as "en" or "de-AT", for figures and notes; unknown ones are left as they stand.
    The list is empty when there is nothing to say. It has at most MAX_SPOKEN_CHARS characters: a longer
    reply ends at a sentence, with a note where there is more: in the history, if it is `in_history`.
    """
    words = find_language(language)
    pieces = _read(text[:MAX_READ_CHARS], words)
    for _ in range(_MOST_PASSES):
        # What stood behind markup may only now be seen for a date or a measure.
        before, pieces = pieces, _read("\n\n".join(pieces), words)
        if pieces == before:
            break
    is_whole = len(text) <= MAX_READ_CHARS and sum(map(len, pieces)) <= MAX_SPOKEN_CHARS
    note = words.more if in_history else words.left_out
    if is_whole or not note:
        return _within(pieces, MAX_SPOKEN_CHARS)
    return [*_within(pieces, MAX_SPOKEN_CHARS - _ROOM_FOR_NOTE_CHARS), note]


def _read(text: str, language: Language) -> list[str]:
    """The pieces from the beginning of the text, at least MAX_SPOKEN_CHARS of them where it is that long."""
    pieces: list[str] = []
    chars = 0
    for paragraph in paragraphs(text, language):
        plain = _plain(say_figures(paragraph, language))
        for sentence in _sentences(_closed(plain), language) if plain else ():
            pieces += _cut(sentence, is_first=not pieces)
        chars += len(plain)
        if chars > 2 * MAX_SPOKEN_CHARS:
            break
    return pieces


def _within(pieces: list[str], limit: int) -> list[str]:
    """As many whole sentences as fit; of a first one that does not, as many of its pieces as do."""
    lengths = accumulate(map(len, pieces))
    fitting = [piece for piece, length in zip(pieces, lengths, strict=True) if length <= limit]
    if len(fitting) == len(pieces):
        return fitting
    whole = [at for at, piece in enumerate(fitting, 1) if _SENTENCE_ENDED.search(piece)]
    return fitting[: whole[-1]] if whole else fitting


def _plain(text: str) -> str:
    """Without what an engine would take for commands (<, [[) or read as a mark's name."""
    text = " ".join(_UNSPEAKABLE.sub(" ", text).split())
    text = _SPACE_BEFORE_MARK.sub(r"\1", text)
    return _without_leading_marks(text)


def _without_leading_marks(text: str) -> str:
    text = _LEADING_MARKS.sub("", text, count=1) if _LEADING_MARKS.match(text) else text
    return text.strip() if _has_words(text) else ""


def _has_words(text: str) -> bool:
    return any(char.isalnum() for char in text)


def _closed(paragraph: str) -> str:
    """With a full stop where the eye saw the end of the line and the ear would hear none."""
    return paragraph if _ENDS_WELL.search(paragraph) else f"{paragraph}."


def _sentences(text: str, language: Language) -> list[str]:
    found: list[str] = []
    start = 0
    for end in _SENTENCE_END.finditer(text):
        if _really_ends(text, start, end, language):
            found.append(text[start : end.end()])
            start = end.end()
    found.append(text[start:])
    stripped = (_without_leading_marks(sentence.strip()) for sentence in found)
    return [_closed(sentence) for sentence in stripped if sentence]


def _really_ends(text: str, start: int, end: re.Match[str], language: Language) -> bool:
    mark = end.group()
    if mark[0] not in ".…":
        return True
    if _LOWER_CASE_NEXT.match(text, end.end()):
        return False
    if not mark.startswith(".") or mark.startswith(".."):
        return True
    return not _is_abbreviated(text, start, end, language)


def _is_abbreviated(text: str, start: int, end: re.Match[str], language: Language) -> bool:
    stop = end.start() + 1
    if _ITEM_NUMBER.fullmatch(text, start, stop):
        return True
    if _DAY_NUMBER.search(text, max(start, stop - 4), stop):
        follows = _UPPER_CASE_NEXT if language.has_ordinal_dots else _MONTH_NEXT
        return follows.match(text, end.end()) is not None
    word = _LAST_WORD.search(text, max(start, stop - 13), stop)
    if word is None:
        return False
    if _BEFORE_A_NUMBER.fullmatch(word[1]):
        return _NUMBER_NEXT.match(text, end.end()) is not None or len(word[1]) == 1
    return _ABBREVIATION.fullmatch(word[1]) is not None


def _cut(sentence: str, *, is_first: bool) -> list[str]:
    """A long sentence cut at commas, else at spaces, since a voice makes a piece whole before it is heard."""
    pieces = []
    at = _comma(sentence, MAX_FIRST_PIECE_CHARS) if is_first else None
    while at is not None or len(sentence) > MAX_PIECE_CHARS:
        at = at or _comma(sentence, MAX_PIECE_CHARS) or sentence.rfind(" ", 0, MAX_PIECE_CHARS) + 1
        head = sentence[: at or MAX_PIECE_CHARS - 1].strip()
        sentence = sentence[at or MAX_PIECE_CHARS - 1 :].strip()
        pieces.append(head if _ENDS_WELL.search(head) else f"{head},")
        at = None
    return [*pieces, sentence]


def _comma(sentence: str, limit: int) -> int | None:
    """Where the last clause within the limit ends, if the sentence is longer than that."""
    if len(sentence) <= limit:
        return None
    ends = [match.end() for match in _WEAK_BREAK.finditer(sentence, 0, limit)]
    return ends[-1] if ends else None
