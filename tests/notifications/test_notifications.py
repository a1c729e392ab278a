"""The queue before the screen, on a real bus: never more than it should hold, and patient with a server."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sys
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

if sys.platform != "linux":
    pytest.skip("the session bus is Linux's", allow_module_level=True)

from structlog.testing import capture_logs
from support import notification_server as servers
from support.hotkeys import WITHIN_S
from support.notification_server import Desktop
from support.running import run

from omniid.notice_board import Notice
from omniid.notifications.contract import PACE, OnAction, Pace, Screen
from omniid.notifications.freedesktop import Freedesktop
from omniid.notifications.macos import MacOS
from omniid.notifications.notifications import MOST_WAITING, Notifications, make

pytestmark = pytest.mark.skipif(servers.why_unavailable() is not None, reason=str(servers.why_unavailable()))

YES_NO = (("yes", "Yes"), ("no", "No"))
ASKED = Notice("question:q1", "omniid asks", "Send it?", YES_NO)
# A retry by the clock never comes in a test that does not wait for it.
IMPATIENT = Pace(answer_s=2.0, retry_s=3600.0)
QUICK = Pace(answer_s=2.0, retry_s=0.2)


@dataclass
class Running:
    desktop: Desktop
    notifications: Notifications
    clicks: list[tuple[str, str]] = field(default_factory=list)
    problems: list[str | None] = field(default_factory=list)
    _told: asyncio.Event = field(default_factory=asyncio.Event)

    def tell(self, problem: str | None) -> None:
        self.problems.append(problem)
        self._told.set()

    async def until_told(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(WITHIN_S):
            while not is_so():
                self._told.clear()
                await self._told.wait()


@contextlib.asynccontextmanager
async def running(*, server: bool = True, pace: Pace = PACE) -> AsyncIterator[Running]:
    async with servers.desktop(server=server) as desktop:

        def screen(on_action: OnAction, on_return: Callable[[], None]) -> Screen:
            return Freedesktop(on_action, on_return, address=desktop.address, pace=pace)

        def clicked(tag: str, key: str) -> None:
            one.clicks.append((tag, key))

        def told(problem: str | None) -> None:
            one.tell(problem)

        one = Running(desktop, Notifications(clicked, told, screen, pace))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(one.notifications.run())
            try:
                yield one
            finally:
                task.cancel()


def titles(desktop: Desktop) -> list[str]:
    return [shown.title for shown in desktop.notified]


def test_each_platform_has_its_screen(tmp_path: Path) -> None:
    leftovers = tmp_path / "notices"
    assert isinstance(make("darwin", lambda _tag, _key: None, print, leftovers)._screen, MacOS)
    assert isinstance(make("linux", lambda _tag, _key: None, print, leftovers)._screen, Freedesktop)


def test_shown_replaced_clicked_withdrawn() -> None:
    async def work() -> None:
        async with running() as one:
            one.notifications.show(ASKED)
            await one.desktop.until(lambda: len(one.desktop.notified) == 1)
            one.notifications.show(Notice(ASKED.tag, "Still waiting", "Send it?", YES_NO))
            await one.desktop.until(lambda: len(one.desktop.notified) == 2)
            one.notifications.show(Notice("other", "title", "body"))
            await one.desktop.until(lambda: len(one.desktop.notified) == 3)
            await one.desktop.emit("ActionInvoked", "us", 1, "yes")
            one.notifications.withdraw(ASKED.tag)
            await one.desktop.until(lambda: one.desktop.closed == [1])

            assert [shown.replaces for shown in one.desktop.notified] == [0, 1, 0]
            assert one.clicks == [(ASKED.tag, "yes")]
            assert one.problems == []

    run(work)


def test_a_click_on_what_is_about_to_be_replaced_or_withdrawn_says_nothing() -> None:
    async def work() -> None:
        async with running(pace=IMPATIENT) as one:
            for tag in ("a", "b", "c"):
                one.notifications.show(Notice(tag, "title", "body", YES_NO))
            await one.desktop.until(lambda: len(one.desktop.notified) == 3)
            one.notifications.show(Notice("a", "title", "other words", YES_NO))
            one.notifications.withdraw("b")
            for tag in ("a", "b", "c"):
                one.notifications._acted(tag, "yes")

            assert one.clicks == [("c", "yes")]

    run(work)


def test_a_thousand_at_once_do_not_pile_up() -> None:
    async def work() -> None:
        async with running() as one:
            with capture_logs() as logs:
                for number in range(1_000):
                    one.notifications.show(Notice(f"t{number}", str(number), "body"))
                await one.desktop.until(lambda: "999" in titles(one.desktop))

            assert titles(one.desktop) == [str(number) for number in range(1_000 - MOST_WAITING, 1_000)]
            assert [entry["left_out"] for entry in logs if "left_out" in entry] == [1_000 - MOST_WAITING]

    run(work)


def test_of_a_thousand_with_one_tag_the_last_is_shown() -> None:
    async def work() -> None:
        async with running() as one:
            for number in range(1_000):
                one.notifications.show(Notice("conversation", str(number), "body"))
            await one.desktop.until(lambda: "999" in titles(one.desktop))

            assert titles(one.desktop) == ["999"]

    run(work)


def test_withdrawn_before_it_was_shown() -> None:
    async def work() -> None:
        async with running() as one:
            one.notifications.show(ASKED)
            one.notifications.withdraw(ASKED.tag)
            one.notifications.withdraw("never shown")
            one.notifications.show(Notice("other", "title", "body"))
            await one.desktop.until(lambda: len(one.desktop.notified) == 1)

            assert titles(one.desktop) == ["title"]

    run(work)


def test_withdrawn_while_it_is_being_shown() -> None:
    async def work() -> None:
        async with running() as one:
            working = asyncio.Event()
            shows = one.notifications._screen.show

            async def watched(notice: Notice) -> None:
                working.set()
                await shows(notice)

            one.notifications._screen.show = watched  # type: ignore[method-assign]
            one.desktop.hang("server")
            one.notifications.show(ASKED)
            await asyncio.wait_for(working.wait(), WITHIN_S)
            one.notifications.withdraw(ASKED.tag)
            one.desktop.resume("server")
            await one.desktop.until(lambda: one.desktop.closed == [1])

    run(work)


def test_no_server_is_told_once_and_what_matters_is_shown_when_one_comes() -> None:
    async def work() -> None:
        async with running(server=False, pace=IMPATIENT) as one:
            one.notifications.show(ASKED)
            one.notifications.show(Notice("capture", "I am listening", "", transient=True))
            await one.until_told(lambda: bool(one.problems))
            one.notifications.show(Notice("conversation", "You said", "a"))
            one.notifications.show(Notice("conversation", "I heard nothing", "", transient=True))
            one.notifications.show(Notice("message", "Notice", "old"))
            one.notifications.show(Notice("message", "Notice", "new"))
            one.notifications.show(Notice("uncertain:1", "Was this done?", ""))
            one.notifications.withdraw("uncertain:1")
            await one.desktop.start_server()
            await one.desktop.until(lambda: len(one.desktop.notified) == 2)
            await one.until_told(lambda: len(one.problems) == 2)

            assert titles(one.desktop) == ["omniid asks", "Notice"]
            assert one.desktop.notified[1].body == "new"
            assert str(one.problems[0]).startswith("Nobody shows notifications on this desktop.")
            assert one.problems[1] is None

    run(work)


def test_after_a_failure_the_next_notice_tries_again_but_not_at_once() -> None:
    async def work() -> None:
        async with running(server=False, pace=QUICK) as one:
            tries: list[float] = []
            screen = one.notifications._screen
            shows = screen.show

            async def counted(notice: Notice) -> None:
                tries.append(time.monotonic())
                await shows(notice)

            screen.show = counted  # type: ignore[method-assign]
            one.notifications.show(ASKED)
            await one.until_told(lambda: bool(one.problems))
            until = time.monotonic() + 5 * QUICK.retry_s
            number = 0
            while time.monotonic() < until:
                one.notifications.show(Notice("message", str(number), "body"))
                number += 1
                await asyncio.sleep(0.01)

            assert 2 <= len(tries) <= 6
            assert all(later - earlier >= QUICK.retry_s for earlier, later in itertools.pairwise(tries))
            assert len(one.problems) == 1

    run(work)


def test_without_news_nobody_is_asked_again() -> None:
    async def work() -> None:
        async with running(server=False, pace=QUICK) as one:
            with capture_logs() as logs:
                one.notifications.show(ASKED)
                await one.until_told(lambda: bool(one.problems))
                await asyncio.sleep(5 * QUICK.retry_s)

            assert len([entry for entry in logs if entry["event"] == "nobody shows notices yet"]) == 1

    run(work)


def test_a_server_that_hangs_is_told_once_and_never_holds_up_the_caller() -> None:
    async def work() -> None:
        async with running(pace=IMPATIENT) as one:
            one.notifications.show(Notice("other", "title", "body"))
            await one.desktop.until(lambda: len(one.desktop.notified) == 1)
            one.desktop.hang("server")
            begun = time.monotonic()
            for number in range(1_000):
                one.notifications.show(Notice(f"t{number}", str(number), "body"))
            assert time.monotonic() - begun < 1
            await one.until_told(lambda: bool(one.problems))
            assert len(one.notifications._waiting) <= MOST_WAITING
            one.desktop.resume("server")
            await one.desktop.until(lambda: "999" in titles(one.desktop))

            assert len(one.problems) == 2
            assert one.problems[1] is None
            assert len(titles(one.desktop)) == 1 + MOST_WAITING

    run(work)


def test_a_server_that_is_killed_and_started_again() -> None:
    async def work() -> None:
        async with running(pace=IMPATIENT) as one:
            one.notifications.show(ASKED)
            await one.desktop.until(lambda: len(one.desktop.notified) == 1)
            await one.desktop.kill("server")
            one.notifications.show(ASKED)
            await one.until_told(lambda: bool(one.problems))
            await one.desktop.start_server()
            await one.desktop.until(lambda: len(one.desktop.notified) == 2)

            assert one.desktop.notified[1].replaces == 0

    run(work)


def test_a_notice_that_is_refused_holds_up_no_other() -> None:
    async def work() -> None:
        async with running(pace=IMPATIENT) as one:
            refuse = "if args[3] == 'bad': raise ValueError('no')\nret = 1"
            await one.desktop.behave("Notify", "susssasa{sv}i", "u", refuse)
            one.notifications.show(Notice("a", "bad", "body"))
            one.notifications.show(Notice("b", "bad", "body"))
            one.notifications.show(Notice("c", "good", "body"))
            await one.until_told(lambda: len(one.problems) == 2)

            assert one.problems[1] is None
            assert titles(one.desktop) == ["bad", "bad", "good"]

    run(work)


def test_at_the_end_questions_are_withdrawn() -> None:
    async def work() -> None:
        async with servers.desktop() as desktop:
            notifications = Notifications(
                lambda _tag, _key: None,
                lambda _problem: None,
                lambda on_action, on_return: Freedesktop(on_action, on_return, address=desktop.address),
            )
            async with asyncio.TaskGroup() as group:
                task = group.create_task(notifications.run())
                notifications.show(ASKED)
                notifications.show(Notice("conversation", "omniid", "It is noon."))
                await desktop.until(lambda: len(desktop.notified) == 2)
                # The second answer may be on its way still; the first has come.
                task.cancel()
            await desktop.until(lambda: bool(desktop.closed))

            assert desktop.closed == [1]

    run(work)


@pytest.mark.parametrize("part", ["server", "bus"])
def test_the_end_does_not_wait_for_what_hangs(part: str) -> None:
    async def work() -> None:
        async with running() as one:
            one.notifications.show(ASKED)
            await one.desktop.until(lambda: len(one.desktop.notified) == 1)
            one.desktop.hang(part)
            one.notifications.show(Notice("other", "title", "body"))
            begun = time.monotonic()
        assert time.monotonic() - begun < PACE.answer_s

    run(work)
