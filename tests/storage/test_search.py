"""What people type into a search."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniid.storage import search

TEXTS = {
    1: "Add milk and bread to my shopping list",
    2: "Ça alors, un café crème à Zürich",
    3: "The host rock-n-roll.example said 100% (C++)",
    4: "明日の会議は何時ですか",
    5: "ประชุมพรุ่งนี้กี่โมง",
    6: "회의가 언제예요?",
    7: "नमस्ते दुनिया",
    8: 'He said "stop" NEAR the 2nd column: text',
    9: "привет, мир",
}


@pytest.fixture(scope="module")
def index() -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE TABLE messages (number INTEGER PRIMARY KEY, text)")
    connection.execute(
        "CREATE VIRTUAL TABLE words USING fts5 (text, tokenize = 'unicode61 remove_diacritics 2')"
    )
    for number, text in TEXTS.items():
        connection.execute("INSERT INTO messages VALUES (?, ?)", (number, text))
        connection.execute("INSERT INTO words (rowid, text) VALUES (?, ?)", (number, text))
    yield connection
    connection.close()


def found(index: sqlite3.Connection, typed: str) -> set[int]:
    wanted = search.parse(typed)
    numbers = set() if wanted.is_empty else set(TEXTS)
    if wanted.match is not None:
        numbers &= {
            n for (n,) in index.execute("SELECT rowid FROM words WHERE words MATCH ?", (wanted.match,))
        }
    for piece in wanted.pieces:
        rows = index.execute("SELECT number FROM messages WHERE text LIKE ? ESCAPE '\\'", (piece,))
        numbers &= {n for (n,) in rows}
    return numbers


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("milk", {1}),
        ("MILK", {1}),
        ("shop", {1}),
        ("bread milk", {1}),
        ("milk wine", set()),
        ("ilk", set()),
        ("cafe creme", {2}),
        ("zurich", {2}),
        ("Zu\u0308rich", {2}),
        ("rock-n-roll", {3}),
        ("100%", {3}),
        ("C++", {2, 3, 8}),  # as far as the index goes: words that begin with c
        ("-milk", {1}),
        ("milk*", {1}),
        ("*", set()),
        ("%", set()),
        ('"', set()),
        ("", set()),
        ("   ", set()),
        ('"stop', {8}),
        ('"stop"', {8}),
        ("NEAR", {8}),
        ("NEAR(stop, 2)", set()),
        ("stop AND", set()),
        ("the OR", set()),
        ("NOT", set()),
        ("column: text", {8}),
        ("text:stop", set()),
        ("^Add", {1}),
        ("(milk", {1}),
        ("{milk}", {1}),
        ("milk;'--", {1}),
        ("m\x00ilk", set()),
        ("milk\x00", {1}),
        ("\ud83d milk", {1}),
        ("😀", set()),
        ("😀 milk", {1}),
        ("会議", {4}),
        ("何時", {4}),
        ("会議 milk", set()),
        ("พรุ่งนี้", {5}),
        ("회의", {6}),
        ("नमस्ते", {7}),
        ("МИР", {9}),
        ("прив", {9}),
    ],
)
def test_what_is_typed_finds_what_was_meant(
    index: sqlite3.Connection, typed: str, expected: set[int]
) -> None:
    assert found(index, typed) == expected


def test_a_percent_sign_in_a_script_without_spaces_is_a_percent_sign(index: sqlite3.Connection) -> None:
    assert search.parse("会%議").pieces == ("%会\\%議%",)
    assert found(index, "会%議") == set()


@given(st.text(st.characters(), max_size=80))
@settings(max_examples=400, deadline=None)
def test_nothing_that_can_be_typed_is_an_error(typed: str) -> None:
    connection = sqlite3.connect(":memory:")
    connection.execute("CREATE VIRTUAL TABLE words USING fts5 (text)")
    connection.execute("CREATE TABLE messages (number INTEGER PRIMARY KEY, text)")

    assert found(connection, typed) == set()
    connection.close()


@given(st.text(st.sampled_from('ab"*-^():{}+ NEARORNOTD\x00\\%_会'), max_size=60))
@settings(max_examples=400, deadline=None)
def test_no_mixture_of_operators_is_an_error(typed: str) -> None:
    test_nothing_that_can_be_typed_is_an_error.hypothesis.inner_test(typed)  # type: ignore[attr-defined]


def test_a_book_pasted_into_the_search_is_a_search_of_bounded_size() -> None:
    wanted = search.parse(" ".join(f"word{number}" for number in range(100_000)))

    assert wanted.match is not None
    assert len(wanted.match) < 1_000
