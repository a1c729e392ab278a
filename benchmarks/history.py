"""What the history costs at 100,000 messages, in clear and encrypted, beside plain sqlite3 with LIKE.

    python benchmarks/history.py [--messages 100000] [--folder /var/tmp]

The peer has the same table without a search index, is filled in transactions of the same size, and looks for
a word as one does without an index: LIKE, newest first. Needs the extra `encrypted`. About three minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import accumulate
from pathlib import Path

from rich.console import Console
from rich.table import Table

from omniid.storage.database import Database
from omniid.storage.history import History
from omniid.storage.messages import HistoryMessage

_IN_A_COMMIT = 64
_ROUNDS = 15
_START = datetime(2026, 1, 1, tzinfo=UTC)
_PEER = "CREATE TABLE messages (number INTEGER PRIMARY KEY, id TEXT, at TEXT, sender TEXT, text TEXT)"
_LIKE = "SELECT * FROM messages WHERE {} ORDER BY number DESC LIMIT 20"

Figures = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--folder", type=Path, default=Path("/var/tmp"), help="a folder on a real disk")  # noqa: S108 made private below
    given = parser.parse_args()
    texts, searches = _talk(given.messages)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        columns = {
            "omniid": asyncio.run(_omniid(Path(folder, "plain"), None, texts, searches)),
            "omniid, encrypted": asyncio.run(
                _omniid(Path(folder, "locked"), os.urandom(32), texts, searches)
            ),
            "sqlite3 with LIKE": _peer(Path(folder, "peer.db"), texts, searches),
        }
    table = Table("what", *columns, title=f"{given.messages:,} messages of 25 words, {os.cpu_count()} CPUs")
    for row in columns["omniid"]:
        table.add_row(row, *(figures.get(row, "–") for figures in columns.values()))
    Console(width=120).print(table)
    print(f"load {os.getloadavg()[0]:.1f}; times of questions are medians of {_ROUNDS}")


def _talk(count: int) -> tuple[list[str], dict[str, str]]:
    """Texts with words as common and as rare as in a language, and what to look for in them."""
    dice = random.Random(7)  # noqa: S311 the same talk each time
    words = ["".join(dice.choices("abcdefghijklmnoprstuvw", k=dice.randint(3, 9))) for _ in range(20_000)]
    shares = list(accumulate(1 / rank for rank in range(1, len(words) + 1)))
    texts = [" ".join(dice.choices(words, cum_weights=shares, k=25)) for _ in range(count)]
    texts[count // 10] += " 会議は明日です"
    return texts, {
        "a common word": words[3],
        "a rare word": words[15_000],
        "a rare and a common word": f"{words[9_000]} {words[3]}",
        "the beginning of a word": words[500][:3],
        "a word that is nowhere": "xyzzyxyzzy",
        "a word without spaces around it (会議)": "会議",
    }


async def _omniid(folder: Path, key: bytes | None, texts: list[str], searches: dict[str, str]) -> Figures:
    figures, path = Figures(), folder / "omniid.db"
    async with Database(path, key) as database:
        history = History(database)
        began = time.perf_counter()
        for start in range(0, len(texts), _IN_A_COMMIT):
            async with asyncio.TaskGroup() as group:
                for number in range(start, min(start + _IN_A_COMMIT, len(texts))):
                    group.create_task(history.add(_message(number, texts[number])))
        figures[f"add, {_IN_A_COMMIT} in a commit"] = _rate(len(texts), time.perf_counter() - began)
        numbers = iter(range(len(texts), 2 * len(texts)))
        one_by_one = await _median_ms(lambda: history.add(_message(next(numbers), texts[0])), 200)
        figures["add one, with its fsync"] = one_by_one
        for name, words in searches.items():
            figures[f"find {name}"] = await _median_ms(partial(history.page, 20, query=words))
        figures["the last 20"] = await _median_ms(lambda: history.page(20))
        figures["20 from the middle"] = await _median_ms(lambda: history.page(20, before=len(texts) // 2))
    figures["size on disk"] = f"{path.stat().st_size / 1e6:.1f} MB"
    began = time.perf_counter()
    async with Database(path, key) as database:
        figures["open, with the check of the file"] = _ms(time.perf_counter() - began)
        history = History(database)
        day = _START + timedelta(days=1)
        figures["forget one day of about 70"] = await _once(
            lambda: history.forget_older_than(1, day + timedelta(days=1))
        )
        half = _START + timedelta(minutes=len(texts) // 2)
        figures["forget half of it"] = await _once(lambda: history.forget_older_than(0, half))
        figures["clear"] = await _once(history.clear)
    return figures


def _peer(path: Path, texts: list[str], searches: dict[str, str]) -> Figures:
    figures = Figures()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(f"PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; {_PEER};")
        began = time.perf_counter()
        for start in range(0, len(texts), _IN_A_COMMIT):
            connection.execute("BEGIN")
            connection.executemany(
                "INSERT INTO messages (id, at, sender, text) VALUES (?, ?, 'user', ?)",
                [
                    (f"m{n}", _at(n).isoformat(), texts[n])
                    for n in range(start, min(start + _IN_A_COMMIT, len(texts)))
                ],
            )
            connection.execute("COMMIT")
        figures[f"add, {_IN_A_COMMIT} in a commit"] = _rate(len(texts), time.perf_counter() - began)
        insert = "INSERT INTO messages (id, at, sender, text) VALUES ('x', 'y', 'user', ?)"
        figures["add one, with its fsync"] = _median_now_ms(
            lambda: connection.execute(insert, (texts[0],)), 200
        )
        for name, words in searches.items():
            figures[f"find {name}"] = _median_now_ms(partial(_like, connection, words.split()))
        last = "SELECT * FROM messages ORDER BY number DESC LIMIT 20"
        figures["the last 20"] = _median_now_ms(lambda: connection.execute(last).fetchall())
        middle = "SELECT * FROM messages WHERE number < ? ORDER BY number DESC LIMIT 20"
        place = (len(texts) // 2,)
        figures["20 from the middle"] = _median_now_ms(lambda: connection.execute(middle, place).fetchall())
    figures["size on disk"] = f"{path.stat().st_size / 1e6:.1f} MB"
    return figures


def _like(connection: sqlite3.Connection, words: list[str]) -> None:
    sql = _LIKE.format(" AND ".join(["text LIKE ?"] * len(words)))
    connection.execute(sql, [f"%{word}%" for word in words]).fetchall()


def _message(number: int, text: str) -> HistoryMessage:
    return HistoryMessage(f"m{number}", _at(number), "user", "command", text)


def _at(number: int) -> datetime:
    return _START + timedelta(minutes=number)


async def _median_ms(work: Callable[[], Awaitable[object]], rounds: int = _ROUNDS) -> str:
    times = []
    for _ in range(rounds):
        began = time.perf_counter()
        await work()
        times.append(time.perf_counter() - began)
    return _ms(statistics.median(times))


def _median_now_ms(work: Callable[[], object], rounds: int = _ROUNDS) -> str:
    async def later() -> None:
        work()

    return asyncio.run(_median_ms(later, rounds))


async def _once(work: Callable[[], Awaitable[int]]) -> str:
    began = time.perf_counter()
    count = await work()
    return f"{_ms(time.perf_counter() - began)} ({count:,})"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.{0 if seconds > 0.1 else 2}f} ms"


def _rate(count: int, seconds: float) -> str:
    return f"{count / seconds:,.0f} a second"


if __name__ == "__main__":
    main()
