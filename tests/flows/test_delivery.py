"""What a user and a script see of delivery, with the whole daemon."""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from support import flow
from support.field import address, field_server, served, silent
from websockets.asyncio.server import ServerConnection

from omniid.cli.private_daemon import Config, PrivateDaemon
from omniid.control.client import _UnixConnection

SUCCESS = {"type": "response", "status": "success", "data": {"message": "Yes."}, "timestamp": 1}
MUTE: dict[str, Any] = {"engine": "none"}


def ask(running: PrivateDaemon, message: str, **fields: Any) -> dict[str, Any]:
    return running.client.call("POST", "/v1/commands", {"message": message, **fields})


def omniid(running: PrivateDaemon, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "omniid", *arguments],
        env=flow.environment_of(running),
        capture_output=True,
        text=True,
        timeout=flow.WITHIN_S,
        check=False,
    )


def remote(port: int, **sections: dict[str, Any]) -> Config:
    return {"backend": {"url": address(port)}, "speech": MUTE, **sections}


def nobody() -> int:
    """A port where nobody listens."""
    with served(silent) as port:
        return port


# --- the fallback -------------------------------------------------------------------------------------------


def test_while_the_remote_is_away_what_is_safe_is_answered_here_and_the_rest_waits(tmp_path: Path) -> None:
    port = nobody()
    config: Config = {"backend": {"url": address(port), "mode": "auto"}, "speech": MUTE}
    with flow.daemon(tmp_path, config) as running:
        flow.until(running, "link_lost")
        flow.until(running, "worker_stood", where=lambda data: data["worker"] == "backend")
        task = ask(running, "add milk to my tasks")
        time = ask(running, "what time is it", wait_s=flow.WITHIN_S)
        assert time["state"] == "done"
        assert "while the backend was away" in time["reason"]
        assert time["reply"]["sources"][0]["name"] == "omniid local"
        assert time["attempts"] == 0
        assert running.client.call("GET", f"/v1/commands/{task['id']}")["state"] == "queued"
        with field_server(SUCCESS, port) as (_, received):
            running.client.call("POST", "/v1/reconnect")
            assert flow.until(running, "command_settled")["command_id"] == task["id"]
        assert [frame["payload"]["message"] for _, frame in received] == ["add milk to my tasks"]


# --- the line -----------------------------------------------------------------------------------------------


def test_the_list_says_what_the_head_of_the_line_waits_for(tmp_path: Path) -> None:
    with served(silent) as port, flow.daemon(tmp_path, remote(port)) as running:
        flow.until_ready(running)
        first = ask(running, "one")["id"]
        flow.until(running, "command_moved", where=lambda data: data["state"] == "waiting")
        ask(running, "two")
        ask(running, "three")
        line = running.client.call("GET", "/v1/outbox")["commands"]
        assert [item["waits_for"] for item in line] == [None, f"the answer to {first}", "the one before it"]
        shown = omniid(running, "outbox", "list").stdout
        assert f"waits for the answer to {first}" in shown
        assert "1 waiting for an answer" in omniid(running, "status").stdout


def test_a_queued_command_can_be_edited_and_keeps_its_id_and_place(tmp_path: Path) -> None:
    port = nobody()
    with flow.daemon(tmp_path, remote(port)) as running:
        first, second = ask(running, "call Bob")["id"], ask(running, "buy milk")["id"]
        done = omniid(running, "outbox", "edit", first, "call Bob at six")
        assert done.returncode == 0
        assert "call Bob at six" in done.stdout
        assert omniid(running, "outbox", "edit", first, "").returncode == 4
        with field_server(SUCCESS, port) as (_, received):
            running.client.call("POST", "/v1/reconnect")
            flow.until(running, "command_settled", where=lambda data: data["command_id"] == second)
        sent = [(frame["payload"]["requestId"], frame["payload"]["message"]) for _, frame in received]
        assert sent == [(first, "call Bob at six"), (second, "buy milk")]
        assert omniid(running, "outbox", "edit", first, "again").returncode == 4


def test_a_command_on_its_way_is_called_off_by_not_wanting_its_answer(tmp_path: Path) -> None:
    with served(silent) as port, flow.daemon(tmp_path, remote(port)) as running:
        flow.until_ready(running)
        command_id = ask(running, "one")["id"]
        flow.until(running, "command_moved", where=lambda data: data["state"] == "waiting")
        done = omniid(running, "outbox", "cancel", command_id)
        assert done.returncode == 0
        assert "cannot be called back" in done.stdout
        command = running.client.call("GET", f"/v1/commands/{command_id}")
        assert (command["state"], command["answer_wanted"]) == ("waiting", False)


# --- once ---------------------------------------------------------------------------------------------------


def test_a_key_that_bounces_is_one_command_and_two_keys_are_two(tmp_path: Path) -> None:
    port = nobody()
    with flow.daemon(tmp_path, remote(port, session={"debounce_ms": 60_000})) as running:
        first = ask(running, "lights off")
        assert ask(running, "lights off")["id"] == first["id"]
        assert ask(running, "lights on")["id"] != first["id"]
        assert ask(running, "lights off", source="the other key")["id"] != first["id"]
        keyed = running.client.call("POST", "/v1/commands", {"message": "lights off"}, key="k1")
        assert keyed["id"] != first["id"]
        asked = [omniid(running, "ask", "--wait", "0", "--json", "lamp on").stdout for _ in range(2)]
        assert json.loads(asked[0])["id"] == json.loads(asked[1])["id"]


def test_fifty_callers_at_once_with_one_key_make_one_command(tmp_path: Path) -> None:
    with flow.daemon(tmp_path, remote(nobody())) as running:
        ids: list[str] = []

        def call() -> None:
            ids.append(running.client.call("POST", "/v1/commands", {"message": "x"}, key="k")["id"])

        threads = [threading.Thread(target=call) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(ids) == 50
        assert len(set(ids)) == 1


# --- the end of a run ---------------------------------------------------------------------------------------


def test_a_stop_lets_what_is_in_flight_be_answered_and_sends_nothing_new(tmp_path: Path) -> None:
    arrived, stopping = threading.Event(), threading.Event()
    got: list[str] = []

    async def slow(link: ServerConnection) -> None:
        async for frame in link:
            got.append(json.loads(frame)["payload"]["message"])
            arrived.set()
            await asyncio.to_thread(stopping.wait, flow.WITHIN_S)
            await link.send(json.dumps(SUCCESS))

    with served(slow) as port:
        with flow.daemon(tmp_path, remote(port)) as running:
            flow.until_ready(running)
            first, second = ask(running, "one")["id"], ask(running, "two")["id"]
            assert arrived.wait(flow.WITHIN_S)
            running.client.call("POST", "/v1/shutdown")
            while '"stopping"' not in running.log.read_text(encoding="utf-8"):
                assert running.process is not None
                assert running.process.poll() is None
            stopping.set()
            assert running.process is not None
            assert running.process.wait(flow.WITHIN_S) == 0
        assert got == ["one"]
        with flow.daemon(tmp_path, remote(nobody())) as running:
            states = [running.client.call("GET", f"/v1/commands/{id_}")["state"] for id_ in (first, second)]
            assert states == ["done", "queued"]


# --- what can be read ---------------------------------------------------------------------------------------


def test_the_metrics_are_a_page_for_prometheus(tmp_path: Path) -> None:
    with field_server(SUCCESS) as (port, _), flow.daemon(tmp_path, remote(port)) as running:
        flow.until_ready(running)
        ask(running, "one", wait_s=flow.WITHIN_S)
        connection: http.client.HTTPConnection = _UnixConnection(running.client.path, flow.WITHIN_S)
        try:
            connection.request("GET", "/v1/metrics")
            response = connection.getresponse()
            page = response.read().decode()
        finally:
            connection.close()
        assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert 'omniid_outbox_commands{state="done"} 1.0' in page
        assert 'omniid_commands_accepted_total{type="text"} 1.0' in page
        assert "omniid_last_frame_age_seconds" in page


def test_a_question_is_listed_and_answered_over_the_api(tmp_path: Path) -> None:
    draft = {"type": "workflow_draft", "sessionId": "s", "payload": {"summary": "Two mails", "steps": []}}
    answers: list[dict[str, Any]] = []

    async def asking(link: ServerConnection) -> None:
        await link.recv()
        await link.send(json.dumps(draft))
        answers.append(json.loads(await link.recv()))
        data = {"sessionId": "s", "message": "Taken."}
        await link.send(json.dumps({"type": "response", "status": "success", "data": data}))
        await link.send(json.dumps(SUCCESS))
        await link.wait_closed()

    with served(asking) as port, flow.daemon(tmp_path, remote(port)) as running:
        flow.until_ready(running)
        command_id = ask(running, "write to both")["id"]
        flow.until(running, "question_asked")
        assert "1 open" in omniid(running, "status").stdout
        (question,) = running.client.call("GET", "/v1/questions")["questions"]
        assert (question["kind"], question["command_id"]) == ("approval", command_id)
        running.client.call("POST", f"/v1/questions/{question['id']}", {"action": "approve_all"})
        flow.until(running, "answer_acknowledged", where=lambda data: data["accepted"])
        assert flow.until(running, "command_settled")["reply"]["content"] == "Yes."
        assert running.client.call("GET", "/v1/questions")["questions"] == []
    assert answers[0]["type"] == "workflow_approval"
    assert answers[0]["payload"] == {"action": "approve_all"}


def test_a_plan_is_decided_step_by_step_and_what_the_server_does_not_take_is_told(tmp_path: Path) -> None:
    steps = [{"id": "a", "description": "Write it"}, {"id": "b", "description": "Send it"}]
    draft = {"type": "workflow_draft", "sessionId": "s", "payload": {"summary": "Two steps", "steps": steps}}
    decided: list[dict[str, Any]] = []

    async def asking(link: ServerConnection) -> None:
        await link.recv()
        await link.send(json.dumps(draft))
        for status in ("success", "error"):
            decided.append(json.loads(await link.recv())["payload"])
            data = {"sessionId": "s", "stepId": decided[-1]["stepId"], "message": "That is over."}
            await link.send(json.dumps({"type": "response", "status": status, "data": data}))
        await link.send(json.dumps(SUCCESS))
        await link.wait_closed()

    with served(asking) as port, flow.daemon(tmp_path, remote(port)) as running:
        flow.until_ready(running)
        ask(running, "write to both")
        flow.until(running, "question_posed")
        for wrong in ("a step", "c"):
            refused = omniid(running, "reply", "q1", "approve", "--step", wrong)
            assert (refused.returncode, "Steps that are: a, b." in refused.stderr) == (2, True)
        assert omniid(running, "reply", "q1", "approve", "--step", "a").stdout == "Answered.\n"
        assert "1. Write it (--step a): decided" in omniid(running, "reply").stdout
        assert "Steps that are: b." in omniid(running, "reply", "q1", "reject", "--step", "a").stderr
        assert omniid(running, "reply", "q1", "reject", "--step", "b").stdout == "Answered.\n"
        flow.until(running, "command_moved", where=lambda data: data["state"] == "done")
        assert omniid(running, "reply").stdout == "Nobody asks anything.\n"
        until = time.monotonic() + flow.WITHIN_S  # the history is written behind what happens
        while "That is over." not in str(running.client.call("GET", "/v1/history")):
            assert time.monotonic() < until
            time.sleep(0.05)
    assert decided == [{"action": "approve_step", "stepId": "a"}, {"action": "reject_step", "stepId": "b"}]


def test_a_plan_that_was_called_off_is_cancelled_and_the_next_command_has_its_own_answer(
    tmp_path: Path,
) -> None:
    draft = {"type": "workflow_draft", "sessionId": "s", "payload": {"summary": "Two mails", "steps": []}}
    decided: list[dict[str, Any]] = []

    async def backend(link: ServerConnection) -> None:
        await link.recv()
        await link.send(json.dumps(draft))
        decided.append(json.loads(await link.recv())["payload"])
        await link.send(json.dumps(SUCCESS))  # of the command, and without a name
        await link.recv()
        await link.send(json.dumps({"type": "error", "error": {"code": "x", "message": "No such person."}}))
        await link.wait_closed()

    with served(backend) as port, flow.daemon(tmp_path, remote(port)) as running:
        flow.until_ready(running)
        plan = ask(running, "write to both")["id"]
        flow.until(running, "question_posed")
        assert omniid(running, "outbox", "cancel", plan).returncode == 0
        next_ = ask(running, "write to Bob", wait_s=flow.WITHIN_S)
        assert (next_["state"], next_["reply"]["content"]) == ("failed", "No such person.")
        assert running.client.call("GET", "/v1/questions")["questions"] == []
    assert decided == [{"action": "cancel_all"}]


def test_whoever_asks_in_a_terminal_sees_what_the_backend_asks_and_then_its_answer(tmp_path: Path) -> None:
    question = {
        "action": "user_intervention_required", "sessionId": "s", "stepId": "1", "timeout": 60_000,
        "message": "Which Bob?",
    }  # fmt: skip

    async def backend(link: ServerConnection) -> None:
        async for frame in link:
            content = json.loads(frame)
            if content["type"] == "command":
                await link.send(json.dumps({"type": "system", "data": question, "timestamp": 1}))
            elif content["type"] == "system":
                resolved = content["payload"]["resolvedValue"]
                for data in ({"sessionId": "s", "stepId": "1"}, {"message": f"Called {resolved}."}):
                    await link.send(json.dumps({"type": "response", "status": "success", "data": data}))

    with served(backend) as port:
        config: Config = {"backend": {"url": address(port)}, "speech": {"engine": "none"}}
        with flow.daemon(tmp_path, config) as running:
            flow.until_ready(running)
            environment = flow.environment_of(running)
            ask = subprocess.Popen(
                [sys.executable, "-m", "omniid", "ask", "Call Bob"],
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            flow.until(running, "question_posed")
            assert ask.stderr is not None
            shown = [ask.stderr.readline().strip() for _ in range(4)]
            assert shown[2:] == ["Which Bob?", 'Answer with: omniid reply q1 "your answer"']
            answered = [sys.executable, "-m", "omniid", "reply", "q1", "Bob Smith"]
            subprocess.run(answered, env=environment, check=True, timeout=flow.WITHIN_S)
            printed, _ = ask.communicate(timeout=flow.WITHIN_S)
            assert (printed, ask.returncode) == ("Called Bob Smith.\n", 0)
            kinds = [each["kind"] for each in running.client.call("GET", "/v1/history")["messages"]]
            assert kinds == ["reply", "answer", "question", "command"]
