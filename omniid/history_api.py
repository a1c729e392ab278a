"""What the control API's verbs about the history do."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime

from omniid.control.schema import HistoryCleared, HistoryMessageView, HistoryView
from omniid.control.server import Call
from omniid.errors import BadRequestError
from omniid.moment import Moment
from omniid.storage.history import MOST_ON_A_PAGE, History
from omniid.storage.messages import Stored
from omniid.storage.outbox import Outbox


class HistoryVerbs:
    """The conversations."""

    def __init__(
        self,
        history: History,
        outbox: Outbox,
        caught_up: Callable[[], Awaitable[None]],
        clock: Callable[[], Moment],
    ) -> None:
        self._history = history
        self._outbox = outbox
        self._caught_up = caught_up
        self._clock = clock

    async def history(self, call: Call) -> HistoryView:
        """A page, with what was said a moment ago, though that is written behind the events."""
        await self._caught_up()
        page = await self._history.page(
            _whole(call.query, "limit", most=MOST_ON_A_PAGE) or 50,
            before=_whole(call.query, "before", most=2**62),
            query=call.query.get("q"),
            since=_moment(call.query.get("since")),
        )
        return HistoryView(
            messages=[_message_view(stored) for stored in page.messages],
            before=page.before,
            enabled=self._history.enabled,
        )

    async def history_clear(self, _: Call) -> HistoryCleared:
        """Forget the messages, and what the commands that are over said.

        The messages go last: where this is cut short they are still seen, and cleared once more.
        """
        await self._outbox.forget_texts(self._clock().wall)
        return HistoryCleared(deleted=await self._history.clear())


def _message_view(stored: Stored) -> HistoryMessageView:
    message = stored.message
    return HistoryMessageView(
        id=message.id,
        at=message.at.isoformat(),
        sender=message.sender,
        kind=message.kind,
        text=message.text,
        whole_bytes=message.whole_bytes,
        command_id=message.command_id,
        metadata=message.metadata,
        reply=message.reply,
    )


def _whole(query: Mapping[str, str], name: str, *, most: int) -> int | None:
    value = query.get(name)
    if value is None:
        return None
    digits = len(str(most))  # a number of a million digits is not even read
    if not (value.isascii() and value.isdecimal() and len(value) <= digits and 1 <= int(value) <= most):
        raise BadRequestError(f"{name} should be a whole number from 1 to {most:,}.")
    return int(value)


def _moment(value: str | None) -> datetime | None:
    if value is None:
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise BadRequestError("since should be a moment with its zone, such as since=2026-03-01T00:00:00Z.")
    return moment
