"""`omniid reply`: the answer to something omniid or the backend asked."""

from __future__ import annotations

from typing import Annotated, Any, TextIO

import typer

from omniid.cli.output import JsonFlag, duration, one_line, print_json
from omniid.control.client import Client
from omniid.errors import NotFoundError

_DECISIONS = {"approve": "approve_all", "reject": "cancel_all", "cancel": "cancel_all"}
_OF_A_STEP = {"approve": "approve_step", "reject": "reject_step", "cancel": "reject_step"}
_YES = {"approve", "yes"}
_NO = {"reject", "cancel", "no"}
_MOST_STEPS = 30


def reply(
    id_: Annotated[
        str | None,
        typer.Argument(metavar="[ID]", help="The question's id. Without it, the questions are listed."),
    ] = None,
    answer: Annotated[
        str | None,
        typer.Argument(metavar="[ANSWER]", help="approve, reject, cancel, or the words asked for."),
    ] = None,
    *,
    step: Annotated[
        str | None, typer.Option(help="Only this step of a plan: approve, reject, or words that change it.")
    ] = None,
    json_: JsonFlag = False,
) -> None:
    """Answer a question, or show those that are open."""
    client = Client()
    questions = client.call("GET", "/v1/questions")["questions"]
    if id_ is not None:
        questions = [question for question in questions if question["id"] == id_]
        if not questions:
            raise NotFoundError(f"There is no open question {id_!r}. `omniid reply` lists those that are.")
    if id_ is None or answer is None:
        show_all(questions, as_json=json_)
        return
    client.call("POST", f"/v1/questions/{id_}", body_of(questions[0]["kind"], answer, step))
    print("Answered.")


def body_of(kind: str, answer: str, step: str | None) -> dict[str, Any]:
    """What the control API takes for an answer to a question of that kind.

    Raises:
        BadParameter: it is no answer to such a question.
    """
    if not answer.strip():
        raise typer.BadParameter("the answer is empty.")
    if kind == "approval":
        return _decision(answer, step)
    if step is not None:
        raise typer.BadParameter("only a plan that is to be approved has steps.")
    if kind == "intervention":
        return {"value": "yes" if answer in _YES else "no" if answer in _NO else answer}
    if answer not in _YES | _NO:
        raise typer.BadParameter("say yes or no.")
    return {"accept": answer in _YES}


def _decision(answer: str, step: str | None) -> dict[str, Any]:
    if step is None:
        action = _DECISIONS.get(answer)
        if action is None:
            raise typer.BadParameter("say approve, reject or cancel. With --step, words change that step.")
        return {"action": action}
    action = _OF_A_STEP.get(answer, "modify_step")
    return {"action": action, "step_id": step, "value": answer if action == "modify_step" else None}


def show_all(questions: list[dict[str, Any]], *, as_json: bool = False, file: TextIO | None = None) -> None:
    """Print `QuestionView`s, each with what is to be decided and how it is answered."""
    if as_json:
        print_json(questions)
        return
    for question in questions:
        print(
            f"{question['id']}  {question['kind']}, open for {duration(question['open_for_s'])} more",
            file=file,
        )
        for line in (question["text"], *_plan(question["raw"], question["open_steps"]), _how(question)):
            print(f"    {one_line(line)}", file=file)
    if not questions:
        print("Nobody asks anything.")


def _plan(frame: dict[str, Any], open_steps: list[str]) -> list[str]:
    """The steps and the risks of a draft; nothing where the frame has none in the form that is agreed on."""
    payload = _record(frame.get("payload"))
    steps = [_record(step) for step in _items(payload.get("steps"))]
    lines = [
        f"{step.get('order', number)}. {step.get('description', '?')} (--step {step.get('id', '?')}"
        + (f", risk {step['riskLevel']})" if step.get("riskLevel") else ")")
        + ("" if not open_steps or step.get("id") in open_steps else ": decided")
        for number, step in enumerate(steps[:_MOST_STEPS], start=1)
    ]
    more = [f"… and {len(steps) - _MOST_STEPS} more steps"] if len(steps) > _MOST_STEPS else []
    return [*lines, *more, *(f"Risk: {risk}" for risk in _items(payload.get("risks"))[:_MOST_STEPS])]


def _how(question: dict[str, Any]) -> str:
    answers = {"approval": "approve|reject", "confirmation": "yes|no"}.get(question["kind"], '"your answer"')
    return f"Answer with: omniid reply {question['id']} {answers}"


def _record(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
