"""Which source a sound server (PulseAudio, PipeWire) lets us hear. Elsewhere there is nothing to tell.

PortAudio shows a sound server as one device, so sources are named, chosen and watched through the server.
Every call here can hang with the server: call only from a thread that nobody waits for without a deadline.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

_log = logging.getLogger(__name__)

PULSE_SOURCE = "PULSE_SOURCE"  # libpulse reads it when a stream is made without a device

try:
    import pulsectl
except (ImportError, OSError):  # not Linux, or no libpulse: no sound server to ask
    pulsectl = None


@dataclass(frozen=True, slots=True)
class SoundSource:
    """`name` is the server's own, `description` is for people."""

    name: str
    description: str


def sources() -> list[SoundSource]:
    """What the sound server offers to listen to; empty where there is none."""
    with _server() as server:
        if server is None:
            return []
        try:
            listed = server.source_list()
        except _errors() as error:
            _log.debug("the sound server did not list its sources: %s", error)
            return []
        return [SoundSource(str(source.name), str(source.description)) for source in listed]


def choose(wanted: str, known: Sequence[SoundSource]) -> bool:
    """Make the next stream listen to the source of that name or description; False when there is none."""
    for source in known:
        if wanted in {source.name, source.description}:
            os.environ[PULSE_SOURCE] = source.name
            return True
    return False


def hears_only_itself() -> bool:
    """Whether the default source is the default speaker's own sound: what a server falls back to."""
    if PULSE_SOURCE in os.environ:
        return False
    with _server() as server:
        if server is None:
            return False
        try:
            defaults, listed = server.server_info(), server.source_list()
        except _errors() as error:
            _log.debug("the sound server did not name its defaults: %s", error)
            return False
        monitored = {source.name: source.monitor_of_sink_name for source in listed}
        speaker = monitored.get(defaults.default_source_name)
        return speaker is not None and speaker == defaults.default_sink_name


class Route:
    """The source this process listens to, from the moment its stream has started. A context manager."""

    def __init__(self) -> None:
        self.source: str | None = None
        self._name: str | None = None
        self._stack = contextlib.ExitStack()
        self._server: Any = None

    def __enter__(self) -> Self:
        self._server = self._stack.enter_context(_server())
        if self._server is not None:
            self._find()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def has_strayed(self) -> bool:
        """Whether the source we began with has gone; the server has then put another one in its place."""
        if self._name is None:
            return False
        try:
            return all(source.name != self._name for source in self._server.source_list())
        except _errors() as error:
            _log.debug("the sound server does not answer any more, missing blocks will tell: %s", error)
            self._name = None
            return False

    def _find(self) -> None:
        try:
            names = {source.index: source for source in self._server.source_list()}
            for output in self._server.source_output_list():
                if (
                    output.proplist.get("application.process.id") == str(os.getpid())
                    and output.source in names
                ):
                    self._name = str(names[output.source].name)
                    self.source = str(names[output.source].description)
        except _errors() as error:
            _log.debug("the sound server does not say what we listen to: %s", error)


@contextlib.contextmanager
def _server() -> Iterator[Any]:
    """A connection to the sound server; None where there is none."""
    if pulsectl is None or sys.platform != "linux":
        yield None
        return
    server = pulsectl.Pulse("omniid", connect=False)
    try:
        try:
            server.connect()  # with a timeout pulsectl always waits for the whole of it
        except _errors() as error:
            _log.debug("no sound server: %s", error)
            yield None
        else:
            yield server
    finally:
        server.close()


def _errors() -> tuple[type[Exception], ...]:
    return (pulsectl.PulseError, pulsectl.PulseDisconnected) if pulsectl is not None else ()
