"""How soon a command goes out once the server is back, and how often a broken server is dialled."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from pathlib import Path

from rich.table import Table
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from benchmarks.session_parts.house import QuietDaemon, Server, frames, share
from omniid.protocol.backoff import PROVEN_AFTER_S

_OMNIID, _BARE = "omniid", "websockets' reconnecting iterator"


class _Bare:
    """`async for … in connect(…)` as its documentation shows it, with a frame to send after the outage."""

    def __init__(self, url: str) -> None:
        self._url = url
        self.to_say: str | None = None

    async def run(self) -> None:
        async for socket in connect(self._url):
            try:
                if self.to_say is not None:
                    await socket.send(self.to_say)
                    self.to_say = None
                async for _ in socket:
                    pass
            except ConnectionClosed:
                continue


def outages(server: Server, folder: Path, lasting: Mapping[float, int], clients: int) -> Table:
    """`lasting`: how often an outage of so many seconds happens to all the clients at once."""
    url = server.up("correlating")
    with contextlib.ExitStack() as stack:
        daemons = [stack.enter_context(QuietDaemon(folder / str(number), url)) for number in range(clients)]
        for daemon in daemons:
            daemon.until_it_stands()
        delays = asyncio.run(_go_through(server, url, daemons, lasting))
    server.ask("down")
    table = Table(title="3a. The server is back: to the waiting command's frame")
    for column in ("who", "outage", "clients x outages", "p50", "p99", "longest"):
        table.add_column(column, justify="left" if column == "who" else "right")
    for (who, outage_s), times in delays.items():
        figures = [f"{figure:.2f} s" for figure in (share(times, 50), share(times, 99), max(times))]
        often = f"{clients} x {lasting[outage_s]}"
        table.add_row(who, f"{outage_s:.0f} s", often, *figures)
    table.caption = (
        "Default backoff. The command is accepted as the outage begins. Each outage comes after the links "
        f"have lived for {PROVEN_AFTER_S:.0f} s. With so few, p99 is the longest; table 3c has a thousand."
    )
    return table


async def _go_through(
    server: Server, url: str, daemons: list[QuietDaemon], lasting: Mapping[float, int]
) -> dict[tuple[str, float], list[float]]:
    peers = [_Bare(url) for _ in daemons]
    delays: dict[tuple[str, float], list[float]] = {
        (who, outage_s): [] for who in (_OMNIID, _BARE) for outage_s in lasting
    }
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(peer.run()) for peer in peers]
        for outage_s, times in lasting.items():
            for _ in range(times):
                await asyncio.sleep(PROVEN_AFTER_S + 1)
                for who, late in (await _outage(server, daemons, peers, outage_s)).items():
                    delays[who, outage_s] += late
        for task in tasks:
            task.cancel()
    return delays


async def _outage(
    server: Server, daemons: list[QuietDaemon], peers: list[_Bare], outage_s: float
) -> dict[str, list[float]]:
    """How late each client's command is, by the client's kind."""
    await asyncio.to_thread(server.ask, "down")
    began = time.perf_counter()
    said: dict[str, str] = {}
    for number, (daemon, peer) in enumerate(zip(daemons, peers, strict=True)):
        ours, bare = f"{_OMNIID} {number} after {began}", f"{_BARE} {number} after {began}"
        said |= {ours: _OMNIID, bare: _BARE}
        await asyncio.to_thread(daemon.ask, ours)
        peer.to_say = frames([bare])[0]
    await asyncio.sleep(began + outage_s - time.perf_counter())
    back_at = (await asyncio.to_thread(server.ask, "up", mode="correlating"))["at"]
    arrived: dict[str, float] = {}
    while len(arrived) < len(said):
        await asyncio.sleep(0.2)
        arrived |= (await asyncio.to_thread(server.ask, "arrived"))["arrived"]
    late: dict[str, list[float]] = {_OMNIID: [], _BARE: []}
    for message, at in arrived.items():
        late[said[message]].append(at - back_at)
    return late


def dials(server: Server, folder: Path, seconds: float) -> Table:
    url = server.up("closing")
    counts = {}
    with QuietDaemon(folder, url):
        time.sleep(seconds)
        counts[_OMNIID] = server.ask("down")["dials"]
    url = server.up("closing")
    with contextlib.suppress(TimeoutError):
        asyncio.run(_dial_on(url, seconds))
    counts[_BARE] = server.ask("down")["dials"]
    table = Table("who", "dials", title=f"3b. Dials in {seconds:.0f} s of a server that accepts, then closes")
    for who, count in counts.items():
        table.add_row(who, f"{count:,}")
    return table


async def _dial_on(url: str, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        await _Bare(url).run()
