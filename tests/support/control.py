"""A control server on a real socket whose verbs only remember how they were called."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel

from omniid.control.schema import (
    VERBS,
    Accepted,
    AuthView,
    CommandList,
    CommandView,
    DevicesView,
    HealthView,
    HistoryCleared,
    HistoryView,
    ListenView,
    QuestionList,
    SpeechView,
    StatusView,
    TakeList,
    Verb,
)
from omniid.control.server import Call, ControlServer, Handler, bind
from omniid.control.stream import EventHub
from omniid.errors import NotFoundError, OutboxFullError

T = TypeVar("T")

COMMAND = CommandView(
    id="c1",
    type="text_command",
    message="Send it",
    state="queued",
    attempts=0,
    created_at="2026-03-01T12:00:00+00:00",
    changed_at="2026-03-01T12:00:00+00:00",
    expires_at="2026-03-02T12:00:00+00:00",
    metadata={},
    timings={},
)
STATUS = StatusView(
    headline="ready",
    version="0",
    pid=1,
    uptime_s=0,
    backend="ws://localhost/ws",
    link="ready",
    link_reason=None,
    capture="idle",
    recognising=0,
    speaking=False,
    outbox={},
    workers={},
    problems={},
)
ANSWERS: dict[type[BaseModel], BaseModel] = {
    CommandView: COMMAND,
    CommandList: CommandList(commands=[COMMAND]),
    StatusView: STATUS,
    ListenView: ListenView(take_id=None, capture="idle"),
    SpeechView: SpeechView(utterance_id="u1"),
    HealthView: HealthView(),
    Accepted: Accepted(),
    QuestionList: QuestionList(questions=[]),
    TakeList: TakeList(takes=[]),
    HistoryView: HistoryView(messages=[], before=None, enabled=True),
    HistoryCleared: HistoryCleared(deleted=0),
    DevicesView: DevicesView(inputs=[], outputs=[], problem=None),
    AuthView: AuthView(state="none", origin=None, advice=None),
}


class Verbs:
    """`calls` holds what each verb was given. Some ids and texts stand for trouble."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, Call]] = []

    def handlers(self) -> dict[str, Handler]:
        return {verb.name: self._handler(verb) for verb in VERBS}

    def _handler(self, verb: Verb) -> Handler:
        async def serve(call: Call) -> BaseModel:
            self.calls.append((verb.name, call))
            if call.id == "missing":
                raise NotFoundError("There is no command 'missing'.")
            if call.id == "crash":
                raise RuntimeError("secret inner words")
            if getattr(call.body, "message", None) == "too much":
                raise OutboxFullError("No room.")
            return ANSWERS[verb.answer]

        return serve


@contextlib.asynccontextmanager
async def control_server(path: Path) -> AsyncIterator[tuple[Verbs, EventHub]]:
    verbs, hub = Verbs(), EventHub()

    async def snapshot() -> BaseModel:
        return STATUS

    async def metrics() -> tuple[bytes, str]:
        return b"omniid_up 1.0\n", "text/plain; version=0.0.4; charset=utf-8"

    async with ControlServer(verbs.handlers(), hub, snapshot, metrics).serving(bind(path)):
        yield verbs, hub


class Running:
    """The server on a thread of its own, for clients that block."""

    def __init__(self, verbs: Verbs, hub: EventHub, loop: asyncio.AbstractEventLoop) -> None:
        self.verbs = verbs
        self.hub = hub
        self.loop = loop
        self.stop: Callable[[], None] = lambda: None

    def publish(self, name: str, data: dict[str, Any], times: int = 1) -> None:
        def publish() -> None:
            for _ in range(times):
                self.hub.publish(name, data)

        self.on_loop(publish)

    def publish_soon(self, name: str, data: dict[str, Any]) -> None:
        """Once another reader is there."""

        def publish(readers: int) -> None:
            if len(self.hub._readers) > readers:
                self.hub.publish(name, data)
            else:
                self.loop.call_later(0.01, publish, readers)

        self.on_loop(lambda: publish(len(self.hub._readers)))

    def on_loop(self, work: Callable[[], T]) -> T:
        async def run() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(run(), self.loop).result(30)


@contextlib.contextmanager
def running_server(path: Path) -> Iterator[Running]:
    ready = threading.Event()
    found: list[Running] = []

    async def main() -> None:
        async with control_server(path) as (verbs, hub):
            ended = asyncio.Event()
            running = Running(verbs, hub, asyncio.get_running_loop())
            running.stop = lambda: (running.loop.call_soon_threadsafe(ended.set), None)[1]
            found.append(running)
            ready.set()
            await ended.wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield found[0]
    finally:
        if thread.is_alive():
            with contextlib.suppress(RuntimeError):  # it ended a moment ago
                found[0].stop()
        thread.join(30)
        assert not thread.is_alive()
