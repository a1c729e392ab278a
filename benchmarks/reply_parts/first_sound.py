"""From the moment a real server sends the settling frame to the first sound out of the speaker."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rich.table import Table
from support.pulse import PulseServer

from benchmarks.reply_parts.house import (
    ENGINES,
    LONG,
    SHORT,
    Listener,
    Replier,
    add_times,
    hush,
    speaking_daemon,
    until,
)
from omniid.cli.private_daemon import PrivateDaemon

ROOT = Path(__file__).resolve().parents[2]
THINK_S = 1.5  # a server takes that long at least; the mouth starts when the command is sent
MOST_LONG_ROUNDS = 2  # of a peer, which takes ten seconds for each
REST_S = 1.0  # the sentence that was being made when it was stopped is finished meanwhile


def measure(pulse: PulseServer, folder: Path, rounds: int) -> Table:
    table = Table(
        *("engine", "reply", "who", "median", "longest", "rounds"),
        title="Settling frame sent → first sound heard",
        caption="A peer has its engine loaded and gets the text itself: no session, no history.",
    )
    with Replier() as replier, Listener(pulse.env) as listener:
        for engine in ENGINES:
            with speaking_daemon(engine, pulse, replier, folder / engine) as daemon:
                first = _first_ever(daemon, replier, listener)
                add_times(table, engine, _name(SHORT), "omniid, the first reply", times=first)
                for text in (SHORT, LONG):
                    times = [_round(daemon, replier, listener, text) for _ in range(rounds)]
                    add_times(table, engine, _name(text), "omniid", times=times)
            with _peer(pulse, engine) as peer:
                for text in (SHORT, LONG):
                    count = min(rounds, MOST_LONG_ROUNDS) if text is LONG else rounds
                    times = [_peer_round(peer, listener, text) for _ in range(count)]
                    add_times(table, engine, _name(text), "peer: whole text, then played", times=times)
    return table


def _name(text: str) -> str:
    return f"{len(text):,} characters"


def _first_ever(daemon: PrivateDaemon, replier: Replier, listener: Listener) -> list[float]:
    """At once after the command, so that the mouth is still starting."""
    replier.think_s = 0.0
    time_s = _round(daemon, replier, listener, SHORT)
    replier.think_s = THINK_S
    return [time_s]


def _round(daemon: PrivateDaemon, replier: Replier, listener: Listener, text: str) -> float:
    replier.text = text
    listener.forget()
    daemon.client.call("POST", "/v1/commands", {"message": f"tell me, {time.monotonic_ns()}"})
    heard_at = listener.first()
    hush(daemon)
    until(daemon, "speech_finished", "speech_failed")
    listener.wait_for_quiet()
    time.sleep(REST_S)
    return heard_at - replier.sent_at


@contextlib.contextmanager
def _peer(pulse: PulseServer, engine: str) -> Iterator[subprocess.Popen[str]]:
    program = Path(__file__).with_name("peer.py")
    peer = subprocess.Popen(
        [sys.executable, str(program), engine],
        env={**pulse.env, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert peer.stdout is not None
        assert peer.stdout.readline() == "ready\n"
        yield peer
    finally:
        peer.kill()
        peer.communicate()


def _tell(peer: subprocess.Popen[str], line: str) -> float:
    """When it was told."""
    assert peer.stdin is not None
    told_at = time.monotonic()
    peer.stdin.write(f"{line}\n")
    peer.stdin.flush()
    return told_at


def _peer_round(peer: subprocess.Popen[str], listener: Listener, text: str) -> float:
    listener.forget()
    told_at = _tell(peer, json.dumps(text))
    heard_at = listener.first()
    _tell(peer, "")
    listener.wait_for_quiet()
    return heard_at - told_at
