"""The region of the policy between the outbox and the backend: the link and the line. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from omniid.effects import (
    AskHere,
    Cue,
    Effect,
    ExpireOverdue,
    GiveUpRepeats,
    Move,
    SendLater,
    SendNext,
    SettleHere,
)
from omniid.events import (
    AnsweredHere,
    AnswerUnwanted,
    AttemptBegun,
    CommandFound,
    CommandMoved,
    CommandQueued,
    CommandRejected,
    CommandSettled,
    CommandUncertain,
    CommandWritten,
    Event,
    Kind,
    LateReplyArrived,
    LineServed,
    LinkDialling,
    LinkLost,
    LinkOpened,
    LinkSpoilt,
    LinkStopped,
    SendingDue,
    ServerDedupes,
    SettledHere,
    StopRequested,
    WindowGrew,
    WriteFailed,
)
from omniid.fate import CALLED_OFF, State
from omniid.protocol.chat import Reply
from omniid.protocol.pace import Pace

LinkState = Literal["offline", "connecting", "ready", "waiting", "needs_token", "stopped"]
Tell = Callable[[str, Kind, str | None], list[Effect]]
SignIn = Callable[[str, Kind, Reply, float], list[Effect]]

_OUTCOMES = {"done": State.DONE, "failed": State.FAILED, "needs_auth": State.NEEDS_AUTH}
_HELD_FOR_S = 3.0
_MOST_REMEMBERED = 1_000
_OFFLINE = "I am offline. Your command waits, and goes out as soon as I am back."
_UNCERTAIN = "I cannot tell whether your last command was done. Please check before you repeat it."


@dataclass(frozen=True, slots=True)
class LineSettings:
    """`fallback`: the embedded backend may answer what is safe while the remote one is away."""

    uncertain: Literal["ask", "resend", "drop"] = "ask"
    rate_per_minute: int = 0
    fallback: bool = False


class Line:
    """`tell` says what is to be said of a command, and decides whether it is said aloud.

    `sign_in` is told of a command that is done only for a user who has signed in.
    """

    def __init__(self, settings: LineSettings, tell: Tell, sign_in: SignIn = lambda *_: []) -> None:
        self._settings = settings
        self._tell = tell
        self._sign_in = sign_in
        self._pace = Pace(settings.rate_per_minute or None)
        self.link: LinkState = "offline"
        self.reason: str | None = None
        self.window = 0
        self._epoch = 0
        self._dedupes = False
        self._held_since: float | None = None
        self._send_due = False
        self._stopping = False
        # Commands handed to the link and not yet settled, each with how it came in.
        self.in_flight: dict[str, Kind] = {}
        # Those the user was told to be uncertain; a late word about any other changes nothing.
        self._uncertain: OrderedDict[str, Kind] = OrderedDict()
        self._unwanted: set[str] = set()
        self._asked_here: dict[str, CommandQueued] = {}  # what the embedded backend has been asked

    def handle(self, event: Event, now: float) -> list[Effect]:
        match event:
            case LinkDialling() | LinkOpened() | WindowGrew() | ServerDedupes() | LinkLost() | LinkStopped():
                return self._on_link(event, now)
            case AnsweredHere() | SettledHere():
                return self._on_answered_here(event)
            case CommandQueued() | LineServed() | SendingDue() | AttemptBegun() | StopRequested():
                return self._on_line(event, now)
            case _:
                return self._on_command(event, now)

    def tick(self, now: float) -> list[Effect]:
        held = self._held_since is not None and now - self._held_since >= _HELD_FOR_S
        if held:
            self._held_since = None
        give_up: list[Effect] = [GiveUpRepeats()] if held else []
        return [ExpireOverdue(), *give_up, *self._send_if_room(now)]

    # --- the link ----------------------------------------------------------------------------------------

    def _on_link(
        self,
        event: LinkDialling | LinkOpened | WindowGrew | ServerDedupes | LinkLost | LinkStopped,
        now: float,
    ) -> list[Effect]:
        match event:
            case LinkDialling():
                self.link = "connecting"
            case LinkOpened(epoch=epoch, window=window):
                self.link, self.reason = "ready", None
                self._epoch, self.window, self._dedupes = epoch, window, False
                return self._send_if_room(now)
            case WindowGrew(window=window):
                self.window = window
                return self._send_if_room(now)
            case ServerDedupes():
                self._dedupes = True
                return self._send_if_room(now)
            case LinkLost(reason=reason):
                self.link, self.reason = "waiting", reason
            case LinkStopped(reason=reason, needs_token=needs_token):
                self.link, self.reason = "needs_token" if needs_token else "stopped", reason
        self.window, self._held_since = 0, None
        return []

    # --- the line ----------------------------------------------------------------------------------------

    def _on_line(
        self, event: CommandQueued | LineServed | SendingDue | AttemptBegun | StopRequested, now: float
    ) -> list[Effect]:
        match event:
            case CommandQueued():
                return self._on_queued(event, now)
            case AttemptBegun(command_id=command_id, kind=kind):
                self.in_flight[command_id] = kind
                self._uncertain.pop(command_id, None)
            case LineServed():
                self._pace.give_back(event.asked - event.begun)
                self._held_since = (self._held_since or now) if event.held else None
                more = event.begun == event.asked and not event.refused
                return self._send_if_room(now) if more else []
            case SendingDue():
                self._send_due = False
                return self._send_if_room(now)
            case StopRequested():
                self._stopping = True
        return []

    def _on_queued(self, event: CommandQueued, now: float) -> list[Effect]:
        self._unwanted.discard(event.command_id)  # put back by the user, its answer is wanted again
        if self.link == "ready":
            return self._send_if_room(now)
        if self._settings.fallback and not event.again:
            self._asked_here[event.command_id] = event
            return [AskHere(event.command_id, event.kind, event.message)]
        return [] if event.again else self._tell_offline(event.kind)

    def _tell_offline(self, kind: Kind) -> list[Effect]:
        return [Cue("waiting"), *self._tell(_OFFLINE, kind, None)] if kind == "voice" else []

    def _on_answered_here(self, event: AnsweredHere | SettledHere) -> list[Effect]:
        match event:
            case AnsweredHere(command_id=command_id, reply=reply):
                asked = self._asked_here.pop(command_id, None)
                if asked is None:
                    return []
                if reply is not None:
                    return [SettleHere(command_id, asked.kind, reply, asked.message)]
                return [] if self.link == "ready" else self._tell_offline(asked.kind)
            case SettledHere(command_id=command_id, kind=kind, reply=reply):
                return self._tell(reply.content, kind, command_id)
        return []

    def _send_if_room(self, now: float) -> list[Effect]:
        room = self.window - len(self.in_flight)
        if room <= 0 or self._stopping:
            return []
        allowed = self._pace.take(now, room)
        if allowed:
            return [SendNext(allowed, self._epoch, self._dedupes)]
        if self._send_due:
            return []
        self._send_due = True
        return [SendLater(max(0.0, self._pace.ready_at(now) - now))]

    # --- commands ----------------------------------------------------------------------------------------

    def _on_command(self, event: Event, now: float) -> list[Effect]:
        match event:
            case CommandWritten(command_id=command_id):
                return [Move(command_id, State.WAITING)] if command_id in self.in_flight else []
            case WriteFailed(command_id=command_id):
                self._land(command_id)
                self._pace.give_back(1)
                return self._put_back(command_id, "it could not be written; it keeps its place")
            case CommandSettled(command_id=command_id, reply=reply):
                kind = self._land(command_id)
                return [*self._settle(command_id, reply, kind, now), *self._send_if_room(now)]
            case LateReplyArrived(command_id=command_id, reply=reply):
                known = self._uncertain.pop(command_id, None)
                move = Move(command_id, _OUTCOMES[reply.outcome], reply=reply)
                return [move] if known is None else self._settle(command_id, reply, known, now)
            case LinkSpoilt():
                self.window = 0
                return []
            case CommandMoved():
                return self._on_moved(event)
            case CommandUncertain(command_id=command_id, reason=reason, repeatable=repeatable):
                return self._lose(command_id, reason, repeatable=repeatable)
            case CommandRejected(command_id=command_id, reason=reason):
                kind = self._land(command_id)
                self._unwanted.discard(command_id)
                return [
                    Move(command_id, State.REJECTED, reason),
                    *self._tell(f"Not done: {reason}.", kind, None),
                ]
            case CommandFound(state=State.UNCERTAIN):
                self._remember_uncertain(event.command_id, event.kind)
                if not event.answer_wanted:
                    self._unwanted.add(event.command_id)
                return []
            case AnswerUnwanted(command_id=command_id):
                if command_id in self.in_flight:
                    self._unwanted.add(command_id)
                return []
            case _:
                return []

    def _on_moved(self, event: CommandMoved) -> list[Effect]:
        if event.state is not State.UNCERTAIN:
            self._uncertain.pop(event.command_id, None)
            return []
        match self._settings.uncertain:
            case "resend":
                return self._put_back(event.command_id, "sent again, as delivery.uncertain says")
            case "drop":
                return [Move(event.command_id, State.DROPPED, "dropped, as delivery.uncertain says")]
            case "ask":
                self._remember_uncertain(event.command_id, "text")
                return []

    def _settle(self, command_id: str, reply: Reply, kind: Kind, now: float) -> list[Effect]:
        move = Move(command_id, _OUTCOMES[reply.outcome], reply=reply)
        unwanted = command_id in self._unwanted
        self._unwanted.discard(command_id)
        if reply.outcome == "needs_auth":
            if unwanted:
                return [move, Move(command_id, State.CANCELLED, CALLED_OFF)]
            return [move, *self._sign_in(command_id, kind, reply, now)]
        return [move] if unwanted else [move, *self._tell(reply.content, kind, command_id)]

    def _lose(self, command_id: str, reason: str, *, repeatable: bool) -> list[Effect]:
        kind = self._land(command_id)
        if repeatable:
            return self._put_back(command_id, f"{reason}; the server knows a repeated id", repeat=True)
        move = Move(command_id, State.UNCERTAIN, reason)
        if self._settings.uncertain != "ask":
            return [move]
        self._remember_uncertain(command_id, kind)
        return [move, *self._tell(_UNCERTAIN, kind, None)]

    def _put_back(self, command_id: str, reason: str, *, repeat: bool = False) -> list[Effect]:
        """Back to its place in the line; one that was called off meanwhile leaves it at once."""
        move = Move(command_id, State.QUEUED, reason, repeat=repeat)
        if command_id not in self._unwanted:
            return [move]
        self._unwanted.discard(command_id)
        return [move, Move(command_id, State.CANCELLED, CALLED_OFF)]

    def _remember_uncertain(self, command_id: str, kind: Kind) -> None:
        self._uncertain.setdefault(command_id, kind)
        while len(self._uncertain) > _MOST_REMEMBERED:
            self._uncertain.popitem(last=False)

    def _land(self, command_id: str) -> Kind:
        """Take a command off the wire; how it came in."""
        return self.in_flight.pop(command_id, "text")
