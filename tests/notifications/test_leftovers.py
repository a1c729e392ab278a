"""What a killed omniid left on the screen, taken away by the next one: real kills, on a real bus."""

from __future__ import annotations

import asyncio
import contextlib
import json
import stat
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

if sys.platform != "linux":
    pytest.skip("the session bus is Linux's", allow_module_level=True)

from structlog.testing import capture_logs
from support import flow
from support import notification_server as servers
from support.field import QUESTION, address, served
from support.hotkeys import WITHIN_S
from support.notice_child import ASKED, READ, killed
from support.notification_server import Desktop
from support.running import run
from websockets.asyncio.server import ServerConnection

from omniid.notice_board import Notice
from omniid.notifications.contract import OnAction, Screen
from omniid.notifications.freedesktop import Freedesktop
from omniid.notifications.leftovers import Leftovers
from omniid.notifications.notifications import Notifications

pytestmark = pytest.mark.skipif(servers.why_unavailable() is not None, reason=str(servers.why_unavailable()))

SIGN_IN = Notice("sign-in:1", "Please sign in", "", (("open", "Open the page"),))
MAY_STAY = "notices that a killed omniid leaves on the screen may stay"


@contextlib.asynccontextmanager
async def running(desktop: Desktop, leftovers: Path) -> AsyncIterator[Notifications]:
    def screen(on_action: OnAction, on_return: Callable[[], None]) -> Screen:
        return Freedesktop(on_action, on_return, address=desktop.address, leftovers=leftovers)

    notifications = Notifications(lambda _tag, _key: None, lambda _problem: None, screen)
    async with asyncio.TaskGroup() as group:
        task = group.create_task(notifications.run())
        try:
            yield notifications
        finally:
            task.cancel()


@contextlib.asynccontextmanager
async def screen_on(desktop: Desktop, leftovers: Path) -> AsyncIterator[Freedesktop]:
    screen = Freedesktop(lambda _tag, _key: None, lambda: None, address=desktop.address, leftovers=leftovers)
    try:
        yield screen
    finally:
        await screen.close()


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def until(is_so: Callable[[], bool]) -> None:
    """Until a file makes it so."""
    async with asyncio.timeout(WITHIN_S):
        while not is_so():  # noqa: ASYNC110 a file tells nobody
            await asyncio.sleep(0.02)


def test_what_a_killed_process_asked_goes_at_the_next_start_before_anything_is_shown(tmp_path: Path) -> None:
    leftovers = tmp_path / "notices"

    async def work() -> None:
        async with servers.desktop() as desktop:
            await killed(desktop.address, leftovers)
            async with running(desktop, leftovers) as notifications:
                notifications.show(ASKED)
                await desktop.until(lambda: len(desktop.notified) == 3)
                names = [name for name, _ in desktop.calls]

                assert desktop.closed == [2]
                assert names.index("CloseNotification") < len(names) - 1 - names[::-1].index("Notify")
                assert desktop.notified[-1].replaces == 0

    run(work)


def test_it_goes_without_anything_new_to_show_and_only_once(tmp_path: Path) -> None:
    leftovers = tmp_path / "notices"

    async def work() -> None:
        async with servers.desktop() as desktop:
            await killed(desktop.address, leftovers)
            assert stat.S_IMODE(leftovers.stat().st_mode) == 0o600
            async with running(desktop, leftovers):
                await desktop.until(lambda: desktop.closed == [2])
            assert names(tmp_path) == []
            async with running(desktop, leftovers) as notifications:
                notifications.show(READ)
                await desktop.until(lambda: len(desktop.notified) == 3)

            assert desktop.closed == [2]

    run(work)


def test_another_server_is_not_told_to_close_anything(tmp_path: Path) -> None:
    leftovers = tmp_path / "notices"

    async def work() -> None:
        async with servers.desktop() as desktop:
            await killed(desktop.address, leftovers)
            assert leftovers.exists()
            await desktop.kill("server")
            await desktop.start_server()
            async with running(desktop, leftovers) as notifications:
                notifications.show(READ)
                await desktop.until(lambda: len(desktop.notified) == 3)

                assert desktop.closed == []
                assert not leftovers.exists()

    run(work)


def test_a_server_of_the_same_name_on_another_bus_is_another(tmp_path: Path) -> None:
    leftovers, elsewhere = tmp_path / "notices", tmp_path / "elsewhere"

    async def work() -> None:
        async with servers.desktop() as desktop, servers.desktop() as other:
            await killed(desktop.address, leftovers)
            await killed(other.address, elsewhere)
            _, slash, the_same = leftovers.read_text().partition("/")
            bus, _, _ = elsewhere.read_text().partition("/")
            leftovers.write_text(f"{bus}{slash}{the_same}")
            async with running(desktop, leftovers) as notifications:
                notifications.show(READ)
                await desktop.until(lambda: len(desktop.notified) == 3)

                assert desktop.closed == []
                assert not leftovers.exists()

    run(work)


def test_no_bus_at_the_start_does_not_lose_them(tmp_path: Path) -> None:
    leftovers = tmp_path / "notices"

    async def work() -> None:
        async with servers.desktop() as desktop:
            await killed(desktop.address, leftovers)
            (desktop.folder / "bus").rename(desktop.folder / "aside")
            async with screen_on(desktop, leftovers) as screen:
                await screen.begin()
                (desktop.folder / "aside").rename(desktop.folder / "bus")
                await screen.show(READ)
                await desktop.until(lambda: len(desktop.notified) == 3)

                assert desktop.closed == [2]

    run(work)


def test_a_connection_that_breaks_off_leaves_nothing_that_no_click_reaches(tmp_path: Path) -> None:
    async def work() -> None:
        async with servers.desktop() as desktop, screen_on(desktop, tmp_path / "notices") as screen:
            await screen.show(ASKED)
            assert screen._bus is not None
            screen._bus.disconnect()
            await screen.withdraw(ASKED.tag)
            await screen.show(READ)
            await desktop.until(lambda: len(desktop.notified) == 2)

            assert desktop.closed == [1]

    run(work)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff\xfe 1", id="not text"),
        pytest.param(b"x" * 10_000, id="long"),
        pytest.param(b"a/:1.2 one", id="a word"),
        pytest.param(b"a/:1.2 -1", id="below"),
        pytest.param(b"a/:1.2 4294967296", id="above"),
    ],
)
def test_a_broken_file_is_told_once_and_notices_go_on(tmp_path: Path, content: bytes) -> None:
    leftovers = tmp_path / "notices"
    leftovers.write_bytes(content)

    async def work() -> None:
        async with servers.desktop() as desktop:
            with capture_logs() as logs:
                async with running(desktop, leftovers) as notifications:
                    notifications.show(READ)
                    await desktop.until(lambda: len(desktop.notified) == 1)
            told = [entry for entry in logs if entry["event"] == MAY_STAY]

            assert [(entry["log_level"], entry["problem"]) for entry in told] == [
                ("warning", "it is damaged")
            ]
            assert names(tmp_path) == []

            await killed(desktop.address, leftovers)
            async with running(desktop, leftovers):
                await desktop.until(lambda: 3 in desktop.closed)

    run(work)


@pytest.mark.parametrize("where", ["a folder", "no folder/notices"])
def test_a_file_that_cannot_be_written_is_told_once_and_notices_go_on(tmp_path: Path, where: str) -> None:
    (tmp_path / "a folder" / "full").mkdir(parents=True)

    async def work() -> None:
        async with servers.desktop() as desktop:
            with capture_logs() as logs:
                async with running(desktop, tmp_path / where) as notifications:
                    notifications.show(ASKED)
                    notifications.show(SIGN_IN)
                    await desktop.until(lambda: len(desktop.notified) == 2)
                    notifications.withdraw(ASKED.tag)
                    await desktop.until(lambda: desktop.closed == [1])

            assert [entry["event"] for entry in logs if entry["log_level"] == "warning"] == [MAY_STAY]

    run(work)


def test_the_file_is_written_only_where_what_could_be_answered_changes(tmp_path: Path) -> None:
    leftovers = tmp_path / "notices"

    def written() -> tuple[int, int]:
        found = leftovers.stat()
        return found.st_ino, found.st_mtime_ns

    async def work() -> None:
        async with servers.desktop() as desktop, screen_on(desktop, leftovers) as screen:
            await screen.show(READ)
            assert not leftovers.exists()
            await screen.show(ASKED)
            before = written()
            await screen.show(ASKED)
            await screen.show(READ)
            await screen.withdraw(READ.tag)
            assert written() == before
            await screen.show(SIGN_IN)
            assert leftovers.read_text().split()[1:] == ["2", "3"]
            await screen.withdraw(ASKED.tag)
            assert leftovers.read_text().split()[1:] == ["3"]
            await desktop.emit("NotificationClosed", "uu", 3, 2)
            await until(lambda: not leftovers.exists())
            await screen.show(ASKED)
            assert leftovers.exists()
            await screen.show(Notice(ASKED.tag, "omniid", "Sent."))
            assert not leftovers.exists()
            await screen.show(SIGN_IN)
            assert leftovers.exists()
            await desktop.kill("server")
            await until(lambda: not leftovers.exists())

    run(work)


def test_who_ends_in_order_leaves_no_file(tmp_path: Path) -> None:
    leftovers = tmp_path / "notices"

    async def work() -> None:
        async with servers.desktop() as desktop:
            async with screen_on(desktop, leftovers) as screen:
                await screen.show(ASKED)
                assert leftovers.exists()
            await desktop.until(lambda: desktop.closed == [1])

            assert names(tmp_path) == []

    run(work)


def test_as_many_as_can_be_on_the_screen_are_read_again(tmp_path: Path) -> None:
    server, ids = f"{'f' * 32}/:1.{'9' * 200}", frozenset(range(0xFFFF_FFFF - 49, 0xFFFF_FFFF + 1))
    Leftovers(tmp_path / "notices").keep(server, ids)

    assert Leftovers(tmp_path / "notices").take(server) == ids


def test_the_question_of_a_killed_daemon_goes_when_the_next_one_starts(tmp_path: Path) -> None:
    async def backend(link: ServerConnection) -> None:
        async for frame in link:
            if json.loads(frame)["type"] == "command":
                await link.send(json.dumps(QUESTION))

    async def work() -> None:
        async with servers.desktop() as desktop:
            with served(backend) as port:
                config = {"backend": {"url": address(port)}, "speech": {"engine": "none"}}
                house = flow.daemon(tmp_path, config, DBUS_SESSION_BUS_ADDRESS=desktop.address)
                with house:
                    await asyncio.to_thread(flow.until_ready, house)
                    command: dict[str, Any] = {"message": "Send it"}
                    await asyncio.to_thread(house.client.call, "POST", "/v1/commands", command)
                    leftovers = tmp_path / "run" / "notices"
                    await desktop.until(lambda: bool(desktop.notified))
                    await until(leftovers.exists)
                    assert desktop.notified[-1].title == "omniid asks"
                    assert house.process is not None
                    house.process.kill()
                    await asyncio.to_thread(house.stop)

                    await asyncio.to_thread(house.__enter__)
                    await desktop.until(lambda: desktop.closed == [1])
                    shows = [name for name, _ in desktop.calls if not name.startswith("Get")]
                    assert shows[:2] == ["Notify", "CloseNotification"]

    run(work)
