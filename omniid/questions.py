"""The region of the policy for what the backend asks: held, told, reminded of, answered, expired. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from omniid.consent import Answering, answering, verdict, wants_words
from omniid.effects import Announce, AnswerQuestion, Cue, Effect, LeaveQuestions, RemindLater
from omniid.events import (
    AnswerAcknowledged,
    AnswerUnwanted,
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
from omniid.protocol.reading import record

OF_A_STEP = frozenset({"approve_step", "reject_step", "modify_step"})

_MOST = 50
_APPROVE = "Say yes to approve it, or no."
_YES_NO = "Say yes, no, or: answer, and your words."
_WORDS = "Say: answer, and your words."
_AWAY = "I could not pass your answer on: the link is away. The question stays open."


@dataclass(slots=True)
class Question:
    """Something the server asked; it is open until `until`, in monotonic seconds.

    `reply` is the answer that is on its way: there may be no second one. `undecided` are the steps of a draft
    that wait for a decision, by their ids, with what they do.
    """

    id: str
    asked: QuestionAsked
    until: float
    remind_at: float | None
    reply: QuestionReplied | None = None
    decides: str | None = None  # the step that this answer is about
    undecided: dict[str, str] = field(default_factory=dict)
    is_stepwise: bool = False  # one of its steps has been decided alone

    @property
    def is_answered(self) -> bool:
        return self.reply is not None

    @property
    def next_step(self) -> str | None:
        """What the next step does, or its id, where its steps are decided one by one."""
        if not self.is_stepwise or not self.undecided:
            return None
        name, what = next(iter(self.undecided.items()))
        return what or name

    def may_decide(self, step_id: str | None) -> bool:
        """Whether this step of it can be decided; None is the next one. A draft may not name its steps."""
        if not self.undecided:
            return step_id is not None
        return step_id is None or step_id in self.undecided


class Tell(Protocol):
    def __call__(self, question_id: str, asked: QuestionAsked, text: str, /) -> list[Effect]: ...


class Questions:
    """`tell` says something about a question to the user; `withdraw` has that not said any more."""

    def __init__(self, tell: Tell, withdraw: Callable[[str], list[Effect]]) -> None:
        self._tell = tell
        self._withdraw = withdraw
        self._open: OrderedDict[str, Question] = OrderedDict()
        self._given: OrderedDict[tuple[str, str | None], Question] = OrderedDict()  # not acknowledged yet
        self._asked = 0

    @property
    def open(self) -> Mapping[str, Question]:
        return self._open

    def handle(
        self,
        event: (
            QuestionAsked
            | QuestionReplied
            | QuestionAnswered
            | QuestionNotAnswered
            | QuestionDue
            | AnswerAcknowledged
        ),
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
            case AnswerAcknowledged():
                return self._on_acknowledged(event, now)

    def tick(self, now: float) -> list[Effect]:
        """Those whose time is up, whatever became of their reminder."""
        over = [question.id for question in self._open.values() if question.until <= now]
        return [effect for question_id in over for effect in self._expire(question_id)]

    def on_moved(self, event: CommandMoved) -> list[Effect]:
        """Nobody waits for an answer once the command it was asked for is off the wire."""
        return [] if event.state in ON_THE_WIRE else self._close_those_of(event.command_id)

    def on_link_over(self) -> list[Effect]:
        """What no command asked for goes with the link that it came on: nobody would take the answer."""
        return self._close_those_of(None)

    def on_unwanted(self, event: AnswerUnwanted) -> list[Effect]:
        """Who has called a command off is not asked about it any more, and its plan is not carried out."""
        of_it = [each for each in self._open.values() if each.asked.command_id == event.command_id]
        given = [each for each in self._given.values() if each.asked.command_id == event.command_id]
        if not of_it and not given:
            return []
        refused: list[Effect] = [
            AnswerQuestion(each.id, each.asked.session_id or "", None, action="cancel_all")
            for each in of_it
            if each.asked.kind == "approval" and not each.is_answered
        ]
        return [*refused, LeaveQuestions(event.command_id), *self._close_those_of(event.command_id)]

    def _close_those_of(self, command_id: str | None) -> list[Effect]:
        over = [each.id for each in self._open.values() if each.asked.command_id == command_id]
        for question_id in over:
            del self._open[question_id]
        for key in [key for key, given in self._given.items() if given.asked.command_id == command_id]:
            del self._given[key]
        return [effect for question_id in over for effect in self._close(question_id)]

    def _close(self, question_id: str) -> list[Effect]:
        return [Announce(QuestionClosed(question_id)), *self._withdraw(question_id)]

    def answer(self, text: str) -> list[Effect] | None:
        """What a take says to the latest question; None when it says nothing to it."""
        question = next((each for each in reversed(self._open.values()) if not each.is_answered), None)
        if question is None:
            return None
        asked = question.asked
        if asked.kind == "intervention" and verdict(text) and wants_words(asked.text):
            # "Okay" tells nobody which Bob.
            again = self._tell(question.id, asked, f"{asked.text} {_WORDS}")
            return [_posed(question, again=True), *again]
        said: Answering | None = answering(
            asked.kind, asked.text, text, of_step=question.next_step is not None
        )
        if said is None:
            return None
        if said.action in OF_A_STEP and not question.may_decide(None):
            return self._tell(question.id, asked, f"{asked.text} {_APPROVE}")
        return [Announce(QuestionReplied(question.id, said.value, said.action))]

    def _on_replied(self, replied: QuestionReplied) -> list[Effect]:
        question = self._open.get(replied.question_id)
        if question is None or question.is_answered:
            return []
        asked, step_id = question.asked, replied.step_id or question.asked.step_id
        leaves_open = False
        if replied.action in OF_A_STEP:
            if not question.may_decide(replied.step_id):
                return []
            step_id = replied.step_id or next(iter(question.undecided))
            leaves_open = question.undecided.keys() != {step_id}
        question.reply, question.decides = replied, step_id
        session_id = asked.session_id or ""
        answer = AnswerQuestion(question.id, session_id, step_id, replied.value, replied.action, leaves_open)
        return [answer]

    def _on_answered(self, question_id: str) -> list[Effect]:
        question = self._open.get(question_id)
        if question is not None and question.reply is not None:
            self._note_given(question)
            if question.reply.action in OF_A_STEP:
                is_last = question.undecided.keys() == {question.decides}
                question.undecided.pop(question.decides or "", None)
                if not is_last:
                    question.reply, question.is_stepwise = None, True
                    return [_posed(question, again=True), *self._tell_next_step(question)]
        self._open.pop(question_id, None)
        return self._withdraw(question_id)

    def _tell_next_step(self, question: Question) -> list[Effect]:
        what = question.next_step
        return self._tell(question.id, question.asked, f"Next step: {what}. {_APPROVE}") if what else []

    def _note_given(self, question: Question) -> None:
        key = question.asked.session_id or "", question.decides
        self._given.pop(key, None)
        self._given[key] = question
        while len(self._given) > _MOST:
            self._given.popitem(last=False)

    def _on_acknowledged(self, event: AnswerAcknowledged, now: float) -> list[Effect]:
        """An answer that the server does not take is told, since the user believes that it was.

        It may be given again, for as long as the question was open.
        """
        question = self._given.pop((event.session_id, event.step_id), None)
        if event.accepted or question is None:
            return []
        told = self._tell(question.id, question.asked, f"Your answer was not taken: {event.text}")
        steps = _steps(question.asked.raw)
        if event.step_id in steps:
            undecided = {event.step_id, *question.undecided}
            question.undecided = {name: what for name, what in steps.items() if name in undecided}
        if now >= question.until:
            return told
        if question.id not in self._open:
            question.reply, question.remind_at = None, None
            self._open[question.id] = question
        return [_posed(question, again=True), *told]

    def _on_not_answered(self, question_id: str) -> list[Effect]:
        question = self._open.get(question_id)
        if question is None:
            return []
        question.reply = None
        return self._tell(question_id, question.asked, _AWAY)

    def _on_asked(self, asked: QuestionAsked, now: float) -> list[Effect]:
        known = self._same(asked)
        question = self._held(asked, known, now)
        self._open.pop(question.id, None)
        self._open[question.id] = question
        dropped = [self._open.popitem(last=False)[0]] if len(self._open) > _MOST else []
        closed = [effect for each in dropped for effect in self._close(each)]
        posed = _posed(question, again=known is not None)
        remind = RemindLater(asked.open_for_s / 2, QuestionDue(question.id))
        if known is not None and known.asked.text == asked.text:
            return [*closed, posed, remind]  # it has been told, and waits
        told = self._tell(question.id, asked, f"{asked.text} {_how(asked)}")
        return [*closed, posed, Cue("question"), *told, remind]

    def _held(self, asked: QuestionAsked, known: Question | None, now: float) -> Question:
        """What is asked, as a question of its own, or in place of the one that it repeats."""
        steps = _steps(asked.raw) if asked.kind == "approval" else {}
        if known is None:
            self._asked += 1
        else:
            decided = _steps(known.asked.raw).keys() - known.undecided.keys()
            steps = {name: what for name, what in steps.items() if name not in decided}
        return Question(
            f"q{self._asked}" if known is None else known.id,
            asked,
            now + asked.open_for_s,
            now + asked.open_for_s / 2,
            undecided=steps,
            is_stepwise=known is not None and known.is_stepwise,
        )

    def _same(self, asked: QuestionAsked) -> Question | None:
        """The open question that this one repeats, or takes the place of."""
        if not (asked.session_id or asked.step_id):
            return None
        known = (each for each in self._open.values() if not each.is_answered)
        return next((each for each in known if _key(each.asked) == _key(asked)), None)

    def _on_due(self, question_id: str, now: float) -> list[Effect]:
        """Reminded of once; one that was asked anew meanwhile has another time for it."""
        question = self._open.get(question_id)
        if question is None:
            return []
        if question.until <= now:
            return self._expire(question_id)
        if question.remind_at is None or now < question.remind_at:
            return []
        question.remind_at = None
        return [
            _posed(question, again=True),
            Cue("question"),
            *self._tell(
                question_id, question.asked, f"This still waits for your answer: {question.asked.text}"
            ),
            RemindLater(question.until - now, QuestionDue(question_id)),
        ]

    def _expire(self, question_id: str) -> list[Effect]:
        asked = self._open.pop(question_id).asked
        told = self._tell(question_id, asked, f"Too late to answer now: {asked.text}")
        return [Announce(QuestionExpired(question_id, asked.text)), *told]


def _posed(question: Question, *, again: bool) -> Announce:
    asked = question.asked
    posed = QuestionPosed(question.id, asked.kind, asked.text, asked.command_id, again, question.next_step)
    return Announce(posed)


def _key(asked: QuestionAsked) -> tuple[str | None, ...]:
    return asked.command_id, asked.kind, asked.session_id, asked.step_id


def _how(asked: QuestionAsked) -> str:
    if asked.kind == "approval":
        return _APPROVE
    return _WORDS if wants_words(asked.text) else _YES_NO


def _steps(draft: dict[str, Any]) -> dict[str, str]:
    """The steps of a draft that can be decided one by one, with what they do."""
    listed = record(draft.get("payload")).get("steps")
    steps = [record(step) for step in listed] if isinstance(listed, list) else []
    open_ = [step for step in steps if step.get("approvalStatus") not in {"approved", "rejected"}]
    named = [(step.get("id"), step.get("description")) for step in open_]
    return {name: what if isinstance(what, str) else "" for name, what in named if isinstance(name, str)}
