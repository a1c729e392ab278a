"""How long a typed command is on its way: from the call of the control API to its frame at the server."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.table import Table
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.session_parts.house import QuietDaemon, Server, frames, ms, share, words

_AIM_S = 0.003
_ANSWERED_WITHIN_S = 20.0
_BARE, _NEW, _KEPT = "bare websockets", "omniid, a connection each", "omniid, one kept connection"


class _Kept(http.client.HTTPConnection):
    """One connection to the control socket for all calls."""

    def __init__(self, path: Path) -> None:
        super().__init__("omniid", timeout=_ANSWERED_WITHIN_S * 2)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))

    def ask(self, message: str) -> None:
        body = json.dumps({"message": message, "wait_s": _ANSWERED_WITHIN_S})
        self.request("POST", "/v1/commands", body, {"Content-Type": "application/json"})
        response = self.getresponse()
        answer = json.loads(response.read())
        assert answer["state"] == "done", answer


def measure(server: Server, folder: Path, rounds: int) -> Table:
    url = server.up("correlating")
    with QuietDaemon(folder, url) as daemon:
        daemon.until_it_stands()
        table = asyncio.run(_take_turns(server, url, daemon, rounds))
    server.ask("down")
    return table


async def _take_turns(server: Server, url: str, daemon: QuietDaemon, rounds: int) -> Table:
    """In each round every way sends one command, and the next begins once that is answered."""
    called: dict[str, float] = {}
    answered: dict[str, list[float]] = {_BARE: [], _NEW: [], _KEPT: []}
    synced: list[float] = []

    def call(way: str, message: str, ask: Callable[[str], object]) -> None:
        called[message] = time.perf_counter()
        ask(message)
        answered[way].append(time.perf_counter() - called[message])

    kept = _Kept(daemon.client.path)
    async with connect(url) as bare:
        await bare.recv()  # hello
        for number in range(-10, rounds):  # the first ten only warm all up
            message = words(number, _BARE)
            frame = frames([message])[0]
            called[message] = time.perf_counter()
            await _send_and_wait(bare, frame)
            answered[_BARE].append(time.perf_counter() - called[message])
            call(_NEW, words(number, _NEW), lambda message: daemon.ask(message, wait_s=_ANSWERED_WITHIN_S))
            call(_KEPT, words(number, _KEPT), kept.ask)
            synced.append(_write_and_sync(daemon.folder))
    kept.close()
    arrived = server.ask("arrived")["arrived"]
    on_the_way = {
        way: [arrived[words(number, way)] - called[words(number, way)] for number in range(rounds)]
        for way in answered
    }
    return _table(on_the_way, {way: times[10:] for way, times in answered.items()}, synced[10:])


async def _send_and_wait(bare: ClientConnection, frame: str) -> None:
    await bare.send(frame)
    await bare.recv()


def _write_and_sync(folder: Path) -> float:
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"x" * 4096)
        file.flush()
        began = time.perf_counter()
        os.fsync(file.fileno())
        return time.perf_counter() - began


def _table(
    on_the_way: dict[str, list[float]], answered: dict[str, list[float]], synced: list[float]
) -> Table:
    table = Table(title=f"1. A typed command, {len(synced)} times each, in turns")
    for column in ("what", "p50", "p99", "longest"):
        table.add_column(column, justify="left" if column == "what" else "right")

    def row(what: str, times: list[float]) -> None:
        table.add_row(what, ms(share(times, 50)), ms(share(times, 99)), ms(max(times)))

    for way, times in on_the_way.items():
        row(f"{way}: to the frame at the server", times)
    for way, times in answered.items():
        row(f"{way}: to the answer of the server", times)
    row("for comparison, one fsync of 4 kB (omniid commits twice before a frame leaves)", synced)
    bare, ours = on_the_way[_BARE], on_the_way[_NEW]
    added = share(ours, 50) - share(bare, 50)
    table.add_section()
    table.add_row(
        f"added by omniid, a connection each (aim: p50 {_AIM_S * 1000:.0f} ms)",
        f"{ms(added)}: {'met' if added <= _AIM_S else 'missed'}",
        ms(share(ours, 99) - share(bare, 99)),
        "",
    )
    return table
