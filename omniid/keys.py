"""From a key on the keyboard to an event: which keys there are, and what each wants of its takes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import uuid_utils

from omniid import desktop
from omniid.config import Hotkey, Mode, Profile
from omniid.errors import NotFoundError
from omniid.events import (
    Event,
    HotkeyChanged,
    KeyLost,
    KeyPressed,
    KeyReleased,
    Manner,
    TakeCancelRequested,
)
from omniid.hotkeys import chord
from omniid.hotkeys.contract import Binding, Live
from omniid.hotkeys.hotkeys import Hotkeys, NotLive

MAIN = "hotkey"
CANCEL = "cancel-hotkey"


def manner(hotkey: Hotkey, profile: str | None, mode: Mode) -> Manner:
    """What a take wants that begins with this profile.

    Raises:
        NotFoundError: there is no such profile.
    """
    if profile is None:
        return Manner(mode)
    for known in hotkey.profiles:
        if known.name == profile:
            return _manner_of(known, mode)
    names = ", ".join(repr(known.name) for known in hotkey.profiles) or "none"
    raise NotFoundError(f"There is no profile {profile!r} in hotkey.profiles; there are: {names}.")


def bindings(hotkey: Hotkey) -> list[Binding]:
    """Every key there is to listen for, each with its owner."""
    keys = [(MAIN, hotkey.key), *((_owner(each), each.key) for each in hotkey.profiles)]
    return [Binding(owner, chord.parse(key)) for owner, key in [*keys, (CANCEL, hotkey.cancel_key)] if key]


class KeyDesk:
    """Takes what the hotkey backend sees; it is the backend's `Keys`, and `changed` its `on_change`.

    `let_go` is told of each release first, so that no slow disk keeps the microphone open.
    """

    def __init__(
        self, hotkey: Hotkey, post: Callable[[Event], None], let_go: Callable[[str], None] = lambda _: None
    ) -> None:
        self._post = post
        self._let_go = let_go
        self._manners = {MAIN: Manner(hotkey.mode)}
        for profile in hotkey.profiles:
            self._manners[_owner(profile)] = _manner_of(profile, profile.mode or hotkey.mode)
        self._sees_releases = True

    def pressed(self, owner: str) -> None:
        if owner == CANCEL:
            self._post(TakeCancelRequested(owner))
        else:
            self._post(KeyPressed(owner, str(uuid_utils.uuid7()), self._manner(owner)))

    def released(self, owner: str) -> None:
        if owner != CANCEL:
            self._let_go(owner)
            self._post(KeyReleased(owner))

    def lost(self, owner: str, reason: str) -> None:
        if owner != CANCEL:
            self._let_go(owner)
            self._post(KeyLost(owner, reason))

    def changed(self, state: Live | NotLive) -> None:
        if isinstance(state, Live):
            self._sees_releases = state.sees_releases
            self._post(HotkeyChanged(state.backend, state.sees_releases, state.note))
        else:
            self._post(HotkeyChanged(None, advice=state.advice))

    def _manner(self, owner: str) -> Manner:
        """A key whose release nobody sees cannot be held: it toggles."""
        wanted = self._manners[owner]
        return wanted if self._sees_releases else replace(wanted, mode="toggle")


async def listen(hotkey: Hotkey, post: Callable[[Event], None], let_go: Callable[[str], None]) -> None:
    """Listen for the keys until cancelled; anew once a desktop has come that we were started before."""
    desk = KeyDesk(hotkey, post, let_go)

    async def with_what_is_here() -> None:
        await Hotkeys(hotkey.backend, bindings(hotkey), desk, desk.changed).run()

    if desktop.is_missing():
        async with asyncio.TaskGroup() as group:
            meanwhile = group.create_task(with_what_is_here())
            await desktop.find()
            meanwhile.cancel()
    await with_what_is_here()


def _owner(profile: Profile) -> str:
    return f"{MAIN}:{profile.name}"


def _manner_of(profile: Profile, mode: Mode) -> Manner:
    return Manner(mode, profile.name, profile.language, profile.model, profile.speak)
