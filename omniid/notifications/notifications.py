"""The notices on their way to the screen: a short queue, and what to do while nobody shows any."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Never

import structlog

from omniid.notice_board import Notice, Withdraw
from omniid.notifications.contract import PACE, NotShownError, OnAction, Pace, Screen

log = structlog.get_logger()

MOST_WAITING = 50

# Told what keeps notices from being shown, once; None: it works again. Quick, and must not raise.
OnProblem = Callable[[str | None], None]
# Given what to call for a click, and when it is worth trying again.
NewScreen = Callable[[OnAction, Callable[[], None]], Screen]


def make(platform: str, on_action: OnAction, on_problem: OnProblem, leftovers: Path) -> Notifications:
    """What shows notices on this platform, which is named as by `sys.platform`.

    `leftovers`: a file, in a private folder, for what must be taken away should omniid be killed.
    """
    new_screen = _on_macos if platform == "darwin" else partial(_on_a_bus, leftovers)
    return Notifications(on_action, on_problem, new_screen)


def _on_macos(_on_action: OnAction, _on_return: Callable[[], None]) -> Screen:
    from omniid.notifications.macos import MacOS  # noqa: PLC0415 only there

    return MacOS()


def _on_a_bus(leftovers: Path, on_action: OnAction, on_return: Callable[[], None]) -> Screen:
    from omniid.notifications.freedesktop import Freedesktop  # noqa: PLC0415 heavy, and not for macOS

    return Freedesktop(on_action, on_return, leftovers=leftovers)


class Notifications:
    """`show` and `withdraw` never wait, and never fail; `run` does the work."""

    def __init__(
        self, on_action: OnAction, on_problem: OnProblem, screen: NewScreen, pace: Pace = PACE
    ) -> None:
        self._on_action = on_action
        self._on_problem = on_problem
        self._screen = screen(self._acted, self._returned)
        self._pace = pace
        self._waiting: OrderedDict[str, Notice | Withdraw] = OrderedDict()
        self._news = asyncio.Event()
        self._back = asyncio.Event()
        self._in_work: str | None = None
        self._is_away = False
        self._left_out = 0
        self._problem: str | None = None

    def show(self, notice: Notice) -> None:
        """Have it shown in place of the one with its tag.

        While nobody shows any, a transient one is not kept for later; it still ends what it replaces.
        """
        if notice.transient and self._is_away:
            self._waiting.pop(notice.tag, None)
        else:
            self._put(notice)

    def withdraw(self, tag: str) -> None:
        """Have the notice with this tag taken away, or not shown at all."""
        if tag == self._in_work or self._screen.shows(tag):
            self._put(Withdraw(tag))
        else:
            self._waiting.pop(tag, None)

    async def run(self) -> Never:
        """Show what comes, until cancelled; then what can no longer be answered is taken away.

        What another run could not take away any more goes before anything is shown.
        """
        try:
            await self._screen.begin()
            while True:
                await self._news.wait()
                await self._work()
        finally:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pace.leave_s):
                    await self._screen.close()

    def _put(self, wanted: Notice | Withdraw) -> None:
        self._waiting[wanted.tag] = wanted
        if len(self._waiting) > MOST_WAITING:
            self._drop_oldest()
        self._news.set()

    def _drop_oldest(self) -> None:
        """A notice before a withdrawal: what is on the screen and no longer true is worse."""
        notices = (tag for tag, wanted in self._waiting.items() if isinstance(wanted, Notice))
        tag = next(notices, next(iter(self._waiting)))
        del self._waiting[tag]
        self._left_out += 1

    async def _work(self) -> None:
        """Empty the queue; where nobody is there to show it, let some time pass."""
        self._news.clear()
        if self._left_out:
            log.warning("too many notices waited to be shown", left_out=self._left_out)
            self._left_out = 0
        while self._waiting:
            tag, wanted = self._waiting.popitem(last=False)
            self._in_work = tag
            try:
                if isinstance(wanted, Notice):
                    await self._screen.show(wanted)
                    self._tell(None)
                else:
                    await self._screen.withdraw(tag)
            except NotShownError as error:
                self._tell(str(error))
                if error.is_away:
                    await self._pause(wanted if error.is_lost else None)
                    return
            finally:
                self._in_work = None

    async def _pause(self, lost: Notice | Withdraw | None) -> None:
        """Until a server comes back, or it is time to see whether one has, with the next notice."""
        if lost is not None and lost.tag not in self._waiting:
            self._waiting[lost.tag] = lost
            self._waiting.move_to_end(lost.tag, last=False)
        for tag, wanted in list(self._waiting.items()):
            if isinstance(wanted, Notice) and wanted.transient:
                del self._waiting[tag]
        self._in_work, self._is_away = None, True
        self._news.clear()
        self._back.clear()
        try:
            async with asyncio.timeout(self._pace.retry_s):
                await self._back.wait()
        except TimeoutError:
            log.debug("nobody shows notices yet", waiting=len(self._waiting))
        finally:
            self._is_away = False

    def _tell(self, problem: str | None) -> None:
        if (problem is None) != (self._problem is None):
            self._on_problem(problem)
        self._problem = problem

    def _returned(self) -> None:
        self._back.set()
        self._news.set()

    def _acted(self, tag: str, key: str) -> None:
        """A click on a notice that has been replaced or withdrawn, and still on the screen, says nothing."""
        if tag not in self._waiting:
            self._on_action(tag, key)
