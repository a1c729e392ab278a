"""The composition root: opens the parts in order, runs them in one TaskGroup, and closes them in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from omniid import config, host, logs
from omniid.api import CommandVerbs, HouseVerbs, UserVerbs, handlers
from omniid.assistant import Assistant
from omniid.children import Children
from omniid.config import Settings
from omniid.control.server import ControlServer, bind
from omniid.control.stream import EventHub
from omniid.events import ClockTicked, CommandMoved, LinkEvent
from omniid.performer import Performer
from omniid.protocol.backoff import Backoff
from omniid.protocol.link import LinkSettings
from omniid.reactor import Reactor
from omniid.session import Session, SessionSettings, Target
from omniid.storage.database import Database, OwnerLock
from omniid.storage.outbox import Limits, Outbox
from omniid.timeline import Timelines

log = structlog.get_logger()

TICK_S = 10.0


def run_daemon() -> None:
    """Run until SIGTERM, SIGINT or the shutdown verb.

    Raises:
        ConfigError: the configuration has mistakes.
        AlreadyRunningError: another daemon owns the socket or the data.
        StorageError: the database cannot be opened.
    """
    settings = config.load_default()
    logs.configure(settings.log.level, settings.log.format)
    asyncio.run(_until_the_end(settings))


async def _until_the_end(settings: Settings) -> None:
    await _run(settings)
    # All is closed. What could still be running is a name look-up in a thread that nothing can stop, and the
    # interpreter would wait for it long beyond the time that a service manager gives.
    sys.stderr.flush()
    os._exit(0)


@dataclass(frozen=True, slots=True)
class _Places:
    socket: Path
    database: Path
    embedded: Path
    embedded_data: Path


async def _run(settings: Settings) -> None:
    socket = settings.control.socket or host.control_socket()
    data = host.private_folder(host.data_dir())
    runtime = host.private_folder(socket.parent)
    places = _Places(socket, data / "omniid.db", runtime / "backend.sock", data / "backend")
    with _owned(runtime / "omniid.lock"), _owned(data / "omniid.lock"):
        async with Database(places.database) as database:
            if database.set_aside is not None:
                log.error("the database was damaged and has been set aside", kept=str(database.set_aside))
            await _serve(settings, places, database)


@contextlib.contextmanager
def _owned(path: Path) -> Iterator[None]:
    lock = OwnerLock(path)
    try:
        yield
    finally:
        lock.release()


async def _serve(settings: Settings, places: _Places, database: Database) -> None:
    clock = host.Clock(settings.backend.timezone or host.timezone_name())
    hub = EventHub()
    timelines = Timelines()
    assistant = Assistant(settings.speech.when, settings.recognition.idle_unload_s)
    reactor = Reactor(assistant, timelines, hub, clock)
    outbox = Outbox(database, _limits(settings))
    session = _session(settings, places, clock, reactor)
    children = Children(settings, places.embedded, places.embedded_data, reactor.post_nowait, session.wake)
    performer = Performer(outbox, session, children.ear, children.mouth, clock)
    stop = asyncio.Event()

    house = HouseVerbs(assistant, outbox, session, children.by_name(), stop.set)
    server = ControlServer(
        handlers(
            CommandVerbs(outbox, performer, reactor, session, timelines, clock),
            UserVerbs(assistant, reactor, performer),
            house,
        ),
        hub,
        house.status,
    )
    for command in await outbox.recover(clock().wall):
        reactor.post_nowait(CommandMoved(command.id, command.state))

    sock = bind(places.socket)
    async with asyncio.TaskGroup() as group:
        group.create_task(reactor.run(performer.perform), name="reactor")
        async with _running(group, session, children, reactor):
            _stop_on_signals(stop)
            async with server.serving(sock):
                log.info("ready", socket=str(places.socket), backend=session.target_name)
                host.notify_service_manager(f"READY=1\nSTATUS=listening on {places.socket}")
                await stop.wait()
                host.notify_service_manager("STOPPING=1")
                log.info("stopping")
        reactor.stop()
    places.socket.unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def _running(
    group: asyncio.TaskGroup, session: Session, children: Children, reactor: Reactor
) -> AsyncIterator[None]:
    """The parts that live as long as the daemon; at the end of the block they have all ended."""
    tasks = [
        *(group.create_task(child.run(), name=name) for name, child in children.by_name().items()),
        group.create_task(session.run(), name="session"),
        group.create_task(_tick(reactor), name="tick"),
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)


async def _tick(reactor: Reactor) -> None:
    while True:
        await asyncio.sleep(TICK_S)
        reactor.post_nowait(ClockTicked())


def _stop_on_signals(stop: asyncio.Event) -> None:
    """SIGTERM and SIGINT stop the daemon; a second one ends it at once, and its children with it."""

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)


def _session(settings: Settings, places: _Places, clock: host.Clock, reactor: Reactor) -> Session:
    remote = settings.backend
    if remote.embedded:
        target = Target("ws://localhost/ws", remote.user_id, socket=places.embedded)
    else:
        token = remote.token.get_secret_value() if remote.token else None
        target = Target(remote.remote_url or "", remote.user_id, token)

    async def post(event: LinkEvent) -> None:
        await reactor.post(event)

    link = LinkSettings(
        user_id=remote.user_id,
        timezone=remote.timezone or host.timezone_name(),
        max_in_flight=settings.session.max_in_flight,
        reply_timeout_s=settings.session.reply_timeout_s,
    )
    shell = SessionSettings(
        ping_interval_s=settings.session.ping_interval_s,
        ping_timeout_s=settings.session.ping_timeout_s,
        max_frame_bytes=settings.session.max_frame_bytes,
    )
    backoff = Backoff(settings.session.backoff_initial_s, settings.session.backoff_max_s, random.random)
    return Session(target, shell, link, backoff, clock=clock, post=post)


def _limits(settings: Settings) -> Limits:
    delivery = settings.delivery
    return Limits(delivery.voice_ttl_s, delivery.text_ttl_s, delivery.max_commands, delivery.max_bytes)
