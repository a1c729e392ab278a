"""What the session costs while it works, waits and comes back, beside bare websockets. Linux.

    python benchmarks/session.py [--quick] [--only 1234] [--folder /var/tmp]

Starts daemons and servers of its own on loopback; nothing of yours is touched. The full run takes about
20 minutes, the quick one about two. `--folder` is where the daemons' databases lie for that time: an fsync
costs what its disk costs, and nothing on a tmpfs.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.session_parts import drain, idle, latency, reconnect, spread
from benchmarks.session_parts.house import Server

Part = Callable[[Server, Path, bool], Iterator[Table]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="shorter, and without the longest line")
    parser.add_argument("--only", default="1234", help="the parts to run, such as 12 (default all)")
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="a folder on a real disk")  # noqa: S108 made private below
    given = parser.parse_args()
    console = Console(width=150)
    console.print(f"{os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f} at the start, {given.folder}")
    parts: dict[str, Part] = {"1": _latency, "2": _drain, "3": _reconnect, "4": _idle}
    with tempfile.TemporaryDirectory(dir=given.folder) as folder, Server() as server:
        for name in given.only:
            for table in parts[name](server, Path(folder) / name, given.quick):
                console.print(table)


def _latency(server: Server, folder: Path, quick: bool) -> Iterator[Table]:
    yield latency.measure(server, folder, 50 if quick else 500)


def _drain(server: Server, folder: Path, quick: bool) -> Iterator[Table]:
    lengths = (1_000, 10_000) if quick else (1_000, 10_000, 100_000)
    limit_s = 60.0 if quick else 300.0  # one that is still longer shows its cost all the same
    lines = [drain.fill(folder / f"{length}.db", length) for length in lengths]
    drained = {
        mode: [drain.omniid(server, folder / f"{mode}{line.commands}", mode, line, limit_s) for line in lines]
        for mode in drain.WAYS
    }
    # The peer has no line that could grow: the third length would only say the same.
    peers = {mode: [drain.bare(server, mode, length) for length in lengths[:2]] for mode in drain.WAYS}
    yield drain.table(lines, drained, peers)


def _reconnect(server: Server, folder: Path, quick: bool) -> Iterator[Table]:
    outages = {1.0: 1, 5.0: 1} if quick else {1.0: 2, 10.0: 1, 60.0: 1}
    yield reconnect.outages(server, folder, outages, clients=4 if quick else 10)
    yield reconnect.dials(server, folder / "dials", 10.0 if quick else 60.0)
    yield spread.table(1_000, (0.0, *outages))


def _idle(server: Server, folder: Path, quick: bool) -> Iterator[Table]:
    yield idle.measure(server, folder, 20.0 if quick else 60.0)


if __name__ == "__main__":
    main()
