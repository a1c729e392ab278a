"""Every verb of the control API and its models: what both ends agree on.

The models are strict about what callers send; errors are RFC 9457 problem details with a code from errors.py.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

from omniid.protocol import codec

MAX_BODY_BYTES = 1_048_576
MAX_WAIT_S = 600.0


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class CommandRequest(_Request):
    """`wait_s`: how long to wait for the command to settle before answering with its state so far.

    `source` names the key or script it comes from: the same words from the same source within
    `session.debounce_ms` are one command, unless an idempotency key says what is the same.
    """

    message: str
    type: Literal["text_command", "voice_command"] = "text_command"
    wait_s: Annotated[float, Field(ge=0, le=MAX_WAIT_S)] = 0
    metadata: dict[str, Any] = {}
    source: Annotated[str, Field(min_length=1, max_length=100)] = "api"

    @field_validator("metadata")
    @classmethod
    def _can_travel(cls, metadata: dict[str, Any]) -> dict[str, Any]:
        # Whatever both encodings can carry and a reader will take back.
        codec.JSON.unpack(json.dumps(metadata, allow_nan=False))
        codec.MSGPACK.unpack(codec.MSGPACK.pack(metadata))
        return metadata


class EditRequest(_Request):
    message: str


class AnswerRequest(_Request):
    """To an intervention `value` is the answer. To a draft `action` decides, and `value` may say why.

    A confirmation ("Did you say …?") takes `accept`.
    """

    value: Annotated[str, Field(max_length=8_000)] | None = None
    action: Literal["approve_all", "approve_step", "reject_step", "modify_step", "cancel_all"] | None = None
    accept: bool | None = None
    step_id: Annotated[str, Field(min_length=1, max_length=200)] | None = None


class ListenRequest(_Request):
    """`owner` names the key or script that holds the microphone open; only it can let go.

    `profile` names one of `hotkey.profiles`, whose language, model and voice the take then has.
    """

    owner: Annotated[str, Field(min_length=1, max_length=100)] = "cli"
    profile: Annotated[str, Field(min_length=1, max_length=50)] | None = None


class AuthRequest(_Request):
    """`id` names the sign-in; without it all that are open are meant."""

    id: Annotated[str, Field(min_length=1, max_length=50)] | None = None


class RetryRequest(_Request):
    """`profile` names one of `hotkey.profiles`: another language or model may hear what the first did not."""

    profile: Annotated[str, Field(min_length=1, max_length=50)] | None = None


class SpeechRequest(_Request):
    text: Annotated[str, Field(min_length=1, max_length=20_000)]


class CommandView(BaseModel):
    """A command as the API shows it. `timings` are milliseconds since its first stage.

    `waits_for` says what has to happen before a queued one goes out.
    """

    id: str
    type: Literal["text_command", "voice_command"]
    message: str
    state: str
    reason: str | None = None
    waits_for: str | None = None
    answer_wanted: bool = True
    reply: dict[str, Any] | None = None
    attempts: int
    created_at: str
    changed_at: str
    expires_at: str
    metadata: dict[str, Any]
    timings: dict[str, int]


class CommandList(BaseModel):
    commands: list[CommandView]


class QuestionView(BaseModel):
    """Something the backend asked, or omniid itself: "Did you say …?" (`confirmation`).

    `raw` is the backend's frame, with the steps of a draft; `open_steps` are those not decided yet.
    """

    id: str
    kind: Literal["intervention", "approval", "confirmation"]
    text: str
    command_id: str | None
    open_for_s: float
    open_steps: list[str] = []
    raw: dict[str, Any]


class QuestionList(BaseModel):
    questions: list[QuestionView]


class SignInView(BaseModel):
    """Where the user has to sign in before `commands` are done. `text` is what the backend said.

    `url` is the page, where it is one that may be opened; `shown` is it as it is fit to be read. `opening`,
    `opened`: the browser is about to have it, or has it. `problem` says why not, in a sentence.
    """

    id: str
    text: str
    url: str | None
    shown: str | None
    problem: str | None
    state: Literal["open", "refused"]
    opening: bool = False
    opened: bool
    commands: list[str]
    open_for_s: float


class AuthView(BaseModel):
    """`origin` is where the token comes from, never the token; `advice` is what to do.

    `sign_ins` are those that commands wait for; `resumed` is how many commands go again.
    """

    state: Literal["none", "ready", "refused", "missing", "failed"]
    origin: str | None
    advice: str | None
    sign_ins: list[SignInView] = []
    resumed: int = 0


class ListenView(BaseModel):
    take_id: str | None
    capture: Literal["idle", "opening", "listening", "closing"]


class TakeView(BaseModel):
    """The kept sound of a take."""

    id: str
    recorded_at: str
    duration_s: float


class TakeList(BaseModel):
    takes: list[TakeView]


class DevicesView(BaseModel):
    """What can be listened to and spoken through; `problem` says why there is nothing."""

    inputs: list[dict[str, Any]]
    outputs: list[dict[str, Any]]
    problem: str | None


class HotkeyView(BaseModel):
    """`backend`: x11, portal, evdev, macos; None when no key is listened for."""

    backend: str | None
    sees_releases: bool
    note: str | None = None


class HistoryMessageView(BaseModel):
    """`kind`: command, reply, partial, question, notification, … `whole_bytes`: what a cut text had."""

    id: str
    at: str
    sender: Literal["user", "assistant", "system"]
    kind: str
    text: str
    whole_bytes: int | None
    command_id: str | None
    metadata: dict[str, Any]
    reply: dict[str, Any] | None


class HistoryView(BaseModel):
    """The newest first. `before` asks for the next page; null: there is none. `enabled`: is one kept?"""

    messages: list[HistoryMessageView]
    before: int | None
    enabled: bool


class HistoryCleared(BaseModel):
    deleted: int


class SpeechView(BaseModel):
    utterance_id: str


class WorkerView(BaseModel):
    running: bool
    pid: int | None


class StatusView(BaseModel):
    """`headline` is one word or two for people; `problems` say what to do, by part."""

    headline: str
    version: str
    pid: int
    uptime_s: float
    backend: str
    link: Literal["offline", "connecting", "ready", "waiting", "needs_token", "stopped"]
    link_reason: str | None
    capture: Literal["idle", "opening", "listening", "closing"]
    microphone: Literal["closed", "open", "kept open", "kept shut"] = "closed"
    hotkey: HotkeyView = HotkeyView(backend=None, sees_releases=False)
    model: str | None = None
    confirming: str | None = None
    in_flight: int = 0
    questions: int = 0
    sign_ins: int = 0
    recognising: int
    speaking: bool
    muted: bool = False
    outbox: dict[str, int]
    workers: dict[str, WorkerView]
    problems: dict[str, str]


class HealthView(BaseModel):
    ok: Literal[True] = True


class Accepted(BaseModel):
    accepted: Literal[True] = True


class Problem(BaseModel):
    """RFC 9457 problem details."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    code: str


@dataclass(frozen=True, slots=True)
class Verb:
    """One row of the API. `name` is also the method that serves it; `flags` stand in its query."""

    name: str
    method: Literal["GET", "POST", "PATCH", "DELETE"]
    path: str
    summary: str
    answer: type[BaseModel]
    request: type[_Request] | None = None
    flags: tuple[str, ...] = ()


VERBS = (
    Verb("health", "GET", "/v1/health", "The daemon lives.", HealthView),
    Verb("status", "GET", "/v1/status", "What omniid is doing.", StatusView),
    Verb("command_add", "POST", "/v1/commands", "Accept a command.", CommandView, CommandRequest),
    Verb(
        "command_get", "GET", "/v1/commands/{id}", "One command.", CommandView, flags=("wait_s", "or_asked")
    ),
    Verb("command_edit", "PATCH", "/v1/commands/{id}", "Change a queued command.", CommandView, EditRequest),
    Verb("command_cancel", "POST", "/v1/commands/{id}/cancel", "Call a command off.", CommandView),
    Verb("command_retry", "POST", "/v1/commands/{id}/retry", "Send a command again.", CommandView),
    Verb("command_drop", "POST", "/v1/commands/{id}/drop", "Give a command up.", CommandView),
    Verb("outbox", "GET", "/v1/outbox", "What waits or needs a decision.", CommandList, flags=("all",)),
    Verb(
        "history",
        "GET",
        "/v1/history",
        "What was said.",
        HistoryView,
        flags=("limit", "before", "q", "since"),
    ),
    Verb("history_clear", "DELETE", "/v1/history", "Forget all of it.", HistoryCleared),
    Verb("questions", "GET", "/v1/questions", "What the backend asked.", QuestionList),
    Verb("question_answer", "POST", "/v1/questions/{id}", "Answer it.", Accepted, AnswerRequest),
    Verb("auth", "GET", "/v1/auth", "The token, and where to sign in.", AuthView),
    Verb("auth_done", "POST", "/v1/auth/done", "The user has signed in.", AuthView, AuthRequest),
    Verb("auth_open", "POST", "/v1/auth/open", "Open the page once more.", AuthView, AuthRequest),
    Verb("auth_login", "POST", "/v1/auth/login", "There is a new token: dial with it.", AuthView),
    Verb("auth_logout", "POST", "/v1/auth/logout", "The token is gone: dial without it.", AuthView),
    Verb("listen_start", "POST", "/v1/listen/start", "The key goes down.", ListenView, ListenRequest),
    Verb("listen_stop", "POST", "/v1/listen/stop", "The key comes up.", ListenView, ListenRequest),
    Verb("listen_toggle", "POST", "/v1/listen/toggle", "Start or stop.", ListenView, ListenRequest),
    Verb("listen_cancel", "POST", "/v1/listen/cancel", "Forget the take.", ListenView, ListenRequest),
    Verb("listen_enable", "POST", "/v1/listen/enable", "Allow the microphone again.", Accepted),
    Verb("listen_disable", "POST", "/v1/listen/disable", "Keep the microphone shut.", Accepted),
    Verb("takes", "GET", "/v1/takes", "Takes whose sound is kept.", TakeList),
    Verb("take_retry", "POST", "/v1/takes/{id}/retry", "Recognise a take again.", Accepted, RetryRequest),
    Verb("take_drop", "POST", "/v1/takes/{id}/drop", "Delete a take.", Accepted),
    Verb("devices", "GET", "/v1/devices", "Microphones and speakers.", DevicesView),
    Verb("speech_say", "POST", "/v1/speech", "Say a text.", SpeechView, SpeechRequest),
    Verb("speech_hush", "DELETE", "/v1/speech", "Be silent at once.", Accepted),
    Verb("mute", "POST", "/v1/mute", "Say nothing any more.", Accepted),
    Verb("unmute", "POST", "/v1/unmute", "Speak again.", Accepted),
    Verb("reconnect", "POST", "/v1/reconnect", "Replace the link to the backend.", Accepted),
    Verb("shutdown", "POST", "/v1/shutdown", "Stop the daemon.", Accepted),
)
EVENTS_PATH = "/v1/events"
METRICS_PATH = "/v1/metrics"
OPENAPI_PATH = "/openapi.json"
