"""Plays cues on a thread of its own: nobody waits for one, and a speaker that hangs costs only the cue."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable

from omniid.audio import cues
from omniid.audio.player import BLOCK_S, SoundCardPlayer
from omniid.errors import AudioError

_log = logging.getLogger(__name__)

MOST_WAITING = 3
STALE_S = 1.0  # a cue that comes late says nothing true any more
_BLOCK_BYTES = 2 * round(cues.RATE * BLOCK_S)
_NEVER = threading.Event()


class CuePlayer:
    """`on_hang` is called once, when the speaker hangs; there are no cues from then on."""

    def __init__(self, on_hang: Callable[[], None]) -> None:
        self._on_hang = on_hang
        self._waiting: queue.Queue[tuple[str, str | None, float]] = queue.Queue(MOST_WAITING)
        self._device: str | None = None
        self._player = SoundCardPlayer(None)
        self._told_failure = False
        self._thread: threading.Thread | None = None

    def play(self, cue: str, device: str | None) -> None:
        """Sound it on that speaker. Returns at once; a cue that there is no room for is dropped."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="cues", daemon=True)
            self._thread.start()
        try:
            self._waiting.put_nowait((cue, device, time.monotonic()))
        except queue.Full:
            _log.debug("too many cues, dropping %s", cue)

    def _run(self) -> None:
        while True:
            cue, device, asked_at = self._waiting.get()
            if time.monotonic() - asked_at > STALE_S:
                continue
            if device != self._device:
                self._device, self._player = device, SoundCardPlayer(device)
            try:
                self._sound(cues.samples(cue))
            except KeyError:
                _log.warning("there is no cue %r", cue)
            except AudioError as error:
                if error.code == "speaker_hung":
                    _log.warning("no cues any more: %s", error)
                    self._on_hang()
                    return
                self._note_failure(error)

    def _sound(self, pcm: bytes) -> None:
        self._player.open(cues.RATE)
        try:
            for start in range(0, len(pcm), _BLOCK_BYTES):
                self._player.write(pcm[start : start + _BLOCK_BYTES].ljust(_BLOCK_BYTES, b"\0"), _NEVER)
            self._player.finish(_NEVER)
        except AudioError as error:
            if error.code != "speaker_hung":
                self._player.abort()
            raise

    def _note_failure(self, error: AudioError) -> None:
        """Many machines have no speaker, and that is no news for each take."""
        if not self._told_failure:
            self._told_failure = True
            _log.debug("cues cannot be heard: %s", error)
