"""What all of omniid holds before it has spoken, while its mouth lives, and after the mouth went."""

from __future__ import annotations

import time
from pathlib import Path

from rich.table import Table
from support.pulse import PulseServer

from benchmarks.reply_parts.house import (
    ENGINES,
    LONG,
    SHORT,
    Listener,
    Replier,
    hush,
    pss_mb,
    speaking_daemon,
    until,
)
from omniid.cli.private_daemon import PrivateDaemon

SPOKEN_S = 10.0  # of a long reply: the longest of its sentences have been made
_GONE_WITHIN_S = 120.0


def measure(pulse: PulseServer, folder: Path, *, wait_until_gone: bool) -> Table:
    table = Table(
        *(
            "engine",
            "before",
            "mouth, short reply",
            "mouth, long reply",
            "all with it",
            "after it went",
            "when",
        ),
        title="Memory, PSS of all processes; the mouth goes after a quiet minute",
    )
    with Replier() as replier, Listener(pulse.env) as listener:
        for engine in ENGINES:
            with speaking_daemon(engine, pulse, replier, folder / engine) as daemon:
                before = _mb(daemon)
                _say(daemon, listener, SHORT)
                until(daemon, "speech_finished")
                short = _mouth_mb(daemon)
                _say(daemon, listener, LONG)
                time.sleep(SPOKEN_S if wait_until_gone else 1.0)
                long, with_it = _mouth_mb(daemon), _mb(daemon)
                hush(daemon)
                after = _after(daemon) if wait_until_gone else ("not waited for", "")
                table.add_row(engine, *(f"{mb:.1f} MB" for mb in (before, short, long, with_it)), *after)
    return table


def _say(daemon: PrivateDaemon, listener: Listener, text: str) -> None:
    listener.forget()
    daemon.client.call("POST", "/v1/speech", {"text": text})
    listener.first()


def _after(daemon: PrivateDaemon) -> tuple[str, str]:
    quiet_at = time.monotonic()
    while daemon.status()["workers"]["mouth"]["running"]:
        if time.monotonic() - quiet_at > _GONE_WITHIN_S:
            return "it did not go", ""
        time.sleep(0.5)
    return f"{_mb(daemon):.1f} MB", f"{time.monotonic() - quiet_at:.0f} s later"


def _mb(daemon: PrivateDaemon) -> float:
    status = daemon.status()
    pids = [status["pid"], *(worker["pid"] for worker in status["workers"].values() if worker["running"])]
    return sum(map(pss_mb, pids))


def _mouth_mb(daemon: PrivateDaemon) -> float:
    return pss_mb(daemon.status()["workers"]["mouth"]["pid"])
