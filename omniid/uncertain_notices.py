"""The notices of commands that may have been done or not: a few have their own, others are counted. Pure."""

from __future__ import annotations

from collections import OrderedDict

from omniid.events import FateDecided
from omniid.notice_board import Notice, NoticeBoard, Wanted

_MOST_OWN = 5
_MOST_KNOWN = 1_000
_TAG = "uncertain"
_TITLE = "Was this done?"


class UncertainNotices:
    def __init__(self, board: NoticeBoard) -> None:
        self._board = board
        self._has_own: OrderedDict[str, bool] = OrderedDict()

    def uncertain(self, command_id: str, message: str) -> list[Wanted]:
        """Nobody knows whether that command was done."""
        if command_id in self._has_own:
            return []
        own = sum(self._has_own.values()) < _MOST_OWN
        self._has_own[command_id] = own
        if len(self._has_own) > _MOST_KNOWN:
            self._has_own.popitem()  # this one: the first of them have notices of their own
        if not own:
            return self._count_the_rest()
        words = f"“{message}”\n" if message else ""
        notice = Notice(
            f"{_TAG}:{command_id}",
            _TITLE,
            f"{words}It may have been done already. Nothing is repeated by itself.",
            (("retry", "Send it again"), ("drop", "Drop it")),
        )
        replies = {
            "retry": FateDecided(command_id, again=True),
            "drop": FateDecided(command_id, again=False),
        }
        return self._board.show(notice, about=command_id, replies=replies)

    def certain(self, command_id: str) -> list[Wanted]:
        """It is known now, or never was in doubt."""
        own = self._has_own.pop(command_id, None)
        if own is None:
            return []
        return self._board.withdraw(f"{_TAG}:{command_id}") if own else self._count_the_rest()

    def _count_the_rest(self) -> list[Wanted]:
        number = len(self._has_own) - sum(self._has_own.values())
        if not number:
            return self._board.withdraw(_TAG)
        many = "One more command" if number == 1 else f"{number:,} more commands"
        body = f"{many} may have been done already. `omniid outbox list` shows them; nothing is repeated."
        return self._board.show(Notice(_TAG, _TITLE, body))
