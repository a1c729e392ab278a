"""The composition root: opens the parts in order, runs them in one TaskGroup, and closes them in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

import structlog

from omniid import authority, browser, config, database_key, host, keys, logs, reach, wake
from omniid.api import CommandVerbs, HouseVerbs, handlers
from omniid.assistant import Assistant, AssistantSettings
from omniid.auth_api import AuthVerbs
from omniid.authority import Authority
from omniid.callback import Callback
from omniid.children import Children, Places
from omniid.chronicle import Chronicle
from omniid.config import Settings
from omniid.control.server import ControlServer, bind
from omniid.control.stream import EventHub
from omniid.credentials import Credentials
from omniid.ear_performer import EarPerformer
from omniid.errors import StorageError
from omniid.events import (
    ClockTicked,
    CommandFound,
    CommandMoved,
    Event,
    MachineWoke,
    MicrophoneForbidden,
    NotificationsNoted,
    SignInFound,
    SignInReturned,
    StopRequested,
    TakesFound,
    VoiceMuted,
)
from omniid.fate import State
from omniid.flag import Flag
from omniid.history_api import HistoryVerbs
from omniid.letting_go import LettingGo
from omniid.line import LineSettings
from omniid.listening import ListeningSettings
from omniid.metrics import Metrics
from omniid.notices import Notices, NoticeSettings
from omniid.notifications import notifications
from omniid.notifier import Notifier
from omniid.pages import Pages
from omniid.performer import Parts, Performer
from omniid.question_api import QuestionVerbs
from omniid.reactor import Reactor
from omniid.recognition import wyoming_uri
from omniid.session import Session
from omniid.sign_ins import SIGN_IN_WITHIN_S
from omniid.storage.database import Database
from omniid.storage.history import History
from omniid.storage.outbox import Limits, Outbox, key_of_take
from omniid.storage.owner_lock import OwnerLock
from omniid.takes import Takes
from omniid.timeline import Timelines
from omniid.user_api import UserVerbs

log = structlog.get_logger()

TICK_S = 10.0
LANDED_WITHIN_S = 2.0
FORGET_EVERY_S = 3600.0


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
    children: Places
    state: Path


async def _run(settings: Settings) -> None:
    socket = settings.control.socket or host.control_socket()
    data = host.private_folder(host.data_dir())
    runtime = host.private_folder(socket.parent)
    places = _Places(
        socket,
        data / "omniid.db",
        Places(runtime / "backend.sock", data / "backend", host.private_folder(runtime / "takes")),
        host.state_dir(),
    )
    with _owned(runtime / "omniid.lock"), _owned(data / "omniid.lock"):
        async with database_key.opened(places.database, encrypted=settings.history.encrypted) as database:
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
    metrics = Metrics()
    timelines = Timelines(metrics.stage_reached)
    assistant = _assistant(settings)
    reactor = Reactor(assistant, timelines, hub, clock)
    outbox = Outbox(database, _limits(settings), keeps_text=settings.history.enabled)
    history = History(database, enabled=settings.history.enabled)
    chronicle = Chronicle(history, lambda: clock().wall, reactor.post_nowait)
    whoami = _authority(settings)
    callback = Callback(
        lambda command_id, accepted: reactor.post_nowait(SignInReturned(command_id, accepted))
    )
    pages = Pages(browser.open_page, reactor.post_nowait)
    session = reach.session(
        settings,
        places.children.backend_socket,
        whoami,
        clock=clock,
        post=reactor.post,
        return_page=_return_page(callback),
    )
    desk = reach.stand_in(settings, places.children.backend_socket, clock=clock, post=reactor.post)
    children = Children(settings, places.children, reactor.post_nowait, session.wake)
    takes = Takes(places.children.takes)
    shut, muted = Flag(places.state / "microphone-shut"), Flag(places.state / "voice-muted")
    ear = EarPerformer(children.ear, takes, shut)
    parts = Parts(outbox, session, ear, children.mouth, _later(reactor), muted, pages, desk)
    letting_go = LettingGo(assistant, reactor, ear)
    performer = Performer(parts, clock, settings.session.debounce_ms / 1000)
    stop = asyncio.Event()

    house = HouseVerbs(assistant, outbox, session, children.by_name(), metrics, stop.set)
    server = ControlServer(
        handlers(
            CommandVerbs(assistant, outbox, performer, reactor, session, timelines, clock),
            UserVerbs(assistant, reactor, performer, takes, letting_go, settings.hotkey),
            QuestionVerbs(assistant, reactor, clock),
            AuthVerbs(assistant, whoami, session, reactor, clock),
            HistoryVerbs(history, outbox, chronicle.caught_up, clock),
            house,
        ),
        hub,
        house.status,
        house.metrics,
    )
    await _forget(outbox, history, settings, clock().wall)
    await _take_stock(outbox, reactor, clock().wall)
    await _look_at_the_shelf(takes, outbox, reactor, clock().wall)
    _recall(reactor, shut, muted)
    _warn(settings)

    notifier = _notifier(settings, reactor, places.socket.parent / "notices")
    observers = [metrics.observe, whoami.observe, chronicle.observe]
    observers += [notifier.observe] if notifier is not None else []

    sock = bind(places.socket)
    lasting = {
        **_runs(children.by_name()),
        **_runs({"session": session, "desk": desk, "chronicle": chronicle}),
        **_runs({"pages": pages, "callback": callback, "notifier": notifier}),
        "wake": wake.watch(_on_wake(session, reactor)),
        "tick": _tick(reactor),
        "housekeeping": _housekeeping(lambda: _forget(outbox, history, settings, clock().wall)),
        **_keys(settings, reactor, letting_go),
    }
    async with asyncio.TaskGroup() as group:
        group.create_task(reactor.run(performer.perform), name="reactor")
        with reactor.observing(*observers):
            async with _running(group, lasting):
                _stop_on_signals(stop)
                async with server.serving(sock):
                    log.info("ready", socket=str(places.socket), backend=session.target_name)
                    host.notify_service_manager(f"READY=1\nSTATUS=listening on {places.socket}")
                    await stop.wait()
                    host.notify_service_manager("STOPPING=1")
                    log.info("stopping")
                    await _land(assistant, reactor)
        reactor.stop()
    takes.clear()
    places.socket.unlink(missing_ok=True)


def _on_wake(session: Session, reactor: Reactor) -> Callable[[wake.Reason], None]:
    def on_wake(reason: wake.Reason) -> None:
        session.look_again()
        if reason == "resume":
            reactor.post_nowait(MachineWoke())

    return on_wake


def _assistant(settings: Settings) -> Assistant:
    recognition = settings.recognition
    return Assistant(
        AssistantSettings(
            "never" if settings.speech.engine == "none" else settings.speech.when,
            None if recognition.keep_model else recognition.idle_unload_s,
            settings.speech.unsolicited,
        ),
        _line(settings),
        ListeningSettings(
            recognition.accept, settings.audio.min_take_ms / 1000, forgets_taps=settings.audio.preroll_ms > 0
        ),
    )


class _Runs(Protocol):
    def run(self) -> Coroutine[Any, Any, None]: ...


def _runs(parts: Mapping[str, _Runs | None]) -> dict[str, Coroutine[Any, Any, None]]:
    """Those that there are, each at its work."""
    return {name: part.run() for name, part in parts.items() if part is not None}


def _return_page(callback: Callback) -> Callable[[str], str | None]:
    """Without a page of its own a command goes again once the user, or the backend, says that it may."""

    def return_page(command_id: str) -> str | None:
        try:
            return callback.url_for(command_id)
        except OSError as error:
            log.warning("no page for a sign-in to return to", problem=str(error))
            return None

    return return_page


def _notifier(settings: Settings, reactor: Reactor, leftovers: Path) -> Notifier | None:
    """What shows events on the desktop, unless the user wants none of it."""
    wanted = settings.notifications
    if not wanted.enabled:
        return None
    return Notifier(
        Notices(NoticeSettings(wanted.replies, wanted.listening)),
        lambda on_action: notifications.make(
            sys.platform,
            on_action,
            lambda problem: reactor.post_nowait(NotificationsNoted(problem)),
            leftovers,
        ),
        reactor.post_nowait,
    )


def _keys(
    settings: Settings, reactor: Reactor, letting_go: LettingGo
) -> dict[str, Coroutine[Any, Any, None]]:
    """Listening for the keys, unless no key is wanted."""
    wanted = settings.hotkey.backend != "none"
    return {"keys": keys.listen(settings.hotkey, reactor.post_nowait, letting_go.of_key)} if wanted else {}


async def _take_stock(outbox: Outbox, reactor: Reactor, now: datetime) -> None:
    """What became of the commands while omniid did not run."""
    recovered = await outbox.recover(now)
    left = await outbox.list()
    for command in left:
        reactor.post_nowait(
            CommandFound(
                command.id,
                command.kind,
                command.message,
                command.state,
                command.answer_wanted,
                command.created_at.isoformat(),
            )
        )
    for command in recovered:
        reactor.post_nowait(CommandMoved(command.id, command.state))
    for command in left:
        if command.state is State.NEEDS_AUTH:
            reply = command.reply or {}
            left_s = SIGN_IN_WITHIN_S - (now - command.changed_at).total_seconds()
            text, url = str(reply.get("content", "")), reply.get("auth_url")
            reactor.post_nowait(SignInFound(command.id, command.kind, text, url, max(0.0, left_s)))


async def _look_at_the_shelf(takes: Takes, outbox: Outbox, reactor: Reactor, now: datetime) -> None:
    """What was said before an earlier run was killed, and has become no command."""
    takes.sweep(now)
    keys = {key_of_take(take.id): take.id for take in takes.list()}
    for key in await outbox.known_keys(list(keys)):
        takes.forget(keys.pop(key))
    if keys:
        reactor.post_nowait(TakesFound(tuple(keys.values())))


def _recall(reactor: Reactor, shut: Flag, muted: Flag) -> None:
    """What the user wanted before omniid was last stopped."""
    if shut.is_set():
        reactor.post_nowait(MicrophoneForbidden(shut=True))
    if muted.is_set():
        reactor.post_nowait(VoiceMuted(muted=True))


def _warn(settings: Settings) -> None:
    recognition = settings.recognition
    if recognition.engine == "wyoming" and (warning := wyoming_uri.clear_text_warning(str(recognition.uri))):
        log.warning(warning)
    if settings.route != "embedded" and settings.backend.leaves_in_clear:
        log.warning(
            "your words leave this machine in clear text, as allow_insecure permits",
            url=settings.backend.remote_url,
        )


async def _land(assistant: Assistant, reactor: Reactor) -> None:
    """Send nothing new, and give what is in flight a moment to be answered: better done than uncertain."""
    reactor.post_nowait(StopRequested())
    moved = asyncio.Event()
    with reactor.observing(lambda _: moved.set()), contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LANDED_WITHIN_S):
            while assistant.snapshot().in_flight:
                moved.clear()
                await moved.wait()


def _later(reactor: Reactor) -> Callable[[float, Event], None]:
    def later(delay_s: float, event: Event) -> None:
        asyncio.get_running_loop().call_later(delay_s, reactor.post_nowait, event)

    return later


@contextlib.asynccontextmanager
async def _running(
    group: asyncio.TaskGroup, lasting: Mapping[str, Coroutine[Any, Any, None]]
) -> AsyncIterator[None]:
    """The parts that live as long as the daemon; at the end of the block they have all ended."""
    tasks = [group.create_task(part, name=name) for name, part in lasting.items()]
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


async def _forget(outbox: Outbox, history: History, settings: Settings, now: datetime) -> None:
    """Let what is old enough be gone. Also where no history is kept: an earlier one may have been."""
    await outbox.forget_old(now)
    await history.forget_older_than(settings.history.retention_days, now)


async def _housekeeping(forget: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(FORGET_EVERY_S)
        with contextlib.suppress(StorageError):  # a full disk is told where it matters; the next hour will do
            await forget()


def _stop_on_signals(stop: asyncio.Event) -> None:
    """SIGTERM and SIGINT stop the daemon; a second one ends it at once, and its children with it.

    So does the end of its terminal, but never at once: that is told by the shell and by the kernel.
    """

    def on_signal(number: int) -> None:
        if stop.is_set():
            os._exit(128 + number)
        stop.set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
        loop.add_signal_handler(signal.SIGHUP, stop.set)


def _authority(settings: Settings) -> Authority:
    needed = settings.route != "embedded"
    return Authority(Credentials(authority.sources(settings)) if needed else None)


def _line(settings: Settings) -> LineSettings:
    return LineSettings(
        uncertain=settings.delivery.uncertain,
        rate_per_minute=settings.session.rate_limit_per_minute,
        fallback=settings.route == "auto",
    )


def _limits(settings: Settings) -> Limits:
    delivery = settings.delivery
    return Limits(delivery.voice_ttl_s, delivery.text_ttl_s, delivery.max_commands, delivery.max_bytes)
