"""The desktop session this service belongs to, also where the service was started before the desktop.

systemd starts user services at login, often before the compositor has said which display it has. A process
keeps the environment it was started with, so the user manager is asked until it knows.
"""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import Mapping, MutableMapping

import structlog

log = structlog.get_logger()

WANTED = ("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_SESSION_TYPE", "XDG_CURRENT_DESKTOP")
FIRST_S = 1.0
LONGEST_S = 60.0
ANSWER_WITHIN_S = 5.0
_COMMAND = ("systemctl", "--user", "show-environment")


def is_missing(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a service manager started us before there was a display."""
    return "INVOCATION_ID" in environ and not _has_display(environ)


async def find(environ: MutableMapping[str, str] = os.environ) -> None:
    """Return once `environ` names a display: at once where it does, or where no systemd started us."""
    wait_s = FIRST_S
    while is_missing(environ):
        found = chosen(await _manager_environment())
        if _has_display(found):
            environ.update(found)
            log.info("the desktop session has come", display=found.get("WAYLAND_DISPLAY") or found["DISPLAY"])
            return
        await asyncio.sleep(wait_s)
        wait_s = min(2 * wait_s, LONGEST_S)


def chosen(printed: str) -> dict[str, str]:
    """What concerns the desktop in the output of `systemctl --user show-environment`."""
    found = {}
    for line in printed.splitlines():
        name, _, value = line.partition("=")
        if name in WANTED:
            found[name] = _unquoted(value)
    return found


def _unquoted(value: str) -> str:
    """The value as it was before systemd wrote it for a shell, as `$'…'` where it is unusual."""
    try:
        return "".join(shlex.split(value.removeprefix("$")))
    except ValueError:
        return value


def _has_display(environ: Mapping[str, str]) -> bool:
    return bool(environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"))


async def _manager_environment() -> str:
    nothing = asyncio.subprocess.DEVNULL
    try:
        child = await asyncio.create_subprocess_exec(
            *_COMMAND, stdin=nothing, stdout=asyncio.subprocess.PIPE, stderr=nothing
        )
    except OSError:
        return ""  # no systemctl: then no user manager either
    try:
        async with asyncio.timeout(ANSWER_WITHIN_S):
            printed, _ = await child.communicate()
            return printed.decode(errors="replace")
    except TimeoutError:
        return ""
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
