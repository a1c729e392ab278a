"""The SQLite file under every kind of harm."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import moments
from support.moments import wall

from omniid.errors import AlreadyRunningError, NotFoundError, OmniidError, RefusedError, StorageError
from omniid.fate import ON_THE_WIRE, State
from omniid.protocol.chat import Reply
from omniid.storage.database import Database
from omniid.storage.outbox import Limits, NewCommand, Outbox, Recipient
from omniid.storage.owner_lock import OwnerLock
from omniid.storage.schema import MIGRATIONS

SUPPORT = Path(moments.__file__).parent
LIMITS = Limits(600, 86_400, 1_000_000, 1_000_000_000)
CHILD_ENV = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(SUPPORT.parent), str(SUPPORT.parent.parent)]),
}


def add(path: Path, *command_ids: str) -> Path | None:
    """Add commands to the database; the file that was set aside, if one was."""

    async def run() -> Path | None:
        async with asyncio.timeout(30), Database(path) as database:
            outbox = Outbox(database, LIMITS)
            for command_id in command_ids:
                await outbox.add(NewCommand(command_id, "text", "x" * 500, {}), wall())
            return database.set_aside

    return asyncio.run(run())


def ids(path: Path) -> set[str]:
    async def run() -> set[str]:
        async with asyncio.timeout(30), Database(path) as database:
            assert database.set_aside is None
            listed = await Outbox(database, LIMITS).list(ended=True, limit=1_000_000)
            return {command.id for command in listed}

    return asyncio.run(run())


def test_the_file_and_its_companions_are_for_this_user_only(tmp_path: Path) -> None:
    path = tmp_path / "data" / "omniid.db"
    before = os.umask(0)
    try:

        async def run() -> None:
            async with Database(path) as database:
                await Outbox(database, LIMITS).add(NewCommand("c", "text", "x", {}), wall())
                for part in path.parent.iterdir():
                    assert stat.S_IMODE(part.stat().st_mode) == 0o600, part
                assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700

        asyncio.run(run())
    finally:
        os.umask(before)


def _junk_in_the_middle(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4_096)
        file.write(os.urandom(size - 8_192))


def _a_text_file(path: Path) -> None:
    path.write_text("This is my shopping list, and no database at all.\n" * 100)


def _cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


@pytest.mark.parametrize("harm", [_junk_in_the_middle, _a_text_file, _cut_short])
def test_a_damaged_file_is_set_aside_and_a_fresh_one_works(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    path = tmp_path / "omniid.db"
    add(path, *(f"c{number}" for number in range(200)))
    harm(path)
    harmed = path.read_bytes()

    aside = add(path, "new")

    assert aside is not None
    assert aside.name.startswith("omniid.db.damaged-")
    assert aside.read_bytes() == harmed
    assert ids(path) == {"new"}


def test_two_damaged_files_are_both_kept(tmp_path: Path) -> None:
    path = tmp_path / "omniid.db"
    asides = set()
    for text in ("first" * 1_000, "second" * 1_000):
        path.write_text(text)
        asides.add(add(path))

    assert {aside.read_text()[:5] for aside in asides if aside} == {"first", "secon"}


def test_an_empty_file_is_a_new_database(tmp_path: Path) -> None:
    path = tmp_path / "omniid.db"
    path.touch()

    assert add(path, "c1") is None
    assert ids(path) == {"c1"}


@pytest.mark.parametrize("version", [len(MIGRATIONS) + 1, 99])
@pytest.mark.parametrize("journal", ["DELETE", "WAL"])
def test_a_newer_schema_is_refused_and_left_as_it_is(tmp_path: Path, version: int, journal: str) -> None:
    path = tmp_path / "omniid.db"
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA journal_mode={journal}")
    connection.execute("CREATE TABLE later (x)")
    connection.execute(f"PRAGMA user_version={version}")
    connection.close()
    before = path.read_bytes()

    with pytest.raises(StorageError, match=r"newer omniid .* Update omniid"):
        add(path)

    assert path.read_bytes() == before
    assert [part.name for part in tmp_path.iterdir()] == ["omniid.db"]


def test_a_folder_in_the_files_place_is_an_error_and_not_a_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "omniid.db"
    path.mkdir()

    with pytest.raises(StorageError, match="cannot be used"):
        add(path)

    assert path.is_dir()


def test_a_database_that_cannot_be_opened_leaves_no_thread_behind(tmp_path: Path) -> None:
    (tmp_path / "omniid.db").mkdir()

    with pytest.raises(StorageError):
        add(tmp_path / "omniid.db")

    # Only its own threads are counted: those of earlier tests may end at any moment.
    left = [thread for thread in threading.enumerate() if thread.name.startswith("storage")]
    for thread in left:
        thread.join(30)
    assert not any(thread.is_alive() for thread in left)


def test_a_step_whose_caller_went_away_is_still_whole(tmp_path: Path) -> None:
    async def run() -> None:
        async with asyncio.timeout(30), Database(tmp_path / "omniid.db") as database:
            outbox = Outbox(database, LIMITS)
            new = NewCommand("c1", "text", "x", {})
            async with asyncio.TaskGroup() as group:
                task = group.create_task(outbox.add(new, wall()))
                await asyncio.sleep(0)
                task.cancel()
            assert (await outbox.get("c1")).message == "x"

    asyncio.run(run())


def test_work_that_fails_leaves_nothing_of_itself(tmp_path: Path) -> None:
    def half_done(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM commands")
        raise sqlite3.OperationalError("broken in the middle")

    async def run() -> None:
        async with asyncio.timeout(30), Database(tmp_path / "omniid.db") as database:
            outbox = Outbox(database, LIMITS)
            await outbox.add(NewCommand("c1", "text", "x", {}), wall())
            with pytest.raises(StorageError, match="broken in the middle"):
                await database.run(half_done)
            assert (await outbox.get("c1")).id == "c1"

    asyncio.run(run())


# --- one commit for many ------------------------------------------------------------------------------------


class Gate:
    """Work that keeps the storage thread busy until it is opened, so that other work has to wait."""

    def __init__(self) -> None:
        self._entered, self._opened = threading.Event(), threading.Event()

    def work(self, connection: sqlite3.Connection) -> None:
        connection.execute("SELECT 1")
        self._entered.set()
        assert self._opened.wait(30)

    async def shut(self) -> None:
        await asyncio.get_running_loop().run_in_executor(None, self._entered.wait, 30)

    def open(self) -> None:
        self._opened.set()


def note(number: int) -> Callable[[sqlite3.Connection], int]:
    def work(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO notes (number) VALUES (?)", (number,))
        return number

    return work


def notes_in(path: Path) -> list[int]:
    """What another process would find."""
    connection = sqlite3.connect(path)
    try:
        return [number for (number,) in connection.execute("SELECT number FROM notes ORDER BY rowid")]
    finally:
        connection.close()


def with_notes(path: Path, work: Callable[[Database], Awaitable[None]]) -> list[int]:
    """What is on disk after this work with a database that has a table of notes."""

    async def run() -> None:
        async with asyncio.timeout(60), Database(path) as database:
            await database.run(lambda connection: connection.execute("CREATE TABLE notes (number)").close())
            await work(database)

    asyncio.run(run())
    return notes_in(path)


def test_what_is_asked_for_while_a_commit_is_under_way_shares_the_next_one(tmp_path: Path) -> None:
    path = tmp_path / "omniid.db"
    said: list[str] = []

    async def one(database: Database, number: int) -> None:
        assert await database.run(note(number)) == number
        assert number in notes_in(path)  # on disk by then, and not only soon

    async def work(database: Database) -> None:
        await database.run(lambda connection: connection.set_trace_callback(said.append))
        gate = Gate()
        async with asyncio.TaskGroup() as group:
            group.create_task(database.run(gate.work))
            await gate.shut()
            said.clear()
            for number in range(200):
                group.create_task(one(database, number))
            await asyncio.sleep(0)
            gate.open()

    assert with_notes(path, work) == list(range(200))
    # The gate's own, and 200 in transactions of 64.
    assert said.count("COMMIT") == 1 + 4
    assert said.count("BEGIN IMMEDIATE") == 4


class NoSuchError(Exception):
    """An error that the database knows nothing of."""


def half_done(error: Exception) -> Callable[[sqlite3.Connection], int]:
    def work(connection: sqlite3.Connection) -> int:
        connection.execute("INSERT INTO notes (number) VALUES (-1)")
        raise error

    return work


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (RefusedError("No."), RefusedError),
        (NotFoundError("None."), NotFoundError),
        (sqlite3.IntegrityError("broken"), StorageError),
        (OSError(28, "No space left"), StorageError),
        (NoSuchError(), NoSuchError),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
@pytest.mark.parametrize("place", [0, 7, 19])
def test_work_that_fails_takes_nothing_from_the_others_in_its_transaction(
    tmp_path: Path, error: Exception, told: type[Exception], place: int
) -> None:
    async def work(database: Database) -> None:
        gate = Gate()
        async with asyncio.TaskGroup() as group:
            group.create_task(database.run(gate.work))
            await gate.shut()
            jobs = [note(number) for number in range(20)]
            jobs[place] = half_done(error)
            calls = [group.create_task(outcome(database, job)) for job in jobs]
            await asyncio.sleep(0)
            gate.open()
        outcomes = [call.result() for call in calls]
        assert isinstance(outcomes.pop(place), told)
        assert outcomes == [number for number in range(20) if number != place]

    async def outcome(database: Database, job: Callable[[sqlite3.Connection], int]) -> object:
        try:
            return await database.run(job)
        except (OmniidError, NoSuchError) as problem:
            return problem

    # Theirs are there once each, in the order they were asked for; of its own there is nothing.
    on_disk = with_notes(tmp_path / "omniid.db", work)
    assert on_disk == [number for number in range(20) if number != place]


def test_work_sees_what_was_asked_for_before_it(tmp_path: Path) -> None:
    seen: list[int] = []

    def count(connection: sqlite3.Connection) -> int:
        return int(connection.execute("SELECT count(*) FROM notes").fetchone()[0])

    async def work(database: Database) -> None:
        async with asyncio.TaskGroup() as group:
            calls = []
            for number in range(100):
                group.create_task(database.run(note(number)))
                calls.append(group.create_task(database.run(count)))
        seen.extend(call.result() for call in calls)

    assert with_notes(tmp_path / "omniid.db", work) == list(range(100))
    assert seen == list(range(1, 101))


@given(st.lists(st.integers(0, 99), max_size=60, unique=True), st.booleans())
@settings(max_examples=10, deadline=None)
def test_work_whose_caller_went_away_is_whole_or_not_there_and_the_others_work_on(
    gone: list[int], under_way: bool
) -> None:
    async def work(database: Database) -> None:
        gate = Gate()
        async with asyncio.TaskGroup() as group:
            group.create_task(database.run(gate.work))
            await gate.shut()
            calls = [group.create_task(pair(database, number)) for number in range(100)]
            await asyncio.sleep(0)
            if under_way:
                gate.open()
                await calls[0 if 0 not in gone else -1]
            for number in gone:
                calls[number].cancel()
            gate.open()
        returned.update(number for number, call in enumerate(calls) if not call.cancelled())

    async def pair(database: Database, number: int) -> int:
        def twice(connection: sqlite3.Connection) -> int:
            note(number)(connection)
            return note(number)(connection)

        return await database.run(twice)

    returned: set[int] = set()
    with tempfile.TemporaryDirectory() as folder:
        on_disk = with_notes(Path(folder, "omniid.db"), work)

    assert returned >= set(range(100)) - set(gone)
    assert returned <= set(on_disk)
    assert all(on_disk.count(number) == 2 for number in set(on_disk))
    assert on_disk == sorted(on_disk)


def test_closing_waits_for_what_is_under_way_and_for_what_waits(tmp_path: Path) -> None:
    path = tmp_path / "omniid.db"

    async def run() -> list[int]:
        gate = Gate()
        async with asyncio.timeout(60), asyncio.TaskGroup() as group:
            async with Database(path) as database:
                await database.run(
                    lambda connection: connection.execute("CREATE TABLE notes (number)").close()
                )
                group.create_task(database.run(gate.work))
                await gate.shut()
                calls = [group.create_task(database.run(note(number))) for number in range(150)]
                await asyncio.sleep(0)
                asyncio.get_running_loop().call_soon(gate.open)  # once the closing waits
            assert notes_in(path) == list(range(150))
        return [call.result() for call in calls]

    assert asyncio.run(run()) == list(range(150))
    assert [part.name for part in tmp_path.iterdir()] == ["omniid.db"]  # closed: its log is written back


# --- an older file ------------------------------------------------------------------------------------------

OLD_ROW = (
    "INSERT INTO commands (id, position, kind, message, metadata, idempotency_key, state, reason, reply,"
    " attempts, answer_wanted, bytes, created_at, changed_at, expires_at)"
    " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
)
NEVER_SENT = frozenset({State.QUEUED, State.CANCELLED, State.EXPIRED})
EVERY_STATE = list(State)


def write_version_1(path: Path) -> None:
    """A file as the first schema had it, with two commands in each state."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(path)
    connection.executescript(f"PRAGMA journal_mode=WAL; BEGIN; {MIGRATIONS[0]} COMMIT;")
    connection.execute("PRAGMA user_version=1")
    now, later = "2026-03-01T11:00:00.000+00:00", "2026-03-02T11:00:00.000+00:00"
    with connection:
        for position, state in enumerate(EVERY_STATE * 2, start=1):
            command_id, attempts = f"{state}-{position:02}", 0 if state in NEVER_SENT else 1
            message = f"Grüße {position} 😀"
            reply = '{"content": "Sent."}' if state is State.DONE else None
            size = len(message.encode()) + len('{"n": 1}')
            connection.execute(
                OLD_ROW,
                (
                    *(command_id, position, "voice" if position % 2 else "text", message, '{"n": 1}'),
                    *(f"key {position}", state, f"reason {position}", reply, attempts, position % 2, size),
                    *(now, now, later),
                ),
            )
            if attempts:
                connection.execute(
                    "INSERT INTO attempts VALUES (?, 1, ?, ?, ?)",
                    (command_id, now, now, None if state in ON_THE_WIRE else state),
                )
    connection.close()


def schema_of(path: Path) -> tuple[int, list[Any]]:
    connection = sqlite3.connect(path)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        return version, connection.execute(
            "SELECT type, name, sql FROM sqlite_master ORDER BY name"
        ).fetchall()
    finally:
        connection.close()


def test_a_file_of_the_first_schema_keeps_every_command_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "omniid.db"
    write_version_1(path)

    async def run() -> None:
        async with asyncio.timeout(30), Database(path) as database:
            assert database.set_aside is None
            outbox = Outbox(database, LIMITS)
            kept = await outbox.list(ended=True)
            assert [(c.id, c.state) for c in kept] == [
                (f"{state}-{position:02}", state) for position, state in enumerate(EVERY_STATE * 2, start=1)
            ]
            for position, command in enumerate(kept, start=1):
                assert command.message == f"Grüße {position} 😀"
                assert (command.metadata, command.reason) == ({"n": 1}, f"reason {position}")
                assert command.answer_wanted == bool(position % 2)
                assert command.kind == ("voice" if position % 2 else "text")
                assert command.created_at == wall(-3_600)
                assert command.expires_at == wall(82_800)
                assert (command.reply is not None) == (command.state is State.DONE)
            assert await outbox.counts() == dict.fromkeys(State, 2)
            assert await database.run(lambda c: (tally_of(c), counted(c)[0] == tally_of(c))) == (
                {state: (2, counted_bytes) for state, counted_bytes in OLD_BYTES.items()},
                True,
            )

    asyncio.run(run())


OLD_BYTES = {
    str(state): sum(
        len(f"Grüße {position} 😀".encode()) + len('{"n": 1}')
        for position, each in enumerate(EVERY_STATE * 2, start=1)
        if each is state
    )
    for state in State
}


def test_a_file_of_the_first_schema_works_on_as_a_new_one_does(tmp_path: Path) -> None:
    path, fresh = tmp_path / "omniid.db", tmp_path / "fresh.db"
    write_version_1(path)
    add(fresh)

    async def run() -> None:
        async with asyncio.timeout(30), Database(path) as database:
            outbox = Outbox(database, LIMITS)
            # No backend of that time is known to dedupe: what was on the wire is uncertain.
            recovered = await outbox.recover(wall())
            assert {command.id for command in recovered} == {
                "sending-02",
                "sending-13",
                "waiting-03",
                "waiting-14",
            }
            assert {command.state for command in recovered} == {State.UNCERTAIN}
            to = Recipient("a backend", dedupes=True)
            taken = await outbox.begin_attempts(wall(), 5, to)
            assert [command.id for command in taken.commands] == ["queued-01"]
            assert [(command.id, command.state) for command in taken.uncertain] == [
                ("queued-12", State.CANCELLED)  # its answer is not wanted: it was called off
            ]
            assert (await outbox.retry("uncertain-08", wall())).state is State.QUEUED
            again, is_new = await outbox.add(NewCommand("new", "voice", "Grüße 1 😀", {}, "key 1"), wall())
            assert (again.id, is_new) == ("queued-01", False)
            await outbox.add(NewCommand("new", "text", "x", {}), wall())
            assert (await outbox.list())[-1].id == "new"
            assert await database.run(lambda c: counted(c)[0] == tally_of(c))

    asyncio.run(run())
    assert schema_of(path) == schema_of(fresh)
    assert schema_of(path)[0] == len(MIGRATIONS)


def test_a_migration_that_is_cut_short_is_made_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "omniid.db"
    write_version_1(path)
    copy = tmp_path / "copy.db"
    shutil.copy(path, copy)
    connection = sqlite3.connect(path, isolation_level=None)
    connection.executescript(f"BEGIN IMMEDIATE; {MIGRATIONS[1]} PRAGMA user_version=2;")
    connection.close()  # as a process that ends before COMMIT

    assert schema_of(path) == schema_of(copy)
    assert len(ids(path)) == 2 * len(State)
    assert schema_of(path)[0] == len(MIGRATIONS)


# --- the tally ----------------------------------------------------------------------------------------------

SMALL = Limits(600, 86_400, max_commands=8, max_bytes=600)
SOON = st.floats(0, 700)
NAMES = st.sampled_from([f"c{number}" for number in range(10)])
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just("add"), NAMES, st.integers(0, 120)),
        st.tuples(st.just("begin"), st.integers(1, 4), st.booleans(), st.sampled_from(["a", "b"])),
        st.tuples(st.just("move"), NAMES, st.sampled_from(EVERY_STATE)),
        st.tuples(st.just("edit"), NAMES, st.integers(0, 120)),
        st.tuples(st.sampled_from(["cancel", "retry", "answer_here"]), NAMES),
        st.tuples(st.sampled_from(["expire", "give_up_repeats", "recover"]), SOON),
        st.tuples(st.just("forget_old"), st.sampled_from([0, 8 * 86_400])),
    ),
    max_size=40,
)


def tally_of(connection: sqlite3.Connection) -> dict[str, tuple[int, int]]:
    rows = connection.execute("SELECT state, number, bytes FROM tally WHERE number > 0 OR bytes > 0")
    return {state: (number, size) for state, number, size in rows}


def counted(connection: sqlite3.Connection) -> tuple[dict[str, tuple[int, int]], int]:
    """The tally as it has to be, and how many commands take up room."""
    real: dict[str, tuple[int, int]] = {}
    for state, message, metadata in connection.execute("SELECT state, message, metadata FROM commands"):
        number, size = real.get(state, (0, 0))
        real[state] = (number + 1, size + len(message.encode()) + len(metadata))
    over = {State.DONE, State.FAILED, State.REJECTED, State.EXPIRED, State.CANCELLED, State.DROPPED}
    return real, sum(number for state, (number, _) in real.items() if state not in over)


async def operate(outbox: Outbox, operation: tuple[Any, ...], now: float) -> None:
    match operation:
        case ("add", name, size):
            await outbox.add(NewCommand(name, "voice" if size % 2 else "text", "ü" * size, {}), wall(now))
        case ("begin", limit, dedupes, target):
            await outbox.begin_attempts(wall(now), limit, Recipient(target, dedupes))
        case ("move", name, to):
            repeat = to is State.QUEUED and (await outbox.get(name)).state in ON_THE_WIRE
            await outbox.move(name, to, wall(now), reply=Reply("done", "x", 95), repeat=repeat)
        case ("edit", name, size):
            await outbox.edit(name, "x" * size, wall(now))
        case ("answer_here", name):
            asked = (await outbox.get(name)).message
            await outbox.answer_here(name, Reply("done", "x", 95), wall(now), asked=asked)
        case ("cancel" | "retry" as verb, name):
            await getattr(outbox, verb)(name, wall(now))
        case (verb, later):
            await getattr(outbox, verb)(wall(now + later))


@given(OPERATIONS, st.booleans())
@settings(max_examples=60, deadline=None)
def test_the_tally_is_a_real_count_after_whatever_happens(
    operations: list[tuple[Any, ...]],
    keeps_text: bool,
) -> None:
    async def run(path: Path) -> None:
        async with asyncio.timeout(60), Database(path) as database:
            outbox = Outbox(database, SMALL, keeps_text=keeps_text)
            for now, operation in enumerate(operations):
                # Refused, unknown, or (an id that is taken) not to be stored: nothing may have changed.
                with contextlib.suppress(OmniidError):
                    await operate(outbox, operation, float(now))
                real, room_taken = await database.run(counted)
                assert await database.run(tally_of) == real
                assert await outbox.counts() == {State(key): number for key, (number, _) in real.items()}
                assert room_taken <= SMALL.max_commands

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder, "omniid.db")))


def _can_mount() -> bool:
    if sys.platform != "linux" or os.getuid() != 0 or shutil.which("unshare") is None:
        return False
    trial = ["unshare", "--mount", "--propagation", "private", "true"]
    return subprocess.run(trial, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _can_mount(), reason="needs root and mount namespaces")
def test_a_full_disk_refuses_and_works_again_when_there_is_space(tmp_path: Path) -> None:
    child = ["unshare", "--mount", "--propagation", "private"]
    child += [sys.executable, str(SUPPORT / "full_disk.py"), str(tmp_path)]

    ended = subprocess.run(child, env=CHILD_ENV, capture_output=True, text=True, timeout=60, check=False)

    assert ended.returncode == 0, ended.stderr


def test_nothing_acknowledged_is_lost_when_the_process_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "omniid.db"
    acknowledged: set[str] = set()
    for kill in range(20):
        child = subprocess.Popen(
            [sys.executable, str(SUPPORT / "outbox_writer.py"), str(path)],
            env=CHILD_ENV,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert child.stdout is not None
        with child.stdout:
            for _ in range(1 + kill):
                acknowledged.add(child.stdout.readline().strip())
            child.send_signal(signal.SIGKILL)
            whole = child.stdout.read().rpartition("\n")[0]
            acknowledged.update(whole.splitlines())
            child.wait()
    assert len(acknowledged) >= 20
    assert "" not in acknowledged

    assert acknowledged <= ids(path)


# --- the lock -----------------------------------------------------------------------------------------------

HOLDER = """
import pathlib, sys, time
from omniid.storage.owner_lock import OwnerLock
lock = OwnerLock(pathlib.Path(sys.argv[1]))
print("held", flush=True)
time.sleep(600)
"""


def test_a_lock_names_its_holder_and_goes_with_it(tmp_path: Path) -> None:
    path = tmp_path / "omniid.lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)], env=CHILD_ENV, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    with holder.stdout:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(AlreadyRunningError, match=rf"pid {holder.pid}\b"):
            OwnerLock(path)
        holder.kill()
        holder.wait()

    lock = OwnerLock(path)
    assert path.read_text() == str(os.getpid())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    lock.release()


def test_a_lock_that_was_released_can_be_taken_again(tmp_path: Path) -> None:
    path = tmp_path / "omniid.lock"
    first = OwnerLock(path)
    with pytest.raises(AlreadyRunningError, match=str(os.getpid())):
        OwnerLock(path)
    first.release()

    OwnerLock(path).release()
