"""How long the daemon waits for its ear before it takes it for hung. Pure.

Deadlines are short where the ear only has to answer, and learn from earlier takes where it has to think: a
hang costs the user seconds, and a large model on a slow machine is no hang.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from omniid.workers.channel import (
    CancelTake,
    CaptureEnded,
    CaptureOpened,
    Message,
    ModelReady,
    StartTake,
    StopTake,
    TakeBegun,
    TakeEmpty,
    TakeFailed,
    TakeRecognised,
    ToEar,
    TranscribeFile,
)

BEGUN_S = 2.0
STARTED_S = 15.0  # a fresh process on a busy machine has to load the sound library first
OPENED_S = 5.0  # a Bluetooth headset needs two seconds; the ear itself gives up after less than three
CLOSED_S = 2.5
LOADED_S = 60.0
SHORTEST_S = 3.0
REMOTE_S = 6.0
UNKNOWN_PACE = 3.0  # seconds for each second of sound, before anything is known
QUICKEST_PACE = 0.5  # ... and at the least: one doubtful take costs much more than those before it
MARGIN = 8.0
BYTES_PER_S = 32_000  # 16 kHz mono int16, as takes are kept


@dataclass(slots=True)
class Pace:
    """How quickly takes of one model are recognised."""

    worst: float | None = None
    is_loaded: bool = False

    def to_recognise(self, duration_s: float) -> float:
        """From the end of a sound of that length to its words."""
        if self.worst is None or not self.is_loaded:
            return LOADED_S + SHORTEST_S + UNKNOWN_PACE * duration_s
        return SHORTEST_S + max(QUICKEST_PACE, self.worst * MARGIN) * duration_s

    def learn(self, duration_s: float, recognition_s: float) -> None:
        """A take of that length took so long; the slowest of them counts, and is forgotten slowly."""
        pace = recognition_s / max(duration_s, 1.0)
        self.worst = pace if self.worst is None else max(pace, 0.9 * self.worst + 0.1 * pace)


@dataclass(frozen=True, slots=True)
class Deadline:
    """The ear has so many seconds for its next word about a take; None: it owes none."""

    take_id: str
    seconds: float | None


@dataclass(slots=True)
class _Open:
    model: str | None  # what the take wished for
    is_starting: bool = False  # by an ear that was not ready when it was told
    is_ending: bool = False  # it was told to close the microphone
    has_ended: bool = False


@dataclass
class EarDeadlines:
    """What is owed for each take. `longest_s`: a capture of that length ends by itself.

    `size_of` gives a sound file's bytes. `remote`: the recogniser is elsewhere and may be away; then a local
    model has to be loaded.
    """

    longest_s: float
    size_of: Callable[[str], int]
    remote: bool = False
    _takes: dict[str, _Open] = field(default_factory=dict)
    _paces: dict[str | None, Pace] = field(default_factory=dict)

    def on_told(self, message: ToEar, *, ready: bool) -> Deadline | None:
        """What follows from something the ear is told. `ready`: it is there already."""
        match message:
            case StartTake(take_id=take_id, model=model):
                self._takes[take_id] = _Open(model, is_starting=not ready)
                return Deadline(take_id, BEGUN_S if ready else STARTED_S)
            case StopTake(take_id=take_id) | CancelTake(take_id=take_id) if take_id in self._takes:
                take = self._takes[take_id]
                if take.has_ended:
                    return None
                take.is_ending = True
                return Deadline(take_id, CLOSED_S + (STARTED_S if take.is_starting else 0.0))
            case TranscribeFile(take_id=take_id, path=path, model=model):
                self._takes[take_id] = _Open(model, has_ended=True)
                started = 0.0 if ready else STARTED_S
                return Deadline(
                    take_id, started + self._to_recognise(model, self.size_of(path) / BYTES_PER_S)
                )
            case _:
                return None

    def on_heard(self, report: Message) -> Deadline | None:
        """What follows from something the ear says."""
        match report:
            case TakeBegun(take_id=take_id) if take_id in self._takes:
                take = self._takes[take_id]
                take.is_starting = False
                return Deadline(take_id, CLOSED_S if take.is_ending else OPENED_S)
            case CaptureOpened(take_id=take_id) if take_id in self._takes:
                is_ending = self._takes[take_id].is_ending  # its deadline runs already
                return None if is_ending else Deadline(take_id, self.longest_s + CLOSED_S)
            case CaptureEnded(take_id=take_id, duration_s=duration_s) if take_id in self._takes:
                self._takes[take_id].has_ended = True
                return Deadline(take_id, self._to_recognise(self._takes[take_id].model, duration_s))
            case TakeRecognised() | TakeEmpty() | TakeFailed():
                if (
                    isinstance(report, TakeRecognised)
                    and not report.speculated
                    and report.take_id in self._takes
                ):
                    model = self._takes[report.take_id].model
                    self._pace(model).learn(report.duration_s, report.recognition_s)
                self._takes.pop(report.take_id, None)
                return Deadline(report.take_id, None)
            case ModelReady():
                for model in {take.model for take in self._takes.values()} or {None}:
                    self._pace(model).is_loaded = True
                return None
            case _:
                return None

    def on_lost(self) -> None:
        """A fresh ear has no model, and owes nothing."""
        self._takes.clear()
        for pace in self._paces.values():
            pace.is_loaded = False

    def _pace(self, model: str | None) -> Pace:
        return self._paces.setdefault(model, Pace())

    def _to_recognise(self, model: str | None, duration_s: float) -> float:
        """Also what was asked before has to be recognised first."""
        seconds = self._pace(model).to_recognise(duration_s) * max(1, len(self._takes))
        return seconds + REMOTE_S + LOADED_S + (1 + UNKNOWN_PACE) * duration_s if self.remote else seconds
