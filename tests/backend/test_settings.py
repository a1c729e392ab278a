from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from support.line_kill import killed_before_each_line

from omniid.backend.settings import TOKEN_VARIABLE, read_token
from omniid.errors import ConfigError

WITHIN_S = 120.0
TOKEN = "a-token-of-an-earlier-start"


@pytest.fixture(autouse=True)
def _no_token_of_this_machines_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN_VARIABLE, raising=False)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def put(path: Path, content: str, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    path.chmod(mode)
    return path


def assert_made(path: Path) -> None:
    token = read_token(path)
    assert len(token) > 40
    assert path.read_text() == f"{token}\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_token(path) == token
    assert names(path.parent) == [path.name]


@pytest.mark.parametrize("old", [None, "", TOKEN])
def test_killed_at_any_line_the_token_is_there_whole_or_not_at_all(old: str | None, tmp_path: Path) -> None:
    before = tmp_path / "before"
    before.mkdir()
    if old is not None:
        put(before / "token", old)
    places = killed_before_each_line(
        "omniid.backend.settings,omniid.private_file",
        "read_token(folder / 'token')",
        before,
        tmp_path / "after",
    )
    assert len(places) > 5
    for place in places:
        path = place / "token"
        left = path.read_text() if path.exists() else None
        assert left == old or len(left or "") > 40
        token = read_token(path)
        assert left in {old, f"{token}\n"}
        if old == TOKEN:
            assert token == TOKEN
        else:
            assert len(token) > 40
        assert path.read_text().strip() == token
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert names(place) == ["token"]


def test_an_empty_file_is_none(tmp_path: Path) -> None:
    assert_made(put(tmp_path / "token", ""))
    assert_made(put(tmp_path / "open" / "token", "", 0o644))


def test_what_a_killed_start_has_left_is_not_taken_and_not_kept(tmp_path: Path) -> None:
    put(tmp_path / ".token.new", TOKEN * 10, 0o644)
    assert_made(tmp_path / "token")


def test_a_strict_umask_still_lets_the_owner_read(tmp_path: Path) -> None:
    before = os.umask(0o777)
    try:
        read_token(tmp_path / "token")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "token").stat().st_mode) == 0o600


@pytest.mark.parametrize("content", ["\n", " ", "short", "two words of a token"])
def test_a_file_that_holds_no_token_is_told_and_left(content: str, tmp_path: Path) -> None:
    path = put(tmp_path / "token", content)
    with pytest.raises(ConfigError, match="no fit token"):
        read_token(path)
    assert path.read_text() == content


def test_a_link_is_left_alone_and_not_written_through(tmp_path: Path) -> None:
    theirs = put(tmp_path / "elsewhere" / "theirs", "")
    (tmp_path / "token").symlink_to(theirs)
    with pytest.raises(ConfigError, match="no fit token"):
        read_token(tmp_path / "token")
    (tmp_path / "token").unlink()
    (tmp_path / ".token.new").symlink_to(theirs)
    with pytest.raises(ConfigError, match="cannot be made"):
        read_token(tmp_path / "token")
    assert theirs.read_text() == ""
    assert not (tmp_path / "token").exists()


def test_a_disk_without_room_leaves_nothing(tmp_path: Path) -> None:
    # A limit of no bytes at all fails as a full disk does, and needs no disk of its own.
    read = (
        "import resource, sys; from pathlib import Path\n"
        "from omniid.backend.settings import read_token\n"
        "from omniid.errors import ConfigError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))\n"
        "try: read_token(Path(sys.argv[1]))\n"
        "except ConfigError as error: sys.exit(error.message)\n"
    )
    command = [sys.executable, "-c", read, str(tmp_path / "token")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=WITHIN_S, check=False)
    assert "cannot be made: file too large" in done.stderr
    assert names(tmp_path) == []
    assert_made(tmp_path / "token")


RACE = """
import os, sys
from pathlib import Path
from omniid.backend.settings import read_token

for place in sorted(Path(sys.argv[1]).iterdir()):
    held, released = os.pipe()
    pids = []
    for number in range(6):
        pids.append(os.fork())
        if pids[-1] == 0:
            os.close(released)
            os.read(held, 1)
            try:
                token = read_token(place / "token")
                (place / f"read-{number}").write_text(token)
            finally:
                os._exit(0)
    os.close(held)
    os.close(released)
    for pid in pids:
        os.waitpid(pid, 0)
"""


@pytest.mark.parametrize("old", [None, ""])
def test_starts_at_a_time_have_one_token(old: str | None, tmp_path: Path) -> None:
    places = [tmp_path / str(number) for number in range(40)]
    for place in places:
        place.mkdir()
        if old is not None:
            put(place / "token", old)
    subprocess.run([sys.executable, "-c", RACE, str(tmp_path)], timeout=WITHIN_S, check=True)
    for place in places:
        token = read_token(place / "token")
        assert [(place / f"read-{number}").read_text() for number in range(6)] == [token] * 6
        assert names(place) == [*(f"read-{number}" for number in range(6)), "token"]
