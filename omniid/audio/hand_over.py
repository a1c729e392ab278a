"""Blocks on their way from PortAudio's thread to whoever listens.

While nobody listens only the last few are kept: the sound before the key.
"""

from __future__ import annotations

import threading
import time
from collections import deque

from omniid.audio.frames import BLOCK_S, Block
from omniid.errors import AudioError

# Ten seconds of blocks: a listener is only ever that late when the machine is in deep trouble.
MOST_BLOCKS = 500


class HandOver:
    """`overflows` counts lost sound, PortAudio's own losses and ours."""

    def __init__(self, keep_s: float) -> None:
        self.overflows = 0
        self.last_put_at: float | None = None
        self._keep_s = keep_s
        self._blocks: deque[Block] = deque()
        self._error: AudioError | None = None
        self._listening = False
        self._is_open = False
        self._changed = threading.Condition()

    @property
    def error(self) -> AudioError | None:
        return self._error

    def put(self, block: Block) -> None:
        """Never waits for long: it is called on PortAudio's thread."""
        with self._changed:
            self.last_put_at = time.monotonic()
            if len(self._blocks) >= MOST_BLOCKS:
                self.overflows += 1
                return
            self._blocks.append(block)
            if not self._listening:
                self._drop_older_than(block.first_sample_at - self._keep_s)
            elif self._is_open:
                self._changed.notify()

    def allow(self) -> None:
        """The blocks are from a source that may be heard; until then `get` gives none."""
        with self._changed:
            self._is_open = True
            self._changed.notify_all()

    def fail(self, error: AudioError) -> None:
        """There will be no more blocks."""
        with self._changed:
            self._error = error
            self._changed.notify_all()

    def get(self, timeout_s: float) -> Block | None:
        """The next block, or None when none came in time.

        Raises:
            AudioError: there will never be one.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._error or (self._is_open and self._blocks), timeout_s)
            if self._is_open and self._blocks:
                return self._blocks.popleft()
            if self._error is not None:
                raise self._error
            return None

    def listen(self, now: float) -> None:
        """From now on every block counts, and those of the last `keep_s` before."""
        with self._changed:
            self._listening = True
            self._drop_older_than(now - self._keep_s)

    def rest(self) -> None:
        """Nobody listens any more. What was heard until now is forgotten: it belonged to a take."""
        with self._changed:
            self._listening = False
            self._blocks.clear()

    def _drop_older_than(self, moment: float) -> None:
        while self._blocks and self._blocks[0].first_sample_at + BLOCK_S <= moment:
            self._blocks.popleft()
