"""The core of the daemon in a test's hands: each event, each frame, each second and each commit is a step.

The reactor, the assistant, the performer, the verbs, the outbox, the database and the link are the real ones.
The test's own are the clocks, the socket (frames go over it as text), the disk's health, and the life of the
process. `Shell` plays the session, in the same order of words as omniid.session.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import resource
import shutil
import sqlite3
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal, TypeVar, cast

from support.core import NO_FLAG, NoPages, SilentEar, SilentMouth, ear_performer
from support.moments import START, START_MONOTONIC

from omniid.api import CommandVerbs
from omniid.assistant import Assistant, AssistantSettings
from omniid.control.server import Call
from omniid.control.stream import EventHub
from omniid.effects import Effect
from omniid.errors import StorageError
from omniid.events import (
    ClockTicked,
    CommandMoved,
    CommandWritten,
    Event,
    LinkDialling,
    LinkEvent,
    LinkLost,
    LinkOpened,
    LinkSpoilt,
    LinkStopped,
    StopRequested,
    WriteFailed,
)
from omniid.fate import State
from omniid.line import LineSettings
from omniid.moment import Moment
from omniid.performer import Parts, Performer
from omniid.protocol.closing import classify_close
from omniid.protocol.link import Answer, Link, LinkSettings, Outgoing
from omniid.protocol.messages import BatchFrame, CommandFrame, PingFrame, parse_client_frame
from omniid.reactor import Reactor
from omniid.session import Session
from omniid.storage.database import Database
from omniid.storage.outbox import Limits, Outbox
from omniid.timeline import Timelines

T = TypeVar("T")
Health = Literal["well", "full", "broken"]

REPLY_TIMEOUT_S = 60.0
_LINK = LinkSettings("ann", "UTC", 4, REPLY_TIMEOUT_S, ping_interval_s=15.0, ping_timeout_s=10.0)
_MOST_PAGES = 1_073_741_823  # SQLite's own default

# The test's own record of every step, made by SQLite itself in the transaction of the step.
_AUDIT = """
CREATE TABLE IF NOT EXISTS filling (content BLOB);
CREATE TABLE IF NOT EXISTS audit (number INTEGER PRIMARY KEY, id TEXT, old_id TEXT, before TEXT, after TEXT);
CREATE TRIGGER IF NOT EXISTS audit_steps AFTER UPDATE OF id, state ON commands BEGIN
    INSERT INTO audit (id, old_id, before, after) VALUES (new.id, old.id, old.state, new.state);
END;
CREATE TRIGGER IF NOT EXISTS audit_losses AFTER DELETE ON commands BEGIN
    INSERT INTO audit (id, old_id, before, after) VALUES (NULL, old.id, old.state, NULL);
END;
"""


class Killed(BaseException):
    """The process is gone: nothing may catch this but the test."""


class MortalDatabase(Database):
    """Dies right after the commit that `commits_left` counts down to; what is on disk by then is on disk."""

    commits_left: int | None = None

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        result = await super().run(work)
        if self.commits_left is not None:
            self.commits_left -= 1
            if self.commits_left <= 0:
                raise Killed
        return result

    async def cap(self) -> None:
        """Let the file grow no more, and fill what is free in it."""
        await self._on_thread(lambda: self._pragma("max_page_count=1"))  # SQLite takes what is in use
        for size in (4_000, 1):
            with contextlib.suppress(StorageError):
                while True:
                    await self._on_thread(lambda size=size: self._fill(size))  # type: ignore[misc]

    async def uncap(self) -> None:
        await self._on_thread(lambda: self._pragma(f"max_page_count={_MOST_PAGES}"))

    def _pragma(self, words: str) -> None:
        assert self._connection is not None
        self._connection.execute(f"PRAGMA {words}").fetchall()

    def _fill(self, size: int) -> None:
        assert self._connection is not None
        self._connection.execute("INSERT INTO filling VALUES (zeroblob(?))", (size,))


class SteppedReactor(Reactor):
    """Handles one event, with all its consequences, each time it is told to."""

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    def posted(self) -> list[Event | None]:
        """What waits, the first first."""
        return list(cast("deque[Event | None]", self._queue._queue))  # type: ignore[attr-defined]

    async def step(self, perform: Callable[[Effect], Awaitable[list[Event]]]) -> None:
        event = self._queue.get_nowait()
        assert event is not None
        await self._handle(event, perform)


class Clocks:
    """Both clocks; the wall's can be set."""

    def __init__(self) -> None:
        self.monotonic = START_MONOTONIC
        self.wall = START

    def __call__(self) -> Moment:
        return Moment(self.monotonic, self.wall)

    def advance(self, seconds: float) -> None:
        self.monotonic += seconds
        self.wall += timedelta(seconds=seconds)

    def reach(self, monotonic: float) -> None:
        self.advance(max(0.0, monotonic - self.monotonic))


@dataclass
class Server:
    """A backend. It does a command when its frame comes; one that dedupes does each id once.

    `features` is what its hello says, where it says one; `echoes`: its replies name their command.
    """

    name: str
    features: frozenset[str]
    echoes: bool
    done: dict[str, int] = field(default_factory=dict)
    outcomes: dict[str, str] = field(default_factory=dict)  # of a server that dedupes: it answers the same
    owed: list[str] = field(default_factory=list)  # came on links that are gone, and are not answered
    said: list[tuple[str, str]] = field(default_factory=list)  # replies, with whose they are

    @property
    def dedupes(self) -> bool:
        return "dedupe" in self.features

    def do(self, command_id: str) -> None:
        if not self.dedupes or command_id not in self.done:
            self.done[command_id] = self.done.get(command_id, 0) + 1
        if command_id in self.owed:
            self.owed.remove(command_id)

    def reply(self, command_id: str, outcome: str, padding: int, *, named: bool) -> str:
        """The frame that answers a command; its words name the command, whether it has the id or not."""
        if self.dedupes:
            outcome = self.outcomes.setdefault(command_id, outcome)
        words = f"re: {command_id} {'.' * padding}"
        forms: dict[str, dict[str, Any]] = {
            "done": {"type": "response", "status": "success", "data": {"message": words}},
            "unified": {"type": "email", "success": True, "message": words, "data": {}},
            "failed": {"type": "error", "error": {"code": "x", "message": words}},
            "needs_auth": {
                "type": "response",
                "status": "success",
                "data": {"requiresAuth": True, "authUrl": None, "message": words},
            },
        }
        frame = json.dumps(self._signed(forms[outcome], command_id) if named else forms[outcome])
        if named:
            self.said.append((command_id, frame))
        return frame

    def progress(self, command_id: str) -> str:
        return json.dumps(self._signed({"type": "response", "status": "processing"}, command_id))

    def _signed(self, frame: dict[str, Any], command_id: str) -> dict[str, Any]:
        return {**frame, "requestId": command_id} if self.echoes else frame


@dataclass
class Receipt:
    """One command as it came to a server. `dedupe_said`: the server had said so on this very link."""

    command_id: str
    message: str
    server: str
    dedupe_said: bool


@dataclass
class Conversation:
    """One socket: omniid's end (`link`, with what its writer holds) and the server's."""

    link: Link
    server: Server
    line: deque[Outgoing] = field(default_factory=deque)
    unrecorded: list[CommandWritten] = field(default_factory=list)  # written, and the writer has not said so
    greeted: bool = False
    mute: bool = False  # the server hears nothing and says nothing, and the socket stands
    unanswered: list[str] = field(default_factory=list)

    def held(self) -> set[str]:
        """What omniid's end holds."""
        return {each.id for each in self.line} | set(self.link._in_flight)


class Shell:
    """Plays the session: what the performer and the verbs know of it."""

    def __init__(self, target_name: str) -> None:
        self.target_name = target_name
        self.epoch = 0
        self.now: Conversation | None = None

    def submit(self, outgoing: Sequence[Outgoing], epoch: int) -> bool:
        if self.now is None or epoch != self.epoch:
            return False
        self.now.line += outgoing
        return True

    def answer(self, answer: Answer) -> bool:
        raise AssertionError(f"nobody asked: {answer}")

    def leave_questions(self, command_id: str) -> None:
        raise AssertionError(f"nobody asked about {command_id}")

    def wake(self) -> None:
        pass


class World:
    """One daemon after the other on the same database, and the servers they talk to."""

    def __init__(
        self,
        folder: Path,
        servers: Sequence[Server],
        line: LineSettings,
        limits: Limits,
        on_receipt: Callable[[Receipt], None],
        on_answer: Callable[[str], None],
    ) -> None:
        self.loop = asyncio.new_event_loop()
        self.clock = Clocks()
        self.servers = {server.name: server for server in servers}
        self.health: Health = "well"
        self.busy = False  # the reactor handles nothing by itself
        self.events: list[Event] = []  # handled since the test last looked
        self._folder = folder
        self._line = line
        self._limits = limits
        self._on_receipt = on_receipt
        self._on_answer = on_answer
        self._lives = 0
        self._timers: list[tuple[float, Event]] = []
        self.database: MortalDatabase | None = None
        self.auditor: sqlite3.Connection | None = None
        self._path = folder / "0" / "omniid.db"
        self._start(servers[0].name)

    # --- the process -------------------------------------------------------------------------------------

    def do(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it to its end, on a disk that is as well as `health` says.

        Raises:
            Killed: the process went; `come_back` starts the next one.
        """
        unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
        if self.health == "broken":  # not a byte can be written to any file
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, unlimited[1]))
        try:
            return self.loop.run_until_complete(work)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)

    def _start(self, name: str) -> None:
        """As `daemon` does it, but for the memory of what ended long ago, which stays."""
        self._timers = []
        self.busy = False
        self.health = "well" if self.health == "full" else self.health  # the cap went with its connection
        try:
            self.do(self._open(name))
        except StorageError:
            assert self.health == "broken"
            self.health = "well"
            self.do(self._open(name))
        assert self.database is not None
        assert self.database.set_aside is None

    async def _open(self, name: str) -> None:
        self.assistant = Assistant(AssistantSettings("never", 300.0), self._line)
        timelines = Timelines()
        self.reactor = SteppedReactor(self.assistant, timelines, EventHub(), self.clock)
        self._observing = self.reactor.observing(self.events.append)
        self._observing.__enter__()
        self.shell = Shell(name)
        database = await MortalDatabase(self._path).__aenter__()
        try:
            self.outbox = Outbox(database, self._limits)
            parts = Parts(
                self.outbox,
                self.shell,
                ear_performer(SilentEar()),
                SilentMouth(),
                self._later,
                NO_FLAG,
                NoPages(),
            )
            self.performer = Performer(parts, self.clock)
            self.verbs = CommandVerbs(
                self.assistant,
                self.outbox,
                self.performer,
                self.reactor,
                cast("Session", self.shell),
                timelines,
                self.clock,
            )
            self._audit()
            for command in await self.outbox.recover(self.clock().wall):
                self.reactor.post_nowait(CommandMoved(command.id, command.state))
        except StorageError:
            await database.__aexit__(None, None, None)
            raise
        self.database = database

    def _audit(self) -> None:
        if self.auditor is not None:
            return
        self.auditor = sqlite3.connect(self._path, isolation_level=None, timeout=0)
        self.auditor.row_factory = sqlite3.Row
        if self._lives == 0:
            self.auditor.executescript(_AUDIT)

    def _later(self, delay_s: float, event: Event) -> None:
        self._timers.append((self.clock.monotonic + delay_s, event))

    def come_back(self, name: str | None = None) -> None:
        """The process vanishes, whatever it was doing; the next one finds the file as it was then."""
        assert self.database is not None
        self._hang_up()
        self.loop.run_until_complete(self.database._idle.wait())
        before, self._lives = self._path, self._lives + 1
        self._path = self._folder / str(self._lives) / "omniid.db"
        self._path.parent.mkdir()
        for suffix in ("", "-wal"):
            shutil.copyfile(f"{before}{suffix}", f"{self._path}{suffix}")
        self._close()
        shutil.rmtree(before.parent)
        self.clock.monotonic = START_MONOTONIC + self._lives  # it begins anew with each boot
        self._start(name or self.shell.target_name)

    def stop(self, name: str, *, answered: bool) -> None:
        """An orderly stop, and the next start; `answered`: the server answers what is under way, in time."""
        self.reactor.post_nowait(StopRequested())
        self.busy = False
        self.do(self.handle())
        if answered:
            self.answer_all()
        if self.shell.now is not None:
            self._post(self._account_for_the_rest(None, ""))
        self.do(self.handle())
        self._close()
        self._start(name)

    def _close(self) -> None:
        if self.auditor is not None:
            self.auditor.close()
            self.auditor = None
        if self.database is not None:
            database, self.database = self.database, None
            self.do(database.__aexit__(None, None, None))

    def end(self) -> None:
        self._close()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def verb(self, name: str, command_id: str = "", body: Any = None, key: str | None = None) -> Any:
        """The coroutine of a control verb."""
        return getattr(self.verbs, name)(Call(command_id, body, key, {}))

    # --- events ------------------------------------------------------------------------------------------

    async def handle(self, most: int | None = None) -> None:
        """Handle what waits; without `most`, all, with what comes of it."""
        while self.reactor.waiting and most != 0:
            await self.reactor.step(self.performer.perform)
            most = None if most is None else most - 1

    async def settle(self) -> None:
        """What the reactor does by itself."""
        if not self.busy:
            await self.handle()

    def _post(self, events: Sequence[LinkEvent]) -> None:
        for event in events:
            self.reactor.post_nowait(event)

    def tick(self) -> None:
        self.reactor.post_nowait(ClockTicked())

    # --- the disk ----------------------------------------------------------------------------------------

    def spoil_disk(self, health: Health) -> None:
        assert self.database is not None
        self.health = "well"
        self.do(self.database.uncap())
        if health == "full":
            self.do(self.database.cap())
        self.health = health

    @property
    def has_room(self) -> bool:
        """Whether the disk may take more; in a full one, a shorter text may have left a free page."""
        assert self.auditor is not None
        free = self.auditor.execute("PRAGMA freelist_count").fetchone()[0]
        return self.health == "well" or (self.health == "full" and free > 0)

    # --- the link ----------------------------------------------------------------------------------------

    def connect(self, *, greet: bool) -> None:
        shell = self.shell
        shell.epoch += 1
        shell.now = Conversation(Link(_LINK, self.clock()), self.servers[shell.target_name])
        self._post([LinkDialling(shell.target_name), LinkOpened(shell.epoch, shell.now.link.window)])
        if greet:
            self.greet()

    def greet(self) -> None:
        now = self._now
        now.greeted = True
        features = sorted(now.server.features)
        self.receive(json.dumps({"type": "hello", "payload": {"features": features}}))

    @property
    def _now(self) -> Conversation:
        assert self.shell.now is not None
        return self.shell.now

    def receive(self, frame: str) -> None:
        """A frame comes from the server."""
        now = self._now
        self._post(now.link.receive(frame, self.clock()))
        self._deliver(now, now.link.frames_to_send())

    def write(self, *, record: bool = True) -> None:
        """The writer sends what it holds; without `record` it cannot say so yet."""
        now = self._now
        if not now.unrecorded:
            burst, now.line = list(now.line), deque()
            frames = now.link.commands(burst, self.clock())
            self._deliver(now, frames)
            shown = [str(frame) for frame in frames]
            shown = shown * len(burst) if len(shown) == 1 else shown
            now.unrecorded = [
                CommandWritten(each.id, frame) for each, frame in zip(burst, shown, strict=True)
            ]
        if record:
            recorded, now.unrecorded = now.unrecorded, []
            self._post(recorded)

    def break_in_writing(self, arrived: int) -> None:
        """The link breaks in mid-write; only the first frames arrive."""
        now = self._now
        burst, now.line = list(now.line), deque()
        self._deliver(now, now.link.commands(burst, self.clock())[:arrived])
        self.lose(None)

    def _deliver(self, now: Conversation, frames: Sequence[str | bytes]) -> None:
        for raw in [] if now.mute else frames:
            match parse_client_frame(raw):
                case CommandFrame(payload=payload):
                    payloads = [payload]
                case BatchFrame(payload=batch):
                    payloads = batch.commands
                case PingFrame():
                    now.link.receive('{"type":"pong"}', self.clock())
                    continue
                case _:
                    continue
            for each in payloads:
                now.server.do(each.request_id)
                now.unanswered.append(each.request_id)
                said = now.greeted and now.server.dedupes
                self._on_receipt(Receipt(each.request_id, each.message or "", now.server.name, said))

    def answer(self, command_id: str, outcome: str, padding: int = 0, *, named: bool = True) -> None:
        """The server answers a command, wherever it came in; `named`: with its id, where it knows how."""
        now = self._now
        (now.unanswered if command_id in now.unanswered else now.server.owed).remove(command_id)
        if named or len(now.link._in_flight) == 1:
            self._on_answer(command_id)
        self.receive(now.server.reply(command_id, outcome, padding, named=named))

    def answer_all(self) -> None:
        """The link carries what it may, and the server answers at once, for as long as there is something."""
        while self.shell.now is not None and (self._now.line or self._now.unanswered or self._now.unrecorded):
            self.write()
            for command_id in list(self._now.unanswered):
                self.answer(command_id, "done")
            self.do(self.handle())

    def lose(self, code: int | None, reason: str = "") -> None:
        """The link ends; `code` is what the server closes it with, None where it only breaks."""
        self._post(self._account_for_the_rest(code, reason))
        match classify_close(code, reason):
            case "retry":
                self._post([LinkLost("the link was lost", 1.0)])
            case ending:
                self._post([LinkStopped("the link was lost", needs_token=ending == "needs_token")])

    def _account_for_the_rest(self, code: int | None, reason: str) -> list[LinkEvent]:
        now = self._hang_up()
        assert now is not None
        return [*(WriteFailed(each.id) for each in now.line), *now.link.closed(code, reason)]

    def _hang_up(self) -> Conversation | None:
        now, self.shell.now = self.shell.now, None
        if now is not None:
            now.server.owed += now.unanswered
        return now

    # --- time --------------------------------------------------------------------------------------------

    def live_through(self, seconds: float) -> None:
        """Time passes, and everyone does what is due when it is due."""
        until = self.clock.monotonic + seconds
        while (due := self._next_deadline()) <= until:
            self.clock.reach(due)
            self._do_what_is_due()
            self.do(self.settle())
        self.clock.reach(until)

    def sleep_through(self, seconds: float) -> None:
        """Time passes while the machine sleeps; what became due is done after it."""
        self.clock.advance(seconds)
        self._do_what_is_due()

    def set_wall(self, seconds: float) -> None:
        """The wall clock jumps; the monotonic one does not."""
        self.clock.wall += timedelta(seconds=seconds)

    def _next_deadline(self) -> float:
        now = self.shell.now
        link = [] if now is None else [now.link.next_deadline()]
        return min([*link, *(due for due, _ in self._timers)], default=float("inf"))

    def _do_what_is_due(self) -> None:
        due = [event for at, event in self._timers if at <= self.clock.monotonic]
        self._timers = [timer for timer in self._timers if timer[0] > self.clock.monotonic]
        for event in due:
            self.reactor.post_nowait(event)
        now = self.shell.now
        if now is None or now.link.next_deadline() > self.clock.monotonic:
            return
        events = now.link.advance(self.clock())
        self._post(events)
        if any(isinstance(event, LinkSpoilt) for event in events):
            self.lose(None)
            return
        if now.link.take_ping() and not now.mute:
            now.link.heard(self.clock())
        self._deliver(now, now.link.frames_to_send())

    # --- what is on disk ---------------------------------------------------------------------------------

    def rows(self) -> dict[str, sqlite3.Row]:
        """Every command as it stands on disk, by its id."""
        assert self.auditor is not None
        return {row["id"]: row for row in self.auditor.execute("SELECT * FROM commands ORDER BY position")}

    def in_state(self, *states: State) -> list[str]:
        return [command_id for command_id, row in self.rows().items() if row["state"] in states]

    def steps_after(self, number: int) -> list[sqlite3.Row]:
        assert self.auditor is not None
        found = self.auditor.execute("SELECT * FROM audit WHERE number > ? ORDER BY number", (number,))
        return found.fetchall()

    def tally(self) -> dict[str, tuple[int, int]]:
        assert self.auditor is not None
        found = self.auditor.execute("SELECT state, number, bytes FROM tally WHERE number > 0")
        return {row["state"]: (row["number"], row["bytes"]) for row in found}


def moment_of(text: str) -> datetime:
    return datetime.fromisoformat(text)
