"""`omniid run`, `omniid stop` and `omniid reconnect`: the daemon itself."""

from __future__ import annotations

import fcntl
import time

from omniid.control.client import Client
from omniid.errors import OmniidError

_STOPS_WITHIN_S = 10.0


def run() -> None:
    """Run the daemon in the foreground, until SIGTERM or Ctrl-C."""
    from omniid.daemon import run_daemon  # noqa: PLC0415 heavy: only the daemon needs it

    run_daemon()


def stop() -> None:
    """Stop the daemon and wait until it is gone."""
    client = Client()
    client.call("POST", "/v1/shutdown")
    deadline = time.monotonic() + _STOPS_WITHIN_S
    with (client.path.parent / "omniid.lock").open("rb") as lock:
        while time.monotonic() < deadline:
            try:
                # The daemon lets go of its lock last of all.
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.02)
            else:
                print("omniid has stopped.")
                return
    raise OmniidError(f"omniid has not stopped within {_STOPS_WITHIN_S:.0f} s. Its log may say why.")


def reconnect() -> None:
    """Replace the link to the backend now."""
    Client().call("POST", "/v1/reconnect")
