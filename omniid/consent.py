"""What a take says to a question: yes, no, a decision, an answer. Pure.

Only a plain yes or no counts: "no, at six" is a new command, and must not be taken for an answer.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from omniid.protocol.messages import ApprovalAction

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


_DECISIONS: dict[str, ApprovalAction] = {
    "approve": "approve_all",
    "approve all": "approve_all",
    "approve it": "approve_all",
    "approve step": "approve_step",
    "approve this step": "approve_step",
    "reject": "cancel_all",
    "reject step": "reject_step",
    "reject this step": "reject_step",
    "skip this step": "reject_step",
    "cancel all": "cancel_all",
}
_OPEN_QUESTION = re.compile(
    # At the beginning of a sentence; elsewhere such words join ("Shall I ask when Ann is there?").
    r"(?:^|[.!?]\s+)(?!(?:how|what) about\b|why (?:not|don.?t)\b)(?:and |to |for |at |on |by |with |from )?"
    r"(?:which|what|who|whom|whose|when|where|why|how|welche[rsnm]?|wer|wen|wem|wann|warum|wie"
    r"|quel(?:le)?s?|quoi|qui|quand|où|pourquoi|comment|cuál(?:es)?|qué|quién(?:es)?|cuándo|dónde|cómo)\b"
    # "When you are ready, shall I send it?" asks for a yes.
    r"(?![^.!?]*, (?:shall|should|do|does|can|may|will|would|is|are|soll|darf|kann|ist) )[^.!?]*\?",
    re.IGNORECASE,
)
_ANSWER = re.compile(
    # "Reply to Anna" and "answer the mail" are commands: only what follows "is", a comma or a colon answers.
    r"(?:my |the )?(?:answer|reply)(?: is\b[\s,:]*|[,:.]\s*)(?P<value>\S.*)",
    re.IGNORECASE | re.DOTALL,
)


_OR = re.compile(r"\b(?:or|oder|ou)\b", re.IGNORECASE)
_BETWEEN = re.compile(rf",|{_OR.pattern}", re.IGNORECASE)
_SENTENCE_END = re.compile(r"\n|(?<!\bDr\.)(?<!\bMr\.)(?<!\bMrs\.)(?<!\bMs\.)(?<!\bSt\.)(?<=[.!?])\s+")
_ORDINAL = re.compile(r"(?:first|second|third|fourth|fifth|last|latter|former)(?: one)?")


def wants_words(question: str) -> bool:
    """Whether a question can hardly be answered by yes or no: "Which Bob?"."""
    return _OPEN_QUESTION.search(question) is not None


def verdict(text: str) -> bool | None:
    """True for a yes, False for a no, None for anything else."""
    words = _plain(text)
    if words in _YES:
        return True
    return False if words in _NO else None


@dataclass(frozen=True, slots=True)
class Answering:
    """What a take says to a question of the backend's: a value, or a decision about a draft."""

    value: str | None = None
    action: ApprovalAction | None = None


def answering(
    kind: Literal["intervention", "approval"], question: str, text: str, *, of_step: bool = False
) -> Answering | None:
    """What a take says to a question of that kind; None when it is a command of its own.

    `of_step`: yes and no are about the next step of a plan, and not about all of it.
    """
    if kind == "approval":
        return _decision(text, of_step=of_step)
    offered = choice(question, text)
    if offered is not None:
        return Answering(value=offered)
    said = verdict(text)
    if said is not None:
        return Answering(value="yes" if said else "no")
    spoken = _ANSWER.fullmatch(text.strip())
    return Answering(value=spoken["value"]) if spoken else None


def _decision(text: str, *, of_step: bool) -> Answering | None:
    said, action = verdict(text), _DECISIONS.get(_plain(text))
    if action is None and said is not None and of_step:
        action = "approve_step" if said else "reject_step"
    elif action is None and said is not None:
        action = "approve_all" if said else "cancel_all"
    return None if action is None else Answering(action=action)


def choice(question: str, text: str) -> str | None:
    """The words of a take that are one of those that the question offers: "Bob Smith or Bob Jones?".

    They have to be the whole of an offer, or the end of the first, which the question leads up to.
    """
    words, offers = _bare(text), [_bare(offer) for offer in _offers(question)]
    if not words or not offers:
        return None
    is_one = words in offers or f" {offers[0]}".endswith(f" {words}") or _ORDINAL.fullmatch(words) is not None
    return text.strip().rstrip(".!?") if is_one else None


def _bare(text: str) -> str:
    return _plain(text).removeprefix("the ").removesuffix(" please")


def _offers(question: str) -> list[str]:
    """What stands before and after "or", and between the commas before it, in the last sentence with one."""
    sentences = [each for each in _SENTENCE_END.split(question) if _OR.search(each)]
    if not sentences:
        return []
    told = sentences[-1].rpartition(": ")[2]
    return [offer for offer in _BETWEEN.split(told.rstrip("?!. ")) if offer.strip()]


def _plain(text: str) -> str:
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    kept = (" " if not char.isalnum() else char for char in decomposed if not unicodedata.combining(char))
    return unicodedata.normalize("NFC", " ".join("".join(kept).split()))
