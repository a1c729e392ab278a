"""Keeping one child alive: when it starts, when it is given up, how soon the next one comes.

A *round* is: wait until a child is wanted, wait for its turn, start it, live with it, end it, report. Whoever
decides that a round is over (the child's exit, a missed deadline, a stop) settles one future, `_over`; only
`run` acts on it. So no two parts can end a child at once, and a loss is reported exactly once, after the
child is gone.
"""

from __future__ import annotations

import asyncio
import os
from abc import ABC, abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from omniid.workers.process import GRACE_S, ChildProcess, OnLine, describe_exit

READY_WITHIN_S = 15.0
SHORTEST_RESTART_S = 1.0
LONGEST_RESTART_S = 30.0
STEADY_S = 10.0

Reason = Literal["could_not_start", "not_ready", "crashed", "hung", "broke_protocol", "replaced"]
State = Literal["stopped", "resting", "starting", "ready"]


@dataclass(frozen=True, slots=True)
class WorkerLost:
    """The child is gone, and with it all that was asked of it until now. `message` is one sentence."""

    reason: Reason
    message: str


def restart_delay(failures: int) -> float:
    """Seconds from one start to the next, after so many lives in a row that failed early."""
    doublings = min(max(failures - 1, 0), 10)
    return min(SHORTEST_RESTART_S * 2.0**doublings, LONGEST_RESTART_S)


class Supervised(ABC):
    """What every supervised child has in common, with or without a channel."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: OnLine,
        env: Mapping[str, str] | None = None,
        ready_within_s: float = READY_WITHIN_S,
        quiet_s: float | None = None,
        grace_s: float = GRACE_S,
    ) -> None:
        """Nothing is started before `run`.

        Args:
            name: for sentences: "the ear", "the mouth".
            command: the command line; the word `process.FD` in it becomes the lifeline's number.
            log: gets each line the child prints.
            env: the child's whole environment; by default ours without `OMNIID_*`, where tokens may stand.
            ready_within_s: how long it may take to say that it is ready.
            quiet_s: None keeps a child alive always; a number starts it when it is wanted and ends it when
                nothing was sent, received or expected for so many seconds.
            grace_s: how long it may take to go when asked to.
        """
        self.name = name
        self.sentence_name = name[:1].upper() + name[1:]
        self.starts = 0
        self._command = command
        self._log = log
        self._env = env
        self._ready_within_s = ready_within_s
        self._quiet_s = quiet_s
        self._grace_s = grace_s
        self._child: ChildProcess | None = None
        self._over: asyncio.Future[WorkerLost | None] | None = None
        self._wanted = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()
        self._stopping = False
        self._ready_at: float | None = None
        self._failures = 0
        self._last_start = float("-inf")
        self._expectations: dict[Hashable, asyncio.TimerHandle | None] = {}
        self._quiet_timer: asyncio.TimerHandle | None = None

    @property
    def state(self) -> State:
        if self._ended.is_set():
            return "stopped"
        if not self._wanted.is_set():
            return "resting"
        return "starting" if self._ready_at is None else "ready"

    @property
    def pid(self) -> int | None:
        return None if self._child is None else self._child.pid

    async def run(self) -> None:
        """Keep the child as it should be, until `stop` or cancellation; either way no child is left.

        What the handler raises comes out of here.
        """
        self._ended.clear()
        try:
            while not self._stopping:
                if self._quiet_s is None:
                    self._wanted.set()
                await self._wanted.wait()
                if not self._stopping:
                    await self._round()
        finally:
            self._forget()
            self._stopping = False
            self._ended.set()

    async def stop(self) -> None:
        """End the child and `run`; returns when both are gone. Do not await it inside the handler.

        Where `run` has not begun yet, it will return at once.
        """
        self._stopping = True
        self._wanted.set()
        self._settle(None)
        await self._ended.wait()

    def wake(self) -> None:
        """Start an on-demand child now, since it will be needed soon."""
        self._wanted.set()
        self._rearm_quiet()

    def replace(self) -> None:
        """A fresh process for this one, which gives all its memory back. Whatever it was doing is lost."""
        lost = WorkerLost("replaced", f"{self.sentence_name} was replaced while it worked.")
        self._settle(lost if self._expectations else None)

    def expect(self, token: Hashable, seconds: float | None) -> None:
        """Give the child `seconds` until `done(token)`, else it is killed, replaced and reported as hung.

        None only says that it is busy, so that an on-demand child is not taken for quiet. The same token
        again replaces its deadline.
        """
        self._cancel_expectation(token)
        loop = asyncio.get_running_loop()
        self._expectations[token] = (
            None if seconds is None else loop.call_later(seconds, self._missed, seconds)
        )
        self.wake()

    def done(self, token: Hashable) -> None:
        """The expected thing has happened. A token that is not known (any more) is fine."""
        self._cancel_expectation(token)
        self._rearm_quiet()

    @abstractmethod
    async def _connect(self, child: ChildProcess) -> None:
        """Take over our end of the lifeline; `child.hang_up` must close it."""

    @abstractmethod
    async def _serve(self, over: asyncio.Future[WorkerLost | None]) -> None:
        """Listen to the child until its end of the lifeline closes; `over` is done when the round is."""

    async def _hear_last_words(self) -> None:
        """Wait, not for long, until what an exited child had still said has been handled."""
        return

    @abstractmethod
    async def _report_lost(self, lost: WorkerLost) -> None: ...

    def _on_line(self, stream: Literal["stdout", "stderr"], line: str) -> None:
        self._log(stream, line)

    def _became_ready(self) -> None:
        self._ready_at = asyncio.get_running_loop().time()
        self._rearm_quiet()

    def _give_up(self, reason: Reason, what: str) -> None:
        self._settle(WorkerLost(reason, f"{self.sentence_name} {what}."))

    def _settle(self, outcome: WorkerLost | None) -> None:
        """End the round; the first to call decides why."""
        if self._over is None or self._over.done():
            return
        self._over.set_result(outcome)
        self._count_failure(outcome)
        self._rest()

    def _rest(self) -> None:
        self._forget()
        if self._quiet_s is not None and not self._stopping:
            self._wanted.clear()

    def _forget(self) -> None:
        """Drop what belonged to the round."""
        self._ready_at = None
        for token in list(self._expectations):
            self._cancel_expectation(token)
        if self._quiet_timer is not None:
            self._quiet_timer.cancel()
            self._quiet_timer = None

    async def _round(self) -> None:
        loop = asyncio.get_running_loop()
        over = self._over = loop.create_future()
        turn = self._last_start + restart_delay(self._failures)
        await asyncio.wait({over}, timeout=max(0.0, turn - loop.time()))
        if not over.done():
            await self._live(over)
        lost = over.result()
        if lost is not None:
            self._rest()  # what was asked while the child was being ended is lost with the rest
            await self._report_lost(lost)

    async def _live(self, over: asyncio.Future[WorkerLost | None]) -> None:
        loop = asyncio.get_running_loop()
        self.starts += 1
        self._last_start = loop.time()
        try:
            child = await ChildProcess.spawn(self._command, self._on_line, env=self._child_env())
        except OSError as error:
            self._give_up("could_not_start", f"could not be started ({error})")
            return
        patience = loop.call_later(self._ready_within_s, self._unready)
        self._child = child
        try:
            await self._connect(child)
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._watch_exit(child))
                tasks.create_task(self._serve(over))
                try:
                    await asyncio.wait({over})
                finally:
                    # Hanging up is also what lets the two tasks end by themselves.
                    await child.end(grace_s=self._grace_s if _is_peaceful(over) else 0.0)
        finally:
            patience.cancel()
            await child.end(grace_s=0.0)
            self._child = None

    async def _watch_exit(self, child: ChildProcess) -> None:
        returncode = await child.wait()
        await self._hear_last_words()
        self._give_up("crashed", describe_exit(returncode))

    def _unready(self) -> None:
        if self._ready_at is None:
            self._give_up("not_ready", f"was not ready within {self._ready_within_s:g} s")

    def _missed(self, seconds: float) -> None:
        self._give_up("hung", f"did not answer within {seconds:g} s and was ended")

    def _cancel_expectation(self, token: Hashable) -> None:
        timer = self._expectations.pop(token, None)
        if timer is not None:
            timer.cancel()

    def _rearm_quiet(self) -> None:
        if self._quiet_timer is not None:
            self._quiet_timer.cancel()
            self._quiet_timer = None
        if self._quiet_s is not None and self._ready_at is not None and not self._expectations:
            loop = asyncio.get_running_loop()
            self._quiet_timer = loop.call_later(self._quiet_s, self._settle, None)

    def _count_failure(self, outcome: WorkerLost | None) -> None:
        """A life that ended well, or that was long, makes up for the failures before it."""
        if self._child is None and (outcome is None or outcome.reason != "could_not_start"):
            return  # nothing was tried
        now = asyncio.get_running_loop().time()
        steady = self._ready_at is not None and now - self._ready_at >= STEADY_S
        well = outcome is None or outcome.reason == "replaced"
        self._failures = 0 if well or steady else self._failures + 1

    def _child_env(self) -> dict[str, str]:
        if self._env is not None:
            return dict(self._env)
        return {name: value for name, value in os.environ.items() if not name.startswith("OMNIID_")}


def _is_peaceful(over: asyncio.Future[WorkerLost | None]) -> bool:
    """Whether the child may have its grace: it is being stopped, not given up."""
    return not over.done() or over.result() is None
