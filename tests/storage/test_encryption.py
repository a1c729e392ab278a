"""The file at rest: encrypted whole, made over in either direction, and never lost over a key."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2 as sqlcipher
from support import moments
from support.moments import wall

from omniid.errors import EXIT_CONFIG, StorageError
from omniid.storage import encryption
from omniid.storage.database import Database
from omniid.storage.history import History
from omniid.storage.messages import HistoryMessage
from omniid.storage.outbox import Limits, NewCommand, Outbox

KEY = bytes(range(32))
OTHER_KEY = bytes(reversed(range(32)))
LIMITS = Limits(600, 86_400, 1_000_000, 1_000_000_000)
SUPPORT = Path(moments.__file__).parent
CHILD_ENV = {
    **os.environ,
    "PYTHONPATH": os.pathsep.join([str(SUPPORT.parent), str(SUPPORT.parent.parent)]),
}
SECRET = "zebrafish"


async def fill(database: Database, count: int = 50) -> None:
    outbox, history = Outbox(database, LIMITS), History(database)
    for number in range(count):
        await outbox.add(NewCommand(f"c{number}", "text", f"{SECRET} {number}", {}), wall(number))
        await history.add(HistoryMessage(f"m{number}", wall(number), "user", "command", f"{SECRET} {number}"))


async def content(database: Database) -> tuple[list[str], list[str], list[str]]:
    """The commands, the messages, and those of them that the search index finds."""
    outbox, history = Outbox(database, LIMITS), History(database)
    commands = [command.id for command in await outbox.list(ended=True)]
    messages = [stored.message.id for stored in (await history.page(500)).messages]
    found = [stored.message.id for stored in (await history.page(500, query=SECRET[:5])).messages]
    return commands, messages, found


def made(path: Path, key: bytes | None = None, *, encrypted: bool = True, count: int = 50) -> None:
    async def run() -> None:
        async with asyncio.timeout(60), Database(path, key, encrypted=encrypted) as database:
            await fill(database, count)

    asyncio.run(run())


def opened(
    path: Path, key: bytes | None = None, *, encrypted: bool = True
) -> tuple[list[str], list[str], list[str]]:
    async def run() -> tuple[list[str], list[str], list[str]]:
        async with asyncio.timeout(60), Database(path, key, encrypted=encrypted) as database:
            assert database.set_aside is None
            return await content(database)

    return asyncio.run(run())


WHOLE = (
    [f"c{number}" for number in range(50)],
    [f"m{number}" for number in reversed(range(50))],
    [f"m{number}" for number in reversed(range(50))],
)


def on_disk(folder: Path) -> bytes:
    return b"".join(part.read_bytes() for part in folder.iterdir())


def modes(folder: Path) -> set[int]:
    return {stat.S_IMODE(part.stat().st_mode) for part in folder.iterdir()}


def test_nothing_on_disk_can_be_read_while_omniid_runs_nor_after(tmp_path: Path) -> None:
    path = tmp_path / "omniid.db"

    async def run() -> None:
        async with asyncio.timeout(60), Database(path, KEY) as database:
            await fill(database)
            assert path.with_name("omniid.db-wal").stat().st_size > 0
            assert SECRET.encode() not in on_disk(tmp_path)
            assert modes(tmp_path) == {0o600}

    asyncio.run(run())

    assert SECRET.encode() not in on_disk(tmp_path)
    assert b"SQLite" not in on_disk(tmp_path)
    assert opened(path, KEY) == WHOLE


def test_a_plain_file_is_made_over_once_and_back_again(tmp_path: Path) -> None:
    path = tmp_path / "omniid.db"
    made(path)
    assert SECRET.encode() in on_disk(tmp_path)

    assert opened(path, KEY) == WHOLE
    assert SECRET.encode() not in on_disk(tmp_path)
    encrypted = path.read_bytes()[:16]
    assert opened(path, KEY) == WHOLE
    assert path.read_bytes()[:16] == encrypted  # its salt: it was not made over a second time

    assert opened(path, KEY, encrypted=False) == WHOLE
    assert opened(path) == WHOLE
    assert path.read_bytes().startswith(b"SQLite format 3")
    assert [part.name for part in tmp_path.iterdir()] == ["omniid.db"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_that_was_made_over_works_on_as_any_other(tmp_path: Path) -> None:
    path, fresh = tmp_path / "omniid.db", tmp_path / "fresh" / "omniid.db"
    made(path)
    made(fresh, KEY, count=0)
    opened(path, KEY)

    async def run() -> None:
        async with asyncio.timeout(60), Database(path, KEY) as database:
            history = History(database)
            await history.add(HistoryMessage("new", wall(), "user", "command", "a fresh word"))
            assert [stored.message.id for stored in (await history.page(5, query="fresh")).messages] == [
                "new"
            ]
            assert (await history.page(1)).messages[0].number == 51
            assert await history.clear() == 51
            assert (await history.page(5, query="fresh")).messages == []

    asyncio.run(run())
    assert schema_of(path) == schema_of(fresh)


def schema_of(path: Path) -> tuple[int, list[tuple[str, str]]]:
    connection = encryption.encrypted(KEY).connect(path)
    try:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        rows = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        return version, [(row["name"], row["sql"]) for row in rows]
    finally:
        connection.close()


def test_a_file_in_the_middle_of_its_log_is_made_over_with_all_that_is_in_it(tmp_path: Path) -> None:
    path, copy = tmp_path / "omniid.db", tmp_path / "copy"
    copy.mkdir()

    async def run() -> None:
        async with asyncio.timeout(60), Database(path) as database:
            await fill(database)
            for part in ("", "-wal"):  # as a killed process leaves them
                (copy / f"omniid.db{part}").write_bytes(path.with_name(f"omniid.db{part}").read_bytes())

    asyncio.run(run())
    assert (copy / "omniid.db-wal").stat().st_size > 0

    assert opened(copy / "omniid.db", KEY) == WHOLE
    assert SECRET.encode() not in on_disk(copy)


# --- keys ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "code"),
    [(OTHER_KEY, "wrong_key"), (b"short", "wrong_key"), (None, "key_missing")],
    ids=["another", "no key of ours", "none"],
)
@pytest.mark.parametrize("encrypted", [True, False])
def test_a_key_that_does_not_fit_is_told_and_nothing_is_touched(
    tmp_path: Path, key: bytes | None, code: str, *, encrypted: bool
) -> None:
    path = tmp_path / "omniid.db"
    made(path, KEY)
    before = path.read_bytes()

    with pytest.raises(StorageError) as told:
        opened(path, key, encrypted=encrypted)

    assert told.value.code == code
    assert told.value.exit_code == EXIT_CONFIG
    assert str(path) in told.value.message or "keyring" in told.value.message
    assert path.read_bytes() == before
    assert [part.name for part in tmp_path.iterdir()] == ["omniid.db"]
    assert opened(path, KEY) == WHOLE


def killed(tmp_path: Path) -> Path:
    """An encrypted file whose log was not written back, as a killed process leaves it."""
    path, copy = tmp_path / "omniid.db", tmp_path / "copy"
    copy.mkdir()

    async def run() -> None:
        async with asyncio.timeout(60), Database(path, KEY) as database:
            await fill(database)
            for part in ("", "-wal"):
                (copy / f"omniid.db{part}").write_bytes(path.with_name(f"omniid.db{part}").read_bytes())

    asyncio.run(run())
    return copy / "omniid.db"


@pytest.mark.parametrize("encrypted", [True, False])
def test_a_key_that_does_not_fit_leaves_the_log_of_a_killed_process_as_it_is(
    tmp_path: Path, *, encrypted: bool
) -> None:
    path = killed(tmp_path)
    log = path.with_name("omniid.db-wal")
    before = path.read_bytes(), log.read_bytes()

    with pytest.raises(StorageError) as told:
        opened(path, OTHER_KEY, encrypted=encrypted)

    assert told.value.code == "wrong_key"
    assert (path.read_bytes(), log.read_bytes()) == before
    assert opened(path, KEY, encrypted=encrypted) == WHOLE


def test_a_first_page_that_is_only_whole_in_the_log_is_no_wrong_key(tmp_path: Path) -> None:
    path = killed(tmp_path)
    raw = path.read_bytes()
    path.write_bytes(raw[:100] + os.urandom(20) + raw[120:])  # a power cut while the log was written back
    assert opened(path, KEY) == WHOLE


def test_no_error_holds_a_part_of_the_key(tmp_path: Path) -> None:
    path = tmp_path / "omniid.db"
    made(path, KEY)

    with pytest.raises(StorageError) as told:
        opened(path, OTHER_KEY)

    shown = f"{told.value!r} {told.value.__cause__!r} {encryption.encrypted(OTHER_KEY)!r}"
    assert OTHER_KEY.hex()[:8] not in shown
    assert repr(OTHER_KEY)[2:14] not in shown


def test_without_sqlcipher_the_remedy_is_named_and_the_plain_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "omniid.db"
    made(path)
    before = path.read_bytes()
    monkeypatch.setitem(sys.modules, "sqlcipher3.dbapi2", None)

    with pytest.raises(StorageError, match=r"pip install 'omniid\[encrypted\]'") as told:
        opened(path, KEY)

    assert told.value.code == "encryption_missing"
    assert told.value.exit_code == EXIT_CONFIG
    assert path.read_bytes() == before
    assert opened(path) == WHOLE


def _flip_in_the_middle(raw: bytes) -> bytes:
    return raw[:40_000] + os.urandom(20) + raw[40_020:]


@pytest.mark.parametrize(
    ("harm", "code"),
    [
        (_flip_in_the_middle, None),
        (lambda raw: raw[:100] + os.urandom(20) + raw[120:], "wrong_key"),
        (lambda _: b"This is my shopping list.\n" * 1_000, None),
        (lambda raw: bytes(len(raw)), None),
    ],
    ids=["one page", "the first page", "another file", "zeros"],
)
def test_a_damaged_file_is_set_aside_where_the_key_fits(
    tmp_path: Path, harm: Callable[[bytes], bytes], code: str | None
) -> None:
    path = tmp_path / "omniid.db"
    made(path, KEY)
    harmed = harm(path.read_bytes())
    path.write_bytes(harmed)

    async def run() -> Path | None:
        async with asyncio.timeout(60), Database(path, KEY) as database:
            await fill(database, 1)
            return database.set_aside

    if code is not None:
        with pytest.raises(StorageError) as told:
            asyncio.run(run())
        assert told.value.code == code
        assert path.read_bytes() == harmed
    else:
        aside = asyncio.run(run())
        assert aside is not None
        assert aside.read_bytes() == harmed
        assert encryption.looks_encrypted(path)
        assert opened(path, KEY)[0] == ["c0"]


def test_the_whole_log_is_one_file_with_the_outbox(tmp_path: Path) -> None:
    path = tmp_path / "omniid.db"
    made(path, KEY)

    with pytest.raises(sqlite3.DatabaseError, match="not a database"):
        sqlite3.connect(path).execute("SELECT * FROM commands")
    connection = sqlcipher.connect(str(path))
    connection.execute(f"PRAGMA key=\"x'{KEY.hex()}'\"")
    assert connection.execute("SELECT count(*) FROM commands").fetchone()[0] == 50
    connection.close()


READER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN")
connection.execute("SELECT count(*) FROM commands").fetchone()
print("reading", flush=True)
sys.stdin.read()
"""


def test_a_file_that_another_program_has_open_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "omniid.db"
    made(path)
    # Another process: the two libraries in this one would not see each other's locks.
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert reader.stdout is not None
    assert reader.stdin is not None
    with reader.stdin, reader.stdout:
        assert reader.stdout.readline() == b"reading\n"
        with pytest.raises(StorageError, match=r"locked|another program"):
            opened(path, KEY)
    reader.wait(60)

    assert path.read_bytes().startswith(b"SQLite format 3")
    assert opened(path) == WHOLE
    assert [part.name for part in tmp_path.iterdir() if ".unfinished" in part.name] == []


# --- cut short ----------------------------------------------------------------------------------------------


def child(path: Path, way: str, step: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, str(SUPPORT / "history_writer.py"), str(path), KEY.hex(), way, str(step)]
    return subprocess.Popen(command, env=CHILD_ENV)


@pytest.mark.parametrize("way", ["encrypt", "decrypt"])
def test_killed_before_any_step_of_the_way_nothing_is_lost(tmp_path: Path, way: str) -> None:
    path = tmp_path / "omniid.db"
    made(path, KEY if way == "decrypt" else None)
    original = path.read_bytes()
    killed = 0
    for step in range(1, 100):
        path.write_bytes(original)
        if child(path, way, step).wait(60) == 0:
            break
        killed += 1
        seen_whole = encryption.looks_encrypted(path)
        assert opened(path, KEY, encrypted=seen_whole) == WHOLE, step
        assert opened(path, KEY, encrypted=way == "encrypt") == WHOLE, step
        assert [part.name for part in tmp_path.iterdir()] == ["omniid.db"]
    else:
        pytest.fail("it never came to its end")
    assert killed >= 6


def test_killed_at_any_moment_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "omniid.db"
    made(path)
    original = path.read_bytes()
    began = time.monotonic()
    assert child(path, "encrypt", 0).wait(60) == 0
    took_s = time.monotonic() - began
    for kill in range(12):
        path.write_bytes(original)
        process = child(path, "encrypt", 0)
        # The moments are spread over the whole way; whichever it meets, nothing may be lost.
        try:
            process.wait(took_s * (0.4 + kill / 16))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
        process.wait(60)
        assert opened(path, KEY) == WHOLE
        assert [part.name for part in tmp_path.iterdir()] == ["omniid.db"]


def test_a_full_disk_leaves_the_file_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "omniid.db"
    made(path)
    real = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if self.name.endswith(".unfinished"):
            raise OSError(28, "No space left on device")
        return real(self, target)

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(StorageError, match="No space left"):
        opened(path, KEY)
    monkeypatch.undo()

    assert [part.name for part in tmp_path.iterdir()] == ["omniid.db"]
    assert opened(path) == WHOLE
    assert opened(path, KEY) == WHOLE


@pytest.mark.parametrize(
    ("content_", "expected"),
    [
        (b"", False),
        (b"short", False),
        (b"SQLite format 3\x00" + os.urandom(8_000), False),
        (bytes(8_192), False),
        (b"text " * 2_000, False),
        (os.urandom(8_192), True),
        (os.urandom(2_000), False),
    ],
    ids=["empty", "short", "plain", "zeros", "text", "random", "less than a page"],
)
def test_what_looks_encrypted(tmp_path: Path, content_: bytes, *, expected: bool) -> None:
    path = tmp_path / "file"
    path.write_bytes(content_)

    assert encryption.looks_encrypted(path) is expected
    assert encryption.looks_encrypted(tmp_path / "none") is False
