"""What the backend remembers, in the form in which it lies on the disk."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, field_validator

VERSION: Literal[2] = 2
# What of other programs' data may be read once the user has allowed it.
Scope = Literal["calendar"]


class _Record(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class Task(_Record):
    """`added` is the user's own time, with its offset."""

    text: str
    added: datetime


class Answered(_Record):
    """A command that has been answered, and how. `digest` tells whether it is the same command again.

    `scope` is what the answer was read from, so that it can be forgotten with the consent.
    """

    request_id: str
    digest: str
    done: bool
    message: str
    suggestions: tuple[str, ...] = ()
    at_ms: int
    scope: Scope | None = None


class Consent(_Record):
    """What the user has allowed to be read, and where: these folders and no others. `at_ms` is Unix ms."""

    scope: Scope
    folders: tuple[str, ...]
    at_ms: int


class Memory(_Record):
    """Everything: replaced as a whole, in memory and on the disk.

    Version 1 had no consents and no scopes; what it had is read as it stands.
    """

    version: Literal[1, 2] = VERSION
    tasks: tuple[Task, ...] = ()
    answered: tuple[Answered, ...] = ()
    consents: tuple[Consent, ...] = ()

    @field_validator("version")
    @classmethod
    def _as_of_now(cls, _found: int) -> int:
        return VERSION
