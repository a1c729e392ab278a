"""Carries out effects, one small method each, and says what came of it as events."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import structlog
import uuid_utils

from omniid import wording
from omniid.debounce import Latest
from omniid.ear_performer import EarPerformer
from omniid.effects import (
    Announce,
    AnswerQuestion,
    AskHere,
    CancelCapture,
    Cue,
    Decide,
    Effect,
    Enqueue,
    ExpireOverdue,
    ForgetTake,
    GiveUpRepeats,
    LatchCapture,
    LeaveQuestions,
    Move,
    OpenPage,
    ProbeStorage,
    PutBack,
    RecogniseAgain,
    RecordWhatFailed,
    RememberMuted,
    RemindLater,
    ReplaceEar,
    SendLater,
    SendNext,
    SettleHere,
    ShutMicrophone,
    Speak,
    StartCapture,
    StopCapture,
    StopSpeech,
    SweepTakes,
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
    AnsweredHere,
    AttemptBegun,
    CommandMoved,
    CommandQueued,
    CommandRefused,
    Event,
    LineServed,
    QuestionAnswered,
    QuestionNotAnswered,
    SendingDue,
    SettledHere,
    SpeechQueued,
    StorageFailed,
    StorageWorks,
    WriteFailed,
)
from omniid.fate import State
from omniid.flag import Flag
from omniid.moment import Moment
from omniid.protocol.link import Answer, Outgoing
from omniid.storage.outbox import Command, Kind, NewCommand, Outbox, Recipient, key_of_take
from omniid.workers.channel import Say, SpeechFailed, StopSpeaking, ToMouth

log = structlog.get_logger()

GIVEN_UP = "given up by the user"


@dataclass(frozen=True, slots=True)
class Asked:
    """A command as it comes in. `source` names the key or script; with an idempotency key it is no matter.

    `take_id`: the take that it was said in.
    """

    kind: Kind
    text: str
    metadata: dict[str, Any] = field(default_factory=dict)
    idempotency_key: str | None = None
    source: str = "api"
    take_id: str | None = None


class Mouth(Protocol):
    def send(self, message: ToMouth) -> None: ...
    def wake(self) -> None: ...


class Link(Protocol):
    @property
    def target_name(self) -> str: ...
    def submit(self, outgoing: Sequence[Outgoing], epoch: int) -> bool: ...
    def answer(self, answer: Answer) -> bool: ...
    def leave_questions(self, command_id: str) -> None: ...
    def wake(self) -> None: ...


class Desk(Protocol):
    """The embedded backend, where it may stand in for the remote one."""

    def ask(self, command_id: str, kind: Kind, message: str) -> bool: ...


class Pages(Protocol):
    """The user's browser."""

    def open(self, sign_in_id: str, url: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Parts:
    """What acts. `mouth` is None where omniid has no voice, `desk` where nothing stands in for a backend."""

    outbox: Outbox
    link: Link
    ear: EarPerformer
    mouth: Mouth | None
    later: Callable[[float, Event], None]
    muted: Flag
    pages: Pages
    desk: Desk | None = None


_Step = Move | PutBack | Decide


class Performer:
    """Holds the parts that act. `debounce_s`: the same words from the same source are one command."""

    def __init__(self, parts: Parts, clock: Callable[[], Moment], debounce_s: float = 0.0) -> None:
        self._outbox = parts.outbox
        self._link = parts.link
        self._ear = parts.ear
        self._mouth = parts.mouth
        self._desk = parts.desk
        self._pages = parts.pages
        self._later = parts.later
        self._muted = parts.muted
        self._clock = clock
        self._latest = Latest(debounce_s)
        self._unrecorded: list[_Step] = []

    @property
    def has_voice(self) -> bool:
        return self._mouth is not None

    async def perform(self, effect: Effect) -> list[Event]:
        """Do it; what came of it. A storage failure is an event too, and the daemon lives on."""
        try:
            return await self._perform(effect)
        except StorageError as error:
            log.error("storage failed", problem=error.message)  # noqa: TRY400 the sentence says it all
            if isinstance(effect, _Step):
                self._unrecorded.append(effect)
            return [StorageFailed(error.message)]
        except (WorkerError, ProtocolError) as error:
            # A child that takes no more words is on its way out; its supervisor reports that.
            log.warning("not performed", effect=type(effect).__name__, problem=error.message)
            return []

    async def _perform(self, effect: Effect) -> list[Event]:
        match effect:
            case (
                StartCapture()
                | LatchCapture()
                | StopCapture()
                | CancelCapture()
                | RecogniseAgain()
                | ReplaceEar()
                | ShutMicrophone()
                | Cue()
            ):
                return self._ear.perform(effect)
            case ForgetTake(take_id=take_id):
                self._ear.takes.forget(take_id)
            case SweepTakes():
                self._ear.takes.sweep(self._clock().wall)
            case AnswerQuestion():
                return self._answer(effect)
            case LeaveQuestions(command_id=command_id):
                self._link.leave_questions(command_id)
            case Announce(event=event):
                return [event]
            case RemindLater(delay_s=delay_s, event=event):
                self._later(delay_s, event)
            case Speak():
                return self._speak(effect)
            case StopSpeech():
                self.hush()
            case RememberMuted(muted=muted):
                self._muted.set(muted)
            case Enqueue():
                return await self._enqueue(effect)
            case SendNext():
                return await self._send_next(effect)
            case SendLater(delay_s=delay_s):
                self._later(delay_s, SendingDue())
            case GiveUpRepeats():
                return _moved(await self._outbox.give_up_repeats(self._clock().wall))
            case AskHere(command_id=command_id, kind=kind, message=message):
                taken = self._desk is not None and self._desk.ask(command_id, kind, message)
                return [] if taken else [AnsweredHere(command_id, None)]
            case SettleHere(command_id=command_id, kind=kind, reply=reply, asked=asked):
                settled = await self._outbox.answer_here(command_id, reply, self._clock().wall, asked=asked)
                return [] if settled is None else [*_moved([settled]), SettledHere(command_id, kind, reply)]
            case Move() | PutBack() | Decide():
                return await self._step(effect)
            case OpenPage(sign_in_id=sign_in_id, url=url):
                self._pages.open(sign_in_id, url)
            case ExpireOverdue():
                return _moved(await self._outbox.expire(self._clock().wall))
            case ProbeStorage():
                await self._outbox.probe()
                return [StorageWorks()]
            case RecordWhatFailed():
                return await self._record_what_failed()
        return []

    def _answer(self, answer: AnswerQuestion) -> list[Event]:
        given = Answer(answer.session_id, answer.step_id, answer.value, answer.action, answer.leaves_open)
        if not self._link.answer(given):
            return [QuestionNotAnswered(answer.question_id)]
        decision = (answer.action or "").replace("_", " ")
        return [QuestionAnswered(answer.question_id, f"{decision} {answer.value or ''}".strip())]

    # --- commands ----------------------------------------------------------------------------------------

    async def accept(self, asked: Asked) -> tuple[Command, bool]:
        """Clean a text and commit it as a command; False when an earlier command is given back.

        Raises:
            RefusedError: the text or the outbox does not allow it.
            StorageError: it could not be written.
        """
        message = wording.clean(asked.text)
        key = asked.idempotency_key if asked.take_id is None else key_of_take(asked.take_id)
        new = NewCommand(str(uuid_utils.uuid7()), asked.kind, message, asked.metadata, key)
        if asked.idempotency_key is not None:
            accepted = await self._outbox.add(new, self._clock().wall)
        else:
            same = (asked.source, asked.kind, message)
            accepted = await self._latest.once(
                same, lambda: self._outbox.add(new, self._clock().wall), self._clock().monotonic
            )
        self._link.wake()
        return accepted

    async def _enqueue(self, take: Enqueue) -> list[Event]:
        try:
            asked = Asked("voice", take.text, take.metadata, source="voice", take_id=take.take_id)
            command, is_new = await self.accept(asked)
        except (RefusedError, StorageError) as error:
            refused: list[Event] = [CommandRefused(take.take_id, error.code, error.message)]
            return [*refused, StorageFailed(error.message)] if isinstance(error, StorageError) else refused
        if not is_new:
            self._ear.takes.forget(take.take_id)
            return []
        return [CommandQueued(command.id, "voice", command.message, take.take_id)]

    async def _send_next(self, effect: SendNext) -> list[Event]:
        recorded = await self._record_what_failed()  # what goes back to the line has its place before others
        if self._unrecorded:
            return [*recorded, LineServed(effect.limit, 0)]
        to = Recipient(self._link.target_name, effect.dedupes)
        try:
            taken = await self._outbox.begin_attempts(self._clock().wall, effect.limit, to)
        except StorageError as error:
            return [*recorded, StorageFailed(error.message), LineServed(effect.limit, 0)]
        commands = taken.commands
        if commands and self._mouth is not None:
            self._mouth.wake()
        events: list[Event] = [*recorded, *(AttemptBegun(command.id, command.kind) for command in commands)]
        outgoing = [Outgoing(each.id, each.kind, each.message, each.metadata) for each in commands]
        refused = not self._link.submit(outgoing, effect.epoch)
        if refused:
            events += [WriteFailed(command.id) for command in commands]
        served = LineServed(effect.limit, len(commands), taken.held, refused)
        return [*events, *_moved(taken.uncertain), served]

    async def _step(self, step: _Step) -> list[Event]:
        match step:
            case Move():
                return await self._move(step)
            case PutBack(command_id=command_id, reason=reason):
                now = self._clock().wall
                return await self._decided(self._outbox.put_back(command_id, now, reason=reason))
            case Decide():
                return await self._decide(step)

    async def _move(self, move: Move) -> list[Event]:
        now = self._clock().wall
        try:
            command = await self._outbox.move(
                move.command_id, move.to, now, reason=move.reason, reply=move.reply, repeat=move.repeat
            )
        except (NotAllowedError, NotFoundError) as error:
            # A late or repeated word about a command whose fate is sealed changes nothing.
            log.warning("step refused", command_id=move.command_id, to=move.to, problem=error.message)
            return []
        return _moved([command])

    async def _decide(self, decide: Decide) -> list[Event]:
        now = self._clock().wall
        if decide.again:
            return await self._decided(self._outbox.retry(decide.command_id, now))
        dropped = self._outbox.move(decide.command_id, State.DROPPED, now, reason=GIVEN_UP)
        return await self._decided(dropped)

    async def _decided(self, step: Awaitable[Command]) -> list[Event]:
        """A step of the user's; one that the command's fate does not allow any more changes nothing."""
        try:
            command = await step
        except (NotAllowedError, NotFoundError, RefusedError) as error:
            log.warning("not done as decided", problem=error.message)
            return []
        if command.state is not State.QUEUED:
            return _moved([command])
        self._link.wake()
        return [*_moved([command]), CommandQueued(command.id, command.kind, command.message, again=True)]

    async def _record_what_failed(self) -> list[Event]:
        """Record the steps a full disk refused: a reply that came must not look as if none had."""
        events: list[Event] = []
        while self._unrecorded:
            try:
                events += await self._step(self._unrecorded[0])
            except StorageError as error:
                return [*events, StorageFailed(error.message)]
            del self._unrecorded[0]
        return events

    # --- the voice ---------------------------------------------------------------------------------------

    def _speak(self, effect: Speak) -> list[Event]:
        if self._mouth is None:
            words = "omniid has no voice: speech.engine is none."
            return [SpeechFailed(effect.utterance_id, "no_voice", words)]
        try:
            self._mouth.send(Say(effect.utterance_id, effect.text, effect.in_history))
        except WorkerError as error:
            return [SpeechFailed(effect.utterance_id, error.code, error.message)]
        return [SpeechQueued(effect.utterance_id, effect.command_id)]

    def hush(self) -> None:
        if self._mouth is not None:
            self._mouth.send(StopSpeaking())


def _moved(commands: Sequence[Command]) -> list[Event]:
    return [CommandMoved(command.id, command.state) for command in commands]
