"""The clean edges of several keys, told in time: the pure filters with the event loop's timers round them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from types import TracebackType
from typing import Self

from omniid.errors import HotkeyError
from omniid.hotkeys.contract import Keys
from omniid.hotkeys.edges import Edge, EdgeFilter


class FilteredKeys:
    """Takes a backend's raw downs and ups by owner. As a context manager it ends every key still held."""

    def __init__(self, owners: Iterable[str], keys: Keys) -> None:
        self._filters = {owner: EdgeFilter() for owner in owners}
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._keys = keys
        self._loop = asyncio.get_running_loop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.lose_all("stopped")

    def is_pressed(self, owner: str) -> bool:
        return self._filters[owner].is_pressed

    def down(self, owner: str) -> None:
        """The key went down, or repeats."""
        self._tell(owner, self._filters[owner].down(self._loop.time()))

    def up(self, owner: str) -> None:
        self._tell(owner, self._filters[owner].up(self._loop.time()))

    def lose(self, owner: str, reason: str) -> None:
        self._tell(owner, self._filters[owner].lose(self._loop.time()), reason)

    def lose_all(self, reason: str) -> None:
        for owner in self._filters:
            self.lose(owner, reason)

    @contextlib.contextmanager
    def lost_on_error(self, reason: str) -> Iterator[None]:
        """A HotkeyError in the block says that keys are lost, and why."""
        try:
            yield
        except HotkeyError:
            self.lose_all(reason)
            raise

    def _due(self, owner: str) -> None:
        # A timer of the event loop may come a little before its time.
        deadline = self._filters[owner].deadline or 0.0
        self._tell(owner, self._filters[owner].due(max(self._loop.time(), deadline)))

    def _tell(self, owner: str, edges: list[Edge], reason: str = "") -> None:
        timer = self._timers.pop(owner, None)
        if timer is not None:
            timer.cancel()
        deadline = self._filters[owner].deadline
        if deadline is not None:
            self._timers[owner] = self._loop.call_at(deadline, self._due, owner)
        for edge in edges:
            match edge:
                case Edge.PRESSED:
                    self._keys.pressed(owner)
                case Edge.RELEASED:
                    self._keys.released(owner)
                case Edge.LOST:
                    self._keys.lost(owner, reason)
