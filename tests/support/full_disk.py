"""A child that lives through a full, then a mended, then a read-only disk, in a mount namespace of its own."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import uuid
from pathlib import Path

from support.moments import wall

from omniid.errors import StorageError
from omniid.fate import State
from omniid.storage.database import Database
from omniid.storage.outbox import Limits, NewCommand, Outbox


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


async def refused(outbox: Outbox) -> bool:
    try:
        await outbox.add(NewCommand(str(uuid.uuid4()), "text", "x" * 5_000, {}), wall())
    except StorageError as error:
        assert "cannot be used" in error.message
        return True
    return False


async def main(folder: Path) -> None:
    mount("-t", "tmpfs", "-o", "size=512k", "tmpfs", str(folder))
    async with Database(folder / "omniid.db") as database:
        outbox = Outbox(database, Limits(600, 86_400, 100_000, 1_000_000_000))
        accepted = 0
        while not await refused(outbox):
            accepted += 1
        assert accepted > 10
        assert await refused(outbox)
        assert await outbox.counts() == {State.QUEUED: accepted}
        mount("-o", "remount,size=8m", str(folder))
        assert not await refused(outbox)
        assert await outbox.counts() == {State.QUEUED: accepted + 1}
    mount("-o", "remount,ro", str(folder))
    try:
        async with Database(folder / "omniid.db") as database:
            assert await refused(Outbox(database, Limits(600, 86_400, 100_000, 1_000_000_000)))
    except StorageError as error:
        assert "Read-only" in error.message or "readonly" in error.message
    assert not list(folder.glob("*.damaged*")), os.listdir(folder)


asyncio.run(main(Path(sys.argv[1])))
