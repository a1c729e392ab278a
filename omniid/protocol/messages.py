"""The frames of the Omnii wire as models: strict in what is sent, tolerant in what is taken.

What a client sends has one exact form (`ClientFrame`): an unknown field or a wrong type is an error.
What a server sends (`ServerFrame`) is read for what can be used: a field of the wrong type counts as absent,
unknown fields are kept, unknown types and text that is no JSON become `UnknownFrame`. Reading never raises.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self, overload

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    TypeAdapter,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel

from omniid.errors import ProtocolError
from omniid.protocol.codec import JSON, Codec, JsonCodec
from omniid.protocol.codec import SUBPROTOCOL_JSON as SUBPROTOCOL_JSON  # noqa: PLC0414 who sends frames names it

# --- what a client sends: exact ---------------------------------------------------------------------------


class _Strict(BaseModel):
    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, alias_generator=to_camel, populate_by_name=True
    )


class CommandPayload(_Strict):
    """One command. `request_id` is the command's own id, the same on every attempt.

    What the user said stands in `message` and `metadata`, in clear, or in `sealed`, and then nowhere else.
    """

    command_type: Literal["text_command", "voice_command"]
    message: str | None = None
    user_id: str
    user_timezone: str
    local_datetime: str
    request_id: str
    metadata: dict[str, Any] | None = None
    sealed: str | None = None

    @model_validator(mode="after")
    def _says_it_once(self) -> Self:
        if (self.message is None) == (self.sealed is None):
            raise ValueError("a command has either a message or a sealed one")
        if self.sealed is not None and self.metadata is not None:
            raise ValueError("a sealed command has no metadata in clear")
        return self


class CommandFrame(_Strict):
    type: Literal["command"] = "command"
    payload: CommandPayload
    timestamp: int


class PingPayload(_Strict):
    user_id: str
    sequence: int


class PingFrame(_Strict):
    type: Literal["ping"] = "ping"
    payload: PingPayload
    timestamp: int


class PongFrame(_Strict):
    """The answer to a server's own ping, which carries nothing to echo."""

    type: Literal["pong"] = "pong"
    timestamp: int


class BatchPayload(_Strict):
    commands: list[CommandPayload]


class BatchFrame(_Strict):
    type: Literal["batch"] = "batch"
    payload: BatchPayload
    timestamp: int


class InterventionPayload(_Strict):
    action: Literal["intervention_response"] = "intervention_response"
    session_id: str
    step_id: str
    resolved_value: str


class InterventionFrame(_Strict):
    type: Literal["system"] = "system"
    payload: InterventionPayload
    timestamp: int


ApprovalAction = Literal["approve_all", "approve_step", "reject_step", "modify_step", "cancel_all"]


class ApprovalPayload(_Strict):
    action: ApprovalAction
    step_id: str | None = None
    modifications: dict[str, Any] | None = None
    reason: str | None = None


class ApprovalFrame(_Strict):
    type: Literal["workflow_approval"] = "workflow_approval"
    session_id: str = Field(alias="sessionId")
    payload: ApprovalPayload
    timestamp: int


ClientFrame = Annotated[
    CommandFrame | PingFrame | PongFrame | BatchFrame | InterventionFrame | ApprovalFrame,
    Field(discriminator="type"),
]
_CLIENT_FRAMES: TypeAdapter[Any] = TypeAdapter(ClientFrame)


def dump(frame: BaseModel) -> dict[str, Any]:
    """A frame as the object that travels; fields that are not set stay away."""
    return frame.model_dump(by_alias=True, exclude_none=True)


@overload
def encode(frame: BaseModel, codec: JsonCodec = JSON) -> str: ...


@overload
def encode(frame: BaseModel, codec: Codec) -> str | bytes: ...


def encode(frame: BaseModel, codec: Codec = JSON) -> str | bytes:
    """A frame as it goes out: text, or bytes for a binary frame.

    Raises:
        ValueError: the encoding cannot carry what the frame holds.
    """
    return codec.pack(dump(frame))


def parse_client_frame(
    text: str | bytes,
) -> CommandFrame | PingFrame | PongFrame | BatchFrame | InterventionFrame | ApprovalFrame:
    """What a client sent, for a server that holds clients to the protocol.

    Raises:
        ProtocolError: the text is no frame of the protocol; the message names the first thing wrong.
    """
    try:
        frame: CommandFrame | PingFrame | PongFrame | BatchFrame | InterventionFrame | ApprovalFrame
        frame = _CLIENT_FRAMES.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the frame"
        raise ProtocolError(f"{where}: {first['msg']}") from error
    return frame


# --- what a server sends: whatever can be used of it -------------------------------------------------------


def _only(*types: type) -> BeforeValidator:
    """Take a value of these types, and let anything else count as absent."""

    def keep(value: Any) -> Any:
        if isinstance(value, bool) and bool not in types:
            return None
        return value if isinstance(value, types) else None

    return BeforeValidator(keep)


Text = Annotated[str | None, _only(str)]
Flag = Annotated[bool | None, _only(bool)]
Record = Annotated[dict[str, Any] | None, _only(dict)]
Listing = Annotated[list[Any] | None, _only(list)]


class _Tolerant(BaseModel):
    model_config = ConfigDict(extra="allow", frozen=True, alias_generator=to_camel, populate_by_name=True)

    request_id: Text = None


class ResponseFrame(_Tolerant):
    """The answer to a command; with status `processing` it does not settle it."""

    status: Text = None
    data: Record = None
    message: Text = None
    error: Record = None


class PongReply(_Tolerant):
    data: Record = None


class ErrorFrame(_Tolerant):
    error: Record = None
    data: Record = None
    message: Text = None


class ServerPing(_Tolerant):
    pass


class HelloFrame(_Tolerant):
    payload: Record = None

    @property
    def features(self) -> frozenset[str]:
        listed = (self.payload or {}).get("features")
        if not isinstance(listed, list):
            return frozenset()
        return frozenset(item for item in listed if isinstance(item, str))


class ThinkingFrame(_Tolerant):
    stage: Text = None


class ContextFrame(_Tolerant):
    title: Text = None
    reasoning: Listing = None
    context_summary: Record = None
    confidence: Record = None


class CapabilityFrame(_Tolerant):
    title: Text = None
    content: Text = None
    capabilities: Listing = None
    data_sources: Listing = Field(default=None, alias="data_sources")


class SystemFrame(_Tolerant):
    """`data.action`: immediate_response, data_update, user_intervention_required, or what comes next."""

    data: Record = None

    @property
    def action(self) -> str | None:
        action = (self.data or {}).get("action")
        return action if isinstance(action, str) else None


class ChatFrame(_Tolerant):
    """A message pushed into the chat (`type` is "text" or "unified_tool_response"); it settles nothing."""

    id: Text = None
    content: Text = None
    sender: Text = None
    metadata: Record = None


class UnifiedReply(_Tolerant):
    """A settling answer whose `type` names its category: email, calendar, contact, task, general, rdf."""

    type: str
    success: Flag = None
    data: Record = None
    message: Text = None
    auth_required: Flag = None
    auth_url: Text = None
    id: Text = None


class WorkflowDraft(_Tolerant):
    session_id: Text = None
    payload: Record = None


class StepExecution(_Tolerant):
    session_id: Text = None
    payload: Record = None


class NotificationFrame(_Tolerant):
    payload: Record = None


class UnknownFrame(_Tolerant):
    """Kept for the debug panel, counted, and otherwise without effect."""

    problem: str
    raw: str


ServerFrame = (
    ResponseFrame
    | PongReply
    | ErrorFrame
    | ServerPing
    | HelloFrame
    | ThinkingFrame
    | ContextFrame
    | CapabilityFrame
    | SystemFrame
    | ChatFrame
    | UnifiedReply
    | WorkflowDraft
    | StepExecution
    | NotificationFrame
    | UnknownFrame
)

_UNIFIED_TYPES = frozenset({"email", "calendar", "contact", "task", "general", "rdf"})
_BY_TYPE: Mapping[str, type[_Tolerant]] = {
    "response": ResponseFrame,
    "pong": PongReply,
    "error": ErrorFrame,
    "ping": ServerPing,
    "hello": HelloFrame,
    "ai_thinking": ThinkingFrame,
    "context_display": ContextFrame,
    "ai_capability_disclosure": CapabilityFrame,
    "system": SystemFrame,
    "text": ChatFrame,
    "unified_tool_response": ChatFrame,
    "workflow_draft": WorkflowDraft,
    "step_execution": StepExecution,
    "notification": NotificationFrame,
    **dict.fromkeys(_UNIFIED_TYPES, UnifiedReply),
}
_RAW_KEPT = 2_000


def parse_server_frame(raw: str | bytes, codec: Codec = JSON) -> ServerFrame:
    """What a server sent. Never raises: what cannot be read becomes an `UnknownFrame` that says why."""
    try:
        content = codec.unpack(raw)
    except ValueError as error:
        return UnknownFrame(problem=str(error), raw=_piece(raw))
    if not isinstance(content, dict):
        return UnknownFrame(problem="not a JSON object", raw=_piece(raw, content))
    kind = content.get("type")
    model = _BY_TYPE.get(kind.lower()) if isinstance(kind, str) else None
    if model is None:
        return UnknownFrame(problem=f"unknown type {str(kind)[:80]!r}", raw=_piece(raw, content))
    if model is ResponseFrame and _is_pong(content.get("data")):
        model = PongReply
    if model is UnifiedReply:
        content = {**content, "type": str(kind).lower()}
    frame: ServerFrame = model.model_validate(content)  # type: ignore[assignment]
    return frame


def _piece(raw: str | bytes, content: Any = None) -> str:
    """The beginning of a frame as text that can be shown and stored; of what it holds, where it is binary."""
    if isinstance(raw, str):
        return raw[:_RAW_KEPT].encode(errors="replace").decode()
    if content is not None:
        return JSON.pack(content)[:_RAW_KEPT]
    return raw[: _RAW_KEPT * 4].decode(errors="replace")[:_RAW_KEPT]


def _is_pong(data: object) -> bool:
    """Some servers answer a ping with a plain response whose data says only that it is a pong."""
    return isinstance(data, dict) and data.get("pong") is True and "message" not in data
