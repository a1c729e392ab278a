"""Opens pages in the user's browser, one after the other, while nobody waits for that."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from omniid.events import PageOpened

_MOST_WAITING = 10
_TOO_MANY = "Too many pages wait to be opened."


class Pages:
    """`open_page` gives None, or why the page could not be opened; `post` takes what became of each."""

    def __init__(
        self, open_page: Callable[[str], Awaitable[str | None]], post: Callable[[PageOpened], None]
    ) -> None:
        self._open_page = open_page
        self._post = post
        self._waiting: asyncio.Queue[tuple[str, str]] = asyncio.Queue(_MOST_WAITING)

    def open(self, sign_in_id: str, url: str) -> None:
        if self._waiting.full():
            self._post(PageOpened(sign_in_id, _TOO_MANY))
        else:
            self._waiting.put_nowait((sign_in_id, url))

    async def run(self) -> None:
        while True:
            sign_in_id, url = await self._waiting.get()
            self._post(PageOpened(sign_in_id, await self._open_page(url)))
