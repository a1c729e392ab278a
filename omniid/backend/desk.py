"""Answers one command at a time: what to say, then the disk, and only then the reply."""

from __future__ import annotations

import logging
import traceback
from datetime import datetime

from omniid.backend import conversation
from omniid.backend.store import Store
from omniid.errors import StorageError
from omniid.protocol.messages import CommandPayload

_log = logging.getLogger("omniid.backend")


class Desk:
    """Blocks while the disk is slow; to be called from one thread at a time."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._memory, self._notice = store.load()

    def answer(self, command: CommandPayload, now: datetime) -> str:
        """The frame to send. Whatever it claims is on the disk by then."""
        try:
            return self._answer(command, now)
        except Exception as error:  # noqa: BLE001 one sentence that breaks a skill must not block every other
            # The traceback's lines, without the error's text, which may hold the user's words.
            where = "".join(traceback.format_tb(error.__traceback__))
            _log.error("a command failed with %s\n%s", type(error).__name__, where)
            return conversation.broken(command, now)

    def _answer(self, command: CommandPayload, now: datetime) -> str:
        step = conversation.answer(command, self._memory, now, self._notice)
        if step.memory is self._memory:
            return step.frame
        try:
            self._store.save(step.memory)
        except StorageError as error:
            _log.error("not saved: %s", error.message)
            if step.memory.tasks != self._memory.tasks:
                return conversation.not_kept(command, error, now)
            # Nothing was changed but that this was answered, which is remembered at least here.
        self._memory = step.memory
        self._notice = ""
        return step.frame
