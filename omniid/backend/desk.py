"""Answers one command at a time: what to say, then the disk, and only then the reply."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable
from datetime import datetime

from omniid.backend import conversation
from omniid.backend.consent.door import Door
from omniid.backend.consent.register import Ask, Decision
from omniid.backend.conversation import Calendars
from omniid.backend.records import Memory
from omniid.backend.store import Store
from omniid.errors import OmniidError, StorageError
from omniid.protocol.messages import CommandPayload

_log = logging.getLogger("omniid.backend")


class Desk:
    """Blocks while the disk is slow. Commands come from one thread, the user's consents from others."""

    def __init__(
        self, store: Store, calendars: Calendars, door: Door, announce: Callable[[str], None]
    ) -> None:
        """`announce` sends a frame to every client; it is called from any thread."""
        self._store = store
        self._calendars = calendars
        self._door = door
        self._announce = announce
        self._lock = threading.Lock()
        self._memory, self._notice = store.load()

    def answer(self, command: CommandPayload, now: datetime) -> str:
        """The frame to send. Whatever it claims is on the disk by then."""
        try:
            with self._lock:
                return self._answer(command, now)
        except Exception as error:  # noqa: BLE001 one sentence that breaks a skill must not block every other
            # The traceback's lines, without the error's text, which may hold the user's words.
            where = "".join(traceback.format_tb(error.__traceback__))
            _log.error("a command failed with %s\n%s", type(error).__name__, where)
            return conversation.broken(command, now)

    def _answer(self, command: CommandPayload, now: datetime) -> str:
        step = conversation.answer(command, self._memory, now, self._calendars, self._notice)
        if isinstance(step, Ask):
            return self._asked(command, step, now)
        if step.memory is self._memory:
            return step.frame
        try:
            self._store.save(step.memory)
        except StorageError as error:
            _log.error("not saved: %s", error.message)
            if _changes(self._memory, step.memory):
                return conversation.not_kept(command, error, now)
            # Nothing was changed but that this was answered, which is remembered at least here.
        self._memory = step.memory
        self._notice = ""
        return step.frame

    def _asked(self, command: CommandPayload, ask: Ask, now: datetime) -> str:
        try:
            url = self._door.open(ask, self._decided)
        except OmniidError as error:
            _log.error("no consent can be asked for: %s", error.message)
            return conversation.refused(command, error, now)
        return conversation.consent_needed(command, url, now)

    def _decided(self, ask: Ask, decision: Decision, url: str) -> None:
        """Keeps a consent, and only then lets the clients know.

        Raises:
            StorageError: it could not be kept, and so was not given.
        """
        now = datetime.now().astimezone()
        allowed = decision is Decision.ALLOW
        if allowed:
            with self._lock:
                memory = conversation.permit(self._memory, ask, now)
                self._store.save(memory)
                self._memory = memory
        self._announce(conversation.consent_given(url, now, success=allowed))


def _changes(before: Memory, after: Memory) -> bool:
    return (before.tasks, before.consents) != (after.tasks, after.consents)
