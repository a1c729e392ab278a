"""The consent to read the calendar: a real backend, real sockets and a real browser."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect
from support.backend_process import DEADLINE_S, URL, Backend, command, running, words
from support.browser import browser as chromium
from support.browser import needs_browser
from websockets.sync.client import ClientConnection, unix_connect

QUESTION = "what is on my calendar tomorrow"
ANSWER = "You have one appointment tomorrow: dentist at 10 AM."
GONE = "status of 410"  # chromium notes that a used link is gone
EVENT = """BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//test//test//
BEGIN:VEVENT
UID:1
SUMMARY:dentist
DTSTART;TZID=Europe/Berlin:20261123T100000
DURATION:PT1H
END:VEVENT
END:VCALENDAR
"""


@dataclass
class Place:
    """Where a backend keeps its things, and the calendars it may ask for."""

    root: Path
    calendars: list[Path] = field(default_factory=list)

    def add_calendar(self, name: str) -> Path:
        folder = self.root / name
        folder.mkdir()
        (folder / "work.ics").write_text(EVENT)
        self.calendars.append(folder)
        return folder

    @contextmanager
    def backend(self, *more: str) -> Iterator[Backend]:
        arguments = [
            "--socket",
            str(self.root / "run" / "b.sock"),
            "--data-dir",
            str(self.root / "data"),
            *more,
        ]
        for folder in self.calendars:
            arguments += ["--calendar-dir", str(folder)]
        with running(*arguments) as backend:
            yield backend


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path)
    made.add_calendar("my <calendars>")
    return made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as made:
        yield made


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A tab without JavaScript; whatever the pages complain of, and whatever they load, fails the test."""
    with browser.new_context(java_script_enabled=False) as context:
        tab = context.new_page()
        tab.set_default_timeout(DEADLINE_S * 1_000)
        complaints: list[str] = []
        tab.on("console", lambda message: None if GONE in message.text else complaints.append(message.text))
        tab.on(
            "request",
            lambda request: None if request.is_navigation_request() else complaints.append(request.url),
        )
        yield tab
        assert complaints == []


class Client:
    def __init__(self, link: ClientConnection) -> None:
        self._link = link

    def receive(self) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(self._link.recv(timeout=DEADLINE_S))
        return frame

    def ask(self, message: str = QUESTION, request_id: str = "same", **metadata: Any) -> dict[str, Any]:
        self._link.send(command(message, request_id, **metadata))
        frame = self.receive()
        assert frame["requestId"] == request_id
        return frame

    def ask_for_link(self, request_id: str = "same", **metadata: Any) -> str:
        frame = self.ask(request_id=request_id, **metadata)
        data = frame["data"]
        assert (frame["type"], frame["status"]) == ("response", "success")
        assert (data["requiresAuth"], data["action"], data["userId"]) == (True, "oauth_required", "u")
        assert data["authUrl"].startswith("http://127.0.0.1:")
        return str(data["authUrl"])

    def told(self, link: str) -> bool:
        """Receives what became of a consent."""
        frame = self.receive()
        assert (frame["type"], frame["data"]["action"]) == ("system", "oauth_completed")
        assert frame["data"]["authUrl"] == link
        assert frame["data"]["message"]
        assert abs(frame["timestamp"] - time.time() * 1_000) < DEADLINE_S * 1_000
        return bool(frame["data"]["success"])


@contextmanager
def client(backend: Backend) -> Iterator[Client]:
    with unix_connect(backend.said["socket"], URL) as link:
        made = Client(link)
        assert made.receive()["type"] == "hello"
        yield made


def post(link: str, choice: str) -> int:
    """Decides without a browser."""
    with urllib.request.urlopen(link, timeout=DEADLINE_S) as shown:  # noqa: S310 our own link
        token = shown.read().decode().split('name="form" value="')[1].split('"')[0]
    try:
        with urllib.request.urlopen(  # noqa: S310
            link, f"form={token}&choice={choice}".encode(), timeout=DEADLINE_S
        ) as reply:
            return int(reply.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


def is_open(link: str) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", urlsplit(link).port or 0)) == 0


@needs_browser
def test_allowed_in_a_browser_the_same_command_is_answered(place: Place, page: Page) -> None:
    with place.backend() as backend, client(backend) as asking, client(backend) as other:
        link = asking.ask_for_link()
        page.goto(link)
        expect(page).to_have_title("May omniid read your calendar?")
        expect(page.get_by_role("listitem").first).to_have_text(str(place.calendars[0]))
        expect(page.get_by_text("What it reads stays on this computer.")).to_be_visible()
        page.get_by_role("button", name="Allow").click()
        expect(page.get_by_text("You can close this page.")).to_be_visible()
        assert asking.told(link)
        assert other.told(link)
        answer = asking.ask()
        assert (answer["status"], words(answer)) == ("success", ANSWER)
        assert "requiresAuth" not in answer["data"]
        assert other.ask() == answer
        page.goto(link)
        expect(page).to_have_title("This link was used already")


@needs_browser
def test_denied_in_a_browser_nothing_is_read(place: Place, page: Page) -> None:
    with place.backend() as backend, client(backend) as asking:
        link = asking.ask_for_link()
        page.goto(link)
        page.get_by_role("button", name="Deny").click()
        expect(page).to_have_title("Nothing will be read")
        assert not asking.told(link)
        page.go_back()
        expect(page).to_have_title("This link was used already")
        # A no holds for this once: the same command asks anew.
        assert asking.ask_for_link() != link


@needs_browser
def test_the_keyboard_will_do(place: Place, page: Page) -> None:
    with place.backend() as backend, client(backend) as asking:
        link = asking.ask_for_link()
        page.goto(link)
        page.keyboard.press("Tab")
        expect(page.get_by_role("button", name="Deny")).to_be_focused()
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        expect(page).to_have_title("Thank you")
        assert asking.told(link)


@contextmanager
def listener(host: str) -> Iterator[tuple[str, list[str]]]:
    """A program of the user's that waits for the browser: its URL, and the paths it was sent."""
    got: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            got.append(self.path)
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(b"<title>back again</title>")

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        address_family = socket.AF_INET6 if ":" in host else socket.AF_INET

    try:
        server: HTTPServer = Server((host, 0), Handler)
    except OSError as error:
        pytest.skip(f"this machine has no {host}: {error}")
    thread = threading.Thread(target=server.serve_forever)
    with server:
        thread.start()
        try:
            yield f"http://{f'[{host}]' if ':' in host else host}:{server.server_port}", got
        finally:
            server.shutdown()
            thread.join()


@needs_browser
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1"])
@pytest.mark.parametrize(("button", "more"), [("Allow", ""), ("Deny", "&error=access_denied")])
def test_the_browser_goes_back_to_the_program_that_asked(
    place: Place, page: Page, host: str, button: str, more: str
) -> None:
    with place.backend() as backend, client(backend) as asking, listener(host) as (back, got):
        link = asking.ask_for_link(redirectUrl=f"{back}/done?state=a%20b")
        page.goto(link)
        page.get_by_role("button", name=button).click()
        expect(page).to_have_title("back again")
        assert got[0] == f"/done?state=a%20b{more}"
        assert page.url == f"{back}/done?state=a%20b{more}"
        assert asking.told(link) is (button == "Allow")


def test_all_that_ask_for_the_same_get_the_same_link(place: Place) -> None:
    with place.backend() as backend, client(backend) as one, client(backend) as other:
        link = one.ask_for_link("first")
        assert one.ask_for_link("second") == link
        assert other.ask_for_link("third", redirectUrl="http://evil.example:80/") == link
        assert post(link, "allow") == 200
        assert one.told(link)
        assert other.told(link)
        assert [words(each.ask(request_id=name)) for each, name in ((one, "first"), (other, "third"))] == [
            ANSWER
        ] * 2


def test_a_consent_outlives_the_backend_and_ends_when_it_is_withdrawn(place: Place) -> None:
    with place.backend() as backend, client(backend) as asking:
        assert post(asking.ask_for_link(), "allow") == 200
        backend.end(signal.SIGKILL)
    with place.backend() as backend, client(backend) as asking:
        assert words(asking.ask()) == ANSWER
        assert asking.ask("forget my calendar", "forget")["status"] == "success"
        asking.ask_for_link("anew")


def test_another_folder_needs_another_consent(place: Place) -> None:
    with place.backend() as backend, client(backend) as asking:
        assert post(asking.ask_for_link(), "allow") == 200
    place.add_calendar("more")
    with place.backend() as backend, client(backend) as asking:
        link = asking.ask_for_link()
        with urllib.request.urlopen(link, timeout=DEADLINE_S) as shown:  # noqa: S310 our own link
            assert "more</li>" in shown.read().decode()


def tcp_sockets(backend: Backend) -> int:
    process = Path(f"/proc/{backend.process.pid}")
    own = {str(link.readlink()) for link in (process / "fd").iterdir()}
    lines = (process / "net" / "tcp").read_text().splitlines()[1:]
    return sum(f"socket:[{line.split()[9]}]" in own for line in lines)


@pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="only Linux shows a process's sockets")
def test_what_must_be_safe_opens_no_page(place: Place) -> None:
    with place.backend() as backend, client(backend) as asking:
        frame = asking.ask(onlyIfSafe=True)
        assert (frame["type"], frame["error"]["code"]) == ("error", "not_answered_here")
        assert tcp_sockets(backend) == 0
        asking.ask_for_link("other")
        assert tcp_sockets(backend) == 1


def test_a_consent_that_cannot_be_kept_is_not_given(place: Place) -> None:
    with place.backend() as backend, client(backend) as asking:
        link = asking.ask_for_link()
        # A folder in the place of the new file: it cannot be written, whoever we are.
        (place.root / "data" / "tasks.json.new").mkdir()
        assert post(link, "allow") == 503
        assert asking.ask_for_link() == link
        (place.root / "data" / "tasks.json.new").rmdir()
        assert post(link, "allow") == 200
        assert asking.told(link)


def test_the_page_goes_with_the_backend(place: Place) -> None:
    with place.backend() as backend, client(backend) as asking, ExitStack() as stack:
        link = asking.ask_for_link()
        # A client that says nothing holds nothing up.
        stack.enter_context(socket.create_connection(("127.0.0.1", urlsplit(link).port or 0)))
        started = time.monotonic()
        assert backend.end()[0] == 0
        assert time.monotonic() - started < 5
        assert not is_open(link)


def test_neither_appointments_nor_links_reach_the_log(place: Place) -> None:
    (place.calendars[0] / "broken.ics").write_text("dentist")
    with place.backend("--log-level", "debug") as backend, client(backend) as asking:
        link = asking.ask_for_link()
        assert post(link, "allow") == 200
        assert asking.told(link)
        assert "could not be read" in words(asking.ask())
        _, logged = backend.end()
    assert "broken.ics" in logged
    assert "dentist" not in logged
    assert urlsplit(link).query.removeprefix("link=") not in logged
