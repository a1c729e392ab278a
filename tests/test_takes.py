"""The shelf of takes, on a real folder."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from omniid.takes import KEPT_S, Takes

HEADER = 44


def kept(folder: Path, take_id: str, seconds: float = 1.0, age_s: float = 0.0) -> Path:
    path = folder / f"{take_id}.wav"
    path.write_bytes(bytes(HEADER + int(seconds * 32_000)))
    changed = datetime.now(UTC).timestamp() - age_s
    os.utime(path, (changed, changed))
    return path


def test_what_is_kept_is_listed_newest_first_with_its_length(tmp_path: Path) -> None:
    kept(tmp_path, "older", 2.5, age_s=60)
    kept(tmp_path, "newer", 1.0)

    assert [(take.id, take.duration_s) for take in Takes(tmp_path).list()] == [("newer", 1.0), ("older", 2.5)]


def test_a_take_is_found_and_forgotten(tmp_path: Path) -> None:
    takes, path = Takes(tmp_path), kept(tmp_path, "t1")

    assert takes.path("t1") == path
    takes.forget("t1")
    takes.forget("t1")
    assert takes.path("t1") is None
    assert takes.list() == []


@pytest.mark.parametrize("name", ["../secret", "a/b", "", ".", "x" * 65, "a\0b"])
def test_an_id_cannot_reach_outside_the_folder(tmp_path: Path, name: str) -> None:
    secret = kept(tmp_path, "secret")
    folder = tmp_path / "takes"
    folder.mkdir()

    Takes(folder).forget(name)

    assert Takes(folder).path(name) is None
    assert secret.exists()


def test_what_was_kept_for_long_enough_is_swept_away(tmp_path: Path) -> None:
    takes, now = Takes(tmp_path), datetime.now(UTC)
    kept(tmp_path, "old", age_s=KEPT_S + 5)
    kept(tmp_path, "new", age_s=KEPT_S - 60)

    takes.sweep(now)
    assert [take.id for take in takes.list()] == ["new"]
    takes.sweep(now + timedelta(seconds=120))
    assert takes.list() == []


def test_an_orderly_end_leaves_an_empty_shelf(tmp_path: Path) -> None:
    kept(tmp_path, "t1")
    kept(tmp_path, "t2", age_s=60)

    Takes(tmp_path).clear()

    assert list(tmp_path.iterdir()) == []
