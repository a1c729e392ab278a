"""Whether a take says yes or no to a question. Pure.

Only a plain yes or no counts: "no, at six" is a new command, and must not be taken for an answer.
"""

from __future__ import annotations

import unicodedata

_YES = frozenset(
    {
        *("yes", "yes please", "yeah", "yep", "yup", "sure", "ok", "okay", "right", "correct", "exactly"),
        *("that s right", "send it", "do it", "go ahead", "yes send it", "yes do it", "confirm"),
        *("ja", "ja bitte", "genau", "richtig", "oui", "si", "d accord", "exact", "claro", "sim", "certo"),
        *("tak", "да", "はい", "是", "是的", "네"),
    }
)
_NO = frozenset(
    {
        *(
            "no",
            "no thanks",
            "no thank you",
            "nope",
            "nah",
            "wrong",
            "cancel",
            "cancel that",
            "stop",
            "don t",
        ),
        *("do not", "never mind", "forget it", "that s wrong", "no don t", "drop it"),
        *("nein", "nein danke", "falsch", "abbrechen", "non", "non merci", "annuler", "nao", "nie"),
        *("нет", "いいえ", "不", "不是", "아니요"),
    }
)


def verdict(text: str) -> bool | None:
    """True for a yes, False for a no, None for anything else."""
    words = _plain(text)
    if words in _YES:
        return True
    return False if words in _NO else None


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    kept = (" " if not char.isalnum() else char for char in decomposed if not unicodedata.combining(char))
    return unicodedata.normalize("NFC", " ".join("".join(kept).split()))
