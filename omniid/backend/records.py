"""What the backend remembers, in the form in which it lies on the disk."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

VERSION: Literal[1] = 1


class _Record(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Task(_Record):
    """`added` is the user's own time, with its offset."""

    text: str
    added: datetime


class Answered(_Record):
    """A command that has been answered, and how. `digest` tells whether it is the same command again."""

    request_id: str
    digest: str
    done: bool
    message: str
    suggestions: tuple[str, ...] = ()
    at_ms: int


class Memory(_Record):
    """Everything: replaced as a whole, in memory and on the disk."""

    version: Literal[1] = VERSION
    tasks: tuple[Task, ...] = ()
    answered: tuple[Answered, ...] = ()
