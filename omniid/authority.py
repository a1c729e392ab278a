"""Who this user is to the remote backend: the token that a dial uses, and what is to be said of it."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

from omniid import host
from omniid.config import Settings
from omniid.credentials import CREDENTIAL, Credentials, CredentialsError, Origin, Sources, Token
from omniid.events import Event, LinkOpened, LinkStopped

State = Literal["none", "ready", "refused", "missing", "failed"]
_LOGIN = "Run `omniid auth login` with a token that it takes."
# The token that was kept by `auth login` comes after these, and would not be used.
_ADVICE: dict[Origin, str] = {
    "token_command": "See that backend.token_command prints one that it takes, then run `omniid reconnect`.",
    "configuration": "Change backend.token or OMNIID_TOKEN and start omniid again.",
    "systemd credential": f"Change the systemd credential {CREDENTIAL} and restart the service.",
}
NOT_NEEDED = "The backend here is omniid's own, and needs none."


def sources(settings: Settings) -> Sources:
    """Where this user's settings say a token may be."""
    backend = settings.backend
    # Each backend has a token of its own; the port tells two of one host apart.
    place = urlsplit(backend.remote_url).netloc.lower() if backend.remote_url else ""
    return Sources(
        token_command=backend.token_command,
        configured=backend.token,
        account=f"{backend.user_id}@{place}" if place else backend.user_id,
        token_file=host.config_file().parent / "token",
    )


class Authority:
    """Finds the token for each dial and remembers how that went; the token itself is not kept here."""

    def __init__(self, credentials: Credentials | None) -> None:
        """Take the sources; None where the backend needs no token."""
        self._credentials = credentials
        self._token: Token | None = None
        self._refused = False
        self._problem: str | None = None

    async def token(self, *, again: bool) -> str | None:
        """The token for a dial, or None where no source has one.

        Raises:
            CredentialsError: a source exists and fails.
        """
        if self._credentials is None:
            return None
        before = self._token
        try:
            self._token, self._problem = await self._credentials.find(again=again), None
        except CredentialsError as error:
            self._token, self._problem = None, error.message
            raise
        self._refused = self._refused and self._token == before  # another one has not been tried yet
        return None if self._token is None else self._token.secret

    def observe(self, event: Event) -> None:
        """Note whether the backend took the token."""
        match event:
            case LinkOpened():
                self._refused = False
            case LinkStopped(needs_token=needs_token):
                self._refused = needs_token
            case _:
                pass

    def view(self) -> tuple[State, str | None, str | None]:
        """The state, where the token comes from, and what to do or to know."""
        if self._credentials is None:
            return "none", None, NOT_NEEDED
        if self._problem is not None:
            return "failed", None, self._problem
        origin = None if self._token is None else self._token.origin
        if self._refused:
            return (
                ("missing", None, _LOGIN)
                if origin is None
                else ("refused", origin, _ADVICE.get(origin, _LOGIN))
            )
        return "ready" if origin else "none", origin, None
