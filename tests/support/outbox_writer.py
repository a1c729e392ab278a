"""A child that accepts commands as fast as it can and prints each id once it is acknowledged."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import uuid_utils
from support.moments import wall

from omniid.storage.database import Database
from omniid.storage.outbox import Limits, NewCommand, Outbox, Recipient


async def main() -> None:
    async with Database(Path(sys.argv[1])) as database:
        outbox = Outbox(database, Limits(600, 86_400, 1_000_000, 1_000_000_000))
        while True:
            command, _ = await outbox.add(NewCommand(str(uuid_utils.uuid7()), "text", "x", {}), wall())
            print(command.id, flush=True)  # noqa: T201 the parent reads it
            taken = await outbox.begin_attempts(wall(), 1, Recipient("a backend", dedupes=False))
            assert taken.commands


asyncio.run(main())
