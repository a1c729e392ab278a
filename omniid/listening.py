"""The region of the policy between the key and a command: the take, its mode, the doubt about it. Pure.

A take that starts ends exactly once, in whatever order presses, releases, losses, cancels, caps and crashes
come. What was cut short, by a crash, a lost device or the cap, is asked about and never sent as if it were
the whole sentence.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from omniid.consent import verdict
from omniid.echo import sounds_like
from omniid.effects import (
    Announce,
    CancelCapture,
    Cue,
    Effect,
    Enqueue,
    ForgetTake,
    LatchCapture,
    RecogniseAgain,
    RemindLater,
    ShutMicrophone,
    StartCapture,
    StopCapture,
)
from omniid.events import (
    CommandMoved,
    CommandQueued,
    CommandRefused,
    CommandWritten,
    ConfirmationAnswered,
    ConfirmationAsked,
    ConfirmationDue,
    KeyLost,
    KeyPressed,
    KeyReleased,
    KeyToggled,
    Manner,
    MicrophoneForbidden,
    TakeCancelRequested,
    TakeDropped,
    TakeGivenUp,
    TakeRetried,
    TakesFound,
)
from omniid.fate import ENDED
from omniid.wording import takes_found
from omniid.workers.channel import (
    CaptureEnded,
    CaptureOpened,
    TakeEmpty,
    TakeFailed,
    TakeRecognised,
)

Capture = Literal["idle", "opening", "listening", "closing"]
KeyEvent = KeyPressed | KeyReleased | KeyLost | KeyToggled | TakeCancelRequested
TakeEvent = CaptureOpened | CaptureEnded | TakeRecognised | TakeEmpty | TakeFailed

CONFIRM_WITHIN_S = 15.0
_MOST_REMEMBERED = 200
ASK_AGAIN_S = 3.0  # a confirmation that was due while the user spoke, or omniid did, is looked at again
_LOST_AT_MOST_S = 0.3  # of the end, which is silence mostly
TAP_S = 0.35  # in hybrid mode a shorter press latches
_NOT_THE_MICROPHONES = frozenset(
    {
        "model_missing",
        "model_unusable",
        "recognition_failed",
        "failed",
        "busy",
        "worker_not_ready",
        "take_lost",
    }
)
_WORTH_A_RETRY = frozenset({"recognition_failed", "failed"})
_CUT_SHORT = frozenset({"cap", "device_lost"})
_SHUT = "The microphone is kept shut. Run `omniid listen enable` to allow it again."
_DEAD = (
    "The microphone gives nothing but zeros: it is muted or switched off. Switch it on, or choose another."
)
_LOST_DEVICE = "The microphone went away."
_LOST = "I lost what you said. Please say it again."
_KEPT = "I could not recognise that. It is kept for ten minutes: run `omniid take retry`."


@dataclass(frozen=True, slots=True)
class ListeningSettings:
    """`accept`: below this confidence omniid asks first. `tap_s`: shorter than any word.

    `forgets_taps`: the sound from before the key must not make a take of a tap.
    """

    accept: float = 0.0
    tap_s: float = 0.3
    forgets_taps: bool = False


@dataclass(slots=True)
class _Take:
    id: str
    owner: str
    manner: Manner
    pressed_at: float = 0.0
    opened_at: float | None = None  # None: it is recognised once more, and nobody knows what was heard then
    held_s: float | None = None  # for how long it was to be heard; None where nobody knows
    latched: bool = False
    retried: bool = False
    was_interrupted: bool = False  # by a sleep of the machine, or the loss of the key
    was_lost: bool = False  # with its ear, before the capture had ended: what is kept may be a part of it
    cut_short: bool = False

    @property
    def is_held(self) -> bool:
        """Whether the key's release ends it."""
        return self.manner.mode != "toggle" and not self.latched

    def start(self) -> StartCapture:
        manner = self.manner
        return StartCapture(self.id, manner.language, manner.model, ends_by_silence=not self.is_held)

    def again(self) -> RecogniseAgain:
        self.retried = True
        return RecogniseAgain(self.id, self.manner.language, self.manner.model)


@dataclass(frozen=True, slots=True)
class Doubt:
    """Words that wait for the user's yes."""

    take_id: str
    text: str
    metadata: dict[str, Any]
    asked_at: float


@dataclass(slots=True)
class _State:
    capture: Capture = "idle"
    take: _Take | None = None
    pressed_again: KeyPressed | KeyToggled | None = None  # while the microphone was being closed
    pressed_again_at: float = 0.0
    recognising: dict[str, _Take] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)  # words of these may still be on their way
    doubt: Doubt | None = None
    shut: bool = False
    to_ask: OrderedDict[str, None] = field(default_factory=OrderedDict)  # kept takes, never sent unasked
    kept_for: dict[str, str] = field(default_factory=dict)  # by command: the take it was said in
    silent: OrderedDict[str, None] = field(default_factory=OrderedDict)  # takes and commands not spoken about


class Tell(Protocol):
    def __call__(self, text: str, take_id: str | None = None, *, asks: bool = False) -> list[Effect]: ...


class Voice(Protocol):
    """What omniid says itself: whether it is about to, and what the microphone may have heard of it."""

    @property
    def is_busy(self) -> bool: ...
    def said_at(self, moment: float) -> list[str]: ...


class Listening:
    """`tell` says something to the user, about a take; where it `asks`, nothing goes before it.

    `problems` is the assistant's list of them, by part.

    `answer` is what words mean to a question of the backend's; None where they mean nothing to one.
    """

    def __init__(
        self,
        settings: ListeningSettings,
        problems: dict[str, str],
        tell: Tell,
        voice: Voice,
        answer: Callable[[str], list[Effect] | None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._problems = problems
        self._tell = tell
        self._voice = voice
        self._answer = answer
        self._state = _State()

    @property
    def capture(self) -> Capture:
        return self._state.capture

    @property
    def take_id(self) -> str | None:
        return self._state.take.id if self._state.take else None

    @property
    def recognising(self) -> int:
        return len(self._state.recognising)

    @property
    def doubt(self) -> Doubt | None:
        return self._state.doubt

    @property
    def is_shut(self) -> bool:
        return self._state.shut

    @property
    def is_idle(self) -> bool:
        """Whether the ear has nothing to do."""
        return self._state.capture == "idle" and not self._state.recognising

    def held_by(self, owner: str) -> str | None:
        """The take that ends when this owner lets go of its key, and for no other reason goes on."""
        take = self._state.take
        held = take is not None and take.owner == owner and take.manner.mode == "hold"
        return take.id if take is not None and held and self._state.capture != "closing" else None

    def is_silent(self, command_id: str | None) -> bool:
        """Whether the key a command was spoken with wants no spoken answer."""
        return command_id in self._state.silent

    # --- the key -----------------------------------------------------------------------------------------

    def on_key(self, event: KeyEvent, now: float) -> list[Effect]:
        match event:
            case KeyPressed() | KeyToggled():
                return self._on_press(event, now)
            case KeyReleased(owner=owner) | KeyLost(owner=owner):
                return self._on_release(owner, now, lost=isinstance(event, KeyLost))
            case TakeCancelRequested():
                return self._cancel()

    def _on_press(self, event: KeyPressed | KeyToggled, now: float) -> list[Effect]:
        state = self._state
        if state.take is None:
            return self._open(event, now, pressed_at=now)
        if state.capture == "closing":
            state.pressed_again, state.pressed_again_at = event, now
            return []
        ends = isinstance(event, KeyToggled) or (state.take.owner == event.owner and not state.take.is_held)
        return self._close(now) if ends else []  # the same edge twice: verbs are idempotent

    def _open(self, event: KeyPressed | KeyToggled, now: float, pressed_at: float) -> list[Effect]:
        state = self._state
        if state.shut:
            self._problems["microphone"] = _SHUT
            return [Cue("error"), *self._tell(_SHUT)]
        state.take = _Take(event.take_id, event.owner, event.manner, pressed_at=pressed_at, opened_at=now)
        state.capture = "opening"
        if not event.manner.speak:
            _remember(state.silent, event.take_id)
        return [state.take.start()]

    def _on_release(self, owner: str, now: float, *, lost: bool) -> list[Effect]:
        state = self._state
        if state.pressed_again is not None and state.pressed_again.owner == owner:
            state.pressed_again = _after_release(state.pressed_again)
        take = state.take
        if take is None or take.owner != owner or state.capture == "closing":
            return []  # another key's release must not cut this take short
        held_s = now - take.pressed_at
        is_tap = held_s < self._settings.tap_s and not lost
        if is_tap and self._is_a_yes(take):
            return [*self._cancel_take(take), *self._resolve(accepted=True, by="tap")]
        if not take.is_held:
            return []
        if is_tap and self._settings.forgets_taps and take.manner.mode == "hold":
            return self._cancel_take(take)
        take.was_interrupted = take.was_interrupted or lost
        if take.manner.mode == "hybrid" and held_s < TAP_S and not lost:
            take.latched = True
            return [LatchCapture(take.id)]
        return self._close(now)

    def _is_a_yes(self, take: _Take) -> bool:
        """A tap answers a question that was there before it, and only where every other press is held."""
        doubt = self._state.doubt
        return doubt is not None and take.manner.mode == "hold" and take.pressed_at >= doubt.asked_at

    def _close(self, now: float) -> list[Effect]:
        take = self._state.take
        assert take is not None  # noqa: S101 the callers have looked
        assert take.opened_at is not None  # noqa: S101 it is being heard
        self._state.capture = "closing"
        take.held_s = now - take.opened_at
        return [StopCapture(take.id)]

    def _cancel(self) -> list[Effect]:
        state = self._state
        state.pressed_again = None
        if state.take is not None:
            return self._cancel_take(state.take)
        if state.doubt is not None:
            return self._resolve(accepted=False, by="cancelled")
        unwanted = sorted(state.recognising.keys() - state.cancelled)
        state.cancelled |= state.recognising.keys()
        return [CancelCapture(take_id) for take_id in unwanted]

    def _cancel_take(self, take: _Take) -> list[Effect]:
        if take.id in self._state.cancelled:
            return []
        self._state.cancelled.add(take.id)
        self._state.capture = "closing"
        return [CancelCapture(take.id)]

    def on_woke(self, now: float) -> list[Effect]:
        """A take that the sleep came into is over; nobody knows what of it was meant."""
        take = self._state.take
        if take is None or self._state.capture == "closing":
            return []
        take.was_interrupted = True
        return self._close(now)

    def on_forbidden(self, event: MicrophoneForbidden) -> list[Effect]:
        self._state.shut = event.shut
        if not event.shut and self._problems.get("microphone") == _SHUT:
            del self._problems["microphone"]
        cancelled = self._cancel() if event.shut and self._state.take else []
        return [*cancelled, ShutMicrophone(event.shut)]

    # --- the take ----------------------------------------------------------------------------------------

    def on_take(self, event: TakeEvent, now: float) -> list[Effect]:
        state = self._state
        current = state.take is not None and event.take_id == state.take.id
        match event:
            case CaptureOpened():
                if current and state.capture == "opening":
                    state.capture = "listening"
                self._problems.pop("microphone", None)
                return []
            case CaptureEnded(cause=cause):
                return self._capture_over(event.take_id, now, cut_short=cause in _CUT_SHORT, cause=cause)
            case _:
                take = state.recognising.pop(event.take_id, None) or (state.take if current else None)
                unwanted = event.take_id in state.cancelled
                state.cancelled.discard(event.take_id)
                freed = self._microphone_free(now) if current else []
                if take is None or unwanted:
                    return [*freed, ForgetTake(event.take_id)]
                return [*freed, *self._on_ending(take, event, now)]

    def _capture_over(self, take_id: str, now: float, *, cut_short: bool, cause: str) -> list[Effect]:
        state = self._state
        if state.take is None or take_id != state.take.id:
            return []
        state.take.cut_short = cut_short or state.take.was_interrupted
        state.recognising[take_id] = state.take
        told: list[Effect] = []
        if cause == "device_lost":
            self._problems["microphone"] = _LOST_DEVICE
            told = self._tell(_LOST_DEVICE)
        return [*self._microphone_free(now), *told]

    def _microphone_free(self, now: float) -> list[Effect]:
        """A key that went down again meanwhile has it now."""
        state = self._state
        again = state.pressed_again
        state.capture, state.take, state.pressed_again = "idle", None, None
        return self._open(again, now, state.pressed_again_at) if again is not None else []

    def _on_ending(
        self, take: _Take, event: TakeRecognised | TakeEmpty | TakeFailed, now: float
    ) -> list[Effect]:
        match event:
            case TakeRecognised():
                self._problems.pop("recognition", None)
                return self._on_words(take, event, now)
            case TakeEmpty(reason=reason):
                self._problems.pop("recognition", None)
                return self._on_nothing(take, reason)
            case TakeFailed():
                return self._on_failure(take, event)

    def _on_words(self, take: _Take, said: TakeRecognised, now: float) -> list[Effect]:
        doubt = self._doubt_about(take, said)
        is_sure = doubt is None
        answered = self._as_answer(said.text, take, is_sure=is_sure)
        if answered is not None:
            return [ForgetTake(take.id), *answered]
        replaced = self._replace_doubt()
        metadata = _metadata(said, take.manner)
        if doubt is None:
            return [*replaced, Enqueue(take.id, said.text, metadata)]
        self._state.doubt = Doubt(take.id, said.text, metadata, now)
        return [
            *replaced,
            Announce(ConfirmationAsked(take.id, said.text, doubt)),
            Cue("question"),
            *self._tell(f"Did you say: {said.text}", take.id, asks=True),
            RemindLater(CONFIRM_WITHIN_S / 2, ConfirmationDue(take.id, reminds=True)),
            RemindLater(CONFIRM_WITHIN_S, ConfirmationDue(take.id)),
        ]

    def _doubt_about(
        self, take: _Take, said: TakeRecognised
    ) -> Literal["unsure", "cut_short", "echo"] | None:
        """Why the words are not acted on without asking; None where they are."""
        if take.cut_short or _is_short_of(take, said):
            return "cut_short"
        if said.confidence < self._settings.accept:
            return "unsure"
        heard = [] if take.opened_at is None else self._voice.said_at(take.opened_at)
        is_echo = any(sounds_like(said.text, spoken, said.language) for spoken in heard)
        return "echo" if is_echo else None

    def _as_answer(self, text: str, take: _Take, *, is_sure: bool) -> list[Effect] | None:
        """What the words do to an open question; None: they are a command. Half a no will do."""
        asks_here = self._state.doubt is not None
        answer = verdict(text)
        is_kept = take.opened_at is None and not is_sure  # said to another question, or to none
        answered = None if asks_here or is_kept else self._answer(text)
        if answer is None and answered is None:
            return None
        if not is_sure and answer is not False:
            return self._tell("I did not catch that. Please say it again.") if asks_here or answered else None
        return self._resolve(accepted=answer is True, by="voice") if asks_here else answered

    def _on_nothing(self, take: _Take, reason: str) -> list[Effect]:
        if reason == "dead_microphone":
            self._problems["microphone"] = _DEAD
            return [ForgetTake(take.id), *self._tell(_DEAD, take.id)]
        if reason == "unsure":
            return self._tell("I did not catch that.", take.id)  # its sound is kept: another model may
        return [ForgetTake(take.id)]

    def _on_failure(self, take: _Take, failed: TakeFailed) -> list[Effect]:
        if failed.code in _WORTH_A_RETRY and not take.retried:
            self._state.recognising[take.id] = take
            return [take.again()]
        if take.cut_short:
            _remember(self._state.to_ask, take.id)
        part = "recognition" if failed.code in _NOT_THE_MICROPHONES else "microphone"
        self._problems[part] = failed.message
        return self._tell(failed.message, take.id)

    # --- the doubt ---------------------------------------------------------------------------------------

    def on_confirmation(
        self, event: ConfirmationAsked | ConfirmationAnswered | ConfirmationDue
    ) -> list[Effect]:
        doubt = self._state.doubt
        if doubt is None or event.take_id != doubt.take_id or isinstance(event, ConfirmationAsked):
            return []
        if isinstance(event, ConfirmationDue):
            is_heeded = not self.is_idle or self._voice.is_busy
            if event.reminds:
                return [] if is_heeded else [Cue("question")]
            if is_heeded:
                return [RemindLater(ASK_AGAIN_S, event)]
            return self._resolve(accepted=False, by="timeout")
        self._state.doubt = None
        if event.by == "timeout":  # nobody said no: its sound is kept
            _remember(self._state.to_ask, doubt.take_id)
            return [Cue("nothing_heard")]
        if not event.accepted:
            return [Cue("nothing_heard"), ForgetTake(doubt.take_id)]
        return [Enqueue(doubt.take_id, doubt.text, doubt.metadata)]

    def _replace_doubt(self) -> list[Effect]:
        doubt, self._state.doubt = self._state.doubt, None
        if doubt is None:
            return []
        return [Announce(ConfirmationAnswered(doubt.take_id, False, "replaced")), ForgetTake(doubt.take_id)]

    def _resolve(self, *, accepted: bool, by: str) -> list[Effect]:
        """The answer is announced, and takes effect when it is handled like one from outside."""
        doubt = self._state.doubt
        return [] if doubt is None else [Announce(ConfirmationAnswered(doubt.take_id, accepted, by))]

    # --- what was kept -----------------------------------------------------------------------------------

    def on_found(self, event: TakesFound) -> list[Effect]:
        for take_id in event.take_ids:
            _remember(self._state.to_ask, take_id)  # who knows how far it was heard
        return self._tell(takes_found(len(event.take_ids)))

    def on_retried(self, event: TakeRetried) -> list[Effect]:
        if self.is_in_hand(event.take_id):
            return []
        cut_short = event.take_id in self._state.to_ask
        take = _Take(event.take_id, "retry", event.manner, cut_short=cut_short)
        self._state.recognising[take.id] = take
        return [take.again()]

    def is_in_hand(self, take_id: str) -> bool:
        """Whether a take is being heard, recognised or asked about, or its command is not on its way yet."""
        state = self._state
        asked = state.doubt is not None and state.doubt.take_id == take_id
        known = {self.take_id, *state.recognising, *state.kept_for.values()}
        return asked or take_id in known

    def on_dropped(self, event: TakeDropped) -> list[Effect]:
        if self._state.doubt is not None and self._state.doubt.take_id == event.take_id:
            return self._resolve(accepted=False, by="cancelled")
        return [ForgetTake(event.take_id)]

    def on_command(
        self, event: CommandQueued | CommandRefused | CommandWritten | CommandMoved
    ) -> list[Effect]:
        """A take is kept until the command that was said in it is on the wire, or over."""
        state = self._state
        match event:
            case CommandQueued(command_id=command_id, take_id=str(take_id)):
                state.kept_for[command_id] = take_id
                if take_id in state.silent:
                    _remember(state.silent, command_id)
            case CommandRefused(message=message):
                return self._tell(message)
            case CommandWritten(command_id=command_id) if command_id in state.kept_for:
                return [ForgetTake(state.kept_for.pop(command_id))]
            case CommandMoved(command_id=command_id, state=fate) if command_id in state.kept_for:
                return [ForgetTake(state.kept_for.pop(command_id))] if fate in ENDED else []
            case _:
                pass
        return []

    # --- the ear -----------------------------------------------------------------------------------------

    def on_ear_lost(self, message: str, now: float) -> list[Effect]:
        """Each take has one more try; what was being said when the ear went is asked about."""
        state = self._state
        self._problems["ear"] = message
        take, effects = state.take, list[Effect]()
        if take is not None:
            take.was_lost = True
        if take is not None and state.capture != "opening":
            take.cut_short = state.capture != "closing" or take.was_interrupted
            state.recognising[take.id] = take
            effects = self._microphone_free(now)
        elif take is not None and not take.retried:
            take.retried = take.was_interrupted = True  # its beginning may be lost
            effects = [take.start()]
        elif take is not None:
            effects = [*self._microphone_free(now), *self._give_up(take, _LOST)]
        unwanted = state.recognising.keys() & state.cancelled
        state.cancelled.clear()
        for take_id in sorted(unwanted):
            del state.recognising[take_id]
        return [*effects, *(ForgetTake(take_id) for take_id in sorted(unwanted)), *self._try_again()]

    def _try_again(self) -> list[Effect]:
        state = self._state
        effects: list[Effect] = []
        for take in list(state.recognising.values()):
            if not take.retried:
                effects.append(take.again())
                continue
            del state.recognising[take.id]
            effects += self._give_up(take, _KEPT)
        return effects

    def _give_up(self, take: _Take, message: str) -> list[Effect]:
        self._problems["recognition"] = message
        if take.cut_short or take.was_lost:
            _remember(self._state.to_ask, take.id)
        return [Announce(TakeGivenUp(take.id, message)), *self._tell(message, take.id)]


def _remember(latest: OrderedDict[str, None], what: str) -> None:
    latest[what] = None
    while len(latest) > _MOST_REMEMBERED:
        latest.popitem(last=False)


def _is_short_of(take: _Take, said: TakeRecognised) -> bool:
    """Whether the ear that went took a part of the take with it."""
    if not take.was_lost:
        return False
    return take.held_s is None or said.duration_s < take.held_s - _LOST_AT_MOST_S


def _after_release(press: KeyPressed | KeyToggled) -> KeyPressed | KeyToggled | None:
    """What a press that still waits for the microphone means once its key is up again."""
    match press.manner.mode:
        case "hold":
            return None  # nothing can have been said
        case "hybrid":
            return replace(press, manner=replace(press.manner, mode="toggle"))
        case _:
            return press


def _metadata(said: TakeRecognised, manner: Manner) -> dict[str, Any]:
    return {
        "confidence": round(said.confidence, 3),
        "language": said.language,
        "durationSeconds": round(said.duration_s, 2),
        "model": said.model,
        **({"profile": manner.profile} if manner.profile else {}),
    }
