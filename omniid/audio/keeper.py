"""Who has the microphone: a take, or nobody, or the ring with the sound before the key.

It is opened for one take and closed after it, unless the user wants the sound before the key
(`audio.preroll_ms`). Then it stands open between takes; when the device goes away it is looked for again,
ever more seldom, and it is moved when the system's default moves and the sound server did not move it.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from omniid.audio.frames import Block
from omniid.audio.microphone import Microphone

_log = logging.getLogger(__name__)

LOOK_S = 0.5
CLOSE_S = 1.0
FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 30.0


@dataclass(frozen=True, slots=True)
class Wish:
    """`keep_s` > 0 keeps the microphone open between takes, with so much sound before the key."""

    name: str | None = None
    keep_s: float = 0.0


def retry_delay(failures: int) -> float:
    """Seconds until a microphone that went away is looked for again."""
    return float(min(LONGEST_RETRY_S, FIRST_RETRY_S * 2 ** min(failures, 10)))


class Keeper:
    """`on_kept` hears whether it stands open, and which one; `on_hang`: it cannot be closed any more."""

    def __init__(self, on_kept: Callable[[bool, str | None], None], on_hang: Callable[[], None]) -> None:
        self._on_kept = on_kept
        self._on_hang = on_hang
        self._wish = Wish()
        self._shut = False
        self._mic: Microphone | None = None
        self._leaving: Microphone | None = None
        self._is_lent = False
        self._failures = 0
        self._retry_at = 0.0
        self._told: tuple[bool, str | None] = (False, None)
        self._thread: threading.Thread | None = None
        self._changed = threading.Condition()

    @property
    def is_shut(self) -> bool:
        return self._shut

    def wish(self, wish: Wish) -> None:
        with self._changed:
            self._wish = wish
            self._retry_at = 0.0
            self._attend()

    def shut(self, *, shut: bool) -> None:
        """Whether the microphone must not stand open, whatever the wish."""
        with self._changed:
            self._shut = shut
            self._retry_at = 0.0
            self._attend()

    def lend(self) -> Loan:
        """The microphone for one take: the open one if it is well, else a fresh one. Returns at once."""
        with self._changed:
            mic = self._mic
            if mic is None or not self._is_wanted(mic) or not mic.is_well(time.monotonic()):
                self._leaving = mic or self._leaving
                mic = self._mic = Microphone(self._wish.name, self._wish.keep_s)
            self._is_lent = True
            return Loan(self, mic, self._leaving)

    def take_back(self, mic: Microphone, timeout_s: float) -> bool:
        """The take is over. False when the device was not let go of."""
        with self._changed:
            self._is_lent = False
            now = time.monotonic()
            keep = self._is_wanted(mic) and mic.is_well(now)
            if keep:
                mic.rest()
            else:
                self._mic = None
                self._note_loss(mic, now)
            self._attend()
        return keep or mic.close(timeout_s)

    def _is_wanted(self, mic: Microphone) -> bool:
        wish = self._wish
        return wish.keep_s > 0 and not self._shut and (mic.name, mic.keep_s) == (wish.name, wish.keep_s)

    def _attend(self) -> None:
        if self._thread is None and self._wish.keep_s > 0:
            self._thread = threading.Thread(target=self._keep, name="keeper", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _keep(self) -> None:
        """Between takes: see that the microphone is as the user wants it."""
        while True:
            self._let_go()
            with self._changed:
                self._open_if_wanted(time.monotonic())
                kept = self._state()
            if kept != self._told:
                self._told = kept
                _log.info("the microphone stands open: %s", kept)
                self._on_kept(*kept)
            with self._changed:
                busy = self._mic is not None or (self._wish.keep_s > 0 and not self._shut)
                self._changed.wait(LOOK_S if busy else None)

    def _let_go(self) -> None:
        """Close a microphone that is not wanted any more, or has nothing to give."""
        with self._changed:
            now, mic = time.monotonic(), self._mic
            if (
                mic is None
                or self._is_lent
                or (self._is_wanted(mic) and mic.is_well(now) and not mic.outdated)
            ):
                return
            if mic.stage == "opening" and self._is_wanted(mic):
                return  # the sound system hangs: when it comes back, this microphone does
            self._note_loss(mic, now)
            self._mic, self._leaving = None, mic
        if not mic.close(CLOSE_S):
            self._on_hang()

    def _note_loss(self, mic: Microphone, now: float) -> None:
        if not mic.is_well(now):
            self._retry_at = now + retry_delay(self._failures)
            self._failures += 1

    def _open_if_wanted(self, now: float) -> None:
        wish = self._wish
        if self._mic is None and wish.keep_s > 0 and not self._shut and now >= self._retry_at:
            self._mic = Microphone(wish.name, wish.keep_s)
            self._mic.open()

    def _state(self) -> tuple[bool, str | None]:
        mic = self._mic
        if (
            mic is None
            or not self._is_wanted(mic)
            or not mic.has_sounded
            or not mic.is_well(time.monotonic())
        ):
            return False, None
        self._failures = 0
        return True, mic.device


class Loan:
    """The microphone as one take's `Source`."""

    is_real = True
    file_ended = False
    is_ahead = False

    def __init__(self, keeper: Keeper, mic: Microphone, leaving: Microphone | None) -> None:
        self._keeper = keeper
        self._mic = mic
        self._leaving = leaving
        self._overflows_before = mic.overflows

    @property
    def device(self) -> str:
        return self._mic.device

    @property
    def overflows(self) -> int:
        return self._mic.overflows - self._overflows_before

    @property
    def is_muted(self) -> bool:
        return self._mic.muted

    @property
    def is_stuck(self) -> bool:
        return self._mic.stage == "opening"

    def open(self) -> None:
        self._mic.listen()
        if self._mic.stage == "new":
            if self._leaving is not None:  # some systems give a device to one stream only
                self._leaving.close(LOOK_S)
            self._mic.open()

    def read(self, timeout_s: float) -> Block | None:
        return self._mic.read(timeout_s)

    def close(self, timeout_s: float) -> bool:
        return self._keeper.take_back(self._mic, timeout_s)
