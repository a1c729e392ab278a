"""The text of a notice, made safe and short: nothing in it can steer a terminal, a bus or the eye. Pure."""

from __future__ import annotations

import re

from omniid.wording import UNWANTED

MAX_TITLE = 80
MAX_BODY = 400
MAX_LINES = 6

_ELLIPSIS = "…"
_READ_CHARS = 20 * MAX_BODY  # so that a huge text costs nothing
_ESCAPES = re.compile(
    r"\x1b[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"  # OSC, DCS and their kin, with what they hold
    r"|(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]?"  # CSI: colours and cursor movements
    r"|\x1b[ -/]*[0-~]?"
)
_BREAKS = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_SPACES = re.compile("[ \u00a0]{2,}")


def title(text: str) -> str:
    """On one line, and at most `MAX_TITLE` characters."""
    return _cut(" ".join(_safe(text).split()), MAX_TITLE)


def body(text: str) -> str:
    """At most `MAX_LINES` lines, none of them empty, and at most `MAX_BODY` characters."""
    lines = [line for line in (line.strip() for line in _safe(text).split("\n")) if line]
    if len(lines) > MAX_LINES:
        lines = [*lines[: MAX_LINES - 1], f"{lines[MAX_LINES - 1]} {_ELLIPSIS}"]
    return _cut("\n".join(lines), MAX_BODY)


def _safe(text: str) -> str:
    text = _ESCAPES.sub("", text[:_READ_CHARS])
    text = _BREAKS.sub("\n", text.replace("\t", " "))
    return _SPACES.sub(" ", UNWANTED.sub("", text))


def _cut(text: str, most: int) -> str:
    """Cut after a whole word, where there is one that is not too far back."""
    if len(text) <= most:
        return text
    kept = text[: most - 1]
    if not text[most - 1].isspace():
        kept = _without_last_word(kept)
    return kept.rstrip().removesuffix(_ELLIPSIS).rstrip() + _ELLIPSIS


def _without_last_word(text: str) -> str:
    whole = re.sub(r"\S+\Z", "", text)
    return whole if len(whole) >= len(text) // 2 else text
