from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniid.speech.speakable import MAX_PIECE_CHARS, make_speakable, split_sentences


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("It is 5:04 p.m.", "It is 5:04 p.m."),
        ("**Hello** _there_ and *you*, ~~not~~ `now`!", "Hello there and you, not now!"),
        ("***all of it***.", "all of it."),
        ("snake_case_name and 2 * 3 * 4.", "snake_case_name and 2 * 3 * 4."),
        ("See [the docs](https://example.org/a?b) or ![a cat](cat.png).", "See the docs or a cat."),
        ("Go to https://www.example.org/path?q=1#x.", "Go to example.org."),
        ("At <http://user@host.example:8080/>, now.", "At host.example, now."),
        ("# Eggs\nMilk and\nbread\n\nBye", "Eggs.\nMilk and bread.\nBye."),
        ("- eggs\n* milk\n1. bread\n", "eggs.\nmilk.\n1. bread."),
        ("> said\n> twice", "said twice."),
        ("Run this:\n```sh\nls\n```\nDone", "Run this:\nls.\nDone."),
        ("one\n\n---\n\ntwo", "one.\ntwo."),
        ("\x1b[1;31mred\x1b[0m \x1b]8;;http://x.org\x07link\x1b]8;;\x1b\\!", "red link!"),
        ("a\x00b\x07c\u202ed\u2066e\ufefff\u200bg", "abcdefg."),
        ("half \ud800 a pair", "half a pair."),
        ("good 👍🏽 day ❤️ 👨‍👩‍👧 🇫🇷 3️⃣", "good day."),
        ("می‌خواهم", "می‌خواهم."),
        ("20 °C, €5, 50 %", "20 °C, €5, 50 %."),
        ("  many \t spaces\r\nhere ", "many spaces here."),
        ("“Really?”", "“Really?”"),
        ("", ""),
        (" \n\t ", ""),
        ("---", ""),
        ("👍", ""),
        ("...", ""),
    ],
)
def test_text_for_the_eye_becomes_text_for_the_ear(written: str, spoken: str) -> None:
    assert make_speakable(written) == spoken


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("It is 5:04 p.m. and 3.5 degrees. Good night!", ["It is 5:04 p.m. and 3.5 degrees.", "Good night!"]),
        ("It is 5:04 p.m. Good night.", ["It is 5:04 p.m. Good night."]),
        ("Dr. Smith called. J. S. Bach did not.", ["Dr. Smith called.", "J. S. Bach did not."]),
        ("Really?! Yes... yes. No.", ["Really?!", "Yes... yes.", "No."]),
        ('He said "Go." She went.', ['He said "Go."', "She went."]),
        ("eggs.\n1. bread.\nmilk.", ["eggs.", "1. bread.", "milk."]),
        ("今日は。良い天気。", ["今日は。", "良い天気。"]),
        ("no end", ["no end"]),
        ("", []),
    ],
)
def test_sentences_are_whole(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


def test_what_never_ends_is_cut_at_commas_spaces_or_anywhere() -> None:
    for text in ("some words, " * 100, "word " * 100, "x" * 1_000):
        pieces = split_sentences(text.strip())
        assert len(pieces) > 1
        assert max(map(len, pieces)) <= MAX_PIECE_CHARS
        assert "".join(pieces).replace(" ", "") == text.replace(" ", "")


@given(st.text())
def test_no_text_breaks_it_and_nothing_unspeakable_is_left(text: str) -> None:
    speakable = make_speakable(text)
    speakable.encode()
    assert not any(ord(char) < 32 and char != "\n" for char in speakable)
    assert all(piece.strip() == piece != "" for piece in split_sentences(speakable))
    joined = "".join("".join(split_sentences(speakable)).split())
    assert joined == "".join(speakable.split())


@pytest.mark.parametrize(
    "evil",
    [
        "**a ",
        "[",
        "\x1b]",
        "`",
        "_a ",
        "- ",
        "a.",
        "a. ",
        "https://",
        "\n",
        "\n ",
        "*a",
        "~~a",
        "> ",
        "***",
        "x",
    ],
)
def test_no_text_takes_long(evil: str) -> None:
    began = time.monotonic()
    split_sentences(make_speakable(evil * 20_000))
    assert time.monotonic() - began < 5.0  # 0.1 s
