from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from omniid.backend import conversation
from omniid.backend.consent.door import Door
from omniid.backend.desk import Desk
from omniid.backend.diary.shelf import Shelf
from omniid.backend.records import Answered, Consent, Memory, Task
from omniid.backend.store import Store
from omniid.errors import AlreadyRunningError, ConfigError, StorageError
from omniid.protocol.messages import CommandPayload

NOW = datetime(2026, 11, 22, 16, 4, tzinfo=UTC)
MEMORY = Memory(
    tasks=(Task(text="buy milk ☃", added=NOW),),
    answered=(
        Answered(request_id="r", digest="d", done=True, message="m", suggestions=("s",), at_ms=1),
        Answered(request_id="q", digest="d", done=False, message="m", at_ms=1, scope="calendar"),
    ),
    consents=(Consent(scope="calendar", folders=("/a b", "/ü"), at_ms=1),),
)


def command(message: str, request_id: str) -> CommandPayload:
    return CommandPayload(
        command_type="text_command", message=message, user_id="u", user_timezone="UTC",
        local_datetime="2026-11-22T16:04:00+00:00", request_id=request_id,
    )  # fmt: skip


def made(store: Store) -> Desk:
    """A desk for what needs no calendar."""
    return Desk(store, Shelf(()), Door(), lambda _frame: None)


def said(frame: str) -> tuple[str, str]:
    content = json.loads(frame)
    return content["status"], content["data"]["message"]


@contextmanager
def file_size_limit(size: int) -> Iterator[None]:
    """The kernel refuses to write beyond it, as a full disk does; without the signal it is an EFBIG."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, before)


def test_what_is_saved_is_there_again_and_is_private(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "data"
    with Store(folder) as store:
        assert store.load() == (Memory(), "")
        store.save(MEMORY)
    with Store(folder) as store:
        assert store.load() == (MEMORY, "")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    for path in folder.iterdir():
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert sorted(path.name for path in folder.iterdir()) == ["lock", "tasks.json"]


@pytest.mark.parametrize("half", [b"", b'{"version":1,"tasks":[', b"\x00" * 40])
def test_a_write_that_was_cut_off_changes_nothing(tmp_path: Path, half: bytes) -> None:
    with Store(tmp_path) as store:
        store.save(MEMORY)
    (tmp_path / "tasks.json.new").write_bytes(half)
    with Store(tmp_path) as store:
        assert store.load() == (MEMORY, "")
        store.save(Memory())
        assert store.load() == (Memory(), "")


@pytest.mark.parametrize(
    "damage", [b"", b"{", b"\x00" * 100, b"[]", b'{"version":1,"tasks":[{}]}', b'{"version":"2"}', b"\xff"]
)
def test_a_damaged_file_is_set_aside_and_said(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "tasks.json.damaged-1").write_bytes(b"an older one")
    (tmp_path / "tasks.json").write_bytes(damage)
    with Store(tmp_path) as store:
        desk = made(store)
        first = said(desk.answer(command("what are my tasks", "1"), NOW))[1]
        second = said(desk.answer(command("what are my tasks", "2"), NOW))[1]
    assert "damaged" in first
    assert "tasks.json.damaged-2" in first
    assert second == "You have no tasks."
    assert (tmp_path / "tasks.json.damaged-2").read_bytes() == damage
    assert (tmp_path / "tasks.json.damaged-1").read_bytes() == b"an older one"


def test_a_file_of_the_first_version_is_read_and_written_as_of_now(tmp_path: Path) -> None:
    (tmp_path / "tasks.json").write_text(
        '{"version":1,"tasks":[{"text":"buy milk","added":"2026-11-22T16:04:00Z"}],"answered":'
        '[{"request_id":"r","digest":"d","done":true,"message":"m","suggestions":["s"],"at_ms":1}]}'
    )
    with Store(tmp_path) as store:
        memory, notice = store.load()
        assert (notice, memory.tasks) == ("", (Task(text="buy milk", added=NOW),))
        assert (memory.answered[0].message, memory.answered[0].scope, memory.consents) == ("m", None, ())
        store.save(memory)
        assert store.load() == (memory, "")
    assert json.loads((tmp_path / "tasks.json").read_text())["version"] == 2


def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    newer = b'{"version":3,"tasks":{}}'
    (tmp_path / "tasks.json").write_bytes(newer)
    with Store(tmp_path) as store, pytest.raises(StorageError, match="newer omniid"):
        store.load()
    assert (tmp_path / "tasks.json").read_bytes() == newer


def test_an_unreadable_file_is_an_error_and_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "tasks.json").mkdir()
    with Store(tmp_path) as store, pytest.raises(StorageError, match="cannot be read"):
        store.load()


def test_one_owner_at_a_time(tmp_path: Path) -> None:
    with Store(tmp_path), pytest.raises(AlreadyRunningError, match=rf"process {os.getpid()}"):
        Store(tmp_path)
    Store(tmp_path).close()


def test_a_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be made"):
        Store(tmp_path / "file" / "data")


def test_when_the_disk_refuses_nothing_is_changed_and_nothing_is_remembered(tmp_path: Path) -> None:
    with Store(tmp_path) as store:
        desk = made(store)
        assert said(desk.answer(command("add milk", "1"), NOW))[0] == "success"
        kept = (tmp_path / "tasks.json").read_bytes()
        with file_size_limit(64):
            status, words = said(desk.answer(command("add eggs", "2"), NOW))
            # What changes nothing is answered all the same.
            listed = said(desk.answer(command("my tasks", "3"), NOW))
        assert (status, words.startswith("I couldn't save that: ")) == ("error", True)
        assert listed == ("success", "You have 1 task: milk.")
        assert (tmp_path / "tasks.json").read_bytes() == kept
        assert not (tmp_path / "tasks.json.new").exists()
        # The same command again, once the disk is well.
        assert said(desk.answer(command("add eggs", "2"), NOW)) == (
            "success",
            "Added: eggs. You have 2 tasks.",
        )


def test_when_the_folder_vanishes_it_is_said(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with Store(folder) as store:
        desk = made(store)
        shutil.rmtree(folder)
        status, words = said(desk.answer(command("add milk", "1"), NOW))
        assert (status, words) == (
            "error",
            "I couldn't save that: its folder is gone. Nothing was changed.",
        )
        assert said(desk.answer(command("my tasks", "2"), NOW))[1] == "You have no tasks."


def test_a_command_that_breaks_a_skill_is_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("secret words")

    with Store(tmp_path) as store:
        desk = made(store)
        monkeypatch.setattr(conversation, "recognise", broken)
        status, words = said(desk.answer(command("add milk", "1"), NOW))
    assert status == "error"
    assert "secret" not in words
