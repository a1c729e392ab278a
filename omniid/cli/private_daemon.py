"""A daemon in folders of its own, for the demo, the benchmarks and the tests; nothing of yours is touched."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from omniid.control.client import Client
from omniid.errors import NotRunningError, OmniidError

_READY_WITHIN_S = 30.0
_STOPS_WITHIN_S = 8.0

Config = Mapping[str, Mapping[str, Any]]


class PrivateDaemon:
    """`omniid run` as a child process, and the stream of what happens in it.

    `config` holds the sections of a config.toml; `environment` is added to this process's own. No key is
    listened for unless `config` says so: the user's own daemon may be running beside it.
    """

    def __init__(self, folder: Path, config: Config, environment: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.client = Client(folder / "run" / "omniid.sock")
        self.log = folder / "daemon.log"
        self.ready_after_s = 0.0
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("OMNIID_")},
            **(environment or {}),
            "OMNIID_CONFIG": str(folder / "config.toml"),
            "XDG_DATA_HOME": str(folder / "data"),
            "XDG_STATE_HOME": str(folder / "state"),
        }
        no_key: Config = {"hotkey": {"backend": "none"}}
        self._config = {**no_key, **config, "control": {"socket": self.client.path}}
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        (self.folder / "config.toml").write_text(_toml(self._config), encoding="utf-8")
        started = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "omniid", "run"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        try:
            self._wait_until_ready(started)
        except OmniidError:
            self.stop()
            raise
        threading.Thread(target=self._follow, daemon=True, name="events").start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> int:
        """End the daemon as a service manager would; its exit status."""
        assert self.process is not None  # noqa: S101 started in __enter__
        self.process.terminate()
        try:
            return self.process.wait(_STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def status(self) -> dict[str, Any]:
        return self.client.call("GET", "/v1/status")

    def next_event(self, timeout_s: float) -> dict[str, Any]:
        """What happened next, as {id, event, data}.

        Raises:
            OmniidError: nothing happened in time, or the daemon ended.
        """
        try:
            event = self._events.get(timeout=timeout_s)
        except queue.Empty:
            raise OmniidError(f"Nothing happened for {timeout_s:.0f} s. {self._where_to_look()}") from None
        if event is None:
            raise OmniidError(f"The daemon ended. {self._where_to_look()}")
        return event

    def _wait_until_ready(self, started: float) -> None:
        assert self.process is not None  # noqa: S101 started in __enter__
        while time.monotonic() - started < _READY_WITHIN_S:
            if self.process.poll() is not None:
                raise OmniidError(f"The daemon did not start. {self._where_to_look()}")
            try:
                self.client.call("GET", "/v1/health")
            except NotRunningError:
                time.sleep(0.01)
            else:
                self.ready_after_s = time.monotonic() - started
                return
        raise OmniidError(f"The daemon was not ready within {_READY_WITHIN_S:.0f} s. {self._where_to_look()}")

    def _follow(self) -> None:
        try:
            for event in self.client.events():
                self._events.put(event)
        except (OmniidError, OSError):
            pass  # the daemon is gone; the end of the stream says so
        self._events.put(None)

    def _where_to_look(self) -> str:
        tail = self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-5:]
        return "\n  ".join([f"Its log is {self.log}; it ends with:", *tail])


def _toml(config: Config) -> str:
    lines: list[str] = []
    for section, keys in config.items():
        lines.append(f"[{section}]")
        lines += [f"{key} = {_toml_value(value)}" for key, value in keys.items()]
    return "\n".join([*lines, ""])


def _toml_value(value: Any) -> str:
    """JSON's strings, numbers and booleans are TOML's too; its objects are not."""
    match value:
        case dict():
            return "{" + ", ".join(f"{key} = {_toml_value(inner)}" for key, inner in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(map(_toml_value, value)) + "]"
        case _:
            return json.dumps(value, default=str)
