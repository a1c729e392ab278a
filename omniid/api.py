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
from omniid.auth_api import AuthVerbs
from omniid.control.schema import (
    MAX_WAIT_S,
    VERBS,
    Accepted,
    CommandList,
    CommandRequest,
    CommandView,
    DevicesView,
    HealthView,
    HotkeyView,
    StatusView,
    WorkerView,
)
from omniid.control.server import Call, Handler
from omniid.errors import BadRequestError, StorageError
from omniid.events import (
    AnswerUnwanted,
    CommandEdited,
    CommandMoved,
    CommandQueued,
    Event,
    QuestionPosed,
    StorageFailed,
)
from omniid.fate import State
from omniid.history_api import HistoryVerbs
from omniid.metrics import CONTENT_TYPE, Gauges, Metrics
from omniid.moment import Moment
from omniid.performer import GIVEN_UP, Asked, Performer
from omniid.question_api import QuestionVerbs
from omniid.reactor import Reactor
from omniid.session import Session
from omniid.storage.outbox import Command, Outbox
from omniid.timeline import Timelines
from omniid.user_api import UserVerbs

_WAITS_FOR = {
    "offline": "the link to be opened",
    "connecting": "the link, which is being opened",
    "waiting": "the link, which is tried again by itself",
    "needs_token": "a new token: see `omniid auth status`",
    "stopped": "the link, which has stopped: see `omniid status`",
}
_ASKS_THE_USER = frozenset({State.NEEDS_AUTH, State.UNCERTAIN})


class Child(Protocol):
    @property
    def pid(self) -> int | None: ...


def handlers(
    *parts: CommandVerbs | UserVerbs | QuestionVerbs | AuthVerbs | HouseVerbs | HistoryVerbs,
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

    async def reconnect(self, _: Call) -> Accepted:
        self._session.reconnect()
        return Accepted()

    async def shutdown(self, _: Call) -> Accepted:
        self._stop()
        return Accepted()


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
