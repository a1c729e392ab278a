"""The link against a backend that does everything wrong that a backend can do, on real sockets.

Whatever it does: no command vanishes, none is done twice, each reply goes to the command it answers, the
order is kept, and the next command goes through. `Trial.account` holds every test to that.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import string
import struct
import time
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from support import peer as behaviours
from support.core import SETTINGS, Core, core, local
from support.peer import Command, CommandBehaviour, Content, Ending, Link, LinkBehaviour, Peer
from support.strict_server import received, strict_server
from support.tls import Authority, Certificate
from websockets.frames import Frame, Opcode

from omniid.events import (
    ClockTicked,
    CommandMoved,
    CommandUncertain,
    CommandWritten,
    LateReplyArrived,
    LineServed,
    LinkLost,
    LinkOpened,
    LinkSpoilt,
    LinkStopped,
)
from omniid.fate import State
from omniid.performer import Asked
from omniid.protocol.reading import MOST_CHARACTERS

ANSWERED = {State.DONE, State.FAILED, State.NEEDS_AUTH}
OVER = ANSWERED | {State.UNCERTAIN, State.REJECTED}
NEVER_SENT = {State.QUEUED, State.SENDING, State.WAITING, State.UNCERTAIN, State.REJECTED}


class Trial:
    """omniid (`house`) against a backend (`peer`), and the ids of all commands in the order of asking."""

    def __init__(self, house: Core, peer: Peer) -> None:
        self.house = house
        self.peer = peer
        self.ids: list[str] = []

    async def ask(self, text: str) -> str:
        command_id = await self.house.ask(text)
        self.ids.append(command_id)
        return command_id

    async def state(self, command_id: str) -> State:
        return (await self.house.outbox.get(command_id)).state

    async def states(self) -> list[State]:
        return [await self.state(command_id) for command_id in self.ids]

    async def until_over(self, *command_ids: str) -> None:
        """Wait until each of them has come to an end that only the user could change."""
        open_ids = set(command_ids)
        seen = 0

        def all_over() -> bool:
            nonlocal seen
            fresh, seen = self.house.events[seen:], len(self.house.events)
            for event in fresh:
                if isinstance(event, CommandMoved):
                    (open_ids.discard if event.state in OVER else open_ids.add)(event.command_id)
            return not open_ids & set(command_ids)

        await self.house.until(all_over)

    async def account(self) -> None:
        """No command vanished, none went out twice, the order was kept, and no reply went astray."""
        sent = [command.request_id for command in self.peer.commands]
        once = list(dict.fromkeys(sent))
        if "dedupe" not in self.peer.features:
            assert sent == once
        assert once == [command_id for command_id in self.ids if command_id in set(once)]
        for command_id in self.ids:
            command = await self.house.outbox.get(command_id)
            assert command_id in once or command.state in NEVER_SENT
            content = (command.reply or {}).get("content", "")
            assert not content.startswith("re: ") or content == f"re: {command.message}"


@contextlib.asynccontextmanager
async def trial(
    path: Path, peer: Peer, *, ca_file: Path | None = None, **changes: Any
) -> AsyncIterator[Trial]:
    """A trial that ends with one more command, which goes through, and the account of all."""
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(peer.serving())
        target = replace(local(peer.port), url=peer.url, ca_file=ca_file)
        running = Trial(await stack.enter_async_context(core(path, target, **changes)), peer)
        yield running
        last = await running.ask("and then?")
        await running.house.until_moved(last, State.DONE)
        await running.account()


def run(work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(120):
            await work()

    asyncio.run(bounded())


def named(cases: dict[str, Any]) -> list[Any]:
    """Cases for `parametrize`, each a tuple or one value, under their names."""
    return [
        pytest.param(*(case if isinstance(case, tuple) else (case,)), id=name) for name, case in cases.items()
    ]


def noise(characters: int, seed: int = 0) -> str:
    """Text that does not compress to nothing."""
    return "".join(random.Random(seed).choices(string.ascii_letters + string.digits, k=characters))


# --- links that come to nothing -----------------------------------------------------------------------------


def close_frame(payload: bytes) -> bytes:
    return Frame(Opcode.CLOSE, payload).serialize(mask=False)


HTTP = {
    "busy": behaviours.answering(429),
    "500": behaviours.answering(500),
    "502": behaviours.answering(502),
    "a gateway that waits in vain": behaviours.answering(504),
    "a login page": behaviours.answering(302, {"Location": "http://portal.example/login"}),
    "no content": behaviours.answering(204),
    "a foreign key": behaviours.answering_raw(
        b"HTTP/1.1 101 So\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n"
    ),
    "an upgrade to nothing": behaviours.answering_raw(b"HTTP/1.1 101 So\r\n\r\n"),
    "half a status line": behaviours.answering_raw(b"HTTP/1.1 1"),
    "a header without end": behaviours.answering_raw(b"HTTP/1.1 101 So\r\nX: " + b"x" * 1_000_000),
    "headers without end": behaviours.answering_raw(b"HTTP/1.1 101 So\r\n" + b"X: x\r\n" * 10_000),
    "zeros": behaviours.answering_raw(bytes(1_000)),
    "a TLS alert": behaviours.answering_raw(b"\x15\x03\x01\x00\x02\x02\x46"),
    "a hang-up": behaviours.hang_up_before_the_handshake,
    "a reset": behaviours.cut_before_the_handshake,
}
ENDINGS: dict[str, LinkBehaviour] = {
    "a hang-up": behaviours.hang_up_at_once,
    "a reset": behaviours.cut_at_once,
    "a close without a code": behaviours.closing_at_once(None),
    **{
        f"close {code}": behaviours.closing_at_once(code, "because")
        for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011, 1012, 1013, 3000, 4000, 4429, 4500)
    },
    **{
        f"the forbidden close {code}": behaviours.opening_with_raw(close_frame(struct.pack("!H", code)))
        for code in (0, 999, 1004, 1005, 1006, 1015, 2999, 5000, 65_535)
    },
    "a close of one byte": behaviours.opening_with_raw(close_frame(b"x")),
    "a close with broken words": behaviours.opening_with_raw(close_frame(b"\x03\xe8\xff")),
    "a reserved opcode": behaviours.opening_with_raw(b"\x83\x00"),
    "a reserved bit": behaviours.opening_with_raw(b"\xa1\x00"),
    "a masked frame": behaviours.opening_with_raw(b"\x81\x81\x00\x00\x00\x00a"),
    "an end without a beginning": behaviours.opening_with_raw(b"\x80\x00"),
    "a beginning within a beginning": behaviours.opening_with_raw(b"\x01\x01a\x81\x01b"),
    "half a ping": behaviours.opening_with_raw(b"\x09\x00"),
    "a long ping": behaviours.opening_with_raw(b"\x89\x7e\x00\x80" + bytes(128)),
    "a length of exabytes": behaviours.opening_with_raw(b"\x82\x7f\x7f" + b"\xff" * 7),
    "a negative length": behaviours.opening_with_raw(b"\x82\x7f" + b"\xff" * 8),
    "text that is no UTF-8": behaviours.opening_with_raw(b"\x81\x02\xc3\x28"),
    "broken compression": behaviours.opening_with_raw(b"\xc1\x04\xff\xff\xff\xff"),
    "HTTP again": behaviours.opening_with_raw(b"HTTP/1.1 200 OK\r\n\r\n" + bytes(200)),
    "a frame that is too large": behaviours.opening_with("x" * (SETTINGS.max_frame_bytes + 1)),
    "a frame that unpacks to megabytes": behaviours.opening_with(" " * 5_000_000),
}


@pytest.mark.parametrize("behaviour", named(HTTP))
def test_no_command_is_touched_by_a_server_that_lets_nobody_in(
    tmp_path: Path, behaviour: LinkBehaviour
) -> None:
    async def work() -> None:
        peer = Peer(links=[behaviour])
        async with trial(tmp_path, peer) as running:
            command_id = await running.ask("x")
            await running.house.until_moved(command_id, State.DONE)
            assert len(peer.links) == 2
            assert len(running.house.of(LinkLost)) == 1
            assert running.house.of(CommandUncertain) == []

    run(work)


@pytest.mark.parametrize("behaviour", named(ENDINGS))
def test_a_link_that_ends_as_soon_as_it_is_open_is_replaced(tmp_path: Path, behaviour: LinkBehaviour) -> None:
    async def work() -> None:
        peer = Peer(links=[behaviour])
        async with trial(tmp_path, peer) as running:
            early = await running.ask("early")
            await running.until_over(early)
            await peer.link(2)
            assert len(running.house.of(LinkLost)) == 1

    run(work)


@pytest.mark.parametrize("form", ["seconds", "date"])
def test_a_busy_server_is_left_alone_for_as_long_as_it_asks(tmp_path: Path, form: str) -> None:
    dialled: list[float] = []

    async def refuse(link: Link) -> None:
        dialled.append(time.monotonic())
        soon = format_datetime(datetime.now(UTC) + timedelta(seconds=2), usegmt=True)
        await behaviours.answering(429, {"Retry-After": "1" if form == "seconds" else soon})(link)

    async def welcome(link: Link) -> None:
        dialled.append(time.monotonic())
        await behaviours.talk(link)

    async def work() -> None:
        async with trial(tmp_path, Peer(links=[refuse, welcome])) as running:
            await running.house.until_seen(LinkLost)
            command_id = await running.ask("impatient")
            await running.house.until_moved(command_id, State.DONE)

    run(work)
    assert dialled[1] - dialled[0] > 0.9


# --- a command on the wire ----------------------------------------------------------------------------------

PROCESSING = {"type": "response", "status": "processing", "data": {"message": "On it."}}
PONG = {"type": "response", "status": "success", "data": {"pong": True}, "timestamp": 1}
NOBODYS = {
    "type": "response",
    "status": "success",
    "data": {"message": "Sent."},
    "requestId": "019a0000-0000-7000-8000-000000000000",
}
FATES: dict[str, tuple[CommandBehaviour, State]] = {
    "a reset": (behaviours.cut, State.UNCERTAIN),
    "a hang-up": (behaviours.hang_up, State.UNCERTAIN),
    **{
        f"close {code}": (behaviours.closing(code), State.UNCERTAIN)
        for code in (None, 1000, 1001, 1002, 1008, 1011, 1012, 4000)
    },
    "close 1003": (behaviours.closing(1003), State.REJECTED),
    "close 1007": (behaviours.closing(1007), State.REJECTED),
    "half a reply and a reset": (behaviours.half_a_reply_and_cut, State.UNCERTAIN),
    "half a reply and a hang-up": (behaviours.half_a_reply_and_hang_up, State.UNCERTAIN),
    "no more than a promise": (behaviours.saying(PROCESSING, then=behaviours.cut), State.UNCERTAIN),
    "no more than a pong": (behaviours.saying(PONG, then=behaviours.cut), State.UNCERTAIN),
    "no more than a reply to nobody": (behaviours.saying(NOBODYS, then=behaviours.cut), State.UNCERTAIN),
    "a frame that is too large": (behaviours.saying("x" * 100_000), State.UNCERTAIN),
    "a reply and a reset": (behaviours.reply_and_cut, State.DONE),
    "a reply and a hang-up": (behaviours.reply_and_hang_up, State.DONE),
    "a reply that comes twice": (behaviours.reply_twice, State.DONE),
    "a reply byte by byte": (behaviours.reply_in_drips, State.DONE),
    "a reply in fragments between pings": (behaviours.reply_in_fragments, State.DONE),
}


@pytest.mark.parametrize(("behaviour", "state"), named(FATES))
def test_a_commands_fate_is_what_became_of_it_on_the_wire_and_the_next_ones_keep_their_order(
    tmp_path: Path, behaviour: CommandBehaviour, state: State
) -> None:
    async def work() -> None:
        peer = Peer(commands=[behaviour])
        async with trial(tmp_path, peer) as running:
            ids = [await running.ask(text) for text in ("first", "second", "third")]
            await running.until_over(*ids)
            assert await running.states() == [state, State.DONE, State.DONE]
            assert [command.message for command in peer.commands] == ["first", "second", "third"]

    run(work)


def test_a_cut_before_the_server_has_read_the_command_leaves_it_uncertain(tmp_path: Path) -> None:
    async def work() -> None:
        peer = Peer(links=[behaviours.half_open])
        async with trial(tmp_path, peer) as running:
            command_id = await running.ask("unread")
            await running.house.until_seen(CommandWritten)
            peer.links[0].cut()
            await running.until_over(command_id)
            assert await running.states() == [State.UNCERTAIN]
            assert peer.commands == []

    run(work)


@pytest.mark.parametrize("after_bytes", [1, 5, 5_000])
def test_a_cut_in_the_middle_of_the_command_leaves_it_uncertain(tmp_path: Path, after_bytes: int) -> None:
    async def work() -> None:
        peer = Peer(links=[behaviours.cut_inside_the_command(after_bytes)], deflate=False)
        async with trial(tmp_path, peer) as running:
            command_id = await running.ask(noise(7_000))
            await running.until_over(command_id)
            assert await running.states() == [State.UNCERTAIN]

    run(work)


def test_a_cut_while_the_command_is_still_being_written_leaves_it_uncertain(tmp_path: Path) -> None:
    """So large that no kernel takes it whole."""

    async def work() -> None:
        peer = Peer(links=[behaviours.cut_inside_the_command(100_000)], deflate=False)
        async with trial(tmp_path, peer) as running:
            metadata = {"noise": noise(1_000_000) * 8}
            command, _ = await running.house.performer.accept(Asked("text", "large", metadata))
            running.ids.append(command.id)
            await running.until_over(command.id)
            assert await running.states() == [State.UNCERTAIN]

    run(work)


def test_a_cut_settles_nothing_of_what_is_in_flight_and_keeps_what_was_answered(tmp_path: Path) -> None:
    async def work() -> None:
        steps = [behaviours.reply, behaviours.hold, behaviours.hold, behaviours.reply, behaviours.cut]
        peer = Peer(commands=steps, features=["correlate"])
        async with trial(tmp_path, peer) as running:
            ids = [await running.ask(f"n{number}") for number in range(5)]
            await running.until_over(*ids)
            uncertain = State.UNCERTAIN
            # The peer resets over its own fourth reply, which omniid may never get to see.
            states = await running.states()
            assert states[:3] == [State.DONE, uncertain, uncertain]
            assert states[3] in {State.DONE, uncertain}
            assert states[4] is uncertain

    run(work)


@pytest.mark.parametrize("deflate", [True, False])
def test_a_reply_of_four_megabytes_arrives_and_its_beginning_is_kept(tmp_path: Path, deflate: bool) -> None:
    text = noise(4 * 1024 * 1024)

    async def huge(link: Link, command: Command) -> None:
        await link.reply(command, text)

    async def work() -> None:
        peer = Peer(commands=[huge], deflate=deflate)
        wire = replace(SETTINGS, max_frame_bytes=8 * 1024 * 1024)
        async with trial(tmp_path, peer, wire=wire) as running:
            command_id = await running.ask("x")
            await running.house.until_moved(command_id, State.DONE)
            command = await running.house.outbox.get(command_id)
            assert command.reply is not None
            assert command.reply["content"].startswith(text[:MOST_CHARACTERS].rstrip())

    run(work)


def test_replies_without_ids_settle_none_of_several_commands(tmp_path: Path) -> None:
    async def answer_all_without_ids(link: Link, command: Command) -> None:
        link.held.append(command)
        await link.send(*(link.peer.success(each) for each in reversed(link.held)))
        link.peer.echo = True

    async def work() -> None:
        steps = [behaviours.hold, behaviours.hold, answer_all_without_ids]
        peer = Peer(commands=steps, features=["correlate"], echo=False)
        async with trial(tmp_path, peer, reply_timeout_s=1.0) as running:
            ids = [await running.ask(text) for text in ("first", "second", "third")]
            await running.until_over(*ids)
            assert await running.states() == [State.UNCERTAIN] * 3
            assert len(peer.links) == 1

    run(work)


# --- late replies -------------------------------------------------------------------------------------------


def test_a_late_reply_without_an_id_settles_nothing_and_above_all_not_the_next_command(
    tmp_path: Path,
) -> None:
    async def fall_silent(link: Link, command: Command) -> None:
        link.stop_reading()  # omniid's goodbye stays unread, so the socket is there when the reply is late
        link.held.append(command)

    async def work() -> None:
        peer = Peer(commands=[fall_silent])
        async with trial(tmp_path, peer, reply_timeout_s=1.0) as running:
            late, following = await running.ask("late"), await running.ask("following")
            await running.house.until_seen(CommandUncertain)
            await peer.links[0].reply(peer.links[0].held[0])
            peer.links[0].hang_up()
            await running.house.until_moved(following, State.DONE)
            assert await running.state(late) is State.UNCERTAIN
            assert len(peer.links) == 2

    run(work)


def test_a_late_reply_without_an_id_is_nobodys_even_where_others_have_one(tmp_path: Path) -> None:
    async def catch_up(link: Link, command: Command) -> None:
        overdue = link.peer.success(link.held[0])
        await link.send(overdue, link.peer.success(command, requestId=command.request_id))

    async def work() -> None:
        peer = Peer(commands=[behaviours.hold, catch_up], features=["correlate"], echo=False)
        async with trial(tmp_path, peer, reply_timeout_s=1.0) as running:
            late = await running.ask("late")
            await running.house.until_moved(late, State.UNCERTAIN)
            await running.until_over(await running.ask("following"))
            assert await running.states() == [State.UNCERTAIN, State.DONE]
            assert len(peer.links) == 1
            peer.echo = True

    run(work)


@pytest.mark.parametrize("place", ["the same socket", "the next socket"])
def test_a_late_reply_that_names_its_command_settles_it(tmp_path: Path, place: str) -> None:
    async def work() -> None:
        features = ["correlate"] if place == "the same socket" else []
        peer = Peer(commands=[behaviours.hold], features=features, echo=True)
        async with trial(tmp_path, peer, reply_timeout_s=1.0) as running:
            late = await running.ask("late")
            await running.house.until_moved(late, State.UNCERTAIN)
            link = await peer.link(1 if features else 2)
            await link.reply(peer.commands[0])
            await running.house.until_moved(late, State.DONE)
            assert len(running.house.of(LateReplyArrived)) == 1
            assert len(peer.links) == link.number

    run(work)


# --- a peer that is not there any more ----------------------------------------------------------------------


@pytest.mark.parametrize("when", ["before the first command is read", "after a command was answered"])
def test_a_server_that_is_only_half_there_is_found_out_by_its_silence(tmp_path: Path, when: str) -> None:
    async def reply_and_fall_silent(link: Link, command: Command) -> None:
        await link.reply(command)
        link.stop_reading()

    async def work() -> None:
        if when.startswith("before"):
            peer, expected = Peer(links=[behaviours.half_open]), [State.UNCERTAIN, State.DONE]
        else:
            peer, expected = Peer(commands=[reply_and_fall_silent]), [State.DONE, State.DONE]
        async with trial(tmp_path, peer, ping_interval_s=0.5, ping_timeout_s=0.5) as running:
            first = await running.ask("first")
            await running.until_over(first)
            await peer.link(2)
            second = await running.ask("second")
            await running.until_over(second)
            assert await running.states() == expected
            assert running.house.of(LinkSpoilt)

    run(work)


def test_a_reply_that_only_drips_is_a_sign_of_life(tmp_path: Path) -> None:
    """The server reads nothing meanwhile, so it answers no ping either."""

    async def drip_slowly(link: Link, command: Command) -> None:
        framed = json.dumps(link.peer.success(command)).encode()
        data = Frame(Opcode.TEXT, framed).serialize(mask=False)
        for start in range(0, len(data), 4):
            await link.send_raw(data[start : start + 4])
            await asyncio.sleep(0.1)

    async def work() -> None:
        peer = Peer(commands=[drip_slowly], deflate=False)
        async with trial(tmp_path, peer, ping_interval_s=0.6, ping_timeout_s=0.6) as running:
            await running.house.until_moved(await running.ask("x"), State.DONE)
            assert len(peer.links) == 1

    run(work)


# --- restarts and storms ------------------------------------------------------------------------------------

CAN = {
    "nothing": [],
    "correlate": ["correlate"],
    "dedupe": ["dedupe"],
    "correlate and dedupe": ["correlate", "dedupe"],
    "correlate and batch": ["correlate", "batch"],
    "all": ["correlate", "dedupe", "batch"],
}


@pytest.mark.parametrize("features", [pytest.param(features, id=name) for name, features in CAN.items()])
def test_a_server_that_restarts_again_and_again_gets_every_command_in_order(
    tmp_path: Path, features: list[str]
) -> None:
    endings: list[Ending] = ["cut", "close", "hang up"]

    async def work() -> None:
        peer = Peer(features=features)
        async with trial(tmp_path, peer) as running:
            for number, how in enumerate(endings, start=1):
                came = len(peer.commands)
                for each in range(8):
                    await running.ask(f"{number}.{each}")
                await peer.until_commands(came + 3)
                await peer.restart(how)
            await running.until_over(*running.ids)
            states = await running.states()
            assert set(states) <= {State.DONE, State.UNCERTAIN}
            assert "dedupe" not in features or set(states) == {State.DONE}
            assert states.count(State.DONE) >= len(states) / 4

    run(work)


@pytest.mark.parametrize(("seed", "features"), named({name: (n, CAN[name]) for n, name in enumerate(CAN)}))
def test_in_a_storm_of_everything_at_once_every_command_comes_to_a_named_end(
    tmp_path: Path, seed: int, features: list[str]
) -> None:
    async def work() -> None:
        chance = random.Random(seed)
        bad = [behaviour for behaviour, _ in FATES.values()]
        peer = Peer(
            links=[
                chance.choice([behaviours.talk, *chance.sample(list(ENDINGS.values()), 2)]) for _ in range(3)
            ],
            commands=[chance.choice([behaviours.reply, *chance.sample(bad, 2)]) for _ in range(8)],
            features=features,
        )
        async with trial(tmp_path, peer) as running:
            for number in range(12):
                await running.ask(f"n{number}")
            await running.until_over(*running.ids)
            await peer.calm()
            assert len(peer.links) > 2

    run(work)


# --- what a server can say ----------------------------------------------------------------------------------

STEP = {"stepId": "s1", "status": "running", "progress": 0.5, "message": "Half done"}
DRAFT = {"originalMessage": "x", "summary": "Two steps", "totalSteps": 2, "steps": [STEP], "risks": []}
DISCLOSED = {"title": "I can", "content": "mail", "capabilities": ["mail"], "data_sources": ["inbox"]}
SHOWN = {"title": "Context", "reasoning": ["because"], "contextSummary": {"a": 1}, "confidence": {"all": 0.5}}
ASKED = {
    "action": "user_intervention_required",
    "sessionId": "w1",
    "stepId": "s1",
    "reason": "which Anna?",
    "entity": "Anna",
    "timeout": 60_000,
    "message": "Which Anna do you mean?",
}
TOLD = {"userId": "ann", "notificationType": "info", "title": "Hi", "message": "New mail", "data": {"n": 1}}
CHAT = {"id": "m1", "content": "Hello", "sender": "ai", "timestamp": "2026-03-01T12:00:00Z", "metadata": {}}
ACTION = {"label": "Open", "url": "https://example.com"}
UI = {
    "title": "Mail",
    "content": "Sent.",
    "icon": "mail",
    "actions": [ACTION],
    "metadata": {"category": "mail", "confidence": 0.9, "timestamp": "now", "source": "Gmail"},
}
STRUCTURED = {
    "suggestions": ["again"],
    "references": [{"title": "A", "url": "https://a.example", "type": "web"}],
}

PONGS: dict[str, dict[str, Any]] = {
    "a: a pong as a response": PONG,
    "a: a pong": {"type": "pong", "data": {"pong": True, "sequence": 1}, "timestamp": 1},
}
NEUTRAL: dict[str, dict[str, Any]] = {
    "b: a ping": {"type": "ping"},
    "d: thinking": {"type": "ai_thinking", "stage": "reading", "timestamp": 1},
    "d: context": {"type": "context_display", **SHOWN},
    "d: capabilities": {"type": "ai_capability_disclosure", **DISCLOSED},
    "d: an immediate response": {
        "type": "system",
        "data": {"action": "immediate_response", "message": "Yes"},
    },
    "d: a data update": {"type": "system", "data": {"action": "data_update", "rows": [1]}, "timestamp": 1},
    "d: a chat message": {"type": "text", **CHAT},
    "d: a unified tool response": {"type": "unified_tool_response", **CHAT},
    "d: processing": PROCESSING,
    "h: a question": {"type": "system", "data": ASKED, "timestamp": 1},
    "i: a draft": {"type": "workflow_draft", "sessionId": "w2", "payload": DRAFT, "timestamp": 1},
    "i: a draft in capitals": {"type": "WORKFLOW_DRAFT", "sessionId": "w3", "payload": DRAFT},
    "i: a step": {"type": "step_execution", "sessionId": "w2", "payload": STEP, "timestamp": 1},
    "j: a notification": {"type": "notification", "payload": TOLD},
    "k: an unknown type": {"type": "teleport", "payload": {"to": "Mars"}, "timestamp": "yesterday"},
    "m: a reply to nobody": NOBODYS,
    "an empty hello": {"type": "hello", "payload": {"features": []}},
    "a hello of other things": {"type": "hello", "payload": {"features": ["telepathy", 7, None]}},
}
JUNK: dict[str, Content] = {
    "an empty text": "",
    "an empty binary": b"",
    "HTML": "<html><body>502</body></html>",
    "broken JSON": '{"type":"response","status":"succ',
    "two objects": '{"type":"ping"}{"type":"response","status":"success"}',
    "a list": "[1,2,3]",
    "a number": "7",
    "a string": '"success"',
    "null": "null",
    "not a number": '{"type":"response","status":"success","data":NaN}',
    "more than all numbers": '{"type":"response","status":"success","data":{"message":1e999}}',
    "a number without end": '{"type":"response","data":' + "9" * 50_000 + "}",
    "no type": '{"status":"success"}',
    "a type that is no word": '{"type":{"type":"response"},"status":"success"}',
    "half a character": '{"type":"text","content":"\\ud800","id":"\\udfff"}',
    "half a character as a type": '{"type":"\\ud800"}',
    "half a character as a key": '{"type":"text","\\ud800":1}',
    "the zero character": '{"type":"notification","payload":{"message":"\\u0000"}}',
    "a mark before it": '\ufeff{"type":"ping"}',
    "a bomb of lists": "[" * 60_000,
    "a bomb of lists that ends": "[" * 30_000 + "]" * 30_000,
    "a bomb of objects": '{"a":' * 10_000,
    "a bomb inside": '{"type":"notification","payload":{"message":"x","data":'
    + "[" * 9_000
    + "]" * 9_000
    + "}}",
    "binary noise": random.Random(0).randbytes(5_000),
    "UTF-16": '{"type":"response","status":"success"}'.encode("utf-16"),
    "many keys": json.dumps({"type": "notification", **{f"k{number}": number for number in range(3_000)}}),
    "a long word": json.dumps({"type": "notification", "payload": {"message": "x" * 60_000}}),
}
SETTLING: dict[str, tuple[dict[str, Any], State]] = {
    "e: success": ({"type": "response", "status": "success", "data": {"message": "Sent."}}, State.DONE),
    "e: success without words": ({"type": "response", "status": "success"}, State.DONE),
    "e: an error": ({"type": "response", "status": "error", "data": {"message": "No."}}, State.FAILED),
    "e: an error in its data": (
        {"type": "response", "status": "error", "data": {"error": "No."}},
        State.FAILED,
    ),
    "e: an error at the top": ({"type": "response", "status": "error", "message": "No."}, State.FAILED),
    "e: an error frame": ({"type": "error", "error": {"code": "x", "message": "No."}}, State.FAILED),
    "e: an empty error frame": ({"type": "error"}, State.FAILED),
    **{
        f"f: {kind}": (
            {"type": kind, "success": True, "message": "Done.", "data": {"ui": UI, "structured": STRUCTURED}},
            State.DONE,
        )
        for kind in ("email", "calendar", "contact", "task", "general", "rdf")
    },
    "f: one that failed": ({"type": "task", "success": False, "message": "No.", "data": {}}, State.FAILED),
    "g: sign in first": (
        {"type": "response", "status": "success", "data": {"requiresAuth": True, "authUrl": None}},
        State.NEEDS_AUTH,
    ),
    "g: sign in there": (
        {"type": "email", "success": False, "authRequired": True, "authUrl": "https://a.example", "data": {}},
        State.NEEDS_AUTH,
    ),
}
WRONG: list[Any] = [None, True, -7, 1.5, "sealed", [], [[{}]], {}, {"message": {"message": 1}}]
FIELDS = ["data", "payload", "error", "message", "content", "metadata", "sessionId", "requestId", "timestamp"]


def twisted(frame: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The frame with a field of any wrong type, one of its own or a foreign one, or without it."""
    for key in [*frame, *FIELDS]:
        yield {other: frame[other] for other in frame if other != key}
        for instead in WRONG:
            yield {**frame, key: instead}
    for key, value in frame.items():
        if isinstance(value, dict):
            for inner in twisted(value):
                yield {**frame, key: inner}


def test_what_settles_nothing_leaves_the_command_in_flight(tmp_path: Path) -> None:
    cases: dict[str, Content] = {**PONGS, **NEUTRAL, **JUNK}

    async def work() -> None:
        steps = [behaviours.saying(content, then=behaviours.reply) for content in cases.values()]
        async with trial(tmp_path, Peer(commands=steps)) as running:
            for name in cases:
                await running.house.until_moved(await running.ask(name), State.DONE)
                command = await running.house.outbox.get(running.ids[-1])
                assert command.reply is not None
                assert command.reply["content"] == f"re: {command.message}"
            assert len(running.house.of(LinkOpened)) == 1

    run(work)


def test_a_field_of_any_wrong_type_settles_nothing_either(tmp_path: Path) -> None:
    async def work() -> None:
        steps = [
            behaviours.saying(*twisted(frame), then=behaviours.reply)
            for frame in (PONGS["a: a pong"], *NEUTRAL.values())
            if "requestId" not in frame  # without a valid one it is a reply to whoever waits
        ]
        async with trial(tmp_path, Peer(commands=steps)) as running:
            for number in range(len(steps)):
                command_id = await running.ask(f"n{number}")
                await running.until_over(command_id)
                command = await running.house.outbox.get(command_id)
                assert (command.reply or {}).get("content") == f"re: n{number}"
            assert len(running.house.of(LinkOpened)) == 1

    run(work)


def test_what_settles_settles(tmp_path: Path) -> None:
    async def work() -> None:
        steps = [behaviours.saying(frame) for frame, _ in SETTLING.values()]
        async with trial(tmp_path, Peer(commands=steps)) as running:
            for name, (_, state) in SETTLING.items():
                await running.house.until_moved(await running.ask(name), state)
            assert len(running.house.of(LinkOpened)) == 1

    run(work)


def test_replies_with_fields_of_any_wrong_type_leave_nobody_waiting(tmp_path: Path) -> None:
    examples = ("e: success", "e: an error", "e: an error frame", "f: email")
    frames = [each for name in examples for each in twisted(SETTLING[name][0])]
    at_once = 20

    def and_the_true_one(first: int) -> CommandBehaviour:
        async def behave(link: Link, command: Command) -> None:
            await link.send(*frames[first : first + at_once], link.peer.success(command))

        return behave

    async def work() -> None:
        steps = [and_the_true_one(first) for first in range(0, len(frames), at_once)]
        async with trial(tmp_path, Peer(commands=steps)) as running:
            for number in range(len(steps)):
                await running.until_over(await running.ask(f"n{number}"))
            assert set(await running.states()) <= ANSWERED
            assert len(running.house.of(LinkOpened)) == 1

    run(work)


def test_ten_thousand_frames_of_junk_leave_the_link_up_and_the_memory_flat(tmp_path: Path) -> None:
    kinds: list[Content] = [*PONGS.values(), *NEUTRAL.values(), "<html>", "[]", '{"type":']

    floods = [4_000, 4_000, 1_000, 1_000]

    async def flood(link: Link, command: Command) -> None:
        for number in range(floods[int(command.message)] // len(kinds)):
            # No two are the same: what is kept is seen to be kept.
            padding = f"{command.request_id}{number:0500}"
            await link.send(
                *(
                    {**kind, "x": padding} if isinstance(kind, dict) else f"{kind!s}{padding}"
                    for kind in kinds
                )
            )
        await link.reply(command)

    async def work() -> None:
        peer = Peer(then=flood, deflate=False)
        async with peer.serving(), core(tmp_path, local(peer.port)) as house:
            running = Trial(house, peer)
            kept: list[int] = []
            for number in range(len(floods)):
                if number == 2:
                    tracemalloc.start()  # by now whatever has a bound is full
                command_id = await running.ask(str(number))
                await running.until_over(command_id)
                assert await running.state(command_id) is State.DONE
                assert house.of(LinkLost) == []
                house.events.clear()
                house.mouth.heard.clear()
                kept.append(tracemalloc.get_traced_memory()[0])
            assert kept[3] - kept[2] < 250_000  # of 550 kB that were sent
            assert len(peer.links) == 1
            await running.account()

    try:
        run(work)
    finally:
        tracemalloc.stop()


# --- encodings ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deflate", [True, False], ids=["deflate", "plain"])
@pytest.mark.parametrize("taken", ["omnii.v1+msgpack", "omnii.v1+json", None])
def test_commands_and_replies_travel_in_whatever_the_server_takes(
    tmp_path: Path, taken: str | None, deflate: bool
) -> None:
    async def work() -> None:
        peer = Peer(subprotocols=[taken] if taken else [], deflate=deflate)
        async with trial(tmp_path, peer) as running:
            await running.house.until_moved(await running.ask("Grüße 👋"), State.DONE)
            link = await peer.link(1)
            assert link.protocol.subprotocol == taken
            assert bool(link.protocol.extensions) is deflate

    run(work)


@pytest.mark.parametrize(
    ("behaviour", "state"),
    named({name: case for name, case in FATES.items() if "reply" in name or "reset" in name}),
)
def test_in_message_pack_a_commands_fate_is_the_same(
    tmp_path: Path, behaviour: CommandBehaviour, state: State
) -> None:
    async def work() -> None:
        peer = Peer(commands=[behaviour], subprotocols=["omnii.v1+msgpack"])
        async with trial(tmp_path, peer) as running:
            ids = [await running.ask(text) for text in ("first", "second")]
            await running.until_over(*ids)
            assert await running.states() == [state, State.DONE]

    run(work)


def test_message_pack_that_is_none_settles_nothing(tmp_path: Path) -> None:
    junk: dict[str, Content] = {
        "nothing": b"",
        "a byte that begins no value": b"\xc1",
        "a map that ends early": b"\x82\xa4type",
        "a list of four thousand million": b"\xdd\xff\xff\xff\xff",
        "nested lists that each claim all": b"\xdd\x00\x00\xff\xff" * 1_000,
        "a bomb of lists": b"\x91" * 60_000 + b"\xc0",
        "a number as a key": msgpack.packb({1: 2}),
        "bytes as a type": msgpack.packb({"type": b"response", "status": b"success"}),
        "an extension": msgpack.packb({"type": "ping", "x": msgpack.ExtType(5, b"x")}),
        "a moment": msgpack.packb({"type": "ping", "x": msgpack.Timestamp(1, 2)}),
        "not a number": msgpack.packb({"type": "response", "status": "success", "data": float("nan")}),
        "two values": msgpack.packb({"type": "ping"}) * 2,
        "broken text": b"\x81\xa4type\xa2\xff\xfe",
        "JSON in a binary frame": b'{"type":"ping"}',
        "JSON in a text frame": '{"type":"ping"}',
        "HTML in a text frame": "<html>",
        **NEUTRAL,
    }

    async def work() -> None:
        steps = [behaviours.saying(content, then=behaviours.reply) for content in junk.values()]
        peer = Peer(commands=steps, subprotocols=["omnii.v1+msgpack"])
        async with trial(tmp_path, peer) as running:
            for name in junk:
                await running.house.until_moved(await running.ask(name), State.DONE)
                command = await running.house.outbox.get(running.ids[-1])
                assert command.reply is not None
                assert command.reply["content"] == f"re: {name}"
            assert len(running.house.of(LinkOpened)) == 1

    run(work)


# --- what the server names ----------------------------------------------------------------------------------


def test_what_was_in_flight_goes_again_under_its_id_to_a_server_that_dedupes(tmp_path: Path) -> None:
    async def work() -> None:
        steps = [behaviours.hold, behaviours.hold, behaviours.cut]
        peer = Peer(commands=steps, features=["correlate", "dedupe"])
        async with trial(tmp_path, peer) as running:
            ids = [await running.ask(text) for text in ("first", "second", "third")]
            await running.until_over(*ids)
            assert await running.states() == [State.DONE] * 3
            assert [command.request_id for command in peer.commands] == [*ids, *ids]
            assert [command.link for command in peer.commands] == [1, 1, 1, 2, 2, 2]

    run(work)


def test_what_may_have_been_done_does_not_go_again_once_the_server_dedupes_no_more(tmp_path: Path) -> None:
    async def forget(link: Link, _: Command) -> None:
        link.peer.features = []
        link.cut()

    async def work() -> None:
        peer = Peer(commands=[forget], features=["dedupe"])
        async with trial(tmp_path, peer) as running:
            first, second = await running.ask("first"), await running.ask("second")
            await running.house.until(lambda: any(served.held for served in running.house.of(LineServed)))
            while await running.state(first) is State.QUEUED:
                running.house.reactor.post_nowait(ClockTicked())
                await asyncio.sleep(0.1)
            await running.until_over(first, second)
            assert await running.states() == [State.UNCERTAIN, State.DONE]

    run(work)


def refusing_once(told: asyncio.Event) -> LinkBehaviour:
    """No link until the test has told so: the line is long by then."""

    async def behave(link: Link) -> None:
        await told.wait()
        await behaviours.answering(503)(link)

    return behave


def test_commands_that_wait_together_travel_together_where_the_server_takes_that(tmp_path: Path) -> None:
    async def work() -> None:
        asked = asyncio.Event()
        peer = Peer(links=[refusing_once(asked)], features=["correlate", "batch"])
        async with trial(tmp_path, peer) as running:
            ids = [await running.ask(f"n{number}") for number in range(10)]
            asked.set()
            await running.until_over(*ids)
            assert await running.states() == [State.DONE] * 10
            assert "batch" in {command.frame["type"] for command in peer.commands}

    run(work)


@pytest.mark.parametrize("dedupes", [False, True])
def test_a_batch_that_is_cut_shares_one_fate(tmp_path: Path, dedupes: bool) -> None:
    async def work() -> None:
        features = ["correlate", "batch", *(["dedupe"] if dedupes else [])]
        steps = [behaviours.hold] * 9 + [behaviours.cut]
        asked = asyncio.Event()
        peer = Peer(links=[refusing_once(asked)], commands=steps, features=features)
        async with trial(tmp_path, peer) as running:
            ids = [await running.ask(f"n{number}") for number in range(10)]
            asked.set()
            await running.until_over(*ids)
            assert await running.states() == [State.DONE if dedupes else State.UNCERTAIN] * 10
            assert "batch" in {command.frame["type"] for command in peer.commands}
            assert len(peer.commands) == (20 if dedupes else 10)

    run(work)


# --- certificates -------------------------------------------------------------------------------------------

REFUSED: dict[Certificate, str] = {
    "wrong host": "mismatch",
    "expired": "expired",
    "unknown authority": "local issuer",
}


@pytest.mark.parametrize(("certificate", "words"), REFUSED.items())
def test_a_server_without_a_valid_certificate_is_told_nothing_until_it_has_one(
    tmp_path: Path, certificate: Certificate, words: str
) -> None:
    async def work() -> None:
        authority = Authority(tmp_path)
        peer = Peer(tls=authority.context(certificate))
        async with trial(tmp_path, peer, ca_file=authority.ca_file) as running:
            command_id = await running.ask("secret")
            stopped = await running.house.until_seen(LinkStopped)
            assert "certificate" in stopped.reason
            assert words in stopped.reason
            assert not stopped.needs_token
            assert peer.links == []
            assert await running.state(command_id) is State.QUEUED
            peer.tls = authority.context()
            await peer.restart()
            running.house.session.reconnect()
            await running.until_over(command_id)
            assert await running.states() == [State.DONE]

    run(work)


def test_an_authority_that_only_ca_file_names_is_not_trusted_without_it(tmp_path: Path) -> None:
    async def work() -> None:
        peer = Peer(tls=Authority(tmp_path).context())
        async with peer.serving():
            async with core(tmp_path, replace(local(0), url=peer.url)) as house:
                stopped = await house.until_seen(LinkStopped)
            assert "certificate" in stopped.reason
            assert peer.links == []

    run(work)


@pytest.mark.parametrize("expected", ["TLS", "plain words"])
def test_a_server_that_speaks_the_other_of_tls_and_plain_words_is_dialled_until_it_does_not(
    tmp_path: Path, expected: str
) -> None:
    async def work() -> None:
        authority = Authority(tmp_path)
        right, wrong = (authority.context(), None) if expected == "TLS" else (None, authority.context())
        peer = Peer(tls=right)
        async with peer.serving():
            target = replace(local(0), url=peer.url, ca_file=authority.ca_file)
            peer.tls = wrong
            await peer.restart()
            async with core(tmp_path, target) as house:
                running = Trial(house, peer)
                command_id = await running.ask("x")
                await house.until_seen(LinkLost, 2)
                assert await running.state(command_id) is State.QUEUED
                peer.tls = right
                await peer.restart()
                await house.until_moved(command_id, State.DONE)
                await running.account()

    run(work)


# --- anything at all ----------------------------------------------------------------------------------------

TYPES = ["response", "error", "pong", "ping", "hello", "system", "text", "email", "general", "workflow_draft"]
WORDS = st.text(max_size=20) | st.sampled_from(
    ["success", "error", "processing", "correlate", "dedupe", "batch"]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | WORDS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4),
    max_leaves=12,
)
DATA = st.dictionaries(
    st.sampled_from(["message", "pong", "action", "sessionId", "stepId", "requiresAuth", "ui", "sealed"]),
    VALUES,
)
HELLO = st.fixed_dictionaries({"features": st.lists(WORDS, max_size=3)})
FRAMES = st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES) | VALUES},
    optional={
        "status": WORDS | VALUES,
        "data": DATA | VALUES,
        "payload": HELLO | DATA | VALUES,
        "error": DATA | VALUES,
        "message": VALUES,
        "requestId": VALUES,
        "timestamp": VALUES,
        "sessionId": VALUES,
    },
)
CONTENTS = FRAMES | VALUES.map(json.dumps) | st.text(max_size=50) | st.binary(max_size=50)


@pytest.mark.parametrize("encoding", ["omnii.v1+json", "omnii.v1+msgpack"])
def test_whatever_a_server_says_the_link_stays_up_and_the_command_is_answered(
    tmp_path: Path, encoding: str
) -> None:
    """One link for all examples, so that what one leaves behind meets the next."""

    async def work() -> None:
        said: list[Content] = []

        async def say_it(link: Link, command: Command) -> None:
            named = link.peer.success(command, requestId=command.request_id)
            await link.send(*said, named, link.peer.success(command))

        peer = Peer(then=say_it, subprotocols=[encoding])
        async with peer.serving(), core(tmp_path, local(peer.port)) as house:
            running = Trial(house, peer)

            async def example(contents: list[Content]) -> None:
                said[:] = contents
                house.events.clear()
                command_id = await running.ask("x")
                await running.until_over(command_id)
                assert await running.state(command_id) in ANSWERED
                assert house.of(LinkLost) == []

            loop = asyncio.get_running_loop()

            @settings(max_examples=40, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate])
            @given(st.lists(CONTENTS, max_size=5))
            def survives(contents: list[Content]) -> None:
                asyncio.run_coroutine_threadsafe(example(contents), loop).result(60)

            await asyncio.to_thread(survives)
            assert len(peer.links) == 1
            await running.account()

    run(work)


# --- the server in its own process --------------------------------------------------------------------------


@pytest.mark.parametrize("options", [[], ["--features", "correlate,batch", "--echo", "--msgpack"]])
def test_a_server_in_its_own_process_has_written_down_what_it_answers(
    tmp_path: Path, options: list[str]
) -> None:
    async def work(port: int) -> None:
        async with core(tmp_path, local(port)) as house:
            ids = [await house.ask(f"n{number}") for number in range(20)]
            await house.until_moved(ids[-1], State.DONE)
            assert received(tmp_path / "received") == ids

    with strict_server(tmp_path / "received", *options) as port:
        run(lambda: work(port))
