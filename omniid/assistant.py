"""The policy, pure: an event and the time go in, effects come out.

The assistant is the one owner of the state people see: what the microphone, the voice, the link and the line
are doing. It reads no clock, opens nothing and waits for nothing: every rule below can be tested as a table.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from omniid.effects import (
    Decide,
    Effect,
    ProbeStorage,
    RecordWhatFailed,
    ReplaceEar,
    StartCapture,
    SweepTakes,
)
from omniid.events import (
    AnswerAcknowledged,
    AnswerUnwanted,
    ClockTicked,
    CommandEdited,
    CommandFound,
    CommandMoved,
    CommandQueued,
    CommandRefused,
    CommandWritten,
    ConfirmationAnswered,
    ConfirmationAsked,
    ConfirmationDue,
    Event,
    FateDecided,
    HotkeyChanged,
    HushRequested,
    KeyLost,
    KeyPressed,
    KeyReleased,
    KeyToggled,
    Kind,
    LinkLost,
    LinkStopped,
    MachineWoke,
    MessageArrived,
    MicrophoneForbidden,
    NotificationsNoted,
    QuestionAnswered,
    QuestionAsked,
    QuestionDue,
    QuestionNotAnswered,
    QuestionReplied,
    SignInEvent,
    SpeechRequested,
    StorageFailed,
    StorageWorks,
    TakeCancelRequested,
    TakeDropped,
    TakeRetried,
    TakesFound,
    VoiceMuted,
    WorkerFailed,
    WorkerStood,
)
from omniid.fate import State
from omniid.line import Line, LineSettings, LinkState
from omniid.listening import Capture, Doubt, KeyEvent, Listening, ListeningSettings, TakeEvent
from omniid.questions import Question, Questions
from omniid.sign_ins import SignIn, SignIns
from omniid.voice import Rank, SpeakWhen, Voice
from omniid.wording import quoted
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
    | TakesFound
    | TakeRetried
    | TakeDropped
    | CommandRefused
)
Microphone = Literal["closed", "open", "kept open", "kept shut"]

_MOST_SPOKEN_COMMANDS = 100
_EXPIRED = "{words} was not sent: it has waited for too long. Say it again if you still want it."
_MORE_EXPIRED = "{words}, and {number} more of what you said, was not sent: it has waited for too long."


@dataclass(frozen=True, slots=True)
class AssistantSettings:
    """`idle_unload_s`: None keeps the model for ever.

    `speak_unsolicited`: whether what the server says of its own accord is spoken; "voice": where the latest
    command was spoken.
    """

    speak_when: SpeakWhen = "always"
    idle_unload_s: float | None = None
    speak_unsolicited: SpeakWhen = "voice"


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
    spoken: OrderedDict[str, str] = field(default_factory=OrderedDict)  # commands, with their words
    expired_before: int = 0  # beside the one that is going to be told of
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
        self._voice = Voice(settings.speak_when, self._user_is_silent, self._is_silent)
        self._sign_ins = SignIns(self._voice.tell)
        self._line = Line(line or LineSettings(), self._tell, self._sign_ins.wanted)
        self._questions = Questions(self._tell_question, self._voice.withdraw)
        self._listening = Listening(
            listening or ListeningSettings(),
            self._state.problems,
            self._tell_of_take,
            self._voice,
            self._questions.answer,
        )

    @property
    def questions(self) -> Mapping[str, Question]:
        """What the server has asked and the user has not answered, by its id."""
        return self._questions.open

    @property
    def sign_ins(self) -> Mapping[str, SignIn]:
        """Where the user has to sign in before commands are done, by its id."""
        return self._sign_ins.open

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
            headline=self._headline(),
            capture=listening.capture,
            take_id=listening.take_id,
            recognising=listening.recognising,
            confirming=None if listening.doubt is None else listening.doubt.text,
            microphone=_microphone(listening, state.kept_open),
            hotkey=state.hotkey,
            model=state.model,
            speaking=self._voice.is_speaking,
            muted=self._voice.muted,
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
                | TakesFound()
                | TakeRetried()
                | TakeDropped()
                | CommandRefused()
            ):
                return self._on_listening(event, now)
            case (
                ModelReady()
                | RecogniserNoted()
                | MicrophoneKept()
                | HotkeyChanged()
                | VoiceNoted()
                | NotificationsNoted()
            ):
                return self._on_self_report(event)
            case (
                SpeechRequested()
                | HushRequested()
                | VoiceMuted()
                | SpeechStarted()
                | SpeechFinished()
                | SpeechFailed()
            ):
                effects = self._voice.handle(event, now)
                self._note("speaker", self._voice.problem)
                return effects
            case ClockTicked():
                return self._on_tick(now)
            case WorkerFailed() | WorkerStood() | StorageFailed() | StorageWorks():
                return self._on_house(event, now)
            case (
                QuestionAsked()
                | QuestionReplied()
                | QuestionAnswered()
                | QuestionNotAnswered()
                | QuestionDue()
                | AnswerAcknowledged()
            ):
                return self._questions.handle(event, now)
            case _:
                return self._on_command(event, now)

    def _on_command(self, event: Event, now: float) -> list[Effect]:
        match event:
            case CommandFound() | CommandQueued() | CommandWritten() | CommandMoved():
                return self._on_fate(event, now)
            case CommandEdited(command_id=command_id, text=text):
                if command_id in self._state.spoken:
                    self._state.spoken[command_id] = text
                return []
            case AnswerUnwanted():
                return [*self._questions.on_unwanted(event), *self._line.handle(event, now)]
            case FateDecided(command_id=command_id, again=again):
                return [Decide(command_id, again)]
            case MessageArrived():
                return self._on_message(event)
            case LinkLost() | LinkStopped():
                return [*self._questions.on_link_over(), *self._line.handle(event, now)]
            case _ if isinstance(event, get_args(SignInEvent)):
                return self._sign_ins.handle(event, now)
            case _:
                return self._line.handle(event, now)

    def _on_fate(
        self, event: CommandFound | CommandQueued | CommandWritten | CommandMoved, now: float
    ) -> list[Effect]:
        of_take = [] if isinstance(event, CommandFound) else self._listening.on_command(event)
        effects = [*of_take, *self._line.handle(event, now)]
        match event:
            case CommandFound(kind="voice") | CommandQueued(kind="voice"):
                self._remember_spoken(event.command_id, event.message)
            case CommandMoved():
                effects += self._on_moved(event)
            case _:
                pass
        return effects

    def _remember_spoken(self, command_id: str, message: str) -> None:
        self._state.spoken[command_id] = message
        while len(self._state.spoken) > _MOST_SPOKEN_COMMANDS:
            self._state.spoken.popitem(last=False)

    def _on_moved(self, event: CommandMoved) -> list[Effect]:
        told = self._tell_expired(event.command_id) if event.state is State.EXPIRED else []
        return [*told, *self._questions.on_moved(event), *self._sign_ins.on_moved(event)]

    def _tell_expired(self, command_id: str) -> list[Effect]:
        """Those that expire together are told together; what a sign-in holds, the sign-in tells."""
        words = self._state.spoken.get(command_id)
        if not words or self._sign_ins.holds(command_id) or self._is_silent(command_id):
            return []
        more = self._state.expired_before = (
            self._state.expired_before + 1 if self._voice.still_waits("expired") else 0
        )
        text = (_MORE_EXPIRED if more else _EXPIRED).format(words=quoted(words), number=more)
        return self._voice.tell(text, "voice", command_id, about="expired")

    def _on_message(self, message: MessageArrived) -> list[Effect]:
        """What the server says of its own accord, where somebody may want to hear it."""
        when = self._settings.speak_unsolicited
        was_spoken = message.command_id in self._state.spoken
        if not message.is_for_people or when == "never" or (when == "voice" and not was_spoken):
            return []
        return self._voice.tell(message.text, "voice" if was_spoken else "text", message.command_id)

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
                if isinstance(event, ConfirmationAnswered):
                    effects += self._voice.withdraw(f"confirmation:{event.take_id}")
            case MachineWoke():
                effects = listening.on_woke(now)
            case MicrophoneForbidden():
                effects = listening.on_forbidden(event)
            case TakesFound():
                return listening.on_found(event)
            case TakeRetried():
                self._state.ear_used_at = now
                effects = listening.on_retried(event)
            case TakeDropped():
                effects = listening.on_dropped(event)
            case CommandRefused():
                effects = listening.on_command(event)
        opens = any(isinstance(effect, StartCapture) for effect in effects)
        return [*(self._voice.barge_in(now) if opens else []), *effects, *self._voice.next()]

    def _on_self_report(
        self,
        event: (
            ModelReady | RecogniserNoted | MicrophoneKept | HotkeyChanged | VoiceNoted | NotificationsNoted
        ),
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
            case NotificationsNoted(problem=problem):
                self._note("notifications", problem)
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

    # --- the voice ---------------------------------------------------------------------------------------

    def _user_is_silent(self) -> bool:
        return self._listening.capture == "idle"

    def _is_silent(self, command_id: str | None) -> bool:
        return self._listening.is_silent(command_id)

    def _tell(self, text: str, kind: Kind, command_id: str | None = None) -> list[Effect]:
        return self._voice.tell(text, kind, command_id, Rank.REMARK if command_id is None else Rank.ANSWER)

    def _tell_of_take(self, text: str, take_id: str | None = None, *, asks: bool = False) -> list[Effect]:
        if self._listening.is_silent(take_id):
            return []
        if asks:
            return self._voice.tell(text, "voice", rank=Rank.QUESTION, about=f"confirmation:{take_id}")
        return self._voice.tell(text, "voice")

    def _tell_question(self, question_id: str, asked: QuestionAsked, text: str) -> list[Effect]:
        if self._is_silent(asked.command_id):
            return []
        kind = self._line.in_flight.get(asked.command_id or "", "text")
        return self._voice.tell(text, kind, rank=Rank.QUESTION, about=question_id)

    # --- the house ---------------------------------------------------------------------------------------

    def _on_house(
        self, event: WorkerFailed | WorkerStood | StorageFailed | StorageWorks, now: float
    ) -> list[Effect]:
        state = self._state
        match event:
            case WorkerFailed(worker="ear", message=message):
                state.model, state.kept_open = None, None
                return [*self._listening.on_ear_lost(message, now), *self._voice.next()]
            case WorkerFailed(worker=worker, message=message):
                state.problems[worker] = message
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

    def _headline(self) -> str:
        listening, link = self._listening, self._line.link
        if listening.capture != "idle":
            return "listening"
        if listening.recognising:
            return "recognising"
        if listening.doubt is not None or self._questions.open:
            return "asking you"
        if self._voice.is_speaking:
            return "speaking"
        if self._sign_ins.open:
            return "waiting for you to sign in"
        if self._line.in_flight:
            return "waiting for an answer"
        words = {"ready": "ready", "needs_token": "waiting for a token", "stopped": "stopped"}
        return words.get(link, "offline")

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


def _microphone(listening: Listening, kept_open: str | None) -> Microphone:
    if listening.capture != "idle":
        return "open"
    if listening.is_shut:
        return "kept shut"
    return "closed" if kept_open is None else "kept open"
