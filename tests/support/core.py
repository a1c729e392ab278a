"""The daemon's core on a real database and a real socket, with an ear and a mouth that only listen."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from websockets.asyncio.server import Server, ServerConnection, serve

from omniid.assistant import Assistant, AssistantSettings
from omniid.control.stream import EventHub
from omniid.ear_performer import Ear, EarPerformer
from omniid.events import (
    CommandMoved,
    CommandQueued,
    Event,
    LinkDialling,
    LinkEvent,
    LinkLost,
    LinkOpened,
    LinkStopped,
)
from omniid.fate import State
from omniid.flag import Flag
from omniid.host import Clock
from omniid.line import LineSettings
from omniid.performer import Asked, Parts, Performer
from omniid.protocol import codec
from omniid.protocol.backoff import Backoff
from omniid.protocol.link import LinkSettings
from omniid.protocol.sealing import Sealer
from omniid.reactor import Reactor
from omniid.session import Session, Tokens, Way, link_maker
from omniid.storage.database import Database
from omniid.storage.outbox import Limits, Outbox
from omniid.takes import Takes
from omniid.timeline import Timelines
from omniid.wire import Target, WireSettings
from omniid.workers.channel import ToEar, ToMouth

DEADLINE_S = 30.0
LIMITS = Limits(600, 86_400, 1_000, 10_000_000)
SETTINGS = WireSettings(max_frame_bytes=65_536, subprotocols=codec.offered("auto"))


class SilentEar:
    def __init__(self) -> None:
        self.heard: list[ToEar] = []
        self.replaced = 0

    def send(self, message: ToEar) -> None:
        self.heard.append(message)

    def replace(self) -> None:
        self.replaced += 1


class SilentMouth:
    def __init__(self) -> None:
        self.heard: list[ToMouth] = []

    def send(self, message: ToMouth) -> None:
        self.heard.append(message)

    def wake(self) -> None:
        pass


NO_FLAG = Flag(Path("/nonexistent/flag"))


class NoPages:
    """A browser that nobody looks at."""

    def __init__(self) -> None:
        self.opened: list[tuple[str, str]] = []

    def open(self, sign_in_id: str, url: str) -> None:
        self.opened.append((sign_in_id, url))


def ear_performer(ear: Ear, folder: Path = Path("/nonexistent")) -> EarPerformer:
    """What acts on an ear; by default nothing is kept of any take."""
    return EarPerformer(ear, Takes(folder), Flag(folder / "shut"))


@dataclass(frozen=True, slots=True)
class Ways:
    """What a test may want otherwise than usual."""

    reply_timeout_s: float = 60.0
    ping_interval_s: float = 20.0
    ping_timeout_s: float = 20.0
    line: LineSettings = field(default_factory=LineSettings)
    limits: Limits = LIMITS
    wire: WireSettings = SETTINGS
    tokens: Tokens | None = None
    sealer: Sealer | None = None
    debounce_s: float = 0.0


class Core:
    """What happened is in `events`; `until` waits for more of it."""

    def __init__(self, database: Database, target: Target, ways: Ways) -> None:
        self.clock = Clock("UTC")
        self.events: list[Event] = []
        self.assistant = Assistant(AssistantSettings("always", 300.0), ways.line)
        self.reactor = Reactor(self.assistant, Timelines(), EventHub(), self.clock)
        self.outbox = Outbox(database, ways.limits)
        link = LinkSettings("ann", "UTC", 16, ways.reply_timeout_s, ways.ping_interval_s, ways.ping_timeout_s)
        self.session = Session(
            Way(target, ways.wire, ways.tokens),
            link_maker(link, ways.sealer),
            Backoff(0.05, 0.2, lambda: 1.0),
            clock=self.clock,
            post=self._post,
        )
        self.ear, self.mouth = SilentEar(), SilentMouth()
        parts = Parts(
            self.outbox, self.session, ear_performer(self.ear), self.mouth, self._later, NO_FLAG, NoPages()
        )
        self.performer = Performer(parts, self.clock, ways.debounce_s)
        self._more = asyncio.Event()

    def _later(self, delay_s: float, event: Event) -> None:
        asyncio.get_running_loop().call_later(delay_s, self.reactor.post_nowait, event)

    async def _post(self, event: LinkEvent) -> None:
        await self.reactor.post(event)

    def seen(self, event: Event) -> None:
        self.events.append(event)
        self._more.set()

    async def ask(self, text: str) -> str:
        command, _ = await self.performer.accept(Asked("text", text))
        self.reactor.post_nowait(CommandQueued(command.id, "text", command.message))
        return command.id

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while not holds():
                self._more.clear()
                await self._more.wait()

    async def until_seen(self, kind: type[Any], times: int = 1) -> Any:
        """The event of this kind, once there have been so many."""
        await self.until(lambda: len(self.of(kind)) >= times)
        return self.of(kind)[times - 1]

    async def until_moved(self, command_id: str, state: State) -> None:
        await self.until(lambda: CommandMoved(command_id, state) in self.events)

    async def until_not_dialling(self) -> None:
        """Python 3.11 loses a socket that is cancelled in the moment it connects; a hung dial is safe."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await self.until(self._has_dialled)

    def _has_dialled(self) -> bool:
        kinds = (LinkDialling, LinkOpened, LinkLost, LinkStopped)
        words = [event for event in self.events if isinstance(event, kinds)]
        return bool(words) and not isinstance(words[-1], LinkDialling)

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@contextlib.asynccontextmanager
async def core(path: Path, target: Target, ways: Ways | None = None, **changes: Any) -> AsyncIterator[Core]:
    """A core that runs until the block ends, and has then ended in the daemon's own order."""
    async with Database(path / "omniid.db") as database:
        house = Core(database, target, replace(ways or Ways(), **changes))
        async with asyncio.TaskGroup() as group:
            with house.reactor.observing(house.seen):
                reactor = group.create_task(house.reactor.run(house.performer.perform))
                session = group.create_task(house.session.run())
                try:
                    yield house
                finally:
                    await house.until_not_dialling()
                    session.cancel()
                    await asyncio.wait([session])
                    house.reactor.stop()
                    await asyncio.wait([reactor])


@contextlib.asynccontextmanager
async def server(handler: Any, port: int = 0, **options: Any) -> AsyncIterator[tuple[Server, int]]:
    """A real WebSocket server on loopback, and its port."""
    async with serve(handler, "127.0.0.1", port, **options) as running:
        yield running, next(iter(running.sockets)).getsockname()[1]


def local(port: int) -> Target:
    return Target(f"ws://127.0.0.1:{port}/ws", "ann")


Handler = Callable[[ServerConnection], Any]
