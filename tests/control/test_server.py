"""The control API over a real Unix socket, with the real client and with raw requests."""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.control import COMMAND, Running, running_server

from omniid import api
from omniid.auth_api import AuthVerbs
from omniid.control import openapi
from omniid.control.client import Client, DaemonError
from omniid.control.schema import EVENTS_PATH, MAX_BODY_BYTES, METRICS_PATH, OPENAPI_PATH, VERBS, Verb
from omniid.control.server import bind
from omniid.errors import EXIT_REFUSED, EXIT_USAGE, ConfigError, NotRunningError
from omniid.history_api import HistoryVerbs
from omniid.question_api import QuestionVerbs
from omniid.user_api import UserVerbs


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "omniid.sock"


@pytest.fixture
def daemon(path: Path) -> Iterator[Running]:
    with running_server(path) as running:
        yield running


def request(
    path: Path, method: str, url: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> tuple[int, str, dict[str, Any]]:
    """A raw request: status, media type, content."""
    connection = http.client.HTTPConnection("omniid", timeout=30)
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.settimeout(30)
    connection.sock.connect(str(path))
    try:
        connection.request(method, url, body, headers or {})
        response = connection.getresponse()
        content: dict[str, Any] = json.loads(response.read())
        return response.status, response.headers["Content-Type"], content
    finally:
        connection.close()


def ids(verb: Verb) -> str:
    return f"{verb.method} {verb.path}"


# --- the verbs ----------------------------------------------------------------------------------------------

BODIES = {
    "command_add": {"message": "Send it"},
    "command_edit": {"message": "Send them"},
    "question_answer": {"value": "Ann"},
    "speech_say": {"text": "Hi"},
}
PARTS = (api.CommandVerbs, UserVerbs, QuestionVerbs, AuthVerbs, HistoryVerbs, api.HouseVerbs)


@pytest.mark.parametrize("verb", VERBS, ids=ids)
def test_every_verb_is_served_to_the_client(daemon: Running, path: Path, verb: Verb) -> None:
    url = verb.path.replace("{id}", "c1")
    body = BODIES.get(verb.name)

    answer = Client(path).call(verb.method, url, body)

    assert verb.answer.model_validate(answer)
    ((name, call),) = daemon.verbs.calls
    assert name == verb.name
    if body is not None:
        assert call.body.model_dump(include=set(body)) == body


@pytest.mark.parametrize("verb", VERBS, ids=ids)
def test_every_verb_has_one_method_that_serves_it(verb: Verb) -> None:
    owners = [part for part in PARTS if callable(getattr(part, verb.name, None))]

    assert len(owners) == 1


def test_every_method_that_serves_is_a_verb() -> None:
    public = {name for part in PARTS for name in vars(part) if not name.startswith("_")}

    assert public == {verb.name for verb in VERBS} | {"metrics"}


@pytest.mark.usefixtures("daemon")
def test_the_openapi_document_says_what_is_served_and_nothing_else(path: Path) -> None:
    _, _, document = request(path, "GET", OPENAPI_PATH)

    said = {
        (method.upper(), url, operation["operationId"])
        for url, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    others = {("GET", EVENTS_PATH, "events"), ("GET", METRICS_PATH, "metrics")}
    assert said == {(verb.method, verb.path, verb.name) for verb in VERBS} | others
    named = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(document)))
    assert named <= set(document["components"]["schemas"])
    assert document == openapi.document()


def test_an_idempotency_key_reaches_the_verb_and_an_empty_one_is_none(daemon: Running, path: Path) -> None:
    Client(path).call("POST", "/v1/commands", {"message": "x"}, key="k1")
    request(path, "POST", "/v1/commands", b'{"message":"x"}', {"Idempotency-Key": ""})

    assert [call.idempotency_key for _, call in daemon.verbs.calls] == ["k1", None]


def test_a_command_is_answered_as_it_stands(daemon: Running, path: Path) -> None:
    assert Client(path).call("GET", "/v1/commands/c1") == COMMAND.model_dump()
    assert daemon.verbs.calls[0][1].id == "c1"


# --- what is refused ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "url", "body", "status", "code"),
    [
        pytest.param("POST", "/v1/commands", b"{", 400, "invalid_json", id="broken JSON"),
        pytest.param("POST", "/v1/commands", b"\xff", 400, "invalid_json", id="no UTF-8"),
        pytest.param(
            "POST", "/v1/commands", b'{"message":"\\ud800"}', 400, "invalid_json", id="half a letter"
        ),
        pytest.param("POST", "/v1/commands", b"[]", 422, "bad_request", id="a list"),
        pytest.param("POST", "/v1/commands", b"", 422, "bad_request", id="no body"),
        pytest.param("POST", "/v1/commands", b'{"message":5}', 422, "bad_request", id="a wrong type"),
        pytest.param("POST", "/v1/commands", b'{"message":"x","a":1}', 422, "bad_request", id="a new field"),
        pytest.param(
            "POST", "/v1/commands", b'{"message":"x","wait_s":1e9}', 422, "bad_request", id="too long a wait"
        ),
        pytest.param(
            "POST",
            "/v1/commands",
            b'{"message":"x","metadata":{"a":NaN}}',
            422,
            "bad_request",
            id="metadata that is no JSON",
        ),
        pytest.param(
            "POST",
            "/v1/commands",
            b'{"message":"x","metadata":{"a":[1e999]}}',
            422,
            "bad_request",
            id="metadata without end",
        ),
        pytest.param("POST", "/v1/commands", b'{"message":"too much"}', 507, "outbox_full", id="no room"),
        pytest.param("GET", "/v1/commands/missing", None, 404, "not_found", id="an unknown command"),
        pytest.param("GET", "/v1/nothing", None, 404, "not_found", id="an unknown path"),
        pytest.param("GET", "/v1/status/", None, 404, "not_found", id="a path with a slash too many"),
        pytest.param("GET", "/docs", None, 404, "not_found", id="a page for people"),
        pytest.param("PUT", "/v1/status", None, 405, "bad_method", id="an unknown method"),
        pytest.param("GET", "/v1/events?since=x", None, 400, "bad_request", id="since that is no number"),
        pytest.param("GET", "/v1/commands/crash", None, 500, "failed", id="a mistake of our own"),
    ],
)
def test_a_refusal_is_problem_details(
    daemon: Running, path: Path, method: str, url: str, body: bytes | None, status: int, code: str
) -> None:
    got, media_type, problem = request(path, method, url, body)

    assert (got, problem["code"], problem["status"]) == (status, code, status)
    assert media_type == "application/problem+json"
    assert set(problem) == {"type", "title", "status", "detail", "code"}
    assert "secret inner words" not in problem["detail"]
    assert request(path, "GET", "/v1/health")[0] == 200
    assert daemon.verbs.calls[-1][0] == "health"


@pytest.mark.parametrize("header", ["Origin", "Referer", "origin"])
@pytest.mark.parametrize("url", ["/v1/status", EVENTS_PATH, METRICS_PATH, OPENAPI_PATH])
def test_a_request_a_web_page_could_have_caused_is_refused(
    daemon: Running, path: Path, header: str, url: str
) -> None:
    status, _, problem = request(path, "GET", url, None, {header: "null"})

    assert (status, problem["code"]) == (403, "refused")
    assert daemon.verbs.calls == []


def test_a_body_that_is_far_too_large_is_answered_and_not_cut_off(daemon: Running, path: Path) -> None:
    body = json.dumps({"message": "x" * 10_000_000}).encode()

    status, _, problem = request(path, "POST", "/v1/commands", body)

    assert (status, problem["code"]) == (413, "too_large")
    assert daemon.verbs.calls == []
    with pytest.raises(DaemonError) as refused:
        Client(path).call("POST", "/v1/commands", {"message": "x" * MAX_BODY_BYTES})
    assert refused.value.exit_code == EXIT_USAGE


def test_the_client_raises_what_the_daemon_said(daemon: Running, path: Path) -> None:
    with pytest.raises(DaemonError, match=r"No room\.") as refused:
        Client(path).call("POST", "/v1/commands", {"message": "too much"})

    assert (refused.value.code, refused.value.exit_code) == ("outbox_full", EXIT_REFUSED)
    assert daemon.verbs.calls


# --- the socket ---------------------------------------------------------------------------------------------


def test_the_socket_is_for_this_user_only(path: Path) -> None:
    before = os.umask(0)
    try:
        with bind(path):
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert os.umask(0) == 0
    finally:
        os.umask(before)


def test_a_stale_socket_is_replaced(path: Path) -> None:
    bind(path).close()

    bind(path).close()


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_is_no_socket_is_left_alone(path: Path, kind: str) -> None:
    if kind == "file":
        path.write_text("my notes")
    else:
        path.mkdir()

    with pytest.raises(ConfigError, match="no socket"):
        bind(path)

    assert path.is_dir() if kind == "folder" else path.read_text() == "my notes"


def test_a_path_too_long_for_a_socket_is_refused_in_words(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"103 bytes"):
        bind(tmp_path / ("x" * 100))


STRANGER = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
sock = socket.socket(socket.AF_UNIX)
sock.settimeout(30)
sock.connect(sys.argv[1])
try:
    sock.sendall(b"GET /v1/health HTTP/1.1\\r\\nHost: omniid\\r\\n\\r\\n")
    print(sock.recv(100))
except OSError:
    print(b"")
"""


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")
def test_another_user_is_not_answered_even_where_the_folder_lets_them_in(daemon: Running, path: Path) -> None:
    path.chmod(0o666)
    for folder in path.parents:
        if folder.stat().st_mode & 0o011 == 0:
            folder.chmod(folder.stat().st_mode | 0o011)

    stranger = subprocess.run(
        [sys.executable, "-c", STRANGER, str(path)], capture_output=True, text=True, timeout=60, check=True
    )

    assert stranger.stdout == "b''\n"
    assert daemon.verbs.calls == []
    assert request(path, "GET", "/v1/health")[0] == 200


IMPOSTOR = """
import os, socket, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
sock = socket.socket(fileno=int(sys.argv[1]))
sock.listen()
print("listening", flush=True)
connection, _ = sock.accept()
connection.settimeout(30)
print(connection.recv(100), flush=True)
"""


@pytest.mark.skipif(os.getuid() != 0, reason="needs root to become another user")
def test_another_users_socket_in_our_daemons_place_is_told_nothing(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(path))
        impostor = subprocess.Popen(
            [sys.executable, "-c", IMPOSTOR, str(sock.fileno())],
            pass_fds=[sock.fileno()],
            stdout=subprocess.PIPE,
            text=True,
        )
    with impostor:
        assert impostor.stdout is not None
        assert impostor.stdout.readline() == "listening\n"
        with pytest.raises(NotRunningError, match="not your own daemon's"):
            Client(path).call("POST", "/v1/commands", {"message": "my secret"})
        assert impostor.stdout.readline() == "b''\n"


# --- no daemon ----------------------------------------------------------------------------------------------


def test_no_daemon_is_said_with_what_to_do(path: Path) -> None:
    with pytest.raises(NotRunningError, match="omniid run"):
        Client(path).call("GET", "/v1/status")
    with pytest.raises(NotRunningError, match="omniid run"):
        next(Client(path).events())


def test_a_stale_socket_file_is_no_daemon(path: Path) -> None:
    bind(path).close()
    with pytest.raises(NotRunningError):
        Client(path).call("GET", "/v1/status")
    with pytest.raises(NotRunningError):
        next(Client(path).events())


def test_a_daemon_that_ended_is_no_daemon(path: Path) -> None:
    with running_server(path):
        Client(path).call("GET", "/v1/health")

    with pytest.raises(NotRunningError):
        Client(path).call("GET", "/v1/health")
