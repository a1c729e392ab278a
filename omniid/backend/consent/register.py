"""The consents that are asked for, and what became of them. Pure but for tokens; times are monotonic s."""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass, replace
from enum import Enum

from omniid.backend.records import Scope

OPEN_S = 600.0
# So long afterwards its link still says what became of it.
LINGERS_S = 60.0
_MAX_ASKED = 32


class State(Enum):
    OPEN = "open"
    USED = "used"
    EXPIRED = "expired"


class Decision(Enum):
    ALLOW = "allow"
    DENY = "deny"


@dataclass(frozen=True, slots=True)
class Ask:
    """What is asked for. The browser is sent to `redirect` afterwards."""

    scope: Scope
    folders: tuple[str, ...]
    redirect: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """`token` stands in the link; `form_token` only on the page, so that no other page can send its form."""

    ask: Ask
    token: str
    form_token: str
    ends_at: float
    used: bool = False

    def state(self, now: float) -> State:
        return State.USED if self.used else State.OPEN if now < self.ends_at else State.EXPIRED


class Register:
    """For one thread at a time."""

    def __init__(self) -> None:
        self._asked: dict[str, Asked] = {}

    def open(self, ask: Ask, now: float) -> str:
        """The link's token, which is the same for the same while that is open. The latest redirect counts."""
        for token, asked in self._asked.items():
            same = (asked.ask.scope, asked.ask.folders) == (ask.scope, ask.folders)
            if same and asked.state(now) is State.OPEN:
                latest = replace(asked.ask, redirect=ask.redirect or asked.ask.redirect)
                self._asked[token] = replace(asked, ask=latest)
                return token
        token = secrets.token_urlsafe(32)
        self._asked[token] = Asked(ask, token, secrets.token_urlsafe(32), now + OPEN_S)
        while len(self._asked) > _MAX_ASKED:
            del self._asked[next(iter(self._asked))]
        return token

    def find(self, token: str) -> Asked | None:
        return self._asked.get(token)

    def take(self, token: str, form_token: str, now: float) -> Asked | None:
        """The consent, used from now on; None where it is not open, or the form is not its page's."""
        asked = self._asked.get(token)
        if asked is None or asked.state(now) is not State.OPEN:
            return None
        if not hmac.compare_digest(asked.form_token.encode(), form_token.encode(errors="replace")):
            return None
        self._asked[token] = replace(asked, used=True, ends_at=now)
        return asked

    def give_back(self, asked: Asked) -> None:
        """It was not used after all."""
        self._asked[asked.token] = asked

    def needed_until(self) -> float:
        """When the last link has nothing more to say."""
        return max((asked.ends_at + LINGERS_S for asked in self._asked.values()), default=0.0)
