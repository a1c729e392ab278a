"""How fast a long line of waiting commands is sent, what each costs, and what the line costs in memory."""

from __future__ import annotations

import asyncio
import shutil
import threading
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import uuid_utils
from rich.table import Table
from websockets.asyncio.client import connect

from benchmarks.session_parts.house import QuietDaemon, Server, cpu_s, frames, pss_mb, words
from omniid.storage.database import Database
from omniid.storage.outbox import Limits, NewCommand, Outbox

WAYS = {"plain": "one in flight", "correlating": "16 in flight"}
_FILLED_AT_ONCE = 1_000
_SETTLED_WITHIN_S = 30.0
_SAMPLED_EVERY_S = 0.25
_WINDOWS = {"plain": 1, "correlating": 16}


@dataclass(frozen=True, slots=True)
class Drained:
    """One line that was sent. `sent` falls short of `commands` where the time was up."""

    commands: int
    sent: int
    ready_s: float
    rate: float
    cpu_ms: float
    before_mb: float
    peak_mb: float
    after_mb: float


@dataclass(frozen=True, slots=True)
class Bare:
    commands: int
    rate: float
    cpu_ms: float


@dataclass(frozen=True, slots=True)
class Line:
    """A database in which so many commands wait, and how long it took to accept them."""

    path: Path
    commands: int
    accepted_s: float


def fill(path: Path, commands: int) -> Line:
    began = time.perf_counter()
    asyncio.run(_fill(path, commands))
    return Line(path, commands, time.perf_counter() - began)


def omniid(server: Server, folder: Path, mode: str, line: Line, limit_s: float) -> Drained:
    """A daemon that finds its outbox full, from the moment its link is let in."""
    commands, data = line.commands, folder / "data" / "omniid"
    data.mkdir(mode=0o700, parents=True)
    shutil.copy(line.path, data / "omniid.db")
    with QuietDaemon(folder, server.up(mode, held=True)) as daemon:
        daemon.until_it_stands("connecting")
        before_mb, used = pss_mb(daemon.pid), cpu_s(daemon.pid)
        with _Memory(daemon.pid) as memory:
            server.ask("open")
            seen = server.ask("wait", commands=commands, within_s=limit_s)
            cpu = cpu_s(daemon.pid) - used
            if seen["commands"] == commands:
                _until_settled(daemon)
        after_mb = pss_mb(daemon.pid)
    server.ask("down")
    sent, took_s = seen["commands"], seen["last_at"] - seen["first_at"]
    return Drained(
        commands=commands,
        sent=sent,
        ready_s=daemon.ready_after_s,
        rate=(sent - 1) / took_s,
        cpu_ms=cpu / sent * 1000,
        before_mb=before_mb,
        peak_mb=max(before_mb, memory.peak_mb, after_mb),
        after_mb=after_mb,
    )


def bare(server: Server, mode: str, commands: int) -> Bare:
    """The same frames from a loop with websockets."""
    url = server.up(mode)
    all_frames = frames([words(number, "drain") for number in range(commands)])
    rate, cpu_ms = asyncio.run(_send_all(url, mode, all_frames))
    server.ask("down")
    return Bare(commands, rate, cpu_ms)


async def _send_all(url: str, mode: str, all_frames: list[str]) -> tuple[float, float]:
    window = _WINDOWS[mode]
    async with connect(url) as socket:
        if mode == "correlating":
            await socket.recv()  # hello
        began, used = time.perf_counter(), time.process_time()
        for number, frame in enumerate(all_frames):
            if number >= window:
                await socket.recv()
            await socket.send(frame)
        for _ in range(min(window, len(all_frames))):
            await socket.recv()
        took_s, cpu = time.perf_counter() - began, time.process_time() - used
    return len(all_frames) / took_s, cpu / len(all_frames) * 1000


async def _fill(path: Path, commands: int) -> None:
    """As the daemon would accept them, in bursts: each is on disk before the next burst."""
    async with Database(path) as database:
        outbox = Outbox(database, Limits(86_400, 86_400, 10_000_000, 10_000_000_000))
        for start in range(0, commands, _FILLED_AT_ONCE):
            burst = range(start, min(start + _FILLED_AT_ONCE, commands))
            now = datetime.now(UTC)
            await asyncio.gather(*(outbox.add(_new(number), now) for number in burst))


def _new(number: int) -> NewCommand:
    return NewCommand(str(uuid_utils.uuid7()), "text", words(number, "drain"), {})


def _until_settled(daemon: QuietDaemon) -> None:
    """The last frame is at the server; its reply is still to be written down."""
    until = time.monotonic() + _SETTLED_WITHIN_S
    while time.monotonic() < until:
        outbox: dict[str, Any] = daemon.status()["outbox"]
        if not any(outbox.get(state) for state in ("queued", "sending", "waiting")):
            return
        time.sleep(0.1)
    raise TimeoutError(f"commands are left: {daemon.status()['outbox']}")


class _Memory:
    """Looks at a process's memory every now and then; `peak_mb` is the most it has seen."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="memory")
        self.peak_mb = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._over.wait(_SAMPLED_EVERY_S):
            self.peak_mb = max(self.peak_mb, pss_mb(self._pid))


def table(lines: list[Line], drained: dict[str, list[Drained]], peers: dict[str, list[Bare]]) -> Table:
    shown = Table(title="2. A long line of waiting commands (the outbox was filled by Outbox.add)")
    names = ("what", "commands", "commands/s", "each", "CPU of each", "PSS before, peak, after", "ready")
    for column in names:
        shown.add_column(column, justify="left" if column == "what" else "right")
    for mode, runs in drained.items():
        for run in runs:
            short = "" if run.sent == run.commands else f" (time was up at {run.sent:,})"
            shown.add_row(
                f"omniid, {WAYS[mode]}",
                f"{run.commands:,}{short}",
                f"{run.rate:,.0f}",
                f"{1000 / run.rate:.2f} ms",
                f"{run.cpu_ms:.2f} ms",
                f"{run.before_mb:.1f}, {run.peak_mb:.1f}, {run.after_mb:.1f} MB",
                f"{run.ready_s * 1000:,.0f} ms",
            )
        for peer in peers[mode]:
            cost = (f"{peer.rate:,.0f}", f"{1000 / peer.rate:.2f} ms", f"{peer.cpu_ms:.2f} ms")
            shown.add_row(f"bare websockets, {WAYS[mode]}", f"{peer.commands:,}", *cost, "", "")
        first, last = runs[0], runs[-1]
        shown.add_row(
            f"{WAYS[mode]}: {last.commands:,} against {first.commands:,}",
            "",
            "",
            f"x {first.rate / last.rate:.2f}",
            f"x {last.cpu_ms / first.cpu_ms:.2f}",
            f"{last.peak_mb - first.peak_mb:+.1f} MB peak",
            "",
            style="bold",
        )
        shown.add_section()
    accepted = ", ".join(f"{each.commands:,} at {each.commands / each.accepted_s:,.0f}/s" for each in lines)
    shown.caption = (
        f"Outbox.add accepted, in bursts of {_FILLED_AT_ONCE:,}: {accepted}. "
        f"PSS is sampled every {_SAMPLED_EVERY_S * 1000:.0f} ms. "
        "`ready` is `omniid run` to ready with that outbox."
    )
    return shown
