"""The WebSocket shell: the handshake's rules and the connections. What is said is none of its business."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import http
import json
import logging
import os
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from datetime import UTC, datetime

from websockets.asyncio.server import Server, ServerConnection, broadcast
from websockets.asyncio.server import serve as listen
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from omniid.backend import conversation, frames, lifetime
from omniid.backend.consent.door import Door
from omniid.backend.desk import Desk
from omniid.backend.diary.shelf import Shelf
from omniid.backend.listening import listening
from omniid.backend.settings import Settings, TcpAddress
from omniid.backend.store import Store
from omniid.protocol.messages import SUBPROTOCOL_JSON, CommandPayload

MAX_FRAME_BYTES = 1024 * 1024
_PING_S = 20.0
_CLOSES_WITHIN_S = 0.4
_ENDS_WITHIN_S = 0.8
# Commands of one connection that wait for the desk; a client that sends more is read no further.
_MAX_WAITING = 64
_log = logging.getLogger("omniid.backend")


async def serve(settings: Settings) -> None:
    """Runs the backend until SIGTERM, SIGINT or the parent's end.

    Raises:
        OmniidError: it cannot start; the message says why.
    """
    with (
        Store(settings.data_dir) as store,
        listening(settings.address) as listener,
        ThreadPoolExecutor(1, thread_name_prefix="desk") as thread,
        lifetime.watched(settings.parent_fd) as ended,
        contextlib.closing(Shelf(settings.calendar_dirs)) as shelf,
        contextlib.closing(Door(reaches_others=_reaches_others(settings))) as door,
    ):
        clients = Clients()
        reception = Reception(Desk(store, shelf, door, clients.announce), thread, clients)
        server = await _listen(listener, settings.token, reception)
        try:
            _say_ready(listener)
            await ended.wait()
        finally:
            await _close(server)


class Clients:
    """Everybody who is connected; made in the loop's thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._connections: set[ServerConnection] = set()

    @contextlib.contextmanager
    def greeted(self, connection: ServerConnection) -> Iterator[None]:
        """Counts a connection in, which has had its hello."""
        self._connections.add(connection)
        try:
            yield
        finally:
            self._connections.discard(connection)

    def announce(self, frame: str) -> None:
        """Sends a frame to all of them, from any thread; waits for none."""
        try:
            self._loop.call_soon_threadsafe(self._broadcast, frame)
        except RuntimeError:
            _log.debug("nobody is left to tell: the loop has ended")

    def _broadcast(self, frame: str) -> None:
        broadcast(self._connections, frame)


class Reception:
    """Speaks with every client. The desk has one thread, so commands of all clients are done one by one."""

    def __init__(self, desk: Desk, thread: Executor, clients: Clients) -> None:
        self._desk = desk
        self._thread = thread
        self._clients = clients

    async def converse(self, connection: ServerConnection) -> None:
        """One connection, until it closes. Commands in their order; the rest is answered at once."""
        waiting: asyncio.Queue[CommandPayload] = asyncio.Queue(_MAX_WAITING)
        try:
            await connection.send(frames.hello())
            with self._clients.greeted(connection):
                await self._serve(connection, waiting)
        except* ConnectionClosed as closed:
            _log.debug("a connection closed: %s", closed.exceptions[0])

    async def _serve(self, connection: ServerConnection, waiting: asyncio.Queue[CommandPayload]) -> None:
        async with asyncio.TaskGroup() as tasks:
            worker = tasks.create_task(self._work(connection, waiting))
            async for raw in connection:
                await self._receive(connection, raw, waiting)
            worker.cancel()

    async def _receive(
        self, connection: ServerConnection, raw: str | bytes, waiting: asyncio.Queue[CommandPayload]
    ) -> None:
        received = conversation.receive(raw, int(_now().timestamp() * 1000))
        if isinstance(received, CommandPayload):
            await waiting.put(received)
            return
        for frame in received:
            await connection.send(frame)

    async def _work(self, connection: ServerConnection, waiting: asyncio.Queue[CommandPayload]) -> None:
        loop = asyncio.get_running_loop()
        while True:
            command = await waiting.get()
            await connection.send(
                await loop.run_in_executor(self._thread, self._desk.answer, command, _now())
            )


async def _listen(listener: socket.socket, token: str | None, reception: Reception) -> Server:
    def admit(connection: ServerConnection, request: Request) -> Response | None:
        return _refusal(connection, request, token)

    return await listen(
        reception.converse,
        sock=listener,
        process_request=admit,
        select_subprotocol=_subprotocol,
        max_size=MAX_FRAME_BYTES,
        ping_interval=_PING_S,
        ping_timeout=_PING_S,
        close_timeout=_CLOSES_WITHIN_S,
        server_header=None,
    )


def _reaches_others(settings: Settings) -> bool:
    return isinstance(settings.address, TcpAddress) and settings.address.allow_remote


def _refusal(connection: ServerConnection, request: Request, token: str | None) -> Response | None:
    """Web pages announce themselves by an Origin, and are never let in; None lets the client in."""
    if "Origin" in request.headers:
        return connection.respond(http.HTTPStatus.FORBIDDEN, "Web pages may not talk to this server.\n")
    if token is not None and not _authorized(request.headers.get_all("Authorization"), token):
        refusal = connection.respond(http.HTTPStatus.UNAUTHORIZED, "A bearer token is needed.\n")
        refusal.headers["WWW-Authenticate"] = "Bearer"
        return refusal
    return None


def _authorized(given: Sequence[str], token: str) -> bool:
    if len(given) != 1:
        return False
    scheme, _, credentials = given[0].partition(" ")
    # Compared in constant time, so that a guess cannot be improved by measuring.
    same = hmac.compare_digest(credentials.strip().encode(errors="replace"), token.encode())
    return same and scheme.lower() == "bearer"


def _subprotocol(_connection: ServerConnection, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    return Subprotocol(SUBPROTOCOL_JSON) if SUBPROTOCOL_JSON in offered else None


def _say_ready(listener: socket.socket) -> None:
    """One line of JSON on stdout: whoever started us may connect now."""
    where = listener.getsockname()
    if listener.family == socket.AF_UNIX:
        place = {"socket": where}
    else:
        host = f"[{where[0]}]" if ":" in where[0] else where[0]
        place = {"url": f"ws://{host}:{where[1]}/ws"}
    line = json.dumps({"ready": True, **place, "pid": os.getpid()})
    try:
        print(line, flush=True)  # noqa: T201 stdout is how a parent is told
    except BrokenPipeError:
        _log.warning("nobody reads that the backend is ready")


async def _close(server: Server) -> None:
    """Says goodbye to every client, but does not wait long for one that does not answer."""
    server.close()
    try:
        async with asyncio.timeout(_ENDS_WITHIN_S):
            await server.wait_closed()
    except TimeoutError:
        _log.warning("some clients did not say goodbye in time")


def _now() -> datetime:
    return datetime.now(UTC).astimezone()
