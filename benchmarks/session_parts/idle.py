"""What a link costs while nothing is said on it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from rich.table import Table

from benchmarks.session_parts.house import QuietDaemon, Server, pss_mb, usage

_PEER = (
    "import asyncio, sys\n"
    "from websockets.asyncio.client import connect\n"
    "async def main():\n"
    "    async with connect(sys.argv[1]) as socket:\n"
    "        print('ready', flush=True)\n"
    "        async for _ in socket: pass\n"
    "asyncio.run(main())\n"
)
_SETTLES_S = 3.0


def measure(server: Server, folder: Path, seconds: float) -> Table:
    """Both at the same time, so that they have the same neighbours."""
    url = server.up("plain")
    with QuietDaemon(folder, url) as daemon:
        daemon.until_it_stands()
        peer = subprocess.Popen([sys.executable, "-c", _PEER, url], stdout=subprocess.PIPE)
        assert peer.stdout is not None
        peer.stdout.readline()
        pids = {
            "omniid, the daemon's process": daemon.pid,
            "omniid, its ear": daemon.status()["workers"]["ear"]["pid"],
            "bare websockets, default keepalive": peer.pid,
        }
        time.sleep(_SETTLES_S)
        before = {name: usage(pid) for name, pid in pids.items()}
        time.sleep(seconds)
        used = {name: usage(pid).since(before[name]) for name, pid in pids.items()}
        memory = {name: pss_mb(pid) for name, pid in pids.items()}
        peer.terminate()
        peer.communicate()
    server.ask("down")
    table = Table(title=f"4. Connected and idle, over {seconds:.0f} s, a minute's worth")
    for column in ("what", "CPU", "wake-ups", "PSS"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for name, one in used.items():
        a_minute = 60 / seconds
        table.add_row(
            name,
            f"{one.cpu_s * a_minute * 1000:.0f} ms",
            f"{one.wakeups * a_minute:.0f}",
            f"{memory[name]:.1f} MB",
        )
    return table
