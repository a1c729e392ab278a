"""The desktop's own shortcuts (XDG GlobalShortcuts portal): the user allows them, and only they are told.

The way for Wayland. The desktop decides which key it really gives, and says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Never

from omniid.errors import HotkeyError
from omniid.hotkeys.contract import Binding, Keys, Live
from omniid.hotkeys.filtered import FilteredKeys
from omniid.hotkeys.portal_bus import Desktop, Shortcuts
from omniid.hotkeys.portal_words import ReleaseWatch, note_of, shortcut_id

ANSWER_WITHIN_S = 20.0  # the portal may have to be started first


class Portal:
    """The backend `portal`. `address` of the session bus; None: the environment's."""

    name = "portal"

    def __init__(self, address: str | None = None, *, answer_within_s: float = ANSWER_WITHIN_S) -> None:
        self._address = address
        self._answer_within_s = answer_within_s

    async def run(self, bindings: Sequence[Binding], keys: Keys, on_live: Callable[[Live], None]) -> Never:
        """Ask the desktop for the keys and listen. The user may be asked first, which takes what it takes.

        Raises:
            HotkeyError: `no_portal` (the desktop has none for shortcuts), `key_refused` (the user said no),
                `session_closed`, `server_gone` (the portal or the bus).
        """
        async with Desktop(self._address, self._answer_within_s) as desktop:
            with FilteredKeys((binding.owner for binding in bindings), keys) as filtered:
                session = _Session(bindings, filtered, on_live)
                desktop.on_signal = session.on_signal
                session.on_bound(await desktop.bind(bindings))
                try:
                    await desktop.ended
                except HotkeyError as error:
                    filtered.lose_all("session_closed" if error.code == "session_closed" else "server_gone")
                    raise
        raise AssertionError("a session ends with an error")


class _Session:
    """What the portal says of our keys, in our words."""

    def __init__(
        self, bindings: Sequence[Binding], filtered: FilteredKeys, on_live: Callable[[Live], None]
    ) -> None:
        self._owner_of = {shortcut_id(binding.owner): binding.owner for binding in bindings}
        self._bindings = bindings
        self._filtered = filtered
        self._on_live = on_live
        self._releases = ReleaseWatch()
        self._note: str | None = None
        self._told: Live | None = None

    def on_bound(self, shortcuts: Shortcuts) -> None:
        self._note = note_of(self._bindings, shortcuts)
        self._tell()

    def on_signal(self, member: str, what: str | Shortcuts) -> None:
        if not isinstance(what, str):
            if self._note is not None:
                self.on_bound(what)
            return
        owner = self._owner_of.get(what)
        now = asyncio.get_running_loop().time()
        if owner is not None and member == "Activated":
            self._on_activated(owner, now)
        elif owner is not None:
            self._releases.deactivated(owner)
            self._filtered.up(owner)
            self._tell()

    def _on_activated(self, owner: str, now: float) -> None:
        if self._releases.activated(owner, now):
            # The user presses the key again to end what the first press began.
            self._filtered.lose(owner, "no_release")
            self._tell()
            return
        self._filtered.down(owner)
        if not self._releases.are_seen:
            self._filtered.up(owner)

    def _tell(self) -> None:
        if self._note is None:  # the keys are not all bound yet
            return
        live = Live(Portal.name, self._releases.are_seen, self._note)
        if live != self._told:
            self._told = live
            self._on_live(live)
