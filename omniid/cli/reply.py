"""`omniid reply`: the answer to something omniid or the backend asked."""

from __future__ import annotations

import re
from typing import Annotated, Any, TextIO

import typer

from omniid.cli.output import JsonFlag, duration, fitted, one_line, print_json
from omniid.control.client import Client
from omniid.errors import BadRequestError, NotFoundError

_YES = {"approve", "yes"}
_NO = {"reject", "cancel", "no"}
_KINDS = {"intervention": "question", "approval": "plan", "confirmation": "did you say"}
_ID = re.compile(r"q\d+|[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_LONG_CHARS = 12  # an id as long as this has a short form
_SHORT_CHARS = 6
_LEAST_CHARS = 4  # of a long id
_MOST_STEPS = 30
_INDENT = 4


def reply(
    id_: Annotated[
        str | None,
        typer.Argument(
            metavar="[ID]",
            help="The question's id, or enough of its beginning or end. Leave it out where only one is open; "
            "without an answer, too, the questions are listed.",
        ),
    ] = None,
    answer: Annotated[
        str | None,
        typer.Argument(metavar="[ANSWER]", help="yes, no, or the words asked for; a plan: approve, reject."),
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
    if id_ is None:
        show_all(questions, as_json=json_)
        return
    question, words = meant(questions, id_, answer)
    if words is None:
        show_all([question], as_json=json_)
        return
    client.call("POST", f"/v1/questions/{question['id']}", body_of(question["kind"], words, step))
    if json_:
        print_json({"answered": question["id"]})
    else:
        # Who named none is told which it was.
        print("Answered." if answer is not None else f"Answered: {one_line(question['text'])}")


def meant(
    questions: list[dict[str, Any]], first: str, answer: str | None
) -> tuple[dict[str, Any], str | None]:
    """The question that the arguments are about, and the answer to it; None where they only name it.

    A single argument that names no question is the answer, where one question is open.

    Raises:
        NotFoundError: they name none.
        BadRequestError: they may mean more than one.
    """
    name = first.casefold()
    named = [each for each in questions if each["id"].casefold() == name]
    if not named and not _ID.fullmatch(first) and len(name) >= _LEAST_CHARS:
        # "q1" is a whole id, and never the beginning of "q12".
        ids = [(each, each["id"].casefold()) for each in questions if len(each["id"]) >= _LONG_CHARS]
        named = [each for each, id_ in ids if id_.startswith(name) or id_.endswith(name)]
    if len(named) == 1:
        return named[0], answer
    is_answer = answer is None and not named and not _ID.fullmatch(first)
    if is_answer and len(questions) == 1:
        return questions[0], first
    if named or (is_answer and questions):
        which = ", ".join(_short(each["id"]) for each in named or questions)
        raise BadRequestError(f"Say which question is meant: {which}. `omniid reply` shows them.")
    raise NotFoundError(f"There is no open question {first!r}. `omniid reply` lists those that are.")


def body_of(kind: str, answer: str, step: str | None) -> dict[str, Any]:
    """What the control API takes for an answer to a question of that kind.

    Raises:
        BadParameter: it is no answer to such a question.
    """
    said = answer.strip().casefold()
    if not said:
        raise typer.BadParameter("the answer is empty.")
    if kind == "approval":
        return _decision(answer, said, step)
    if step is not None:
        raise typer.BadParameter("only a plan that is to be approved has steps.")
    if kind == "intervention":
        return {"value": "yes" if said in _YES else "no" if said in _NO else answer}
    if said not in _YES | _NO:
        raise typer.BadParameter("say yes or no.")
    return {"accept": said in _YES}


def _decision(answer: str, said: str, step: str | None) -> dict[str, Any]:
    if step is None:
        if said not in _YES | _NO:
            raise typer.BadParameter("say approve or reject. With --step, words change that step.")
        return {"action": "approve_all" if said in _YES else "cancel_all"}
    refused = said in _NO or said == "skip"
    action = "approve_step" if said in _YES else "reject_step" if refused else "modify_step"
    return {"action": action, "step_id": step, "value": answer if action == "modify_step" else None}


def show_all(questions: list[dict[str, Any]], *, as_json: bool = False, file: TextIO | None = None) -> None:
    """Print `QuestionView`s, each with what is to be decided and how it is answered."""
    if as_json:
        print_json(questions)
        return
    for question in questions:
        kind = _KINDS.get(question["kind"], question["kind"])
        print(f"{question['id']}  {kind}, open for {duration(question['open_for_s'])} more", file=file)
        lines = (
            question["text"],
            *_more(question),
            *_plan(question["raw"], question["open_steps"]),
            _how(question),
        )
        for line in lines:
            print(fitted(f"{' ' * _INDENT}{one_line(line)}", _INDENT), file=file)
    if not questions:
        print("Nobody asks anything.")


def _more(question: dict[str, Any]) -> list[str]:
    """Why the backend asks, and about what, where that says more than the question."""
    data = _record(question["raw"].get("data"))
    text = question["text"].casefold()
    said = (("Why", data.get("reason")), ("About", data.get("entity")))
    return [
        f"{label}: {words}"
        for label, words in said
        if isinstance(words, str) and words.strip() and words.strip().casefold() not in text
    ]


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
    return f"Answer with: omniid reply {_short(question['id'])} {answers}"


def _short(id_: str) -> str:
    """What is enough of an id to type. The end of a long one is random, its beginning is the time."""
    return id_ if len(id_) < _LONG_CHARS else id_[-_SHORT_CHARS:]


def _record(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _items(value: object) -> list[Any]:
    return value if isinstance(value, list) else []
