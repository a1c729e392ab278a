from __future__ import annotations

from typing import Any

import pytest
import typer

from omniid.cli.reply import body_of, show_all


@pytest.mark.parametrize(
    ("kind", "answer", "step", "body"),
    [
        ("confirmation", "approve", None, {"accept": True}),
        ("confirmation", "yes", None, {"accept": True}),
        ("confirmation", "reject", None, {"accept": False}),
        ("confirmation", "no", None, {"accept": False}),
        ("approval", "approve", None, {"action": "approve_all"}),
        ("approval", "cancel", None, {"action": "cancel_all"}),
        ("approval", "approve", "s2", {"action": "approve_step", "step_id": "s2", "value": None}),
        ("approval", "reject", "s2", {"action": "reject_step", "step_id": "s2", "value": None}),
        ("approval", "at six", "s2", {"action": "modify_step", "step_id": "s2", "value": "at six"}),
        ("intervention", "approve", None, {"value": "yes"}),
        ("intervention", "no", None, {"value": "no"}),
        ("intervention", "Bob Smith", None, {"value": "Bob Smith"}),
    ],
)
def test_an_answer_has_the_form_that_its_question_wants(
    kind: str, answer: str, step: str | None, body: dict[str, Any]
) -> None:
    assert body_of(kind, answer, step) == body


@pytest.mark.parametrize(
    ("kind", "answer", "step"),
    [
        ("approval", "Approved", None),
        ("approval", "maybe", None),
        ("confirmation", "at six", None),
        ("intervention", "", None),
        ("intervention", "  ", None),
        ("intervention", "Bob", "s2"),
        ("confirmation", "yes", "s2"),
    ],
)
def test_what_is_no_answer_is_refused_and_leaves_the_question(
    kind: str, answer: str, step: str | None
) -> None:
    with pytest.raises(typer.BadParameter):
        body_of(kind, answer, step)


def question(kind: str, **payload: Any) -> dict[str, Any]:
    shown = {"id": "q1", "kind": kind, "text": "Plan a lunch", "open_for_s": 9.6, "open_steps": ["st2"]}
    return {**shown, "raw": {"payload": payload}}


def test_a_plan_is_shown_with_its_steps_its_risks_and_how_to_decide(
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = [
        {"id": "st1", "order": 1, "description": "Book a\x1b[2J table", "riskLevel": "low"},
        {"id": "st2", "order": 2, "description": "Tell Ann"},
    ]

    show_all([question("approval", steps=steps, risks=["Ann may be away"])])

    assert capsys.readouterr().out.splitlines() == [
        "q1  approval, open for 10 s more",
        "    Plan a lunch",
        "    1. Book a\N{REPLACEMENT CHARACTER}[2J table (--step st1, risk low): decided",
        "    2. Tell Ann (--step st2)",
        "    Risk: Ann may be away",
        "    Answer with: omniid reply q1 approve|reject",
    ]


@pytest.mark.parametrize("steps", [None, 7, "x", [None, 7, {}], {"a": 1}, [{"id": []}] * 100])
def test_a_plan_in_no_known_form_is_shown_as_far_as_it_goes(
    steps: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    show_all([question("approval", steps=steps, risks=steps)])

    assert "Answer with" in capsys.readouterr().out
