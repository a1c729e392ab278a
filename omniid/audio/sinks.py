"""Which speakers a sound server offers. The calls here can hang with the server, as in `sound_server`."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from omniid.audio import sound_server

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Sink:
    """`name` is the server's own, `description` is for people."""

    name: str
    description: str


def sinks() -> list[Sink]:
    """The speakers of the server; empty where no server answers."""
    with sound_server.connected() as server:
        if server is None:
            return []
        try:
            return [Sink(str(sink.name), str(sink.description)) for sink in server.sink_list()]
        except sound_server.errors() as error:
            _log.debug("the sound server did not list its speakers: %s", error)
            return []


def use_sink(name: str | None) -> None:
    """Streams that this process opens from now on go to that speaker; None: to the server's default."""
    sound_server.use(sound_server.PULSE_SINK, name)
