"""What listening for the key costs while nobody presses it. Linux.

    python benchmarks/hotkeys.py [--seconds 60]

Each backend listens in a process of its own: to a private X server, to the real portal on a private bus, and
to a keyboard that umockdev makes up. A wake-up is a voluntary context switch of any of its threads.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / folder) for folder in (".", "tests")]

from support import portal, umockdev, xvfb  # noqa: E402 the tests' folder is no package
from support.umockdev import child_listening, keyboard_bed  # noqa: E402

_TICKS = os.sysconf("SC_CLK_TCK")
Environment = AbstractAsyncContextManager[dict[str, str]]


@asynccontextmanager
async def _x_server() -> AsyncIterator[dict[str, str]]:
    with xvfb.Xvfb() as server:
        yield {**os.environ, "DISPLAY": server.display}


@asynccontextmanager
async def _desktop() -> AsyncIterator[dict[str, str]]:
    async with portal.desktop() as desktop:
        yield {**os.environ, "DBUS_SESSION_BUS_ADDRESS": desktop.address}


@asynccontextmanager
async def _keyboard() -> AsyncIterator[dict[str, str]]:
    async with keyboard_bed() as bed:
        await bed.plug(0)
        yield bed.environment


BACKENDS: dict[str, tuple[Callable[[], Environment], Callable[[], str | None]]] = {
    "x11": (_x_server, xvfb.why_unavailable),
    "portal": (_desktop, portal.why_unavailable),
    "evdev": (_keyboard, umockdev.why_unavailable),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    asyncio.run(_measure(parser.parse_args().seconds))


async def _measure(seconds: float) -> None:
    table = Table("backend", f"CPU over {seconds:.0f} s", "wake-ups", "threads", "memory (PSS)")
    for name, (environment_of, why_unavailable) in BACKENDS.items():
        reason = why_unavailable()
        if reason is not None:
            table.add_row(name, reason)
            continue
        async with (
            environment_of() as environment,
            child_listening(name, environment, talk="ctrl+alt+space", cancel="F9") as heard,
        ):
            assert heard.live, heard.error
            await asyncio.sleep(2)
            cpu_s, wake_ups = _cpu_s(heard.pid), _wake_ups(heard.pid)
            await asyncio.sleep(seconds)
            table.add_row(
                name,
                f"{(_cpu_s(heard.pid) - cpu_s) / seconds:.3%}",
                str(_wake_ups(heard.pid) - wake_ups),
                str(len(_threads(heard.pid))),
                f"{_pss_mb(heard.pid):.1f} MB",
            )
    Console(width=100).print(table)


def _threads(pid: int) -> list[Path]:
    return list(Path(f"/proc/{pid}/task").iterdir())


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _wake_ups(pid: int) -> int:
    lines = [line for thread in _threads(pid) for line in (thread / "status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))


def _pss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"no Pss in smaps_rollup of {pid}")


if __name__ == "__main__":
    main()
