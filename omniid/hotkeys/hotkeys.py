"""Keeps a backend listening: tries them in order, starts one that failed again, and says which is live."""

from __future__ import annotations

import asyncio
import importlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from omniid.errors import HotkeyError
from omniid.hotkeys.choice import XWAYLAND_NOTE, advice, candidates, is_wayland
from omniid.hotkeys.contract import Backend, Binding, Keys, Live

log = structlog.get_logger()

# Asking again would get the same answer.
FINAL_CODES = frozenset({"bad_chord", "no_library"})
_CLASSES = {
    "x11": ("omniid.hotkeys.x11", "X11"),
    "macos": ("omniid.hotkeys.macos", "MacOS"),
    "portal": ("omniid.hotkeys.portal", "Portal"),
    "evdev": ("omniid.hotkeys.keyboards", "Evdev"),
}
_WAITING = (
    "{name} has not answered yet: your desktop may be asking whether omniid may have its key. "
    "Look for its window."
)


@dataclass(frozen=True, slots=True)
class NotLive:
    """Nothing listens for the keys. `advice` says why and what to do."""

    code: str
    advice: str


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds. Only tests change it."""

    first_wait_s: float = 1.0
    longest_wait_s: float = 30.0
    proven_after_s: float = 30.0
    slow_after_s: float = 15.0


def open_backend(name: str) -> Backend:
    """The backend of that name, its library loaded.

    Raises:
        HotkeyError: `no_library`.
    """
    module, what = _CLASSES[name]
    try:
        backend: Backend = getattr(importlib.import_module(module), what)()
    except ImportError as error:
        extra = "omniid[evdev]" if name == "evdev" else "omniid"
        raise HotkeyError(
            f"The library for the key by way of {name} is not installed: pip install '{extra}'.",
            code="no_library",
        ) from error
    return backend


class Hotkeys:
    """Listens for some keys. `wanted`: auto, none, or a backend's name.

    `on_change` gets a Live or a NotLive each time that changes, on the event loop.
    """

    def __init__(
        self,
        wanted: str,
        bindings: Sequence[Binding],
        keys: Keys,
        on_change: Callable[[Live | NotLive], None],
        *,
        environ: Mapping[str, str] = os.environ,
        platform: str = sys.platform,
        opener: Callable[[str], Backend] = open_backend,
        pace: Pace = Pace(),
    ) -> None:
        self._bindings = bindings
        self._keys = keys
        self._on_change = on_change
        self._environ = environ
        self._platform = platform
        self._opener = opener
        self._pace = pace
        self._wanted = wanted
        self._given_up: set[str] = set()
        self._reasons: dict[str, HotkeyError] = {}  # the last one of each backend, best backend first
        self._told: Live | NotLive | None = None

    async def run(self) -> None:
        """Listen until cancelled. Returns at once when no key is wanted, and waits when nothing can help."""
        if not self._bindings or self._wanted == "none":
            return
        wait_s = self._pace.first_wait_s
        while True:
            live_s = await self._round()
            self._say_why_not()
            if any(reason.code == "key_refused" for reason in self._reasons.values()):
                await asyncio.Event().wait()  # who said no is not asked again, nor got round another way
            if live_s >= self._pace.proven_after_s:
                wait_s = self._pace.first_wait_s
            await asyncio.sleep(wait_s)
            wait_s = min(2 * wait_s, self._pace.longest_wait_s)

    async def _round(self) -> float:
        """Try each backend until one has been live. Returns for how long it was, in seconds."""
        for name in candidates(self._platform, self._environ, self._wanted):
            if name in self._given_up:
                continue
            began = asyncio.get_running_loop().time()
            try:
                await self._listen(name)
            except HotkeyError as error:
                log.debug("a backend does not listen", backend=name, code=error.code, reason=error.message)
                self._reasons[name] = error
                if error.code in FINAL_CODES:
                    self._given_up.add(name)
            if isinstance(self._told, Live):
                return asyncio.get_running_loop().time() - began
            if name in self._reasons and self._reasons[name].code == "key_refused":
                break
        return 0.0

    async def _listen(self, name: str) -> None:
        backend = self._opener(name)
        slow = asyncio.get_running_loop().call_later(
            self._pace.slow_after_s, self._say, NotLive("waiting", _WAITING.format(name=name))
        )

        def on_live(live: Live) -> None:
            slow.cancel()
            self._reasons.clear()
            if name == "x11" and is_wayland(self._environ):
                live = replace(live, note=" ".join(filter(None, (XWAYLAND_NOTE, live.note))))
            self._say(live)

        try:
            await backend.run(self._bindings, self._keys, on_live)
        finally:
            slow.cancel()

    def _say(self, now: Live | NotLive) -> None:
        if now == self._told:
            return
        self._told = now
        if isinstance(now, Live):
            log.info(
                "listening for the key", backend=now.backend, sees_releases=now.sees_releases, note=now.note
            )
        else:
            log.warning("nothing listens for the key", code=now.code)
        self._on_change(now)

    def _say_why_not(self) -> None:
        reasons = list(self._reasons.values())
        code = reasons[0].code if reasons else "no_backend"
        sentences = [reason.message for reason in reasons]
        self._say(NotLive(code, advice(sentences, self._bindings, self._platform)))
