"""The link against real WebSocket servers on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import http
import json
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from support.core import SETTINGS, Core, core, local, server
from support.moments import at
from websockets.asyncio.server import ServerConnection, unix_serve
from websockets.http11 import Request, Response

from omniid.events import (
    CommandMoved,
    CommandRejected,
    CommandSettled,
    CommandUncertain,
    CommandWritten,
    LineServed,
    LinkDialling,
    LinkEvent,
    LinkLost,
    LinkOpened,
    LinkSpoilt,
    LinkStopped,
    MessageArrived,
    WindowGrew,
    WriteFailed,
)
from omniid.fate import State
from omniid.protocol.backoff import Backoff
from omniid.protocol.link import LinkSettings, Outgoing
from omniid.session import SHORTEST_REDIAL_S, Session, Way, _shown, link_maker
from omniid.wire import Target

SUCCESS = json.dumps({"type": "response", "status": "success", "data": {"message": "Sent."}})


def say(message: str, **fields: Any) -> str:
    return json.dumps({"type": "response", "status": "success", "data": {"message": message}, **fields})


async def answer_all(connection: ServerConnection) -> None:
    async for frame in connection:
        await connection.send(say("re: " + json.loads(frame)["payload"]["message"]))


class Fixed:
    """A token that never changes."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def token(self, *, again: bool) -> str | None:
        del again
        return self._token


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await work()

    asyncio.run(bounded())


# --- commands -----------------------------------------------------------------------------------------------


def test_a_command_is_sent_and_settled(tmp_path: Path) -> None:
    async def work() -> None:
        async with server(answer_all) as (_, port), core(tmp_path, local(port)) as house:
            command_id = await house.ask("Send it")
            await house.until_moved(command_id, State.DONE)
            command = await house.outbox.get(command_id)
            assert command.reply is not None
            assert command.reply["content"] == "re: Send it"
            assert command.attempts == 1
            assert [e.state for e in house.of(CommandMoved)] in (
                [State.WAITING, State.DONE],
                [State.DONE],  # the answer can overtake our own record of the write
            )

    run(work)


def test_commands_go_out_in_order_one_at_a_time_until_the_server_correlates(tmp_path: Path) -> None:
    got: list[str] = []
    most = 0

    async def careful(connection: ServerConnection) -> None:
        nonlocal most
        async for frame in connection:
            got.append(json.loads(frame)["payload"]["message"])
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):
                    got.append(json.loads(await connection.recv())["payload"]["message"])
                    most = 2
            await connection.send(say("ok"))

    async def work() -> None:
        async with server(careful) as (_, port), core(tmp_path, local(port)) as house:
            ids = [await house.ask(f"n{number}") for number in range(5)]
            await house.until_moved(ids[-1], State.DONE)

    run(work)
    assert got == [f"n{number}" for number in range(5)]
    assert most == 0


def test_a_server_that_echoes_gets_several_at_once_and_may_answer_in_any_order(tmp_path: Path) -> None:
    async def backwards(connection: ServerConnection) -> None:
        await connection.send(json.dumps({"type": "hello", "payload": {"features": ["correlate"]}}))
        payloads = [json.loads(await connection.recv())["payload"] for _ in range(5)]
        for payload in reversed(payloads):
            await connection.send(say("re: " + payload["message"], requestId=payload["requestId"]))
        await connection.wait_closed()

    async def work() -> None:
        async with server(backwards) as (_, port), core(tmp_path, local(port)) as house:
            ids = [await house.ask(f"n{number}") for number in range(5)]
            await house.until(lambda: len(house.of(CommandSettled)) == 5)
            for number, command_id in enumerate(ids):
                await house.until_moved(command_id, State.DONE)
                command = await house.outbox.get(command_id)
                assert command.reply is not None
                assert command.reply["content"] == f"re: n{number}"

    run(work)


def test_a_cut_after_the_write_leaves_the_command_uncertain_and_the_others_queued(tmp_path: Path) -> None:
    seen: list[str] = []

    async def cut_once(connection: ServerConnection) -> None:
        async for frame in connection:
            seen.append(json.loads(frame)["payload"]["message"])
            if len(seen) == 1:
                connection.transport.abort()
                return
            await connection.send(SUCCESS)

    async def work() -> None:
        async with server(cut_once) as (_, port), core(tmp_path, local(port)) as house:
            first = await house.ask("first")
            second = await house.ask("second")
            await house.until_moved(second, State.DONE)
            assert (await house.outbox.get(first)).state is State.UNCERTAIN
            assert seen == ["first", "second"]

    run(work)


@pytest.mark.parametrize("how", ["close", "abort"])
def test_an_answer_that_came_before_the_cut_counts(tmp_path: Path, how: str) -> None:
    async def answer_and_go(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send(SUCCESS)
        if how == "close":
            await connection.close()
        else:
            await asyncio.sleep(0.1)  # abort() throws away what has not left yet
            connection.transport.abort()

    async def work() -> None:
        async with server(answer_and_go) as (_, port), core(tmp_path, local(port)) as house:
            command_id = await house.ask("x")
            await house.until_moved(command_id, State.DONE)
            await house.until_seen(LinkLost)
            assert house.of(CommandUncertain) == []

    run(work)


def test_answers_to_earlier_commands_count_though_a_later_one_meets_the_end_of_the_link() -> None:
    """The writer meets the closed socket first; what the reader has not read yet must still be read."""

    async def answer_and_go(connection: ServerConnection) -> None:
        await connection.send(json.dumps({"type": "hello", "payload": {"features": ["correlate"]}}))
        payloads = [json.loads(await connection.recv())["payload"] for _ in range(10)]
        for payload in payloads:
            await connection.send(say("ok", requestId=payload["requestId"]))
        await connection.close()

    async def work() -> None:
        events: list[LinkEvent] = []
        closing = asyncio.Event()

        async def post(event: LinkEvent) -> None:
            events.append(event)
            if isinstance(event, LinkOpened):
                submit(range(10))
            if isinstance(event, CommandSettled) and event.command_id == "c0":
                await asyncio.sleep(0.2)  # a slow house: meanwhile the link ends
                submit(range(10, 12))
                await asyncio.sleep(0.1)
            if isinstance(event, LinkLost):
                closing.set()

        def submit(numbers: range) -> None:
            for number in numbers:
                assert session.submit([Outgoing(f"c{number}", "text", "x", {})], 1)

        async with server(answer_and_go) as (_, port), asyncio.TaskGroup() as group:
            session = bare_session(local(port), post)
            running = group.create_task(session.run())
            await closing.wait()
            running.cancel()
        assert [e.command_id for e in events if isinstance(e, CommandSettled)] == [f"c{n}" for n in range(10)]
        assert [e.command_id for e in events if isinstance(e, WriteFailed)] == ["c10", "c11"]
        assert [e for e in events if isinstance(e, CommandUncertain)] == []

    run(work)


def test_a_frame_the_server_closes_over_is_rejected_and_not_sent_again(tmp_path: Path) -> None:
    got: list[str] = []

    async def picky(connection: ServerConnection) -> None:
        async for frame in connection:
            got.append(json.loads(frame)["payload"]["message"])
            if got[-1] == "poison":
                await connection.close(1009, "too big")
                return
            await connection.send(SUCCESS)

    async def work() -> None:
        async with server(picky) as (_, port), core(tmp_path, local(port)) as house:
            poison, good = await house.ask("poison"), await house.ask("good")
            await house.until_moved(good, State.DONE)
            assert (await house.outbox.get(poison)).state is State.REJECTED
            assert [event.command_id for event in house.of(CommandRejected)] == [poison]
            assert got == ["poison", "good"]

    run(work)


def test_an_answer_too_large_to_take_leaves_its_command_uncertain(tmp_path: Path) -> None:
    closes: list[int | None] = []

    async def huge(connection: ServerConnection) -> None:
        await connection.recv()
        await connection.send("x" * (SETTINGS.max_frame_bytes + 1))
        await connection.wait_closed()
        closes.append(connection.close_code)

    async def work() -> None:
        async with server(huge) as (_, port), core(tmp_path, local(port)) as house:
            command_id = await house.ask("x")
            await house.until_moved(command_id, State.UNCERTAIN)
            await house.until_seen(LinkLost)

    run(work)
    assert closes == [1009]


def test_a_broken_frame_changes_nothing(tmp_path: Path) -> None:
    async def rambling(connection: ServerConnection) -> None:
        await connection.recv()
        for frame in ("<html>", "[" * 50_000, b"\xff\x00", '{"type":"response","message":"\\ud800"}', "{}"):
            await connection.send(frame)
        await connection.send(say("ok"))
        await connection.wait_closed()

    async def work() -> None:
        async with server(rambling) as (_, port), core(tmp_path, local(port)) as house:
            await house.until_moved(await house.ask("x"), State.DONE)
            assert len(house.of(LinkOpened)) == 1

    run(work)


def test_a_servers_own_ping_is_answered(tmp_path: Path) -> None:
    answers: list[dict[str, Any]] = []

    async def pinging(connection: ServerConnection) -> None:
        await connection.send('{"type":"ping"}')
        answers.append(json.loads(await connection.recv()))
        await connection.send('{"type":"text","content":"thanks"}')
        await connection.wait_closed()

    async def work() -> None:
        async with server(pinging) as (_, port), core(tmp_path, local(port)) as house:
            await house.until_seen(MessageArrived)

    run(work)
    assert [answer["type"] for answer in answers] == ["pong"]


def test_after_a_missed_deadline_the_next_command_goes_out_on_a_new_link(tmp_path: Path) -> None:
    links: list[ServerConnection] = []
    got: list[tuple[int, str]] = []

    async def slow_once(connection: ServerConnection) -> None:
        links.append(connection)
        number = len(links)
        async for frame in connection:
            got.append((number, json.loads(frame)["payload"]["message"]))
            if number > 1:
                await connection.send(say("in time"))

    async def work() -> None:
        async with (
            server(slow_once) as (_, port),
            core(tmp_path, local(port), reply_timeout_s=0.3) as house,
        ):
            late = await house.ask("late")
            await house.until_seen(CommandWritten)
            good = await house.ask("good")
            await house.until_moved(good, State.DONE)
            assert (await house.outbox.get(late)).state is State.UNCERTAIN
            assert len(house.of(LinkSpoilt)) == 1
            assert got == [(1, "late"), (2, "good")]

    run(work)


# --- the link itself ----------------------------------------------------------------------------------------


def bare_session(
    target: Target, post: Callable[[LinkEvent], Awaitable[None]], delay_s: float = 30
) -> Session:
    link = LinkSettings("ann", "UTC", 16, 60.0)
    backoff = Backoff(delay_s, delay_s, lambda: 1.0)
    return Session(Way(target, SETTINGS), link_maker(link), backoff, clock=at, post=post)


def test_a_server_that_accepts_and_closes_is_not_dialled_in_a_hot_loop(tmp_path: Path) -> None:
    async def shut(connection: ServerConnection) -> None:
        await connection.close()

    async def work() -> None:
        async with server(shut) as (_, port), core(tmp_path, local(port)) as house:
            await house.until_seen(LinkDialling, 5)
            delays = [event.retry_in_s for event in house.of(LinkLost)]
            assert delays[:4] == [0.05, 0.1, 0.2, 0.2]
            kinds = [type(event) for event in house.events if not isinstance(event, LineServed)]
            assert kinds[:6] == [LinkDialling, LinkOpened, LinkLost] * 2

    run(work)


def test_queued_commands_go_out_in_order_and_once_when_the_server_is_back(tmp_path: Path) -> None:
    got: list[str] = []

    async def recording(connection: ServerConnection) -> None:
        async for frame in connection:
            got.append(json.loads(frame)["payload"]["message"])
            await connection.send(SUCCESS)

    async def work() -> None:
        async with contextlib.AsyncExitStack() as first:
            _, port = await first.enter_async_context(server(recording))
            async with core(tmp_path, local(port)) as house:
                await house.until_moved(await house.ask("before"), State.DONE)
                await first.aclose()
                await house.until_seen(LinkLost)
                ids = [await house.ask(f"n{number}") for number in range(20)]
                await house.until_seen(LinkLost, 3)
                async with server(recording, port):
                    await house.until_moved(ids[-1], State.DONE)
                    states = {(await house.outbox.get(command_id)).state for command_id in ids}
                    assert states == {State.DONE}

    run(work)
    assert got == ["before", *(f"n{number}" for number in range(20))]


@pytest.mark.parametrize(
    ("status", "stopped", "needs_token"),
    [(401, True, True), (403, True, True), (404, True, False), (503, False, False), (302, False, False)],
)
def test_a_handshake_that_is_refused_is_dialled_again_only_where_that_can_help(
    tmp_path: Path, status: int, stopped: bool, needs_token: bool
) -> None:
    def refuse(connection: ServerConnection, _: Request) -> Response:
        response = connection.respond(http.HTTPStatus(status), "no\n")
        response.headers["Location"] = "http://portal.example/login"
        return response

    async def work() -> None:
        async with (
            server(answer_all, process_request=refuse) as (_, port),
            core(tmp_path, local(port)) as house,
        ):
            if stopped:
                event = await house.until_seen(LinkStopped)
                assert event.needs_token is needs_token
                assert len(house.of(LinkDialling)) == 1
            else:
                event = await house.until_seen(LinkLost, 2)
            assert f"HTTP {status}" in event.reason

    run(work)


def test_a_stopped_link_is_dialled_again_when_it_is_asked_for(tmp_path: Path) -> None:
    allowed = False

    def guard(connection: ServerConnection, _: Request) -> Response | None:
        return None if allowed else connection.respond(http.HTTPStatus.UNAUTHORIZED, "no\n")

    async def work() -> None:
        nonlocal allowed
        async with (
            server(answer_all, process_request=guard) as (_, port),
            core(tmp_path, local(port)) as house,
        ):
            await house.until_seen(LinkStopped)
            allowed = True
            house.session.reconnect()
            await house.until_seen(LinkOpened)

    run(work)


async def plain_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>")
    await writer.drain()
    writer.close()


async def no_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"220 mail.example ESMTP\r\n")
    await writer.drain()
    writer.close()


async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.transport.abort()


@pytest.mark.parametrize(
    ("speak", "reason"),
    [
        pytest.param(plain_http, "answered HTTP 200", id="a web server"),
        pytest.param(no_http, "does not speak WebSocket", id="a mail server"),
        pytest.param(hang_up, "does not speak WebSocket|cannot be reached", id="one that hangs up"),
    ],
)
def test_a_server_of_another_kind_is_named_as_such_and_dialled_again(
    tmp_path: Path, speak: Any, reason: str
) -> None:
    async def work() -> None:
        other = await asyncio.start_server(speak, "127.0.0.1", 0)
        async with other, core(tmp_path, local(other.sockets[0].getsockname()[1])) as house:
            lost = await house.until_seen(LinkLost, 2)
            assert any(words in lost.reason for words in reason.split("|")), lost.reason

    run(work)


@pytest.mark.parametrize(
    "url", ["ws://a..b/ws", "ws://127.0.0.1:99999/ws", "ws://127.0.0.1/ws#here", "http://127.0.0.1/ws"]
)
def test_an_address_that_is_none_stops_the_link_and_not_the_daemon(tmp_path: Path, url: str) -> None:
    async def work() -> None:
        async with core(tmp_path, Target(url, "ann")) as house:
            stopped = await house.until_seen(LinkStopped)
            assert "no usable address" in stopped.reason

    run(work)


def test_the_user_is_in_the_url_and_the_token_is_not(tmp_path: Path) -> None:
    requests: list[Request] = []

    async def work() -> None:
        async with server(answer_all, process_request=lambda _, request: requests.append(request)) as (
            _,
            port,
        ):
            target = Target(f"ws://127.0.0.1:{port}/ws?v=1", "ann & bob/ü")
            async with core(tmp_path, target, tokens=Fixed("s3cret")) as house:
                await house.until_seen(LinkOpened)
            assert "s3cret" not in str(house.events) + repr(target)

    run(work)
    assert requests[0].path == "/ws?v=1&userId=ann%20%26%20bob%2F%C3%BC"
    assert requests[0].headers["Authorization"] == "Bearer s3cret"


def test_a_proxy_of_the_system_is_not_asked_for_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)

    async def work() -> None:
        async with server(answer_all) as (_, port), core(tmp_path, local(port)) as house:
            await house.until_seen(LinkOpened)

    run(work)


def test_no_token_no_header(tmp_path: Path) -> None:
    requests: list[Request] = []

    async def work() -> None:
        async with (
            server(answer_all, process_request=lambda _, request: requests.append(request)) as (_, port),
            core(tmp_path, local(port)) as house,
        ):
            await house.until_seen(LinkOpened)

    run(work)
    assert "Authorization" not in requests[0].headers


def test_a_backend_on_a_unix_socket(tmp_path: Path) -> None:
    async def work() -> None:
        path = tmp_path / "backend.sock"
        async with unix_serve(answer_all, str(path)):
            target = Target("ws://localhost/ws", "ann", socket=path)
            async with core(tmp_path, target) as house:
                await house.until_moved(await house.ask("x"), State.DONE)

    run(work)


def test_a_command_for_a_closed_link_is_not_taken() -> None:
    async def post(_: LinkEvent) -> None:
        pass

    session = bare_session(local(1), post)

    assert session.submit([Outgoing("c1", "text", "x", {})], 0) is False


def test_a_command_handed_over_at_the_wrong_moment_goes_back_to_its_place(tmp_path: Path) -> None:
    async def work() -> None:
        async with server(answer_all) as (_, port), core(tmp_path, local(port)) as house:
            await house.until_seen(LinkOpened)
            open_, house.session._conversation = house.session._conversation, None  # as when it just ended
            command_id = await house.ask("x")
            await house.until_moved(command_id, State.QUEUED)
            house.session._conversation = open_
            other = await house.ask("y")
            await house.until_moved(other, State.DONE)
            assert (await house.outbox.get(command_id)).state is State.DONE

    run(work)


# --- a new link on request ----------------------------------------------------------------------------------


def test_a_reconnect_gives_up_a_dial_that_hangs(tmp_path: Path) -> None:
    async def work() -> None:
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as deaf:
            deaf.setblocking(False)
            async with core(tmp_path, local(deaf.getsockname()[1])) as house:
                accepted, _ = await loop.sock_accept(deaf)
                with accepted:
                    assert (await loop.sock_recv(accepted, 4)) == b"GET "
                    house.session.reconnect()
                    lost = await house.until_seen(LinkLost)
                    assert lost.reason == "a new link was asked for"
                    await house.until_seen(LinkDialling, 2)
                    # Until it has said its hello, a socket that is cancelled is the library's to close.
                    again, _ = await loop.sock_accept(deaf)
                    with again:
                        await loop.sock_recv(again, 4)

    run(work)


def test_a_reconnect_replaces_an_open_link_without_the_delay() -> None:
    async def work() -> None:
        events: list[LinkEvent] = []
        more = asyncio.Event()

        async def post(event: LinkEvent) -> None:
            events.append(event)
            more.set()

        async with server(answer_all) as (_, port), asyncio.TaskGroup() as group:
            session = bare_session(local(port), post, delay_s=600)
            running = group.create_task(session.run())
            while LinkOpened(1, 1) not in events:
                more.clear()
                await more.wait()
            session.reconnect()
            async with asyncio.timeout(SHORTEST_REDIAL_S + 20):
                while LinkOpened(2, 1) not in events:
                    more.clear()
                    await more.wait()
            running.cancel()
        assert [event for event in events if isinstance(event, LinkLost)] == [
            LinkLost("a new link was asked for", 0.0)
        ]

    run(work)


def test_a_command_that_is_accepted_cuts_the_delay_short_and_an_earlier_one_does_not() -> None:
    async def work() -> None:
        lost = asyncio.Event()
        dialled: list[LinkEvent] = []

        async def post(event: LinkEvent) -> None:
            if isinstance(event, LinkDialling):
                dialled.append(event)
            if isinstance(event, LinkOpened):
                session.wake()
            if isinstance(event, LinkLost):
                lost.set()

        async def shut(connection: ServerConnection) -> None:
            await connection.close()

        async with server(shut) as (_, port), asyncio.TaskGroup() as group:
            session = bare_session(local(port), post, delay_s=600)
            running = group.create_task(session.run())
            await lost.wait()
            await asyncio.sleep(SHORTEST_REDIAL_S + 0.2)
            assert len(dialled) == 1
            lost.clear()
            session.wake()
            await lost.wait()
            assert len(dialled) == 2
            running.cancel()

    run(work)


# --- the end ------------------------------------------------------------------------------------------------


def test_a_session_that_is_cancelled_accounts_for_every_command() -> None:
    """Also when the house is slow to take its words."""

    async def work() -> None:
        events: list[LinkEvent] = []
        slow = asyncio.Event()
        opened = asyncio.Event()
        written = asyncio.Event()

        async def post(event: LinkEvent) -> None:
            events.append(event)
            if isinstance(event, LinkOpened):
                opened.set()
            if isinstance(event, CommandWritten) and event.command_id == "c1":
                written.set()
                await slow.wait()
            if isinstance(event, CommandUncertain | WriteFailed):
                await slow.wait()

        async def silent(connection: ServerConnection) -> None:
            await connection.wait_closed()

        async with server(silent) as (_, port), asyncio.TaskGroup() as group:
            session = bare_session(local(port), post)
            running = group.create_task(session.run())
            await opened.wait()
            assert session.submit([Outgoing("c0", "text", "x", {})], 1)
            for number in range(1, 3):
                assert session.submit([Outgoing(f"c{number}", "text", "x", {})], 1)
            await written.wait()
            for number in range(3, 5):
                assert session.submit([Outgoing(f"c{number}", "text", "x", {})], 1)
            while not running.done():
                running.cancel()  # once for the conversation, and again into each wait for the house
                await asyncio.sleep(0)
        assert [e.command_id for e in events if isinstance(e, CommandWritten)] == ["c0", "c1", "c2"]
        assert [e.command_id for e in events if isinstance(e, WriteFailed)] == ["c3", "c4"]
        assert [e.command_id for e in events if isinstance(e, CommandUncertain)] == ["c0", "c1", "c2"]

    run(work)


def test_a_word_read_from_the_wire_is_posted_even_when_the_link_is_given_up_meanwhile() -> None:
    async def work() -> None:
        events: list[LinkEvent] = []
        reading = asyncio.Event()
        lost = asyncio.Event()

        async def post(event: LinkEvent) -> None:
            events.append(event)
            if isinstance(event, LinkOpened):
                assert session.submit([Outgoing("c0", "text", "x", {})], 1)
            if isinstance(event, WindowGrew):
                reading.set()
                await asyncio.Event().wait()  # no room: until the link is given up
            if isinstance(event, LinkLost):
                lost.set()

        async def echoing(connection: ServerConnection) -> None:
            async for frame in connection:
                await connection.send(say("ok", requestId=json.loads(frame)["payload"]["requestId"]))

        async with server(echoing) as (_, port), asyncio.TaskGroup() as group:
            session = bare_session(local(port), post)
            running = group.create_task(session.run())
            await reading.wait()
            session.reconnect()
            await lost.wait()
            running.cancel()
        assert [e.command_id for e in events if isinstance(e, CommandSettled)] == ["c0"]
        assert [e for e in events if isinstance(e, CommandUncertain)] == []

    run(work)


def test_what_is_in_flight_when_omniid_stops_is_uncertain_on_disk(tmp_path: Path) -> None:
    async def silent(connection: ServerConnection) -> None:
        await connection.wait_closed()

    async def work() -> None:
        house: Core
        async with server(silent) as (_, port):
            async with core(tmp_path, local(port)) as house:
                flying, waiting = await house.ask("flying"), await house.ask("waiting")
                await house.until_seen(CommandWritten)
            assert CommandMoved(flying, State.UNCERTAIN) in house.events
            async with core(tmp_path, local(port)) as house:
                assert (await house.outbox.get(flying)).state is State.UNCERTAIN
                assert (await house.outbox.get(waiting)).state in {State.QUEUED, State.SENDING, State.WAITING}

    run(work)


def test_the_frame_that_everybody_sees_has_no_code_for_omniids_own_page() -> None:
    page = "http://127.0.0.1:40081/signed-in/c1?state=sUVu-8_x"
    frame = f'{{"metadata":{{"redirectUrl":"{page}","state":"mine?state=2"}}}}'

    assert _shown(frame) == frame.replace("sUVu-8_x", "…")
    assert _shown(b"12") == "2 bytes of MessagePack"
