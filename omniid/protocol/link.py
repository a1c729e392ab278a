"""One socket's conversation with an Omnii backend, pure: frames and time in, frames and events out.

A `Link` lives as long as its socket. It knows which commands are in flight and decides what each received
frame means for them. The shell round it (omniid.session) moves bytes and obeys.

Correlation. Nothing in the contract ties a reply to its command, so one command is in flight until the
server echoes a `requestId` or says `correlate`; from then on up to `max_in_flight`. A frame without an id
belongs to the one command in flight; with several in flight it settles none.

Answers. What the user answers to a question of the server's is acknowledged by a response that is not the
command's: it names the session and step, or it is an error without them that comes while an answer is
unacknowledged (the server answers each frame directly, so the answer's error comes before the command's).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeVar

from omniid.events import (
    AnswerAcknowledged,
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
    ServerDedupes,
    SignInReported,
    WindowGrew,
)
from omniid.moment import Moment
from omniid.protocol import chat, reading
from omniid.protocol.closing import POISON_CLOSES
from omniid.protocol.codec import JSON, Codec
from omniid.protocol.heartbeat import Heartbeat
from omniid.protocol.messages import (
    ApprovalAction,
    ApprovalFrame,
    ApprovalPayload,
    BatchFrame,
    BatchPayload,
    CapabilityFrame,
    ChatFrame,
    CommandFrame,
    CommandPayload,
    ContextFrame,
    ErrorFrame,
    HelloFrame,
    InterventionFrame,
    InterventionPayload,
    NotificationFrame,
    PingFrame,
    PingPayload,
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
from omniid.protocol.questions import Key, Questions
from omniid.protocol.reading import record
from omniid.protocol.sealing import Sealer, SealingError

LONGEST_REPLY_S = 600.0
_MOST_OVERDUE = 1_000
REDIRECT_URL = "redirectUrl"
_SIGNED_IN = {"oauth_completed": True, "auth_completed": True, "oauth_failed": False, "auth_failed": False}

Frame = str | bytes
_Said = TypeVar("_Said", chat.Note, chat.Reply)
_Settling = ResponseFrame | ErrorFrame | UnifiedReply


@dataclass(frozen=True, slots=True)
class LinkSettings:
    """`return_page` is where a browser comes back to from the sign-in that a command (by its id) asks for."""

    user_id: str
    timezone: str
    max_in_flight: int
    reply_timeout_s: float
    ping_interval_s: float = 15.0
    ping_timeout_s: float = 10.0
    return_page: Callable[[str], str | None] | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A command on its way to the wire; `id` becomes its requestId."""

    id: str
    kind: Literal["voice", "text"]
    message: str
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What the user says to a question. With `action` it decides a workflow draft, and `value` says why.

    `leaves_open`: other steps of the draft are still to be decided.
    """

    session_id: str
    step_id: str | None
    value: str | None = None
    action: ApprovalAction | None = None
    leaves_open: bool = False


@dataclass(frozen=True, slots=True)
class Leave:
    """Nobody is going to answer what was asked for this command, after the answers given before."""

    command_id: str


@dataclass(frozen=True, slots=True)
class _InFlight:
    last_word_at: float
    given_up_at: float  # whatever the server says meanwhile
    rests_since: float | None = None  # None: nothing that it asked is open
    said: str | None = None  # the latest chat message about it

    def deadline(self, timeout_s: float, rest_until: float | None) -> float:
        answer_due = min(self.last_word_at + timeout_s, self.given_up_at)
        return answer_due if rest_until is None else max(answer_due, rest_until + timeout_s)

    def resting(self, now: float) -> _InFlight:
        return replace(self, last_word_at=now, rests_since=self.rests_since or now)

    def going_on(self, now: float) -> _InFlight:
        """Time that it rested does not count."""
        rested_s = 0.0 if self.rests_since is None else now - self.rests_since
        return _InFlight(now, self.given_up_at + rested_s, said=self.said)


class Link:
    """The state of one socket: what is in flight, what the server can do, what is to be sent."""

    def __init__(
        self, settings: LinkSettings, now: Moment, *, codec: Codec = JSON, sealer: Sealer | None = None
    ) -> None:
        self._settings = settings
        # The command that went out last, and when: also one of an earlier link, which a server goes on with.
        self.latest: tuple[str, float] | None = None
        self._codec = codec
        self._sealer = sealer
        self._in_flight: dict[str, _InFlight] = {}
        self._features: frozenset[str] = frozenset()
        self._echoes = False
        self._overdue: deque[str] = deque(maxlen=_MOST_OVERDUE)  # whose replies may come, and not name them
        self._questions = Questions()
        self._to_send: list[Frame] = []
        self._pings = 0
        self._ping_due = False
        self._heartbeat = Heartbeat(settings.ping_interval_s, settings.ping_timeout_s, now.monotonic)
        self.frames_received = 0
        self.spoilt = False

    @property
    def heard_at(self) -> float:
        """When the other end was last heard of, in monotonic seconds."""
        return self._heartbeat.heard_at

    @property
    def window(self) -> int:
        """How many commands may be in flight."""
        return self._settings.max_in_flight if self._correlates else 1

    @property
    def dedupes(self) -> bool:
        """Whether the server has said that it does a repeated id only once."""
        return "dedupe" in self._features

    @property
    def _correlates(self) -> bool:
        return self._echoes or "correlate" in self._features

    # --- out ---------------------------------------------------------------------------------------------

    def commands(self, outgoing: Sequence[Outgoing], now: Moment) -> list[Frame]:
        """The frames for commands, which are in flight from here on: one for all, or one each.

        Raises:
            ValueError: one of them holds what no frame can carry; none is in flight.
        """
        frames = self._frames([self._payload(each, now) for each in outgoing], now)
        for each in outgoing:
            self._in_flight[each.id] = _InFlight(now.monotonic, now.monotonic + LONGEST_REPLY_S)
            self.latest = each.id, now.monotonic
        return frames

    def _frames(self, payloads: list[CommandPayload], now: Moment) -> list[Frame]:
        if len(payloads) > 1 and self._correlates and "batch" in self._features:
            batch = BatchFrame(payload=BatchPayload(commands=payloads), timestamp=now.unix_ms)
            return [encode(batch, self._codec)]
        return [
            encode(CommandFrame(payload=payload, timestamp=now.unix_ms), self._codec) for payload in payloads
        ]

    def _payload(self, outgoing: Outgoing, now: Moment) -> CommandPayload:
        metadata = {**outgoing.metadata, **self._return_page(outgoing.id)} or None
        words: dict[str, Any] = {"message": outgoing.message, "metadata": metadata}
        if self._sealer is not None:
            words = {"sealed": self._sealer.seal(outgoing.message, metadata)}
        return CommandPayload(
            command_type="voice_command" if outgoing.kind == "voice" else "text_command",
            user_id=self._settings.user_id,
            user_timezone=self._settings.timezone,
            local_datetime=now.wall.isoformat(timespec="milliseconds"),
            request_id=outgoing.id,
            **words,
        )

    def _return_page(self, command_id: str) -> dict[str, str]:
        make = self._settings.return_page
        page = make(command_id) if make is not None and "redirect" in self._features else None
        return {} if page is None else {REDIRECT_URL: page}

    def answer(self, answer: Answer, now: Moment) -> Frame:
        """The frame for what the user says to a question; the command's deadline starts anew."""
        key = Key.of(answer.session_id, answer.step_id)
        owner = self._questions.answered(key, leaves_open=answer.leaves_open)
        if owner in self._in_flight and self._questions.rest_until(owner) is None:
            self._in_flight[owner] = self._in_flight[owner].going_on(now.monotonic)
        frame: InterventionFrame | ApprovalFrame
        if answer.action is None:
            said = InterventionPayload(
                session_id=answer.session_id, step_id=answer.step_id or "", resolved_value=answer.value or ""
            )
            frame = InterventionFrame(payload=said, timestamp=now.unix_ms)
        else:
            decided = ApprovalPayload(action=answer.action, step_id=answer.step_id, reason=answer.value)
            frame = ApprovalFrame(sessionId=answer.session_id, payload=decided, timestamp=now.unix_ms)
        return encode(frame, self._codec)

    def leave_questions(self, command_id: str, now: Moment) -> None:
        """Nobody is going to answer what was asked for this command: its deadline starts anew."""
        self._questions.left(command_id)
        if command_id in self._in_flight:
            self._in_flight[command_id] = self._in_flight[command_id].going_on(now.monotonic)

    def ping(self, now: Moment, *, within_s: float | None = None) -> list[Frame]:
        """The wire's own ping; with `within_s`, something has to be heard by then.

        Not while a command is in flight: a server that knows no ping answers it with an error, and that would
        settle the command. The WebSocket's own ping asks as well.
        """
        if within_s is not None:
            self._heartbeat.probe(now.monotonic, within_s)
        if self._in_flight:
            return []
        self._pings += 1
        payload = PingPayload(user_id=self._settings.user_id, sequence=self._pings)
        return [encode(PingFrame(payload=payload, timestamp=now.unix_ms), self._codec)]

    def take_ping(self) -> bool:
        """Whether the WebSocket's own ping is due; it is once."""
        due, self._ping_due = self._ping_due, False
        return due

    def frames_to_send(self) -> list[Frame]:
        """What the link itself has to say, oldest first; each is given out once."""
        frames, self._to_send = self._to_send, []
        return frames

    # --- in ----------------------------------------------------------------------------------------------

    def heard(self, now: Moment) -> None:
        """Something came, if only a part of a frame: the other end lives."""
        self._heartbeat.heard(now.monotonic)

    def receive(self, raw: Frame, now: Moment) -> list[LinkEvent]:
        """What a received frame means."""
        self.frames_received += 1
        self.heard(now)
        frame = self._unsealed(parse_server_frame(raw, self._codec))
        return [*self._learn(frame), *_signed_in(frame), *self._interpret(frame, now)]

    def _learn(self, frame: ServerFrame) -> list[LinkEvent]:
        before, deduped = self.window, self.dedupes
        if isinstance(frame, HelloFrame):
            self._features = frame.features
        elif frame.request_id in self._in_flight:
            self._echoes = True
        grew: list[LinkEvent] = [WindowGrew(self.window)] if self.window > before else []
        # Told first: what the wider window lets out is then noted as sent to a server that dedupes.
        return [ServerDedupes(), *grew] if self.dedupes and not deduped else grew

    def _unsealed(self, frame: ServerFrame) -> ServerFrame:
        """The frame as it is without its seal; one that was tampered with is no frame."""
        data = record(getattr(frame, "data", None))
        if "sealed" not in data:
            return frame
        if self._sealer is None:
            return UnknownFrame(problem="a sealed reply, and no backend.seal_key_file is set", raw="")
        try:
            opened = self._sealer.open(str(data["sealed"]))
        except SealingError as error:
            return UnknownFrame(problem=f"a sealed reply that cannot be opened: {error.message}", raw="")
        rest = {key: value for key, value in data.items() if key != "sealed"}
        return frame.model_copy(update={"data": {**rest, **opened}})

    def _interpret(self, frame: ServerFrame, now: Moment) -> list[LinkEvent]:
        match frame:
            case PongReply() | HelloFrame():
                return []
            case ServerPing():
                self._to_send.append(encode(PongFrame(timestamp=now.unix_ms), self._codec))
                return []
            case UnknownFrame(problem=problem, raw=raw):
                return [FrameIgnored(problem, raw)]
            case SystemFrame(action=str(action)) if action in _SIGNED_IN:
                return []
            case ResponseFrame() | ErrorFrame() if (answered := self._acknowledged(frame)) is not None:
                self._rest_where_asked(now)
                return [_acknowledgement(answered, chat.from_frame(frame))]
            case ResponseFrame(status="success" | "error") | ErrorFrame() | UnifiedReply():
                return self._settle(frame, now)
            case WorkflowDraft() | SystemFrame(action="user_intervention_required"):
                return self._ask(frame, now)
            case NotificationFrame():
                return [self._message(frame, now)]
            case _:
                return self._progress(frame, now)

    def _owner(self, frame: ServerFrame) -> str | None:
        """The command in flight that a frame belongs to."""
        if frame.request_id is not None:
            return frame.request_id if frame.request_id in self._in_flight else None
        if self._overdue:
            return None
        return next(iter(self._in_flight)) if len(self._in_flight) == 1 else None

    def _acknowledged(self, frame: ResponseFrame | ErrorFrame) -> Key | None:
        """The answer that a frame acknowledges."""
        if isinstance(frame, ResponseFrame) and frame.status not in {"success", "error"}:
            return None
        data = frame.data or {}
        named = Key.of(data.get("sessionId"), data.get("stepId"))
        failed = isinstance(frame, ErrorFrame) or frame.status == "error"
        may_be_nameless = frame.request_id is None
        return self._questions.acknowledged(named, failed=failed, may_be_nameless=may_be_nameless)

    def _rest_where_asked(self, now: Moment) -> None:
        for command_id, waits in self._in_flight.items():
            if self._questions.rest_until(command_id) is not None:
                self._in_flight[command_id] = waits.resting(now.monotonic)

    def _settle(self, frame: _Settling, now: Moment) -> list[LinkEvent]:
        owner = self._owner(frame)
        if owner is not None:
            said = self._in_flight[owner].said
            self._land(owner)
            return [CommandSettled(owner, chat.in_words(chat.from_frame(frame), said))]
        if frame.request_id is not None:
            if frame.request_id in self._overdue:
                self._overdue.remove(frame.request_id)
            return [LateReplyArrived(frame.request_id, chat.from_frame(frame))]
        return [self._message(frame, now)]

    def _progress(self, frame: ServerFrame, now: Moment) -> list[LinkEvent]:
        owner = self._owner(frame)
        if owner is None:
            return [self._message(frame, now)]
        note = chat.note(frame)
        waits = replace(self._in_flight[owner], last_word_at=now.monotonic)
        if note is not None and note.kind == "message" and note.sender == "assistant":
            waits = replace(waits, said=note.content)
        self._in_flight[owner] = waits
        return [CommandProgressed(owner, _kind(frame), None if note is None else note.content, note)]

    def _message(self, frame: ServerFrame, now: Moment) -> MessageArrived:
        note, reply = chat.note(frame), _reply_of(frame)
        said = note or reply
        text = "" if said is None else said.content
        command_id, at = self.latest or (None, 0.0)
        about = command_id if now.monotonic - at <= LONGEST_REPLY_S else None
        raw = reading.raw(frame)
        return MessageArrived(_kind(frame), text, raw, _beside_raw(note), about, _beside_raw(reply))

    def _ask(self, frame: WorkflowDraft | SystemFrame, now: Moment) -> list[LinkEvent]:
        owner = self._owner(frame)
        rest_s = _timeout_s(frame)
        if owner is not None:
            self._in_flight[owner] = self._in_flight[owner].resting(now.monotonic)
        kind: Literal["approval", "intervention"]
        kind = "approval" if isinstance(frame, WorkflowDraft) else "intervention"
        session_id, step_id = _question_of(frame)
        self._questions.asked(Key.of(session_id, step_id), owner, now.monotonic + rest_s)
        note = chat.note(frame)
        text = chat.QUESTION if note is None else note.content
        raw = reading.raw(frame)
        return [QuestionAsked(owner, kind, text, raw, session_id, step_id, rest_s, _beside_raw(note))]

    # --- time and the end --------------------------------------------------------------------------------

    def next_deadline(self) -> float:
        """When `advance` has to be called, in monotonic seconds."""
        return min([self._heartbeat.next_deadline(), *map(self._deadline, self._in_flight)])

    def _deadline(self, command_id: str) -> float:
        rest_until = self._questions.rest_until(command_id)
        return self._in_flight[command_id].deadline(self._settings.reply_timeout_s, rest_until)

    def _land(self, command_id: str) -> None:
        del self._in_flight[command_id]
        self._questions.settled(command_id)

    def advance(self, now: Moment) -> list[LinkEvent]:
        """Give up waiting for replies that are overdue, and for a peer that is silent."""
        match self._heartbeat.check(now.monotonic):
            case "dead":
                self.spoilt = True
                return [LinkSpoilt("nothing was heard from the backend, not even a pong")]
            case "ask":
                self._to_send += self.ping(now)
                self._ping_due = True
                return self._give_up_overdue(now)
            case "well":
                return self._give_up_overdue(now)

    def _give_up_overdue(self, now: Moment) -> list[LinkEvent]:
        overdue = [each for each in self._in_flight if self._deadline(each) <= now.monotonic]
        events: list[LinkEvent] = []
        for command_id in overdue:
            self._land(command_id)
            events.append(CommandUncertain(command_id, "no answer came in time"))
            self._overdue.append(command_id)
        if overdue and not self._correlates:
            self.spoilt = True
            events.append(LinkSpoilt("a reply is overdue, and it would not say which command it answers"))
        return events

    def closed(self, code: int | None, reason: str) -> list[LinkEvent]:
        """What the end of the socket means for the commands in flight.

        `code` is the close code the peer sent, None when it sent none.
        """
        lost, self._in_flight = list(self._in_flight), {}
        if code in POISON_CLOSES and len(lost) == 1:
            return [CommandRejected(lost[0], f"the server refused its frame ({code} {reason})".strip())]
        # A frame that closes links is not to be sent again for ever, whatever the server knows.
        repeatable = self.dedupes and code not in POISON_CLOSES
        return [
            CommandUncertain(item, "the link was lost before its answer came", repeatable) for item in lost
        ]


def _acknowledgement(answered: Key, reply: chat.Reply) -> AnswerAcknowledged:
    said = "" if reply.content == chat.NO_WORDS else reply.content
    return AnswerAcknowledged(
        answered.session_id, answered.step_id or None, accepted=reply.outcome != "failed", text=said
    )


def _question_of(frame: WorkflowDraft | SystemFrame) -> tuple[str | None, str | None]:
    """The session and the step that an answer has to name."""
    if isinstance(frame, WorkflowDraft):
        return frame.session_id, None
    data = frame.data or {}
    return _name(data.get("sessionId")), _name(data.get("stepId"))


def _name(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _timeout_s(frame: WorkflowDraft | SystemFrame) -> float:
    timeout_ms = (frame.data or {}).get("timeout") if isinstance(frame, SystemFrame) else None
    if isinstance(timeout_ms, int | float) and not isinstance(timeout_ms, bool) and timeout_ms > 0:
        return min(timeout_ms, LONGEST_REPLY_S * 1000) / 1000
    return LONGEST_REPLY_S


def _reply_of(frame: ServerFrame) -> chat.Reply | None:
    """What a frame that settles says; None where it settles nothing."""
    match frame:
        case ResponseFrame(status="success" | "error") | ErrorFrame() | UnifiedReply():
            return chat.from_frame(frame)
        case _:
            return None


def _beside_raw(said: _Said | None) -> _Said | None:
    """What is said in an event that holds the frame itself: a frame may be large, and is kept once."""
    return None if said is None else replace(said, raw={})


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


def _signed_in(frame: ServerFrame) -> list[LinkEvent]:
    """How a sign-in went, where a frame tells it. A response that does is somebody's reply all the same."""
    if not isinstance(frame, ResponseFrame | SystemFrame):
        return []
    data = record(frame.data)
    action = data.get("action")
    accepted = _SIGNED_IN.get(action) if isinstance(action, str) else None
    if accepted is None:
        return []
    failed = data.get("success") is False or (isinstance(frame, ResponseFrame) and frame.status == "error")
    return [SignInReported(reading.address(data.get("authUrl")), accepted and not failed)]
