"""Events go out as notices, clicks come back as events: on a real bus where there is one."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from support import notification_server as servers
from support.running import run

from omniid.events import ClockTicked, Event, QuestionAnswered, QuestionPosed, QuestionReplied
from omniid.notice_board import Notice
from omniid.notices import Notices, NoticeSettings
from omniid.notifications.contract import OnAction
from omniid.notifications.notifications import Notifications
from omniid.notifier import Notifier

POSED = QuestionPosed("q1", "approval", "Send the letter?", "c1", again=False)


class Shown(list[Any]):
    """Remembers what it is to show."""

    def show(self, notice: Notice) -> None:
        self.append(notice)

    def withdraw(self, tag: str) -> None:
        self.append(tag)

    async def run(self) -> None:
        self.append("ran")


def test_events_become_notices() -> None:
    shown, posted = Shown(), list[Event]()
    notifier = Notifier(Notices(NoticeSettings()), lambda _on_action: shown, posted.append)
    for event in (ClockTicked(), POSED, QuestionAnswered("q1")):
        notifier.observe(event)
    asyncio.run(notifier.run())

    assert [getattr(each, "tag", each) for each in shown] == ["question:q1", "question:q1", "ran"]
    assert posted == []


def test_a_click_that_means_nothing_posts_nothing() -> None:
    posted = list[Event]()
    notifier = Notifier(Notices(NoticeSettings()), lambda _on_action: Shown(), posted.append)
    notifier.observe(POSED)
    notifier.on_action("question:q1", "format")
    notifier.on_action("question:q9", "approve")
    notifier.on_action("question:q1", "approve")
    notifier.on_action("question:q1", "approve")

    assert posted == [QuestionReplied("q1", None, "approve_all")]


@pytest.mark.skipif(servers.why_unavailable() is not None, reason=str(servers.why_unavailable()))
def test_from_the_question_to_the_click_and_back() -> None:
    from omniid.notifications.freedesktop import Freedesktop  # noqa: PLC0415 Linux only

    async def work() -> None:
        async with servers.desktop() as desktop, asyncio.TaskGroup() as group:
            posted: asyncio.Queue[Event] = asyncio.Queue()

            def screen(on_action: OnAction, on_return: Callable[[], None]) -> Freedesktop:
                return Freedesktop(on_action, on_return, address=desktop.address)

            notifier = Notifier(
                Notices(NoticeSettings()),
                lambda on_action: Notifications(on_action, lambda _problem: None, screen),
                posted.put_nowait,
            )
            with contextlib.ExitStack() as stack:
                stack.callback(group.create_task(notifier.run()).cancel)
                notifier.observe(POSED)
                await desktop.until(lambda: len(desktop.notified) == 1)
                await desktop.emit("ActionInvoked", "us", 1, "approve")
                replied = await posted.get()
                notifier.observe(replied)
                notifier.observe(QuestionAnswered("q1"))
                await desktop.until(lambda: desktop.closed == [1])

            assert replied == QuestionReplied("q1", None, "approve_all")

    run(work)
