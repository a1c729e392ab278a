"""A child that lives through a full, a mended and a read-only disk, in a mount namespace of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from support.moments import wall

from omniid.errors import StorageError
from omniid.fate import State
from omniid.storage.database import Database
from omniid.storage.outbox import Limits, NewCommand, Outbox

LIMITS = Limits(600, 86_400, 100_000, 1_000_000_000)


def mount(*arguments: str) -> None:
    subprocess.run(["mount", *arguments], check=True)


async def refused(outbox: Outbox) -> bool:
    try:
        await outbox.add(NewCommand(str(uuid.uuid4()), "text", "x" * 5_000, {}), wall())
    except StorageError:
        return True
    return False


async def main(folder: Path) -> None:
    mount("-t", "tmpfs", "-o", "size=768k", "tmpfs", str(folder))
    async with Database(folder / "omniid.db") as database:
        outbox = Outbox(database, LIMITS)
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
    with pytest.raises(StorageError, match=r"(?i)read-?only"):
        async with Database(folder / "omniid.db") as database:
            await Outbox(database, LIMITS).add(NewCommand("c", "text", "x", {}), wall())


def no_damage_in(folder: Path) -> bool:
    return not list(folder.glob("*.damaged*"))


asyncio.run(main(Path(sys.argv[1])))
assert no_damage_in(Path(sys.argv[1]))
