"""How long to wait before dialling again: full jitter, and a reset that a link has to earn."""

from __future__ import annotations

from collections.abc import Callable

_MAX_DOUBLINGS = 31
PROVEN_AFTER_S = 30.0


class Backoff:
    """Delays between attempts in seconds: uniform between 0 and `initial`, doubling to `maximum`.

    A handshake proves nothing: a server that accepts and closes at once would be dialled in a hot loop. So
    the delay starts over only once a link has lived for `PROVEN_AFTER_S` and has brought a frame.
    """

    def __init__(self, initial_s: float, maximum_s: float, draw: Callable[[], float]) -> None:
        self._initial_s = initial_s
        self._maximum_s = maximum_s
        self._draw = draw
        self._failures = 0

    def next_delay(self) -> float:
        ceiling = min(self._maximum_s, self._initial_s * 2.0 ** min(self._failures, _MAX_DOUBLINGS))
        self._failures += 1
        return float(ceiling * self._draw())

    def link_ended(self, *, alive_s: float, frames_received: int) -> None:
        if alive_s >= PROVEN_AFTER_S and frames_received > 0:
            self._failures = 0
