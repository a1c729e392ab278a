"""Where a voice is heard: the speaker the user chose, or the spare one while that is away.

Each utterance asks for the chosen one first, so it is used again as soon as it is back.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from omniid.errors import AudioError

REOPEN_AFTER_S = (0.1, 0.4, 1.0)
_AWAY = {"no_such_speaker", "no_speaker", "speaker_lost"}


class Output(Protocol):
    """What a speaker needs of a player; see omniid.audio.player."""

    def prepare(self) -> None: ...
    def open(self, rate: int) -> str: ...
    def write(self, block: bytes, stop: threading.Event) -> None: ...
    def finish(self, stop: threading.Event) -> None: ...
    def abort(self) -> None: ...
    def strayed(self) -> AudioError | None: ...


class Outlet:
    """An output with a spare one. Called from one thread; all calls raise AudioError as a player's do.

    `tell` hears why the spare one is used, once, and None when the chosen one is used again.
    """

    def __init__(
        self, chosen: Output, spare: Output | None, tell: Callable[[AudioError | None], None]
    ) -> None:
        self._chosen = self._in_use = chosen
        self._spare = spare
        self._tell = tell
        self._rate = 0
        self._has_told = False

    def prepare(self) -> None:
        self._chosen.prepare()

    def open(self, rate: int) -> str:
        """Ready for `rate` samples a second; returns the name of what is open."""
        self._rate, self._in_use = rate, self._chosen
        try:
            name = self._chosen.open(rate)
        except AudioError as error:
            return self._open_spare(error)
        self._note(None)
        return name

    def write(self, block: bytes, stop: threading.Event) -> None:
        """One that was unplugged, or whose sound server restarts, is looked for anew for a moment."""
        try:
            self._in_use.write(block, stop)
        except AudioError as error:
            if error.code != "speaker_lost":
                raise
            self._open_anew(stop, error)
            if not stop.is_set():
                self._in_use.write(block, stop)

    def look(self) -> None:
        """Tell of it where the sound server has taken the sound elsewhere by itself."""
        strayed = self._in_use.strayed()
        if strayed is not None:
            self._note(strayed)

    def finish(self, stop: threading.Event) -> None:
        self._in_use.finish(stop)

    def abort(self) -> None:
        self._in_use.abort()

    def silence(self) -> AudioError | None:
        """Close after a failure; what fails here is returned only if it is the graver."""
        try:
            self._in_use.abort()
        except AudioError as error:
            return error if error.code == "speaker_hung" else None
        return None

    def _open_anew(self, stop: threading.Event, lost: AudioError) -> None:
        hung = self.silence()
        if hung is not None:
            raise hung
        for wait_s in REOPEN_AFTER_S:
            if stop.wait(wait_s):
                return
            try:
                self._in_use.open(self._rate)
            except AudioError as error:
                if error.code == "speaker_hung":
                    raise
            else:
                return
        self._open_spare(lost)

    def _open_spare(self, error: AudioError) -> str:
        """If that fails too, its error is what is told: it is what keeps anything from being heard."""
        if self._spare is None or self._in_use is self._spare or error.code not in _AWAY:
            raise error
        try:
            name = self._spare.open(self._rate)
        except AudioError as second:
            raise second from error
        self._in_use = self._spare
        self._note(error)
        return name

    def _note(self, error: AudioError | None) -> None:
        if (error is not None) != self._has_told:
            self._has_told = error is not None
            self._tell(error)
