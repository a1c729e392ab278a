"""Every order of mishaps that can befall a command, against the promises of the house.

Hypothesis makes up the life: what the user asks for, what the server says or does not say, how the link ends,
when the process is killed, how the disk and the clocks behave. After each step all promises are held to what
is on disk and to what the servers have seen. `OMNIID_TEST_LONG=1` makes up many more lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import resource
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from structlog.testing import capture_logs
from support.moments import START
from support.world import Health, Killed, Receipt, Server, World, moment_of

from omniid.control.schema import CommandRequest, EditRequest
from omniid.errors import NotAllowedError, OutboxFullError, StorageError
from omniid.events import CommandMoved, CommandQueued
from omniid.fate import ENDED, ON_THE_WIRE, RETRYABLE, State, may_become
from omniid.line import LineSettings
from omniid.storage.outbox import Limits
from omniid.workers.channel import TakeRecognised

T = TypeVar("T")

LONG = os.environ.get("OMNIID_TEST_LONG") == "1"
LIMITS = Limits(voice_ttl_s=600, text_ttl_s=86_400, max_commands=10, max_bytes=60_000)
KEYS = ("a key", "another key")
LARGE = 5_000  # characters: a page of the database holds fewer, so it has to grow
MAY_HAVE_BEEN_DONE = "an earlier attempt may have been done"
DECIDABLE = {
    "cancel": ON_THE_WIRE | {State.QUEUED, State.NEEDS_AUTH},
    "drop": RETRYABLE,
    "retry": RETRYABLE,
    "edit": frozenset({State.QUEUED}),
}
ONLY_THE_USER_CAN_SAY = frozenset({State.UNCERTAIN, State.NEEDS_AUTH})
SERVERS = {
    "plain": (frozenset[str](), False),
    "echoes": (frozenset[str](), True),
    "correlates": (frozenset({"correlate", "batch"}), True),
    "dedupes": (frozenset({"dedupe"}), False),
    "dedupes and echoes": (frozenset({"dedupe"}), True),
    "does all": (frozenset({"correlate", "dedupe", "batch"}), True),
}
PICKED = st.integers(0, 30)
STYLES = st.sampled_from(sorted(SERVERS))
NAMES = st.sampled_from(["alpha", "beta"])
HAPPENS = st.booleans()
DIALS = st.sampled_from(["greeted", "greeted", "not greeted", "later"])
OUTCOMES = st.sampled_from(["done", "unified", "failed", "needs_auth"])
PADDINGS = st.sampled_from([0, LARGE])


@dataclass
class Known:
    """What the model knows of a command that was acknowledged."""

    id: str
    kind: str
    message: str
    expires_at: str
    may_go_again: bool = False  # the user said so, or `delivery.uncertain = resend` did
    asked_again: bool = False  # the user is saying so in this very step
    seen: list[Receipt] = field(default_factory=list)  # by servers, since it last might go again
    attempts_seen: int = 0
    unanswered: bool = False  # a server has seen it, and no answer has come to omniid
    given_up: bool = False  # the user dropped it
    stepped_aside: bool = False  # uncertain, or sent again by the user: it has lost its turn
    overdue: bool = False  # its time was up, by the wall's clock, at some moment


class Delivery(RuleBasedStateMachine):
    """The user, the servers, the network, the disk and the clocks, as rules; the promises as invariants."""

    def __init__(self) -> None:
        super().__init__()
        shared_memory = Path("/dev/shm")  # what is asked here is what a commit holds, not how fast it is
        self.folder = Path(tempfile.mkdtemp(dir=shared_memory if shared_memory.is_dir() else None))
        self.known: dict[str, Known] = {}  # in the order in which they were accepted
        self.by_key: dict[str, str] = {}
        self.asked = 0
        self.audited = 0
        self.doomed = False
        self.left_uncertain: set[str] = set()
        self.behind_for = self.stalls_for = self.spoilt_for = 0  # so many more steps
        self._quiet = contextlib.ExitStack()
        self._quiet.enter_context(capture_logs())

    @initialize(
        uncertain=st.sampled_from(["ask", "resend", "drop"]),
        rate=st.sampled_from([0, 0, 20]),
        alpha=STYLES,
        beta=st.none() | STYLES,
    )
    def begin(
        self, uncertain: Literal["ask", "resend", "drop"], rate: int, alpha: str, beta: str | None
    ) -> None:
        """Two servers, which may be of one kind."""
        self.uncertain = uncertain
        beta = beta or alpha
        servers = [Server("alpha", *SERVERS[alpha]), Server("beta", *SERVERS[beta])]
        line = LineSettings(uncertain, rate)
        (self.folder / "0").mkdir()
        self.world = World(self.folder, servers, line, LIMITS, self.a_server_sees, self.a_server_answers)

    # --- how a step is made ------------------------------------------------------------------------------

    def attempt(self, work: Coroutine[Any, Any, T]) -> T | None:
        """What it gives, with all its consequences; None where the process was killed in the midst of it."""
        try:
            result = self.world.do(work)
            self.catch_up()
        except Killed:
            self.come_back()
            return None
        return result

    def catch_up(self) -> None:
        """The reactor and the writer do what there is to do, unless they are behind."""
        world = self.world
        world.do(world.settle())
        while self.stalls_for <= 0 and world.shell.now is not None and world.shell.now.line:
            world.write()
            world.do(world.settle())

    def step(self) -> contextlib.AbstractContextManager[None]:
        """Round what happens outside the verbs: its consequences, and the kill that they may meet."""

        @contextlib.contextmanager
        def surviving() -> Iterator[None]:
            try:
                yield
                self.catch_up()
            except Killed:
                self.come_back()

        return surviving()

    def come_back(self, name: str | None = None) -> None:
        self.doomed = False
        self.world.come_back(name)
        self.begun_again()

    def begun_again(self) -> None:
        """omniid decides about what became uncertain; what was so when it ended is left to the user."""
        decided = {e.command_id for e in self.world.reactor.posted() if isinstance(e, CommandMoved)}
        self.left_uncertain = set(self.world.in_state(State.UNCERTAIN)) - decided
        self.catch_up()

    def pick(self, number: int, states: frozenset[State]) -> str | None:
        """One of the commands in these states or, by chance or where there is none, any one."""
        wanted = self.world.in_state(*states)
        among = wanted if wanted and number < 28 else list(self.known)
        return among[number % len(among)] if among else None

    def text(self, *, large: bool) -> str:
        self.asked += 1
        return f"do {self.asked} {'x' * LARGE if large else ''}".strip()

    def learn(self, messages: Sequence[str], key: str | None = None) -> None:
        """What was accepted of these, in the order of the line."""
        for command_id, row in self.world.rows().items():
            if row["message"] not in messages:
                continue
            if command_id not in self.known:
                self.known[command_id] = Known(command_id, row["kind"], row["message"], row["expires_at"])
            if key is not None:
                self.by_key[key] = command_id

    def is_healthy(self) -> bool:
        return self.world.health == "well"

    def has_link(self) -> bool:
        return hasattr(self, "world") and self.world.shell.now is not None

    def has_no_link(self) -> bool:
        return hasattr(self, "world") and self.world.shell.now is None

    # --- the user ----------------------------------------------------------------------------------------

    @rule(kind=st.sampled_from(["text_command", "voice_command"]), large=HAPPENS, times=st.integers(1, 3))
    def enqueue(self, kind: Literal["text_command", "voice_command"], large: bool, times: int) -> None:
        large = large or not self.is_healthy()
        messages = [self.text(large=large) for _ in range(times)]
        requests = [CommandRequest(message=message, type=kind) for message in messages]
        before, has_room, was_healthy = self.room(), self.world.has_room, self.is_healthy()
        results = self.attempt(self.all_of([self.world.verb("command_add", body=body) for body in requests]))
        for result in results or []:
            match result:
                case OutboxFullError():
                    assert before[0] + times > LIMITS.max_commands or before[1] + times * 2 * LARGE > (
                        LIMITS.max_bytes
                    )
                case StorageError():
                    assert not was_healthy
                case BaseException():
                    raise result
                case view:
                    assert has_room
                    assert view.message in messages
                    assert view.id in self.world.rows()
        self.learn(messages)

    @staticmethod
    async def all_of(verbs: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
        """They share a commit, where they can."""
        results = await asyncio.gather(*verbs, return_exceptions=True)
        for result in results:
            if isinstance(result, Killed):
                raise result
        return results

    def room(self) -> tuple[int, int]:
        rows = [row for row in self.world.rows().values() if State(row["state"]) not in ENDED]
        return len(rows), sum(row["bytes"] for row in rows)

    @rule(key=st.sampled_from(KEYS))
    def enqueue_with_a_key(self, key: str) -> None:
        """The first time it is a command; each other time, the same one."""
        if key not in self.by_key:
            message = self.text(large=not self.is_healthy())
            self.first_message = {**getattr(self, "first_message", {}), key: message}
        message = self.first_message[key]
        has_room = self.world.has_room
        try:
            view = self.attempt(
                self.world.verb("command_add", body=CommandRequest(message=message, source="x"), key=key)
            )
        except OutboxFullError:
            assert key not in self.by_key
            return
        except StorageError:
            assert key not in self.by_key
            assert not self.is_healthy()
            return
        known_before = self.by_key.get(key)
        self.learn([message], key)
        if view is not None:
            assert view.id == (known_before or self.by_key[key])
            assert known_before is not None or has_room

    @rule()
    def speak(self) -> None:
        """By voice: accepted once omniid says that it is queued."""
        message = self.text(large=not self.is_healthy())
        take = f"take {self.asked}"
        has_room = self.world.has_room
        with self.step():
            self.world.reactor.post_nowait(TakeRecognised(take, message, 0.9, "en", 1, 1, "tiny", 1, 1))
            self.world.do(self.world.handle())
            said = any(
                isinstance(event, CommandQueued) and event.take_id == take for event in self.world.events
            )
            on_disk = any(row["message"] == message for row in self.world.rows().values())
            assert said == on_disk
            assert not on_disk or has_room
        self.learn([message])

    @precondition(lambda self: self.known)
    @rule(verb=st.sampled_from(["cancel", "drop", "retry", "retry", "edit"]), number=PICKED, large=HAPPENS)
    def the_user_decides(self, verb: str, number: int, large: bool) -> None:
        self.decide(verb, number, DECIDABLE[verb], self.text(large=large) if verb == "edit" else None)

    def decide(self, verb: str, number: int, allowed: frozenset[State], message: str | None = None) -> None:
        """The user decides about one command; nothing but its state, and what its servers saw, may refuse."""
        command_id = self.pick(number, allowed)
        if command_id is None:
            return
        known = self.known[command_id]
        before = State(self.world.rows()[command_id]["state"])
        given_up, known.given_up = known.given_up, known.given_up or verb == "drop"
        known.asked_again = verb == "retry"
        body = None if message is None else EditRequest(message=message)
        try:
            view = self.attempt(self.world.verb(f"command_{verb}", command_id, body))
        except NotAllowedError:
            assert before not in allowed or (verb == "edit" and self.may_have_been_done(command_id))
            known.given_up = given_up
        except OutboxFullError:
            assert verb == "edit" or (verb == "retry" and before in ENDED)
        except StorageError:
            assert not self.is_healthy()
            known.given_up = given_up
        else:
            assert view is None or before in allowed
            if verb == "edit":
                assert view is None or not known.unanswered
                now = self.world.rows()[command_id]["message"]
                assert now == message or (view is None and now == known.message)
                known.message = now
        self.audit()
        if verb == "retry":
            known.asked_again = False
            known.expires_at = self.world.rows()[command_id]["expires_at"]

    def may_have_been_done(self, command_id: str) -> bool:
        return self.known[command_id].attempts_seen > 0 or self.world.rows()[command_id]["attempts"] > 0

    # --- the link ----------------------------------------------------------------------------------------

    @precondition(has_no_link)
    @rule(greets=HAPPENS)
    def connect(self, greets: bool) -> None:
        with self.step():
            self.world.connect(greet=greets)

    def dial_again(self, dial: str) -> None:
        """As the session does it by itself, sooner or later."""
        if dial != "later" and self.world.shell.now is None:
            with self.step():
                self.world.connect(greet=dial == "greeted")

    @precondition(lambda self: self.has_link() and not self.world.shell.now.greeted)
    @rule()
    def the_server_says_hello(self) -> None:
        with self.step():
            self.world.greet()

    @precondition(lambda self: self.stalls_for <= 0)
    @rule(steps=st.integers(2, 6))
    def the_writer_stalls(self, steps: int) -> None:
        """What is handed to it stays with it."""
        self.stalls_for = steps

    @precondition(lambda self: self.has_link() and self.world.shell.now.line)
    @rule()
    def the_writer_sends_and_cannot_say_so_yet(self) -> None:
        with self.step():
            self.world.write(record=False)

    @precondition(lambda self: self.has_link() and self.world.shell.now.line)
    @rule(arrived=st.integers(0, 2), dial=DIALS)
    def the_link_breaks_in_writing(self, arrived: int, dial: str) -> None:
        with self.step():
            self.world.break_in_writing(arrived)
        self.dial_again(dial)

    @precondition(has_link)
    @rule(code=st.sampled_from([None, 1001, 1011, 4401]), dial=DIALS)
    def the_link_drops(self, code: int | None, dial: str) -> None:
        with self.step():
            self.world.lose(code)
        self.dial_again(dial)

    @precondition(lambda self: self.has_link() and self.world.shell.now.unanswered)
    @rule(dial=DIALS)
    def the_server_closes_the_link_over_a_frame(self, dial: str) -> None:
        """It has refused that frame, where there was one only; that is its answer to it."""
        assert self.world.shell.now is not None
        in_flight = list(self.world.shell.now.link._in_flight)
        if len(in_flight) == 1:
            self.a_server_answers(in_flight[0])
        with self.step():
            self.world.lose(1009, "message too big")
        self.dial_again(dial)

    @precondition(lambda self: self.has_link() and self.world.shell.now.held())
    @rule()
    def the_server_falls_silent(self) -> None:
        assert self.world.shell.now is not None
        self.world.shell.now.mute = True

    # --- the server --------------------------------------------------------------------------------------

    def owed(self) -> list[str]:
        """What the server at the other end can answer now."""
        now = self.world.shell.now
        if now is None or now.mute:
            return []
        return [*now.unanswered, *(now.server.owed if now.server.echoes else [])]

    @precondition(lambda self: hasattr(self, "world") and self.owed())
    @rule(number=PICKED, outcome=OUTCOMES, padding=PADDINGS)
    def the_server_replies(self, number: int, outcome: str, padding: int) -> None:
        owed = self.owed()
        with self.step():
            self.world.answer(owed[number % len(owed)], outcome, padding)

    @precondition(lambda self: self.has_link() and self.world.shell.now.server.echoes and self.owed())
    @rule(number=PICKED, outcome=OUTCOMES)
    def the_server_replies_and_forgets_the_id(self, number: int, outcome: str) -> None:
        """It counts where one command is in flight, and is nobody's where there are several."""
        now = self.world.shell.now
        if now is not None and now.unanswered and sorted(now.unanswered) == sorted(now.link._in_flight):
            with self.step():
                command_id = now.unanswered[number % len(now.unanswered)]
                self.world.answer(command_id, outcome, named=False)

    @precondition(lambda self: hasattr(self, "world") and self.owed())
    @rule(number=PICKED)
    def the_server_works_on(self, number: int) -> None:
        now = self.world.shell.now
        if now is not None and now.unanswered:
            with self.step():
                self.world.receive(now.server.progress(now.unanswered[number % len(now.unanswered)]))

    @precondition(lambda self: self.has_link() and self.world.shell.now.server.said)
    @rule(number=PICKED)
    def the_server_repeats_a_reply(self, number: int) -> None:
        now = self.world.shell.now
        if now is None or now.mute or not (now.server.echoes or not now.held()):
            return  # without ids, a server that repeats itself cannot be told from one that answers
        command_id, frame = now.server.said[number % len(now.server.said)]
        if command_id in now.held():
            self.a_server_answers(command_id)
        with self.step():
            self.world.receive(frame)

    # --- time --------------------------------------------------------------------------------------------

    @rule(seconds=st.sampled_from([1, 4, 11, 30, 61, 200]))
    def time_passes(self, seconds: int) -> None:
        with self.step():
            self.world.live_through(seconds)
        self.note_what_is_overdue()

    @rule(
        seconds=st.sampled_from([30, 61, 601, 90_000]), clock=st.sampled_from(["both", "wall", "wall back"])
    )
    def the_clocks_jump(self, seconds: int, clock: str) -> None:
        """Both, while the machine sleeps; or the wall's alone is set, forwards or backwards."""
        with self.step():
            if clock == "both":
                self.world.sleep_through(seconds)
            else:
                self.world.set_wall(seconds if clock == "wall" else -seconds)
        self.note_what_is_overdue()

    def note_what_is_overdue(self) -> None:
        for known in self.known.values():
            known.overdue |= moment_of(known.expires_at) <= self.world.clock.wall

    @rule(times=st.integers(1, 2))
    def tick(self, times: int) -> None:
        with self.step():
            for _ in range(times):
                self.world.tick()

    # --- the process -------------------------------------------------------------------------------------

    @rule(name=NAMES, after=st.sampled_from([0, 0, 1, 2, 3, 4, 6]), dial=DIALS)
    def the_process_is_killed(self, name: str, after: int, dial: str) -> None:
        """At once, or right after so many more commits, whatever it does then."""
        assert self.world.database is not None
        if after:
            self.doomed = True
            self.world.database.commits_left = after
        else:
            self.come_back(name)
            self.dial_again(dial)

    @rule(name=NAMES, answered=HAPPENS, dial=DIALS)
    def omniid_is_stopped_and_started(self, name: str, answered: bool, dial: str) -> None:
        answered = answered and not (self.world.shell.now is not None and self.world.shell.now.mute)
        with self.step():
            self.world.stop(name, answered=answered)
            self.doomed = False
            self.begun_again()
        self.dial_again(dial)

    @precondition(lambda self: self.known and not self.world.busy)
    @rule(steps=st.integers(2, 5))
    def the_reactor_falls_behind(self, steps: int) -> None:
        self.world.busy, self.behind_for = True, steps

    @precondition(lambda self: hasattr(self, "world") and self.world.busy)
    @rule(most=st.integers(1, 5))
    def the_reactor_handles_some(self, most: int) -> None:
        with self.step():
            self.world.do(self.world.handle(most))

    # --- the disk ----------------------------------------------------------------------------------------

    @rule(health=st.sampled_from(["full", "broken"]), steps=st.integers(2, 6))
    def the_disk_is_spoilt(self, health: Health, steps: int) -> None:
        self.world.spoil_disk(health)
        self.spoilt_for = steps

    def what_lasts_a_while_ends(self) -> None:
        self.behind_for, self.spoilt_for = self.behind_for - 1, self.spoilt_for - 1
        self.stalls_for -= 1
        world = self.world
        with self.step():
            if self.behind_for == 0:
                world.busy = False
                self.catch_up()
            if self.stalls_for == 0 and world.shell.now is not None:
                world.write()  # and says what it could not say
            if self.spoilt_for == 0:
                self.heal_disk()

    def heal_disk(self) -> None:
        """What was refused meanwhile is recorded by the next ticks."""
        self.world.spoil_disk("well")
        for _ in range(2):
            self.world.tick()
            self.world.do(self.world.handle())
        assert not self.world.performer._unrecorded

    # --- what the servers see ----------------------------------------------------------------------------

    def a_server_sees(self, receipt: Receipt) -> None:
        """Called as a frame arrives: none twice but by leave, with the words it has, and in its turn."""
        self.audit()
        if receipt.command_id not in self.known:  # accepted in this very step
            self.learn([row["message"] for row in self.world.rows().values()])
        known = self.known[receipt.command_id]
        assert receipt.message == known.message
        if known.seen and not known.may_go_again:
            assert receipt.dedupe_said, f"{known} is done twice"
            assert {each.server for each in known.seen} == {receipt.server}, f"{known} is done twice"
        if known.may_go_again:
            known.seen, known.may_go_again = [], False
        if known.attempts_seen == 0 and not known.stepped_aside:
            self.check_turn(known)
        known.seen.append(receipt)
        known.attempts_seen += 1
        known.unanswered = True

    def a_server_answers(self, command_id: str) -> None:
        self.known[command_id].unanswered = False

    def check_turn(self, known: Known) -> None:
        rows = self.world.rows()
        for other in self.known.values():
            if other is known:
                return
            passed_over = other.attempts_seen == 0 and not other.stepped_aside and not other.overdue
            assert not (passed_over and rows[other.id]["state"] == State.QUEUED), f"{known} before {other}"

    # --- the promises ------------------------------------------------------------------------------------

    @invariant()
    def the_promises_hold(self) -> None:
        self.what_lasts_a_while_ends()
        self.audit()
        self.what_was_acknowledged_is_there()
        self.what_a_server_may_have_done_is_not_called_undone()
        self.a_reply_is_the_commands_own()
        self.a_server_does_nothing_twice_that_it_can_know()
        self.the_window_is_kept()
        self.the_tally_is_a_true_count()
        self.nothing_hangs_on_the_wire()
        self.world.events.clear()

    def audit(self) -> None:
        for step in self.world.steps_after(self.audited):
            self.audited = step["number"]
            before, after = State(step["before"]), State(step["after"])
            assert step["id"] == step["old_id"]
            assert may_become(before, after)
            if after is State.UNCERTAIN:
                self.known[step["id"]].stepped_aside = True
            if after is State.QUEUED and before in RETRYABLE:
                self.note_leave(self.known[step["id"]], before)

    def note_leave(self, known: Known, before: State) -> None:
        resent = before is State.UNCERTAIN and self.uncertain == "resend"
        assert known.asked_again or resent, f"{known} is to be sent again, and nobody said so"
        known.may_go_again = True
        known.stepped_aside = True
        known.overdue &= not known.asked_again

    def what_was_acknowledged_is_there(self) -> None:
        rows = self.world.rows()
        assert set(rows) == set(self.known)
        for known in self.known.values():
            row = rows[known.id]
            assert (row["message"], row["kind"]) == (known.message, known.kind)

    def what_a_server_may_have_done_is_not_called_undone(self) -> None:
        rows = self.world.rows()
        for known in self.known.values():
            if known.unanswered:
                assert self.is_honest(known, rows[known.id]), f"{known} is {dict(rows[known.id])}"

    def is_honest(self, known: Known, row: sqlite3.Row) -> bool:
        match State(row["state"]):
            case State.SENDING | State.WAITING | State.UNCERTAIN:
                return True
            case State.QUEUED:
                return row["repeat_at"] is not None or known.may_go_again
            case State.CANCELLED | State.EXPIRED:
                return MAY_HAVE_BEEN_DONE in row["reason"]
            case State.DROPPED:
                return known.given_up or self.uncertain == "drop"
            case _:
                return False

    def a_reply_is_the_commands_own(self) -> None:
        for row in self.world.rows().values():
            reply = json.loads(row["reply"]) if row["reply"] else None
            if row["state"] == State.DONE:
                assert reply is not None
                assert reply["outcome"] == "done"
            assert reply is None or reply["content"].split()[:2] == ["re:", row["id"]]

    def a_server_does_nothing_twice_that_it_can_know(self) -> None:
        for server in self.world.servers.values():
            assert not server.dedupes or all(times == 1 for times in server.done.values())

    def the_window_is_kept(self) -> None:
        now = self.world.shell.now
        if now is not None:
            held = len(now.held())
            assert held <= now.link.window
            assert now.server.echoes or len(now.unanswered) <= 1

    def the_tally_is_a_true_count(self) -> None:
        counted: dict[str, tuple[int, int]] = {}
        for row in self.world.rows().values():
            number, size = counted.get(row["state"], (0, 0))
            counted[row["state"]] = (number + 1, size + row["bytes"])
        assert self.world.tally() == counted
        if not self.doomed:  # the question would be one of the last commits
            counts = self.world.do(self.world.outbox.counts())
            assert {str(state): number for state, number in counts.items()} == {
                state: number for state, (number, _) in counted.items()
            }

    def nothing_hangs_on_the_wire(self) -> None:
        """What is on the wire is in somebody's hands; whatever is in no hands would hang there for ever."""
        world = self.world
        if world.reactor.waiting or not self.is_healthy() or world.performer._unrecorded:
            return
        if self.uncertain != "ask":
            assert set(world.in_state(State.UNCERTAIN)) <= self.left_uncertain
        in_flight = set(world.assistant.snapshot().in_flight)
        assert set(world.in_state(*ON_THE_WIRE)) <= in_flight
        assert in_flight <= (world.shell.now.held() if world.shell.now is not None else set())

    # --- the end -----------------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            if hasattr(self, "world"):
                try:
                    if sys.exc_info()[0] is None:
                        self.all_ends_well()
                finally:
                    self.world.end()
        finally:
            self._quiet.close()
            shutil.rmtree(self.folder)

    def all_ends_well(self) -> None:
        """With a disk, a link and a server that answers, nothing waits but for the user."""
        world = self.world
        assert world.database is not None
        world.database.commits_left = None
        self.doomed = False
        world.spoil_disk("well")
        world.busy = False
        if world.shell.now is not None:
            world.lose(None)
        world.clock.wall = START  # nothing expires in the time that follows
        world.connect(greet=True)
        for _ in range(len(self.known) * 3 + 3):
            world.tick()
            world.do(world.handle())
            world.answer_all()
            world.live_through(10)
        stuck = world.in_state(State.QUEUED, State.SENDING, State.WAITING)
        assert not stuck, f"{[dict(world.rows()[command_id]) for command_id in stuck]}"
        self.audit()
        self.a_reply_is_the_commands_own()
        self.the_tally_is_a_true_count()
        self.nothing_hangs_on_the_wire()
        if world.in_state(*ONLY_THE_USER_CAN_SAY):
            return
        assert all(State(row["state"]) in ENDED for row in world.rows().values())


Delivery.TestCase.settings = settings(
    max_examples=2_000 if LONG else 60,
    stateful_step_count=40,
    derandomize=not LONG,
    database=None,
    deadline=None,
    phases=(Phase.generate, Phase.shrink),
    # Each example opens a real database and commits to it many times.
    suppress_health_check=[HealthCheck.too_slow],
)


class TestDelivery(Delivery.TestCase):  # type: ignore[misc,valid-type]  # made by hypothesis
    """No order of mishaps breaks a promise."""


@pytest.fixture(autouse=True)
def _no_limit_on_files_is_left() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield
    assert resource.getrlimit(resource.RLIMIT_FSIZE) == before
