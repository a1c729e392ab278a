"""Between the daemon's events and the desktop's notifications: events go out as notices, clicks come back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from omniid.events import Event
from omniid.notice_board import Notice
from omniid.notices import Notices


class Notifications(Protocol):
    """What shows notices. `show` and `withdraw` must be quick and must not raise."""

    def show(self, notice: Notice) -> None: ...

    def withdraw(self, tag: str) -> None: ...

    async def run(self) -> None:
        """Until cancelled."""


class Notifier:
    """`post` is given what a click means. Like `observe`, it is called on the event loop."""

    def __init__(
        self,
        notices: Notices,
        make: Callable[[Callable[[str, str], None]], Notifications],
        post: Callable[[Event], None],
    ) -> None:
        """`make` gives what shows notices, and takes what to call with the tag and the key of a click."""
        self._notices = notices
        self._notifications = make(self.on_action)
        self._post = post

    def observe(self, event: Event) -> None:
        for wanted in self._notices.on(event):
            if isinstance(wanted, Notice):
                self._notifications.show(wanted)
            else:
                self._notifications.withdraw(wanted.tag)

    def on_action(self, tag: str, key: str) -> None:
        event = self._notices.answer(tag, key)
        if event is not None:
            self._post(event)

    async def run(self) -> None:
        await self._notifications.run()
