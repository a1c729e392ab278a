"""A recogniser elsewhere, and the local model that takes over while it is away, slow or broken."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from omniid.errors import RecognitionError
from omniid.recognition.recognizer import NOTHING, Recognition, Recognizer, Wishes

_log = logging.getLogger(__name__)

AWAY_S = 30.0  # who failed is left alone for so long: a take should not wait for it each time


class RemoteWithFallback:
    """Asks the remote recogniser; where that fails, the local one, which is loaded when it is first needed.

    `connect` gives the remote one, `load_local` the local one; both raise RecognitionError. `on_note` hears a
    sentence when the local one takes over, and None when the remote one is back; it is called on the thread
    that recognises, or constructs. `clock`: seconds that only go forward. One thread at a time.

    Raises:
        RecognitionError: neither can be had; the message names both reasons, the code is the local one's.
    """

    def __init__(
        self,
        connect: Callable[[], Recognizer],
        load_local: Callable[[], Recognizer],
        on_note: Callable[[str | None], None] = lambda _note: None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        began = clock()
        self._connect = connect
        self._load_local = load_local
        self._on_note = on_note
        self._clock = clock
        self._remote: Recognizer | None = None
        self._local: Recognizer | None = None
        self._note: str | None = None
        self._ask_again_at = began
        try:
            self._remote = connect()
        except RecognitionError as error:
            self._fall_back(error)
        self.load_s = clock() - began

    @property
    def model_name(self) -> str:
        return self._current.model_name

    @property
    def device(self) -> str:
        return self._current.device

    @property
    def compute_type(self) -> str:
        return self._current.compute_type

    @property
    def note(self) -> str | None:
        """Why the local model is at work; else what the remote one has to say."""
        return self._note or self._current.note

    @property
    def may_draft(self) -> bool:
        """While the local one is at work, as it may; a draft never goes elsewhere."""
        return self._note is not None and self._current.may_draft

    def recognise(self, pcm: bytes, wishes: Wishes, is_cancelled: Callable[[], bool]) -> Recognition:
        if wishes.is_draft:
            return NOTHING if self._local is None else self._local.recognise(pcm, wishes, is_cancelled)
        local = self._local
        if local is None or self._clock() >= self._ask_again_at:
            try:
                said = self._ask_remote(pcm, wishes, is_cancelled)
            except RecognitionError as error:
                if is_cancelled():
                    return NOTHING
                local = self._fall_back(error)
            else:
                if not is_cancelled():
                    self._is_back()
                return said
        return local.recognise(pcm, wishes, is_cancelled)

    @property
    def _current(self) -> Recognizer:
        """The one that answered last, or is to answer first."""
        current = self._local if self._note is not None else self._remote
        if current is None:
            raise RecognitionError("No recogniser is at work.")
        return current

    def _ask_remote(self, pcm: bytes, wishes: Wishes, is_cancelled: Callable[[], bool]) -> Recognition:
        if self._remote is None:
            self._remote = self._connect()
        return self._remote.recognise(pcm, wishes, is_cancelled)

    def _fall_back(self, error: RecognitionError) -> Recognizer:
        """The local one; it stays loaded, for who was away once may be away again."""
        if self._note is None:
            _log.warning("the local model takes over: %s", error.message)
        local = self._local = self._local or self._loaded(error)
        self._ask_again_at = self._clock() + AWAY_S
        self._tell(f"The local model {local.model_name} recognises meanwhile. {error.message}")
        return local

    def _loaded(self, away: RecognitionError) -> Recognizer:
        try:
            return self._load_local()
        except RecognitionError as error:
            message = f"{away.message} And no local model can take over: {error.message}"
            raise RecognitionError(message, code=error.code) from error

    def _is_back(self) -> None:
        if self._note is not None:
            _log.info("the recogniser is back")
        self._tell(None)

    def _tell(self, note: str | None) -> None:
        if note != self._note:
            self._note = note
            self._on_note(note)
