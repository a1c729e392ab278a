"""One dialled WebSocket: how omniid opens it, what it tells of it, and how it writes a burst in one go."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import structlog
from websockets.asyncio.client import ClientConnection, connect

from omniid.loopback import is_loopback

log = structlog.get_logger()

CLOSE_TIMEOUT_S = 2.0
OPEN_TIMEOUT_S = 10.0
_HAPPY_EYEBALLS_S = 0.25


@dataclass(frozen=True, slots=True)
class Target:
    """Where the backend is. With `socket` the URL only fills the handshake."""

    url: str
    user_id: str
    socket: Path | None = None
    ca_file: Path | None = None

    @property
    def uri(self) -> str:
        separator = "&" if urlsplit(self.url).query else "?"
        return f"{self.url}{separator}userId={quote(self.user_id, safe='')}"

    def __str__(self) -> str:
        return "the embedded backend" if self.socket else self.url.partition("?")[0]


@dataclass(frozen=True, slots=True)
class WireSettings:
    max_frame_bytes: int
    compression: bool = True
    subprotocols: Sequence[str] = field(default=())


class Wire(ClientConnection):
    """A connection that says when any byte came, not only when a frame was whole."""

    on_bytes: Callable[[], None] | None = None

    def data_received(self, data: bytes) -> None:
        if self.on_bytes is not None:
            self.on_bytes()
        super().data_received(data)

    async def send_burst(self, frames: Sequence[str | bytes]) -> None:
        """All of them in one write.

        Raises:
            ConnectionClosed: the link is over; some of them may have left.
        """
        async with self.send_context():
            for frame in frames:
                if isinstance(frame, str):
                    self.protocol.send_text(frame.encode())
                else:
                    self.protocol.send_binary(frame)
            self.transport.write(b"".join(self.protocol.data_to_send()))

    @property
    def peers_close(self) -> tuple[int | None, str]:
        """The code and reason the peer closed with; None when it only vanished, or when we closed first."""
        received = self.protocol.close_rcvd
        if received is None or self.protocol.close_rcvd_then_sent is False:
            return None, ""
        return received.code, received.reason

    async def leave(self) -> None:
        """Close it, in `CLOSE_TIMEOUT_S` at most."""
        try:
            await self.close()
        except AttributeError as error:
            # websockets 17 can trip over its own transport when the peer closes in the middle of a large
            # write. The socket is gone all the same.
            log.debug("closing a link", problem=str(error))


class _ConnectHere(connect):
    """Follows no redirect: words go to the address that was set, and a hotel's login page is none."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def dial(target: Target, settings: WireSettings, token: str | None) -> Wire:
    """Open a WebSocket to the backend.

    Raises:
        OSError, TimeoutError, EOFError: it cannot be reached.
        ssl.SSLError: its certificate is not valid, or `ca_file` holds none.
        InvalidStatus, InvalidHandshake: something else answers there.
        InvalidURI, InvalidProxy, ValueError: the address is none.
    """
    options: dict[str, Any] = {
        "subprotocols": list(settings.subprotocols) or None,
        "additional_headers": {"Authorization": f"Bearer {token}"} if token else {},
        "compression": "deflate" if settings.compression and target.socket is None else None,
        "open_timeout": OPEN_TIMEOUT_S,
        "close_timeout": CLOSE_TIMEOUT_S,
        "ping_interval": None,  # the link keeps its own time: any byte is life, not only a pong
        "max_size": settings.max_frame_bytes,
        "create_connection": Wire,
    }
    if target.socket is not None:
        options |= {"unix": True, "path": str(target.socket)}
    else:
        # A proxy of the system is for the way out, and knows nothing of a server on this machine.
        proxy = None if is_loopback(target.url) else True
        options |= {"happy_eyeballs_delay": _HAPPY_EYEBALLS_S, "proxy": proxy}
    if target.ca_file is not None and urlsplit(target.url).scheme == "wss":
        options["ssl"] = ssl.create_default_context(cafile=str(target.ca_file))
    connection = await _ConnectHere(target.uri, **options)
    assert isinstance(connection, Wire)  # noqa: S101 made by `create_connection`
    return connection
