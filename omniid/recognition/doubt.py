"""Whether a recogniser's attempt can be believed. Pure.

Whisper can fail in two ways that show: it falls into a loop and says the same again and again, or it is not
sure of its own words. A quick attempt that does either is made again with care; what is still so after that
was not said.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

DOUBTFUL_CONFIDENCE = 0.6  # one take in four, and most of those are wrong
GRAVE_CONFIDENCE = 0.5  # below, the full window is right more often than a second short one
# On silence the model writes "You", says itself that nobody spoke, and is half sure of both.
NO_SPEECH_PROBABILITY = 0.6
CERTAIN_NO_SPEECH = 0.9
UNSURE_LOGPROB = -0.7
MAX_COMPRESSION_RATIO = 2.4
LOOP_REPEATS = 3
LONGEST_REPEATED_WORDS = 12
TOKENS_TO_BEGIN = 12
TOKENS_PER_S = 9  # fast speech has five


@dataclass(frozen=True, slots=True)
class Attempt:
    """What the model made of a sound. `avg_logprob` is over its tokens, the end's among them.

    `no_speech`: how likely it is, says the model, that nobody spoke. `is_cut`: its tokens ran out.
    `confidence`: how sure it is of the words, 0 to 1.
    """

    text: str
    avg_logprob: float
    no_speech: float
    is_cut: bool
    confidence: float


@dataclass(frozen=True, slots=True)
class Reading:
    """One way to understand a sound. `logprob` is the sum over so many tokens, the end's among them."""

    text: str
    logprob: float
    tokens: int


def confidence(readings: Sequence[Reading]) -> float:
    """How sure the words of the first reading are, 0 to 1, given all that were thought of.

    The mean token probability alone says little: it doubts the spelling of "Stop!" as much as a word it
    misheard. So readings with the same words count as one, and their mean token probability is weighed
    against those with others: the geometric mean of it and of the share that says these words.
    """
    best = readings[0]
    words = _words(best.text)
    chances = [math.exp(min(0.0, reading.logprob)) for reading in readings]
    same = sum(
        chance for chance, reading in zip(chances, readings, strict=True) if _words(reading.text) == words
    )
    if not same:
        return 0.0
    share = same / sum(chances)
    return math.sqrt(min(1.0, same) ** (1 / best.tokens) * share)


def token_budget(seconds: float) -> int:
    """How many tokens anybody could say in so long: a loop has to end somewhere."""
    return TOKENS_TO_BEGIN + int(seconds * TOKENS_PER_S)


def is_doubtful(attempt: Attempt) -> bool:
    """Whether to try again with a little more care."""
    return attempt.confidence < DOUBTFUL_CONFIDENCE or is_gravely_doubtful(attempt)


def is_gravely_doubtful(attempt: Attempt) -> bool:
    """Whether to try again with all the care there is."""
    return (
        attempt.confidence < GRAVE_CONFIDENCE
        or attempt.no_speech > NO_SPEECH_PROBABILITY
        or _is_stuck(attempt)
    )


def is_credible(attempt: Attempt) -> bool:
    """Whether somebody may have said this."""
    if not attempt.text or compression_ratio(attempt.text) > MAX_COMPRESSION_RATIO:
        return False  # it repeats itself
    limit = NO_SPEECH_PROBABILITY if attempt.avg_logprob < UNSURE_LOGPROB else CERTAIN_NO_SPEECH
    return attempt.no_speech <= limit


def better(first: Attempt, second: Attempt) -> Attempt:
    """The one to believe: no loop if there is a choice, then the surer."""
    return max(first, second, key=lambda attempt: (not _is_stuck(attempt), attempt.confidence))


def loops(text: str) -> bool:
    """Whether it says the same words three times in a row, or all of it twice and more."""
    words = _words(text)
    for length in range(1, min(LONGEST_REPEATED_WORDS, len(words) // 2) + 1):
        is_all = length > 1 and _repeats(words, length, 0) * length >= len(words) - length + 1
        if is_all:
            return True
        starts = range(len(words) - length * LOOP_REPEATS + 1)
        if any(_repeats(words, length, start) >= LOOP_REPEATS for start in starts):
            return True
    return False


def compression_ratio(text: str) -> float:
    """How much shorter zlib makes it; prose of a few sentences stays below two."""
    plain = text.encode()
    return len(plain) / len(zlib.compress(plain))


def _is_stuck(attempt: Attempt) -> bool:
    return attempt.is_cut or loops(attempt.text)


def _words(text: str) -> list[str]:
    """Lower case, without punctuation. Writing without spaces is taken letter by letter."""
    plain = "".join(char if char.isalnum() or char == "'" else " " for char in text.casefold())
    words = plain.split()
    return words if len(words) > 1 or plain.isascii() else list("".join(words))


def _repeats(words: Sequence[str], length: int, start: int) -> int:
    """How many times in a row the `length` words at `start` stand there."""
    unit, count = words[start : start + length], 1
    while words[start + count * length : start + (count + 1) * length] == unit:
        count += 1
    return count
