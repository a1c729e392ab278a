"""A child that opens a database in the form asked for and can be killed on its way there.

    history_writer.py PATH KEY encrypt|decrypt STEP

It kills itself, as `kill -9` would, right before the STEP-th thing the conversion does to the disk.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from omniid.storage.database import Database

_TOUCHES_THE_DISK = frozenset({"open", "os.rename", "os.remove", "sqlite3.connect"})


def main() -> None:
    path, key, way, step = Path(sys.argv[1]), bytes.fromhex(sys.argv[2]), sys.argv[3], int(sys.argv[4])
    seen = 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen
        if event in _TOUCHES_THE_DISK and str(path) in str(arguments):
            seen += 1
            if seen == step:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)

    async def run() -> None:
        async with Database(path, key, encrypted=way == "encrypt"):
            pass

    asyncio.run(run())


main()
