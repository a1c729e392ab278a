"""One socket's conversation with an Omnii backend, pure: frames and time in, frames and events out.

A `Link` lives as long as its socket. It knows which commands are in flight and decides what each received
frame means for them. The shell round it (omniid.session) moves bytes and obeys.

Correlation. Nothing in the contract ties a reply to its command, so one command is in flight until the
server echoes a `requestId` or says `correlate`; from then on up to `max_in_flight`. A frame without an id
belongs to the one command in flight; with several in flight it settles none.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from omniid.events import (
    CommandProgressed,
    CommandRejected,
    CommandSettled,
    CommandUncertain,
    FrameIgnored,
    LateReplyArrived,
    LinkEvent,
    LinkSpoilt,
    MessageArrived,
    QuestionAsked,
    WindowGrew,
)
from omniid.moment import Moment
from omniid.protocol import chat
from omniid.protocol.messages import (
    CapabilityFrame,
    ChatFrame,
    CommandFrame,
    CommandPayload,
    ContextFrame,
    ErrorFrame,
    HelloFrame,
    NotificationFrame,
    PongFrame,
    PongReply,
    ResponseFrame,
    ServerFrame,
    ServerPing,
    StepExecution,
    SystemFrame,
    ThinkingFrame,
    UnifiedReply,
    UnknownFrame,
    WorkflowDraft,
    encode,
    parse_server_frame,
)

LONGEST_REPLY_S = 600.0
_POISON_CLOSES = frozenset({1003, 1007, 1009})
_NEEDS_TOKEN_CLOSES = frozenset({4401, 4403})
_NEEDS_TOKEN_STATUSES = frozenset({401, 403})
_STOP_STATUSES = frozenset({400, 404, 405, 410, 426})

Retry = Literal["retry", "needs_token", "stop"]
_Settling = ResponseFrame | ErrorFrame | UnifiedReply


@dataclass(frozen=True, slots=True)
class LinkSettings:
    user_id: str
    timezone: str
    max_in_flight: int
    reply_timeout_s: float


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A command on its way to the wire; `id` becomes its requestId."""

    id: str
    kind: Literal["voice", "text"]
    message: str
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class _InFlight:
    written_at: float
    last_word_at: float
    rests_until: float | None = None  # None: the server has asked nothing

    def deadline(self, timeout_s: float) -> float:
        answer_due = min(self.last_word_at + timeout_s, self.written_at + LONGEST_REPLY_S)
        return answer_due if self.rests_until is None else max(answer_due, self.rests_until + timeout_s)


class Link:
    """The state of one socket: what is in flight, what the server can do, what is to be sent."""

    def __init__(self, settings: LinkSettings) -> None:
        self._settings = settings
        self._in_flight: dict[str, _InFlight] = {}
        self._features: frozenset[str] = frozenset()
        self._echoes = False
        self._owes_a_reply = False  # one that is overdue may still come, and not say whose it is
        self._to_send: list[str] = []
        self.frames_received = 0
        self.spoilt = False

    @property
    def window(self) -> int:
        """How many commands may be in flight."""
        return self._settings.max_in_flight if self._correlates else 1

    @property
    def _correlates(self) -> bool:
        return self._echoes or "correlate" in self._features

    # --- out ---------------------------------------------------------------------------------------------

    def command(self, outgoing: Outgoing, now: Moment) -> str:
        """The frame for a command, which is in flight from here on."""
        self._in_flight[outgoing.id] = _InFlight(now.monotonic, now.monotonic)
        payload = CommandPayload(
            command_type="voice_command" if outgoing.kind == "voice" else "text_command",
            message=outgoing.message,
            user_id=self._settings.user_id,
            user_timezone=self._settings.timezone,
            local_datetime=now.wall.isoformat(timespec="milliseconds"),
            request_id=outgoing.id,
            metadata=outgoing.metadata or None,
        )
        return encode(CommandFrame(payload=payload, timestamp=now.unix_ms))

    def frames_to_send(self) -> list[str]:
        """What the link itself has to say, oldest first; each is given out once."""
        frames, self._to_send = self._to_send, []
        return frames

    # --- in ----------------------------------------------------------------------------------------------

    def receive(self, raw: str | bytes, now: Moment) -> list[LinkEvent]:
        """What a received frame means."""
        self.frames_received += 1
        frame = parse_server_frame(raw)
        grew = self._learn(frame)
        return [*grew, *self._interpret(frame, now)]

    def _learn(self, frame: ServerFrame) -> list[LinkEvent]:
        before = self.window
        if isinstance(frame, HelloFrame):
            self._features = frame.features
        elif frame.request_id in self._in_flight:
            self._echoes = True
        return [WindowGrew(self.window)] if self.window > before else []

    def _interpret(self, frame: ServerFrame, now: Moment) -> list[LinkEvent]:
        match frame:
            case PongReply() | HelloFrame():
                return []
            case ServerPing():
                self._to_send.append(encode(PongFrame(timestamp=now.unix_ms)))
                return []
            case UnknownFrame(problem=problem, raw=raw):
                return [FrameIgnored(problem, raw)]
            case ResponseFrame(status="success" | "error") | ErrorFrame() | UnifiedReply():
                return self._settle(frame)
            case WorkflowDraft() | SystemFrame(action="user_intervention_required"):
                return self._ask(frame, now)
            case NotificationFrame():
                return [_message(frame)]
            case _:
                return self._progress(frame, now)

    def _owner(self, frame: ServerFrame) -> str | None:
        """The command in flight that a frame belongs to."""
        if frame.request_id is not None:
            return frame.request_id if frame.request_id in self._in_flight else None
        if self._owes_a_reply:
            return None
        return next(iter(self._in_flight)) if len(self._in_flight) == 1 else None

    def _settle(self, frame: _Settling) -> list[LinkEvent]:
        owner = self._owner(frame)
        if owner is not None:
            del self._in_flight[owner]
            return [CommandSettled(owner, chat.from_frame(frame))]
        if frame.request_id is not None:
            return [LateReplyArrived(frame.request_id, chat.from_frame(frame))]
        return [_message(frame)]

    def _progress(self, frame: ServerFrame, now: Moment) -> list[LinkEvent]:
        owner = self._owner(frame)
        if owner is None:
            return [_message(frame)]
        self._in_flight[owner] = replace(self._in_flight[owner], last_word_at=now.monotonic)
        return [CommandProgressed(owner, _kind(frame), _text(frame))]

    def _ask(self, frame: WorkflowDraft | SystemFrame, now: Moment) -> list[LinkEvent]:
        owner = self._owner(frame)
        if owner is not None:
            rest_s = _timeout_s(frame)
            self._in_flight[owner] = replace(
                self._in_flight[owner], last_word_at=now.monotonic, rests_until=now.monotonic + rest_s
            )
        kind: Literal["approval", "intervention"]
        kind = "approval" if isinstance(frame, WorkflowDraft) else "intervention"
        return [QuestionAsked(owner, kind, _text(frame) or "The assistant has a question.", _raw(frame))]

    # --- time and the end --------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """When `advance` has to be called, in monotonic seconds."""
        timeout_s = self._settings.reply_timeout_s
        return min((flight.deadline(timeout_s) for flight in self._in_flight.values()), default=None)

    def advance(self, now: Moment) -> list[LinkEvent]:
        """Give up waiting for replies that are overdue."""
        timeout_s = self._settings.reply_timeout_s
        overdue = [
            command_id
            for command_id, flight in self._in_flight.items()
            if flight.deadline(timeout_s) <= now.monotonic
        ]
        events: list[LinkEvent] = []
        for command_id in overdue:
            del self._in_flight[command_id]
            events.append(CommandUncertain(command_id, "no answer came in time"))
            self._owes_a_reply = True
        if overdue and not self._correlates:
            self.spoilt = True
            events.append(LinkSpoilt("a reply is overdue, and it would not say which command it answers"))
        return events

    def write_failed(self, command_id: str) -> None:
        """Forget a command of which not a byte was written."""
        self._in_flight.pop(command_id, None)

    def closed(self, code: int | None, reason: str) -> list[LinkEvent]:
        """What the end of the socket means for the commands in flight.

        `code` is the close code the peer sent, None when it sent none.
        """
        lost, self._in_flight = list(self._in_flight), {}
        if code in _POISON_CLOSES and len(lost) == 1:
            return [CommandRejected(lost[0], f"the server refused its frame ({code} {reason})".strip())]
        # A frame that closes links is not to be sent again for ever, whatever the server knows.
        repeatable = "dedupe" in self._features and code not in _POISON_CLOSES
        return [
            CommandUncertain(item, "the link was lost before its answer came", repeatable) for item in lost
        ]


def classify_close(code: int | None) -> Retry:
    """Whether dialling again can help after the peer closed with this code."""
    return "needs_token" if code in _NEEDS_TOKEN_CLOSES else "retry"


def classify_status(status: int) -> Retry:
    """Whether dialling again can help after the handshake was answered with this HTTP status."""
    if status in _NEEDS_TOKEN_STATUSES:
        return "needs_token"
    return "stop" if status in _STOP_STATUSES else "retry"


def advise(status: int) -> str:
    """What to do about a handshake that was answered with this HTTP status."""
    if status in _NEEDS_TOKEN_STATUSES:
        return "it wants another token; set OMNIID_TOKEN and restart omniid"
    if status == 429 or status >= 500:  # noqa: PLR2004 HTTP statuses
        return "it is busy or broken, and is tried again"
    return "it is no WebSocket there; check backend.url"


def _timeout_s(frame: WorkflowDraft | SystemFrame) -> float:
    timeout_ms = (frame.data or {}).get("timeout") if isinstance(frame, SystemFrame) else None
    if isinstance(timeout_ms, int | float) and not isinstance(timeout_ms, bool) and timeout_ms > 0:
        return min(timeout_ms, LONGEST_REPLY_S * 1000) / 1000
    return LONGEST_REPLY_S


def _message(frame: ServerFrame) -> MessageArrived:
    if isinstance(frame, ResponseFrame | ErrorFrame | UnifiedReply):
        text: str | None = chat.from_frame(frame).content
    else:
        text = _text(frame)
    return MessageArrived(_kind(frame), text or "", _raw(frame))


def _kind(frame: ServerFrame) -> str:
    match frame:
        case ThinkingFrame():
            return "thinking"
        case ContextFrame():
            return "context"
        case CapabilityFrame():
            return "capabilities"
        case ChatFrame():
            return "chat"
        case StepExecution():
            return "step"
        case NotificationFrame():
            return "notification"
        case ResponseFrame(status="processing"):
            return "processing"
        case SystemFrame(action=str(action)):
            return action
        case _:
            return str((frame.model_extra or {}).get("type", "message"))[:80]


def _text(frame: ServerFrame) -> str | None:
    """The words in a frame that a person could be shown."""
    payload = _record(getattr(frame, "payload", None))
    data = _record(getattr(frame, "data", None))
    for candidate in (
        getattr(frame, "stage", None),
        getattr(frame, "content", None),
        getattr(frame, "message", None),
        data.get("message"),
        payload.get("message"),
        payload.get("summary"),
        data.get("reason"),
        getattr(frame, "title", None),
    ):
        if isinstance(candidate, str) and candidate.strip():
            return candidate.encode("utf-8", errors="replace").decode("utf-8")
    return None


def _record(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _raw(frame: ServerFrame) -> dict[str, Any]:
    return frame.model_dump(by_alias=True, exclude_none=True)
