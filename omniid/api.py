"""What the control API's verbs do: one method for each row of `omniid.control.schema.VERBS`, by its name.

They read state, commit commands and post events; what follows from those is the assistant's to say.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping
from typing import Literal, Protocol

import uuid_utils

from omniid import __version__, fate
from omniid.assistant import Assistant
from omniid.control.schema import (
    VERBS,
    Accepted,
    CommandList,
    CommandRequest,
    CommandView,
    HealthView,
    ListenView,
    SpeechView,
    StatusView,
    WorkerView,
)
from omniid.control.server import Call, Handler
from omniid.events import (
    CommandMoved,
    CommandQueued,
    Event,
    HushRequested,
    KeyPressed,
    KeyReleased,
    KeyToggled,
    SpeechRequested,
    TakeCancelRequested,
)
from omniid.fate import State
from omniid.moment import Moment
from omniid.performer import Performer
from omniid.reactor import Reactor
from omniid.session import Session
from omniid.storage.outbox import Command, Outbox
from omniid.timeline import Timelines

_ASKS_THE_USER = frozenset({State.NEEDS_AUTH, State.UNCERTAIN})


class Child(Protocol):
    @property
    def pid(self) -> int | None: ...


def handlers(*parts: CommandVerbs | UserVerbs | HouseVerbs) -> dict[str, Handler]:
    """Each verb's method, by the verb's name, wherever among the parts it stands."""
    return {
        verb.name: next(getattr(part, verb.name) for part in parts if hasattr(part, verb.name))
        for verb in VERBS
    }


class CommandVerbs:
    """Commands and the outbox."""

    def __init__(
        self,
        outbox: Outbox,
        performer: Performer,
        reactor: Reactor,
        session: Session,
        timelines: Timelines,
        clock: Callable[[], Moment],
    ) -> None:
        self._outbox = outbox
        self._performer = performer
        self._reactor = reactor
        self._session = session
        self._timelines = timelines
        self._clock = clock

    async def command_add(self, call: Call) -> CommandView:
        request: CommandRequest = call.body
        kind: Literal["voice", "text"] = "voice" if request.type == "voice_command" else "text"
        settled = asyncio.Event()
        wanted: set[str] = set()

        def watch(event: Event) -> None:
            if isinstance(event, CommandMoved) and event.command_id in wanted and _has_word(event.state):
                settled.set()

        with self._reactor.observing(watch):
            command, new = await self._performer.accept(
                kind, request.message, request.metadata, call.idempotency_key
            )
            wanted.add(command.id)
            if new:
                self._reactor.post_nowait(CommandQueued(command.id, kind, command.message))
            command = await self._outbox.get(command.id)
            if request.wait_s and not _has_word(command.state):
                await _wait(settled, request.wait_s)
                command = await self._outbox.get(command.id)
        return self._view(command)

    async def command_get(self, call: Call) -> CommandView:
        return self._view(await self._outbox.get(call.id))

    async def command_cancel(self, call: Call) -> CommandView:
        return await self._decide(call.id, State.CANCELLED, "cancelled by the user")

    async def command_drop(self, call: Call) -> CommandView:
        return await self._decide(call.id, State.DROPPED, "given up by the user")

    async def command_retry(self, call: Call) -> CommandView:
        command = await self._outbox.retry(call.id, self._clock().wall)
        self._reactor.post_nowait(CommandQueued(command.id, command.kind, command.message, again=True))
        self._session.wake()
        return self._view(command)

    async def outbox(self, call: Call) -> CommandList:
        commands = await self._outbox.list(ended="all" in call.query)
        return CommandList(commands=[self._view(command) for command in commands])

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
            attempts=command.attempts,
            created_at=command.created_at.isoformat(),
            changed_at=command.changed_at.isoformat(),
            expires_at=command.expires_at.isoformat(),
            metadata=command.metadata,
            timings=self._timelines.of(command.id),
        )


class UserVerbs:
    """The key and the voice."""

    def __init__(self, assistant: Assistant, reactor: Reactor, performer: Performer) -> None:
        self._assistant = assistant
        self._reactor = reactor
        self._performer = performer

    async def listen_start(self, call: Call) -> ListenView:
        return await self._key(KeyPressed(call.body.owner, str(uuid_utils.uuid7())))

    async def listen_stop(self, call: Call) -> ListenView:
        return await self._key(KeyReleased(call.body.owner))

    async def listen_toggle(self, call: Call) -> ListenView:
        return await self._key(KeyToggled(call.body.owner, str(uuid_utils.uuid7())))

    async def listen_cancel(self, call: Call) -> ListenView:
        return await self._key(TakeCancelRequested(call.body.owner))

    async def _key(self, event: KeyPressed | KeyReleased | KeyToggled | TakeCancelRequested) -> ListenView:
        """Post a key's edge and answer once it has been handled, with what is so then."""
        handled = asyncio.Event()

        def watch(seen: Event) -> None:
            if seen is event:
                handled.set()

        with self._reactor.observing(watch):
            self._reactor.post_nowait(event)
            await handled.wait()
        snapshot = self._assistant.snapshot()
        return ListenView(take_id=snapshot.take_id, capture=snapshot.capture)

    async def speech_say(self, call: Call) -> SpeechView:
        utterance_id = str(uuid_utils.uuid7())
        self._reactor.post_nowait(SpeechRequested(utterance_id, call.body.text))
        return SpeechView(utterance_id=utterance_id)

    async def speech_hush(self, _: Call) -> Accepted:
        self._performer.hush()  # at once, past the queue
        self._reactor.post_nowait(HushRequested())
        return Accepted()


class HouseVerbs:
    """The daemon itself."""

    def __init__(
        self,
        assistant: Assistant,
        outbox: Outbox,
        session: Session,
        children: Mapping[str, Child],
        stop: Callable[[], None],
    ) -> None:
        self._assistant = assistant
        self._outbox = outbox
        self._session = session
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
            recognising=snapshot.recognising,
            speaking=snapshot.speaking,
            outbox={state: counts[state] for state in State if state in counts},
            workers={
                name: WorkerView(running=child.pid is not None, pid=child.pid)
                for name, child in self._children.items()
            },
            problems=snapshot.problems,
        )

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
