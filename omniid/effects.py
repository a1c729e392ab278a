"""What to do: frozen, imperative. The assistant decides on these, the performer carries them out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from omniid.fate import State
from omniid.protocol.chat import Reply


@dataclass(frozen=True, slots=True)
class StartCapture:
    take_id: str


@dataclass(frozen=True, slots=True)
class StopCapture:
    take_id: str


@dataclass(frozen=True, slots=True)
class CancelCapture:
    take_id: str


@dataclass(frozen=True, slots=True)
class Enqueue:
    """Accept what was said as a command."""

    take_id: str
    text: str
    metadata: dict[str, Any]


@dataclass(frozen=True, slots=True)
class SendNext:
    """Hand the first command in the line to the link."""


@dataclass(frozen=True, slots=True)
class Move:
    """Record a step in a command's fate."""

    command_id: str
    to: State
    reason: str | None = None
    reply: Reply | None = None


@dataclass(frozen=True, slots=True)
class ExpireOverdue:
    """Let commands expire whose time in the line is up."""


@dataclass(frozen=True, slots=True)
class Speak:
    text: str
    command_id: str | None = None
    utterance_id: str | None = None


@dataclass(frozen=True, slots=True)
class StopSpeech:
    pass


@dataclass(frozen=True, slots=True)
class ReplaceEar:
    """Give the model's memory back: a fresh ear stands by without one."""


Effect = (
    StartCapture
    | StopCapture
    | CancelCapture
    | Enqueue
    | SendNext
    | Move
    | ExpireOverdue
    | Speak
    | StopSpeech
    | ReplaceEar
)
