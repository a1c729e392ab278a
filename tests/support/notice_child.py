"""A process that shows what is to be read, then a question, and is killed.

python notice_child.py BUS_ADDRESS LEFTOVERS
"""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE
from pathlib import Path

from support.hotkeys import WITHIN_S

from omniid.notice_board import Notice
from omniid.notifications.freedesktop import Freedesktop

READ = Notice("conversation", "omniid", "It is noon.")
ASKED = Notice("question:q1", "omniid asks", "Send it?", (("yes", "Yes"), ("no", "No")))


async def killed(address: str, leftovers: Path) -> None:
    """It has shown both, and has been killed."""
    child = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "support.notice_child", address, str(leftovers)),
        stdout=PIPE,
        cwd=Path(__file__).parent.parent,
    )
    assert child.stdout is not None
    try:
        async with asyncio.timeout(WITHIN_S):
            assert await child.stdout.readline() == b"shown\n"
    finally:
        child.kill()
        await child.wait()


async def main(address: str, leftovers: str) -> None:
    screen = Freedesktop(lambda _tag, _key: None, lambda: None, address=address, leftovers=Path(leftovers))
    await screen.show(READ)
    await screen.show(ASKED)
    print("shown", flush=True)  # noqa: T201 the parent waits for it
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
