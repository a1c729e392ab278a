"""The region of the policy for what the backend asks: held, told, reminded of, answered, expired. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from omniid.consent import Answering, answering
from omniid.effects import Announce, AnswerQuestion, Cue, Effect, RemindLater
from omniid.events import (
    CommandMoved,
    QuestionAnswered,
    QuestionAsked,
    QuestionClosed,
    QuestionDue,
    QuestionExpired,
    QuestionNotAnswered,
    QuestionPosed,
    QuestionReplied,
)
from omniid.fate import ON_THE_WIRE
from omniid.protocol.questions import OF_A_STEP

_MOST = 50
_HOW = {
    "approval": "Say yes to approve it, or no.",
    "intervention": "Say yes, no, or: answer, and your words.",
}
_AWAY = "I could not pass your answer on: the link is away. The question stays open."


@dataclass(slots=True)
class Question:
    """Something the server asked; it is open until `until`, in monotonic seconds.

    `reply` is the answer that is on its way: there may be no second one.
    """

    id: str
    asked: QuestionAsked
    until: float
    reply: QuestionReplied | None = None

    @property
    def is_answered(self) -> bool:
        return self.reply is not None


class Tell(Protocol):
    def __call__(self, question_id: str, asked: QuestionAsked, text: str, /) -> list[Effect]: ...


class Questions:
    """`tell` says something about a question to the user; `withdraw` has that not said any more."""

    def __init__(self, tell: Tell, withdraw: Callable[[str], list[Effect]]) -> None:
        self._tell = tell
        self._withdraw = withdraw
        self._open: OrderedDict[str, Question] = OrderedDict()
        self._asked = 0

    @property
    def open(self) -> Mapping[str, Question]:
        return self._open

    def handle(
        self,
        event: QuestionAsked | QuestionReplied | QuestionAnswered | QuestionNotAnswered | QuestionDue,
        now: float,
    ) -> list[Effect]:
        match event:
            case QuestionAsked():
                return self._on_asked(event, now)
            case QuestionReplied():
                return self._on_replied(event)
            case QuestionAnswered(question_id=question_id):
                return self._on_answered(question_id)
            case QuestionNotAnswered(question_id=question_id):
                return self._on_not_answered(question_id)
            case QuestionDue(question_id=question_id):
                return self._on_due(question_id, now)

    def tick(self, now: float) -> list[Effect]:
        """Those whose time is up, whatever became of their reminder."""
        over = [question.id for question in self._open.values() if question.until <= now]
        return [effect for question_id in over for effect in self._expire(question_id)]

    def on_moved(self, event: CommandMoved) -> list[Effect]:
        """Nobody waits for an answer once the command it was asked for is off the wire."""
        if event.state in ON_THE_WIRE:
            return []
        over = [each.id for each in self._open.values() if each.asked.command_id == event.command_id]
        for question_id in over:
            del self._open[question_id]
        return [effect for question_id in over for effect in self._close(question_id)]

    def _close(self, question_id: str) -> list[Effect]:
        return [Announce(QuestionClosed(question_id)), *self._withdraw(question_id)]

    def answer(self, text: str) -> list[Effect] | None:
        """What a take says to the latest question; None when it says nothing to it."""
        question = next((each for each in reversed(self._open.values()) if not each.is_answered), None)
        if question is None:
            return None
        said: Answering | None = answering(question.asked.kind, text)
        return None if said is None else [Announce(QuestionReplied(question.id, said.value, said.action))]

    def _on_replied(self, replied: QuestionReplied) -> list[Effect]:
        question = self._open.get(replied.question_id)
        if question is None or question.is_answered:
            return []
        question.reply = replied
        asked = question.asked
        step_id = replied.step_id or asked.step_id
        return [AnswerQuestion(question.id, asked.session_id or "", step_id, replied.value, replied.action)]

    def _on_answered(self, question_id: str) -> list[Effect]:
        question = self._open.get(question_id)
        if question is not None and question.reply is not None and question.reply.action in OF_A_STEP:
            question.reply = None  # the other steps are still to be decided
            return [_posed(question, again=True)]
        self._open.pop(question_id, None)
        return self._withdraw(question_id)

    def _on_not_answered(self, question_id: str) -> list[Effect]:
        question = self._open.get(question_id)
        if question is None:
            return []
        question.reply = None
        return self._tell(question_id, question.asked, _AWAY)

    def _on_asked(self, asked: QuestionAsked, now: float) -> list[Effect]:
        self._asked += 1
        question = Question(f"q{self._asked}", asked, now + asked.open_for_s)
        self._open[question.id] = question
        dropped = [self._open.popitem(last=False)[0]] if len(self._open) > _MOST else []
        remind = RemindLater(asked.open_for_s / 2, QuestionDue(question.id))
        told = self._tell(question.id, asked, f"{asked.text} {_HOW[asked.kind]}")
        closed = [effect for question_id in dropped for effect in self._close(question_id)]
        return [*closed, _posed(question, again=False), Cue("question"), *told, remind]

    def _on_due(self, question_id: str, now: float) -> list[Effect]:
        question = self._open.get(question_id)
        if question is None:
            return []
        if question.until <= now:
            return self._expire(question_id)
        again = RemindLater(question.until - now, QuestionDue(question_id))
        return [
            _posed(question, again=True),
            Cue("question"),
            *self._tell(
                question_id, question.asked, f"This still waits for your answer: {question.asked.text}"
            ),
            again,
        ]

    def _expire(self, question_id: str) -> list[Effect]:
        asked = self._open.pop(question_id).asked
        told = self._tell(question_id, asked, f"Too late to answer now: {asked.text}")
        return [Announce(QuestionExpired(question_id, asked.text)), *told]


def _posed(question: Question, *, again: bool) -> Announce:
    asked = question.asked
    return Announce(QuestionPosed(question.id, asked.kind, asked.text, asked.command_id, again))
