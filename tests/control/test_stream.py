"""The event stream: a snapshot, numbered deltas, and an honest end for a reader that lags."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.control import STATUS, Running, running_server

from omniid.control import stream
from omniid.control.client import Client
from omniid.control.stream import EventHub


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "omniid.sock"


@pytest.fixture
def daemon(path: Path) -> Iterator[Running]:
    with running_server(path) as running:
        yield running


def opened(path: Path, since: int | None = None) -> Iterator[dict[str, Any]]:
    return Client(path).events(since, timeout_s=30)


# --- over the socket ----------------------------------------------------------------------------------------


def test_a_snapshot_comes_first_and_then_numbered_deltas(daemon: Running, path: Path) -> None:
    daemon.publish("before", {})
    events = opened(path)
    snapshot = next(events)
    for number in range(3):
        daemon.publish("happened", {"n": number, "text": "Grüße\nin two lines"})

    deltas = [next(events) for _ in range(3)]

    assert (snapshot["event"], snapshot["id"], snapshot["data"]) == ("snapshot", 1, STATUS.model_dump())
    assert [(e["id"], e["event"], e["data"]["n"]) for e in deltas] == [
        (2, "happened", 0),
        (3, "happened", 1),
        (4, "happened", 2),
    ]
    assert deltas[0]["data"]["text"] == "Grüße\nin two lines"


def test_a_reader_goes_on_where_it_was(daemon: Running, path: Path) -> None:
    for number in range(5):
        daemon.publish("happened", {"n": number})

    events = opened(path, since=3)

    assert [next(events)["id"], next(events)["id"]] == [4, 5]


@pytest.mark.parametrize("since", [0, 5], ids=["from the very beginning", "with nothing missed"])
def test_a_reader_that_can_be_given_all_it_missed_needs_no_snapshot(
    daemon: Running, path: Path, since: int
) -> None:
    for number in range(5):
        daemon.publish("happened", {"n": number})
    events = Client(path).events(since, timeout_s=30)
    daemon.publish_soon("happened", {"n": 5})

    first = next(events)

    assert (first["event"], first["id"]) == ("happened", since + 1)


@pytest.mark.parametrize("since", [1, 99_999], ids=["too long ago", "from before a restart"])
def test_what_is_not_kept_any_more_is_made_good_by_a_snapshot(
    daemon: Running, path: Path, since: int
) -> None:
    daemon.publish("happened", {}, times=2_000)

    first = next(opened(path, since=since))

    assert (first["event"], first["id"]) == ("snapshot", 2_000)


def test_a_reader_that_does_not_read_is_told_and_let_go(daemon: Running, path: Path) -> None:
    events = opened(path)
    assert next(events)["event"] == "snapshot"
    for _ in range(30):  # far more than any buffer between here and there holds
        daemon.publish("big", {"x": "x" * 10_000}, times=100)

    seen = list(events)

    assert seen[-1]["event"] == "lagged"
    numbers = [event["id"] for event in seen[:-1]]
    assert numbers == list(range(1, 1 + len(numbers)))
    assert next(opened(path))["event"] == "snapshot"


def test_a_slow_reader_does_not_hold_up_a_quick_one(daemon: Running, path: Path) -> None:
    slow, quick = opened(path), opened(path)
    assert next(slow)["event"] == next(quick)["event"] == "snapshot"
    for number in range(1_000):
        daemon.publish("big", {"x": "x" * 10_000, "n": number})
        assert next(quick)["data"]["n"] == number


def test_every_stream_ends_when_the_daemon_does(daemon: Running, path: Path) -> None:
    streams = [opened(path) for _ in range(3)]
    for events in streams:
        next(events)

    daemon.stop()

    assert [list(events) for events in streams] == [[], [], []]


def test_a_quiet_stream_has_a_heartbeat_that_readers_are_not_shown(
    monkeypatch: pytest.MonkeyPatch, daemon: Running, path: Path
) -> None:
    monkeypatch.setattr(stream, "HEARTBEAT_S", 0.05)
    connection = http.client.HTTPConnection("omniid")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(30)
    connection.sock.connect(str(path))
    with contextlib.closing(connection):
        connection.request("GET", "/v1/events")
        response = connection.getresponse()
        assert response.headers["Content-Type"].startswith("text/event-stream")
        lines: list[bytes] = []
        while lines.count(b": heartbeat\n") < 3:
            lines.append(response.readline())
    events = opened(path)
    next(events)
    daemon.publish("happened", {})
    assert next(events)["event"] == "happened"


# --- the hub ------------------------------------------------------------------------------------------------


async def read(hub: EventHub, since: int | None = None) -> AsyncIterator[dict[str, Any]]:
    async def snapshot() -> Any:
        hub.publish("meanwhile", {})
        return STATUS

    async for piece in hub.read(since, snapshot):
        fields = dict(line.split(": ", 1) for line in piece.decode().strip().splitlines())
        yield {"event": fields["event"], "id": fields.get("id"), "data": json.loads(fields["data"])}


def test_what_happens_while_the_snapshot_is_taken_comes_after_it() -> None:
    async def run() -> None:
        hub = EventHub()
        hub.publish("before", {})
        events = read(hub)
        async with asyncio.timeout(10):
            seen = [await anext(events), await anext(events)]
        assert [(event["event"], event["id"]) for event in seen] == [("snapshot", "1"), ("meanwhile", "2")]
        await events.aclose()  # type: ignore[attr-defined]

    asyncio.run(run())


def test_a_reader_that_left_is_forgotten() -> None:
    async def run() -> None:
        hub = EventHub()
        events = hub.read(0, lambda: asyncio.sleep(0, STATUS))
        hub.publish("happened", {})
        await anext(events)
        assert len(hub._readers) == 1
        await events.aclose()  # type: ignore[attr-defined]
        assert len(hub._readers) == 0

    asyncio.run(run())


def test_a_reader_that_comes_after_the_end_is_let_go_at_once() -> None:
    async def run() -> None:
        hub = EventHub()
        hub.close()
        async with asyncio.timeout(10):
            assert [event["event"] async for event in read(hub)] == ["snapshot"]

    asyncio.run(run())
