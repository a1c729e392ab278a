"""A real WebSocket server on a thread of its own, for tests that drive a whole daemon from outside."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from typing import Any

from support import flow
from websockets.asyncio.server import ServerConnection, serve

Received = list[tuple[str, dict[str, Any]]]
Handler = Callable[[ServerConnection], Awaitable[None]]

QUESTION = {
    "type": "system",
    "data": {
        "action": "user_intervention_required",
        "sessionId": "s",
        "stepId": "1",
        "timeout": 60_000,
        "message": "Really send it?",
    },
    "timestamp": 1,
}


def address(port: int) -> str:
    return f"ws://127.0.0.1:{port}/ws"


@contextmanager
def served(handler: Handler, port: int = 0) -> Iterator[int]:
    """The port of a server that hands each link to `handler`."""
    ready = threading.Event()
    ports: list[int] = []
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()

    async def main() -> None:
        async with serve(handler, "127.0.0.1", port) as server:
            ports.append(next(iter(server.sockets)).getsockname()[1])
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()), name="field-server")
    thread.start()
    assert ready.wait(flow.WITHIN_S)
    try:
        yield ports[0]
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@contextmanager
def field_server(answer: dict[str, Any], port: int = 0) -> Iterator[tuple[int, Received]]:
    """One that answers every command as servers in the field do: without an id."""
    received: Received = []

    async def on_link(link: ServerConnection) -> None:
        assert link.request is not None
        async for frame in link:
            content = json.loads(frame)
            if content["type"] != "command":
                continue
            received.append((link.request.path, content))
            await link.send(json.dumps({"type": "ai_thinking", "stage": "planning", "timestamp": 1}))
            await link.send(json.dumps(answer))

    with served(on_link, port) as found:
        yield found, received


async def silent(link: ServerConnection) -> None:
    """Takes every command and answers none."""
    with contextlib.suppress(OSError):
        async for _ in link:
            pass
