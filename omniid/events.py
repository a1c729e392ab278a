"""What happened: frozen, in the past tense. The assistant takes these, and the event stream shows them.

The children's own reports (`omniid.workers.channel`) are events too and are taken as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from omniid.fate import State
from omniid.protocol.chat import Note, Reply
from omniid.protocol.messages import ApprovalAction
from omniid.workers.channel import (
    CaptureEnded,
    CaptureOpened,
    InputFileEnded,
    LevelHeard,
    MicrophoneKept,
    ModelReady,
    RecogniserNoted,
    SpeechFailed,
    SpeechFinished,
    SpeechStarted,
    TakeBegun,
    TakeEmpty,
    TakeFailed,
    TakePartial,
    TakeRecognised,
    VoiceNoted,
)

Kind = Literal["voice", "text"]

# --- the user ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Manner:
    """How a key wants its takes: its mode, and its profile's wishes. None: as the settings have it.

    hold: heard while the key is down. toggle: one press begins, the next ends. hybrid: a long press is held,
    a short one latches.
    """

    mode: Literal["hold", "toggle", "hybrid"] = "hold"
    profile: str | None = None
    language: str | None = None
    model: str | None = None
    speak: bool = True


HOLD = Manner()
TOGGLE = Manner(mode="toggle")


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """`take_id` is the id the take will have if this press starts one."""

    owner: str
    take_id: str
    manner: Manner = HOLD


@dataclass(frozen=True, slots=True)
class KeyReleased:
    owner: str


@dataclass(frozen=True, slots=True)
class KeyLost:
    """Nobody can say any more whether the key is down: its keyboard, its server or its session has gone."""

    owner: str
    reason: str


@dataclass(frozen=True, slots=True)
class KeyToggled:
    owner: str
    take_id: str
    manner: Manner = TOGGLE


@dataclass(frozen=True, slots=True)
class HotkeyChanged:
    """Which backend listens for the key now; None: none does, and `advice` says what to do.

    `note` is what the user should know of a backend that listens, such as the key the desktop gave it.
    """

    backend: str | None
    sees_releases: bool = False
    note: str | None = None
    advice: str | None = None


@dataclass(frozen=True, slots=True)
class MachineWoke:
    """The machine was asleep: whoever held a key has let go of it since."""


@dataclass(frozen=True, slots=True)
class MicrophoneForbidden:
    """The user wants the microphone shut, or (not `shut`) allows it again."""

    shut: bool


@dataclass(frozen=True, slots=True)
class ConfirmationAsked:
    """These words are not sure enough to act on: "Did you say …?".

    `why`: "echo" where omniid itself has just said them.
    """

    take_id: str
    text: str
    why: Literal["unsure", "cut_short", "echo"]


@dataclass(frozen=True, slots=True)
class ConfirmationAnswered:
    """`by`: tap, voice, notification, api, timeout, cancelled, replaced."""

    take_id: str
    accepted: bool
    by: str


@dataclass(frozen=True, slots=True)
class ConfirmationDue:
    """The user has had the time to answer; `reminds`: half of it."""

    take_id: str
    reminds: bool = False


@dataclass(frozen=True, slots=True)
class TakeGivenUp:
    """Two ears in a row were lost over a take; `message` says what can still be done."""

    take_id: str
    message: str


@dataclass(frozen=True, slots=True)
class TakesFound:
    """An earlier run was killed and left the sound of these, of which nothing became."""

    take_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TakeRetried:
    """The user wants the kept sound of a take recognised once more."""

    take_id: str
    manner: Manner = HOLD


@dataclass(frozen=True, slots=True)
class TakeDropped:
    """The user has no more need of a take that was kept."""

    take_id: str


@dataclass(frozen=True, slots=True)
class TakeCancelRequested:
    owner: str


@dataclass(frozen=True, slots=True)
class HushRequested:
    """The user wants silence now."""


@dataclass(frozen=True, slots=True)
class VoiceMuted:
    """The user wants omniid to say nothing, or (not `muted`) to speak again."""

    muted: bool


@dataclass(frozen=True, slots=True)
class SpeechRequested:
    """A text the user asked omniid to say."""

    utterance_id: str
    text: str


@dataclass(frozen=True, slots=True)
class SpeechQueued:
    """The mouth was given something to say, for a command or by itself."""

    utterance_id: str
    command_id: str | None


# --- commands ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class CommandQueued:
    """The command is on disk. `again` marks one that was put back in the line."""

    command_id: str
    kind: Kind
    message: str
    take_id: str | None = None
    again: bool = False


@dataclass(frozen=True, slots=True)
class CommandFound:
    """At start: a command of an earlier run that is not over. `accepted_at`: ISO 8601, with its zone."""

    command_id: str
    kind: Kind
    message: str
    state: State
    answer_wanted: bool = True
    accepted_at: str | None = None


@dataclass(frozen=True, slots=True)
class CommandEdited:
    """A command that still waits was changed; `text` is what it says now."""

    command_id: str
    text: str


@dataclass(frozen=True, slots=True)
class CommandRefused:
    """A spoken command that could not be accepted; a typed one is refused to its caller."""

    take_id: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class AttemptBegun:
    """The attempt is on disk and the command has been handed to the link."""

    command_id: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class CommandWritten:
    """`frame` is the text as it went out."""

    command_id: str
    frame: str


@dataclass(frozen=True, slots=True)
class WriteFailed:
    """Not a byte of the command left this process."""

    command_id: str


@dataclass(frozen=True, slots=True)
class CommandProgressed:
    """A frame that belongs to the command and does not settle it."""

    command_id: str
    kind: str
    text: str | None
    note: Note | None = None


@dataclass(frozen=True, slots=True)
class CommandSettled:
    command_id: str
    reply: Reply


@dataclass(frozen=True, slots=True)
class LateReplyArrived:
    """A settling frame that names a command which is no longer in flight on this link."""

    command_id: str
    reply: Reply


@dataclass(frozen=True, slots=True)
class CommandUncertain:
    """The command may have been done. `repeatable`: the server knows a repeated id, so it may go again."""

    command_id: str
    reason: str
    repeatable: bool = False


@dataclass(frozen=True, slots=True)
class CommandRejected:
    """The server closed the link over this command."""

    command_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class QuestionAsked:
    """The server waits for the user in mid-command; the command's deadline rests meanwhile."""

    command_id: str | None
    kind: Literal["intervention", "approval"]
    text: str
    raw: dict[str, Any]
    session_id: str | None = None
    step_id: str | None = None
    open_for_s: float = 600.0
    note: Note | None = None


@dataclass(frozen=True, slots=True)
class QuestionPosed:
    """A question of the server's is put to the user; `again`: as a reminder.

    `step` is what the next step of a draft does, where its steps are decided one by one.
    """

    question_id: str
    kind: Literal["intervention", "approval"]
    text: str
    command_id: str | None
    again: bool
    step: str | None = None


@dataclass(frozen=True, slots=True)
class QuestionReplied:
    """The user answers a question: with a value, or with a decision about a draft, or a step of it."""

    question_id: str
    value: str | None = None
    action: ApprovalAction | None = None
    step_id: str | None = None


@dataclass(frozen=True, slots=True)
class AnswerAcknowledged:
    """The server has taken the user's answer to a question, or says why not."""

    session_id: str
    step_id: str | None
    accepted: bool
    text: str


@dataclass(frozen=True, slots=True)
class QuestionAnswered:
    """The user's answer to a question of the server's is on its way: a value, or a decision in a word."""

    question_id: str
    text: str = ""


@dataclass(frozen=True, slots=True)
class QuestionNotAnswered:
    """The user's answer could not be passed on; the question stays open."""

    question_id: str


@dataclass(frozen=True, slots=True)
class QuestionDue:
    """A question has been open for half of its time, or for all of it."""

    question_id: str


@dataclass(frozen=True, slots=True)
class QuestionExpired:
    """The time to answer is up: nobody waits for the answer any more."""

    question_id: str
    text: str


@dataclass(frozen=True, slots=True)
class QuestionClosed:
    """The command that a question was asked for is over without the answer."""

    question_id: str


@dataclass(frozen=True, slots=True)
class FateDecided:
    """The user has decided on a command that may have been done: it goes again, or is given up."""

    command_id: str
    again: bool


@dataclass(frozen=True, slots=True)
class AnsweredHere:
    """What the embedded backend said to a command that waits for the remote one; None: it may not answer."""

    command_id: str
    reply: Reply | None


@dataclass(frozen=True, slots=True)
class SettledHere:
    """A command that waited for the remote backend is done: the embedded one's answer is recorded."""

    command_id: str
    kind: Kind
    reply: Reply


@dataclass(frozen=True, slots=True)
class AnswerUnwanted:
    """The user called off a command that is on the wire: its answer is recorded, and not spoken."""

    command_id: str


@dataclass(frozen=True, slots=True)
class CommandMoved:
    """A command's state changed on disk."""

    command_id: str
    state: State


# --- signing in -------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SignInStarted:
    """The server wants the user to sign in at `url` before it does a command.

    `url` is None where there is none that may be opened, and `problem` says why. `shown` is the address as
    it is fit to be shown; None where it may be dead. `text` is what the server said.
    """

    sign_in_id: str
    url: str | None
    shown: str | None
    text: str
    problem: str | None


@dataclass(frozen=True, slots=True)
class SignInFound:
    """A command that has waited for a sign-in since before omniid was started."""

    command_id: str
    kind: Kind
    text: str
    url: str | None
    left_s: float


@dataclass(frozen=True, slots=True)
class SignInReopened:
    """The user wants the page opened once more."""

    sign_in_id: str


@dataclass(frozen=True, slots=True)
class PageOpened:
    """The page of a sign-in is in the browser's hands, or (`problem`) it could not be opened."""

    sign_in_id: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class SignInReturned:
    """The browser has come back from the sign-in that a command waits for."""

    command_id: str
    accepted: bool


@dataclass(frozen=True, slots=True)
class SignInReported:
    """The server says how a sign-in went; without `url`, that of any that is open."""

    url: str | None
    accepted: bool


@dataclass(frozen=True, slots=True)
class SignInConfirmed:
    """The user says that it is done; without an id, of all that are open."""

    sign_in_id: str | None = None


@dataclass(frozen=True, slots=True)
class SignInRefused:
    """The user has said no on the page. It stays open: they may still say yes."""

    sign_in_id: str
    text: str


@dataclass(frozen=True, slots=True)
class SignInEnded:
    """Nothing waits for it any more. `text` says what follows."""

    sign_in_id: str
    outcome: Literal["done", "expired", "cancelled"]
    text: str


# --- the link ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LinkDialling:
    target: str


@dataclass(frozen=True, slots=True)
class LinkOpened:
    epoch: int
    window: int


@dataclass(frozen=True, slots=True)
class WindowGrew:
    """The server has shown that its replies name their command."""

    window: int


@dataclass(frozen=True, slots=True)
class ServerDedupes:
    """The server has said that it does a repeated id only once."""


@dataclass(frozen=True, slots=True)
class LinkSpoilt:
    """This socket must be replaced: it is dead, or a late reply could settle the wrong command."""

    reason: str


@dataclass(frozen=True, slots=True)
class LinkLost:
    """The next attempt comes in `retry_in_s` seconds."""

    reason: str
    retry_in_s: float


@dataclass(frozen=True, slots=True)
class LinkStopped:
    """Dialling again would not help. `needs_token`: a new token would."""

    reason: str
    needs_token: bool


@dataclass(frozen=True, slots=True)
class MessageArrived:
    """Something the server said by itself: a notification, a chat message, a `reply` nobody waits for.

    `command_id` is the latest command, where it is recent: what this is likely to be about.
    """

    kind: str
    text: str
    raw: dict[str, Any]
    note: Note | None = None
    command_id: str | None = None
    reply: Reply | None = None

    @property
    def is_for_people(self) -> bool:
        """Whether it is new to the user: no news of a command in work, and not their own words."""
        note = self.note
        is_news = note is None or (note.kind in {"notification", "message"} and note.sender != "user")
        return bool(self.text) and is_news


@dataclass(frozen=True, slots=True)
class FrameIgnored:
    problem: str
    raw: str


# --- the house --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class WorkerFailed:
    """A child process ended or hung and is being replaced."""

    worker: Literal["ear", "mouth", "backend"]
    message: str


@dataclass(frozen=True, slots=True)
class WorkerStood:
    """A child process stands by."""

    worker: Literal["ear", "mouth", "backend"]
    pid: int


@dataclass(frozen=True, slots=True)
class StorageFailed:
    message: str


@dataclass(frozen=True, slots=True)
class StorageWorks:
    """The disk takes words again."""


@dataclass(frozen=True, slots=True)
class NotificationsNoted:
    """Notifications cannot be shown, and why; None: they are again."""

    problem: str | None


@dataclass(frozen=True, slots=True)
class ClockTicked:
    """Housekeeping is due."""


@dataclass(frozen=True, slots=True)
class LineServed:
    """Of `asked` commands that may be sent now, the line gave `begun`.

    `held`: the first may only be repeated to a backend that says it dedupes, and this one has not.
    `refused`: the link did not take them, since it is over.
    """

    asked: int
    begun: int
    held: bool = False
    refused: bool = False


@dataclass(frozen=True, slots=True)
class SendingDue:
    """The rate limit lets commands go again."""


@dataclass(frozen=True, slots=True)
class StopRequested:
    """omniid is to end: nothing new goes out, and what is in flight has a moment to be answered."""


LinkEvent = (
    LinkDialling
    | LinkOpened
    | WindowGrew
    | ServerDedupes
    | LinkSpoilt
    | LinkLost
    | LinkStopped
    | CommandWritten
    | WriteFailed
    | CommandProgressed
    | CommandSettled
    | LateReplyArrived
    | CommandUncertain
    | CommandRejected
    | QuestionAsked
    | AnswerAcknowledged
    | SignInReported
    | MessageArrived
    | FrameIgnored
)
EarEvent = (
    TakeBegun
    | CaptureOpened
    | LevelHeard
    | TakePartial
    | InputFileEnded
    | CaptureEnded
    | TakeRecognised
    | TakeEmpty
    | TakeFailed
    | ModelReady
    | RecogniserNoted
    | MicrophoneKept
)
SignInEvent = (
    SignInReported
    | SignInStarted
    | SignInFound
    | SignInReopened
    | PageOpened
    | SignInReturned
    | SignInConfirmed
    | SignInRefused
    | SignInEnded
)
MouthEvent = SpeechStarted | SpeechFinished | SpeechFailed | VoiceNoted
Event = (
    KeyPressed
    | KeyReleased
    | KeyLost
    | KeyToggled
    | TakeCancelRequested
    | HotkeyChanged
    | MachineWoke
    | MicrophoneForbidden
    | ConfirmationAsked
    | ConfirmationAnswered
    | ConfirmationDue
    | TakeGivenUp
    | TakesFound
    | TakeRetried
    | TakeDropped
    | HushRequested
    | VoiceMuted
    | SpeechRequested
    | SpeechQueued
    | CommandQueued
    | CommandEdited
    | CommandFound
    | CommandRefused
    | AttemptBegun
    | CommandMoved
    | LinkEvent
    | EarEvent
    | MouthEvent
    | WorkerFailed
    | WorkerStood
    | StorageFailed
    | StorageWorks
    | NotificationsNoted
    | ClockTicked
    | LineServed
    | SendingDue
    | StopRequested
    | AnsweredHere
    | AnswerUnwanted
    | SettledHere
    | FateDecided
    | QuestionPosed
    | QuestionReplied
    | QuestionAnswered
    | QuestionNotAnswered
    | QuestionDue
    | QuestionExpired
    | QuestionClosed
    | SignInEvent
)
