from __future__ import annotations

import asyncio
import gc
import logging
import os
import shlex
import signal
import stat
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr
from support.flow import is_alive
from support.keyring_daemon import KeyringDaemon, keyring_daemon
from support.line_kill import killed_before_each_line

from omniid import credentials
from omniid.credentials import (
    Credentials,
    CredentialsError,
    Origin,
    Sources,
    Token,
    fit,
    forget,
    store_in_file,
    store_in_keyring,
)

__all__ = ["keyring_daemon"]

WITHIN_S = 60.0
ACCOUNT = "alice@assistant.example"
SECRET = "Zq7-wX9.kP3_vB8"
ORDER: tuple[Origin, ...] = ("token_command", "configuration", "systemd credential", "keyring", "token file")
# The library leaves its connection to the garbage collector where the keyring refuses or dies.
LEAKY = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")
AS_ROOT = pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")


@pytest.fixture(autouse=True)
def _nothing_of_this_machines_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent")
    monkeypatch.delenv("PYTHON_KEYRING_BACKEND", raising=False)


def sources(folder: Path, *, command: str | None = None, configured: str | None = None) -> Sources:
    token = None if configured is None else SecretStr(configured)
    return Sources(token_command=command, configured=token, account=ACCOUNT, token_file=folder / "token")


def script(folder: Path, *lines: str) -> str:
    """A command that runs these lines."""
    path = folder / "a command.sh"
    path.write_text("\n".join(("#!/bin/sh", *lines)) + "\n")
    path.chmod(0o700)
    return shlex.quote(str(path))


def find(where: Sources, *, again: bool = False) -> Token | None:
    return asyncio.run(asyncio.wait_for(Credentials(where).find(again=again), WITHIN_S))


def problem(ask: Callable[[], object]) -> CredentialsError:
    """The error that this raises, once it is sure that it tells nothing of the token."""
    with pytest.raises(CredentialsError) as raised:
        ask()
    told = "".join(traceback.format_exception(raised.value))
    for piece in (SECRET, SECRET[:6], SECRET[-6:]):
        assert piece not in told + repr(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None
    assert raised.value.exit_code == 4
    return raised.value


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


# The token


@pytest.mark.parametrize("given_", ["abc", " abc\n", "a.b-c_d~e+f/g=", "!", "x" * 8_000])
def test_one_word_is_a_token(given_: str) -> None:
    assert fit(given_) == given_.strip()


@pytest.mark.parametrize(
    "given_", ["", " \n", "two words", "two\nlines", "tab\tbed", "caf\u00e9", "nul\0", "\x7f", "x" * 70_000]
)
def test_all_else_is_none(given_: str) -> None:
    assert fit(given_) is None


@given(st.text())
def test_what_fits_can_stand_in_a_header(given_: str) -> None:
    word = fit(given_)
    if word is not None:
        assert all("!" <= character <= "~" for character in word)
        assert fit(word) == word


def test_the_token_is_in_no_repr(tmp_path: Path) -> None:
    where = sources(tmp_path, command=f"echo {SECRET}", configured=SECRET)
    assert SECRET not in repr(where)
    assert SECRET not in repr(find(where))
    assert SECRET not in repr(Token(SECRET, "keyring"))


def test_finding_logs_nothing_of_the_token(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    store_in_file(tmp_path / "token", SECRET)
    assert find(sources(tmp_path)) == Token(SECRET, "token file")
    assert find(sources(tmp_path, command=script(tmp_path, f"echo {SECRET}; echo {SECRET} >&2"))) is not None
    assert SECRET not in caplog.text


# Their order


def give(origin: Origin, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have one of the sources outside of the settings hold a token that names it."""
    secret = origin.replace(" ", "-")
    match origin:
        case "systemd credential":
            (folder / "omniid.token").write_text(secret)
            monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
        case "keyring":
            store_in_keyring(ACCOUNT, secret)
        case "token file":
            store_in_file(folder / "token", secret)
        case _:
            pass


@pytest.mark.parametrize(
    "there",
    [*(ORDER[start:] for start in range(len(ORDER))), *((origin,) for origin in ORDER[:-1]), ()],
    ids=lambda there: "+".join(there) or "none",
)
def test_the_first_source_that_has_a_token_serves(
    there: tuple[Origin, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    keyring_daemon: KeyringDaemon,
) -> None:
    keyring_daemon.unlock()
    for origin in there:
        give(origin, tmp_path, monkeypatch)
    where = sources(
        tmp_path,
        command="echo token_command" if "token_command" in there else None,
        configured="configuration" if "configuration" in there else None,
    )
    expected = Token(there[0].replace(" ", "-"), there[0]) if there else None
    assert find(where) == expected


def test_a_source_that_fails_is_not_passed_over(tmp_path: Path) -> None:
    store_in_file(tmp_path / "token", SECRET)
    assert "backend.token_command" in problem(lambda: find(sources(tmp_path, command="false"))).message


def test_a_configured_token_that_is_none_is_told(tmp_path: Path) -> None:
    where = sources(tmp_path, configured=f"Bearer {SECRET}")
    assert "OMNIID_TOKEN" in problem(lambda: find(where)).message


# The command


def test_the_command_runs_once_and_again_only_when_asked_to(tmp_path: Path) -> None:
    runs = tmp_path / "runs"
    command = script(tmp_path, f"echo run >> {runs}", f"echo token-$(wc -l < {runs})")

    async def reconnect() -> list[Token | None]:
        asked = Credentials(sources(tmp_path, command=command))
        return [await asked.find(again=again) for again in (False, False, True, False)]

    found = asyncio.run(reconnect())
    assert [token.secret for token in found if token] == ["token-1", "token-1", "token-2", "token-2"]
    assert runs.read_text().count("run") == 2


def test_a_refused_token_is_not_used_again_when_the_command_then_fails(tmp_path: Path) -> None:
    ran = tmp_path / "ran"
    command = script(tmp_path, f"[ ! -e {ran} ] || exit 1", f"touch {ran}", f"echo {SECRET}")

    async def reconnect() -> None:
        asked = Credentials(sources(tmp_path, command=command))
        assert await asked.find() == Token(SECRET, "token_command")
        for again in (True, False):
            with pytest.raises(CredentialsError, match="exit code 1"):
                await asked.find(again=again)

    asyncio.run(reconnect())


def test_the_command_gets_no_shell_and_a_session_of_its_own(tmp_path: Path) -> None:
    assert find(sources(tmp_path, command="printf %s '$HOME'")) == Token("$HOME", "token_command")
    command = shlex.join([sys.executable, "-c", "import os; print(os.getsid(0) == os.getpid())"])
    assert find(sources(tmp_path, command=command)) == Token("True", "token_command")


def test_the_command_gets_no_input_and_its_errors_are_not_shown(tmp_path: Path) -> None:
    command = script(tmp_path, "cat", f"echo {SECRET} | tee /dev/stderr")
    ask = (
        "import asyncio, sys; from pathlib import Path\n"
        "from omniid.credentials import Credentials, Sources\n"
        "print(asyncio.run(Credentials(Sources(sys.argv[1], None, 'a', Path('/nonexistent'))).find()))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", ask, command],
        input="what is typed to omniid\n",
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("Token(origin='token_command')\n", "")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ((f"echo {SECRET}", f"echo {SECRET} >&2", "exit 3"), "exit code 3"),
        ((f"echo {SECRET}", "kill -9 $$"), "signal 9"),
        (("true",), "holds no token"),
        ((f"echo {SECRET} {SECRET}",), "holds no token"),
        ((f"echo {SECRET}", "echo more"), "holds no token"),
        ((f"printf '{SECRET}\\303\\251'",), "holds no token"),
        ((f"printf '{SECRET}\\377'",), "holds no token"),
        ((f"printf '{SECRET}\\033[0m'",), "holds no token"),
    ],
)
def test_a_command_that_gives_no_token_is_told_without_its_words(
    lines: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    error = problem(lambda: find(sources(tmp_path, command=script(tmp_path, *lines))))
    assert "backend.token_command" in error.message
    assert words in error.message
    assert error.code == "credentials_failed"


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (SECRET, "No such file"),
        (f"/nonexistent/{SECRET}", "No such file"),
        (f"/{SECRET}\0", "no command"),
        (f"echo '{SECRET}", "quotation"),
        ("  ", "no command"),
        ("/dev/null", "Permission denied"),
    ],
)
def test_a_command_that_cannot_start_is_told_without_its_name(
    command: str, words: str, tmp_path: Path
) -> None:
    # People put the token itself where the command belongs.
    error = problem(lambda: find(sources(tmp_path, command=command)))
    assert "backend.token_command" in error.message
    assert words in error.message


def test_a_command_that_never_ends_is_killed_with_all_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pids = tmp_path / "pids"
    lines = (f"echo {SECRET}", "sleep 600 &", f"echo $$ $! > {pids}", "wait")
    monkeypatch.setattr(credentials, "COMMAND_WITHIN_S", 3.0)
    error = problem(lambda: find(sources(tmp_path, command=script(tmp_path, *lines))))
    assert "within 3 s" in error.message
    until(lambda: not any(is_alive(int(pid)) for pid in pids.read_text().split()))


def test_a_command_leaves_nothing_behind_when_nobody_waits_any_more(tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    lines = ("sleep 600 &", f"echo $$ $! > {pids}.new", f"mv {pids}.new {pids}", "wait")
    command = script(tmp_path, *lines)

    async def leave() -> None:
        async with asyncio.timeout(WITHIN_S), asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(Credentials(sources(tmp_path, command=command)).find())
            await asyncio.to_thread(until, pids.exists)
            asking.cancel()

    asyncio.run(leave())
    until(lambda: not any(is_alive(int(pid)) for pid in pids.read_text().split()))


def test_a_helper_that_the_command_leaves_running_does_not_hold_its_token_up(tmp_path: Path) -> None:
    helper = tmp_path / "helper"
    command = script(tmp_path, f"echo {SECRET}", "sleep 600 &", f"echo $! > {helper}")
    try:
        assert find(sources(tmp_path, command=command)) == Token(SECRET, "token_command")
        assert is_alive(int(helper.read_text()))
    finally:
        os.kill(int(helper.read_text()), signal.SIGKILL)


def test_a_command_that_prints_without_end_does_not_fill_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "COMMAND_WITHIN_S", 1.0)
    assert "within 1 s" in problem(lambda: find(sources(tmp_path, command=f"yes {SECRET}"))).message


# systemd


def test_a_systemd_credential_may_be_readable_as_systemd_made_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "omniid.token").write_text(SECRET + "\n")
    (tmp_path / "omniid.token").chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert find(sources(tmp_path)) == Token(SECRET, "systemd credential")


@pytest.mark.parametrize("folder", ["", "/nonexistent", "/dev/null"])
def test_no_systemd_credential_is_no_error(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", folder)
    assert find(sources(tmp_path)) is None


@pytest.mark.parametrize("content", [b"", f"{SECRET} {SECRET}".encode(), SECRET.encode() + b"\xff"])
def test_a_systemd_credential_that_is_no_token_is_told(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "omniid.token").write_bytes(content)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert "systemd credential omniid.token" in problem(lambda: find(sources(tmp_path))).message


# The token file


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_token_file_of_ones_own_serves(mode: int, tmp_path: Path) -> None:
    store_in_file(tmp_path / "token", SECRET)
    (tmp_path / "token").chmod(mode)
    assert find(sources(tmp_path)) == Token(SECRET, "token file")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o644])
def test_a_token_file_open_to_others_is_refused(mode: int, tmp_path: Path) -> None:
    store_in_file(tmp_path / "token", SECRET)
    (tmp_path / "token").chmod(mode)
    assert f"chmod 600 {tmp_path / 'token'}" in problem(lambda: find(sources(tmp_path))).message


def test_a_link_to_an_open_token_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").write_text(SECRET)
    (tmp_path / "elsewhere").chmod(0o644)
    (tmp_path / "token").symlink_to(tmp_path / "elsewhere")
    assert "open to other users" in problem(lambda: find(sources(tmp_path))).message


@AS_ROOT
def test_a_token_file_of_another_user_is_refused(tmp_path: Path) -> None:
    store_in_file(tmp_path / "token", SECRET)
    os.chown(tmp_path / "token", 65_534, 65_534)
    assert "another user" in problem(lambda: find(sources(tmp_path))).message


def test_a_pipe_or_a_folder_in_place_of_the_token_file_is_told_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "token", 0o600)
    assert "not a plain file" in problem(lambda: find(sources(tmp_path))).message
    (tmp_path / "token").unlink()
    (tmp_path / "token").mkdir()
    assert "not a plain file" in problem(lambda: find(sources(tmp_path))).message


@pytest.mark.parametrize("content", [b"", f"{SECRET} x".encode(), SECRET.encode() + b"\xff", b"x" * 70_000])
def test_a_token_file_that_holds_no_token_is_told(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "token").touch(mode=0o600)
    (tmp_path / "token").write_bytes(content)
    assert "holds no token" in problem(lambda: find(sources(tmp_path))).message


def test_a_token_file_is_read_each_time(tmp_path: Path) -> None:
    async def reconnect() -> list[Token | None]:
        asked = Credentials(sources(tmp_path))
        found = [await asked.find()]
        for secret in ("one", "two"):
            store_in_file(tmp_path / "token", secret)
            found.append(await asked.find(again=True))
        return found

    assert asyncio.run(reconnect()) == [None, Token("one", "token file"), Token("two", "token file")]


def test_a_stored_file_is_private_whatever_was_there_before(tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "token"
    before = os.umask(0)
    try:
        store_in_file(path, SECRET)
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        path.chmod(0o666)
        opened_before = path.open()
        store_in_file(path, "another")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == "another\n"
    with opened_before:
        assert opened_before.read() == SECRET + "\n"  # who had the old file open does not see the new token
    assert list(path.parent.iterdir()) == [path]


def test_a_strict_umask_still_lets_the_owner_read(tmp_path: Path) -> None:
    before = os.umask(0o777)
    try:
        store_in_file(tmp_path / "token", SECRET)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600


def test_a_disk_without_room_leaves_the_old_token(tmp_path: Path) -> None:
    store_in_file(tmp_path / "token", "old")
    # A limit of no bytes at all fails as a full disk does, and needs no disk of its own.
    store = (
        "import resource, sys; from pathlib import Path\n"
        "from omniid.credentials import CredentialsError, store_in_file\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "try: store_in_file(Path(sys.argv[1]), 'new')\n"
        "except CredentialsError as error: sys.exit(error.message)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", store, tmp_path / "token"],
        capture_output=True,
        text=True,
        timeout=WITHIN_S,
        check=False,
    )
    assert "cannot be written: File too large" in done.stderr
    assert (tmp_path / "token").read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [tmp_path / "token"]


@pytest.mark.parametrize("old", [None, "old"])
def test_killed_at_any_line_a_write_leaves_no_half_and_nothing_that_outlives_a_logout(
    old: str | None, tmp_path: Path
) -> None:
    before = tmp_path / "before"
    before.mkdir()
    if old is not None:
        store_in_file(before / "token", old)
    places = killed_before_each_line(
        "omniid.credentials,omniid.private_file",
        f"store_in_file(folder / 'token', '{SECRET}')",
        before,
        tmp_path / "after",
    )
    assert find(sources(places[-1])) == Token(SECRET, "token file")
    found = [find(sources(place)) for place in places]
    assert {each and each.secret for each in found} == {old, SECRET}
    assert any(len(list(place.glob(".token.*"))) == 1 for place in places)
    for place, token in zip(places, found, strict=True):
        assert all(stat.S_IMODE(path.stat().st_mode) == 0o600 for path in place.iterdir())
        assert forget(ACCOUNT, place / "token") == (("token file",) if token else ())
        assert list(place.iterdir()) == []


def test_a_write_takes_the_place_of_one_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / ".token.new").write_text("a longer token than the one that is stored")
    (tmp_path / ".token.new").chmod(0o644)
    store_in_file(tmp_path / "token", SECRET)
    assert [path.name for path in tmp_path.iterdir()] == ["token"]
    assert find(sources(tmp_path)) == Token(SECRET, "token file")


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    folder = tmp_path / "config"
    folder.mkdir()
    (tmp_path / "elsewhere").write_text("theirs")
    (folder / ".token.new").symlink_to(tmp_path / "elsewhere")
    assert "cannot be written" in problem(lambda: store_in_file(folder / "token", SECRET)).message
    assert (tmp_path / "elsewhere").read_text() == "theirs"
    forget(ACCOUNT, folder / "token")
    assert list(folder.iterdir()) == []
    assert (tmp_path / "elsewhere").read_text() == "theirs"


def test_writes_at_a_time_leave_one_whole_token(tmp_path: Path) -> None:
    words = [letter * 3_000 for letter in "abcdef"]
    stored: list[str] = []

    def store(word: str) -> None:
        for _ in range(30):
            store_in_file(tmp_path / "token", word)
            stored.append((tmp_path / "token").read_text())

    threads = [threading.Thread(target=store, args=(word,)) for word in words]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WITHIN_S)
    assert len(stored) == 30 * len(words)
    assert set(stored) <= {f"{word}\n" for word in words}
    assert [path.name for path in tmp_path.iterdir()] == ["token"]


def test_forget_takes_what_a_killed_write_has_left(tmp_path: Path) -> None:
    others = ["token.old", ".token.new.bak", ".token.original", ".token.conf"]
    for name in (".token.new", "token", *others):
        (tmp_path / name).write_text(SECRET)
    assert forget(ACCOUNT, tmp_path / "token") == ("token file",)
    assert {path.name for path in tmp_path.iterdir()} == set(others)
    (tmp_path / ".token.new").write_text(SECRET)
    assert forget(ACCOUNT, tmp_path / "token") == ()  # it was no token of any use
    assert not (tmp_path / ".token.new").exists()
    assert forget(ACCOUNT, tmp_path / "no" / "token") == ()
    assert forget(ACCOUNT, tmp_path / "token.old" / "token") == ()


@pytest.mark.parametrize("secret", ["", f"{SECRET} {SECRET}", f"{SECRET}\u00e9"])
def test_what_is_no_token_is_not_stored(secret: str, tmp_path: Path) -> None:
    assert "no token" in problem(lambda: store_in_file(tmp_path / "token", secret)).message
    assert "no token" in problem(lambda: store_in_keyring(ACCOUNT, secret)).message
    assert not (tmp_path / "token").exists()


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    error = problem(lambda: store_in_file(tmp_path / "file" / "token", SECRET))
    assert "cannot be written" in error.message


# The keyring


def test_the_keyring_keeps_one_token_for_each_account(tmp_path: Path, keyring_daemon: KeyringDaemon) -> None:
    keyring_daemon.unlock()
    store_in_keyring("bob@assistant.example", "bobs")
    assert find(sources(tmp_path)) is None
    store_in_keyring(ACCOUNT, "old")
    store_in_keyring(ACCOUNT, SECRET)
    assert find(sources(tmp_path)) == Token(SECRET, "keyring")


def test_no_keyring_is_no_error_until_one_is_needed(tmp_path: Path, keyring_daemon: KeyringDaemon) -> None:
    keyring_daemon.kill()
    assert find(sources(tmp_path)) is None
    error = problem(lambda: store_in_keyring(ACCOUNT, SECRET))
    assert error.code == "no_keyring"
    assert "omniid auth login --file" in error.message
    assert forget(ACCOUNT, tmp_path / "token") == ()


def test_a_keyring_that_comes_later_is_found(tmp_path: Path, keyring_daemon: KeyringDaemon) -> None:
    assert find(sources(tmp_path)) is None
    keyring_daemon.unlock()
    store_in_keyring(ACCOUNT, SECRET)
    assert find(sources(tmp_path)) == Token(SECRET, "keyring")


@LEAKY
def test_a_locked_keyring_is_told(tmp_path: Path, keyring_daemon: KeyringDaemon) -> None:
    keyring_daemon.unlock()
    store_in_keyring(ACCOUNT, SECRET)
    keyring_daemon.lock()
    store_in_file(tmp_path / "token", "fallback")
    asked: list[Callable[[], object]] = [
        lambda: find(sources(tmp_path)),
        lambda: store_in_keyring(ACCOUNT, SECRET),
        lambda: forget(ACCOUNT, tmp_path / "token"),
    ]
    for ask in asked:
        error = problem(ask)
        assert error.code == "keyring_locked"
        assert error.message.startswith("The keyring is locked. Unlock it")
    assert error.message.endswith("The token file is removed.")
    assert not (tmp_path / "token").exists()
    keyring_daemon.unlock()
    assert find(sources(tmp_path)) == Token(SECRET, "keyring")
    gc.collect()


def test_a_keyring_that_hangs_is_told_and_works_again_when_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keyring_daemon: KeyringDaemon
) -> None:
    keyring_daemon.unlock()
    store_in_keyring(ACCOUNT, SECRET)
    keyring_daemon.hang()
    with monkeypatch.context() as patch:
        patch.setattr(credentials, "KEYRING_WITHIN_S", 0.5)
        patch.setattr(credentials, "PERSON_WITHIN_S", 0.5)
        for _ in range(3):
            error = problem(lambda: find(sources(tmp_path)))
            assert error.code == "keyring_hangs"
        assert problem(lambda: store_in_keyring(ACCOUNT, "late")).code == "keyring_hangs"
        assert sum(thread.name == "keyring" for thread in threading.enumerate()) == 1
    keyring_daemon.resume()
    # The question that nobody waits for any more is not asked: "late" is not stored.
    assert find(sources(tmp_path)) == Token(SECRET, "keyring")


@LEAKY
def test_the_loop_goes_on_while_the_keyring_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keyring_daemon: KeyringDaemon
) -> None:
    keyring_daemon.unlock()
    keyring_daemon.hang()
    monkeypatch.setattr(credentials, "KEYRING_WITHIN_S", 1.0)
    turns = 0

    async def both() -> None:
        nonlocal turns
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(_told(Credentials(sources(tmp_path)), "did not answer"))
            while not asking.done():
                await asyncio.sleep(0.01)
                turns += 1

    asyncio.run(both())
    keyring_daemon.resume()
    assert turns > 5
    credentials._keyring.ask(lambda: None).result(WITHIN_S)  # the one before it is answered too, then
    gc.collect()  # what leaks leaks here, and not into another test


async def _told(asked: Credentials, words: str) -> None:
    with pytest.raises(CredentialsError, match=words):
        await asked.find()


def test_a_process_can_end_while_the_keyring_hangs(keyring_daemon: KeyringDaemon) -> None:
    keyring_daemon.unlock()
    keyring_daemon.hang()
    ask = (
        "import asyncio, sys; from pathlib import Path\n"
        "from omniid import credentials\n"
        "from omniid.credentials import Credentials, CredentialsError, Sources\n"
        "credentials.KEYRING_WITHIN_S = 1.0\n"
        "try: asyncio.run(Credentials(Sources(None, None, 'a', Path('/nonexistent'))).find())\n"
        "except CredentialsError as error: sys.exit(error.code)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert done.stderr == "keyring_hangs\n"


@LEAKY
def test_a_keyring_that_dies_while_it_is_asked_is_told(
    tmp_path: Path, keyring_daemon: KeyringDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credentials, "KEYRING_WITHIN_S", WITHIN_S)
    keyring_daemon.unlock()
    keyring_daemon.hang()

    async def both() -> None:
        async with asyncio.TaskGroup() as tasks:
            asking = tasks.create_task(_told(Credentials(sources(tmp_path)), "The keyring"))
            await asyncio.to_thread(until, _is_asked)
            keyring_daemon.kill()
            await asking

    asyncio.run(both())
    gc.collect()


def _is_asked() -> bool:
    frames = sys._current_frames()
    threads = [thread for thread in threading.enumerate() if thread.name == "keyring"]
    stacks = (traceback.extract_stack(frames[thread.ident]) for thread in threads if thread.ident in frames)
    return any(frame.name == "get_default_collection" for stack in stacks for frame in stack)


def test_a_keyring_that_holds_no_token_is_told(tmp_path: Path, keyring_daemon: KeyringDaemon) -> None:
    keyring_daemon.unlock()
    put = f"import keyring; keyring.set_password('omniid', '{ACCOUNT}', '{SECRET} {SECRET}')"
    subprocess.run([sys.executable, "-c", put], timeout=WITHIN_S, check=True)
    assert problem(lambda: find(sources(tmp_path))).message.startswith("The keyring holds no token")


def test_a_keyring_that_keeps_nothing_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "keyring.backends.null.Keyring")
    assert "does not keep it" in problem(lambda: store_in_keyring(ACCOUNT, SECRET)).message


def test_a_keyring_program_that_is_not_there_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "nonexistent_package.Keyring")
    error = problem(lambda: find(sources(tmp_path)))
    assert error.message.startswith("The keyring failed (ModuleNotFoundError)")
    assert error.code == "credentials_failed"


def test_forget_says_what_it_removed(tmp_path: Path, keyring_daemon: KeyringDaemon) -> None:
    keyring_daemon.unlock()
    path = tmp_path / "token"
    store_in_keyring(ACCOUNT, SECRET)
    store_in_keyring("bob@assistant.example", "bobs")
    store_in_file(path, SECRET)
    assert forget(ACCOUNT, path) == ("token file", "keyring")
    assert forget(ACCOUNT, path) == ()
    store_in_keyring(ACCOUNT, SECRET)
    assert forget(ACCOUNT, path) == ("keyring",)
    assert find(sources(tmp_path)) is None
    bobs = Sources(None, None, "bob@assistant.example", path)
    assert find(bobs) == Token("bobs", "keyring")


def test_a_token_file_that_cannot_be_removed_is_told(tmp_path: Path) -> None:
    (tmp_path / "token").mkdir()
    assert "cannot be removed" in problem(lambda: forget(ACCOUNT, tmp_path / "token")).message
