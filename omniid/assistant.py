"""The policy, pure: an event and the time go in, effects come out.

The assistant is the one owner of the state people see: what the microphone, the voice, the link and the line
are doing. It reads no clock, opens nothing and waits for nothing: every rule below can be tested as a table.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from omniid.effects import (
    CancelCapture,
    Effect,
    Enqueue,
    ProbeStorage,
    RecordWhatFailed,
    ReplaceEar,
    Speak,
    StartCapture,
    StopCapture,
    StopSpeech,
)
from omniid.events import (
    ClockTicked,
    CommandRefused,
    Event,
    HushRequested,
    KeyPressed,
    KeyReleased,
    KeyToggled,
    SpeechRequested,
    StorageFailed,
    StorageWorks,
    TakeCancelRequested,
    WorkerFailed,
    WorkerStood,
)
from omniid.line import Kind, Line, LineSettings, LinkState, Question
from omniid.workers.channel import (
    CaptureEnded,
    CaptureOpened,
    SpeechFailed,
    SpeechFinished,
    SpeechStarted,
    TakeEmpty,
    TakeFailed,
    TakeRecognised,
)

Capture = Literal["idle", "opening", "listening", "closing"]
SpeakWhen = Literal["always", "voice", "never"]

_NOT_THE_MICROPHONES = frozenset(
    {"model_missing", "model_unusable", "recognition_failed", "failed", "busy", "worker_not_ready"}
)
_MOST_HELD = 5


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What omniid is doing. `headline` is one word for it, derived from the rest."""

    headline: str
    capture: Capture
    take_id: str | None
    recognising: int
    speaking: bool
    link: LinkState
    link_reason: str | None
    in_flight: tuple[str, ...]
    window: int
    problems: dict[str, str]


@dataclass(slots=True)
class _State:
    capture: Capture = "idle"
    take_id: str | None = None
    owner: str | None = None
    closing: bool = False  # the key is up, and the ear is about to say that the microphone is closed
    pressed_again: KeyPressed | KeyToggled | None = None  # meanwhile
    recognising: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)  # words of these may still be on their way
    ear_used_at: float | None = None  # None while no model is loaded
    speaking: bool = False
    utterances: int = 0  # handed to the voice and not yet over
    held: deque[Speak] = field(default_factory=lambda: deque(maxlen=_MOST_HELD))  # to be said after the take
    problems: dict[str, str] = field(default_factory=dict)


class Assistant:
    """Turns events into effects; see the module's words."""

    def __init__(self, speak_when: SpeakWhen, idle_unload_s: float, line: LineSettings | None = None) -> None:
        self._speak_when = speak_when
        self._idle_unload_s = idle_unload_s
        self._state = _State()
        self._line = Line(line or LineSettings(), self._tell)

    @property
    def questions(self) -> Mapping[str, Question]:
        """What the server has asked and the user has not answered, by its id."""
        return self._line.questions

    def snapshot(self) -> Snapshot:
        state = self._state
        return Snapshot(
            headline=_headline(state, self._line),
            capture="closing" if state.closing else state.capture,
            take_id=state.take_id,
            recognising=len(state.recognising),
            speaking=state.speaking,
            link=self._line.link,
            link_reason=self._line.reason,
            in_flight=tuple(self._line.in_flight),
            window=self._line.window,
            problems=dict(state.problems),
        )

    def handle(self, event: Event, now: float) -> list[Effect]:
        """What to do about an event; `now` is in monotonic seconds."""
        match event:
            case KeyPressed() | KeyReleased() | KeyToggled() | TakeCancelRequested():
                return self._on_key(event)
            case (
                CaptureOpened()
                | CaptureEnded()
                | TakeRecognised()
                | TakeEmpty()
                | TakeFailed()
                | CommandRefused()
            ):
                self._state.ear_used_at = now
                return self._on_take(event)
            case SpeechRequested() | HushRequested() | SpeechStarted() | SpeechFinished() | SpeechFailed():
                return self._on_speech(event)
            case ClockTicked():
                return self._on_tick(now)
            case WorkerFailed() | WorkerStood() | StorageFailed() | StorageWorks():
                return self._on_house(event)
            case _:
                return self._line.handle(event, now)

    # --- the key and the take ----------------------------------------------------------------------------

    def _on_key(self, event: KeyPressed | KeyReleased | KeyToggled | TakeCancelRequested) -> list[Effect]:
        state = self._state
        listening = state.capture != "idle"
        match event:
            case KeyPressed() | KeyToggled() if not listening:
                return [*self._barge_in(), *self._open(event)]
            case KeyPressed() | KeyToggled() if state.closing:
                state.pressed_again = event
            case KeyReleased(owner=owner) if state.closing:
                if state.pressed_again is not None and state.pressed_again.owner == owner:
                    state.pressed_again = None  # a tap in no time: nothing can have been said
            case KeyReleased(owner=owner) if owner != state.owner:
                pass  # another key's release must not cut this take short
            case KeyReleased() | KeyToggled() if state.take_id:
                state.closing = True
                return [StopCapture(state.take_id)]
            case TakeCancelRequested():
                state.pressed_again = None
                state.closing = state.take_id is not None
                takes = {state.take_id} if state.take_id else state.recognising
                unwanted = sorted(takes - state.cancelled)
                state.cancelled |= takes
                return [CancelCapture(take_id) for take_id in unwanted]
            case _:
                pass  # the same edge twice: verbs are idempotent
        return []

    def _open(self, event: KeyPressed | KeyToggled) -> list[Effect]:
        state = self._state
        state.capture, state.take_id, state.owner = "opening", event.take_id, event.owner
        return [StartCapture(event.take_id)]

    def _barge_in(self) -> list[Effect]:
        """Silence also what is handed to the voice and has no sound yet."""
        silent = not self._state.speaking and not self._state.utterances
        self._state.utterances = 0
        return [] if silent else [StopSpeech()]

    def _on_take(
        self,
        event: CaptureOpened | CaptureEnded | TakeRecognised | TakeEmpty | TakeFailed | CommandRefused,
    ) -> list[Effect]:
        match event:
            case CaptureOpened(take_id=take_id):
                if take_id == self._state.take_id:
                    self._state.capture = "listening"
                self._state.problems.pop("microphone", None)
                return []
            case CaptureEnded(take_id=take_id):
                self._state.recognising.add(take_id)
                return self._capture_over(take_id)
            case TakeRecognised(take_id=take_id, text=text):
                unwanted = take_id in self._state.cancelled
                over = self._take_over(take_id)
                return over if unwanted else [*over, Enqueue(take_id, text, _recognition_metadata(event))]
            case TakeFailed(take_id=take_id, code=code, message=message):
                again = self._take_over(take_id)
                self._state.problems["recognition" if code in _NOT_THE_MICROPHONES else "microphone"] = (
                    message
                )
                return [*again, *self._tell(message, "voice")]
            case CommandRefused(message=message):
                return self._tell(message, "voice")
            case _:
                return self._take_over(event.take_id)

    def _capture_over(self, take_id: str) -> list[Effect]:
        """The microphone is free; a key that went down again meanwhile has it now."""
        if take_id != self._state.take_id:
            return []
        again = self._state.pressed_again
        self._forget_capture()
        return self._speak_held() if again is None else self._open(again)

    def _forget_capture(self) -> None:
        state = self._state
        state.capture, state.take_id, state.owner = "idle", None, None
        state.closing, state.pressed_again = False, None

    def _take_over(self, take_id: str) -> list[Effect]:
        self._state.recognising.discard(take_id)
        self._state.cancelled.discard(take_id)
        self._state.problems.pop("recognition", None)
        return self._capture_over(take_id)

    # --- the voice ---------------------------------------------------------------------------------------

    def _tell(self, text: str, kind: Kind, command_id: str | None = None) -> list[Effect]:
        wanted = self._speak_when == "always" or (self._speak_when == "voice" and kind == "voice")
        if not wanted:
            return []
        self._state.held.append(Speak(text, command_id))
        return self._speak_held()

    def _speak_held(self) -> list[Effect]:
        """What there is to say, unless the user talks: omniid would hear itself, so it waits."""
        if self._state.capture != "idle":
            return []
        words: list[Effect] = list(self._state.held)
        self._state.held.clear()
        self._state.utterances += len(words)
        return words

    def _on_speech(
        self, event: SpeechRequested | HushRequested | SpeechStarted | SpeechFinished | SpeechFailed
    ) -> list[Effect]:
        match event:
            case SpeechRequested(utterance_id=utterance_id, text=text):
                self._state.utterances += 1
                return [Speak(text, utterance_id=utterance_id)]
            case HushRequested():
                self._state.utterances = 0
                return [StopSpeech()]
            case SpeechStarted():
                self._state.speaking = True
                self._state.problems.pop("speaker", None)
            case SpeechFinished(cause="stopped"):
                self._state.speaking = False
            case SpeechFinished():
                self._state.speaking = False
                self._utterance_over()
            case SpeechFailed(message=message):
                self._state.speaking = False
                self._utterance_over()
                self._state.problems["speaker"] = message
        return []

    def _utterance_over(self) -> None:
        self._state.utterances = max(0, self._state.utterances - 1)

    # --- the house ---------------------------------------------------------------------------------------

    def _on_house(self, event: WorkerFailed | WorkerStood | StorageFailed | StorageWorks) -> list[Effect]:
        state = self._state
        match event:
            case WorkerFailed(worker="ear", message=message):
                state.problems["ear"] = message
                lost = bool(state.recognising) or state.capture != "idle"
                self._forget_capture()
                state.recognising.clear()
                state.cancelled.clear()
                return self._tell("I lost what you said. Please say it again.", "voice") if lost else []
            case WorkerFailed(worker=worker, message=message):
                state.problems[worker] = message
                if worker == "mouth":
                    state.speaking, state.utterances = False, 0
                return []
            case WorkerStood(worker=worker):
                state.problems.pop(worker, None)
                return []
            case StorageFailed(message=message):
                state.problems["storage"] = message
                return []
            case StorageWorks():
                state.problems.pop("storage", None)
                return [RecordWhatFailed()]

    def _on_tick(self, now: float) -> list[Effect]:
        state = self._state
        idle = state.capture == "idle" and not state.recognising
        unload = idle and state.ear_used_at is not None and now - state.ear_used_at >= self._idle_unload_s
        if unload:
            state.ear_used_at = None
        probe: list[Effect] = [ProbeStorage()] if "storage" in state.problems else []
        return [*probe, *self._line.tick(now), *([ReplaceEar()] if unload else [])]


def _headline(state: _State, line: Line) -> str:
    if state.capture != "idle":
        return "listening"
    if state.recognising:
        return "recognising"
    if state.speaking:
        return "speaking"
    if line.in_flight:
        return "waiting for an answer"
    return {"ready": "ready", "needs_token": "waiting for a token", "stopped": "stopped"}.get(
        line.link, "offline"
    )


def _recognition_metadata(take: TakeRecognised) -> dict[str, Any]:
    return {
        "confidence": round(take.confidence, 3),
        "language": take.language,
        "durationSeconds": round(take.duration_s, 2),
        "model": take.model,
    }
