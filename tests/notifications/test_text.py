"""The text of a notice: short, whole, and unable to steer anything."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniid.notifications.text import MAX_BODY, MAX_LINES, MAX_TITLE, body, title

UNSAFE = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\u2029\ud800-\udfff]")
ANY_TEXT = st.text(st.characters(codec=None), max_size=600)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        pytest.param("Dinner at seven.", "Dinner at seven.", id="as it is"),
        pytest.param("**bold** _and_ `code`", "**bold** _and_ `code`", id="markdown stands"),
        pytest.param("a\x1b[31;1mred\x1b[0m b", "ared b", id="colours"),
        pytest.param("\x1b]8;;http://evil\x1b\\here\x1b]8;;\x1b\\", "here", id="a terminal's hyperlink"),
        pytest.param("\x9b2Jgone", "gone", id="C1 escape"),
        pytest.param("photo\u202egpj.exe", "photogpj.exe", id="bidi override"),
        pytest.param("\u2066a\u2069", "a", id="bidi isolate"),
        pytest.param("a\x00b\x07c\x7f", "abc", id="NUL, bell, delete"),
        pytest.param("half \ud83d of one", "half of one", id="half of a character"),
        pytest.param("שלום \u200fשלום", "שלום \u200fשלום", id="marks of direction stay"),
        pytest.param("👩\u200d💻", "👩\u200d💻", id="joined emoji stay"),
        pytest.param("a\r\nb\rc\u2028d\te", "a\nb\nc\nd e", id="breaks of all kinds"),
        pytest.param(" \n\n a  b \n\n\n c \n", "a b\nc", id="empty lines"),
        pytest.param("1\n2\n3\n4\n5\n6", "1\n2\n3\n4\n5\n6", id="six lines"),
        pytest.param("1\n2\n3\n4\n5\n6\n7", "1\n2\n3\n4\n5\n6 …", id="seven lines"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_a_body(raw: str, shown: str) -> None:
    assert body(raw) == shown


def test_a_title_has_one_line() -> None:
    assert title(" You\nsaid\tthis\x1b[2J ") == "You said this"


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        pytest.param("x" * MAX_TITLE, "x" * MAX_TITLE, id="just fits"),
        pytest.param("x" * (MAX_TITLE + 1), "x" * (MAX_TITLE - 1) + "…", id="one long word"),
        pytest.param("word " * 40, "word " * 15 + "word…", id="at a word"),
        pytest.param("short " + "x" * 100, "short " + "x" * 73 + "…", id="hardly anything would be left"),
        pytest.param("x" * 75 + " abc defg", "x" * 75 + " abc…", id="the word ends where the room does"),
    ],
)
def test_what_is_too_long_is_cut(raw: str, shown: str) -> None:
    assert title(raw) == shown


@given(ANY_TEXT)
def test_any_text_is_made_safe_and_short(raw: str) -> None:
    shown = body(raw)

    assert not UNSAFE.search(shown)
    assert len(shown) <= MAX_BODY
    assert shown.count("\n") < MAX_LINES
    assert body(shown) == shown
    assert not UNSAFE.search(title(raw))
    assert "\n" not in title(raw)
    assert len(title(raw)) <= MAX_TITLE


def test_a_huge_text_is_cut_as_well() -> None:
    assert len(body("\x1b[" * 5_000_000)) <= MAX_BODY
    assert body("a " * 5_000_000).endswith("a…")
