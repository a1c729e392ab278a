"""What the control API's verbs about questions do: the backend's, and omniid's own "Did you say …?"."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from omniid.assistant import Assistant
from omniid.control.schema import Accepted, AnswerRequest, QuestionList, QuestionView
from omniid.control.server import Call
from omniid.errors import BadRequestError, NotFoundError, RefusedError
from omniid.events import (
    ConfirmationAnswered,
    Event,
    QuestionAnswered,
    QuestionClosed,
    QuestionExpired,
    QuestionNotAnswered,
    QuestionReplied,
)
from omniid.listening import CONFIRM_WITHIN_S, Doubt
from omniid.moment import Moment
from omniid.questions import OF_A_STEP
from omniid.reactor import Reactor

_NO_QUESTION = "There is no open question {id!r}. `omniid reply` (GET /v1/questions) lists them."
_QUESTION_MOVED = (QuestionAnswered, QuestionNotAnswered, QuestionExpired, QuestionClosed)


class QuestionVerbs:
    """What is asked, and the answers to it; one answer to a question at a time."""

    def __init__(self, assistant: Assistant, reactor: Reactor, clock: Callable[[], Moment]) -> None:
        self._assistant = assistant
        self._reactor = reactor
        self._clock = clock
        self._being_answered: set[str] = set()

    async def questions(self, _: Call) -> QuestionList:
        now = self._clock().monotonic
        doubt = self._assistant.doubt
        doubts = [] if doubt is None else [_confirmation(doubt, now)]
        return QuestionList(
            questions=[
                *doubts,
                *(
                    QuestionView(
                        id=question.id,
                        kind=question.asked.kind,
                        text=question.asked.text,
                        command_id=question.asked.command_id,
                        open_for_s=round(max(0.0, question.until - now), 1),
                        open_steps=list(question.undecided),
                        raw=question.asked.raw,
                    )
                    for question in self._assistant.questions.values()
                    if not question.is_answered
                ),
            ]
        )

    async def question_answer(self, call: Call) -> Accepted:
        doubt = self._assistant.doubt
        if doubt is not None and doubt.take_id == call.id:
            if call.body.accept is None:
                raise BadRequestError("A confirmation is answered with 'accept': true or false.")
            self._reactor.post_nowait(ConfirmationAnswered(doubt.take_id, call.body.accept, "api"))
            return Accepted()
        return await self._answer_backend(call)

    async def _answer_backend(self, call: Call) -> Accepted:
        question = self._assistant.questions.get(call.id)
        if question is None or question.is_answered or question.id in self._being_answered:
            raise NotFoundError(_NO_QUESTION.format(id=call.id))
        given: AnswerRequest = call.body
        kind = question.asked.kind
        if (given.action is None) == (kind == "approval"):
            wanted = "action" if kind == "approval" else "value"
            raise BadRequestError(f"A question of the kind {kind} is answered with {wanted!r}.")
        if given.action in OF_A_STEP and not question.may_decide(given.step_id):
            left = ", ".join(question.undecided) or "none that has a name"
            raise BadRequestError(f"That step of the plan is not open. Steps that are: {left}.")
        reply = QuestionReplied(question.id, given.value, given.action, given.step_id)
        match await self._outcome(reply):
            case QuestionAnswered():
                return Accepted()
            case QuestionNotAnswered():
                raise RefusedError(
                    "The link to the backend is away. The question stays open; answer it again soon.",
                    code="link_away",
                )
            case _:
                raise NotFoundError(_NO_QUESTION.format(id=call.id))

    async def _outcome(self, reply: QuestionReplied) -> Event:
        """Give an answer, the only one at that time; what became of the question."""
        outcome: asyncio.Queue[Event] = asyncio.Queue()

        is_given = False

        def watch(event: Event) -> None:
            nonlocal is_given
            if event is reply:
                question = self._assistant.questions.get(reply.question_id)
                is_given = question is not None and question.reply is reply
                if not is_given:  # another answer came before it
                    outcome.put_nowait(QuestionClosed(reply.question_id))
            elif is_given and isinstance(event, _QUESTION_MOVED) and event.question_id == reply.question_id:
                outcome.put_nowait(event)

        self._being_answered.add(reply.question_id)
        try:
            with self._reactor.observing(watch):
                self._reactor.post_nowait(reply)
                return await outcome.get()
        finally:
            self._being_answered.discard(reply.question_id)


def _confirmation(doubt: Doubt, now: float) -> QuestionView:
    return QuestionView(
        id=doubt.take_id,
        kind="confirmation",
        text=f"Did you say: {doubt.text}",
        command_id=None,
        open_for_s=round(max(0.0, doubt.asked_at + CONFIRM_WITHIN_S - now), 1),
        raw={},
    )
