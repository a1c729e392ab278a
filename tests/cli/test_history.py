"""`omniid history` as a user types it. The history is real; the daemon's end of the socket is played."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import pty
import select
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniid.cli.history import markdown, parse_when
from omniid.errors import BadRequestError
from omniid.storage.database import Database
from omniid.storage.history import History, Page
from omniid.storage.messages import HistoryMessage

WITHIN_S = 60.0
NOW = datetime.now(UTC)
SOURCES = [{"id": "1", "name": "Web", "type": "web", "confidence": 90, "url": "https://example.org/a"}]
SAID = [
    HistoryMessage("m1", NOW - timedelta(days=3), "user", "command", "buy milk"),
    HistoryMessage(
        "m2", NOW - timedelta(days=3), "assistant", "reply", "Milk is on the list.\nAnything else?"
    ),
    HistoryMessage("m3", NOW - timedelta(hours=1), "system", "notification", "Mail: \x1b[2Jit is\u202e full"),
    HistoryMessage(
        "m4", NOW, "assistant", "reply", "Found it.", reply={"outcome": "done", "sources": SOURCES}
    ),
    HistoryMessage("m5", NOW, "user", "command", "x" * 300_000),
]


class House:
    """A daemon's end of the socket, over a history on disk; one page a request, as the API gives it."""

    def __init__(self, folder: Path, *, enabled: bool = True) -> None:
        self.database, self.enabled, self.asked = folder / "omniid.db", enabled, list[str]()

    def add(self, *messages: HistoryMessage) -> None:
        async def work() -> None:
            async with Database(self.database) as database, asyncio.TaskGroup() as group:
                history = History(database)
                for message in messages:
                    group.create_task(history.add(message))

        asyncio.run(work())

    def get(self, query: dict[str, str]) -> dict[str, Any]:
        async def work() -> Page:
            async with Database(self.database) as database:
                since = datetime.fromisoformat(query["since"]) if "since" in query else None
                before = int(query["before"]) if "before" in query else None
                return await History(database).page(
                    int(query["limit"]), before=before, query=query.get("q"), since=since
                )

        page = asyncio.run(work())
        messages = [
            {
                "id": stored.message.id,
                "at": stored.message.at.isoformat(),
                "sender": stored.message.sender,
                "kind": stored.message.kind,
                "text": stored.message.text,
                "whole_bytes": stored.message.whole_bytes,
                "command_id": stored.message.command_id,
                "metadata": stored.message.metadata,
                "reply": stored.message.reply,
            }
            for stored in page.messages
        ]
        return {"messages": messages, "before": page.before, "enabled": self.enabled}

    def delete(self) -> dict[str, Any]:
        async def work() -> int:
            async with Database(self.database) as database:
                return await History(database).clear()

        return {"deleted": asyncio.run(work())}


@contextlib.contextmanager
def serving(house: House, socket: Path) -> Iterator[None]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            assert parts.path == "/v1/history"
            house.asked.append(parts.query)
            self._answer(house.get({key: value[0] for key, value in parse_qs(parts.query).items()}))

        def do_DELETE(self) -> None:
            assert self.path == "/v1/history"
            self._answer(house.delete())

        def _answer(self, content: dict[str, Any]) -> None:
            raw = json.dumps(content).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(raw)))
            self.end_headers()
            self.wfile.write(raw)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 its base class's name
            pass

    with socketserver.UnixStreamServer(str(socket), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    (tmp_path / "config.toml").touch()
    monkeypatch.setenv("OMNIID_CONFIG", str(tmp_path / "config.toml"))
    monkeypatch.setenv("OMNIID_CONTROL__SOCKET", str(tmp_path / "s"))
    monkeypatch.setenv("TZ", "UTC")
    house = House(tmp_path)
    with serving(house, tmp_path / "s"):
        yield house


OMNIID = """
import sys, typer
from omniid.errors import OmniidError
from omniid.cli.history import history
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
app.command()(history)
try:
    app()
except OmniidError as error:
    print(f"omniid: {error.message}", file=sys.stderr)
    sys.exit(error.exit_code)
"""


def omniid_history(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", OMNIID, *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )


def shown(*arguments: str) -> str:
    done = omniid_history(*arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def ids(*arguments: str) -> list[str]:
    return [message["id"] for message in json.loads(shown("--json", *arguments))]


def test_it_reads_as_a_conversation_and_steers_no_terminal(house: House) -> None:
    house.add(*SAID[:4])

    lines = shown().splitlines()

    day = f"{NOW - timedelta(days=3):%Y-%m-%d %H:%M}"
    assert lines[0] == f"{day}  you      buy milk"
    assert lines[1] == f"{day}  omniid   Milk is on the list."
    assert lines[2] == " " * 27 + "Anything else?"
    assert lines[3].endswith("  system   Mail: \ufffd[2Jit is\ufffd full")
    assert lines[4] == " " * 27 + "(notification)"
    assert lines[-1] == " " * 27 + "from Web <https://example.org/a>"
    assert "\x1b" not in shown()


def test_a_terminal_that_lacks_a_character_gets_its_number(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.add(HistoryMessage("m1", NOW, "user", "command", "meet Zoë → “soon”"))
    monkeypatch.setenv("PYTHONIOENCODING", "latin-1")

    done = subprocess.run(
        [sys.executable, "-m", "omniid", "history"], capture_output=True, timeout=60, check=True
    )

    assert done.stdout.decode("latin-1").endswith("you      meet Zoë \\u2192 \\u201csoon\\u201d\n")


def test_the_last_n_in_their_order(house: House) -> None:
    house.add(*SAID)

    assert ids() == ["m1", "m2", "m3", "m4", "m5"]
    assert ids("-n", "2") == ["m4", "m5"]
    assert omniid_history("-n", "0").returncode == 2


def test_more_than_one_page_is_fetched_and_no_more_than_needed(house: House) -> None:
    house.add(*(HistoryMessage(f"n{number}", NOW, "user", "command", "x") for number in range(450)))

    assert ids("-n", "300") == [f"n{number}" for number in range(150, 450)]
    assert len(house.asked) == 2
    assert ids("-n", "9999") == [f"n{number}" for number in range(450)]


def test_search_and_since(house: House) -> None:
    house.add(*SAID)

    assert ids("--search", "MILK list") == ["m2"]
    assert ids("--search", "mil") == ["m1", "m2"]
    assert ids("--search", '"(*') == []
    assert ids("--since", "2h") == ["m3", "m4", "m5"]
    assert ids("--since", (NOW - timedelta(days=30)).date().isoformat(), "--search", "mil") == ["m1", "m2"]


def test_bytes_that_are_no_text_are_a_usage_error(house: House) -> None:
    done = omniid_history("--search", os.fsdecode(b"a\xff"))

    assert done.returncode == 2
    assert done.stderr == "omniid: --search is not UTF-8 text, and no message can hold it.\n"
    assert house.asked == []


def test_a_moment_that_is_none_is_a_usage_error(house: House) -> None:
    done = omniid_history("--since", "when it \x1brained")

    assert done.returncode == 2
    assert "is no moment. Write 2026-03-01" in done.stderr
    assert "\x1b" not in done.stderr
    assert house.asked == []


def test_a_cut_text_says_so(house: House) -> None:
    house.add(SAID[4])

    assert shown().endswith("(shortened: it had 300,000 bytes)\n")


def test_an_empty_history_and_one_that_is_off_are_told_apart(house: House) -> None:
    house.add()
    assert shown() == "Nothing is there.\n"
    assert shown("--json") == "[]\n"
    house.enabled = False
    assert shown() == "No history is kept: history.enabled is off.\n"


def test_export_has_all_of_it_the_first_first(house: House) -> None:
    house.add(
        *(HistoryMessage(f"n{number}", NOW, "user", "command", f"say {number}") for number in range(450))
    )

    exported = json.loads(shown("--export", "json", "-n", "5"))
    assert [message["text"] for message in exported] == [f"say {number}" for number in range(450)]
    document = shown("--export", "markdown")
    assert document.startswith(f"# History\n\n## {NOW:%Y-%m-%d}\n\n**{NOW:%H:%M} you**\n\n> say 0  \n")
    assert document.count("> say ") == 450
    assert omniid_history("--export", "pdf").returncode == 2


def test_clear_deletes_and_counts(house: House) -> None:
    house.add(*SAID)

    assert shown("--clear") == "5 messages deleted.\n"
    assert shown("--clear") == "0 messages deleted.\n"
    assert ids() == []


@pytest.mark.parametrize(("answer", "left", "code"), [("n\n", 5, 1), ("\n", 5, 1), ("y\n", 0, 0)])
def test_clear_asks_a_person_first(house: House, answer: str, left: int, code: int) -> None:
    house.add(*SAID)
    master, slave = pty.openpty()
    try:
        child = subprocess.Popen(
            [sys.executable, "-c", OMNIID, "--clear"], stdin=slave, stdout=slave, stderr=slave
        )
        os.close(slave)
        _until(master, b"[y/N]")
        os.write(master, answer.encode())
        assert child.wait(WITHIN_S) == code
    finally:
        os.close(master)

    assert len(ids()) == left


def _until(master: int, words: bytes) -> None:
    seen, deadline = b"", time.monotonic() + WITHIN_S
    while words not in seen:
        assert time.monotonic() < deadline, seen
        if select.select([master], [], [], 0.5)[0]:
            seen += os.read(master, 4_096)


def test_without_a_daemon_it_says_how_to_start_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMNIID_CONTROL__SOCKET", str(tmp_path / "none"))
    for arguments in ((), ("--clear",), ("--export", "json")):
        done = omniid_history(*arguments)
        assert done.returncode == 3
        assert "omniid run" in done.stderr


# --- moments ------------------------------------------------------------------------------------------------

EAST = timezone(timedelta(hours=9))
THEN = datetime(2026, 3, 1, 12, 30, 15, tzinfo=EAST)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-02-01", datetime(2026, 2, 1, tzinfo=EAST)),
        ("2026-02-01T08:15", datetime(2026, 2, 1, 8, 15, tzinfo=EAST)),
        ("2026-02-01 08:15", datetime(2026, 2, 1, 8, 15, tzinfo=EAST)),
        ("2026-02-01T08:15Z", datetime(2026, 2, 1, 8, 15, tzinfo=UTC)),
        ("today", datetime(2026, 3, 1, tzinfo=EAST)),
        (" Yesterday ", datetime(2026, 2, 28, tzinfo=EAST)),
        ("90m", THEN - timedelta(minutes=90)),
        ("2h", THEN - timedelta(hours=2)),
        ("3 d", THEN - timedelta(days=3)),
        ("1W", THEN - timedelta(weeks=1)),
        ("0d", THEN),
    ],
)
def test_moments_as_people_write_them(text: str, expected: datetime) -> None:
    assert parse_when(text, THEN) == expected


@pytest.mark.parametrize(
    "text", ["", "soon", "3", "3y", "-3d", "2026-13-01", "999999w", "3dd", "\x00", "٣d" * 2]
)
def test_what_is_no_moment(text: str) -> None:
    with pytest.raises(BadRequestError, match="is no moment"):
        parse_when(text, THEN)


@given(st.text(max_size=30))
@settings(max_examples=300, deadline=None)
def test_no_text_breaks_the_reading_of_moments(text: str) -> None:
    with contextlib.suppress(BadRequestError):
        assert parse_when(text, THEN).tzinfo is not None


# --- Markdown -----------------------------------------------------------------------------------------------


def document(text: str, **fields: Any) -> str:
    message = {
        "sender": "assistant",
        "kind": "reply",
        "at": NOW.isoformat(),
        "whole_bytes": None,
        "reply": None,
    }
    return markdown([{**message, "text": text, **fields}]).partition("**\n\n")[2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain words", "> plain words  \n"),
        ("two\nlines", "> two  \n> lines  \n"),
        ("a\n\nb", "> a  \n>\n> b  \n"),
        ("# no heading", "> \\# no heading  \n"),
        ("- no list", "> \\- no list  \n"),
        ("1. no list", "> 1\\. no list  \n"),
        ("10) no list", "> 10\\) no list  \n"),
        ("1 of 2", "> 1 of 2  \n"),
        ("---", "> \\---  \n"),
        ("<script>alert(1)</script>", "> \\<script\\>alert(1)\\</script\\>  \n"),
        ("[a](javascript:x)", "> \\[a\\](javascript:x)  \n"),
        ("![a](http://tracker)", "> \\!\\[a\\](http://tracker)  \n"),
        ("`code` *b* _i_", "> \\`code\\` \\*b\\* \\_i\\_  \n"),
        ("&lt;", "> &amp;lt;  \n"),
        ("\x1b[2J\u202e", "> \ufffd\\[2J\ufffd  \n"),
    ],
)
def test_what_was_said_is_text_in_a_document_and_nothing_else(text: str, expected: str) -> None:
    assert document(text) == expected


def test_a_document_has_its_citations_and_says_what_was_cut() -> None:
    got = document("x", whole_bytes=300_000, reply={"sources": [*SOURCES, {"name": "Gmail"}, "?"]})

    assert got == "> x  \n> (shortened: it had 300,000 bytes)  \n\n- Web: <https://example.org/a>\n- Gmail\n"
