"""The SQLite file under every kind of harm."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support import moments

from omniid.errors import AlreadyRunningError, StorageError
from omniid.storage.database import Database
from omniid.storage.outbox import Limits, NewCommand, Outbox
from omniid.storage.owner_lock import OwnerLock

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
                await outbox.add(NewCommand(command_id, "text", "x" * 500, {}), moments.wall())
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
                await Outbox(database, LIMITS).add(NewCommand("c", "text", "x", {}), moments.wall())
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


def test_a_newer_schema_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "omniid.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE later (x)")
    connection.execute("PRAGMA user_version=99")
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
                task = group.create_task(outbox.add(new, moments.wall()))
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
            await outbox.add(NewCommand("c1", "text", "x", {}), moments.wall())
            with pytest.raises(StorageError, match="broken in the middle"):
                await database.run(half_done)
            assert (await outbox.get("c1")).id == "c1"

    asyncio.run(run())


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
