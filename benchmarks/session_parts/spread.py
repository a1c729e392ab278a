"""How a restart of the server spreads the dials of many clients, in virtual time: no socket is opened here.

What is simulated is the waiting alone. omniid's is its real `Backoff`, after links that were proven. The
peer's is the real `backoff` generator of websockets, used as its reconnecting iterator does: a link that was
lost is dialled again at once, and only a dial that fails brings the first delay.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from rich.table import Table
from websockets.client import backoff

from benchmarks.session_parts.house import share
from omniid.config import Session
from omniid.protocol.backoff import PROVEN_AFTER_S, Backoff

_SLICE_S = 0.1


def table(clients: int, outages: Sequence[float]) -> Table:
    """When the server gets each client's first dial after an outage of so many seconds."""
    shown = Table(title=f"3c. The first dials of {clients:,} simulated clients, from the server's return")
    names = ("who", "outage", "p5", "p50", "p95", "p99", "last", f"most in {_SLICE_S * 1000:.0f} ms")
    for column in names:
        shown.add_column(column, justify="left" if column == "who" else "right")
    for outage_s in outages:
        for who, waits in (("omniid", _omniid), ("websockets' iterator", _websockets)):
            first = [_first_dial(waits(), outage_s) for _ in range(clients)]
            figures = [f"{share(first, percent):.2f} s" for percent in (5, 50, 95, 99, 100)]
            shown.add_row(who, f"{outage_s:.0f} s", *figures, f"{_most_at_once(first):,}")
    shown.caption = (
        "Virtual time; all links are lost in one instant, and a dial of a server that is away fails at once."
    )
    return shown


def _omniid() -> Iterator[float]:
    settings = Session()
    waits = Backoff(settings.backoff_initial_s, settings.backoff_max_s, random.random)
    waits.link_ended(alive_s=PROVEN_AFTER_S, frames_received=1)
    while True:
        yield waits.next_delay()


def _websockets() -> Iterator[float]:
    yield 0.0
    yield from backoff()


def _first_dial(waits: Iterator[float], outage_s: float) -> float:
    at = next(waits)
    while at < outage_s:
        at += next(waits)
    return at - outage_s


def _most_at_once(moments: Sequence[float]) -> int:
    ordered = sorted(moments)
    most = end = 0
    for start, moment in enumerate(ordered):
        while end < len(ordered) and ordered[end] < moment + _SLICE_S:
            end += 1
        most = max(most, end - start)
    return most
