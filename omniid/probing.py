"""Asks a process of its own which sound devices there are: asking can hang, and must not hang us."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

PROBE_WITHIN_S = 10.0
HUNG = "The sound server does not answer. Restart it: systemctl --user restart pipewire pipewire-pulse."
COMMAND = (sys.executable, "-P", "-m", "omniid.audio.probe")


async def probe() -> dict[str, Any]:
    """What `omniid.audio.probe` sees; never raises for a machine that has nothing."""
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    child = await asyncio.create_subprocess_exec(*COMMAND, stdin=pipe, stdout=pipe, stderr=nothing)
    assert child.stdout is not None  # noqa: S101 it was asked for above
    try:
        async with asyncio.timeout(PROBE_WITHIN_S):
            # Not communicate(): newer Pythons close standard input there, and the probe would end with it.
            printed = await child.stdout.read()
            await child.wait()
        found: dict[str, Any] = json.loads(printed)
    except TimeoutError:
        return _nothing(HUNG)
    except ValueError:
        return _nothing(f"The sound library failed (exit {child.returncode}).")
    else:
        return found
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


def _nothing(problem: str) -> dict[str, Any]:
    return {"inputs": [], "outputs": [], "problem": problem}
