from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniid.consent import verdict, wants_words


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Yes.", True),
        ("YES!", True),
        ("Okay", True),
        ("That's right.", True),
        ("Sí", True),
        ("Да.", True),
        ("No.", False),
        ("Don't.", False),
        ("Não", False),
        ("いいえ。", False),
        ("no, at six", None),
        ("yes and call Bob", None),
        ("Note that down", None),
        ("", None),
        ("...", None),
    ],
)
def test_only_a_plain_yes_or_no_is_an_answer(text: str, answer: bool | None) -> None:
    assert verdict(text) is answer


@given(st.text())
def test_any_text_has_a_verdict(text: str) -> None:
    assert verdict(text) in {True, False, None}


@pytest.mark.parametrize(
    ("question", "open_"),
    [
        ("Which Bob?", True),
        ("There are two of them. Which one do you mean?", True),
        ("To whom shall I send it?", True),
        ("At what time?", True),
        ("Welchen Bob meinst du?", True),
        ("¿Cuál?", False),  # the mark before it is none we know; then both ways stay open
        ("Really send it?", False),
        ("Shall I ask when Ann is there?", False),
        ("Send it to Bob, who is away?", False),
        ("Was this right?", False),
        ("Whatever. Send it?", False),
        ("What a day", False),
        ("When you are ready, shall I send it?", False),
        ("How about 3 pm?", False),
        ("Why not today?", False),
        ("When, and where?", True),
    ],
)
def test_a_question_that_yes_and_no_hardly_answer(question: str, open_: bool) -> None:
    assert wants_words(question) is open_
