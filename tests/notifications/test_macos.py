"""Notices through osascript, with a program in its place that writes down how it was started."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path

import pytest
from support.running import run

from omniid.notice_board import Notice
from omniid.notifications.contract import NotShownError, Pace
from omniid.notifications.macos import MacOS

WRITES = "import json, sys; json.dump(sys.argv[2:], open(sys.argv[1], 'w'))"
FAILS = "import sys; sys.exit('execution error: \\x1b[31mnot allowed.')"
HANGS = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)"
NASTY = '" & (do shell script "touch /tmp/omniid-owned") & "'


def osascript(code: str, file: Path) -> list[str]:
    return [sys.executable, "-c", code, str(file)]


def test_the_text_is_handed_over_as_arguments(tmp_path: Path) -> None:
    started = tmp_path / "started"

    async def work() -> None:
        await MacOS(osascript(WRITES, started)).show(Notice("t", "-e quit", f"{NASTY}\n\x1b[2Jdone"))

    run(work)
    *script, first, title, body = json.loads(started.read_text())

    assert script[::2] == ["-e"] * 3
    assert "omniid-owned" not in " ".join(script)
    assert not first.startswith("-")
    assert title == "-e quit"
    assert body == f"{NASTY}\ndone"


def test_what_osascript_says_is_told(tmp_path: Path) -> None:
    async def work() -> None:
        with pytest.raises(NotShownError) as told:
            await MacOS(osascript(FAILS, tmp_path / "none")).show(Notice("t", "a", "b"))

        assert (
            str(told.value) == "A notification was not shown: osascript says 'execution error: not allowed'."
        )
        assert not told.value.is_away

    run(work)


def test_without_osascript(tmp_path: Path) -> None:
    async def work() -> None:
        with pytest.raises(NotShownError, match="does not start") as told:
            await MacOS([str(tmp_path / "none")]).show(Notice("t", "a", "b"))

        assert told.value.is_away

    run(work)


def test_one_that_hangs_is_ended(tmp_path: Path) -> None:
    pid = tmp_path / "pid"

    async def work() -> None:
        begun = time.monotonic()
        with pytest.raises(NotShownError, match="does not end"):
            await MacOS(osascript(HANGS, pid), Pace(answer_s=3)).show(Notice("t", "a", "b"))

        assert time.monotonic() - begun < 60

    run(work)
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_one_that_hangs_ends_with_us(tmp_path: Path) -> None:
    pipe = tmp_path / "pid"
    os.mkfifo(pipe)
    pids: list[int] = []

    async def work() -> None:
        async with asyncio.TaskGroup() as group:
            shows = group.create_task(MacOS(osascript(HANGS, pipe)).show(Notice("t", "a", "b")))
            pids.append(int(await asyncio.to_thread(pipe.read_text)))
            shows.cancel()

    run(work)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_nothing_can_be_taken_away() -> None:
    async def work() -> None:
        screen = MacOS(["/bin/false"])
        await screen.begin()
        await screen.withdraw("t")
        assert not screen.shows("t")
        await screen.close()

    run(work)
