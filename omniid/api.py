"""What the control API's verbs do: one method for each row of `omniid.control.schema.VERBS`, by its name.

They read state, commit commands and post events; what follows from those is the assistant's to say.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os
import time
from collections.abc import Callable, Mapping
from typing import Literal, Protocol

from omniid import __version__, fate, probing, wording
from omniid.assistant import Assistant
from omniid.authority import Authority
from omniid.control.schema import (
    MAX_WAIT_S,
    VERBS,
    Accepted,
    AnswerRequest,
    AuthView,
    CommandList,
    CommandRequest,
    CommandView,
    DevicesView,
    HealthView,
    HotkeyView,
    QuestionList,
    QuestionView,
    SignInView,
    StatusView,
    WorkerView,
)
from omniid.control.server import Call, Handler
from omniid.errors import BadRequestError, NotFoundError, RefusedError, StorageError
from omniid.events import (
    AnswerUnwanted,
    CommandEdited,
    CommandMoved,
    CommandQueued,
    ConfirmationAnswered,
    Event,
    QuestionAnswered,
    QuestionClosed,
    QuestionExpired,
    QuestionNotAnswered,
    QuestionPosed,
    QuestionReplied,
    SignInConfirmed,
    SignInReopened,
    StorageFailed,
)
from omniid.fate import State
from omniid.history_api import HistoryVerbs
from omniid.listening import CONFIRM_WITHIN_S, Doubt
from omniid.metrics import CONTENT_TYPE, Gauges, Metrics
from omniid.moment import Moment
from omniid.performer import GIVEN_UP, Asked, Performer
from omniid.questions import OF_A_STEP
from omniid.reactor import Reactor
from omniid.session import Session
from omniid.sign_ins import SignIn
from omniid.storage.outbox import Command, Outbox
from omniid.timeline import Timelines
from omniid.user_api import UserVerbs
from omniid.weblink import Link

_WAITS_FOR = {
    "offline": "the link to be opened",
    "connecting": "the link, which is being opened",
    "waiting": "the link, which is tried again by itself",
    "needs_token": "a new token: see `omniid auth status`",
    "stopped": "the link, which has stopped: see `omniid status`",
}
_NO_QUESTION = "There is no open question {id!r}. `omniid reply` (GET /v1/questions) lists them."
_QUESTION_MOVED = (QuestionAnswered, QuestionNotAnswered, QuestionExpired, QuestionClosed)
_NO_LINK = Link(None, None, "", None)
_ASKS_THE_USER = frozenset({State.NEEDS_AUTH, State.UNCERTAIN})


class Child(Protocol):
    @property
    def pid(self) -> int | None: ...


def handlers(
    *parts: CommandVerbs | UserVerbs | BackendVerbs | HouseVerbs | HistoryVerbs,
) -> dict[str, Handler]:
    """Each verb's method, by the verb's name, wherever among the parts it stands."""
    return {
        verb.name: next(getattr(part, verb.name) for part in parts if hasattr(part, verb.name))
        for verb in VERBS
    }


class CommandVerbs:
    """Commands and the outbox."""

    def __init__(
        self,
        assistant: Assistant,
        outbox: Outbox,
        performer: Performer,
        reactor: Reactor,
        session: Session,
        timelines: Timelines,
        clock: Callable[[], Moment],
    ) -> None:
        self._assistant = assistant
        self._outbox = outbox
        self._performer = performer
        self._reactor = reactor
        self._session = session
        self._timelines = timelines
        self._clock = clock

    async def command_add(self, call: Call) -> CommandView:
        request: CommandRequest = call.body
        kind: Literal["voice", "text"] = "voice" if request.type == "voice_command" else "text"
        command, is_new = await self._accept(
            Asked(kind, request.message, request.metadata, call.idempotency_key, request.source)
        )
        if is_new:
            self._reactor.post_nowait(CommandQueued(command.id, kind, command.message))
        return await self._settled(command.id, request.wait_s)

    async def _accept(self, asked: Asked) -> tuple[Command, bool]:
        try:
            return await self._performer.accept(asked)
        except StorageError as error:
            self._reactor.post_nowait(StorageFailed(error.message))
            raise

    async def command_get(self, call: Call) -> CommandView:
        found = await self._outbox.get(call.id)
        wait_s = _seconds(call.query.get("wait_s"))
        return await self._settled(found.id, wait_s, call.query.get("or_asked"))

    async def _settled(self, command_id: str, wait_s: float, known: str | None = None) -> CommandView:
        """The command once it has its word; as it is when the time is up, or something is asked.

        `known`: the questions that the caller knows, by their ids with commas between; None: it does not care
        for any. Those of other commands do not count; one that belongs to none may be about this one.
        """
        settled = asyncio.Event()

        def watch(event: Event) -> None:
            match event:
                case CommandMoved() if event.command_id == command_id and _has_word(event.state):
                    settled.set()
                case QuestionPosed() if known is not None and event.command_id in {command_id, None}:
                    settled.set()
                case _:
                    pass

        with self._reactor.observing(watch):
            command = await self._outbox.get(command_id)
            if wait_s and not _has_word(command.state) and not self._asks_anew(command_id, known):
                await _wait(settled, wait_s)
                command = await self._outbox.get(command_id)
        return self._view(command)

    def _asks_anew(self, command_id: str, known: str | None) -> bool:
        if known is None:
            return False
        of_it = {command_id, None}
        questions = self._assistant.questions.values()
        asked = {each.id for each in questions if each.asked.command_id in of_it and not each.is_answered}
        return bool(asked - set(known.split(",")))

    async def command_edit(self, call: Call) -> CommandView:
        message = wording.clean(call.body.message)
        command = await self._outbox.edit(call.id, message, self._clock().wall)
        self._reactor.post_nowait(CommandEdited(command.id, command.message))
        return self._view(command)

    async def command_cancel(self, call: Call) -> CommandView:
        command = await self._outbox.cancel(call.id, self._clock().wall)
        called_off = command.state is State.CANCELLED
        self._reactor.post_nowait(
            CommandMoved(command.id, command.state) if called_off else AnswerUnwanted(command.id)
        )
        return self._view(command)

    async def command_drop(self, call: Call) -> CommandView:
        return await self._decide(call.id, State.DROPPED, GIVEN_UP)

    async def command_retry(self, call: Call) -> CommandView:
        command = await self._outbox.retry(call.id, self._clock().wall)
        self._reactor.post_nowait(CommandMoved(command.id, command.state))
        self._reactor.post_nowait(CommandQueued(command.id, command.kind, command.message, again=True))
        self._session.wake()
        return self._view(command)

    async def outbox(self, call: Call) -> CommandList:
        commands = await self._outbox.list(ended="all" in call.query)
        views = [self._view(command) for command in commands]
        line = [view for view in views if view.state == State.QUEUED]
        for place, view in enumerate(line):
            view.waits_for = (
                self._what_the_head_waits_for()
                if place == 0
                else f"the {place} before it"
                if place > 1
                else "the one before it"
            )
        return CommandList(commands=views)

    def _what_the_head_waits_for(self) -> str:
        now = self._assistant.snapshot()
        if now.link != "ready":
            return _WAITS_FOR[now.link]
        if len(now.in_flight) >= now.window:
            return f"the answer to {now.in_flight[0]}"
        return "its turn"

    async def _decide(self, command_id: str, to: State, reason: str) -> CommandView:
        found = await self._outbox.get(command_id)
        command = await self._outbox.move(found.id, to, self._clock().wall, reason=reason)
        self._reactor.post_nowait(CommandMoved(command.id, command.state))
        return self._view(command)

    def _view(self, command: Command) -> CommandView:
        return CommandView(
            id=command.id,
            type="voice_command" if command.kind == "voice" else "text_command",
            message=command.message,
            state=command.state,
            reason=command.reason,
            reply=command.reply,
            answer_wanted=command.answer_wanted,
            attempts=command.attempts,
            created_at=command.created_at.isoformat(),
            changed_at=command.changed_at.isoformat(),
            expires_at=command.expires_at.isoformat(),
            metadata=command.metadata,
            timings=self._timelines.of(command.id),
        )


class BackendVerbs:
    """The link: its questions, its token, a new one."""

    def __init__(
        self,
        assistant: Assistant,
        authority: Authority,
        session: Session,
        reactor: Reactor,
        clock: Callable[[], Moment],
    ) -> None:
        self._assistant = assistant
        self._authority = authority
        self._being_answered: set[str] = set()
        self._session = session
        self._reactor = reactor
        self._clock = clock

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

    async def auth(self, _: Call) -> AuthView:
        return self._auth_view()

    async def auth_done(self, call: Call) -> AuthView:
        if call.body.id is None and not self._assistant.sign_ins:
            return self._auth_view()  # the browser, or the backend, has said so already
        meant = self._sign_ins(call.body.id)
        commands = [command_id for each in meant for command_id in each.waiting]
        for each in meant:
            await self._reactor.handled(SignInConfirmed(each.id))
        return self._auth_view(resumed=len(commands))

    async def auth_open(self, call: Call) -> AuthView:
        meant = self._sign_ins(call.body.id)
        with_page = [each for each in meant if each.link.url is not None]
        if not with_page:
            raise RefusedError(str(meant[0].link.problem), code="no_page")
        for each in with_page:
            await self._reactor.handled(SignInReopened(each.id))
        return self._auth_view()

    def _sign_ins(self, sign_in_id: str | None) -> list[SignIn]:
        """The one that is meant, or all.

        Raises:
            NotFoundError: there is none.
        """
        known = self._assistant.sign_ins
        meant = [each for each in known.values() if sign_in_id in {None, each.id}]
        if not meant:
            which = "" if sign_in_id is None else f" at {sign_in_id!r}"
            raise NotFoundError(f"No command waits for you to sign in{which}: see `omniid auth status`.")
        return meant

    def _auth_view(self, *, resumed: int = 0) -> AuthView:
        state, origin, advice = self._authority.view()
        now = self._clock().monotonic
        sign_ins = [_sign_in_view(each, now) for each in self._assistant.sign_ins.values()]
        return AuthView(state=state, origin=origin, advice=advice, sign_ins=sign_ins, resumed=resumed)

    async def auth_login(self, call: Call) -> AuthView:
        self._session.reconnect()
        return await self.auth(call)

    async def auth_logout(self, call: Call) -> AuthView:
        self._session.reconnect()
        return await self.auth(call)

    async def reconnect(self, _: Call) -> Accepted:
        self._session.reconnect()
        return Accepted()


class HouseVerbs:
    """The daemon itself."""

    def __init__(
        self,
        assistant: Assistant,
        outbox: Outbox,
        session: Session,
        children: Mapping[str, Child],
        metrics: Metrics,
        stop: Callable[[], None],
    ) -> None:
        self._assistant = assistant
        self._outbox = outbox
        self._session = session
        self._metrics = metrics
        self._children = children
        self._stop = stop
        self._started_at = time.monotonic()

    async def health(self, _: Call) -> HealthView:
        return HealthView()

    async def status(self, _: Call | None = None) -> StatusView:
        snapshot = self._assistant.snapshot()
        counts = await self._outbox.counts()
        return StatusView(
            headline=snapshot.headline,
            version=__version__,
            pid=os.getpid(),
            uptime_s=round(time.monotonic() - self._started_at, 1),
            backend=self._session.target_name,
            link=snapshot.link,
            link_reason=snapshot.link_reason,
            capture=snapshot.capture,
            microphone=snapshot.microphone,
            hotkey=HotkeyView(**dataclasses.asdict(snapshot.hotkey)),
            model=snapshot.model,
            confirming=snapshot.confirming,
            in_flight=len(snapshot.in_flight),
            questions=len(self._assistant.questions),
            sign_ins=len(self._assistant.sign_ins),
            recognising=snapshot.recognising,
            speaking=snapshot.speaking,
            muted=snapshot.muted,
            outbox={state: counts[state] for state in State if state in counts},
            workers={
                name: WorkerView(running=child.pid is not None, pid=child.pid)
                for name, child in self._children.items()
            },
            problems=snapshot.problems,
        )

    async def metrics(self) -> tuple[bytes, str]:
        """The page for Prometheus, and its media type."""
        snapshot = self._assistant.snapshot()
        heard_at = self._session.last_heard_at
        now = time.monotonic()
        gauges = Gauges(
            link=snapshot.link,
            outbox=await self._outbox.counts(),
            in_flight=len(snapshot.in_flight),
            window=snapshot.window,
            uptime_s=now - self._started_at,
            last_frame_age_s=None if heard_at is None else now - heard_at,
        )
        return await asyncio.to_thread(self._metrics.render, gauges), CONTENT_TYPE

    async def devices(self, _: Call) -> DevicesView:
        return DevicesView.model_validate(await probing.probe())

    async def shutdown(self, _: Call) -> Accepted:
        self._stop()
        return Accepted()


def _sign_in_view(sign_in: SignIn, now: float) -> SignInView:
    link = _NO_LINK if sign_in.wants_page or sign_in.page == "dead" else sign_in.link
    return SignInView(
        id=sign_in.id,
        text=sign_in.text,
        url=link.url,
        shown=link.shown,
        problem=sign_in.problem,
        state="refused" if sign_in.state == "refused" else "open",
        opening=sign_in.page == "opening",
        opened=sign_in.page == "opened",
        commands=sorted(sign_in.commands),
        open_for_s=round(max(0.0, sign_in.until - now), 1),
    )


def _confirmation(doubt: Doubt, now: float) -> QuestionView:
    return QuestionView(
        id=doubt.take_id,
        kind="confirmation",
        text=f"Did you say: {doubt.text}",
        command_id=None,
        open_for_s=round(max(0.0, doubt.asked_at + CONFIRM_WITHIN_S - now), 1),
        raw={},
    )


def _has_word(state: State) -> bool:
    """Whether a caller that waits has its answer: the command ended, or needs the user."""
    return state in fate.ENDED or state in _ASKS_THE_USER


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return  # the caller is given the state so far


def _seconds(text: str | None) -> float:
    try:
        seconds = float(text or 0)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= MAX_WAIT_S:
        raise BadRequestError(f"wait_s should be a number of seconds from 0 to {MAX_WAIT_S:.0f}.")
    return seconds
