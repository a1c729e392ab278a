"""Which speakers a sound server (PulseAudio, PipeWire) offers. Elsewhere there is nothing to tell.

PortAudio shows a sound server as one device, so its speakers are named and chosen through the server. The
calls here can hang with the server: make them only from a thread that nobody waits for without a deadline.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass

CONNECT_S = 1.0
PULSE_SINK = "PULSE_SINK"  # libpulse reads it when a stream is made without a device


@dataclass(frozen=True, slots=True)
class Sink:
    """`name` is the server's own, `description` is for people."""

    name: str
    description: str


def sinks() -> list[Sink]:
    """The speakers of the server; empty where no server answers."""
    if sys.platform != "linux":
        return []
    try:
        import pulsectl  # noqa: PLC0415 - needed only where a speaker is named
    except (ImportError, OSError):  # OSError: no libpulse here
        return []
    server = pulsectl.Pulse("omniid-mouth", connect=False)
    try:
        server.connect(autospawn=False, timeout=CONNECT_S)
        return [Sink(str(sink.name), str(sink.description)) for sink in server.sink_list()]
    except pulsectl.PulseError:
        return []
    finally:
        server.close()


def use_sink(name: str) -> None:
    """Streams that this process opens from now on go to that speaker."""
    os.environ[PULSE_SINK] = name
