"""Folders on a real disk, read by a real child process."""

from __future__ import annotations

import os
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from omniid.backend.diary import files
from omniid.backend.diary.events import Diary
from omniid.backend.diary.shelf import Shelf, usual_folders

DAY = datetime(2026, 11, 27, tzinfo=ZoneInfo("Europe/Berlin"))
# Every second since 1970, but only on a day that no year has: no library gets to the end of it.
ENDLESS = "DTSTART:19700101T000000\nRRULE:FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30"


def write(path: Path, event: str = "DTSTART:20261127T100000", title: str = "a") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(
        f"BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:x\nBEGIN:VEVENT\nUID:{path}\nSUMMARY:{title}\n{event}\n"
        "END:VEVENT\nEND:VCALENDAR\n"
    )
    return path


def diary(*folders: Path, days: int = 1) -> Diary:
    return Shelf(()).read([str(folder) for folder in folders], DAY, DAY + timedelta(days=days))


def titles(found: Diary) -> list[str]:
    assert found.failed == ""
    return [event.title for event in found.events]


def test_folders_and_what_is_below_them_are_read_in_the_order_of_time(tmp_path: Path) -> None:
    write(tmp_path / "one" / "b" / "x.ics", "DTSTART:20261127T120000", "noon")
    write(tmp_path / "one" / "late.ICS", "DTSTART:20261127T200000", "late")
    write(tmp_path / "two" / "early.ics", "DTSTART:20261127T060000", "early")
    write(tmp_path / "two" / "notes.txt", title="no calendar file")
    write(tmp_path / "three" / "x.ics", title="not asked for")
    found = diary(tmp_path / "one", tmp_path / "two", tmp_path / "missing")
    assert titles(found) == ["early", "noon", "late"]
    assert found.unread == 0
    assert found.events[0].start == datetime(2026, 11, 27, 6, tzinfo=DAY.tzinfo)


def test_the_same_calendar_in_two_places_is_told_once(tmp_path: Path) -> None:
    write(tmp_path / "a" / "x.ics")
    write(tmp_path / "b" / "x.ics")
    (tmp_path / "b" / "y.ics").hardlink_to(tmp_path / "a" / "x.ics")
    assert titles(diary(tmp_path / "a", tmp_path / "b", tmp_path)) == ["a"]


def test_what_leads_out_of_the_folder_or_is_no_file_is_skipped_and_said(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside" / "x.ics", title="secret")
    inside = write(tmp_path / "in" / "ok.ics").parent
    (inside / "link.ics").symlink_to(outside)
    (inside / "folder").symlink_to(outside.parent)
    os.mkfifo(inside / "pipe.ics")
    (inside / "broken.ics").write_text("nothing")
    with (inside / "large.ics").open("wb") as file:
        file.truncate(files.MAX_FILE_BYTES + 1)
    found = diary(inside)
    assert titles(found) == ["a"]
    assert found.unread == 4
    reasons = "\n".join(found.reasons)
    for name, reason in (
        ("link", "symbolic"),
        ("pipe", "plain"),
        ("broken", "understood"),
        ("large", "large"),
    ):
        assert any(f"{name}.ics: " in each and reason in each for each in found.reasons), reasons
    assert "secret" not in reasons


@pytest.mark.parametrize("event", [ENDLESS, "BEGIN:VEVENT\n" * 400_000], ids=["a rule", "events in events"])
def test_what_has_no_end_costs_its_file_and_no_other(tmp_path: Path, event: str) -> None:
    write(tmp_path / "a.ics", event, "endless")
    write(tmp_path / "b.ics")
    found = diary(tmp_path)
    assert titles(found) == ["a"]
    assert (found.unread, "takes too long" in found.reasons[0]) == (1, True)


def test_a_broken_rule_is_said(tmp_path: Path) -> None:
    write(tmp_path / "a.ics", "DTSTART:20261127T100000\nRRULE:FREQ=NEVER")
    write(tmp_path / "b.ics", title="b")
    found = diary(tmp_path)
    assert "b" in titles(found)
    assert found.unread == 1


def test_a_folder_that_cannot_be_listed_is_said(tmp_path: Path) -> None:
    write(tmp_path / "a.ics")
    found = diary(tmp_path, tmp_path / ("x" * 300))
    assert titles(found) == ["a"]
    assert (found.unread, "too long" in found.reasons[0]) == (1, True)


def test_more_than_can_be_told_is_cut_at_the_end(tmp_path: Path) -> None:
    write(tmp_path / "a.ics", "DTSTART:20261127T000000\nRRULE:FREQ=MINUTELY;COUNT=900")
    found = diary(tmp_path)
    assert (len(found.events), found.events[0].start) == (500, DAY)


def test_too_many_files_are_skipped_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MAX_FILES", 2)
    reader = files.Files()
    read = [write(tmp_path / f"{number}.ics") for number in range(3)]
    assert all(reader.read(str(path)) for path in read[:2])
    assert reader.read(str(read[0])) is None
    with pytest.raises(files.UnreadError, match="too many"):
        reader.read(str(read[2]))


def test_a_reading_ends_with_the_backend(tmp_path: Path) -> None:
    for number in range(20):
        write(tmp_path / f"{number}.ics", ENDLESS)
    shelf = Shelf(())
    got: list[Diary] = []
    reading = threading.Thread(
        target=lambda: got.append(shelf.read([str(tmp_path)], DAY, DAY + timedelta(days=1)))
    )
    reading.start()
    while shelf._child is None:
        time.sleep(0.01)
    shelf.close()
    reading.join(5)
    assert not reading.is_alive()
    assert got[0].failed
    assert shelf.read([str(tmp_path)], DAY, DAY).failed


def test_only_folders_that_are_there_are_asked_for(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "file").touch()
    shelf = Shelf([tmp_path / "there", tmp_path / "file", tmp_path / "missing", tmp_path / "there"])
    assert shelf.present() == (str(tmp_path / "there"),)


@pytest.mark.parametrize(
    ("environment", "data"),
    [({}, "/h/.local/share"), ({"XDG_DATA_HOME": "/d"}, "/d"), ({"XDG_DATA_HOME": "d"}, "/h/.local/share")],
)
def test_the_usual_folders_are_the_desktops(environment: dict[str, str], data: str) -> None:
    folders = [str(folder) for folder in usual_folders(environment, Path("/h"))]
    assert folders[0] == f"{data}/evolution/calendar"
    assert folders[-1] == "/h/.calendars"
