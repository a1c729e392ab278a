"""The page on this machine that a sign-in returns to, which says that it is done.

It is on loopback, where other users and web pages reach it too: each command's address carries a code that
only this process can make, and a request must name this machine. It is bound when it is first needed.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import secrets
import socket
from collections.abc import Callable
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

LIFETIME_S = 10.0  # of a connection: a browser needs one for a moment
MAX_CONNECTIONS = 32
_MAX_HEAD_BYTES = 32_768
_ENDED_WITHIN_S = 1.0
_NAMES = ("127.0.0.1", "localhost")
_PREFIX = "/signed-in/"
_SIGNED_IN = "You are signed in. You can close this page."
_NOT_SIGNED_IN = "You did not sign in. You can close this page. To sign in after all: omniid auth open"
_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="color-scheme" content="light dark"><title>omniid</title></head>
<body><p>{words}</p></body>
</html>
"""
_HEADERS = {
    "Cache-Control": "no-store",
    "Connection": "close",
    "Content-Security-Policy": (
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox"
    ),
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Callback:
    """Calls `on_return(command_id, accepted)` when a browser comes back from a sign-in.

    `accepted` is False where the query names an `error`. It is told each time: a command may need a second
    sign-in. An object is good for one `run`.
    """

    def __init__(self, on_return: Callable[[str, bool], None]) -> None:
        self._on_return = on_return
        self._secret = secrets.token_bytes(32)
        self._sock: socket.socket | None = None
        self._port = 0
        self._bound = asyncio.Event()

    def url_for(self, command_id: str) -> str:
        """The address of a command's page, good for as long as this process runs.

        Raises:
            OSError: there is no port to be had.
        """
        if self._sock is None:
            self._sock = _bind()
            self._port = self._sock.getsockname()[1]
            self._bound.set()
        path = _PREFIX + quote(command_id, safe="")
        return f"http://127.0.0.1:{self._port}{path}?state={self._code(command_id)}"

    async def run(self) -> None:
        """Serve from the first `url_for` on, until it is cancelled; then close the socket."""
        try:
            await self._bound.wait()
            assert self._sock is not None  # noqa: S101 it is bound
            await self._serve(self._sock)
        finally:
            if self._sock is not None:
                self._sock.close()

    async def _serve(self, sock: socket.socket) -> None:
        """Without uvicorn's own server loop, which would wake ten times a second."""
        config = Config(
            self._app,
            interface="asgi3",
            lifespan="off",
            log_config=None,
            access_log=False,
            ws="none",
            http="h11",
            proxy_headers=False,
            h11_max_incomplete_event_size=_MAX_HEAD_BYTES,
        )
        config.load()
        state = ServerState()
        open_: dict[_Connection, None] = {}
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: _Connection(config, state, open_), sock=sock)
        try:
            await loop.create_future()
        finally:
            server.close()
            for connection in list(open_):
                connection.shutdown()
            if state.tasks:
                await asyncio.wait(list(state.tasks), timeout=_ENDED_WITHIN_S)

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._answer(Request(scope))(scope, receive, send)

    def _answer(self, request: Request) -> Response:
        # The host: a page of another site, whose name is made to point here, is not answered.
        if request.headers.get("host", "").lower() not in {f"{name}:{self._port}" for name in _NAMES}:
            return _no_page()
        path = str(request.scope["path"])
        command_id = path.removeprefix(_PREFIX)
        if command_id == path or not self._is_ours(command_id, request.query_params.getlist("state")):
            return _no_page()
        if request.method != "GET":
            return PlainTextResponse("This page can only be read.\n", 405, {**_HEADERS, "Allow": "GET"})
        accepted = "error" not in request.query_params
        self._on_return(command_id, accepted)
        return HTMLResponse(_PAGE.format(words=_SIGNED_IN if accepted else _NOT_SIGNED_IN), headers=_HEADERS)

    def _is_ours(self, command_id: str, codes: list[str]) -> bool:
        """Whether one of the codes is the command's: the server may have added a `state` of its own."""
        wanted = self._code(command_id).encode()
        return any(hmac.compare_digest(code.encode(), wanted) for code in codes)

    def _code(self, command_id: str) -> str:
        digest = hmac.digest(self._secret, command_id.encode(), "sha256")
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class _Connection(H11Protocol):
    """A connection with an end: it lives `LIFETIME_S` at most, and the oldest makes room for a new one."""

    def __init__(self, config: Config, state: ServerState, open_: dict[_Connection, None]) -> None:
        super().__init__(config, state, {})
        self._open = open_
        self._end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._end = asyncio.get_running_loop().call_later(LIFETIME_S, transport.abort)
        self._open[self] = None
        if len(self._open) > MAX_CONNECTIONS:
            oldest = next(iter(self._open))
            del self._open[oldest]
            oldest.transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._open.pop(self, None)
        if self._end is not None:
            self._end.cancel()


def _bind() -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.bind(("127.0.0.1", 0))
        sock.listen(MAX_CONNECTIONS)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def _no_page() -> Response:
    return PlainTextResponse("There is no such page.\n", 404, _HEADERS)
