"""How long a typed command is on its way: from the call of the control API to its frame at the server."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import sqlite3
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from rich.table import Table
from websockets.asyncio.client import ClientConnection, connect

from benchmarks.session_parts.house import QuietDaemon, Server, cpu_s, frames, ms, share, words

_AIM_S = 0.003
_ANSWERED_WITHIN_S = 20.0
_TO_WARM_UP = 10
_REST_S = 0.01  # a typed command finds nobody at work, not even on the one before it
_NO_DISK = Path("/dev/shm")  # noqa: S108 made private below
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


@dataclass(frozen=True, slots=True)
class _Times:
    """By who sent: from the call to the frame at the server, and from the call to the server's answer."""

    on_the_way: dict[str, list[float]]
    answered: dict[str, list[float]]
    committed: list[float]  # one bare commit on the same disk
    cpu_s: float  # of the daemon, for each of its commands

    def added(self, percent: float) -> float:
        """What omniid takes longer than the bare client."""
        return share(self.on_the_way[_NEW], percent) - share(self.on_the_way[_BARE], percent)


def measure(server: Server, folder: Path, rounds: int) -> Table:
    """On the disk, and where there is none: the difference is what the disk takes."""
    on_disk = _measure(server, folder, rounds)
    with tempfile.TemporaryDirectory(dir=_NO_DISK) as memory:
        in_memory = _measure(server, Path(memory), rounds)
    return _table(on_disk, in_memory)


def _measure(server: Server, folder: Path, rounds: int) -> _Times:
    url = server.up("correlating")
    with QuietDaemon(folder, url) as daemon:
        daemon.until_it_stands()
        times = asyncio.run(_take_turns(server, url, daemon, rounds))
    server.ask("down")
    return times


async def _take_turns(server: Server, url: str, daemon: QuietDaemon, rounds: int) -> _Times:
    """In each round every way sends one command, and the next begins once that is answered."""
    called: dict[str, float] = {}
    answered: dict[str, list[float]] = {_BARE: [], _NEW: [], _KEPT: []}
    committed: list[float] = []
    used = 0.0

    def call(way: str, message: str, ask: Callable[[str], object]) -> None:
        time.sleep(_REST_S)
        called[message] = time.perf_counter()
        ask(message)
        answered[way].append(time.perf_counter() - called[message])

    kept, disk = _Kept(daemon.client.path), _BareSqlite(daemon.folder / "bare.db")
    async with connect(url) as bare:
        await bare.recv()  # hello
        for number in range(-_TO_WARM_UP, rounds):
            if number == 0:
                used = cpu_s(daemon.pid)
            message = words(number, _BARE)
            frame = frames([message])[0]
            await asyncio.sleep(_REST_S)
            called[message] = time.perf_counter()
            await _send_and_wait(bare, frame)
            answered[_BARE].append(time.perf_counter() - called[message])
            call(_NEW, words(number, _NEW), lambda message: daemon.ask(message, wait_s=_ANSWERED_WITHIN_S))
            call(_KEPT, words(number, _KEPT), kept.ask)
            committed.append(disk.commit(message))
        cpu = (cpu_s(daemon.pid) - used) / rounds / 2
    kept.close()
    disk.close()
    arrived = server.ask("arrived")["arrived"]
    on_the_way = {
        way: [arrived[words(number, way)] - called[words(number, way)] for number in range(rounds)]
        for way in answered
    }
    warm = {way: times[_TO_WARM_UP:] for way, times in answered.items()}
    return _Times(on_the_way, warm, committed[_TO_WARM_UP:], cpu)


async def _send_and_wait(bare: ClientConnection, frame: str) -> None:
    await bare.send(frame)
    await bare.recv()


class _BareSqlite:
    """What the disk takes for one durable commit: SQLite set as omniid sets it, and one row."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        self._connection.execute("PRAGMA journal_mode=WAL")
        self._connection.execute("PRAGMA synchronous=FULL")
        self._connection.execute("CREATE TABLE rows (message TEXT)")

    def commit(self, message: str) -> float:
        began = time.perf_counter()
        self._connection.execute("INSERT INTO rows VALUES (?)", (message,))
        return time.perf_counter() - began

    def close(self) -> None:
        self._connection.close()


def _table(on_disk: _Times, in_memory: _Times) -> Table:
    table = Table(title=f"1. A typed command, {len(on_disk.committed)} times each, in turns")
    for column in ("what", "p50", "p99", "longest"):
        table.add_column(column, justify="left" if column == "what" else "right")

    def row(what: str, times: list[float]) -> None:
        table.add_row(what, ms(share(times, 50)), ms(share(times, 99)), ms(max(times)))

    def added(what: str, times: _Times) -> None:
        table.add_row(f"added by omniid{what}, a connection each", ms(times.added(50)), ms(times.added(99)))

    for way, times in on_disk.on_the_way.items():
        row(f"{way}: to the frame at the server", times)
    for way, times in on_disk.answered.items():
        row(f"{way}: to the server's answer", times)
    row("one bare SQLite commit on that disk (omniid makes two before a frame leaves)", on_disk.committed)
    for way, times in in_memory.on_the_way.items():
        row(f"{way}: to the frame, database in {_NO_DISK}", times)
    table.add_section()
    added("", on_disk)
    added(" where a commit costs nothing", in_memory)
    cpu = f"{ms(on_disk.cpu_s)} on the disk, {ms(in_memory.cpu_s)} without"
    verdict = "met" if on_disk.added(50) <= _AIM_S else "missed"
    table.caption = (
        f"Aim: no more than {ms(_AIM_S)} added at p50, fsync included: {verdict}. "
        f"The daemon's CPU time for each command, to its end: {cpu}."
    )
    return table
