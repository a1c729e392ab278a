from __future__ import annotations

from typing import Any

import pytest

from omniid.cli.reply import body_of


@pytest.mark.parametrize(
    ("kind", "answer", "step", "body"),
    [
        ("confirmation", "approve", None, {"accept": True}),
        ("confirmation", "yes", None, {"accept": True}),
        ("confirmation", "reject", None, {"accept": False}),
        ("confirmation", "no", None, {"accept": False}),
        ("confirmation", "at six", None, {}),  # which the daemon refuses
        ("approval", "approve", None, {"action": "approve_all", "step_id": None, "value": None}),
        ("approval", "cancel", None, {"action": "cancel_all", "step_id": None, "value": None}),
        ("approval", "approve", "s2", {"action": "approve_step", "step_id": "s2"}),
        ("approval", "reject", "s2", {"action": "reject_step", "step_id": "s2"}),
        ("approval", "at six", "s2", {"action": "modify_step", "step_id": "s2", "value": "at six"}),
        ("intervention", "approve", None, {"value": "approve"}),
        ("intervention", "Bob Smith", None, {"value": "Bob Smith"}),
        (None, "Bob Smith", None, {"value": "Bob Smith"}),
    ],
)
def test_an_answer_has_the_form_that_its_question_wants(
    kind: str | None, answer: str, step: str | None, body: dict[str, Any]
) -> None:
    assert body_of(kind, answer, step) == body
