"""The daemon is killed at random moments while commands come in and go out: none is lost, none done twice.

`OMNIID_TEST_KILLS` says how often, over all servers; by default 9, and 200 in `script/test --long`.
`OMNIID_TEST_SEED` gives the moments again, as far as a machine can.
"""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from support import flow
from support.callers import Heard, calling
from support.strict_server import received, strict_server

from omniid.cli.private_daemon import PrivateDaemon
from omniid.errors import NotRunningError

LONG = os.environ.get("OMNIID_TEST_LONG") == "1"
KILLS = int(os.environ.get("OMNIID_TEST_KILLS") or (200 if LONG else 9))
SEED = int(os.environ.get("OMNIID_TEST_SEED") or random.randrange(1_000_000))
CALLERS = 2
DRAINED_WITHIN_S = 600.0
LAST = "the last"

# The first kill and every fourth after it fall in the start of the daemon, the others after it was ready.
_STARTS_S = (0.0, 1.5)
_LIVES_S = (0.05, 1.5)
_EVERY = 4


@dataclass(frozen=True)
class Server:
    """How the backend behaves, and how many commands it lets be in flight."""

    options: tuple[str, ...]
    window: int
    dedupes: bool = False


SERVERS = {
    "without_ids": Server((), 1),
    "echoing_ids": Server(("--echo",), 16),
    "deduping": Server(("--echo", "--features", "correlate,dedupe,batch"), 16, dedupes=True),
}


@dataclass(frozen=True)
class Row:
    """A command as the database has it in the end."""

    id: str
    message: str
    state: str
    has_reply: bool
    attempts: int
    dedupes: bool  # whether the server had said so before the last attempt


@dataclass
class Outcome:
    """Everything there is to know when the line has drained."""

    kills: int
    heard: list[Heard]
    received: list[str]  # the ids that the server wrote down, in order
    rows: list[Row]
    cut_off: Counter[str]

    @property
    def asked(self) -> set[str]:
        return {message for each in self.heard for message in each.keys}

    @property
    def acknowledged(self) -> dict[str, str]:
        return {message: number for each in self.heard for message, number in each.ids.items()}

    def lost(self) -> list[str]:
        """Acknowledged commands that the database does not have as they were acknowledged."""
        stored = {row.id: row.message for row in self.rows}
        return [
            f"{number} {words}" for words, number in self.acknowledged.items() if stored.get(number) != words
        ]

    def came_again(self) -> list[str]:
        return [number for number, times in Counter(self.received).items() if times > 1]

    def words(self) -> str:
        states = Counter(row.state for row in self.rows)
        executed = set(self.received)
        unsettled = sum(row.state == "uncertain" and row.id in executed for row in self.rows)
        return (
            f"{self.kills} kills, {len(self.asked)} asked for, "
            f"{len(self.acknowledged)} acknowledged, "
            f"{sum(each.lost_answers for each in self.heard)} answers lost, "
            f"{sum(each.repeats for each in self.heard)} keys repeated, {len(self.rows)} stored "
            f"{dict(states)}, {len(self.received)} received, {len(executed)} executed "
            f"({unsettled} of the uncertain), attempts cut off {dict(self.cut_off)}, "
            f"{len(self.lost())} lost, {len(self.came_again())} came again"
        )


@pytest.mark.parametrize("name", SERVERS)
def test_no_kill_loses_a_command_or_does_one_twice(name: str, tmp_path: Path) -> None:
    server = SERVERS[name]
    kills = -(-KILLS // len(SERVERS))
    print(f"{name}: seed {SEED}, {kills} kills")  # noqa: T201 whoever looks into a failure needs it
    log = tmp_path / "received"
    moments = random.Random(f"{SEED} {name}")
    with strict_server(log, *server.options) as port:
        house = _house(tmp_path / "house", port)
        with calling(CALLERS, house.client, moments) as callers:
            for number in range(kills):
                _live_and_die(house, moments, in_start=number % _EVERY == 0)
            with house:
                heard = [caller.finish(flow.WITHIN_S) for caller in callers]
                _drain(house)
                assert house.stop() == 0
    database = tmp_path / "house" / "data" / "omniid" / "omniid.db"
    outcome = Outcome(kills, heard, received(log), *_stored(database))
    print(f"{name}: {outcome.words()}")  # noqa: T201
    assert _mistakes(outcome, server) == []
    assert _damage(house, database) == []


# --- the loop -----------------------------------------------------------------------------------------------


def _house(folder: Path, port: int) -> PrivateDaemon:
    """Where each daemon of the loop lives. Its settings stand in the environment: any may be the first."""
    house = flow.daemon(
        folder,
        OMNIID_BACKEND__URL=f"ws://127.0.0.1:{port}/ws",
        OMNIID_SESSION__RATE_LIMIT_PER_MINUTE="0",
        OMNIID_DELIVERY__MAX_COMMANDS="1000000",
        OMNIID_DELIVERY__MAX_BYTES="1000000000",
        OMNIID_SPEECH__ENGINE="none",
        OMNIID_CONTROL__SOCKET=str(folder / "run" / "omniid.sock"),
    )
    (folder / "config.toml").touch()
    return house


def _live_and_die(house: PrivateDaemon, moments: random.Random, *, in_start: bool) -> None:
    """One daemon from its start to its kill."""
    lives_s = moments.uniform(*(_STARTS_S if in_start else _LIVES_S))
    with _daemon(house) as process:
        if not in_start:
            _wait_until_ready(house, process)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(lives_s)
        assert process.poll() is None, house.log.read_text(encoding="utf-8")[-2_000:]


@contextlib.contextmanager
def _daemon(house: PrivateDaemon) -> Iterator[subprocess.Popen[bytes]]:
    """A daemon that is killed at the end of the block."""
    with (
        house.log.open("ab") as log,
        subprocess.Popen(
            [sys.executable, "-m", "omniid", "run"],
            env=house.environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def _wait_until_ready(house: PrivateDaemon, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + flow.WITHIN_S
    while process.poll() is None:
        assert time.monotonic() < deadline
        try:
            house.client.call("GET", "/v1/health")
        except NotRunningError:
            time.sleep(0.01)
        else:
            return


def _drain(house: PrivateDaemon) -> None:
    """Wait for what came last: the server answers in order, so that all before it has its word too."""
    last = house.client.call(
        "POST",
        "/v1/commands",
        {"message": LAST, "wait_s": DRAINED_WITHIN_S},
        wait_s=DRAINED_WITHIN_S,
    )
    assert last["state"] == "done"


# --- the judgement ------------------------------------------------------------------------------------------


def _stored(database: Path) -> tuple[list[Row], Counter[str]]:
    """What is stored, and how many attempts were cut off by a kill, by how far they were."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        rows = [
            Row(number, message, state, bool(has_reply), attempts, bool(dedupes))
            for number, message, state, has_reply, attempts, dedupes in connection.execute(
                "SELECT id, message, state, reply IS NOT NULL, attempts, coalesce(dedupes, 0) FROM commands"
                " LEFT JOIN attempts ON command_id = id AND number = attempts ORDER BY position"
            )
        ]
        cut_off = Counter(
            {
                f"{outcome} {'while waiting' if written else 'while sending'}": count
                for outcome, written, count in connection.execute(
                    "SELECT outcome, written_at IS NOT NULL, count(*) FROM attempts"
                    " WHERE outcome IN ('uncertain', 'repeated') GROUP BY 1, 2"
                )
            }
        )
    return rows, cut_off


def _mistakes(outcome: Outcome, server: Server) -> list[str]:
    """Everything that must not be, a line each."""
    executed = Counter(outcome.received)
    stored = Counter(row.message for row in outcome.rows)
    known = {row.id for row in outcome.rows}
    return [
        *(f"lost: {each}" for each in outcome.lost()),
        *(f"another id for the same key: {each}" for heard in outcome.heard for each in heard.other_ids),
        *(f"stored {times} times: {words}" for words, times in stored.items() if times > 1),
        *(f"nobody asked for it: {words}" for words in stored if words not in {*outcome.asked, LAST}),
        *(f"executed and not stored: {number}" for number in executed if number not in known),
        *(each for row in outcome.rows for each in _row_mistakes(row, executed[row.id], server)),
        *_uncertain_mistakes(outcome, server),
    ]


def _row_mistakes(row: Row, times: int, server: Server) -> Iterator[str]:
    if row.state not in {"done", "uncertain"}:
        yield f"{row.state}, and it came to the server {times} times: {row}"
    if row.has_reply is not (row.state == "done"):
        yield f"its reply does not fit its state: {row}"
    if row.state == "done" and not times:
        yield f"done, and the server never had it: {row}"
    if times > row.attempts:
        yield f"came to the server {times} times, more often than it was attempted: {row}"
    if times > 1 and not server.dedupes:
        yield f"done {times} times: {row}"


def _uncertain_mistakes(outcome: Outcome, server: Server) -> Iterator[str]:
    uncertain = [row for row in outcome.rows if row.state == "uncertain"]
    if len(uncertain) > outcome.kills * server.window:
        yield f"{len(uncertain)} are uncertain after {outcome.kills} kills"
    # What goes out before the hello has been read goes to a server of which nothing is known.
    yield from (f"uncertain, and the server knows a repeated id: {row}" for row in uncertain if row.dedupes)


def _damage(house: PrivateDaemon, database: Path) -> list[Any]:
    with contextlib.closing(sqlite3.connect(database)) as connection:
        verdict = [row[0] for row in connection.execute("PRAGMA integrity_check")]
        orphans = connection.execute("PRAGMA foreign_key_check").fetchall()
    log = house.log.read_text(encoding="utf-8", errors="replace")
    found = [line for line in log.splitlines() if "Traceback" in line or "damaged" in line]
    return [*(line for line in verdict if line != "ok"), *orphans, *database.parent.glob("*damaged*"), *found]
