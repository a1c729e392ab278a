"""The notices that may be on the screen. Pure.

A notice has a tag; there is at most one with a tag, and a newer one takes its place.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from omniid.events import Event, QuestionPosed, SignInStarted

_MOST_SHOWN = 100


@dataclass(frozen=True, slots=True)
class Notice:
    """`actions` are pairs of a key and its label; `transient` ones need not be kept once they were seen."""

    tag: str
    title: str
    body: str
    actions: tuple[tuple[str, str], ...] = ()
    transient: bool = False


@dataclass(frozen=True, slots=True)
class Withdraw:
    tag: str


Wanted = Notice | Withdraw


@dataclass(slots=True)
class Shown:
    """`about`: its command or take. `replies`: what each key means; one answer ends them, unless `lasting`.

    `of`: what it was made of, where it may have to be made again.
    """

    notice: Notice
    about: str | None = None
    replies: Mapping[str, Event] = field(default_factory=dict)
    lasting: bool = False
    of: QuestionPosed | SignInStarted | None = None


class NoticeBoard:
    def __init__(self) -> None:
        self._shown: OrderedDict[str, Shown] = OrderedDict()

    def __contains__(self, tag: str) -> bool:
        return tag in self._shown

    def get(self, tag: str, about: str | None = None) -> Shown | None:
        """What is there; with `about`, only where it is about that command or take."""
        shown = self._shown.get(tag)
        return shown if shown is not None and about in {None, shown.about} else None

    def show(
        self,
        notice: Notice,
        *,
        about: str | None = None,
        replies: Mapping[str, Event] | None = None,
        lasting: bool = False,
        of: QuestionPosed | SignInStarted | None = None,
    ) -> list[Wanted]:
        """Put it there, the oldest away where there are too many."""
        self._shown.pop(notice.tag, None)
        self._shown[notice.tag] = Shown(notice, about, replies or {}, lasting, of)
        over: list[Wanted] = []
        while len(self._shown) > _MOST_SHOWN:
            tag, _ = self._shown.popitem(last=False)
            over.append(Withdraw(tag))
        return [*over, notice]

    def withdraw(self, tag: str, about: str | None = None) -> list[Wanted]:
        """Take it away, where it is there; with `about`, only where it is about that command or take."""
        if self.get(tag, about) is None:
            return []
        del self._shown[tag]
        return [Withdraw(tag)]

    def answer(self, tag: str, key: str) -> Event | None:
        """What a click on it means; None where it is not there, was answered, or has no such key."""
        shown = self._shown.get(tag)
        if shown is None or key not in shown.replies:
            return None
        event = shown.replies[key]
        if not shown.lasting:
            shown.replies = {}
        return event
