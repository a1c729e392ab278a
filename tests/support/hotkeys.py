"""What a listener for keys has said, in order, and ways to wait for it."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence

from omniid.errors import HotkeyError
from omniid.hotkeys.chord import parse
from omniid.hotkeys.contract import LOST, Backend, Binding, Live
from omniid.hotkeys.hotkeys import Hotkeys, NotLive, Pace

WITHIN_S = 60.0
Said = tuple[str, ...]


def bindings(**chords: str) -> list[Binding]:
    """`bindings(talk="F9")`: the owner `talk` wants F9."""
    return [Binding(owner, parse(chord)) for owner, chord in chords.items()]


class Heard:
    """Takes what a backend says. `said` is the edges, such as ("pressed", "talk")."""

    def __init__(self) -> None:
        self.said: list[Said] = []
        self.live: list[Live] = []
        self.error: HotkeyError | None = None
        self.pid = os.getpid()  # of the process that listens
        self._news = asyncio.Event()

    def pressed(self, owner: str) -> None:
        self.add("pressed", owner)

    def released(self, owner: str) -> None:
        self.add("released", owner)

    def lost(self, owner: str, reason: str) -> None:
        self.add("lost", owner, reason)

    def add(self, *said: str) -> None:
        assert said[0] != "lost" or said[2] in LOST, said
        self.said.append(said)
        self._news.set()

    def on_live(self, live: Live) -> None:
        self.live.append(live)
        self._news.set()

    def on_error(self, error: HotkeyError) -> None:
        self.error = error
        self._news.set()

    async def until(self, condition: Callable[[], object], within_s: float = WITHIN_S) -> None:
        try:
            async with asyncio.timeout(within_s):
                while not condition():
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            raise AssertionError(f"in vain; said {self.said}, live {self.live}, {self.error!r}") from None

    async def until_said(self, *said: str) -> None:
        await self.until(lambda: said in self.said)

    async def until_told(self, count: int) -> None:
        """Until that many edges were told in all."""
        await self.until(lambda: len(self.said) >= count)

    async def until_failed(self) -> HotkeyError:
        await self.until(lambda: self.error)
        assert self.error is not None
        return self.error


@contextlib.asynccontextmanager
async def listening(backend: Backend, wanted: Sequence[Binding]) -> AsyncIterator[Heard]:
    """Runs a backend inside this process, from when it is live or has failed to the end of the block."""
    heard = Heard()

    async def run() -> None:
        try:
            await backend.run(wanted, heard, heard.on_live)
        except HotkeyError as error:
            heard.on_error(error)

    async with asyncio.TaskGroup() as group:
        task = group.create_task(run())
        try:
            await heard.until(lambda: heard.live or heard.error)
            yield heard
        finally:
            task.cancel()
            await asyncio.wait([task])


Opener = Callable[[str], Backend]
QUICK = Pace(first_wait_s=0.01, longest_wait_s=0.04, proven_after_s=60, slow_after_s=60)


class Kept:
    """What a Hotkeys says while it runs."""

    def __init__(self) -> None:
        self.changes: list[Live | NotLive] = []
        self.heard = Heard()
        self._news = asyncio.Event()

    def on_change(self, change: Live | NotLive) -> None:
        self.changes.append(change)
        self._news.set()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

    @property
    def live(self) -> list[str | None]:
        return [change.backend if isinstance(change, Live) else None for change in self.changes]


@contextlib.asynccontextmanager
async def keeping(
    wanted: str, opener: Opener, environ: dict[str, str], pace: Pace = QUICK, **chords: str
) -> AsyncIterator[Kept]:
    kept = Kept()
    owners = bindings(**(chords or {"talk": "F9"}))
    one = Hotkeys(
        wanted,
        owners,
        kept.heard,
        kept.on_change,
        environ=environ,
        platform="linux",
        opener=opener,
        pace=pace,
    )
    async with asyncio.TaskGroup() as group:
        task = group.create_task(one.run())
        try:
            yield kept
        finally:
            task.cancel()
            await asyncio.wait([task])
