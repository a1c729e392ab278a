"""The region of the policy for what omniid says aloud: what, when, in which order, what it has said. Pure.

One utterance is with the mouth at a time; what waits is chosen anew each time. A question of the backend's
goes first, since somebody waits for its answer, then the answer to what was asked last.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Literal

from omniid.effects import Announce, Effect, RememberMuted, Speak, StopSpeech
from omniid.events import HushRequested, Kind, SpeechRequested, VoiceMuted
from omniid.workers.channel import MOUTH_LOST, SpeechFailed, SpeechFinished, SpeechStarted

SpeakWhen = Literal["always", "voice", "never"]
VoiceEvent = SpeechRequested | HushRequested | VoiceMuted | SpeechStarted | SpeechFinished | SpeechFailed

ECHOES_FOR_S = 2.5  # the longest sound from before the key, and the room's own echo
MOST_SPOKEN_CHARS = 50_001  # one more than the mouth reads, so that it sees that there was more
_MOST_WAITING = 50
_MOST_REMEMBERED = 4


class Rank(IntEnum):
    """What is said first."""

    QUESTION = 0
    ANSWER = 1
    REMARK = 2


@dataclass(frozen=True, slots=True)
class _Utterance:
    id: str
    text: str
    rank: Rank
    command_id: str | None = None
    in_history: bool = True
    about: str | None = None
    is_retried: bool = False


@dataclass(slots=True)
class _Said:
    """From when to when it could be heard, in monotonic seconds; None: still."""

    text: str
    since: float
    until: float | None = None


class Voice:
    """`may_speak`: False while the user speaks, since omniid would hear itself.

    `is_silent` tells of a command (or take) whose key wants no spoken answer.
    """

    def __init__(
        self, when: SpeakWhen, may_speak: Callable[[], bool], is_silent: Callable[[str | None], bool]
    ) -> None:
        self._when = when
        self._may_speak = may_speak
        self._is_silent = is_silent
        self._waiting: list[_Utterance] = []
        self._current: _Utterance | None = None
        self._said: deque[_Said] = deque(maxlen=_MOST_REMEMBERED)
        self._number = 0
        self._is_sounding = False
        self.muted = False
        self.problem: str | None = None

    @property
    def is_speaking(self) -> bool:
        """Whether something can be heard."""
        return self._is_sounding

    @property
    def is_busy(self) -> bool:
        """Whether something is heard, or is going to be."""
        return self._current is not None or bool(self._waiting)

    def tell(
        self,
        text: str,
        kind: Kind,
        command_id: str | None = None,
        rank: Rank = Rank.REMARK,
        about: str | None = None,
    ) -> list[Effect]:
        """Say it, if the user wants such things said; in place of what waits to be said `about` the same."""
        wanted = self._when == "always" or (self._when == "voice" and kind == "voice")
        if not wanted or self.muted or self._is_silent(command_id):
            return []
        self._number += 1
        replaced = [] if about is None else self.withdraw(about)
        words = text[:MOST_SPOKEN_CHARS]
        return [*replaced, *self._add(_Utterance(f"u{self._number}", words, rank, command_id, about=about))]

    def still_waits(self, about: str) -> bool:
        """Whether what is to be said of this has not begun to be said."""
        return any(each.about == about for each in self._waiting)

    def withdraw(self, about: str) -> list[Effect]:
        """Do not say any more what is not so any more."""
        return self._forget([each for each in self._waiting if each.about == about])

    def next(self) -> list[Effect]:
        """What is said now, unless the mouth has something already, or the user talks."""
        if self._current is not None or not self._waiting or not self._may_speak():
            return []
        self._current = chosen = _first(self._waiting)
        self._waiting.remove(chosen)
        return [_speak(chosen)]

    def handle(self, event: VoiceEvent, now: float) -> list[Effect]:
        match event:
            case SpeechRequested(utterance_id=utterance_id, text=text):
                requested = _Utterance(utterance_id, text, Rank.REMARK, in_history=False)
                return [Announce(_silenced(requested))] if self.muted else self._add(requested)
            case HushRequested():
                self._end(now)
                return [*self._forget(self._waiting), StopSpeech()]
            case VoiceMuted(muted=muted):
                self.muted = muted
                silenced = self._silence(self._waiting, now) if muted else []
                return [*silenced, RememberMuted(muted)]
            case SpeechStarted(utterance_id=utterance_id):
                return self._on_started(utterance_id, now)
            case SpeechFinished(utterance_id=utterance_id):
                return self._over(utterance_id, now)
            case SpeechFailed(utterance_id=utterance_id, code=code, message=message):
                if code == MOUTH_LOST:
                    return self._mouth_lost(utterance_id, now)
                self.problem = message
                return self._over(utterance_id, now)

    def barge_in(self, now: float) -> list[Effect]:
        """The user is about to speak: silence. What was asked and not yet said is said later."""
        return self._silence([each for each in self._waiting if each.rank is not Rank.QUESTION], now)

    def said_at(self, moment: float) -> list[str]:
        """What could be heard then, or shortly before."""
        return [
            said.text
            for said in self._said
            if said.since <= moment and (said.until is None or said.until + ECHOES_FOR_S >= moment)
        ]

    def _add(self, utterance: _Utterance) -> list[Effect]:
        self._waiting.append(utterance)
        dropped = [_last(self._waiting)] if len(self._waiting) > _MOST_WAITING else []
        return [*self._forget(dropped), *self.next()]

    def _silence(self, unsaid: list[_Utterance], now: float) -> list[Effect]:
        was_with_the_mouth = self._current is not None
        self._end(now)
        return [*self._forget(unsaid), *([StopSpeech()] if was_with_the_mouth else [])]

    def _forget(self, unsaid: list[_Utterance]) -> list[Effect]:
        """Whoever asked for one of them to be said is told that it is over."""
        self._waiting = [each for each in self._waiting if each not in unsaid]
        return [Announce(_silenced(each)) for each in unsaid if not each.in_history]

    def _end(self, now: float) -> None:
        if self._is_sounding:
            self._said[-1].until = now
        self._current, self._is_sounding = None, False

    def _mouth_lost(self, utterance_id: str, now: float) -> list[Effect]:
        """What nobody has heard anything of is said by the next mouth, but not by a third."""
        lost = self._current
        if lost is not None and lost.id == utterance_id and not self._is_sounding and not lost.is_retried:
            self._current = replace(lost, is_retried=True)
            return [_speak(self._current)]
        return self._over(utterance_id, now)

    def _on_started(self, utterance_id: str, now: float) -> list[Effect]:
        self.problem = None
        if self._current is not None and self._current.id == utterance_id:
            self._is_sounding = True
            self._said.append(_Said(self._current.text, now))
        return []

    def _over(self, utterance_id: str, now: float) -> list[Effect]:
        """A report about another one is about one that was stopped, and that changed nothing since."""
        if self._current is None or self._current.id != utterance_id:
            return []
        self._end(now)
        return self.next()


def _speak(utterance: _Utterance) -> Speak:
    return Speak(utterance.id, utterance.text, utterance.command_id, utterance.in_history)


def _silenced(utterance: _Utterance) -> SpeechFinished:
    return SpeechFinished(utterance.id, "stopped")


def _first(waiting: list[_Utterance]) -> _Utterance:
    """Ids of commands rise with time: the greatest is that of the latest."""
    rank = min(each.rank for each in waiting)
    alike = [each for each in waiting if each.rank is rank]
    match rank:
        case Rank.QUESTION:
            return alike[-1]
        case Rank.ANSWER:
            return max(alike, key=lambda each: each.command_id or "")
        case Rank.REMARK:
            return alike[0]


def _last(waiting: list[_Utterance]) -> _Utterance:
    """What is missed least."""
    rank = max(each.rank for each in waiting)
    return next(each for each in waiting if each.rank is rank)
