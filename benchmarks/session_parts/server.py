"""The backend that the session's benchmark talks to, as a process of its own.

    python server.py

Orders come on stdin and are answered on stdout, one line of JSON each. Readings are `time.perf_counter`,
which on Linux is one clock for all processes. No keepalive here: each client's own is what is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request

_GONE_WITHIN_S = 10.0
_HELLO = json.dumps({"type": "hello", "payload": {"features": ["correlate"]}})
_PONG = json.dumps({"type": "pong", "data": {"pong": True, "sequence": 1}, "timestamp": 0})


class Backend:
    """`mode` is plain (echoes nothing), correlating, or closing (accepts a link, then closes it)."""

    def __init__(self) -> None:
        self._mode = "plain"
        self._gate = asyncio.Event()
        self._server: Server | None = None
        self._port = 0
        self._links: set[ServerConnection] = set()
        self._arrived: dict[str, float] = {}
        self._dials: list[float] = []
        self._commands, self._first_at, self._last_at = 0, 0.0, 0.0
        self._wanted = 0
        self._reached = asyncio.Event()

    async def obey(self, order: dict[str, Any]) -> dict[str, Any]:
        match order.pop("do"):
            case "up":
                return await self._up(**order)
            case "down":
                await self._down()
            case "open":
                self._gate.set()
            case "wait":
                await self._wait(**order)
            case "arrived":
                arrived, self._arrived = self._arrived, {}
                return {"arrived": arrived}
            case unknown:
                raise ValueError(f"no such order: {unknown}")
        return {
            "commands": self._commands,
            "first_at": self._first_at,
            "last_at": self._last_at,
            "dials": len(self._dials),
        }

    async def _up(self, mode: str, *, held: bool = False) -> dict[str, Any]:
        """Serve; with `held`, no handshake is answered before the order `open`."""
        self._mode = mode
        self._commands, self._dials, self._arrived = 0, [], {}
        if held:
            self._gate.clear()
        else:
            self._gate.set()
        self._server = await serve(
            self._talk, "127.0.0.1", self._port, process_request=self._greet, ping_interval=None
        )
        self._port = next(iter(self._server.sockets)).getsockname()[1]
        return {"port": self._port, "at": time.perf_counter()}

    async def _down(self) -> None:
        """Be gone as a process that was killed is: nobody is told, and the port refuses."""
        assert self._server is not None
        self._server.close(close_connections=False)
        self._gate.set()
        for connection in self._links:
            connection.transport.abort()
        self._links.clear()
        async with asyncio.timeout(_GONE_WITHIN_S):
            await self._server.wait_closed()

    async def _wait(self, commands: int, within_s: float) -> None:
        """Until so many commands have come in all."""
        self._wanted = commands
        self._reached.clear()
        if self._commands < commands:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(within_s):
                    await self._reached.wait()

    async def _greet(self, link: ServerConnection, _: Request) -> None:
        self._links.add(link)
        self._dials.append(time.perf_counter())
        await self._gate.wait()

    async def _talk(self, socket: ServerConnection) -> None:
        try:
            if self._mode != "closing":
                await self._converse(socket)
        finally:
            self._links.discard(socket)

    async def _converse(self, socket: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            if self._mode == "correlating":
                await socket.send(_HELLO)
            async for raw in socket:
                at = time.perf_counter()
                frame = json.loads(raw)
                if frame["type"] == "command":
                    self._note(frame["payload"]["message"], at)
                    await socket.send(self._reply(frame["payload"]))
                elif frame["type"] == "ping":
                    await socket.send(_PONG)

    def _note(self, message: str, at: float) -> None:
        self._arrived[message] = at
        if not self._commands:
            self._first_at = at
        self._commands += 1
        self._last_at = at
        if self._commands == self._wanted:
            self._reached.set()

    def _reply(self, payload: dict[str, Any]) -> str:
        reply = {"type": "response", "status": "success", "data": {"message": "Done."}, "timestamp": 0}
        if self._mode == "correlating":
            reply["requestId"] = payload["requestId"]
        return json.dumps(reply)


async def main() -> None:
    backend = Backend()
    orders = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(orders), sys.stdin
    )
    while line := await orders.readline():
        print(json.dumps(await backend.obey(json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
