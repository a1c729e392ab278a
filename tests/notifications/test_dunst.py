"""The screen of Linux desktops, against a server that people use: dunst, on a display of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import sys
import tempfile
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from support import notice_child, portal, xvfb
from support.hotkeys import WITHIN_S
from support.running import run

if sys.platform != "linux":
    pytest.skip("the session bus is Linux's", allow_module_level=True)

from omniid.notice_board import Notice
from omniid.notifications.freedesktop import Freedesktop

PROGRAMS = ("dbus-daemon", "dbus-send", "dunst", "dunstctl")
MISSING = [program for program in PROGRAMS if shutil.which(program) is None]
pytestmark = [
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)} (Debian: dbus, dunst)"),
    pytest.mark.skipif(xvfb.why_unavailable() is not None, reason=str(xvfb.why_unavailable())),
]

ASKED = Notice("question:q1", "omniid asks", "Send it?", (("yes", "Yes"), ("no", "No")))
# dunst shows the buttons of a notice in a menu: the person there takes the line with this word.
MENU = "#!/bin/sh\ngrep -m1 No\n"


class Dunst(portal.Desktop):
    async def start_server(self, display: str) -> None:
        menu = self.folder / "menu"
        menu.write_text(MENU)
        menu.chmod(0o700)
        config = self.folder / "dunstrc"
        config.write_text(f"[global]\ndmenu = {menu}\n")
        self._environment["DISPLAY"] = display
        await self._start("dunst", "dunst", "-config", str(config))
        await self._wait_for_owner("org.freedesktop.Notifications")

    async def ctl(self, *words: str) -> str:
        asking = await asyncio.create_subprocess_exec(
            "dunstctl", *words, env=self._environment, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL
        )
        async with asyncio.timeout(WITHIN_S):
            said, _ = await asking.communicate()
        return said.decode().strip()

    async def until_there_are(self, **counts: int) -> None:
        """So many `displayed`, `waiting` or in the `history`."""
        async with asyncio.timeout(WITHIN_S):
            for where, count in counts.items():
                while await self.ctl("count", where) != str(count):  # noqa: ASYNC110 dunst tells nobody
                    await asyncio.sleep(0.02)

    async def past(self) -> list[dict[str, Any]]:
        """What is no longer on the screen, the newest first."""
        notices = json.loads(await self.ctl("history"))["data"][0]
        return [{name: value["data"] for name, value in notice.items()} for notice in notices]


class Screen:
    def __init__(self, dunst: Dunst) -> None:
        self.clicks: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.dunst = dunst
        self.screen = Freedesktop(
            lambda tag, key: self.clicks.put_nowait((tag, key)), lambda: None, address=dunst.address
        )


@contextlib.asynccontextmanager
async def desk() -> AsyncIterator[Screen]:
    with tempfile.TemporaryDirectory(prefix="omniid-dunst-") as folder, xvfb.Xvfb() as display:
        dunst = Dunst(Path(folder))
        try:
            await dunst.start_bus()
            await dunst.start_server(display.display)
            one = Screen(dunst)
            yield one
            await one.screen.close()
        finally:
            await dunst.end()


def test_a_notice_is_replaced_and_not_stacked() -> None:
    async def work() -> None:
        async with desk() as one:
            assert await one.screen.server() == "dunst"
            await one.screen.show(Notice("c1", "You said", "Send it"))
            await one.screen.show(Notice("c1", "omniid", "Sent <b>it</b> & more."))
            await one.dunst.until_there_are(displayed=1, waiting=0, history=0)

            await one.dunst.ctl("close-all")
            await one.dunst.until_there_are(displayed=0, history=1)
            (seen,) = await one.dunst.past()
            assert (seen["appname"], seen["summary"]) == ("omniid", "omniid")
            assert seen["body"] == "Sent <b>it</b> & more."

    run(work)


def test_a_button_is_an_answer() -> None:
    async def work() -> None:
        async with desk() as one:
            await one.screen.show(ASKED)
            await one.dunst.until_there_are(displayed=1)
            await one.dunst.ctl("context")
            async with asyncio.timeout(WITHIN_S):
                assert await one.clicks.get() == ("question:q1", "no")

    run(work)


def test_who_is_not_to_be_disturbed_sees_it_later() -> None:
    async def work() -> None:
        async with desk() as one:
            await one.dunst.ctl("set-paused", "true")
            await one.screen.show(ASKED)
            await one.screen.show(Notice("c1", "omniid", "Done."))
            await one.dunst.until_there_are(displayed=0, waiting=2)
            await one.screen.withdraw("question:q1")
            await one.dunst.until_there_are(displayed=0, waiting=1)
            await one.dunst.ctl("set-paused", "false")
            await one.dunst.until_there_are(displayed=1, waiting=0)

    run(work)


def test_what_a_killed_process_asked_goes_and_what_is_to_be_read_stays(tmp_path: Path) -> None:
    async def work() -> None:
        async with desk() as one:
            await notice_child.killed(one.dunst.address, tmp_path / "notices")
            await one.dunst.until_there_are(displayed=2, history=0)
            screen = Freedesktop(
                lambda _tag, _key: None,
                lambda: None,
                address=one.dunst.address,
                leftovers=tmp_path / "notices",
            )
            await screen.begin()
            await one.dunst.until_there_are(displayed=1, history=1)
            await screen.close()

            assert [seen["summary"] for seen in await one.dunst.past()] == ["omniid asks"]

    run(work)


def test_what_can_no_longer_be_answered_goes_with_omniid() -> None:
    async def work() -> None:
        async with desk() as one:
            await one.screen.show(ASKED)
            await one.screen.show(Notice("c1", "omniid", "Done."))
            await one.dunst.until_there_are(displayed=2)
            await one.screen.close()
            await one.dunst.until_there_are(displayed=1)

    run(work)
