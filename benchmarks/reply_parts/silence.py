"""From a key that goes down, and from `omniid hush`, to the last sound out of the speaker."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.table import Table
from support.pulse import PulseServer

from benchmarks.reply_parts.house import (
    ENGINES,
    LONG,
    Listener,
    Replier,
    add_times,
    hush,
    speaking_daemon,
    until,
)
from omniid.cli.private_daemon import PrivateDaemon

SETTLED_S = 0.6
_OWNER = {"owner": "benchmark"}


def measure(pulse: PulseServer, folder: Path, rounds: int) -> Table:
    table = Table(
        *("engine", "what", "median", "longest", "rounds"),
        title="Asked to be silent → the last sound heard",
        caption="Key-down is told over the control socket; what a key itself costs, hotkeys.py measures.",
    )
    with Replier() as replier, Listener(pulse.env) as listener:
        for engine in ENGINES:
            with speaking_daemon(engine, pulse, replier, folder / engine) as daemon:
                for name, ask, clean_up in (
                    ("key-down", _key_down, _key_up),
                    ("DELETE /v1/speech", hush, _nothing),
                    ("`omniid hush`, from its start as a process", _hush_verb, _nothing),
                ):
                    times = []
                    for _ in range(rounds):
                        times.append(_round(daemon, listener, ask))
                        clean_up(daemon)
                    add_times(table, engine, name, times=times)
    return table


def _round(daemon: PrivateDaemon, listener: Listener, ask: Callable[[PrivateDaemon], None]) -> float:
    listener.wait_for_quiet()
    listener.forget()
    daemon.client.call("POST", "/v1/speech", {"text": LONG})
    listener.first()
    time.sleep(SETTLED_S)
    listener.wait_for_a_word()
    asked_at = time.monotonic()
    ask(daemon)
    until(daemon, "speech_finished", "speech_failed")
    time.sleep(SETTLED_S)
    return listener.heard_at - asked_at


def _key_down(daemon: PrivateDaemon) -> None:
    daemon.client.call("POST", "/v1/listen/start", _OWNER)


def _key_up(daemon: PrivateDaemon) -> None:
    daemon.client.call("POST", "/v1/listen/cancel", _OWNER)
    until(daemon, "take_empty", "take_failed")


def _hush_verb(daemon: PrivateDaemon) -> None:
    omniid = Path(sys.executable).with_name("omniid")
    subprocess.run([str(omniid), "hush"], env=daemon.environment, check=True, stdout=subprocess.DEVNULL)


def _nothing(_: PrivateDaemon) -> None:
    """It leaves nothing to be undone."""
