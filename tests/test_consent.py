from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniid.consent import verdict


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
