"""The daemon's side of its children: `Worker` for the ear and the mouth, `Service` for a plain program.

    async def on_mouth(report: Message | WorkerLost) -> None:
        match report:
            case SpeechStarted(utterance_id=who):
                mouth.expect(who, None)          # busy for as long as it speaks
            case SpeechFinished(utterance_id=who) | SpeechFailed(utterance_id=who):
                mouth.done(who)
            case WorkerLost(reason, message):    # every open request is lost; the next child is on its way
                ...

    ear = Worker("the ear", worker_command("ear"), configure=make_ear_config, on_message=on_ear, log=log)
    mouth = Worker("the mouth", worker_command("mouth"), configure=make_mouth_config,
                   on_message=on_mouth, log=log, quiet_s=60)
    backend = Service("the backend", [sys.executable, "-P", "-m", "omniid.backend",
                                      "--socket", path, "--parent-fd", FD],
                      on_change=on_backend, log=log)
    async with asyncio.TaskGroup() as tasks:
        for child in (ear, mouth, backend):
            tasks.create_task(child.run())
        ...
        mouth.wake()                             # a command was sent: a reply will have to be spoken
        mouth.send(Say("u1", "Good evening."))   # held until the mouth is ready
        mouth.expect("u1", 10.0)                 # SpeechStarted by then, or killed, replaced, WorkerLost
        ...
        ear.replace()                            # gives the model's memory back
        await ear.stop()                         # or cancel run(): no child is left either way

Reports come one at a time, in order, from within `run`; the handler may be sync or async. What was sent or
expected before a WorkerLost arrives is lost with it: nothing of it reaches the next child.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from omniid.errors import ProtocolError, WorkerError
from omniid.workers.channel import (
    MAX_LINE_BYTES,
    VERSION,
    ConfigureEar,
    ConfigureMouth,
    FromEar,
    FromMouth,
    Message,
    ToEar,
    ToMouth,
    WorkerReady,
    decode,
    encode,
)
from omniid.workers.lifecycle import READY_WITHIN_S, Supervised, WorkerLost, restart_delay
from omniid.workers.process import FD, GRACE_S, ChildProcess, OnLine

__all__ = ["FD", "Service", "ServiceReady", "Worker", "WorkerLost", "restart_delay", "worker_command"]

MAX_HELD_MESSAGES = 64
MAX_UNREAD_BYTES = 4 * MAX_LINE_BYTES
LAST_WORDS_S = 1.0
_FROM_A_WORKER = tuple({*get_args(FromEar), *get_args(FromMouth)})


def worker_command(name: Literal["ear", "mouth"]) -> list[str]:
    """The command line of one of our own children.

    -P: the folder the daemon happens to run in must not be able to replace a module.
    """
    return [sys.executable, "-P", "-m", f"omniid.workers.{name}", "--channel-fd", FD]


class Worker(Supervised):
    """A child on the other end of a channel."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        configure: Callable[[], ConfigureEar | ConfigureMouth],
        on_message: Callable[[Message | WorkerLost], Awaitable[None] | None],
        log: OnLine,
        env: Mapping[str, str] | None = None,
        ready_within_s: float = READY_WITHIN_S,
        quiet_s: float | None = None,
    ) -> None:
        """See `Supervised`. `configure` is asked at each start for the first message to the new child."""
        super().__init__(name, command, log=log, env=env, ready_within_s=ready_within_s, quiet_s=quiet_s)
        self._configure = configure
        self._on_message = on_message
        self._held: list[bytes] = []
        self._writer: asyncio.StreamWriter | None = None
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter]
        self._channel_ended = asyncio.Event()

    def send(self, message: ToEar | ToMouth) -> None:
        """Send now, or as soon as a child is ready; starts one that rests. Never waits.

        Raises:
            WorkerError: no child has become ready for so long that no more messages are held for it.
            ProtocolError: the message is longer than a channel takes.
        """
        line = encode(message)
        if len(line) > MAX_LINE_BYTES:
            raise ProtocolError(f"A message of {len(line)} bytes is too long for {self.name}.")
        if self._writer is None and len(self._held) >= MAX_HELD_MESSAGES:
            raise WorkerError(
                f"{self.sentence_name} does not start; its log says why.", code="worker_not_ready"
            )
        self.wake()
        if self._writer is None:
            self._held.append(line)
        else:
            self._write(self._writer, line)

    def _write(self, writer: asyncio.StreamWriter, line: bytes) -> None:
        if writer.transport.get_write_buffer_size() + len(line) > MAX_UNREAD_BYTES:
            self._give_up("hung", "does not read its messages and was ended")
        else:
            writer.write(line)

    def _forget(self) -> None:
        super()._forget()
        self._writer = None
        self._held.clear()

    async def _serve(self, over: asyncio.Future[WorkerLost | None]) -> None:
        try:
            await self._read(*self._streams)
        finally:
            self._channel_ended.set()
        # Nothing more can be said. A child that does not exit now either is of no use.
        await asyncio.wait({over}, timeout=LAST_WORDS_S)
        self._give_up("broke_protocol", "closed its channel and was ended")

    async def _connect(self, child: ChildProcess) -> None:
        self._channel_ended.clear()
        self._streams = await asyncio.open_unix_connection(sock=child.lifeline, limit=MAX_LINE_BYTES)
        child.hang_up = self._streams[1].transport.abort

    async def _read(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greeted = False
        try:
            while line := await reader.readline():
                message = self._decode(line, greeted=greeted)
                if isinstance(message, WorkerReady):
                    greeted = True
                    self._greet(message, writer)
                await self._deliver(message)
        except (ProtocolError, ValueError) as error:  # ValueError: a line without an end
            self._give_up("broke_protocol", f"broke the channel's protocol and was ended ({error})")
        except ConnectionError:
            # It went with messages of ours unread. Its exit says why.
            pass

    def _decode(self, line: bytes, *, greeted: bool) -> Message:
        message = decode(line)
        out_of_place = isinstance(message, WorkerReady) is greeted or not isinstance(message, _FROM_A_WORKER)
        if out_of_place:
            raise ProtocolError(f"{type(message).__name__} is not for {self.name} to say now")
        return message

    def _greet(self, ready: WorkerReady, writer: asyncio.StreamWriter) -> None:
        if ready.version != VERSION:
            raise ProtocolError(f"it speaks version {ready.version}, not {VERSION}")
        if self._over is None or self._over.done():
            return
        self._became_ready()
        self._writer = writer
        self._write(writer, encode(self._configure()))
        for line in self._held:
            self._write(writer, line)
        self._held.clear()

    async def _hear_last_words(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                await self._channel_ended.wait()

    async def _deliver(self, report: Message | WorkerLost) -> None:
        if not isinstance(report, WorkerLost):
            self._rearm_quiet()
        handled = self._on_message(report)
        if handled is not None:
            await handled

    async def _report_lost(self, lost: WorkerLost) -> None:
        await self._deliver(lost)


@dataclass(frozen=True, slots=True)
class ServiceReady:
    """The JSON object the service printed when it was ready."""

    said: dict[str, Any]


class Service(Supervised):
    """A child that only has to run: ready when it prints one JSON object as a line on stdout."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        on_change: Callable[[ServiceReady | WorkerLost], Awaitable[None] | None],
        log: OnLine,
        env: Mapping[str, str] | None = None,
        ready_within_s: float = READY_WITHIN_S,
        grace_s: float = GRACE_S,
    ) -> None:
        super().__init__(name, command, log=log, env=env, ready_within_s=ready_within_s, grace_s=grace_s)
        self._on_change = on_change
        self._said: asyncio.Future[dict[str, Any]]

    def _on_line(self, stream: Literal["stdout", "stderr"], line: str) -> None:
        said = _json_object(line) if stream == "stdout" else None
        if said is None or self._said.done():
            super()._on_line(stream, line)
        else:
            self._became_ready()
            self._said.set_result(said)

    async def _live(self, over: asyncio.Future[WorkerLost | None]) -> None:
        self._said = asyncio.get_running_loop().create_future()
        await super()._live(over)

    async def _connect(self, child: ChildProcess) -> None:
        def hang_up() -> None:
            child.lifeline.close()
            self._said.cancel()

        child.hang_up = hang_up

    async def _serve(self, over: asyncio.Future[WorkerLost | None]) -> None:  # noqa: ARG002
        """Nothing is said on the lifeline; what comes is one line on stdout, or the end."""
        await asyncio.wait({self._said})
        if not self._said.cancelled():
            await self._report(ServiceReady(self._said.result()))

    async def _report_lost(self, lost: WorkerLost) -> None:
        await self._report(lost)

    async def _report(self, report: ServiceReady | WorkerLost) -> None:
        handled = self._on_change(report)
        if handled is not None:
            await handled


def _json_object(line: str) -> dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None
