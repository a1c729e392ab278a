"""Markdown, HTML, SSML and terminal codes taken off a reply, down to plain paragraphs. Pure.

Every pattern is linear in the length of the text, or bounded where it looks ahead.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from urllib.parse import urlsplit

from omniid.speech.language import Language

READ_ROWS = 6  # of a table; a longer one is announced
READ_COLUMNS = 6
_NAMED_COLUMNS = 6
_WRAPPED_LINE_CHARS = 50  # shorter lines were broken on purpose

_ESCAPES = re.compile(
    r"\x1b\][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC: titles and hyperlinks
    r"|[\x1b][PX^_][^\x1b\x9c]*(?:\x1b\\|\x9c)?"  # DCS and its kin
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # CSI: colours and cursor movements
    r"|\x1b[ -/]*[0-~]?"
)
_EMOJI_BASE = (
    "[\U0001f000-\U0001faff\u2600-\u27bf\u2b05-\u2b07\u2b1b\u2b1c\u2b50\u2b55\u231a\u231b\u23e9-\u23fa]"
)
_EMOJI = re.compile(
    f"(?:{_EMOJI_BASE}|[0-9#*]\ufe0f?\u20e3)(?:{_EMOJI_BASE}|[\ufe0f\u200d\u20e3\U000e0020-\U000e007f])*"
)
_INVISIBLE = {"Cc", "Cf", "Cs", "Co", "Cn"}
_SPACES = re.compile(r" {2,}")
_JOINERS = re.compile(r"(?<=[\u0600-\u08ff\u0900-\u0dff])[\u200c\u200d](?=[\u0600-\u08ff\u0900-\u0dff])")

_FENCE = re.compile(r"[ \t>]*(```+|~~~+)([^`]*)$")
_QUOTE = re.compile(r"[ \t]*(?:>[ \t]?)+")
_HEADING = re.compile(r"[ \t]*#{1,6}[ \t]+(.*?)[ \t#]*$")
_ITEM = re.compile(
    r"[ \t]*(?:(?:[-*+•‣◦▪·–→●○■▸►]|[-=]>)[ \t]+)+(?:\[[ xX]\][ \t]+)?|[ \t]*(?=\d{1,4}[.)][ \t])"
)
_NUMBERED = re.compile(r"\A(\d{1,4})[.)][ \t]+(?:\[[ xX]\][ \t]+)?")
_RULE = re.compile(r"[ \t]*(?:[-*_=][ \t]*){3,}$")
_DEFINITION = re.compile(r"[ \t]*\[[^\[\]]{1,200}\]:[ \t]*\S")
_DELIMITERS = re.compile(r"[ \t]*\|?(?:[ \t]*:?-+:?[ \t]*\|)+(?:[ \t]*:?-+:?[ \t]*)?$")

_AUTOLINK = re.compile(r"<((?:https?://|mailto:)[^\s<>]{1,2000}|[\w.+-]{1,64}@[\w.-]{1,255})>", re.IGNORECASE)
_UNHEARD_ELEMENT = re.compile(
    r"<(script|style|template)\b[^<>]{0,300}>.*?(?:</\1\s*>|\Z)", re.IGNORECASE | re.DOTALL
)
_COMMENT = re.compile(r"<!--.*?(?:-->|\Z)|<\?.{0,300}?\?>|<!\[?[A-Za-z][^<>]{0,300}>", re.DOTALL)
_BLOCK_TAG = re.compile(
    r"</?(?:p|br|div|li|ul|ol|tr|table|h[1-6]|hr|blockquote|pre|section|article|s|break)\b[^<>]{0,300}>",
    re.IGNORECASE,
)
_CELL_END = re.compile(r"</t[dh]\s*>", re.IGNORECASE)
_TAG = re.compile(  # not the middle of "if a<b and c>d"
    r"(?<!\w)</?[A-Za-z][^<>]{0,300}>|</?[A-Za-z][\w:.-]{0,50}(?:\s[^<>=]{0,300}=[^<>]{0,300})?\s{0,9}/?>"
)
_CODE_SPAN = re.compile(r"(`{1,2})([^`\n]{1,500})\1")
_LINK = re.compile(
    r"(!?)\[([^\[\]\n]{0,500})\]"
    r"(?:\([ \t]*(<[^<>\n]{0,2000}>|[^()\s]{0,2000}(?:\([^()\s]{0,200}\)[^()\s]{0,200})?)"
    r"(?:[ \t]+[\"'(][^\"\n]{0,200}[\"')])?[ \t]*\)|\[[^\[\]\n]{0,200}\])"
)
_FOOTNOTE = re.compile(r"\[\^[^\[\]\n]{1,50}\]")
_URL = re.compile(r"\b(?:(?:https?|ftp|wss?)://|www\.|mailto:)[^\s<>\"]+", re.IGNORECASE)
_EMPHASIS = (
    re.compile(r"(?<![\w*])(\*{1,3})(?=[^\s*])([^*\n]{1,500}?)(?<=[^\s*])\1(?!\*)"),
    re.compile(r"(?<![\w_])(_{1,3})(?=[^\s_])([^\n]{1,200}?)(?<=[^\s_])\1(?![\w_])"),
    re.compile(r"(~~)(?=\S)([^~\n]{1,500}?)(?<=\S)\1"),
)
_BACKSLASHED = re.compile(r"\\(?=[!-/:-@\[-`{-~])")
_MOST_UNESCAPES = 3


def paragraphs(text: str, language: Language) -> Iterator[str]:
    """What there is to read, a paragraph, heading, item or row at a time, without markup."""
    lines = _announce_code(_visible(text).split("\n"), language)
    for block in _blocks(_without_tags("\n".join(lines)).split("\n"), language):
        words = _inline(block)
        if any(char.isalnum() for char in words):
            yield words


def _visible(text: str) -> str:
    text = _ESCAPES.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = _EMOJI.sub(" ", unicodedata.normalize("NFC", text))
    joiners = {match.start() for match in _JOINERS.finditer(text)}
    kept = (char if char == "\n" or at in joiners else _seen(char) for at, char in enumerate(text))
    return _SPACES.sub(" ", "".join(kept))


@lru_cache(4096)
def _seen(char: str) -> str:
    category = unicodedata.category(char)
    if char == "\t" or category in {"Zs", "Zl", "Zp"}:
        return " "
    return "" if category in _INVISIBLE else char


def _announce_code(lines: Sequence[str], language: Language) -> Iterator[str]:
    """Lines between fences become a note of how many they are; an unclosed fence reaches to the end."""
    fence, inside = "", 0
    for line in lines:
        match = _FENCE.match(line)
        if not fence:
            if match is None:
                yield line
                continue
            fence, inside = match[1], 0
        elif match is not None and match[1].startswith(fence) and not match[2].strip():
            fence = ""
            yield from _code_note(inside, language)
        elif line.strip():
            inside += 1
    if fence:
        yield from _code_note(inside, language)


def _code_note(lines: int, language: Language) -> tuple[str, ...]:
    template = language.code_line if lines == 1 else language.code_lines
    return ("", template.format(lines=lines), "") if lines and template else ("",)


def _without_tags(text: str) -> str:
    text = _AUTOLINK.sub(r" \1 ", text)
    text = _CODE_SPAN.sub(_code_words, text)
    text = _UNHEARD_ELEMENT.sub(" ", _COMMENT.sub(" ", text))
    text = _BLOCK_TAG.sub("\n\n", _CELL_END.sub(", ", text))
    text = _TAG.sub("", text)
    for _ in range(_MOST_UNESCAPES):
        text = html.unescape(text)
    return _visible(text)


def _code_words(match: re.Match[str]) -> str:
    code = _TAG.sub(lambda tag: f" {tag.group()[1:-1]} ", match[2])
    return re.sub(r"[*_~\[\]|]", " ", code).replace("<", "&lt;").replace(">", "&gt;")


def _blocks(lines: Sequence[str], language: Language) -> Iterator[str]:
    """Paragraphs in reading order; a line that was only wrapped is joined to the one before."""
    gathered: list[str] = []
    at = 0
    while at < len(lines):
        line = _unquoted(lines[at])
        rows = _table_rows(lines, at)
        heading = _HEADING.match(line)
        item = _ITEM.match(line)
        stands_apart = rows or heading or item or not line.strip() or _RULE.match(line)
        if gathered and (stands_apart or not _continues(gathered[-1], line)):
            yield " ".join(gathered)
            gathered = []
        if rows:
            yield from _table(rows, language)
            at += len(rows) + 1
            continue
        if heading:
            yield heading[1]
        elif item:
            gathered = [_NUMBERED.sub(r"\1. ", line[item.end() :], count=1)]
        elif not stands_apart and not _DEFINITION.match(line):
            gathered.append(line.strip())
        at += 1
    yield " ".join(gathered)


def _unquoted(line: str) -> str:
    quote = _QUOTE.match(line)
    return line[quote.end() :] if quote else line


def _continues(before: str, line: str) -> bool:
    return len(before) >= _WRAPPED_LINE_CHARS or line.lstrip()[:1].islower()


def _table_rows(lines: Sequence[str], at: int) -> list[list[str]]:
    """The cells of a table that begins here, its heading first; without the line under the heading."""
    if "|" not in lines[at] or at + 1 == len(lines) or not _DELIMITERS.match(lines[at + 1]):
        return []
    rows = [lines[at]]
    for line in lines[at + 2 :]:
        if "|" not in line:
            break
        rows.append(line)
    return [[cell.strip() for cell in row.strip().strip("|").split("|")] for row in rows]


def _table(rows: list[list[str]], language: Language) -> Iterator[str]:
    heading, *body = rows
    if len(body) > READ_ROWS or len(heading) > READ_COLUMNS:
        columns = ", ".join(cell for cell in heading[:_NAMED_COLUMNS] if cell)
        if language.table:
            yield language.table.format(rows=len(body), columns=columns)
        return
    for row in body:
        cells = [_cell(name, cell) for name, cell in zip(heading, row, strict=False) if cell]
        yield ", ".join(cells)


def _cell(name: str, cell: str) -> str:
    return f"{name}: {cell}" if name else cell


def _inline(text: str) -> str:
    text = _FOOTNOTE.sub("", text)
    text = _LINK.sub(_link_words, text)
    text = _URL.sub(_host, text)
    for mark in _EMPHASIS:
        text = mark.sub(r"\2", text)
    return " ".join(_BACKSLASHED.sub("", text).split())


def _link_words(match: re.Match[str]) -> str:
    is_image, words, target = match[1], match[2].strip(), (match[3] or "").strip("<>")
    return words if words or is_image else target


def _host(match: re.Match[str]) -> str:
    """`https://www.example.org/a?b` is heard as "example.org"; punctuation after it stays."""
    url = match.group()
    bare = url.rstrip(".,;:!?)]}'\"*_~`|\\")
    rest = url[len(bare) :]
    if bare.casefold().startswith("mailto:"):
        return bare[7:].partition("?")[0] + rest
    try:
        host = urlsplit(bare if "://" in bare else f"//{bare}").hostname or ""
    except ValueError:  # a bracket that is no IPv6 address
        host = ""
    return host.removeprefix("www.") + rest
