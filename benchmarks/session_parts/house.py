"""What the parts of the session's benchmark share: the server, a daemon, the same frames, readings."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uuid_utils

from omniid.cli.private_daemon import Config, PrivateDaemon
from omniid.moment import Moment
from omniid.protocol.link import Link, LinkSettings, Outgoing

# No sound server, no model hub and no keyring of the machine's own may be found by chance.
_QUIET_HOUSE = {"HF_HUB_OFFLINE": "1", "PULSE_SERVER": "unix:/nonexistent"}
_STANDS_WITHIN_S = 60.0


class Server:
    """The backend of server.py as a child process."""

    def __enter__(self) -> Self:
        program = Path(__file__).with_name("server.py")
        self._process = subprocess.Popen(
            [sys.executable, str(program)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.communicate()

    def ask(self, do: str, **given: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"do": do, **given}), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        assert line, "the server has ended"
        answer: dict[str, Any] = json.loads(line)
        return answer

    def up(self, mode: str, *, held: bool = False) -> str:
        """Serve in this mode; the URL."""
        return f"ws://127.0.0.1:{self.ask('up', mode=mode, held=held)['port']}/ws"


class QuietDaemon(PrivateDaemon):
    """A daemon whose event stream nobody reads: that would cost it what the peer has no counterpart of."""

    def __init__(self, folder: Path, url: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        super().__init__(folder, _config(url), _QUIET_HOUSE)

    def _follow(self) -> None:
        self._events.put(None)

    def until_it_stands(self, link: str = "ready") -> None:
        """Wait for the link to be so, and for the ear to have started: that takes CPU time from the rest."""
        until = time.monotonic() + _STANDS_WITHIN_S
        while time.monotonic() < until:
            status = self.status()
            if status["link"] == link and status["workers"]["ear"]["running"]:
                return
            time.sleep(0.05)
        raise TimeoutError(f"the daemon does not stand after {_STANDS_WITHIN_S:.0f} s: {self.status()}")

    def ask(self, message: str, *, wait_s: float = 0.0) -> dict[str, Any]:
        """A typed command on a connection of its own, as each client makes one."""
        return self.client.call("POST", "/v1/commands", {"message": message, "wait_s": wait_s}, wait_s=wait_s)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid


def _config(url: str) -> Config:
    """The defaults, without caps and a rate limit, without a voice, and with next to no log."""
    return {
        "backend": {"url": url, "user_id": "benchmark", "token": "benchmark", "timezone": "Europe/Berlin"},
        "session": {"rate_limit_per_minute": 0},
        "delivery": {"max_commands": 10_000_000, "max_bytes": 10_000_000_000},
        "speech": {"engine": "none"},
        "log": {"level": "error"},
    }


def words(number: int, of: str) -> str:
    """A command of a usual length that is like no other."""
    return f"add {of} {number} to the shopping list and remind me of it on Friday evening"


def frames(messages: Sequence[str]) -> list[str]:
    """The very frames that omniid sends for these messages."""
    now = Moment(time.monotonic(), datetime.now(UTC))
    link = Link(LinkSettings("benchmark", "Europe/Berlin", 16, 120.0), now)
    outgoing = [Outgoing(str(uuid_utils.uuid7()), "text", message, {}) for message in messages]
    return [frame for frame in link.commands(outgoing, now) if isinstance(frame, str)]


# --- readings ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process has used so far. `wakeups` are its voluntary context switches, of all threads."""

    cpu_s: float
    wakeups: int

    def since(self, before: Usage) -> Usage:
        return Usage(self.cpu_s - before.cpu_s, self.wakeups - before.wakeups)


def usage(pid: int) -> Usage:
    wakeups = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        status = (thread / "status").read_text(encoding="utf-8", errors="replace")
        wakeups += int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])
    return Usage(cpu_s(pid), wakeups)


def cpu_s(pid: int) -> float:
    """To the nanosecond: a process's own clock, by the number that clock_getcpuclockid(3) gives."""
    return time.clock_gettime(~pid << 3 | 2)


def pss_mb(pid: int) -> float:
    """Memory with shared pages counted once."""
    return _kb(Path(f"/proc/{pid}/smaps_rollup"), "Pss:") / 1024


def _kb(path: Path, name: str) -> int:
    for line in path.read_text(encoding="ascii").splitlines():
        if line.startswith(name):
            return int(line.split()[1])
    raise ValueError(f"no {name} in {path}")


def share(readings: Sequence[float], percent: float) -> float:
    """The reading that `percent` of all do not exceed."""
    ordered = sorted(readings)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def ms(seconds: float) -> str:
    return f"{seconds * 1000:.2f} ms"
