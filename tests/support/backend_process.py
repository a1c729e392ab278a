"""A real backend in a process of its own, and a client for it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect, unix_connect

DEADLINE_S = 30.0
FEATURES = ["correlate", "dedupe", "redirect"]
URL = "ws://localhost/ws?userId=u"


class Backend:
    def __init__(self, *arguments: str, environment: dict[str, str] | None = None, **options: Any) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-P", "-m", "omniid.backend", *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2]), **(environment or {})},
            **options,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        self.said: dict[str, Any] = json.loads(line) if line else {}

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str]:
        """Return code and what it said on stderr."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.wait()

    def wait(self) -> tuple[int, str]:
        _, errors = self.process.communicate(timeout=DEADLINE_S)
        return self.process.returncode, errors


@contextmanager
def running(*arguments: str, **options: Any) -> Iterator[Backend]:
    backend = Backend(*arguments, **options)
    try:
        assert backend.said.get("ready") is True, backend.wait()
        yield backend
    finally:
        backend.end(signal.SIGKILL)


def talk(
    backend: Backend, conversation: Callable[[ClientConnection], Awaitable[None]], **options: Any
) -> None:
    async def main() -> None:
        async with asyncio.timeout(DEADLINE_S):
            where = (
                unix_connect(backend.said["socket"], URL, **options)
                if "socket" in backend.said
                else connect(backend.said["url"], **options)
            )
            async with where as link:
                hello = json.loads(await link.recv())
                assert hello == {"type": "hello", "payload": {"features": FEATURES}}
                await conversation(link)

    asyncio.run(main())


def command(message: str, request_id: str, **metadata: Any) -> str:
    payload = {
        "commandType": "text_command", "message": message, "userId": "u", "userTimezone": "Europe/Berlin",
        "localDatetime": "2026-11-22T17:04:05+01:00", "requestId": request_id,
        **({"metadata": metadata} if metadata else {}),
    }  # fmt: skip
    return json.dumps({"type": "command", "payload": payload, "timestamp": 1})


def replies(backend: Backend, *messages: tuple[str, str]) -> list[dict[str, Any]]:
    got: list[dict[str, Any]] = []

    async def conversation(link: ClientConnection) -> None:
        for message, request_id in messages:
            await link.send(command(message, request_id))
        got.extend([json.loads(await link.recv()) for _ in messages])

    talk(backend, conversation)
    return got


def words(frame: dict[str, Any]) -> str:
    return str(frame["data"]["message"])
