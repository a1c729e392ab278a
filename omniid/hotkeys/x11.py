"""The X Window System: passive grabs, so that the server tells of our keys and of no others.

While one of our keys is held the server sends us what else is typed, too; it is dropped unseen.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Never

from omniid.errors import HotkeyError
from omniid.hotkeys.aside import call_aside
from omniid.hotkeys.contract import Binding, Keys, Live
from omniid.hotkeys.filtered import FilteredKeys
from omniid.hotkeys.x11_keys import Grabs, Plan, connect

ANSWER_WITHIN_S = 10.0
_SETTLE_S = 0.1  # one change of the layout is told in several events
# A press sooner after the last one of that key, without a release, is a repeat.
_REPEATS_WITHIN_MS = 1_500


class X11:
    """The backend `x11`. `display` such as `:0`; None: what DISPLAY names."""

    name = "x11"

    def __init__(self, display: str | None = None, *, answer_within_s: float = ANSWER_WITHIN_S) -> None:
        self._display_name = display
        self._answer_within_s = answer_within_s

    async def run(self, bindings: Sequence[Binding], keys: Keys, on_live: Callable[[Live], None]) -> Never:
        """Grab the keys and listen.

        Raises:
            HotkeyError: `no_display`, `key_taken` (by another program), `bad_chord` (not on this keyboard),
                `server_gone`.
        """
        grabs = await self._aside(lambda: connect(self._display_name), undo=Grabs.close)
        try:
            plan = await self._aside(lambda: grabs.hold(bindings))
            with FilteredKeys((binding.owner for binding in bindings), keys) as filtered:
                session = _Session(grabs, plan, filtered)
                on_live(Live(self.name, note=plan.note))
                while True:
                    await session.listen()
                    with filtered.lost_on_error("layout_changed"):
                        plan = await self._aside(lambda: grabs.hold(bindings, instead_of=session.plan))
                    if plan.note != session.plan.note:
                        on_live(Live(self.name, note=plan.note))
                    session.follow(plan)
        finally:
            grabs.close()

    async def _aside(self, work: Callable[[], Any], undo: Callable[[Any], None] | None = None) -> Any:
        """A call that waits for the server, which may hang."""
        try:
            return await call_aside(work, self._answer_within_s, undo)
        except TimeoutError as error:
            raise HotkeyError(
                f"The X server has not answered for {self._answer_within_s:g} s. If it hangs, log in again.",
                code="no_display",
            ) from error


class _Session:
    """What comes from one connection, between two changes of the keyboard's layout."""

    def __init__(self, grabs: Grabs, plan: Plan, filtered: FilteredKeys) -> None:
        self.plan = plan
        self._grabs = grabs
        self._filtered = filtered
        self._pressed: dict[str, int] = {}  # the key code that a chord went down with, by owner
        self._last_press: dict[int, int] = {}  # by key code, in the server's milliseconds
        self._grabbing: int | None = None  # the key whose press took the keyboard for us
        self._loop = asyncio.get_running_loop()

    async def listen(self) -> None:
        """Take events until the layout has changed.

        Raises:
            HotkeyError: `server_gone`.
        """
        changed: asyncio.Future[None] = self._loop.create_future()

        def readable() -> None:
            try:
                for event in self._grabs.pending():
                    if self._grabs.tells_of_layout(event):
                        self._loop.call_later(_SETTLE_S, settle)
                    else:
                        self._on_key(event)
            except HotkeyError as error:
                self._loop.remove_reader(descriptor)  # at once: its number may soon be another's
                if not changed.done():
                    changed.set_exception(error)

        descriptor = self._grabs.fileno()

        def settle() -> None:
            if not changed.done():
                changed.set_result(None)

        self._loop.add_reader(descriptor, readable)
        try:
            readable()  # what came while we waited for an answer has been read from the socket already
            with self._filtered.lost_on_error("server_gone"):
                await changed
        finally:
            self._loop.remove_reader(descriptor)

    def follow(self, plan: Plan) -> None:
        """The layout has changed. A held key that is elsewhere now would never be seen to go up."""
        for owner in list(self._pressed):
            if plan.places.get(owner) != self.plan.places.get(owner):
                del self._pressed[owner]
                self._filtered.lose(owner, "layout_changed")
        self.plan = plan

    def _on_key(self, event: Any) -> None:
        if self._grabs.is_press(event):
            owner = self.plan.owner_of(event.detail, event.state)
            if owner is not None:
                self._on_press(owner, event.detail, event.time)
        elif self._grabs.is_release(event):
            self._on_release(event.detail)

    def _on_press(self, owner: str, key_code: int, time_ms: int) -> None:
        if self._grabbing is None:
            self._grabbing = key_code
        last = self._last_press.get(key_code)
        self._last_press[key_code] = time_ms
        if last is None or not 0 <= time_ms - last < _REPEATS_WITHIN_MS:
            self._pressed[owner] = key_code
            self._filtered.down(owner)

    def _on_release(self, key_code: int) -> None:
        self._last_press.pop(key_code, None)
        for owner, pressed in list(self._pressed.items()):
            if key_code == pressed or key_code in self.plan.modifier_codes.get(owner, ()):
                del self._pressed[owner]
                self._filtered.up(owner)
        if key_code == self._grabbing:
            self._grabbing = None
            self._lose_the_rest()

    def _lose_the_rest(self) -> None:
        """The server gives the keyboard back, and the releases of what is still held to other programs."""
        for owner in self._pressed:
            self._filtered.lose(owner, "no_release")
        self._pressed.clear()
