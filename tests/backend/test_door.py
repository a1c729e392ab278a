"""The consent page's website on a real port, asked by raw HTTP: what a browser would not send."""

from __future__ import annotations

import http.client
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from urllib.parse import urlencode, urlsplit

import pytest

from omniid.backend.consent.door import Door
from omniid.backend.consent.register import LINGERS_S, OPEN_S, Ask, Decision
from omniid.backend.consent.website import Website
from omniid.errors import OmniidError, StorageError

DEADLINE_S = 30.0
ASK = Ask("calendar", ("/home/alice/.calendars", "/data/<b>&\"'\u202e\x1b"))
BACK = "http://127.0.0.1:9/back?state=1"


@dataclass
class Place:
    """A door whose clock is ours."""

    now: float = 1_000.0
    decided: list[tuple[Ask, Decision, str]] = field(default_factory=list)
    fails: OmniidError | None = None

    def __post_init__(self) -> None:
        self.door = Door(clock=lambda: self.now)

    def open(self, ask: Ask = ASK) -> str:
        return self.door.open(ask, self._decided)

    def ends(self, website: Website | None) -> None:
        assert website is not None
        website._thread.join(DEADLINE_S)
        assert not website._thread.is_alive()

    def _decided(self, ask: Ask, decision: Decision, link: str) -> None:
        if self.fails is not None:
            raise self.fails
        self.decided.append((ask, decision, link))


@pytest.fixture
def place() -> Iterator[Place]:
    made = Place()
    with closing(made.door):
        yield made


@dataclass
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: str

    @property
    def title(self) -> str:
        found = re.search(r"<title>(.*)</title>", self.body)
        return found[1] if found else ""

    @property
    def form_token(self) -> str:
        found = re.search(r'name="form" value="([^"]*)"', self.body)
        assert found is not None
        return found[1]


def ask(
    url: str, method: str = "GET", form: dict[str, str] | bytes | None = None, /, **headers: str
) -> Reply:
    parts = urlsplit(url)
    sent = urlencode(form).encode() if isinstance(form, dict) else form
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(http.client.HTTPConnection(parts.netloc, timeout=DEADLINE_S)) as connection:
        connection.request(method, f"{parts.path}?{parts.query}" if parts.query else parts.path, sent, named)
        answer = connection.getresponse()
        return Reply(answer.status, answer.headers, answer.read().decode())


def choose(url: str, choice: str, form_token: str | None = None, **headers: str) -> Reply:
    token = ask(url).form_token if form_token is None else form_token
    return ask(url, "POST", {"form": token, "choice": choice}, **headers)


def test_the_page_says_what_is_asked_and_is_sealed_off(place: Place) -> None:
    reply = ask(place.open())
    assert (reply.status, reply.title) == (200, "May omniid read your calendar?")
    assert "/<wbr>home/<wbr>alice/<wbr>.calendars" in reply.body
    assert "/<wbr>data/<wbr>&lt;b&gt;&amp;&quot;&#x27;\ufffd\ufffd" in reply.body
    assert "<script" not in reply.body
    assert "src=" not in reply.body
    assert "href=" not in reply.body
    policy = reply.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "form-action 'self'; base-uri 'none'; frame-ancestors 'none'" in policy
    assert reply.headers["Referrer-Policy"] == "no-referrer"
    assert reply.headers["X-Frame-Options"] == "DENY"
    assert reply.headers["Cache-Control"] == "no-store"
    assert "Python" not in str(reply.headers)


def test_allow_and_deny_are_carried_out_once(place: Place) -> None:
    for choice, title in (("allow", "Thank you"), ("deny", "Nothing will be read")):
        url = place.open()
        token = ask(url).form_token
        reply = choose(url, choice, token)
        assert (reply.status, reply.title) == (200, title)
        assert "You can close this page." in reply.body
        assert place.decided.pop() == (ASK, Decision(choice), url)
        for again in (ask(url), choose(url, "allow", token)):
            assert (again.status, again.title) == (410, "This link was used already")
        assert place.decided == []


def test_two_clicks_at_once_decide_once(place: Place) -> None:
    url = place.open()
    token = ask(url).form_token
    replies: list[int] = []
    clicks = [
        threading.Thread(target=lambda: replies.append(choose(url, "allow", token).status)) for _ in range(8)
    ]
    for click in clicks:
        click.start()
    for click in clicks:
        click.join(DEADLINE_S)
    assert sorted(replies) == [200, *[410] * 7]
    assert len(place.decided) == 1


def test_the_browser_is_sent_back(place: Place) -> None:
    for choice, where in (("allow", BACK), ("deny", f"{BACK}&error=access_denied")):
        url = place.open(Ask("calendar", ("/a",), BACK))
        assert "form-action 'self' http://127.0.0.1:9;" in ask(url).headers["Content-Security-Policy"]
        reply = choose(url, choice)
        assert (reply.status, reply.headers["Location"]) == (303, where)


def test_who_asks_for_the_same_gets_the_same_link(place: Place) -> None:
    first = place.open(Ask("calendar", ("/a",)))
    assert place.open(Ask("calendar", ("/a",), BACK)) == first
    assert place.open(Ask("calendar", ("/a",))) == first
    other = place.open(Ask("calendar", ("/a", "/b")))
    assert other != first
    assert urlsplit(other).netloc == urlsplit(first).netloc
    # The latest that named a place to go back to is the one that waits.
    assert choose(first, "allow").headers["Location"] == BACK
    assert place.open(Ask("calendar", ("/a",))) != first


def test_a_link_expires_and_says_so(place: Place) -> None:
    url = place.open()
    token = ask(url).form_token
    place.now += OPEN_S
    for reply in (ask(url), choose(url, "allow", token)):
        assert (reply.status, reply.title) == (410, "This link has expired")
    assert place.decided == []
    assert place.open() != url


def test_the_website_closes_with_its_last_link(place: Place) -> None:
    url = place.open()
    website = place.door._website
    place.now += OPEN_S + LINGERS_S - 1
    assert ask(url).status == 410
    place.now += 2
    place.ends(website)
    with pytest.raises(ConnectionRefusedError):
        ask(url)
    # And opens anew.
    assert ask(place.open()).status == 200


def test_a_decided_link_closes_the_website_soon(place: Place) -> None:
    url = place.open()
    assert choose(url, "deny").status == 200
    website = place.door._website
    place.now += LINGERS_S + 1
    place.ends(website)
    with pytest.raises(ConnectionRefusedError):
        ask(url)


@pytest.mark.parametrize(
    "path",
    ["/consent?link=", "/consent?link=xyz", "/consent", "/", "/favicon.ico", "/consent?link=../etc", "//"],
)
def test_an_unknown_link_says_so(place: Place, path: str) -> None:
    parts = urlsplit(place.open())
    reply = ask(f"http://{parts.netloc}{path}")
    assert (reply.status, reply.title) == (404, "This link is unknown")


@pytest.mark.parametrize("form_token", ["", "x", "ü"])
def test_a_form_of_another_page_is_not_taken(place: Place, form_token: str) -> None:
    url = place.open()
    assert choose(url, "allow", form_token).status in {400, 403}
    assert place.decided == []
    assert choose(url, "allow").status == 200


@pytest.mark.parametrize(
    "host", ["example.com", "127.0.0.1", "127.0.0.1:1", "localhost", "", "[::1]:{port}", "127.0.0.1:{port}."]
)
def test_another_name_is_refused(place: Place, host: str) -> None:
    url = place.open()
    token = ask(url).form_token
    named = host.format(port=urlsplit(url).port)
    assert ask(url, Host=named).status == 403
    assert choose(url, "allow", token, Host=named).status == 403
    assert place.decided == []


def test_localhost_is_the_same_place(place: Place) -> None:
    url = place.open().replace("127.0.0.1", "localhost")
    own = f"http://localhost:{urlsplit(url).port}"
    assert choose(url, "allow", Origin=own).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://example.com"},
        {"Origin": "http://127.0.0.1:1"},
        {"Origin": "https://127.0.0.1:{port}"},
        {"Origin": "null"},
        {"Origin": "null", "Sec_Fetch_Site": "cross-site"},
        {"Origin": "null", "Sec_Fetch_Site": "same-site"},
        {"Origin": ""},
    ],
)
def test_another_origin_is_refused(place: Place, headers: dict[str, str]) -> None:
    url = place.open()
    named = {name: value.format(port=urlsplit(url).port) for name, value in headers.items()}
    assert choose(url, "allow", **named).status == 403
    assert place.decided == []


@pytest.mark.parametrize(
    "body",
    [
        b"", b"x" * 2_000, b"\xff\xff", b"form=a&form=b&choice=allow", b"choice=allow", b"&&&&&&&&&&",
        b"a=1&b=2&c=3&d=4&e=5",
    ],
)  # fmt: skip
def test_a_body_that_is_no_form_of_ours_does_nothing(place: Place, body: bytes) -> None:
    url = place.open()
    assert ask(url, "POST", body).status in {400, 403}
    assert choose(url, "maybe").status == 400
    assert place.decided == []


@pytest.mark.parametrize("method", ["HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "X"])
def test_another_method_gets_a_page_of_ours(place: Place, method: str) -> None:
    reply = ask(place.open(), method)
    assert reply.status == 501
    assert reply.headers["X-Frame-Options"] == "DENY"


def raw(url: str, request: bytes) -> bytes:
    parts = urlsplit(url)
    with socket.create_connection(("127.0.0.1", parts.port or 0), timeout=DEADLINE_S) as link:
        link.sendall(request)
        link.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: link.recv(65_536), b""))


def test_two_names_in_one_request_are_refused(place: Place) -> None:
    url = place.open()
    parts = urlsplit(url)
    twice = f"Host: {parts.netloc}\r\nHost: example.com\r\n"
    assert raw(url, f"GET {parts.path}?{parts.query} HTTP/1.1\r\n{twice}\r\n".encode()).startswith(
        b"HTTP/1.0 403"
    )


@pytest.mark.parametrize(
    "junk", [b"", b"\r\n\r\n", b"GET\r\n\r\n", b"\x16\x03\x01\x00", b"GET / HTTP/9\r\n\r\n", b"x" * 70_000]
)
def test_junk_hurts_nobody(place: Place, junk: bytes) -> None:
    url = place.open()
    raw(url, junk)
    assert ask(url).status == 200


def test_what_could_not_be_saved_can_be_chosen_again(place: Place) -> None:
    url = place.open()
    place.fails = StorageError("the disk is <full>")
    reply = choose(url, "allow")
    assert (reply.status, "the disk is &lt;full&gt;" in reply.body) == (503, True)
    place.fails = None
    assert choose(url, "allow").title == "Thank you"


def test_a_closed_door_opens_no_more(place: Place) -> None:
    url = place.open()
    place.door.close()
    with pytest.raises(ConnectionRefusedError):
        ask(url)
    with pytest.raises(OmniidError):
        place.open()


def test_many_links_are_bounded(place: Place) -> None:
    links = [place.open(Ask("calendar", (f"/{number}",))) for number in range(40)]
    assert ask(links[0]).status == 404
    assert ask(links[-1]).status == 200


def test_where_answers_travel_the_page_says_so() -> None:
    with closing(Door(reaches_others=True)) as door:
        body = ask(door.open(ASK, lambda *_: None)).body
    assert "on other machines" in body
    assert "stays on this computer" not in body
