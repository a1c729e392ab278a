"""JACK's client library, which PortAudio on Linux starts along with itself, wanted or not.

It opens a small database in shared memory, one for each user, and holds locks in there for a moment. A
process that is killed in that moment leaves them held: every later start of PortAudio by that user then
hangs, in any program, until the machine is restarted. Without a JACK server the database is of no use to
anybody, so it is put away before each start.
"""

from __future__ import annotations

import logging
import os
import re
import secrets
import shutil
from pathlib import Path

_log = logging.getLogger(__name__)

_SHARED_MEMORY = Path("/dev/shm")  # noqa: S108 - where JACK keeps it; not a place of ours
_SOCKETS = Path("/proc/net/unix")


def clear_locks() -> None:
    """Let the next start of PortAudio find no lock of a dead process.

    Who is inside at this moment is not disturbed: an opened file stays whole when its name goes.
    """
    database = _SHARED_MEMORY / f"jack_db-{os.geteuid()}"
    try:
        if _server_runs():
            return
        database.rename(f"{database}.{secrets.token_hex(4)}")
        for put_away in _SHARED_MEMORY.glob(f"{database.name}.*"):
            shutil.rmtree(put_away)
    except FileNotFoundError:
        return  # no JACK here, or another process clears the same at this moment
    except OSError as error:
        _log.warning("JACK's locks cannot be cleared: %s", error)


def _server_runs() -> bool:
    """Whether a JACK server of this user listens: then the database is in use."""
    # A server for all users, which only this variable makes, has no user in the names of its sockets.
    whose = "" if "JACK_PROMISCUOUS_SERVER" in os.environ else f"_{os.geteuid()}"
    socket = re.compile(rf"{re.escape(str(_SHARED_MEMORY))}/jack_.*{whose}_\d+$", re.MULTILINE)
    return socket.search(_SOCKETS.read_text("ascii", "replace")) is not None
