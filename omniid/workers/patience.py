"""How long the daemon waits for its ear before it takes it for hung. Pure.

Deadlines are short where the ear only has to answer, and learn from earlier takes where it has to think: a
hang costs the user seconds, and a large model on a slow machine is no hang.
"""

from __future__ import annotations

BEGUN_S = 2.0
STARTED_S = 15.0  # a fresh process on a busy machine has to load the sound library first
OPENED_S = 5.0  # a Bluetooth headset needs two seconds; the ear itself gives up after three
CLOSED_S = 2.5
LOADED_S = 60.0
SHORTEST_S = 3.0
REMOTE_S = 6.0
UNKNOWN_PACE = 3.0  # seconds for each second of sound, before anything is known
MARGIN = 8.0


class EarPatience:
    """Seconds for each step of a take. `remote`: the recogniser is elsewhere, and may be away."""

    def __init__(self, *, remote: bool = False) -> None:
        self._remote = remote
        self._pace: float | None = None
        self._has_model = False

    def to_begin(self, *, ready: bool) -> float:
        """From the key to the ear's word that it is opening the microphone."""
        return BEGUN_S if ready else STARTED_S

    def to_open(self) -> float:
        """From there to the first sound."""
        return OPENED_S

    def to_close(self) -> float:
        """From the release to the microphone's end."""
        return CLOSED_S

    def to_recognise(self, duration_s: float) -> float:
        """From the end of a sound of that length to its words."""
        pace = UNKNOWN_PACE if self._pace is None else self._pace * MARGIN
        is_known = self._has_model and self._pace is not None
        if (
            self._remote
        ):  # it is asked first; then the local model is loaded, and may be of quite another pace
            return REMOTE_S + duration_s + LOADED_S + SHORTEST_S + max(pace, UNKNOWN_PACE) * duration_s
        return (0.0 if is_known else LOADED_S) + SHORTEST_S + pace * duration_s

    def learn(self, duration_s: float, recognition_s: float) -> None:
        """A take of that length took so long; the slowest of them counts, and is forgotten slowly."""
        pace = recognition_s / max(duration_s, 1.0)
        self._pace = pace if self._pace is None else max(pace, 0.9 * self._pace + 0.1 * pace)

    def model_is_ready(self) -> None:
        self._has_model = True

    def model_is_gone(self) -> None:
        """A fresh ear has none."""
        self._has_model = False
