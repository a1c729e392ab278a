"""A command that needs a sign-in, through a whole daemon and a backend in the field, to each of its ends."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser
from support import flow
from support.browser import browser as chromium
from support.browser import needs_browser
from support.field import address, served
from websockets.asyncio.server import ServerConnection

from omniid.cli.private_daemon import Config, PrivateDaemon
from omniid.errors import EXIT_REFUSED

PAGE = "https://accounts.example/auth?state=1"
SENT = {"type": "response", "status": "success", "data": {"message": "Sent."}, "timestamp": 1}


def asks(url: str | None = PAGE) -> dict[str, Any]:
    data = {"requiresAuth": True, "authUrl": url, "message": "Please sign in.", "action": "oauth_required"}
    return {"type": "response", "status": "success", "data": data, "timestamp": 1}


class Backend:
    """Wants the user signed in before it does anything; knows nobody's ids, as servers in the field do."""

    def __init__(self, url: str | None = PAGE, features: tuple[str, ...] = ()) -> None:
        self.signed_in = False
        self.url = url
        self.features = features
        self.commands: list[dict[str, Any]] = []
        self.links: list[ServerConnection] = []

    async def __call__(self, link: ServerConnection) -> None:
        self.links.append(link)
        if self.features:
            await link.send(json.dumps({"type": "hello", "payload": {"features": self.features}}))
        async for frame in link:
            content = json.loads(frame)
            if content["type"] == "command":
                self.commands.append(content["payload"])
                await link.send(json.dumps(SENT if self.signed_in else asks(self.url)))

    def say(self, frame: dict[str, Any]) -> None:
        """Of its own accord, on the latest link."""
        link = self.links[-1]
        link.loop.call_soon_threadsafe(lambda: link.loop.create_task(link.send(json.dumps(frame))))

    @property
    def ids(self) -> list[str]:
        return [each["requestId"] for each in self.commands]


def browser(folder: Path) -> tuple[str, Path]:
    """A browser that notes the addresses it is given, and where it does."""
    folder.mkdir(parents=True, exist_ok=True)
    script, opened = folder / "browser", folder / "opened"
    script.write_text(f'#!/bin/sh\nprintf "%s\\n" "$1" >> {opened}\n', encoding="utf-8")
    script.chmod(0o700)
    opened.touch()
    return str(script), opened


@contextmanager
def house(tmp_path: Path, backend: Backend) -> Iterator[tuple[PrivateDaemon, Path]]:
    """A daemon with this backend and a browser, and the file in which the browser notes what it opened."""
    script, opened = browser(tmp_path / "browser")
    with served(backend) as port:
        config: Config = {"backend": {"url": address(port)}, "speech": {"engine": "none"}}
        with flow.daemon(tmp_path / "house", config, BROWSER=script) as running:
            flow.until_ready(running)
            yield running, opened


def ask(running: PrivateDaemon, text: str = "Send it") -> dict[str, Any]:
    return running.client.call(
        "POST", "/v1/commands", {"message": text, "wait_s": flow.WITHIN_S}, wait_s=flow.WITHIN_S
    )


def omniid(running: PrivateDaemon, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "omniid", *words],
        env=flow.environment_of(running),
        capture_output=True,
        text=True,
        timeout=flow.WITHIN_S,
        check=False,
    )


def until_done(running: PrivateDaemon, command_id: str) -> None:
    flow.until(
        running,
        "command_moved",
        where=lambda data: data["command_id"] == command_id and data["state"] == "done",
    )


def test_the_page_is_opened_once_and_the_user_says_that_it_is_done(tmp_path: Path) -> None:
    backend = Backend()
    with house(tmp_path, backend) as (running, opened):
        first = ask(running)
        assert (first["state"], first["reply"]["content"]) == ("needs_auth", "Please sign in.")
        flow.until(running, "page_opened")
        second = ask(running, "Send that too")
        assert opened.read_text(encoding="utf-8") == f"{PAGE}\n"
        status = omniid(running, "auth", "status")
        assert (status.returncode, PAGE in status.stdout.splitlines()) == (EXIT_REFUSED, True)
        assert running.status()["headline"] == "waiting for you to sign in"

        backend.signed_in = True
        done = omniid(running, "auth", "done")
        assert (done.returncode, done.stdout) == (
            0,
            "2 commands go out again. The answers will be in `omniid history`.\n",
        )
        until_done(running, second["id"])

        assert backend.ids == [first["id"], second["id"], first["id"], second["id"]]
        assert running.status()["sign_ins"] == 0
        assert opened.read_text(encoding="utf-8") == f"{PAGE}\n"


def completed(success: object = True) -> dict[str, Any]:
    return {"type": "system", "data": {"action": "oauth_completed", "success": success}, "timestamp": 1}


def returned(backend: Backend, query: str = "") -> None:
    page = backend.commands[0]["metadata"]["redirectUrl"]
    with urllib.request.urlopen(page + query, timeout=flow.WITHIN_S) as answer:  # noqa: S310 of omniid's own
        assert answer.status == 200


@pytest.mark.parametrize(
    "finish",
    [
        pytest.param(lambda backend, *_: backend.say(completed()), id="a frame says so"),
        pytest.param(lambda backend, *_: returned(backend), id="the browser comes back"),
        pytest.param(
            lambda _, running, command_id: running.client.call("POST", f"/v1/commands/{command_id}/retry"),
            id="a retry succeeds",
        ),
    ],
)
def test_the_same_command_goes_again_by_itself(
    tmp_path: Path, finish: Callable[[Backend, PrivateDaemon, str], object]
) -> None:
    backend = Backend(features=("redirect",))
    with house(tmp_path, backend) as (running, _):
        command = ask(running)
        backend.signed_in = True
        finish(backend, running, command["id"])
        until_done(running, command["id"])
        assert backend.ids == [command["id"]] * 2


@pytest.mark.parametrize(
    "refuse",
    [
        pytest.param(lambda backend: backend.say(completed(False)), id="a frame says so"),
        pytest.param(lambda backend: returned(backend, "&error=access_denied"), id="the browser comes back"),
    ],
)
def test_a_no_on_the_page_keeps_the_command_for_a_later_yes(
    tmp_path: Path, refuse: Callable[[Backend], None]
) -> None:
    backend = Backend(features=("redirect",))
    with house(tmp_path, backend) as (running, _):
        command = ask(running)
        refuse(backend)
        flow.until(running, "sign_in_refused")
        (sign_in,) = running.client.call("GET", "/v1/auth")["sign_ins"]
        assert (sign_in["state"], sign_in["commands"]) == ("refused", [command["id"]])

        backend.signed_in = True
        returned(backend)
        until_done(running, command["id"])


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (None, "no address"),
        ("javascript:alert(1)", "javascript"),
        ("file:///etc/passwd", "file"),
        ("http://accounts.example/auth", "accounts.example"),
        ("https://you:secret@accounts.example/", "accounts.example"),
        ("https://accounts.example/\x1b[2Jauth", "accounts.example"),
    ],
)
def test_an_address_that_may_not_be_opened_is_shown_with_what_to_do(
    tmp_path: Path, url: str | None, says: str
) -> None:
    backend = Backend(url)
    with house(tmp_path, backend) as (running, opened):
        asked = omniid(running, "ask", "Send it")
        assert asked.returncode == EXIT_REFUSED
        assert says in asked.stdout
        assert "omniid auth done" in asked.stdout
        assert "\x1b" not in asked.stdout + asked.stderr
        refused = omniid(running, "auth", "open")
        assert refused.returncode == EXIT_REFUSED
        assert opened.read_text(encoding="utf-8") == ""

        backend.signed_in = True
        assert omniid(running, "auth", "done").returncode == 0
        flow.until(running, "command_moved", where=lambda data: data["state"] == "done")


CALENDAR = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//omniid//test//EN
BEGIN:VEVENT
UID:1
DTSTAMP:20260101T000000Z
DTSTART;VALUE=DATE:20260101
RRULE:FREQ=DAILY
SUMMARY:Stand-up
END:VEVENT
END:VCALENDAR
"""


@needs_browser
def test_a_person_says_no_then_yes_on_the_embedded_backends_page(tmp_path: Path) -> None:
    script, opened = browser(tmp_path / "browser")
    calendars = tmp_path / "data" / "calendars"
    calendars.mkdir(parents=True)
    (calendars / "work.ics").write_text(CALENDAR.replace("\n", "\r\n"), encoding="utf-8")
    with (
        chromium() as window,
        flow.daemon(tmp_path, {"speech": {"engine": "none"}}, BROWSER=script) as running,
    ):
        flow.until_ready(running)
        command = ask(running, "what's on my calendar today")
        assert command["state"] == "needs_auth"
        _press(window, _latest(running, opened), "Deny")
        flow.until(running, "sign_in_refused")

        assert omniid(running, "auth", "open").returncode == 0
        page = _press(window, _latest(running, opened), "Allow")

        until_done(running, command["id"])
        assert "You are signed in." in page
        answered = running.client.call("GET", f"/v1/commands/{command['id']}")
        assert "Stand-up" in answered["reply"]["content"]


def _latest(running: PrivateDaemon, opened: Path) -> str:
    flow.until(running, "page_opened")
    return opened.read_text(encoding="utf-8").splitlines()[-1]


def _press(window: Browser, url: str, button: str) -> str:
    """The words of the page that follows."""
    with window.new_page() as page:
        page.goto(url)
        page.get_by_role("button", name=button).click()
        page.wait_for_url("**/signed-in/**")
        return page.inner_text("body")


def test_without_a_browser_the_address_is_printed_and_nothing_is_lost(tmp_path: Path) -> None:
    backend = Backend()
    with house(tmp_path, backend) as (running, opened):
        (tmp_path / "browser" / "browser").unlink()
        command = ask(running)
        problem = flow.until(running, "page_opened")["problem"]
        assert "No browser could be opened" in problem
        status = omniid(running, "auth", "status")
        assert problem in status.stdout
        assert PAGE in status.stdout.splitlines()
        assert opened.read_text(encoding="utf-8") == ""
        backend.signed_in = True
        omniid(running, "auth", "done")
        until_done(running, command["id"])


def test_the_user_gives_the_command_up(tmp_path: Path) -> None:
    backend = Backend()
    with house(tmp_path, backend) as (running, _):
        command = ask(running)

        assert omniid(running, "outbox", "cancel", command["id"]).returncode == 0

        assert flow.until(running, "sign_in_ended")["outcome"] == "cancelled"
        nothing = omniid(running, "auth", "done")
        assert (nothing.returncode, nothing.stdout) == (0, "No command waited for it.\n")
        assert omniid(running, "auth", "open").returncode != 0
        assert backend.ids == [command["id"]]


def test_it_outlives_a_restart_and_expires_visibly_where_nobody_signs_in(tmp_path: Path) -> None:
    backend = Backend()
    script, opened = browser(tmp_path / "browser")
    with served(backend) as port:
        config: Config = {"backend": {"url": address(port)}, "speech": {"engine": "none"}}
        with flow.daemon(tmp_path / "house", config, BROWSER=script) as running:
            flow.until_ready(running)
            command = ask(running)
            flow.until(running, "page_opened")
        with flow.daemon(tmp_path / "house", config, BROWSER=script) as running:
            flow.until_ready(running)
            (sign_in,) = running.client.call("GET", "/v1/auth")["sign_ins"]
            # A page of before may be dead: it is not shown, and opening it asks the backend for another.
            assert (sign_in["url"], sign_in["commands"]) == (None, [command["id"]])
            assert 0 < sign_in["open_for_s"] <= 600
        _was_asked_for(tmp_path / "house", command["id"], minutes_ago=11)
        with flow.daemon(tmp_path / "house", config, BROWSER=script) as running:
            ended = flow.until(running, "sign_in_ended")
            assert ended["outcome"] == "expired"
            kept = running.client.call("GET", f"/v1/commands/{command['id']}")
            assert kept["state"] == "expired"
            backend.signed_in = True
            running.client.call("POST", f"/v1/commands/{command['id']}/retry")
            until_done(running, command["id"])
        assert opened.read_text(encoding="utf-8") == f"{PAGE}\n"


def _was_asked_for(house: Path, command_id: str, minutes_ago: int) -> None:
    then = (datetime.now(UTC) - timedelta(minutes=minutes_ago)).isoformat(timespec="milliseconds")
    database = sqlite3.connect(house / "data" / "omniid" / "omniid.db")
    with database:
        changed = database.execute(
            "UPDATE commands SET changed_at = ? WHERE id = ?", (then, command_id)
        ).rowcount
    database.close()
    assert changed == 1
