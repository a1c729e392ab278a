"""macOS, through osascript: notices without actions, which cannot be taken away again."""

from __future__ import annotations

import asyncio
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Sequence

from omniid.notice_board import Notice
from omniid.notifications import text
from omniid.notifications.contract import PACE, NotShownError, Pace

# The text comes as arguments, so that no part of it is ever read as script.
_SCRIPT = (
    "on run argv",
    "display notification (item 3 of argv) with title (item 2 of argv)",
    "end run",
)
_FIRST = "omniid"  # ends the options: a text may begin with a hyphen


class MacOS:
    """`command`: osascript, as it is started."""

    def __init__(self, command: Sequence[str] = ("osascript",), pace: Pace = PACE) -> None:
        self._command = tuple(command)
        self._pace = pace

    async def show(self, notice: Notice) -> None:
        lines = [word for line in _SCRIPT for word in ("-e", line)]
        texts = (_FIRST, text.title(notice.title), text.body(notice.body))
        try:
            child = await asyncio.create_subprocess_exec(
                *self._command, *lines, *texts, stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE
            )
        except OSError as error:
            raise NotShownError(
                f"Notifications cannot be shown: osascript does not start ({error.strerror}).",
                is_away=True,
                is_lost=True,
            ) from error
        try:
            async with asyncio.timeout(self._pace.answer_s):
                _, said = await child.communicate()
        except TimeoutError as error:
            raise NotShownError(
                "Notifications cannot be shown: osascript does not end.", is_away=True
            ) from error
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        if child.returncode:
            why = text.title(said.decode(errors="replace")).rstrip(".") or f"status {child.returncode}"
            raise NotShownError(f"A notification was not shown: osascript says {why!r}.")

    async def begin(self) -> None:
        """Nothing with a button was left."""

    async def withdraw(self, tag: str) -> None:
        """It stays: macOS takes none away for a script."""

    def shows(self, tag: str) -> bool:  # noqa: ARG002 none can be taken away
        return False

    async def close(self) -> None:
        """Nothing is held."""
