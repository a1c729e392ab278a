from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import BaseModel
from support import control, flow
from support.control import ANSWERS, running_server
from support.field import address, served, silent
from websockets.asyncio.server import ServerConnection

from omniid.cli.ask import _Questions
from omniid.cli.private_daemon import Config, PrivateDaemon
from omniid.cli.reply import body_of, meant, show_all
from omniid.control.client import Client
from omniid.control.schema import QuestionList
from omniid.errors import EXIT_UNCERTAIN, BadRequestError, NotFoundError


@pytest.mark.parametrize(
    ("kind", "answer", "step", "body"),
    [
        ("confirmation", "approve", None, {"accept": True}),
        ("confirmation", "yes", None, {"accept": True}),
        ("confirmation", "reject", None, {"accept": False}),
        ("confirmation", "no", None, {"accept": False}),
        ("confirmation", " Yes", None, {"accept": True}),
        ("approval", "approve", None, {"action": "approve_all"}),
        ("approval", "cancel", None, {"action": "cancel_all"}),
        ("approval", "APPROVE", None, {"action": "approve_all"}),
        ("approval", "yes", None, {"action": "approve_all"}),
        ("approval", "No", None, {"action": "cancel_all"}),
        ("approval", "Yes", "s2", {"action": "approve_step", "step_id": "s2", "value": None}),
        ("approval", "approve", "s2", {"action": "approve_step", "step_id": "s2", "value": None}),
        ("approval", "reject", "s2", {"action": "reject_step", "step_id": "s2", "value": None}),
        ("approval", "Skip", "s2", {"action": "reject_step", "step_id": "s2", "value": None}),
        ("approval", "at six", "s2", {"action": "modify_step", "step_id": "s2", "value": "at six"}),
        ("intervention", "approve", None, {"value": "yes"}),
        ("intervention", "no", None, {"value": "no"}),
        ("intervention", "Bob Smith", None, {"value": "Bob Smith"}),
        ("intervention", "YES", None, {"value": "yes"}),
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


def question(kind: str, id_: str = "q1", **payload: Any) -> dict[str, Any]:
    shown = {"id": id_, "kind": kind, "text": "Plan a lunch", "open_for_s": 9.6, "open_steps": ["st2"]}
    return {**shown, "raw": {"payload": payload}}


TAKE = "019ac2f0-1b57-75f8-ade9-bde40197d9c9"


@pytest.mark.parametrize(
    ("open_", "arguments", "found"),
    [
        (["q1", "q10"], ("q1", "yes"), ("q1", "yes")),
        (["q1", "q2"], ("Q2", None), ("q2", None)),
        ([TAKE, "q1"], ("97D9C9", "yes"), (TAKE, "yes")),
        ([TAKE, "q1"], ("019ac2f0", None), (TAKE, None)),
        ([TAKE], ("97d9c9", None), (TAKE, None)),
        ([TAKE], ("yes", None), (TAKE, "yes")),
        (["q1"], ("Bob Smith", None), ("q1", "Bob Smith")),
        (["q1"], ("1", None), ("q1", "1")),  # which of two, more likely than which question
        (["q1"], ("q", None), ("q1", "q")),
    ],
)
def test_a_question_is_found_by_part_of_its_id_or_as_the_only_one(
    open_: list[str], arguments: tuple[str, str | None], found: tuple[str, str | None]
) -> None:
    named, answer = meant([question("intervention", id_) for id_ in open_], *arguments)

    assert (named["id"], answer) == found


@pytest.mark.parametrize(
    ("open_", "arguments", "words"),
    [
        ([], ("yes", None), "There is no open question 'yes'"),
        (["q2"], ("q1", None), "There is no open question 'q1'"),  # never an answer to another
        (["q12"], ("q1", "approve"), "There is no open question 'q1'"),
        (["q12"], ("2", "approve"), "There is no open question '2'"),
        ([TAKE], (TAKE.replace("9c9", "9c8"), None), "There is no open question"),
        (["q1"], ("Bob", "Smith"), "There is no open question 'Bob'"),
        (["q1", TAKE], ("yes", None), "Say which question is meant: q1, 97d9c9."),
        (["q1", "q2"], ("q", "yes"), "There is no open question 'q'"),
    ],
)
def test_what_names_no_question_or_several_answers_none(
    open_: list[str], arguments: tuple[str, str | None], words: str
) -> None:
    with pytest.raises((NotFoundError, BadRequestError), match=words):
        meant([question("intervention", id_) for id_ in open_], *arguments)


@pytest.mark.parametrize(
    ("data", "lines"),
    [
        ({"reason": "Two Bobs are known.", "entity": "Bob"}, ["Why: Two Bobs are known.", "About: Bob"]),
        ({"reason": "A\x1b[2J", "entity": {"name": "Bob"}}, ["Why: A\N{REPLACEMENT CHARACTER}[2J"]),
        ({"reason": "plan a Lunch", "entity": " lunch "}, []),
        ({"reason": " ", "entity": 7}, []),
        (None, []),
    ],
)
def test_a_question_is_shown_with_why_and_about_what_it_is_asked(
    data: Any, lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    show_all([{**question("intervention"), "raw": {"data": data}}])

    assert capsys.readouterr().out.splitlines() == [
        "q1  question, open for 10 s more",
        "    Plan a lunch",
        *(f"    {line}" for line in lines),
        '    Answer with: omniid reply q1 "your answer"',
    ]


def test_what_omniid_asks_itself_is_answered_by_the_end_of_its_id(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_all([question("confirmation", TAKE)])

    first, *_, last = capsys.readouterr().out.splitlines()
    assert first == f"{TAKE}  did you say, open for 10 s more"
    assert last == "    Answer with: omniid reply 97d9c9 yes|no"


def test_a_plan_is_shown_with_its_steps_its_risks_and_how_to_decide(
    capsys: pytest.CaptureFixture[str],
) -> None:
    steps = [
        {"id": "st1", "order": 1, "description": "Book a\x1b[2J table", "riskLevel": "low"},
        {"id": "st2", "order": 2, "description": "Tell Ann"},
    ]

    show_all([question("approval", steps=steps, risks=["Ann may be away"])])

    assert capsys.readouterr().out.splitlines() == [
        "q1  plan, open for 10 s more",
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


# While a command waits


def test_a_question_is_shown_whenever_it_is_asked_and_not_as_a_reminder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = QuestionList.model_validate({"questions": [{**question("intervention"), "command_id": "c1"}]})
    made: dict[type[BaseModel], BaseModel] = {**ANSWERS, QuestionList: asked}
    monkeypatch.setattr(control, "ANSWERS", made)

    def times_shown(*events: tuple[str, dict[str, Any]]) -> int:
        for name, data in events:
            questions.on({"id": 1, "event": name, "data": data})
        return capsys.readouterr().err.count("Plan a lunch")

    def posed(command_id: str | None, *, again: bool) -> tuple[str, dict[str, Any]]:
        return "question_posed", {"question_id": "q1", "command_id": command_id, "again": again}

    answered = "question_answered", {"question_id": "q1", "text": "yes"}
    with running_server(tmp_path / "s"):
        questions = _Questions(Client(tmp_path / "s"), "c1")
        assert times_shown(posed("c2", again=False), answered) == 0
        assert times_shown(posed("c1", again=False)) == 1
        assert times_shown(posed("c1", again=True)) == 0
        assert times_shown(answered, posed("c1", again=True)) == 1
        assert times_shown(posed(None, again=True)) == 0


def test_a_daemon_that_ends_while_a_command_waits_is_not_one_that_never_had_it(tmp_path: Path) -> None:
    with served(silent) as port:
        config: Config = {"backend": {"url": address(port)}, "speech": {"engine": "none"}}
        with flow.daemon(tmp_path, config) as daemon:
            flow.until_ready(daemon)
            asking = begin(daemon, "ask", "call Bob")
            flow.until(daemon, "command_written")
            daemon.stop()
            out, err, code = finish(asking)
    assert (out, code) == ("", EXIT_UNCERTAIN)
    assert "`omniid outbox list --all`" in err


# With a daemon


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateDaemon]:
    """A daemon whose backend asks "Which one?", takes no Jones, and then does as it is told."""

    async def backend(link: ServerConnection) -> None:
        async for frame in link:
            content = json.loads(frame)
            if content["type"] == "command":
                about = {"requestId": "another"} if "nobody's" in str(content) else {}
                data = {
                    "action": "user_intervention_required", "sessionId": "s", "stepId": "1",
                    "timeout": 600_000, "message": "Which one?", "reason": f"There are two. {'Long. ' * 30}",
                }  # fmt: skip
                await link.send(json.dumps({"type": "system", "data": data, **about}))
            elif content["type"] == "system":
                await answered(link, content["payload"]["resolvedValue"])

    async def answered(link: ServerConnection, value: str) -> None:
        names = {"sessionId": "s", "stepId": "1"}
        if "Jones" in value:
            said = {**names, "message": "There is no such one."}
            await link.send(json.dumps({"type": "response", "status": "error", "data": said}))
            return
        for data in (names, {"message": f"I took {value}."}):
            await link.send(json.dumps({"type": "response", "status": "success", "data": data}))

    folder = tmp_path_factory.mktemp("house")
    with served(backend) as port:
        config: Config = {"backend": {"url": address(port)}, "speech": {"engine": "none"}}
        with flow.daemon(folder, config) as daemon:
            flow.until_ready(daemon)
            yield daemon


def begin(running: PrivateDaemon, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "omniid", *arguments],
        env=flow.environment_of(running),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def omniid(running: PrivateDaemon, *arguments: str) -> tuple[str, str, int]:
    return finish(begin(running, *arguments))


def finish(process: subprocess.Popen[str]) -> tuple[str, str, int]:
    out, err = process.communicate(timeout=flow.WITHIN_S)
    assert "Traceback" not in err
    return out, err, process.returncode


def open_question(running: PrivateDaemon) -> dict[str, Any]:
    """The one that is open, or will be soon: an event may be that of a question before it."""
    deadline = time.monotonic() + flow.WITHIN_S
    while not (questions := running.client.call("GET", "/v1/questions")["questions"]):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (found,) = questions
    return dict(found)


def line_with(words: str, process: subprocess.Popen[str]) -> None:
    """Read what it says until it says that."""
    assert process.stderr is not None
    while words not in (line := process.stderr.readline()):
        assert line


def test_whoever_asks_is_asked_again_when_the_answer_is_not_taken(running: PrivateDaemon) -> None:
    asking = begin(running, "ask", "call Bob")
    line_with("Answer with", asking)

    assert omniid(running, "reply", "Bob Jones") == ("Answered: Which one?\n", "", 0)
    line_with("Your answer was not taken: There is no such one.", asking)
    line_with("Which one?", asking)
    line_with("Answer with", asking)
    id_ = open_question(running)["id"]
    answered, _, code = omniid(running, "reply", id_, "Bob Smith", "--json")
    assert (json.loads(answered), code) == ({"answered": id_}, 0)
    assert finish(asking) == ("I took Bob Smith.\n", "", 0)


def test_whoever_asks_sees_what_belongs_to_no_command_too(running: PrivateDaemon) -> None:
    asking = begin(running, "ask", "do nobody's")
    line_with("Answer with", asking)
    (waiting,) = running.client.call("GET", "/v1/outbox")["commands"]
    assert open_question(running)["command_id"] is None
    began = time.monotonic()
    path = f"/v1/commands/{waiting['id']}?wait_s={flow.WITHIN_S}&or_asked="
    assert running.client.call("GET", path, wait_s=flow.WITHIN_S)["state"] == "waiting"
    assert time.monotonic() - began < flow.WITHIN_S / 2

    assert omniid(running, "reply", "the first")[2] == 0
    assert finish(asking) == ("I took the first.\n", "", 0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("call Ann", "It waits for your answer: omniid reply {id}"),
        ("find nobody's", "The backend waits for your answer: omniid reply {id}"),
    ],
)
def test_who_stops_waiting_is_told_that_an_answer_is_wanted(
    text: str, words: str, running: PrivateDaemon
) -> None:
    omniid(running, "ask", text, "--key", text, "--wait", "0")
    flow.until(running, "question_posed", where=lambda data: not data["again"])
    id_ = open_question(running)["id"]

    out, err, code = omniid(running, "ask", text, "--key", text, "--wait", "0.1")

    assert (out.startswith("Not answered yet"), code) == (True, 5)
    assert err.splitlines()[1:] == [words.format(id=id_), "Its answer will be in `omniid history`."]
    assert omniid(running, "reply", id_, "Ann Smith") == ("Answered.\n", "", 0)
    flow.until(running, "command_moved", where=lambda data: data["state"] == "done")


def test_a_question_fits_the_terminal(running: PrivateDaemon) -> None:
    omniid(running, "ask", "call Cid", "--wait", "0")
    flow.until(running, "question_posed", where=lambda data: not data["again"])
    ours, theirs = pty.openpty()
    environment = {**flow.environment_of(running), "COLUMNS": "40"}
    command = [sys.executable, "-m", "omniid", "reply"]
    with subprocess.Popen(command, stdout=theirs, env=environment) as process:
        os.close(theirs)
        seen = b""
        try:
            while piece := os.read(ours, 65_536):
                seen += piece
        except OSError:
            pass  # so ends a terminal nobody writes to any more
        os.close(ours)
        assert process.wait(flow.WITHIN_S) == 0
    assert omniid(running, "reply", "Cid")[2] == 0
    _, *lines = seen.decode().splitlines()
    assert len(lines) > 5
    assert all(len(line) <= 40 and line.startswith("    ") for line in lines)
    flow.until(running, "command_moved", where=lambda data: data["state"] == "done")


def test_without_a_question_an_answer_is_refused_as_such(running: PrivateDaemon) -> None:
    assert omniid(running, "reply") == ("Nobody asks anything.\n", "", 0)
    _, err, code = omniid(running, "reply", "yes")
    assert "There is no open question 'yes'." in err
    assert code == 1
