"""Where the time went: a command's stages, from the key going down to the first sound. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping

from omniid.events import (
    CommandProgressed,
    CommandQueued,
    CommandSettled,
    CommandWritten,
    Event,
    KeyPressed,
    KeyReleased,
    KeyToggled,
    Manner,
    SpeechQueued,
)
from omniid.workers.channel import (
    CaptureEnded,
    CaptureOpened,
    SpeechFailed,
    SpeechFinished,
    SpeechStarted,
    TakeRecognised,
)

STAGES = (
    "pressed",
    "first_sample",
    "released",
    "recognised",
    "committed",
    "written",
    "first_frame",
    "settled",
    "first_sound",
)
_KEPT = 200


class Timelines:
    """The stages of the latest runs. A run starts as a take or as a typed command.

    `on_stage` is told of each stage when a run first reaches it, with all of the run's marks so far
    (monotonic seconds by stage), which it must not keep.
    """

    def __init__(self, on_stage: Callable[[str, Mapping[str, float]], None] | None = None) -> None:
        self._on_stage = on_stage
        self._runs: OrderedDict[str, dict[str, float]] = OrderedDict()
        self._held: dict[str, str] = {}  # the run that each owner's key holds
        self._spoken_for: dict[str, str] = {}  # the command of each utterance under way

    def observe(self, event: Event, now: float) -> None:
        """Note the stage an event marks; `now` and the children's readings are monotonic seconds."""
        match event:
            case KeyPressed(take_id=run, owner=owner, manner=Manner(mode="hold")):
                self._mark(run, "pressed", now)
                self._held.setdefault(owner, run)
            case KeyPressed(take_id=run) | KeyToggled(take_id=run):
                self._mark(run, "pressed", now)
            case KeyReleased(owner=owner) if owner in self._held:
                self._mark(self._held.pop(owner), "released", now)
            case CaptureOpened(take_id=run, first_sample_at=at):
                self._mark(run, "first_sample", at)
            case CaptureEnded(take_id=run, ended_at=at):
                self._mark(run, "released", at)
            case TakeRecognised(take_id=run):
                self._mark(run, "recognised", now)
            case CommandQueued(command_id=run, take_id=take_id):
                if take_id is not None:
                    self._runs[run] = self._runs.pop(take_id, {})
                self._mark(run, "committed", now)
            case CommandWritten(command_id=run):
                self._mark(run, "written", now)
            case CommandProgressed(command_id=run):
                self._mark(run, "first_frame", now)
            case CommandSettled(command_id=run):
                self._mark(run, "first_frame", now)
                self._mark(run, "settled", now)
            case SpeechQueued(utterance_id=utterance_id, command_id=str(run)):
                self._spoken_for[utterance_id] = run
            case SpeechStarted(utterance_id=utterance_id, first_sound_at=at) if (
                utterance_id in self._spoken_for
            ):
                self._mark(self._spoken_for[utterance_id], "first_sound", at)
            case SpeechFinished(utterance_id=utterance_id) | SpeechFailed(utterance_id=utterance_id):
                self._spoken_for.pop(utterance_id, None)
            case _:
                pass

    def of(self, command_id: str) -> dict[str, int]:
        """Milliseconds from the run's beginning to each stage it has reached, in order."""
        marks = self._runs.get(command_id, {})
        start = min(marks.values(), default=0.0)
        return {stage: round((marks[stage] - start) * 1000) for stage in STAGES if stage in marks}

    def _mark(self, run: str, stage: str, at: float) -> None:
        # The first mark counts: a command sent again keeps its first attempt's times.
        marks = self._runs.setdefault(run, {})
        if stage not in marks:
            marks[stage] = at
            if self._on_stage is not None:
                self._on_stage(stage, marks)
        while len(self._runs) > _KEPT:
            self._runs.popitem(last=False)
