"""Which source of a sound server this process hears, and whether it still is the right one.

When a device is pulled, a server moves the stream to whatever is left, omniid's own voice among it. So the
source is looked at while we listen. The calls here can hang with the server, as in `sound_server`.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from omniid.audio import sound_server

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class SoundSource:
    """`name` is the server's own, `description` is for people."""

    name: str
    description: str


def sources() -> list[SoundSource]:
    """What the sound server offers to listen to; empty where there is none."""
    with sound_server.connected() as server:
        if server is None:
            return []
        try:
            listed = server.source_list()
        except sound_server.errors() as error:
            _log.debug("the sound server did not list its sources: %s", error)
            return []
        return [SoundSource(str(source.name), str(source.description)) for source in listed]


def choose(wanted: str, known: Sequence[SoundSource]) -> bool:
    """Make the next stream listen to the source of that name or description; False when there is none."""
    for source in known:
        if wanted in {source.name, source.description}:
            sound_server.use(sound_server.PULSE_SOURCE, source.name)
            return True
    return False


def choose_default() -> None:
    """Make the next stream listen to what the server has as its default."""
    sound_server.use(sound_server.PULSE_SOURCE, None)


class Route:
    """The source that this process listens to, from the moment its stream has started. A context manager.

    `source`: its description, None where no server says it. `muted`: by the server, as it was last looked at.
    `hears_only_itself`: nobody chose it, and it is the speaker's own sound: what a server falls back to.
    `strayed`: the stream is no longer where it began, and nobody wanted that. `outdated`: the server has a
    new default, and our stream did not follow.
    """

    def __init__(self) -> None:
        self.source: str | None = None
        self.muted = False
        self.hears_only_itself = False
        self.strayed = False
        self.outdated = False
        self._is_chosen = sound_server.is_chosen(sound_server.PULSE_SOURCE)
        self._name: str | None = None
        self._default: str | None = None
        self._stack = contextlib.ExitStack()
        self._server: Any = None

    def __enter__(self) -> Self:
        self._server = self._stack.enter_context(sound_server.connected())
        self._ask(self._find)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def look(self) -> None:
        """See where the stream is now."""
        if self._name is not None and not self.strayed:
            self._ask(self._look)

    def _ask(self, question: Any) -> None:
        if self._server is None:
            return
        try:
            question()
        except sound_server.errors() as error:
            _log.debug("the sound server does not answer any more, missing blocks will tell: %s", error)
            self._server = None

    def _find(self) -> None:
        source, defaults = self._ours(), self._server.server_info()
        self._default = str(defaults.default_source_name)
        if source is not None:
            self._name = str(source.name)
            self._take_in(source)
        heard = source or self._source(self._default)
        self.hears_only_itself = not self._is_chosen and heard is not None and _is_own_voice(heard, defaults)

    def _look(self) -> None:
        source, defaults = self._ours(), self._server.server_info()
        if all(each.name != self._name for each in self._server.source_list()):
            self.strayed = True
        elif source is not None and source.name != self._name:
            self.strayed = not self._is_chosen and _is_own_voice(source, defaults)
            self._name = str(source.name)
        if source is not None:
            self._take_in(source)
        if not self._is_chosen and defaults.default_source_name != self._default:
            self._default = str(defaults.default_source_name)
            self.outdated = source is not None and source.name != self._default

    def _take_in(self, source: Any) -> None:
        self.source, self.muted = str(source.description), bool(source.mute)

    def _ours(self) -> Any:
        """The source our newest stream is on; None when the server does not say."""
        me = str(os.getpid())
        mine = [
            output
            for output in self._server.source_output_list()
            if output.proplist.get("application.process.id") == me
        ]
        if not mine:
            return None
        wanted = max(mine, key=lambda output: output.index).source
        return next((source for source in self._server.source_list() if source.index == wanted), None)

    def _source(self, name: str) -> Any:
        return next((source for source in self._server.source_list() if source.name == name), None)


def _is_own_voice(source: Any, defaults: Any) -> bool:
    speaker = source.monitor_of_sink_name
    return speaker is not None and speaker == defaults.default_sink_name
