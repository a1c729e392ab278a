"""`omniid reply`: the answer to something omniid or the backend asked."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from omniid.cli.output import JsonFlag, one_line, print_json
from omniid.control.client import Client

_DECISIONS = {"approve": "approve_all", "reject": "cancel_all", "cancel": "cancel_all"}


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
    step: Annotated[str | None, typer.Option(help="Approve or reject only this step of a draft.")] = None,
    json_: JsonFlag = False,
) -> None:
    """Answer a question, or list those that are open."""
    questions = Client().call("GET", "/v1/questions")["questions"]
    if id_ is None:
        _list(questions, as_json=json_)
        return
    if answer is None:
        raise typer.BadParameter("say approve, reject, cancel, or the words asked for.")
    kind = next((question["kind"] for question in questions if question["id"] == id_), None)
    Client().call("POST", f"/v1/questions/{id_}", body_of(kind, answer, step))
    print("Answered.")


def body_of(kind: str | None, answer: str, step: str | None) -> dict[str, Any]:
    """What the control API takes for an answer to a question of that kind; it refuses what is unfit."""
    decision = _DECISIONS.get(answer)
    match kind:
        case "confirmation":
            return {"accept": answer in {"approve", "yes"}} if decision or answer in {"yes", "no"} else {}
        case "approval" if step is not None and decision is not None:
            return {"action": "approve_step" if answer == "approve" else "reject_step", "step_id": step}
        case "approval":
            return {
                "action": decision or "modify_step",
                "step_id": step,
                "value": None if decision else answer,
            }
        case _:
            return {"value": answer}


def _list(questions: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        print_json(questions)
        return
    for question in questions:
        print(f"{question['id']}  {question['kind']}, open for {question['open_for_s']:.0f} s more")
        print(f"    {one_line(question['text'])}")
    if not questions:
        print("Nobody asks anything.")
