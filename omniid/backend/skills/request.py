"""What a skill is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from omniid.backend.records import Task


@dataclass(frozen=True, slots=True)
class Request:
    """A command that was understood. `now` is the user's own time."""

    text: str
    slots: Mapping[str, str]
    now: datetime
    tasks: tuple[Task, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """Sentences fit for speaking. `done` is false where what was asked for has not been done.

    `tasks` is the new list where it changed.
    """

    message: str
    done: bool = True
    tasks: tuple[Task, ...] | None = None
    suggestions: tuple[str, ...] = ()
