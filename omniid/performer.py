"""Carries out effects, one small method each, and says what came of it as events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import structlog
import uuid_utils

from omniid import wording
from omniid.effects import (
    CancelCapture,
    Effect,
    Enqueue,
    ExpireOverdue,
    Move,
    ReplaceEar,
    SendNext,
    Speak,
    StartCapture,
    StopCapture,
    StopSpeech,
)
from omniid.errors import (
    NotAllowedError,
    NotFoundError,
    ProtocolError,
    RefusedError,
    StorageError,
    WorkerError,
)
from omniid.events import (
    AttemptBegun,
    CommandMoved,
    CommandQueued,
    CommandRefused,
    Event,
    OutboxEmptied,
    SpeechQueued,
    StorageFailed,
    WriteFailed,
)
from omniid.fate import State
from omniid.moment import Moment
from omniid.protocol.link import Outgoing
from omniid.storage.outbox import Command, Kind, NewCommand, Outbox
from omniid.workers.channel import (
    CancelTake,
    Say,
    SpeechFailed,
    StartTake,
    StopSpeaking,
    StopTake,
    TakeFailed,
    ToEar,
    ToMouth,
)

log = structlog.get_logger()

_MOST_SPOKEN = 20_000  # characters: a quarter of an hour of talk


class Ear(Protocol):
    def send(self, message: ToEar) -> None: ...
    def replace(self) -> None: ...


class Mouth(Protocol):
    def send(self, message: ToMouth) -> None: ...
    def wake(self) -> None: ...


class Link(Protocol):
    def submit(self, outgoing: Outgoing) -> bool: ...
    def wake(self) -> None: ...


class Performer:
    """Holds the parts that act. `mouth` is None where omniid has no voice."""

    def __init__(
        self,
        outbox: Outbox,
        link: Link,
        ear: Ear,
        mouth: Mouth | None,
        clock: Callable[[], Moment],
    ) -> None:
        self._outbox = outbox
        self._link = link
        self._ear = ear
        self._mouth = mouth
        self._clock = clock
        self._unrecorded: list[Move] = []

    async def perform(self, effect: Effect) -> list[Event]:
        """Do it; what came of it. A storage failure is an event too, and the daemon lives on."""
        try:
            return await self._perform(effect)
        except StorageError as error:
            log.error("storage failed", problem=error.message)  # noqa: TRY400 the sentence says it all
            if isinstance(effect, Move):
                self._unrecorded.append(effect)
            return [StorageFailed(error.message)]
        except (WorkerError, ProtocolError) as error:
            # A child that takes no more words is on its way out; its supervisor reports that.
            log.warning("not performed", effect=type(effect).__name__, problem=error.message)
            return []

    async def _perform(self, effect: Effect) -> list[Event]:
        match effect:
            case StartCapture(take_id=take_id):
                return self._start_capture(take_id)
            case StopCapture(take_id=take_id):
                self._ear.send(StopTake(take_id))
            case CancelCapture(take_id=take_id):
                self._ear.send(CancelTake(take_id))
            case ReplaceEar():
                self._ear.replace()
            case Speak():
                return self._speak(effect)
            case StopSpeech():
                self.hush()
            case Enqueue():
                return await self._enqueue(effect)
            case SendNext():
                return await self._send_next()
            case Move():
                return await self._move(effect)
            case ExpireOverdue():
                recorded = await self._record_what_failed()
                expired = await self._outbox.expire(self._clock().wall)
                return [*recorded, *(CommandMoved(command.id, command.state) for command in expired)]
        return []

    def _start_capture(self, take_id: str) -> list[Event]:
        try:
            self._ear.send(StartTake(take_id))
        except WorkerError as error:
            return [TakeFailed(take_id, error.code, error.message)]
        return []

    # --- commands ----------------------------------------------------------------------------------------

    async def accept(
        self, kind: Kind, text: str, metadata: dict[str, Any], idempotency_key: str | None = None
    ) -> tuple[Command, bool]:
        """Clean a text and commit it as a command; False when the key's earlier command is given back.

        Raises:
            RefusedError: the text or the outbox does not allow it.
            StorageError: it could not be written.
        """
        message = wording.clean(text)
        new = NewCommand(str(uuid_utils.uuid7()), kind, message, metadata, idempotency_key)
        accepted = await self._outbox.add(new, self._clock().wall)
        self._link.wake()
        return accepted

    async def _enqueue(self, take: Enqueue) -> list[Event]:
        try:
            command, _ = await self.accept("voice", take.text, take.metadata)
        except (RefusedError, StorageError) as error:
            return [CommandRefused(take.take_id, error.code, error.message)]
        return [CommandQueued(command.id, "voice", command.message, take.take_id)]

    async def _send_next(self) -> list[Event]:
        command = await self._outbox.begin_attempt(self._clock().wall)
        if command is None:
            return [OutboxEmptied()]
        if self._mouth is not None:
            self._mouth.wake()
        begun: list[Event] = [AttemptBegun(command.id, command.kind)]
        outgoing = Outgoing(command.id, command.kind, command.message, command.metadata)
        return begun if self._link.submit(outgoing) else [*begun, WriteFailed(command.id)]

    async def _move(self, move: Move) -> list[Event]:
        now = self._clock().wall
        try:
            command = await self._outbox.move(
                move.command_id, move.to, now, reason=move.reason, reply=move.reply
            )
        except (NotAllowedError, NotFoundError) as error:
            # A late or repeated word about a command whose fate is sealed changes nothing.
            log.warning("step refused", command_id=move.command_id, to=move.to, problem=error.message)
            return []
        return [CommandMoved(command.id, State(command.state))]

    async def _record_what_failed(self) -> list[Event]:
        """Record the steps a full disk refused: a reply that came must not look as if none had."""
        events: list[Event] = []
        while self._unrecorded:
            events += await self._move(self._unrecorded[0])
            del self._unrecorded[0]
        return events

    # --- the voice ---------------------------------------------------------------------------------------

    def _speak(self, effect: Speak) -> list[Event]:
        if self._mouth is None:
            return []
        utterance_id = effect.utterance_id or str(uuid_utils.uuid7())
        try:
            self._mouth.send(Say(utterance_id, effect.text[:_MOST_SPOKEN]))
        except WorkerError as error:
            return [SpeechFailed(utterance_id, error.code, error.message)]
        return [SpeechQueued(utterance_id, effect.command_id)]

    def hush(self) -> None:
        if self._mouth is not None:
            self._mouth.send(StopSpeaking())
