"""Text that Whisper invents where nobody spoke. Pure.

It learned from subtitles: silence at their end goes with thanks and credits. Credits are never a command.
A courtesy may be one, so it is refused only where there was hardly any speech: a clear "you" has a quarter of
a second of it and is quite sure, the "you" that nobody said is half sure at most.
"""

from __future__ import annotations

import re
import unicodedata

LITTLE_SPEECH_S = 0.5
HARDLY_SPEECH_S = 0.15
CLEAR_CONFIDENCE = 0.6

_ANNOTATION = re.compile(r"\[[^\]]*\]|\([^)]*\)|\*[^*]*\*|♪[^♪]*♪?")

_CREDITS = (
    "amara org",
    "subtitles by the",
    "subtitled by",
    "transcription by castingwords",
    "thanks for watching",
    "thank you for watching",
    "untertitel im auftrag des zdf",
    "untertitelung des zdf",
    "sous titrage",
    "sous titres realises",
    "subtitulos realizados",
    "sottotitoli creati",
    "legendas pela comunidade",
    "ondertiteling",
    "napisy stworzone przez",
    "субтитры",
    "продолжение следует",
    "字幕by",
    "ご視聴ありがとうございました",
    "谢谢观看",
    "시청해주셔서 감사합니다",
)

_COURTESIES = frozenset(
    {
        "please subscribe",
        "like and subscribe",
        "you",
        "thank you",
        "thank you very much",
        "thank you so much",
        "thanks",
        "bye",
        "bye bye",
        "so",
        "uh",
        "oh",
        "hmm",
        "the",
        "i m sorry",
        "we ll be right back",
        "vielen dank",
        "danke",
        "merci",
        "gracias",
        "muchas gracias",
        "grazie",
        "obrigado",
        "спасибо",
        "ありがとうございました",
        "谢谢",
        "감사합니다",
    }
)


def without_annotations(text: str) -> str:
    """Without "[BLANK_AUDIO]", "(clicking)", "*sighs*" and music: descriptions of sound, not words."""
    return " ".join(_ANNOTATION.sub(" ", text).split())


def is_phantom(text: str, speech_s: float, confidence: float) -> bool:
    """Whether nobody can be believed to have said this in a take with so much speech.

    `confidence`: how sure the recogniser is of the words, 0 to 1.
    """
    plain = _plain(text)
    if not plain:
        return True
    if plain.startswith(_PLAIN_CREDITS):
        return True
    if plain not in _COURTESIES:
        return False
    return speech_s < HARDLY_SPEECH_S or (speech_s < LITTLE_SPEECH_S and confidence < CLEAR_CONFIDENCE)


def _plain(text: str) -> str:
    """Lower case, no accents, only letters and digits with single spaces between."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    kept = (" " if not char.isalnum() else char for char in decomposed if not unicodedata.combining(char))
    return unicodedata.normalize("NFC", " ".join("".join(kept).split()))


_PLAIN_CREDITS = tuple(_plain(credit) for credit in _CREDITS)
