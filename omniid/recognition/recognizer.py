"""What a recogniser is to the rest of omniid."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Recognition:
    """What was said. `confidence`: how sure the words are, 0 to 1; `text` may be empty.

    A recogniser that gives no confidence says 1.
    """

    text: str
    confidence: float
    language: str


NOTHING = Recognition(text="", confidence=0.0, language="")


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the recogniser should know beforehand.

    `language` None: find out, and among `languages` where there are any. `is_draft`: the text is shown while
    the user still speaks and then forgotten, so quick is better than right.
    """

    language: str | None = None
    languages: tuple[str, ...] = ()
    vocabulary: tuple[str, ...] = ()
    is_draft: bool = False


class Recognizer(Protocol):
    """Sound is 16 kHz mono int16, little endian, and has speech in it. One thread at a time."""

    @property
    def model_name(self) -> str: ...

    @property
    def device(self) -> str:
        """Where it runs: cpu, cuda, or the address of a server."""

    @property
    def compute_type(self) -> str:
        """The numbers it computes with, such as int8; empty where that is not known."""

    @property
    def load_s(self) -> float:
        """How long the model took to load, in seconds."""

    @property
    def note(self) -> str | None:
        """What is not as the user wanted it, in a sentence."""

    @property
    def may_draft(self) -> bool:
        """Whether a take that still runs may be recognised: false where each try is sent to somebody else."""

    def recognise(self, pcm: bytes, wishes: Wishes, is_cancelled: Callable[[], bool]) -> Recognition:
        """The words in a sound; NOTHING when cancelled, or when they cannot have been said.

        Raises:
            RecognitionError: the recogniser failed.
        """
