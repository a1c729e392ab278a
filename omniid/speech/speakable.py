"""Text as people write it for the eye, made fit for a voice. Pure; linear in the length of the text."""

from __future__ import annotations

import re
import unicodedata
from urllib.parse import urlsplit

MAX_PIECE_CHARS = 240

_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC: titles and hyperlinks
    r"|[\x1b][PX^_][^\x1b\x9c]*(?:\x1b\\|\x9c)?"  # DCS and its kin
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # CSI: colours and cursor movements
    r"|\x1b[ -/]*[0-~]?"
)
_EMOJI_BASE = "[\U0001f000-\U0001faff\u2600-\u27bf\u2b50\u2b55\u231a\u231b\u23e9-\u23f3]"
_EMOJI = re.compile(
    f"(?:{_EMOJI_BASE}|[0-9#*]\ufe0f?\u20e3)(?:{_EMOJI_BASE}|[\ufe0f\u200d\u20e3\U000e0020-\U000e007f])*"
)
_FENCE = re.compile(r"^[ ]{0,3}(?:```+|~~~+).*$", re.MULTILINE)
_QUOTE = re.compile(r"^[ \t]*(?:>[ \t]?)+", re.MULTILINE)
_HEADING = re.compile(r"^[ \t]*#{1,6}[ \t]+([^\n]*)$", re.MULTILINE)
_ITEM = re.compile(r"^[ \t]*(?:[-*+]|(\d{1,4}[.)]))[ \t]+", re.MULTILINE)
_RULE = re.compile(r"^[ \t]*(?:[-*_][ \t]*){3,}$", re.MULTILINE)
_LINK = re.compile(r"!?\[([^\[\]\n]{0,500})\]\([^()\s]{0,2000}(?:[ \t]+\"[^\"\n]{0,200}\")?\)")
_URL = re.compile(r"<?\b(?:https?|ftp)://[^\s<>\"]+>?", re.IGNORECASE)
_EMPHASIS = (
    re.compile(r"(?<![\w*])(\*{1,3})(?=[^\s*])([^*\n]{1,500}?)(?<=[^\s*])\1(?![\w*])"),
    re.compile(r"(?<![\w_])(_{1,3})(?=[^\s_])([^\n]{1,200}?)(?<=[^\s_])\1(?![\w_])"),
    re.compile(r"(~~)(?=\S)([^~\n]{1,500}?)(?<=\S)\1"),
    re.compile(r"(`{1,2})([^`\n]{1,500})\1"),
)
_INVISIBLE = {"Cc", "Cs", "Co", "Cn"}
_UNHEARD = frozenset(  # soft hyphens, marks and overrides of direction, joiners of nothing
    "\u00ad\u061c\u200b\u200e\u200f\u2060\ufeff\ufe0f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
)
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)|[。！？]+|\n+")
# A full stop after one of these ends no sentence; a single letter ("p.m.", "J. S. Bach") never does.
_ABBREVIATION = re.compile(
    r"[^\W\d_]|mrs?|ms|dr|prof|st|jr|sr|vs|etc|fig|approx|dept|est|inc|ltd"
    r"|jan|feb|mar|apr|jun|jul|aug|sept?|oct|nov|dec",
    re.IGNORECASE,
)
_LOWER_CASE_NEXT = re.compile(r"\s+[a-zß-öø-ÿ]")
_LAST_WORD = re.compile(r"([^\W\d_]+)\.$")
_ITEM_NUMBER = re.compile(r"\s*\d{1,4}\.$")
_ENDS_WELL = re.compile(r"[.!?…:;,。！？][\"'”’)\]]*$")
_WEAK_BREAK = re.compile(r"[,;:–—]\s")


def make_speakable(text: str) -> str:
    """What a voice should say for `text`; empty when there is nothing to say.

    Lines in the result are sentences or parts of one that stood apart (a heading, an item of a list).
    """
    text = _ESCAPES.sub("", text.replace("\r\n", "\n"))
    text = _FENCE.sub("\n", text)
    text = _RULE.sub("\n", text)
    text = _QUOTE.sub("", text)
    text = _HEADING.sub(r"\n\1\n", text)
    text = _ITEM.sub(lambda match: f"\n{match[1] or ''} ", text)
    text = _LINK.sub(r"\1", text)
    text = _URL.sub(_host, text)
    for mark in _EMPHASIS:
        text = mark.sub(r"\2", text)
    text = _EMOJI.sub(" ", text)
    text = "".join(" " if char == "\t" else char for char in text if char in "\n\t" or _is_heard(char))
    paragraphs = (" ".join(paragraph.split()) for paragraph in re.split(r"\n[ \t]*\n[\s]*", text))
    return "\n".join(_closed(paragraph) for paragraph in paragraphs if _has_words(paragraph))


def split_sentences(text: str) -> list[str]:
    """Pieces of speakable text to be spoken one after the other: sentences, the very long ones cut."""
    pieces: list[str] = []
    start = 0
    for end in _SENTENCE_END.finditer(text):
        if "\n" not in end.group() and not _really_ends(text, start, end):
            continue
        pieces += _cut(text[start : end.end()].strip())
        start = end.end()
    return [piece for piece in [*pieces, *_cut(text[start:].strip())] if piece]


def _is_heard(char: str) -> bool:
    return char not in _UNHEARD and unicodedata.category(char) not in _INVISIBLE


def _has_words(text: str) -> bool:
    return any(char.isalnum() or unicodedata.category(char) in {"Sc", "Sm", "So"} for char in text)


def _host(match: re.Match[str]) -> str:
    """`https://www.example.org/a?b` is heard as "example.org"; punctuation after it stays."""
    url = match.group().strip("<>")
    bare = url.rstrip(".,;:!?)]}'\"*_~`")
    try:
        host = urlsplit(bare).hostname or ""
    except ValueError:  # a bracket that is no IPv6 address
        host = ""
    return host.removeprefix("www.") + url[len(bare) :]


def _closed(paragraph: str) -> str:
    """With a full stop where the eye saw the end of the line and the ear would hear none."""
    return paragraph if _ENDS_WELL.search(paragraph) else f"{paragraph}."


def _really_ends(text: str, start: int, end: re.Match[str]) -> bool:
    if end.group()[0] != ".":
        return True
    if _ITEM_NUMBER.fullmatch(text, start, end.start() + 1):
        return False
    word = _LAST_WORD.search(text, max(start, end.start() - 12), end.start() + 1)
    is_short = word is not None and _ABBREVIATION.fullmatch(word[1]) is not None
    return not is_short and not _LOWER_CASE_NEXT.match(text, end.end())


def _cut(piece: str) -> list[str]:
    """At a comma or a space, since a voice makes a piece whole before its first sound is heard."""
    parts = []
    while len(piece) > MAX_PIECE_CHARS:
        window = piece[:MAX_PIECE_CHARS]
        commas = [match.end() for match in _WEAK_BREAK.finditer(window)]
        at = commas[-1] if commas else window.rfind(" ") + 1 or MAX_PIECE_CHARS
        parts.append(piece[:at].strip())
        piece = piece[at:].strip()
    return [*parts, piece]
