"""A command's text, made clean before it is accepted; what no text may hold, wherever it is shown."""

from __future__ import annotations

import re
import unicodedata

from omniid.errors import TextRefusedError

MAX_CHARACTERS = 8_000
_QUOTED_CHARACTERS = 80

# Control characters but for the tab and the newline (so escape sequences too) and lone surrogates; the bidi
# overrides and isolates can make a text read differently from what it is, so they go too.
_BIDI = "\u202a-\u202e\u2066-\u2069"
UNWANTED = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff{_BIDI}]")


def quoted(message: str) -> str:
    """A command's words, cut to what a sentence about it can hold."""
    if len(message) <= _QUOTED_CHARACTERS:
        return f"“{message}”"
    return f"“{message[:_QUOTED_CHARACTERS].rstrip()}…”"


def takes_found(number: int) -> str:
    """What the user hears of takes that an earlier run left."""
    if number == 1:
        return "I was stopped, but what you said is kept for ten minutes: run `omniid take retry`."
    return (
        f"I was stopped, but {number} things that you said are kept for ten minutes: see `omniid take list`."
    )


def clean(text: str) -> str:
    """The text in NFC without control characters, bidi overrides and outer space.

    Raises:
        TextRefusedError: nothing is left, or more than `MAX_CHARACTERS`.
    """
    cleaned = unicodedata.normalize("NFC", UNWANTED.sub("", text.replace("\r\n", "\n"))).strip()
    if not cleaned:
        raise TextRefusedError("The command is empty. Say or type what you want done.", code="text_empty")
    if len(cleaned) > MAX_CHARACTERS:
        raise TextRefusedError(
            f"The command has {len(cleaned):,} characters; {MAX_CHARACTERS:,} is the most. Shorten it, "
            "or send it in parts.",
            code="text_too_long",
        )
    return cleaned
