"""A daemon in folders of its own, for the demo, the benchmarks and the tests; nothing of yours is touched.

`python -m omniid.cli.private_daemon [FOLDER]` is `omniid run` with a lifeline: it ends in its orderly way
when its standard input does, which is when whoever started it is gone, however that ended. The folder, where
one is named, goes then too: nobody else is left to remove it.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self

from omniid.control.client import Client
from omniid.errors import NotRunningError, OmniidError

_READY_WITHIN_S = 30.0
_STOPS_WITHIN_S = 8.0
_READ_BYTES = 1024
# Removes a folder once the other end of its standard input is gone.
_HEIR = "import os, shutil, sys; os.read(0, 1); shutil.rmtree(sys.argv[1], ignore_errors=True)"

Config = Mapping[str, Mapping[str, Any]]


class PrivateDaemon:
    """`omniid run` as a child process, and the stream of what happens in it.

    `config` holds the sections of a config.toml; `environment` is added to this process's own. No key is
    listened for unless `config` says so: the user's own daemon may be running beside it. It does not outlive
    this process; where this one is killed, a folder that `is_temporary` is removed.
    """

    def __init__(
        self,
        folder: Path,
        config: Config,
        environment: Mapping[str, str] | None = None,
        *,
        is_temporary: bool = False,
    ) -> None:
        self.folder = folder
        self._is_temporary = is_temporary
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
            self.process = subprocess.Popen(  # noqa: S603 ourselves
                [sys.executable, "-m", "omniid.cli.private_daemon", *self._named_folder()],
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                # Ctrl-C in a terminal, and its end, are for us, who end the daemon in order.
                start_new_session=True,
            )
        try:
            self._wait_until_ready(started)
        except (OmniidError, KeyboardInterrupt, SystemExit):
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
        assert self.process.stdin is not None  # noqa: S101 the lifeline, asked for there
        self.process.terminate()
        try:
            return self.process.wait(_STOPS_WITHIN_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self.process.stdin.close()

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

    def _named_folder(self) -> list[str]:
        return [str(self.folder)] if self._is_temporary else []

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


def _run(folder: str | None) -> None:
    """`omniid run`, for as long as the other end of standard input is held."""
    lifeline = os.dup(0)  # which what the daemon starts does not inherit, unlike standard input itself
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    threading.Thread(target=_end_with_parent, args=(lifeline, folder), daemon=True, name="lifeline").start()

    from omniid.cli.app import main  # noqa: PLC0415 slow to load: the lifeline holds already

    sys.argv[1:] = ["run"]
    main()


def _end_with_parent(lifeline: int, folder: str | None) -> NoReturn:
    while os.read(lifeline, _READ_BYTES):
        pass
    if folder is not None:
        # Kept here, so that the pipe to it closes when this process is gone.
        heir = subprocess.Popen([sys.executable, "-I", "-c", _HEIR, folder], stdin=subprocess.PIPE)  # noqa: F841, S603
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(_STOPS_WITHIN_S)
    os._exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    _run(sys.argv[1] if len(sys.argv) > 1 else None)
