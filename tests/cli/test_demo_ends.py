"""What is left of `omniid demo`, and of any private daemon, when it is ended from outside: nothing."""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support import flow

from omniid.cli.private_daemon import PrivateDaemon

OWNER = """
import sys, time
from pathlib import Path
from omniid.cli.private_daemon import PrivateDaemon
with PrivateDaemon(Path(sys.argv[1]), {}, is_temporary=sys.argv[2] == "temporary") as daemon:
    print(f"pid {daemon.process.pid},", flush=True)
    time.sleep(600)
"""


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + flow.WITHIN_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {flow.WITHIN_S:.0f} s in vain until {what}"
        time.sleep(0.05)


def children_of(pid: int) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            if int(stat.read_text(encoding="ascii").rpartition(")")[2].split()[1]) == pid:
                found.append(int(stat.parent.name))
    return found


def pipes_of(pid: int) -> set[str]:
    """The pipes and sockets that a process has open."""
    found = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.add(str(descriptor.readlink()))
    return {name for name in found if name.startswith(("pipe:", "socket:"))}


@contextlib.contextmanager
def started(
    command: list[str], temporary: Path, word: str
) -> Iterator[tuple[subprocess.Popen[str], list[int]]]:
    """What has started a private daemon, once it prints `word`; and the daemon with all it has started."""
    environment = {**os.environ, **flow.QUIET_HOUSE, "TMPDIR": str(temporary)}
    owner = subprocess.Popen(
        [sys.executable, *command],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    family: list[int] = []
    with owner:
        try:
            assert owner.stdout is not None
            for line in owner.stdout:
                if named := re.search(r"\bpid (\d+),", line):
                    family = family or [int(named[1])]
                if word in line:
                    break
            assert family, "it has ended"
            family += children_of(family[0])
            yield owner, family
        finally:
            owner.kill()
            for pid in filter(flow.is_alive, family):
                os.kill(pid, signal.SIGKILL)


def wait_until_gone(family: list[int]) -> None:
    wait_until(lambda: not any(map(flow.is_alive, family)), "the daemon and its children are gone")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_demo_that_is_ended_in_a_take_leaves_no_daemon(number: signal.Signals, tmp_path: Path) -> None:
    with started(["-m", "omniid", "demo"], tmp_path, "  microphone  open") as (demo, family):
        assert len(family) > 2, "the ear and the backend run too"
        demo.send_signal(number)
        wait_until_gone(family)
        wait_until(lambda: not list(tmp_path.glob("omniid-demo-*")), "its folder is gone")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_demo_that_can_still_tidy_up_does_so_before_it_ends(number: signal.Signals, tmp_path: Path) -> None:
    with started(["-m", "omniid", "demo"], tmp_path, "  microphone  open") as (demo, family):
        demo.send_signal(number)
        assert demo.wait(flow.WITHIN_S) == 128 + number
        assert not any(map(flow.is_alive, family))
        assert list(tmp_path.iterdir()) == []


def test_the_daemon_ends_in_its_orderly_way(tmp_path: Path) -> None:
    with started(["-c", OWNER, str(tmp_path), "kept"], tmp_path, "pid") as (owner, family):
        owner.kill()
        wait_until_gone(family)
    assert "stopping" in (tmp_path / "daemon.log").read_text(encoding="utf-8")
    assert not (tmp_path / "run" / "omniid.sock").exists()


def test_a_temporary_folder_goes_with_the_daemon(tmp_path: Path) -> None:
    folder = tmp_path / "house"
    folder.mkdir()
    with started(["-c", OWNER, str(folder), "temporary"], tmp_path, "pid") as (owner, family):
        owner.kill()
        wait_until_gone(family)
        wait_until(lambda: not folder.exists(), "the folder is gone")


def test_a_daemon_that_is_stopped_leaves_its_folder_to_whoever_made_it(tmp_path: Path) -> None:
    with PrivateDaemon(tmp_path, {}, flow.QUIET_HOUSE, is_temporary=True) as running:
        flow.until_ready(running)
        assert running.stop() == 0
    assert running.log.exists()


def test_nothing_that_the_daemon_starts_inherits_its_lifeline(tmp_path: Path) -> None:
    with PrivateDaemon(tmp_path, {}, flow.QUIET_HOUSE) as running:
        flow.until_ready(running)
        flow.until_ear(running)
        assert running.process is not None
        assert running.process.stdin is not None
        pid = running.process.pid
        lifeline = str(Path(f"/proc/self/fd/{running.process.stdin.fileno()}").readlink())
        assert lifeline in pipes_of(pid)
        assert str(Path(f"/proc/{pid}/fd/0").readlink()) == os.devnull
        family = children_of(pid)
        assert family
        assert all(lifeline not in pipes_of(child) for child in family)
