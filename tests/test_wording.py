"""A command's text, made clean."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniid.errors import TextRefusedError
from omniid.wording import MAX_CHARACTERS, clean


@pytest.mark.parametrize(
    ("given_text", "expected"),
    [
        pytest.param("Send it", "Send it", id="plain text stays"),
        pytest.param("  Send it \n", "Send it", id="outer space goes"),
        pytest.param("u\u0308ber", "\u00fcber", id="a letter in two parts becomes one"),
        pytest.param("a\x00b\x07c\x1bd\x7fe\x9bf", "abcdef", id="control characters go"),
        pytest.param("one\r\ntwo\tthree", "one\ntwo\tthree", id="lines and tabs stay"),
        pytest.param("pay \u202e001\u202c now", "pay 001 now", id="bidi overrides go"),
        pytest.param("\u2066hidden\u2069", "hidden", id="bidi isolates go"),
        pytest.param("\u05e9\u05dc\u05d5\u05dd", "\u05e9\u05dc\u05d5\u05dd", id="right-to-left text stays"),
        pytest.param("half \ud83d of it", "half  of it", id="half a character goes"),
        pytest.param("👩\u200d💻", "👩\u200d💻", id="a joined emoji stays"),
    ],
)
def test_a_text_is_made_clean(given_text: str, expected: str) -> None:
    assert clean(given_text) == expected


@pytest.mark.parametrize("text", ["", "   ", "\x00\x01", "\u202e", "\r\n\t "])
def test_an_empty_text_is_refused(text: str) -> None:
    with pytest.raises(TextRefusedError) as refused:
        clean(text)

    assert refused.value.code == "text_empty"


def test_the_longest_text_is_taken_and_a_longer_one_refused_in_words() -> None:
    assert clean("x" * MAX_CHARACTERS) == "x" * 8_000
    with pytest.raises(TextRefusedError, match="8,001 characters") as refused:
        clean("x" * (MAX_CHARACTERS + 1))
    assert refused.value.code == "text_too_long"


def test_length_is_counted_after_cleaning() -> None:
    assert len(clean("\x00" * 10_000 + "u\u0308" * MAX_CHARACTERS)) == MAX_CHARACTERS


@given(st.text(st.characters(), max_size=200))
def test_a_clean_text_stays_as_it_is_and_can_be_written(text: str) -> None:
    try:
        cleaned = clean(text)
    except TextRefusedError:
        return
    assert clean(cleaned) == cleaned
    assert unicodedata.is_normalized("NFC", cleaned)
    cleaned.encode()
