from __future__ import annotations

from pathlib import Path

from structlog.testing import capture_logs

from omniid.flag import Flag


def test_a_wish_outlives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "state" / "shut"
    assert not Flag(path).is_set()

    Flag(path).set(True)
    Flag(path).set(True)
    assert Flag(path).is_set()
    Flag(path).set(False)
    Flag(path).set(False)
    assert not Flag(path).is_set()


def test_a_disk_that_takes_nothing_is_logged(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with capture_logs() as logged:
        Flag(tmp_path / "file" / "shut").set(True)

    assert [entry["log_level"] for entry in logged] == ["warning"]
