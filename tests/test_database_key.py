"""The database's key: made once, kept before it is used, asked for only where it is needed."""

from __future__ import annotations

import asyncio
import gc
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from support.keyring_daemon import KeyringDaemon, keyring_daemon

from omniid import database_key
from omniid.errors import EXIT_CONFIG, EXIT_FAILED, StorageError
from omniid.storage.database import Database

__all__ = ["keyring_daemon"]

WITHIN_S = 120.0
# The library leaves its connection to the garbage collector where the keyring refuses, hangs or is not there.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
OTHER_KEY = bytes(reversed(range(32)))


def find(path: Path, *, encrypted: bool = True, makes: bool = True) -> bytes | None:
    async def run() -> bytes | None:
        async with asyncio.timeout(WITHIN_S):
            return await database_key.find(path, encrypted=encrypted, makes=makes)

    return asyncio.run(run())


def opened(path: Path, *, encrypted: bool = True) -> None:
    async def run() -> None:
        async with asyncio.timeout(WITHIN_S), database_key.opened(path, encrypted=encrypted) as database:
            assert database.set_aside is None

    asyncio.run(run())


def made(path: Path, key: bytes | None) -> bytes:
    """A database; its bytes."""

    async def run() -> None:
        async with asyncio.timeout(WITHIN_S), Database(path, key):
            pass

    asyncio.run(run())
    return path.read_bytes()


def in_keyring(work: str, *more: str) -> str:
    """What another program does with the keyring; what it prints."""
    lines = f"import keyring, sys\naccount = ('omniid', 'omniid.database')\n{work}"
    done = subprocess.run(
        [sys.executable, "-c", lines, *more], capture_output=True, text=True, timeout=WITHIN_S, check=True
    )
    return done.stdout.strip()


def kept() -> str:
    return in_keyring("print(keyring.get_password(*account))")


def put(word: str) -> None:
    in_keyring("keyring.set_password(*account, sys.argv[1])", word)


def problem(ask: Callable[[], object], path: Path) -> StorageError:
    """The error that this raises; the file is as it was, and nothing is told of any key."""
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(StorageError) as raised:
        ask()
    gc.collect()
    told = "".join(traceback.format_exception(raised.value)) + repr(raised.value)
    assert OTHER_KEY.hex()[:8] not in told
    assert (path.read_bytes() if path.exists() else None) == before
    return raised.value


def test_a_key_is_made_once_and_is_in_the_keyring(tmp_path: Path, keyring_daemon: KeyringDaemon) -> None:
    keyring_daemon.unlock()
    key = find(tmp_path / "omniid.db")
    assert key is not None
    assert len(key) == 32
    assert kept() == key.hex()
    assert find(tmp_path / "omniid.db") == key
    assert find(tmp_path / "of another folder.db") == key


def test_looking_makes_no_key(tmp_path: Path, keyring_daemon: KeyringDaemon) -> None:
    keyring_daemon.unlock()
    assert find(tmp_path / "omniid.db", makes=False) is None
    assert kept() == "None"


def test_a_plain_file_that_is_to_stay_so_never_asks_the_keyring(
    tmp_path: Path, keyring_daemon: KeyringDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring_daemon.unlock()
    keyring_daemon.hang()  # whoever asks it waits
    monkeypatch.setattr(database_key, "PERSON_WITHIN_S", 0.3)
    path = tmp_path / "omniid.db"
    opened(path, encrypted=False)
    opened(path, encrypted=False)
    assert path.read_bytes().startswith(b"SQLite format 3")
    assert problem(lambda: opened(path), path).code == "keyring_locked"  # so does the test see an asker
    keyring_daemon.resume()


def test_two_daemons_that_start_at_once_share_one_key(tmp_path: Path, keyring_daemon: KeyringDaemon) -> None:
    keyring_daemon.unlock()
    lines = (
        "import asyncio, sys; from pathlib import Path; from omniid import database_key\n"
        "import keyring; keyring.get_password('omniid', 'nobody')\n"
        "print('here', flush=True); sys.stdin.readline()\n"
        "print(asyncio.run(database_key.find(Path(sys.argv[1]), encrypted=True)).hex())\n"
    )
    starting = [
        subprocess.Popen(
            [sys.executable, "-c", lines, str(tmp_path / f"{number}.db")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(4)
    ]
    for process in starting:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
    for process in starting:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    keys = {process.communicate(timeout=WITHIN_S)[0].strip() for process in starting}
    assert keys == {kept()}


def test_of_two_that_make_a_key_one_waits_for_the_other(
    tmp_path: Path, keyring_daemon: KeyringDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring_daemon.unlock()
    monkeypatch.setattr(database_key, "PERSON_WITHIN_S", 0.5)
    with database_key._alone(database_key._lock()):
        assert problem(lambda: find(tmp_path / "omniid.db"), tmp_path / "omniid.db").code == "keyring_locked"
        assert kept() == "None"
    monkeypatch.setattr(database_key, "PERSON_WITHIN_S", WITHIN_S)
    assert find(tmp_path / "omniid.db") is not None


# What goes wrong


@pytest.mark.parametrize("is_sealed", [True, False], ids=["encrypted", "plain"])
def test_a_locked_keyring_is_told_and_may_be_asked_again(
    tmp_path: Path, keyring_daemon: KeyringDaemon, *, is_sealed: bool
) -> None:
    path = tmp_path / "omniid.db"
    keyring_daemon.unlock()
    put(OTHER_KEY.hex())
    made(path, OTHER_KEY if is_sealed else None)
    keyring_daemon.lock()

    error = problem(lambda: opened(path), path)

    assert error.code == "keyring_locked"
    assert error.exit_code == EXIT_FAILED
    assert "The keyring is locked. Unlock it and try again" in error.message
    assert ("history.encrypted = false" in error.message) is not is_sealed
    keyring_daemon.unlock()
    opened(path)
    assert database_key.is_encrypted(path)


def test_a_keyring_that_does_not_answer_is_told_in_time(
    tmp_path: Path, keyring_daemon: KeyringDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_key, "PERSON_WITHIN_S", 0.3)
    keyring_daemon.unlock()
    keyring_daemon.hang()
    path = tmp_path / "omniid.db"
    error = problem(lambda: opened(path), path)
    assert (error.code, error.exit_code) == ("keyring_locked", EXIT_FAILED)
    assert "did not answer within" in error.message
    keyring_daemon.resume()
    assert not path.exists()


def test_a_service_that_waited_long_enough_says_why_it_ends(
    tmp_path: Path, keyring_daemon: KeyringDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_key, "OPENS_WITHIN_S", 0.1)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    keyring_daemon.unlock()
    keyring_daemon.lock()
    path = tmp_path / "omniid.db"
    assert problem(lambda: opened(path), path).code == "keyring_locked"


@pytest.mark.parametrize("is_sealed", [True, False], ids=["encrypted", "plain"])
def test_no_keyring_is_told_with_the_package(
    tmp_path: Path, keyring_daemon: KeyringDaemon, *, is_sealed: bool
) -> None:
    keyring_daemon.kill()
    path = tmp_path / "omniid.db"
    made(path, OTHER_KEY if is_sealed else None)
    error = problem(lambda: opened(path), path)
    assert (error.code, error.exit_code) == ("no_keyring", EXIT_FAILED)
    assert "gnome-keyring" in error.message
    assert ("history.encrypted = false" in error.message) is not is_sealed


@pytest.mark.parametrize("encrypted", [True, False])
def test_a_lost_key_is_never_made_anew(
    tmp_path: Path, keyring_daemon: KeyringDaemon, *, encrypted: bool
) -> None:
    keyring_daemon.unlock()
    folder = tmp_path / "a folder"
    folder.mkdir()
    path = folder / "omniid.db"
    before = made(path, OTHER_KEY)

    error = problem(lambda: opened(path, encrypted=encrypted), path)

    assert (error.code, error.exit_code) == ("key_missing", EXIT_CONFIG)
    assert kept() == "None"
    # What the error says to do is done as it stands there.
    command = error.message.split("`")[1]
    subprocess.run(["/bin/sh", "-ec", command], check=True, timeout=WITHIN_S)
    assert (folder / "unreadable" / "omniid.db").read_bytes() == before
    opened(path)
    assert database_key.is_encrypted(path)
    assert kept() != "None"


@pytest.mark.parametrize("encrypted", [True, False])
def test_the_key_of_another_file_is_told(
    tmp_path: Path, keyring_daemon: KeyringDaemon, *, encrypted: bool
) -> None:
    keyring_daemon.unlock()
    path = tmp_path / "omniid.db"
    made(path, OTHER_KEY)
    put(bytes(32).hex())
    error = problem(lambda: opened(path, encrypted=encrypted), path)
    assert (error.code, error.exit_code) == ("wrong_key", EXIT_CONFIG)
    assert str(path) in error.message
    assert "mkdir" in error.message
    assert kept() == bytes(32).hex()


@pytest.mark.parametrize("word", [f"{OTHER_KEY.hex()}00", OTHER_KEY.hex()[:-2], "z" * 64])
@pytest.mark.parametrize("is_sealed", [True, False], ids=["encrypted", "plain"])
def test_an_entry_that_is_no_key_is_told_and_left(
    tmp_path: Path, keyring_daemon: KeyringDaemon, word: str, *, is_sealed: bool
) -> None:
    keyring_daemon.unlock()
    path = tmp_path / "omniid.db"
    made(path, OTHER_KEY if is_sealed else None)
    put(word)
    error = problem(lambda: opened(path), path)
    assert (error.code, error.exit_code) == ("wrong_key", EXIT_CONFIG)
    assert kept() == word


def test_a_keyring_that_keeps_nothing_encrypts_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    path = tmp_path / "omniid.db"
    made(path, None)
    error = problem(lambda: opened(path), path)
    assert (error.code, error.exit_code) == ("keyring_failed", EXIT_FAILED)
    assert "does not keep it" in error.message


def test_without_sqlcipher_no_key_is_asked_for(
    tmp_path: Path, keyring_daemon: KeyringDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    keyring_daemon.unlock()
    path = tmp_path / "omniid.db"
    made(path, None)
    monkeypatch.setitem(sys.modules, "sqlcipher3.dbapi2", None)
    error = problem(lambda: opened(path), path)
    assert (error.code, error.exit_code) == ("encryption_missing", EXIT_CONFIG)
    assert "pip install 'omniid[encrypted]'" in error.message
    assert kept() == "None"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be read"):
        database_key.is_encrypted(tmp_path)
