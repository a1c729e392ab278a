"""The page that a sign-in returns to, over real HTTP on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import email.message
import socket
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from omniid import callback as module
from omniid.callback import MAX_CONNECTIONS, Callback

WITHIN_S = 30.0
ID = "0193b0c4-7d2e-7c4f-9c1e-0123456789ab"


@dataclass(frozen=True)
class Page:
    status: int
    text: str
    headers: email.message.Message


class House:
    """A callback that serves on a thread of its own."""

    def __init__(self) -> None:
        self.returned: list[tuple[str, bool]] = []
        self._loop: asyncio.AbstractEventLoop
        self._callback: Callback
        self._task: asyncio.Task[None]
        self._ready = threading.Event()
        self._thread = threading.Thread(target=asyncio.run, args=(self._run(),))

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._callback = Callback(lambda command_id, accepted: self.returned.append((command_id, accepted)))
        async with asyncio.TaskGroup() as tasks:
            self._task = tasks.create_task(self._callback.run())
            self._ready.set()

    def start(self) -> None:
        self._thread.start()
        assert self._ready.wait(WITHIN_S)

    def url_for(self, command_id: str) -> str:
        async def ask() -> str:
            return self._callback.url_for(command_id)

        return asyncio.run_coroutine_threadsafe(ask(), self._loop).result(WITHIN_S)

    def stop(self) -> None:
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._task.cancel)
        self._thread.join(WITHIN_S)
        assert not self._thread.is_alive()


@pytest.fixture
def house() -> Iterator[House]:
    house = House()
    house.start()
    yield house
    house.stop()


def look(url: str, method: str = "GET", **headers: str) -> Page:
    request = urllib.request.Request(url, method=method, headers=headers)  # noqa: S310 our own address
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=WITHIN_S) as answer:
            return Page(answer.status, answer.read().decode(), answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return Page(error.code, error.read().decode(), error.headers)


def test_coming_back_is_told_and_the_page_says_so(house: House) -> None:
    page = look(house.url_for(ID))
    assert page.status == 200
    assert "You are signed in. You can close this page." in page.text
    assert house.returned == [(ID, True)]


@pytest.mark.parametrize("query", ["&error=access_denied", "&error=", "&state=theirs&code=x&error=x"])
def test_a_refusal_is_told_as_one(query: str, house: House) -> None:
    page = look(house.url_for(ID) + query)
    assert page.status == 200
    assert "You did not sign in." in page.text
    assert house.returned == [(ID, False)]


def test_a_state_of_the_servers_own_does_not_matter(house: House) -> None:
    assert look(house.url_for(ID) + "&state=theirs&code=c").status == 200
    assert house.returned == [(ID, True)]


def test_each_return_is_told_since_a_command_may_need_a_second_sign_in(house: House) -> None:
    url = house.url_for(ID)
    pages = [look(there).text for there in (url + "&error=x", url + "&error=x", url, url, url + "&error=x")]
    assert ["not sign in" in text for text in pages] == [True, True, False, False, True]
    assert house.returned == [(ID, False), (ID, False), (ID, True), (ID, True), (ID, False)]


@pytest.mark.parametrize("command_id", ["a/b?c#d", "ü ☃", ".", "%2F", "a&state=b"])
def test_any_id_comes_back_as_it_was(command_id: str, house: House) -> None:
    assert look(house.url_for(command_id)).status == 200
    assert house.returned == [(command_id, True)]


def test_the_address_is_on_loopback_and_its_code_is_the_commands_own(house: House) -> None:
    url = house.url_for(ID)
    assert url == house.url_for(ID)
    parts = urlsplit(url)
    assert (parts.scheme, parts.hostname, parts.path) == ("http", "127.0.0.1", f"/signed-in/{ID}")
    assert parts.query.startswith("state=")
    assert len(parts.query) > 40
    assert urlsplit(house.url_for("another")).query != parts.query
    other = House()
    other.start()
    try:
        assert urlsplit(other.url_for(ID)).query != parts.query
    finally:
        other.stop()


def test_without_the_right_code_there_is_no_page(house: House) -> None:
    url = house.url_for(ID)
    bare, _, code = url.partition("?state=")
    root = bare.partition("/signed-in/")[0]
    for wrong in (
        bare,
        f"{bare}?state=",
        f"{bare}?state={code}x",
        f"{bare}?state={code[:-1]}",
        f"{bare}?state=%C3%BC",
        f"{bare}?State={code}",
        f"{bare}/?state={code}",
        f"{root}/signed-in/another?state={code}",
        f"{root}/signed-in/?state={code}",
        f"{root}/{ID}?state={code}",
        f"{root}/?state={code}",
    ):
        page = look(wrong)
        assert (page.status, page.text) == (404, "There is no such page.\n"), wrong
    assert house.returned == []


@pytest.mark.parametrize("method", ["POST", "HEAD", "PUT", "DELETE", "OPTIONS"])
def test_only_looking_counts(method: str, house: House) -> None:
    page = look(house.url_for(ID), method)
    assert (page.status, page.headers["Allow"]) == (405, "GET")
    assert look(house.url_for(ID) + "x", method).status == 404
    assert house.returned == []


def test_a_request_must_name_this_machine(house: House) -> None:
    url = house.url_for(ID)
    port = urlsplit(url).port
    for host in (
        f"evil.example:{port}",
        "127.0.0.1",
        "localhost",
        f"127.0.0.1:{port}.evil.example",
        "127.0.0.1:1",
    ):
        assert look(url, Host=host).status == 404, host
    assert house.returned == []
    assert look(url, Host=f"LocalHost:{port}").status == 200


def test_the_page_runs_nothing_and_is_kept_nowhere(house: House) -> None:
    for page in (look(house.url_for(ID)), look(house.url_for(ID) + "x")):
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert page.headers["Cache-Control"] == "no-store"
        assert page.headers["Referrer-Policy"] == "no-referrer"
        assert page.headers["X-Content-Type-Options"] == "nosniff"
        assert "Server" not in page.headers
        assert ID not in page.text
    assert look(house.url_for(ID)).headers["Content-Type"].startswith("text/html")


def test_a_connection_that_says_nothing_ends(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIFETIME_S", 0.1)
    port = urlsplit(house.url_for(ID)).port
    with socket.create_connection(("127.0.0.1", port), WITHIN_S) as silent:
        silent.sendall(b"GET /")
        assert ends(silent)


def test_idle_connections_do_not_keep_a_browser_out(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIFETIME_S", 10 * WITHIN_S)
    url = house.url_for(ID)
    with contextlib.ExitStack() as stack:
        idle = [
            stack.enter_context(socket.create_connection(("127.0.0.1", urlsplit(url).port), WITHIN_S))
            for _ in range(MAX_CONNECTIONS + 3)
        ]
        assert look(url).status == 200
        assert all(ends(connection) for connection in idle[:4])


def ends(connection: socket.socket) -> bool:
    connection.settimeout(WITHIN_S)
    try:
        return connection.recv(1) == b""
    except ConnectionResetError:
        return True
    except TimeoutError:
        return False


def test_what_comes_before_it_runs_waits_for_it() -> None:
    async def serve_late() -> list[str]:
        returned: list[str] = []
        callback = Callback(lambda command_id, _: returned.append(command_id))
        looking = asyncio.to_thread(look, callback.url_for(ID))
        async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as tasks:
            looked = tasks.create_task(looking)
            running = tasks.create_task(callback.run())
            assert (await looked).status == 200
            running.cancel()
        return returned

    assert asyncio.run(serve_late()) == [ID]


def test_stopping_closes_the_port_and_what_is_connected(house: House) -> None:
    port = urlsplit(house.url_for(ID)).port
    with socket.create_connection(("127.0.0.1", port), WITHIN_S) as idle:
        look(house.url_for(ID))  # so that the idle one has been accepted too
        house.stop()
        assert ends(idle)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), WITHIN_S)


def test_stopping_is_fine_where_nobody_signed_in(house: House) -> None:
    house.stop()
