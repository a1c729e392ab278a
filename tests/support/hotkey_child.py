"""Runs one backend in a process of its own and prints what it says, a JSON list a line.

python hotkey_child.py BACKEND OWNER=CHORD...
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path

import structlog

from omniid.errors import HotkeyError
from omniid.hotkeys.chord import parse
from omniid.hotkeys.contract import Backend, Binding, Live
from omniid.hotkeys.hotkeys import open_backend


def say(*words: object) -> None:
    print(json.dumps(words), flush=True)  # noqa: T201 - how the test hears us


class Printed:
    def pressed(self, owner: str) -> None:
        say("pressed", owner)

    def released(self, owner: str) -> None:
        say("released", owner)

    def lost(self, owner: str, reason: str) -> None:
        say("lost", owner, reason)


def on_live(live: Live) -> None:
    say("live", live.backend, live.sees_releases, live.note)


async def main(name: str, *pairs: str) -> None:
    wanted = [Binding(owner, parse(chord)) for owner, _, chord in (pair.partition("=") for pair in pairs)]
    folder = os.environ.get("OMNIID_TEST_KEYBOARDS")
    backend = _other_keyboards(Path(folder)) if folder else open_backend(name)
    try:
        await backend.run(wanted, Printed(), on_live)
    except HotkeyError as error:
        say("error", error.code, error.message)


def _other_keyboards(folder: Path) -> Backend:
    from omniid.hotkeys.keyboards import Evdev  # noqa: PLC0415 - the benchmark counts what a backend loads

    return Evdev(folder)


if __name__ == "__main__":
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    asyncio.run(main(*sys.argv[1:]))
