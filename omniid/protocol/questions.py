"""What the server has asked in mid-command, and the answers it has not acknowledged yet. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from typing import NamedTuple

_MOST = 50


class Key(NamedTuple):
    """What a question and its answer name; a server may leave either out."""

    session_id: str
    step_id: str

    @classmethod
    def of(cls, session_id: object, step_id: object) -> Key:
        return cls(*(part if isinstance(part, str) else "" for part in (session_id, step_id)))


@dataclass(frozen=True, slots=True)
class _Open:
    key: Key
    owner: str | None  # the command that it was asked for
    until: float


@dataclass(frozen=True, slots=True)
class _Answer:
    key: Key
    owner: str | None
    answers: tuple[_Open, ...] = ()
    awaited: bool = True  # else only a response that names it acknowledges it


class Questions:
    """Times are monotonic seconds."""

    def __init__(self) -> None:
        self._open: deque[_Open] = deque(maxlen=_MOST)
        self._unacknowledged: deque[_Answer] = deque(maxlen=_MOST)

    def asked(self, key: Key, owner: str | None, until: float) -> None:
        self._open.append(_Open(key, owner, until))

    def answered(self, key: Key, *, leaves_open: bool = False) -> str | None:
        """Note that an answer goes out; whose question it was. A draft stays open until all is decided."""
        whole = [each for each in self._open if each.key in {key, key._replace(step_id="")}]
        owner = whole[0].owner if whole else None
        for each in () if leaves_open else whole:
            self._open.remove(each)
        self._unacknowledged.append(_Answer(key, owner, tuple(whole)))
        return owner

    def rest_until(self, owner: str) -> float | None:
        """How long a command's deadline rests; None where nothing of its is open."""
        return max((each.until for each in self._open if each.owner == owner), default=None)

    def acknowledged(self, named: Key, *, failed: bool, may_be_nameless: bool) -> Key | None:
        """The answer that a response acknowledges: the one it names, or an error without names the oldest.

        What was answered is open again where the answer was not taken, unless its command is over.
        """
        nameless = named == Key("", "")
        for each in self._unacknowledged:
            is_oldest = failed and nameless and may_be_nameless and each.awaited
            if is_oldest or (each.key == named and not nameless):
                self._unacknowledged.remove(each)
                if failed and each.awaited:
                    self._open.extend(one for one in each.answers if one not in self._open)
                return each.key
        return None

    def left(self, owner: str) -> None:
        """Nobody is going to answer what was asked for a command."""
        for each in [each for each in self._open if each.owner == owner]:
            self._open.remove(each)
        for place, answer in enumerate(self._unacknowledged):
            if answer.owner == owner:
                self._unacknowledged[place] = replace(answer, answers=())

    def settled(self, owner: str) -> None:
        """Forget a command's questions. Answers come in their frames' order: a nameless error came before."""
        self.left(owner)
        for place, answer in enumerate(self._unacknowledged):
            if answer.owner == owner:
                self._unacknowledged[place] = replace(answer, awaited=False)
