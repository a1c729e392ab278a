"""What a skill is given, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from omniid.backend.diary.events import Diary
from omniid.backend.records import Scope, Task


@dataclass(frozen=True, slots=True)
class Request:
    """A command that was understood. `now` is the user's own time.

    `folders` are the calendars' that are there, `permitted` whether the user ever allowed to read any; `read`
    gives what they hold between two times, and is there only where the user has allowed it.
    """

    text: str
    slots: Mapping[str, str]
    now: datetime
    tasks: tuple[Task, ...]
    folders: tuple[str, ...]
    permitted: bool
    read: Callable[[datetime, datetime], Diary]


@dataclass(frozen=True, slots=True)
class Answer:
    """Sentences fit for speaking. `done` is false where what was asked for has not been done.

    `tasks` is the new list where it changed. `withdraws` is a consent that no longer holds. One that is not
    `lasting` says why nothing was done just now; the same command may have a better one later.
    """

    message: str
    done: bool = True
    tasks: tuple[Task, ...] | None = None
    suggestions: tuple[str, ...] = ()
    withdraws: Scope | None = None
    lasting: bool = True
