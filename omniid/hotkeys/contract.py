"""What every way to listen for a key has in common: what it is given, what it says, how it ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Never, Protocol

from omniid.hotkeys.chord import Chord


@dataclass(frozen=True, slots=True)
class Binding:
    """A key and who wants it. `label` is what a desktop shows to the user in its list of shortcuts."""

    owner: str
    chord: Chord
    label: str = "Speak to omniid"


class Keys(Protocol):
    """Who is told. Called on the event loop, must be quick and must not raise.

    For each owner `pressed` comes first, then exactly one of `released` and `lost`, then `pressed` again.
    """

    def pressed(self, owner: str) -> None: ...

    def released(self, owner: str) -> None: ...

    def lost(self, owner: str, reason: str) -> None:
        """Nobody can say any more whether the key is down. `reason` is one of `LOST`."""


# Why a key was lost: the X server or the portal ended, the keyboard was unplugged, the kernel dropped events,
# the layout moved the key, the portal closed its session, a second press came without a release, we stopped.
LOST = frozenset(
    {
        "server_gone",
        "keyboard_gone",
        "events_dropped",
        "layout_changed",
        "session_closed",
        "no_release",
        "stopped",
    }
)


@dataclass(frozen=True, slots=True)
class Live:
    """A backend listens. Without releases a key can only toggle. `note` is a sentence for the user."""

    backend: str
    sees_releases: bool = True
    note: str | None = None


class Backend(Protocol):
    """One way to listen for keys. `name` is how the settings call it."""

    @property
    def name(self) -> str: ...

    async def run(self, bindings: Sequence[Binding], keys: Keys, on_live: Callable[[Live], None]) -> Never:
        """Listen until cancelled. `on_live` is called when it listens, and again when what it says changes.

        However it ends, each key that is held gets `lost` first.

        Raises:
            HotkeyError: it cannot listen, or not any more; the message says what to do.
        """
