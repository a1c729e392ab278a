"""What to do: frozen, imperative. The assistant decides on these, the performer carries them out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from omniid.events import (
    ConfirmationAnswered,
    ConfirmationAsked,
    ConfirmationDue,
    QuestionClosed,
    QuestionDue,
    QuestionExpired,
    QuestionPosed,
    QuestionReplied,
    SignInEnded,
    SignInRefused,
    SignInStarted,
    TakeGivenUp,
)
from omniid.fate import State
from omniid.protocol.chat import Reply
from omniid.protocol.messages import ApprovalAction
from omniid.workers.channel import SpeechFailed, SpeechFinished


@dataclass(frozen=True, slots=True)
class StartCapture:
    """`ends_by_silence`: no key is held, so silence after speech ends the take."""

    take_id: str
    language: str | None = None
    model: str | None = None
    ends_by_silence: bool = False


@dataclass(frozen=True, slots=True)
class LatchCapture:
    """The key is up and the take goes on until there is silence."""

    take_id: str


@dataclass(frozen=True, slots=True)
class StopCapture:
    take_id: str


@dataclass(frozen=True, slots=True)
class CancelCapture:
    take_id: str


@dataclass(frozen=True, slots=True)
class RecogniseAgain:
    """Recognise what was kept of a take."""

    take_id: str
    language: str | None = None
    model: str | None = None


@dataclass(frozen=True, slots=True)
class ForgetTake:
    """Delete what was kept of a take."""

    take_id: str


@dataclass(frozen=True, slots=True)
class SweepTakes:
    """Delete takes that were kept for long enough."""


@dataclass(frozen=True, slots=True)
class ShutMicrophone:
    """Keep the microphone shut between takes, or let it be as the settings want it; and remember that."""

    shut: bool


@dataclass(frozen=True, slots=True)
class Cue:
    """A short sound; see `omniid.workers.channel.PlayCue` for the names."""

    cue: str


@dataclass(frozen=True, slots=True)
class Announce:
    """Let an event happen that the policy has derived from others, so that everybody sees it."""

    event: (
        ConfirmationAsked
        | ConfirmationAnswered
        | QuestionPosed
        | QuestionReplied
        | QuestionExpired
        | QuestionClosed
        | SignInStarted
        | SignInRefused
        | SignInEnded
        | TakeGivenUp
        | SpeechFinished
        | SpeechFailed
    )


@dataclass(frozen=True, slots=True)
class RemindLater:
    """Have an event come in so many seconds."""

    delay_s: float
    event: ConfirmationDue | QuestionDue


@dataclass(frozen=True, slots=True)
class AnswerQuestion:
    """Pass the user's answer on to the backend. `leaves_open`: other steps are still to be decided."""

    question_id: str
    session_id: str
    step_id: str | None
    value: str | None = None
    action: ApprovalAction | None = None
    leaves_open: bool = False


@dataclass(frozen=True, slots=True)
class LeaveQuestions:
    """Nobody is going to answer what was asked for a command; the link waits for its reply alone."""

    command_id: str


@dataclass(frozen=True, slots=True)
class OpenPage:
    """Open the page of a sign-in in the user's browser."""

    sign_in_id: str
    url: str


@dataclass(frozen=True, slots=True)
class PutBack:
    """Put a command that waited for the user back at the head of the line."""

    command_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class Decide:
    """Do with an uncertain command what the user has decided: `again`, at the tail of the line, or never."""

    command_id: str
    again: bool


@dataclass(frozen=True, slots=True)
class Enqueue:
    """Accept what was said as a command."""

    take_id: str
    text: str
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SendNext:
    """Hand the first commands in the line, `limit` at most, to the link of this epoch."""

    limit: int
    epoch: int
    dedupes: bool = False


@dataclass(frozen=True, slots=True)
class SendLater:
    """Have `SendingDue` come in so many seconds."""

    delay_s: float


@dataclass(frozen=True, slots=True)
class GiveUpRepeats:
    """Commands that wait for a backend to say that it dedupes wait no longer."""


@dataclass(frozen=True, slots=True)
class AskHere:
    """Let the embedded backend answer a command that waits, if it is one that it may."""

    command_id: str
    kind: Literal["voice", "text"]
    message: str


@dataclass(frozen=True, slots=True)
class SettleHere:
    """Record an answer of the embedded backend, if the command still waits and says what was `asked`."""

    command_id: str
    kind: Literal["voice", "text"]
    reply: Reply
    asked: str


@dataclass(frozen=True, slots=True)
class Move:
    """Record a step in a command's fate. `repeat`: it goes again to the backend that dedupes it."""

    command_id: str
    to: State
    reason: str | None = None
    reply: Reply | None = None
    repeat: bool = False


@dataclass(frozen=True, slots=True)
class ExpireOverdue:
    """Let commands expire whose time in the line is up."""


@dataclass(frozen=True, slots=True)
class ProbeStorage:
    """See whether the disk takes words again."""


@dataclass(frozen=True, slots=True)
class RecordWhatFailed:
    """Record the steps that the disk refused."""


@dataclass(frozen=True, slots=True)
class Speak:
    utterance_id: str
    text: str
    command_id: str | None = None
    in_history: bool = True  # where the user can read what is too long to be said


@dataclass(frozen=True, slots=True)
class StopSpeech:
    pass


@dataclass(frozen=True, slots=True)
class RememberMuted:
    """Remember over a restart whether omniid is to say nothing."""

    muted: bool


@dataclass(frozen=True, slots=True)
class ReplaceEar:
    """Give the model's memory back: a fresh ear stands by without one."""


Effect = (
    StartCapture
    | LatchCapture
    | StopCapture
    | CancelCapture
    | RecogniseAgain
    | ForgetTake
    | SweepTakes
    | ShutMicrophone
    | Cue
    | Announce
    | AnswerQuestion
    | LeaveQuestions
    | RemindLater
    | OpenPage
    | PutBack
    | Decide
    | Enqueue
    | SendNext
    | SendLater
    | GiveUpRepeats
    | AskHere
    | SettleHere
    | Move
    | ExpireOverdue
    | ProbeStorage
    | RecordWhatFailed
    | Speak
    | StopSpeech
    | RememberMuted
    | ReplaceEar
)
