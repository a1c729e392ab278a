"""Open a page in the user's browser, and leave the browser alone from then on.

The browser has to outlive omniid, and is nobody's child to wait for. So a small process of our own starts
the launcher, watches whether it fails at once, and ends; what still runs then is adopted and reaped by the
manager of the session. Under systemd it is a unit of its own, since a browser in omniid's unit would
be killed with it, and be held to its restraints: one from a snap cannot start under NoNewPrivileges.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence

WATCHED_S = 5.0  # a launcher that has not failed by then is taken to work
_ENDS_WITHIN_S = WATCHED_S + 5.0
_MOST_LAUNCHERS = 5
_NOT_FOUND = 127
_SIGNALLED = 128
_DESKTOP = ("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_CURRENT_DESKTOP", "XDG_SESSION_TYPE", "BROWSER")
# What systemd says to this service alone.
_SERVICE = {"NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC", "INVOCATION_ID", "CREDENTIALS_DIRECTORY"}


async def open_page(url: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """Hand a page, whose address `weblink.judge` allowed, to the user's browser.

    Returns None when it was handed over, which takes up to `WATCHED_S`, else one sentence why it was not.
    """
    if url.startswith("-"):
        return _failure("what is to be opened is an option, not an address")
    reasons = {}
    for launcher in launchers(url, environ):
        for command in _commands(launcher, environ):
            reason = await _handed_over(command, environ)
            if not reason:
                return None
            reasons[launcher[0]] = f"{launcher[0]} {reason}"
    return _failure(", ".join(reasons.values()) or "this session has no display, and BROWSER is not set")


def launchers(url: str, environ: Mapping[str, str], platform: str = sys.platform) -> list[list[str]]:
    """The command lines that may open a page, the preferred one first."""
    if platform == "darwin":
        return [["open", url]]
    found = _chosen(environ.get("BROWSER", ""), url)
    if found or environ.get("DISPLAY") or environ.get("WAYLAND_DISPLAY"):
        found += [["xdg-open", url], ["gio", "open", url]]
    return found


def _chosen(wanted: str, url: str) -> list[list[str]]:
    """`$BROWSER`: commands with colons between, where `%s` is the page's place, else it comes last."""
    found = []
    for entry in wanted.split(":")[:_MOST_LAUNCHERS]:
        try:
            words = shlex.split(entry)
        except ValueError:
            continue  # an open quote; the other launchers follow
        if words:
            placed = [word.replace("%s", url) for word in words]
            found.append(placed if placed != words else [*words, url])
    return found


def _commands(launcher: list[str], environ: Mapping[str, str]) -> list[list[str]]:
    """How to run a launcher out of omniid's reach: where systemd started us, first as a unit of its own."""
    # -I: neither the folder nor the environment can replace a module of the little that it imports.
    apart = [sys.executable, "-I", __file__, *launcher]
    if "INVOCATION_ID" not in environ:
        return [apart]
    # "forking": started once our process ends well, and alive until the last of the browser's ends. systemd
    # expands variables in a command, so that an address could ask for what the environment holds: hence `$$`.
    unit = ["systemd-run", "--user", "--collect", "--quiet", "--description=A page that omniid opens"]
    unit += ["--service-type=forking", "--property=GuessMainPID=no"]
    unit += [f"--property=TimeoutStartSec={_ENDS_WITHIN_S:.0f}"]
    unit += [f"--setenv={name}={environ[name]}" for name in _DESKTOP if name in environ]
    return [[*unit, "--", *(word.replace("$", "$$") for word in apart)], apart]


async def _handed_over(command: Sequence[str], environ: Mapping[str, str]) -> str:
    """Run a command that ends soon; nothing when it did so well, else what the launcher did instead."""
    nothing = asyncio.subprocess.DEVNULL
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=nothing, stdout=nothing, stderr=nothing, env=_environment(environ)
        )
    except OSError as error:
        return f"cannot be started ({error.strerror})"
    try:
        async with asyncio.timeout(_ENDS_WITHIN_S):
            code = await process.wait()
    except TimeoutError:
        return "did not start in time"
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if code == _NOT_FOUND:
        return "is not installed"
    return f"ended with exit code {code}" if code else ""


def _environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Without our settings, where tokens may stand."""
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith("OMNIID_") and name not in _SERVICE
    }


def _failure(reason: str) -> str:
    return f"No browser could be opened: {reason}."


def _launch(command: list[str]) -> int:
    """In the process between: start a launcher in a session of its own, and its exit code if it ends soon."""
    if shutil.which(command[0]) is None:
        return _NOT_FOUND
    nothing = subprocess.DEVNULL
    launcher = subprocess.Popen(  # noqa: S603 an argument list, of an address that was judged
        command, stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True
    )
    try:
        code = launcher.wait(WATCHED_S)
    except subprocess.TimeoutExpired:
        return 0
    return code if code >= 0 else _SIGNALLED - code


if __name__ == "__main__":
    sys.exit(_launch(sys.argv[1:]))
