"""What a person typed into a search, as something the index understands. No text is a syntax error.

All the words have to be there, the last letters of each may be missing, and case and accents do not matter.
Scripts without spaces between words (Chinese, Japanese, Thai, …) are looked for letter by letter.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

_MOST_CHARACTERS = 1_000
_MOST_WORDS = 32

# Thai, Lao, Burmese, Khmer; then kana, bopomofo and ideographs with their extensions; Hangul, whose particles
# hang on to the words.
_UNSPACED = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u312f\u31a0-\u31bf\u31f0-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\uff66-\uff9f\U00020000-\U0003ffff]"
)


@dataclass(frozen=True, slots=True)
class Search:
    """`match`: an FTS5 expression, or None. `pieces`: LIKE patterns that have to fit as well.

    With neither there was no word in it, and nothing is found.
    """

    match: str | None
    pieces: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        return self.match is None and not self.pieces


def parse(typed: str) -> Search:
    """The search that these words ask for."""
    text = unicodedata.normalize("NFC", typed[:_MOST_CHARACTERS].replace('"', " ").replace("\x00", " "))
    # Without the lone surrogates, which SQLite would refuse.
    words = [word for word in text.encode(errors="ignore").decode().split() if any(map(str.isalnum, word))]
    words = list(dict.fromkeys(words))[:_MOST_WORDS]
    spaced = [word for word in words if not _UNSPACED.search(word)]
    # In quotes nothing is an operator; the index takes such a phrase apart as it did the texts.
    match = " AND ".join(f'"{word}"*' for word in spaced)
    return Search(match or None, tuple(_pattern(word) for word in words if _UNSPACED.search(word)))


def _pattern(word: str) -> str:
    escaped = re.sub(r"([\\%_])", r"\\\1", word)
    return f"%{escaped}%"
