"""Opening a page, with real processes: programs that note how they were started stand in for browsers."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from omniid.browser import WATCHED_S, launchers, open_page

URL = "https://a.example/o?a=1&b=$HOME;touch%20x'$(id)"
WITHIN_S = 30.0
_NOTES = """#!{python} -I
import json, os, pathlib, sys, time
notes = {{
    "argv": sys.argv[1:], "env": dict(os.environ), "pid": os.getpid(), "session": os.getsid(0),
    "files": [os.readlink(f"/proc/self/fd/{{number}}") for number in range(3)],
}}
path = pathlib.Path(__file__ + ".notes")
path.with_suffix(".new").write_text(json.dumps(notes))
path.with_suffix(".new").rename(path)
{then}
"""
_ENDS_WELL = "sys.exit(0)"
_FAILS = "sys.exit(3)"
_STAYS = "time.sleep(600)"


class Programs:
    """A folder of programs that is the whole PATH."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, name: str, then: str = _ENDS_WELL) -> str:
        path = self._folder / name
        path.write_text(_NOTES.format(python=sys.executable, then=then))
        path.chmod(0o755)
        return str(path)

    def notes(self, name: str) -> dict[str, Any] | None:
        path = self._folder / f"{name}.notes"
        return json.loads(path.read_text()) if path.exists() else None

    def wait_for(self, name: str) -> None:
        deadline = time.monotonic() + WITHIN_S
        while self.notes(name) is None:
            assert time.monotonic() < deadline, f"{name} was not started"
            time.sleep(0.01)

    def argv(self, name: str) -> list[str] | None:
        notes = self.notes(name)
        return None if notes is None else notes["argv"]

    def environ(self, **more: str) -> dict[str, str]:
        return {"PATH": str(self._folder), **more}

    def end_all(self) -> None:
        for path in self._folder.glob("*.notes"):
            pid = json.loads(path.read_text())["pid"]
            if str(self._folder) in command_line(pid):
                os.kill(pid, signal.SIGKILL)


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[Programs]:
    found = Programs(tmp_path)
    yield found
    found.end_all()


def opened(environ: dict[str, str], url: str = URL) -> str | None:
    return asyncio.run(open_page(url, environ))


def test_the_users_browser_gets_the_page_as_one_argument(programs: Programs, tmp_path: Path) -> None:
    browser = programs.add("browser")
    assert opened(programs.environ(BROWSER=browser, KEPT="1", OMNIID_TOKEN="t", NOTIFY_SOCKET="/n")) is None
    notes = programs.notes("browser")
    assert notes is not None
    assert notes["argv"] == [URL]
    assert notes["session"] == notes["pid"]
    assert notes["files"] == ["/dev/null"] * 3
    assert notes["env"]["KEPT"] == "1"
    assert not {"OMNIID_TOKEN", "NOTIFY_SOCKET"} & set(notes["env"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["browser", "browser.notes"]


@pytest.mark.parametrize(
    ("wanted", "argv"),
    [
        ("browser --new 'a b' %s --end", ["--new", "a b", URL, "--end"]),
        ("browser --page=%s", [f"--page={URL}"]),
        ("browser --new", ["--new", URL]),
        ("::browser", [URL]),
        ("'open quote:browser", [URL]),
        ("missing:failing:browser:other", [URL]),
    ],
)
def test_browser_says_how(wanted: str, argv: list[str], programs: Programs) -> None:
    programs.add("browser")
    programs.add("other")
    programs.add("failing", _FAILS)
    assert opened(programs.environ(BROWSER=wanted)) is None
    assert programs.argv("browser") == argv
    assert programs.argv("other") is None


@pytest.mark.parametrize("display", ["DISPLAY", "WAYLAND_DISPLAY"])
def test_without_one_the_desktop_chooses(display: str, programs: Programs) -> None:
    programs.add("xdg-open")
    programs.add("gio")
    assert opened(programs.environ(**{display: "x"})) is None
    assert (programs.argv("xdg-open"), programs.argv("gio")) == ([URL], None)


@pytest.mark.parametrize("then", [_FAILS, None], ids=["failing", "missing"])
def test_gio_comes_after_xdg_open(then: str | None, programs: Programs) -> None:
    if then:
        programs.add("xdg-open", then)
    programs.add("gio")
    assert opened(programs.environ(DISPLAY=":0", BROWSER="")) is None
    assert programs.argv("gio") == ["open", URL]


def test_without_a_display_nothing_is_started(programs: Programs) -> None:
    programs.add("xdg-open")
    assert opened(programs.environ(DISPLAY="")) == (
        "No browser could be opened: this session has no display, and BROWSER is not set."
    )
    assert programs.notes("xdg-open") is None


def test_what_fails_is_named_with_its_reason(programs: Programs) -> None:
    programs.add("browser", _FAILS)
    programs.add("xdg-open", "os.kill(os.getpid(), 9)")
    assert opened(programs.environ(BROWSER="browser")) == (
        "No browser could be opened: browser ended with exit code 3, "
        "xdg-open ended with exit code 137, gio is not installed."
    )


def test_an_option_is_no_page(programs: Programs) -> None:
    programs.add("browser")
    refused = opened(programs.environ(BROWSER="browser"), "--version")
    assert refused == "No browser could be opened: what is to be opened is an option, not an address."
    assert programs.notes("browser") is None


def test_a_browser_that_goes_on_is_left_alone_and_is_nobodys_child_here(programs: Programs) -> None:
    programs.add("browser", _STAYS)
    begun = time.monotonic()
    assert opened(programs.environ(BROWSER="browser")) is None
    assert time.monotonic() - begun >= WATCHED_S
    notes = programs.notes("browser")
    assert notes is not None
    assert "browser" in command_line(notes["pid"])
    assert parent(notes["pid"]) != os.getpid()
    assert not any(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())


def test_stopping_meanwhile_leaves_the_browser_too(programs: Programs) -> None:
    programs.add("browser", _STAYS)

    async def stop_once_it_runs() -> None:
        async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as tasks:
            opening = tasks.create_task(open_page(URL, programs.environ(BROWSER="browser")))
            await asyncio.to_thread(programs.wait_for, "browser")
            opening.cancel()

    asyncio.run(stop_once_it_runs())
    notes = programs.notes("browser")
    assert notes is not None
    assert parent(notes["pid"]) != os.getpid()
    assert "browser" in command_line(notes["pid"])


# Under systemd, whose `systemd-run` is played: it takes a command apart as the real one does.
_SYSTEMD_RUN = """
command = [word.replace("$$", "$") for word in sys.argv[sys.argv.index("--") + 1 :]]
os.execve(command[0], command, {"PATH": os.environ["PATH"]})
"""


def test_under_systemd_the_browser_runs_in_a_unit_of_its_own(programs: Programs) -> None:
    programs.add("systemd-run", _SYSTEMD_RUN)
    programs.add("browser")
    environ = programs.environ(BROWSER="browser", DISPLAY=":7", INVOCATION_ID="1", OMNIID_TOKEN="t")
    assert opened(environ) is None
    argv = programs.argv("systemd-run")
    assert argv is not None
    options, command = argv[: argv.index("--")], argv[argv.index("--") + 1 :]
    assert {"--user", "--setenv=DISPLAY=:7", "--setenv=BROWSER=browser"} < set(options)
    assert not any("a.example" in option or "OMNIID" in option for option in options)
    assert command[-1] == URL.replace("$", "$$")
    notes = programs.notes("browser")
    assert notes is not None
    assert notes["argv"] == [URL]
    assert "DISPLAY" not in notes["env"]  # it came by way of systemd, not from us


@pytest.mark.parametrize("then", [_FAILS, None], ids=["failing", "missing"])
def test_where_systemd_cannot_it_is_started_directly(then: str | None, programs: Programs) -> None:
    if then:
        programs.add("systemd-run", then)
    programs.add("browser")
    assert opened(programs.environ(BROWSER="browser", INVOCATION_ID="1")) is None
    assert programs.argv("browser") == [URL]


def test_a_mac_has_one_way() -> None:
    assert launchers(URL, {"BROWSER": "browser"}, "darwin") == [["open", URL]]
