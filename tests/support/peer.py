"""A backend that misbehaves on cue, on real sockets, and keeps a strict record of what it was sent.

Each connection gets the next behaviour of `links` and each command the next of `commands`; once these have
run out, the peer is a good server. It is a plain TCP server that does the WebSocket protocol by hand, so a
frame can be cut in the middle, dripped byte by byte, or never read.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import ssl
import struct
import uuid
import zoneinfo
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qs, urlsplit

import msgpack  # type: ignore[import-untyped]
from websockets.exceptions import InvalidState
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

Content = dict[str, Any] | str | bytes
Ending = Literal["close", "hang up", "cut"]

MSGPACK = "omnii.v1+msgpack"
DEADLINE_S = 30.0
_READ_AT_ONCE = 65_536
_WHOLE_ENOUGH = 64 * 1024 * 1024


class Command(NamedTuple):
    """A command as it arrived. `link` counts from 1; the commands of a batch share its `frame`."""

    link: int
    request_id: str
    message: str
    frame: dict[str, Any]


class Link:
    """One connection to the peer: plain HTTP until `accept`, a WebSocket from then on."""

    def __init__(
        self, peer: Peer, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.number = number
        self.held: list[Command] = []
        self.opened = asyncio.Event()
        self.peer = peer
        self._reader = reader
        self._writer = writer
        self._request: Request | None = None
        self._frames: deque[Frame] = deque()
        self.protocol = ServerProtocol(
            extensions=[ServerPerMessageDeflateFactory()] if peer.deflate else None,
            subprotocols=[Subprotocol(name) for name in peer.subprotocols],
            select_subprotocol=_first_offered,
            max_size=_WHOLE_ENOUGH,
        )

    # --- the handshake -----------------------------------------------------------------------------------

    async def request(self) -> Request:
        """The client's opening request."""
        while self._request is None:
            if not await self._read_some():
                raise ConnectionResetError("the client left before its request was whole")
        return self._request

    async def accept(self) -> None:
        """Become a WebSocket, and say hello if the peer has features to name."""
        request = await self.request()
        response = self.protocol.accept(request)
        if response.status_code != 101:
            self.peer.breaches.append(f"a handshake that is none: {response.body!r}")
        self.protocol.send_response(response)
        await self._flush()
        if self.peer.features:
            await self.send({"type": "hello", "payload": {"features": list(self.peer.features)}})
        self.opened.set()

    @property
    def user_id(self) -> str | None:
        query = urlsplit(self._request.path).query if self._request else ""
        return parse_qs(query).get("userId", [None])[0]

    @property
    def speaks_msgpack(self) -> bool:
        return self.protocol.subprotocol == MSGPACK

    # --- in ----------------------------------------------------------------------------------------------

    async def serve(self) -> None:
        """Record each command and treat it as the peer's `commands` say, until the client leaves."""
        async for raw in self.messages():
            for command in await self.peer.take(self, raw):
                await self.peer.next_command_behaviour()(self, command)

    async def listen(self) -> None:
        """Record what comes and react to nothing, until the client leaves."""
        async for raw in self.messages():
            await self.peer.take(self, raw)

    async def messages(self) -> AsyncIterator[str | bytes]:
        pieces: list[bytes] = []
        is_text = True
        while True:
            while self._frames:
                frame = self._frames.popleft()
                if frame.opcode in {Opcode.TEXT, Opcode.BINARY}:
                    is_text = frame.opcode is Opcode.TEXT
                elif frame.opcode is not Opcode.CONT:
                    continue
                pieces.append(bytes(frame.data))
                if frame.fin:
                    whole = b"".join(pieces)
                    pieces.clear()
                    yield whole.decode() if is_text else whole
            if not await self._read_some():
                return

    async def read_raw(self, count: int) -> bytes:
        """Bytes of the WebSocket as they come, past the protocol."""
        return await self._reader.readexactly(count)

    def stop_reading(self) -> None:
        """From here on what the client sends stays in the kernel, and its pings go unanswered."""
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]

    async def _read_some(self) -> bool:
        data = await self._reader.read(_READ_AT_ONCE)
        if data:
            self.protocol.receive_data(data)
        else:
            self.protocol.receive_eof()
        await self._flush()
        for event in self.protocol.events_received():
            if isinstance(event, Request):
                self._request = event
            elif isinstance(event, Frame):
                self._frames.append(event)
        if self.opened.is_set() and self.protocol.parser_exc is not None and data:
            self.peer.breaches.append(f"no WebSocket: {self.protocol.parser_exc!r}")
        return bool(data)

    # --- out ---------------------------------------------------------------------------------------------

    async def reply(self, command: Command, text: str | None = None, **fields: Any) -> None:
        await self.send(self.peer.success(command, text, **fields))

    async def send(self, *contents: Content) -> None:
        """Objects in the link's own encoding, text and bytes as they are: a frame each, all in one write."""
        await self.send_raw(b"".join(self._framed(content) for content in contents))

    async def drip(self, content: Content, *, bytes_at_once: int = 1) -> None:
        """One frame in as many pieces as it has bytes."""
        framed = self._framed(content)
        for start in range(0, len(framed), bytes_at_once):
            await self.send_raw(framed[start : start + bytes_at_once])
            await asyncio.sleep(0)

    async def send_half(self, content: Content) -> None:
        framed = self._framed(content)
        await self.send_raw(framed[: len(framed) // 2])

    async def send_fragments(self, content: Content, *, bytes_at_once: int = 8) -> None:
        """One message in many frames, with a ping before each but the first."""
        data, is_text = self._encoded(content)
        pieces = [data[start : start + bytes_at_once] for start in range(0, len(data), bytes_at_once)]
        begin = self.protocol.send_text if is_text else self.protocol.send_binary
        begin(pieces[0], fin=len(pieces) == 1)
        for number, piece in enumerate(pieces[1:], start=2):
            self.protocol.send_ping(b"still here")
            self.protocol.send_continuation(piece, fin=number == len(pieces))
        await self._flush()

    async def send_raw(self, data: bytes) -> None:
        """Bytes that need not be WebSocket at all."""
        self._writer.write(data)
        await self._writer.drain()

    @property
    def _socket(self) -> socket.socket:
        found: socket.socket = self._writer.get_extra_info("socket")
        return found

    def _encoded(self, content: Content) -> tuple[bytes, bool]:
        if isinstance(content, bytes):
            return content, False
        if isinstance(content, str):
            return content.encode(), True
        return (
            (msgpack.packb(content), False) if self.speaks_msgpack else (json.dumps(content).encode(), True)
        )

    def _framed(self, content: Content) -> bytes:
        data, is_text = self._encoded(content)
        (self.protocol.send_text if is_text else self.protocol.send_binary)(data)
        return b"".join(self.protocol.data_to_send())

    async def _flush(self) -> None:
        for data in self.protocol.data_to_send():
            if data:
                self._writer.write(data)
            elif self._writer.can_write_eof():
                self._writer.write_eof()
            else:  # TLS knows no end of one direction
                self._writer.close()
                return
        await self._writer.drain()

    # --- the end -----------------------------------------------------------------------------------------

    async def close(self, code: int | None = None, reason: str = "") -> None:
        """Begin the closing handshake; whoever reads ends it."""
        self.protocol.send_close(code, reason)
        await self._flush()

    def hang_up(self) -> None:
        """End the stream in good order, without a word of the WebSocket's."""
        self._writer.close()

    def cut(self) -> None:
        """Reset the connection: what is not delivered yet is lost, in both directions."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.transport.abort()

    async def end(self, how: Ending) -> None:
        match how:
            case "close":
                await self.close(1001, "going away")
            case "hang up":
                self.hang_up()
            case "cut":
                self.cut()

    def drop(self) -> None:
        """Let go of the socket, whatever state it is in."""
        self._writer.transport.abort()

    async def left(self) -> None:
        """Wait until the socket is closed on this side."""
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


LinkBehaviour = Callable[[Link], Awaitable[None]]
CommandBehaviour = Callable[[Link, Command], Awaitable[None]]


async def talk(link: Link) -> None:
    """A link with no behaviour of its own."""
    await link.accept()
    await link.serve()


async def reply(link: Link, command: Command) -> None:
    await link.reply(command)


class Peer:
    """A server on loopback.

    `features` go into its hello; with `correlate` it names each command in its reply, and with `dedupe` a
    repeated command gets its reply again and is not done again. Of `subprotocols` it takes the first that
    the client offers. `on_command` hears of a command before anything is answered; with `keeps` off it is
    the only one that does.
    """

    def __init__(
        self,
        *,
        links: Sequence[LinkBehaviour] = (),
        commands: Sequence[CommandBehaviour] = (),
        then: CommandBehaviour = reply,
        features: Sequence[str] = (),
        subprotocols: Sequence[str] = (),
        deflate: bool = True,
        echo: bool | None = None,
        tls: ssl.SSLContext | None = None,
        port: int = 0,
        keeps: bool = True,
        on_command: Callable[[Command], None] | None = None,
    ) -> None:
        self.features = features
        self.subprotocols = subprotocols
        self.deflate = deflate
        self.echo = "correlate" in features if echo is None else echo
        self.port = port
        self.links: list[Link] = []
        self.commands: list[Command] = []
        self.answers: list[dict[str, Any]] = []  # the user's, to this peer's questions
        self.breaches: list[str] = []  # what the client did against the protocol
        self.tls = tls
        self._then = then
        self._keeps = keeps
        self._on_command = on_command
        self._link_behaviours: Iterator[LinkBehaviour] = iter(links)
        self._command_behaviours: Iterator[CommandBehaviour] = iter(commands)
        self._listener: asyncio.Server | None = None
        self._group: asyncio.TaskGroup | None = None
        self._running: dict[asyncio.Task[None], Link] = {}
        self._more = asyncio.Event()

    @property
    def url(self) -> str:
        return f"{'wss' if self.tls else 'ws'}://127.0.0.1:{self.port}/ws"

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Peer]:
        """Serve while the block runs; afterwards the client must not have broken the protocol."""
        async with self.listening():
            yield self
        assert self.breaches == []

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Serve while the block runs."""
        async with asyncio.TaskGroup() as self._group:
            await self.start()
            try:
                yield
            finally:
                await self.stop()

    async def start(self) -> None:
        """Listen, on the same port as before if there was one."""
        self._listener = await asyncio.start_server(self._connected, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._listener.sockets[0].getsockname()[1]

    async def stop(self, how: Ending = "cut") -> None:
        """Listen no more, and end every link."""
        if self._listener is not None:
            self._listener.close()
            await self._listener.wait_closed()
        for link in list(self._running.values()):
            with contextlib.suppress(OSError, InvalidState):  # it has just ended by itself
                await link.end(how)
        if self._running and how == "close":
            await asyncio.wait(list(self._running), timeout=DEADLINE_S)
        for task in list(self._running):
            task.cancel()
        if self._running:
            await asyncio.wait(list(self._running))

    async def calm(self) -> Link:
        """Restart as a good server; the client's link to it."""
        self._link_behaviours, self._command_behaviours = iter(()), iter(())
        await self.restart("close")
        return await self.link(len(self.links) + 1)

    async def restart(self, how: Ending = "cut") -> None:
        await self.stop(how)
        await self.start()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait for something of this peer to hold after a connection or a frame came."""
        async with asyncio.timeout(DEADLINE_S):
            while not holds():
                self._more.clear()
                await self._more.wait()

    async def until_commands(self, count: int) -> None:
        """Wait until so many commands have come, repeated ones included."""
        await self.until(lambda: len(self.commands) >= count)

    async def link(self, number: int) -> Link:
        """The connection of this number, once it is a WebSocket."""
        await self.until(lambda: len(self.links) >= number)
        async with asyncio.timeout(DEADLINE_S):
            await self.links[number - 1].opened.wait()
        return self.links[number - 1]

    def success(self, command: Command, text: str | None = None, **fields: Any) -> dict[str, Any]:
        """The reply to a command; it names the command if this peer echoes."""
        named = {"requestId": command.request_id} if self.echo else {}
        data = {"message": f"re: {command.message}" if text is None else text}
        return {"type": "response", "status": "success", "data": data, **named, **fields}

    # --- what the links need -----------------------------------------------------------------------------

    def next_command_behaviour(self) -> CommandBehaviour:
        return next(self._command_behaviours, self._then)

    async def take(self, link: Link, raw: str | bytes) -> list[Command]:
        """Record what came; the commands in it."""
        try:
            frame = _unpacked(raw, binary=link.speaks_msgpack)
            found = breaches(frame, link.user_id)
        except (ValueError, zoneinfo.ZoneInfoNotFoundError) as error:
            found = [f"{error}: {raw[:200]!r}"]
        if found:
            self.breaches += found
            return []
        payload = frame.get("payload", {})
        match frame["type"]:
            case "command":
                return self._record(link, frame, [payload])
            case "batch":
                return self._record(link, frame, payload["commands"])
            case "ping":
                pong = {"pong": True, "sequence": payload["sequence"]}
                await link.send({"type": "pong", "data": pong, "timestamp": frame["timestamp"]})
            case "system" | "workflow_approval":
                self.answers.append(frame)
                self._more.set()
        return []

    def _record(self, link: Link, frame: dict[str, Any], payloads: list[dict[str, Any]]) -> list[Command]:
        came = [Command(link.number, each["requestId"], each.get("message", ""), frame) for each in payloads]
        if self._keeps:
            self.commands += came
        if self._on_command is not None:
            for command in came:
                self._on_command(command)
        self._more.set()
        return came

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert self._group is not None
        link = Link(self, len(self.links) + 1, reader, writer)
        task = self._group.create_task(self._run(link, next(self._link_behaviours, talk)))
        self._running[task] = link
        task.add_done_callback(self._running.pop)
        self.links.append(link)
        self._more.set()

    async def _run(self, link: Link, behave: LinkBehaviour) -> None:
        try:
            await behave(link)
            link.hang_up()
            await link.left()
        except (OSError, InvalidState, asyncio.IncompleteReadError):
            pass  # the client left in the middle, as is its right
        finally:
            link.drop()


# --- behaviours of a link -----------------------------------------------------------------------------------


def answering(status: int, headers: Mapping[str, str] | None = None) -> LinkBehaviour:
    """Plain HTTP instead of a WebSocket."""

    async def behave(link: Link) -> None:
        await link.request()
        lines = [f"HTTP/1.1 {status} So", "Content-Length: 3", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        await link.send_raw("\r\n".join([*lines, "", "no\n"]).encode())

    return behave


def answering_raw(data: bytes) -> LinkBehaviour:
    """Anything at all instead of a WebSocket."""

    async def behave(link: Link) -> None:
        await link.request()
        await link.send_raw(data)

    return behave


def opening_with(*contents: Content) -> LinkBehaviour:
    """A good link that has something to say first."""

    async def behave(link: Link) -> None:
        await link.accept()
        await link.send(*contents)
        await link.serve()

    return behave


def opening_with_raw(data: bytes) -> LinkBehaviour:
    """A WebSocket whose first bytes are these, for good or bad."""

    async def behave(link: Link) -> None:
        await link.accept()
        await link.send_raw(data)
        await link.serve()

    return behave


def closing_at_once(code: int | None = 1000, reason: str = "") -> LinkBehaviour:
    async def behave(link: Link) -> None:
        await link.accept()
        await link.close(code, reason)
        await link.listen()

    return behave


async def cut_at_once(link: Link) -> None:
    await link.accept()
    link.cut()


async def hang_up_at_once(link: Link) -> None:
    await link.accept()


async def cut_before_the_handshake(link: Link) -> None:
    link.cut()


async def hang_up_before_the_handshake(_: Link) -> None:
    pass


async def half_open(link: Link) -> None:
    """The handshake, and then nobody there: nothing is read, no ping is answered."""
    await link.accept()
    link.stop_reading()
    await asyncio.Event().wait()


def cut_inside_the_command(after_bytes: int) -> LinkBehaviour:
    """A reset when so many bytes of the first frame have been read."""

    async def behave(link: Link) -> None:
        await link.accept()
        await link.read_raw(after_bytes)
        link.cut()

    return behave


# --- behaviours towards a command ---------------------------------------------------------------------------


async def hold(link: Link, command: Command) -> None:
    """No reply, or one that the test sends itself."""
    link.held.append(command)


def saying(*contents: Content, then: CommandBehaviour = hold) -> CommandBehaviour:
    """These frames first."""

    async def behave(link: Link, command: Command) -> None:
        await link.send(*contents)
        await then(link, command)

    return behave


def closing(code: int | None, reason: str = "") -> CommandBehaviour:
    async def behave(link: Link, _: Command) -> None:
        await link.close(code, reason)

    return behave


async def cut(link: Link, _: Command) -> None:
    link.cut()


async def hang_up(link: Link, _: Command) -> None:
    link.hang_up()


async def reply_and_cut(link: Link, command: Command) -> None:
    await link.reply(command)
    link.cut()


async def reply_and_hang_up(link: Link, command: Command) -> None:
    await link.reply(command)
    link.hang_up()


async def half_a_reply_and_cut(link: Link, command: Command) -> None:
    await link.send_half(link.peer.success(command))
    link.cut()


async def half_a_reply_and_hang_up(link: Link, command: Command) -> None:
    await link.send_half(link.peer.success(command))
    link.hang_up()


async def reply_twice(link: Link, command: Command) -> None:
    await link.send(link.peer.success(command), link.peer.success(command))


async def reply_in_drips(link: Link, command: Command) -> None:
    await link.drip(link.peer.success(command))


async def reply_in_fragments(link: Link, command: Command) -> None:
    await link.send_fragments(link.peer.success(command))


def reply_after(delay_s: float) -> CommandBehaviour:
    """A slow server, which does one thing after the other."""

    async def behave(link: Link, command: Command) -> None:
        await asyncio.sleep(delay_s)
        await link.reply(command)

    return behave


def reply_to_all_backwards(count: int) -> CommandBehaviour:
    """Wait until so many have come on this link, and answer the last first."""

    async def behave(link: Link, command: Command) -> None:
        link.held.append(command)
        if len(link.held) == count:
            await link.send(*(link.peer.success(each) for each in reversed(link.held)))
            link.held.clear()

    return behave


# --- what a client may send ---------------------------------------------------------------------------------


def breaches(frame: dict[str, Any], user_id: str | None) -> list[str]:
    """Everything in a client's frame that is against the protocol; written without omniid's own models."""
    return list(_breaches(frame, user_id))


_PAYLOAD_NEEDS = {"commandType", "userId", "userTimezone", "localDatetime", "requestId"}
_PAYLOAD_MAY = {"message", "metadata", "sealed"}


def _breaches(frame: dict[str, Any], user_id: str | None) -> Iterator[str]:
    kind = frame.get("type")
    if not _is_int(frame.get("timestamp")) or frame["timestamp"] < 1_000_000_000_000:
        yield f"no timestamp in milliseconds: {frame.get('timestamp')!r}"
    payload = frame.get("payload")
    match kind:
        case "command":
            yield from _command_breaches(payload, user_id)
        case "batch":
            commands = payload.get("commands") if isinstance(payload, dict) else None
            if not isinstance(commands, list) or len(commands) < 2:
                yield f"a batch of fewer than two: {payload!r}"
                return
            for each in commands:
                yield from _command_breaches(each, user_id)
        case "ping":
            if not isinstance(payload, dict) or payload.keys() != {"userId", "sequence"}:
                yield f"a ping of another form: {payload!r}"
        case "pong":
            pass
        case "system" | "workflow_approval":
            if not isinstance(payload, dict) or "action" not in payload:
                yield f"an answer without an action: {payload!r}"
        case _:
            yield f"a frame of the type {kind!r}"


def _command_breaches(payload: Any, user_id: str | None) -> Iterator[str]:
    if not isinstance(payload, dict):
        yield f"a command without a payload: {payload!r}"
        return
    if not payload.keys() >= _PAYLOAD_NEEDS or payload.keys() - _PAYLOAD_NEEDS - _PAYLOAD_MAY:
        yield f"a command with other fields: {sorted(payload)}"
        return
    if payload["commandType"] not in {"text_command", "voice_command"}:
        yield f"a command of the type {payload['commandType']!r}"
    if payload["userId"] != user_id:
        yield f"a command of {payload['userId']!r} on the socket of {user_id!r}"
    if isinstance(payload.get("message"), str) == isinstance(payload.get("sealed"), str):
        yield "a command with neither words nor a seal, or with both"
    zoneinfo.ZoneInfo(payload["userTimezone"])
    if datetime.fromisoformat(payload["localDatetime"]).tzinfo is None:
        yield f"a local time without its offset: {payload['localDatetime']!r}"
    if uuid.UUID(payload["requestId"]).version != 7:
        yield f"an id that is no UUIDv7: {payload['requestId']!r}"


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _unpacked(raw: str | bytes, *, binary: bool) -> dict[str, Any]:
    if isinstance(raw, bytes) is not binary:
        raise ValueError("a frame of the other kind than was agreed")
    frame = msgpack.unpackb(raw) if binary else json.loads(raw)
    if not isinstance(frame, dict):
        raise ValueError("a frame that is no object")  # noqa: TRY004 the client's mistake, as the others
    return frame


def _first_offered(protocol: ServerProtocol, offered: Sequence[Subprotocol]) -> Subprotocol | None:
    """Take the client's first choice that this server knows; with none, go on without."""
    known = protocol.available_subprotocols or []
    return next((name for name in offered if name in known), None)
