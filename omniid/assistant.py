"""The policy, pure: an event and the time go in, effects come out.

The assistant is the one owner of the state people see: what the microphone, the voice, the link and the line
are doing. It reads no clock, opens nothing and waits for nothing: every rule below can be tested as a table.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from omniid.effects import (
    Effect,
    ProbeStorage,
    RecordWhatFailed,
    RememberMuted,
    ReplaceEar,
    Speak,
    StartCapture,
    StopSpeech,
    SweepTakes,
)
from omniid.events import (
    ClockTicked,
    CommandMoved,
    CommandQueued,
    CommandRefused,
    CommandWritten,
    ConfirmationAnswered,
    ConfirmationAsked,
    ConfirmationDue,
    Event,
    HotkeyChanged,
    HushRequested,
    KeyLost,
    KeyPressed,
    KeyReleased,
    KeyToggled,
    MachineWoke,
    MicrophoneForbidden,
    QuestionAnswered,
    QuestionAsked,
    QuestionDue,
    QuestionNotAnswered,
    SpeechRequested,
    StorageFailed,
    StorageWorks,
    TakeCancelRequested,
    TakeDropped,
    TakeRetried,
    VoiceMuted,
    WorkerFailed,
    WorkerStood,
)
from omniid.line import Kind, Line, LineSettings, LinkState
from omniid.listening import Capture, Doubt, KeyEvent, Listening, ListeningSettings, TakeEvent
from omniid.questions import Question, Questions
from omniid.workers.channel import (
    CaptureEnded,
    CaptureOpened,
    MicrophoneKept,
    ModelReady,
    RecogniserNoted,
    SpeechFailed,
    SpeechFinished,
    SpeechStarted,
    TakeEmpty,
    TakeFailed,
    TakeRecognised,
    VoiceNoted,
)

_ListeningEvent = (
    KeyEvent
    | TakeEvent
    | ConfirmationAsked
    | ConfirmationAnswered
    | ConfirmationDue
    | MachineWoke
    | MicrophoneForbidden
    | TakeRetried
    | TakeDropped
    | CommandRefused
)
SpeakWhen = Literal["always", "voice", "never"]
Microphone = Literal["closed", "open", "kept open", "kept shut"]

_MOST_HELD = 5


@dataclass(frozen=True, slots=True)
class AssistantSettings:
    """`idle_unload_s`: None keeps the model for ever."""

    speak_when: SpeakWhen = "always"
    idle_unload_s: float | None = None


@dataclass(frozen=True, slots=True)
class Hotkey:
    """Which backend listens for the key; None: none does."""

    backend: str | None
    sees_releases: bool
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What omniid is doing. `headline` is one word for it, derived from the rest."""

    headline: str
    capture: Capture
    take_id: str | None
    recognising: int
    confirming: str | None
    microphone: Microphone
    hotkey: Hotkey
    model: str | None
    speaking: bool
    muted: bool
    link: LinkState
    link_reason: str | None
    in_flight: tuple[str, ...]
    window: int
    problems: dict[str, str]


@dataclass(slots=True)
class _State:
    ear_used_at: float | None = None  # None while no model is loaded
    model: str | None = None
    kept_open: str | None = None
    hotkey: Hotkey = Hotkey(None, sees_releases=False)
    speaking: bool = False
    muted: bool = False
    utterances: int = 0  # handed to the voice and not yet over
    held: deque[Speak] = field(default_factory=lambda: deque(maxlen=_MOST_HELD))  # to be said after the take
    problems: dict[str, str] = field(default_factory=dict)


class Assistant:
    """Turns events into effects; see the module's words."""

    def __init__(
        self,
        settings: AssistantSettings,
        line: LineSettings | None = None,
        listening: ListeningSettings | None = None,
    ) -> None:
        self._settings = settings
        self._state = _State()
        self._line = Line(line or LineSettings(), self._tell)
        self._questions = Questions(self._tell_question)
        self._listening = Listening(
            listening or ListeningSettings(),
            self._state.problems,
            self._tell_of_take,
            lambda: self._state.speaking or self._state.utterances > 0,
            self._questions.answer,
        )

    @property
    def questions(self) -> Mapping[str, Question]:
        """What the server has asked and the user has not answered, by its id."""
        return self._questions.open

    def held_by(self, owner: str) -> str | None:
        """The take that ends when this owner lets go of its key."""
        return self._listening.held_by(owner)

    def is_in_hand(self, take_id: str) -> bool:
        """Whether something is still being done with a take, so that it is not the user's to try again."""
        return self._listening.is_in_hand(take_id)

    @property
    def doubt(self) -> Doubt | None:
        """Words that wait for the user's yes."""
        return self._listening.doubt

    def snapshot(self) -> Snapshot:
        state, listening = self._state, self._listening
        return Snapshot(
            headline=_headline(state, self._line, listening),
            capture=listening.capture,
            take_id=listening.take_id,
            recognising=listening.recognising,
            confirming=None if listening.doubt is None else listening.doubt.text,
            microphone=_microphone(listening, state.kept_open),
            hotkey=state.hotkey,
            model=state.model,
            speaking=state.speaking,
            muted=state.muted,
            link=self._line.link,
            link_reason=self._line.reason,
            in_flight=tuple(self._line.in_flight),
            window=self._line.window,
            problems=dict(state.problems),
        )

    def handle(self, event: Event, now: float) -> list[Effect]:
        """What to do about an event; `now` is in monotonic seconds."""
        match event:
            case (
                KeyPressed()
                | KeyReleased()
                | KeyLost()
                | KeyToggled()
                | TakeCancelRequested()
                | CaptureOpened()
                | CaptureEnded()
                | TakeRecognised()
                | TakeEmpty()
                | TakeFailed()
                | ConfirmationAsked()
                | ConfirmationAnswered()
                | ConfirmationDue()
                | MachineWoke()
                | MicrophoneForbidden()
                | TakeRetried()
                | TakeDropped()
                | CommandRefused()
            ):
                return self._on_listening(event, now)
            case ModelReady() | RecogniserNoted() | MicrophoneKept() | HotkeyChanged() | VoiceNoted():
                return self._on_self_report(event)
            case (
                SpeechRequested()
                | HushRequested()
                | VoiceMuted()
                | SpeechStarted()
                | SpeechFinished()
                | SpeechFailed()
            ):
                return self._on_speech(event)
            case ClockTicked():
                return self._on_tick(now)
            case WorkerFailed() | WorkerStood() | StorageFailed() | StorageWorks():
                return self._on_house(event, now)
            case QuestionAsked() | QuestionAnswered() | QuestionNotAnswered() | QuestionDue():
                return self._questions.handle(event, now)
            case CommandQueued() | CommandWritten() | CommandMoved():
                return [*self._listening.on_command(event), *self._line.handle(event, now)]
            case _:
                return self._line.handle(event, now)

    # --- the key and the take ----------------------------------------------------------------------------

    def _on_listening(self, event: _ListeningEvent, now: float) -> list[Effect]:
        listening = self._listening
        match event:
            case KeyPressed() | KeyReleased() | KeyLost() | KeyToggled() | TakeCancelRequested():
                effects = listening.on_key(event, now)
            case CaptureOpened() | CaptureEnded() | TakeRecognised() | TakeEmpty() | TakeFailed():
                self._state.ear_used_at = now
                effects = listening.on_take(event, now)
            case ConfirmationAsked() | ConfirmationAnswered() | ConfirmationDue():
                effects = listening.on_confirmation(event)
            case MachineWoke():
                effects = listening.on_woke(now)
            case MicrophoneForbidden():
                effects = listening.on_forbidden(event)
            case TakeRetried():
                self._state.ear_used_at = now
                effects = listening.on_retried(event)
            case TakeDropped():
                effects = listening.on_dropped(event)
            case CommandRefused():
                effects = listening.on_command(event)
        opens = any(isinstance(effect, StartCapture) for effect in effects)
        return [*(self._barge_in() if opens else []), *effects, *self._speak_held()]

    def _barge_in(self) -> list[Effect]:
        """Silence also what is handed to the voice and has no sound yet."""
        silent = not self._state.speaking and not self._state.utterances
        self._state.utterances = 0
        return [] if silent else [StopSpeech()]

    def _on_self_report(
        self, event: ModelReady | RecogniserNoted | MicrophoneKept | HotkeyChanged | VoiceNoted
    ) -> list[Effect]:
        """What the ear, the voice and the key say of themselves."""
        state = self._state
        match event:
            case ModelReady(model=model, device=device, compute_type=compute_type, note=note):
                state.model = f"{model} on {device} ({compute_type})"
                self._note("recogniser", note)
            case RecogniserNoted(note=note):
                self._note("recogniser", note)
            case VoiceNoted(note=note):
                self._note("voice", note)
            case MicrophoneKept(is_open=is_open, device=device):
                state.kept_open = (device or "default") if is_open else None
            case HotkeyChanged(backend=backend, sees_releases=sees_releases, note=note, advice=advice):
                state.hotkey = Hotkey(backend, sees_releases, note)
                self._note("hotkey", advice)
        return []

    def _note(self, part: str, problem: str | None) -> None:
        if problem is None:
            self._state.problems.pop(part, None)
        else:
            self._state.problems[part] = problem

    def _tell_of_take(self, text: str, take_id: str | None = None) -> list[Effect]:
        return [] if self._listening.is_silent(take_id) else self._tell(text, "voice")

    def _tell_question(self, asked: QuestionAsked, text: str) -> list[Effect]:
        return self._tell(text, self._line.in_flight.get(asked.command_id or "", "text"), None)

    # --- the voice ---------------------------------------------------------------------------------------

    def _tell(self, text: str, kind: Kind, command_id: str | None = None) -> list[Effect]:
        when = self._settings.speak_when
        wanted = when == "always" or (when == "voice" and kind == "voice")
        if not wanted or self._state.muted or self._listening.is_silent(command_id):
            return []
        self._state.held.append(Speak(text, command_id))
        return self._speak_held()

    def _speak_held(self) -> list[Effect]:
        """What there is to say, unless the user talks: omniid would hear itself, so it waits."""
        if self._listening.capture != "idle":
            return []
        words: list[Effect] = list(self._state.held)
        self._state.held.clear()
        self._state.utterances += len(words)
        return words

    def _on_speech(
        self,
        event: SpeechRequested | HushRequested | VoiceMuted | SpeechStarted | SpeechFinished | SpeechFailed,
    ) -> list[Effect]:
        match event:
            case SpeechRequested(utterance_id=utterance_id, text=text):
                self._state.utterances += 1
                return [Speak(text, utterance_id=utterance_id)]
            case HushRequested():
                self._state.utterances = 0
                return [StopSpeech()]
            case VoiceMuted(muted=muted):
                self._state.muted = muted
                self._state.held.clear()
                return [*(self._barge_in() if muted else []), RememberMuted(muted)]
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

    def _on_house(
        self, event: WorkerFailed | WorkerStood | StorageFailed | StorageWorks, now: float
    ) -> list[Effect]:
        state = self._state
        match event:
            case WorkerFailed(worker="ear", message=message):
                state.model, state.kept_open = None, None
                return [*self._listening.on_ear_lost(message, now), *self._speak_held()]
            case WorkerFailed(worker=worker, message=message):
                state.problems[worker] = message
                if worker == "mouth":
                    state.speaking, state.utterances = False, 0
                return []
            case WorkerStood(worker=worker):
                state.problems.pop(worker, None)
                if worker == "mouth":
                    self._note("voice", None)
                return []
            case StorageFailed(message=message):
                state.problems["storage"] = message
                return []
            case StorageWorks():
                state.problems.pop("storage", None)
                return [RecordWhatFailed()]

    def _on_tick(self, now: float) -> list[Effect]:
        state = self._state
        used_at, idle_for = state.ear_used_at, self._settings.idle_unload_s
        unload = (
            self._listening.is_idle
            and used_at is not None
            and idle_for is not None
            and now - used_at >= idle_for
        )
        if unload:
            state.ear_used_at = None
        probe: list[Effect] = [ProbeStorage()] if "storage" in state.problems else []
        return [
            *probe,
            SweepTakes(),
            *self._questions.tick(now),
            *self._line.tick(now),
            *([ReplaceEar()] if unload else []),
        ]


def _headline(state: _State, line: Line, listening: Listening) -> str:
    if listening.capture != "idle":
        return "listening"
    if listening.recognising:
        return "recognising"
    if listening.doubt is not None:
        return "asking you"
    if state.speaking:
        return "speaking"
    if line.in_flight:
        return "waiting for an answer"
    return {"ready": "ready", "needs_token": "waiting for a token", "stopped": "stopped"}.get(
        line.link, "offline"
    )


def _microphone(listening: Listening, kept_open: str | None) -> Microphone:
    if listening.capture != "idle":
        return "open"
    if listening.is_shut:
        return "kept shut"
    return "closed" if kept_open is None else "kept open"
