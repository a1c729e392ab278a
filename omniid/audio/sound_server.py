"""The sound server (PulseAudio, PipeWire), where there is one: elsewhere there is nothing to ask.

PortAudio shows a server as one device, so what can be heard and where sound goes is asked and chosen here.
Every call can hang with the server: call only from a thread that nobody waits for without a deadline.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator
from typing import Any, Literal

_log = logging.getLogger(__name__)

# libpulse reads these when a stream is made without a device.
Variable = Literal["PULSE_SOURCE", "PULSE_SINK"]
PULSE_SOURCE: Variable = "PULSE_SOURCE"
PULSE_SINK: Variable = "PULSE_SINK"
_INHERITED = {name: os.environ.get(name) for name in (PULSE_SOURCE, PULSE_SINK)}

try:
    import pulsectl
except (ImportError, OSError):  # not Linux, or no libpulse
    pulsectl = None


@contextlib.contextmanager
def connected() -> Iterator[Any]:
    """A connection to the server; None where there is none."""
    if pulsectl is None or sys.platform != "linux":
        yield None
        return
    server = pulsectl.Pulse("omniid", connect=False)
    try:
        try:
            server.connect()  # with a timeout pulsectl always waits for the whole of it
        except errors() as error:
            _log.debug("no sound server: %s", error)
            yield None
        else:
            yield server
    finally:
        server.close()


def errors() -> tuple[type[Exception], ...]:
    """What a call on a connection raises once the server is gone."""
    return (pulsectl.PulseError, pulsectl.PulseDisconnected) if pulsectl is not None else ()


def use(variable: Variable, name: str | None) -> None:
    """Streams opened from now on use that source or sink; None: what the server has as its default."""
    value = name or _INHERITED[variable]
    if value is None:
        os.environ.pop(variable, None)
    else:
        os.environ[variable] = value


def is_chosen(variable: Variable) -> bool:
    """Whether a source or sink was named, by us or by whoever started us."""
    return variable in os.environ
