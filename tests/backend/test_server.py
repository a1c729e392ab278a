"""Real processes, real sockets."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.backend_process import DEADLINE_S, URL, Backend, replies, running, talk, words
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Origin, Subprotocol


@pytest.fixture
def place(tmp_path: Path) -> list[str]:
    return ["--socket", str(tmp_path / "run" / "b.sock"), "--data-dir", str(tmp_path / "data")]


def refusal(backend: Backend, **options: Any) -> int:
    with pytest.raises(InvalidStatus) as refused:
        talk(backend, nothing, **options)
    return refused.value.response.status_code


async def nothing(_link: ClientConnection) -> None:
    pass


def test_the_socket_is_private_and_goes_with_the_backend(place: list[str]) -> None:
    path = Path(place[1])
    with running(*place) as backend:
        assert backend.said == {"ready": True, "socket": str(path), "pid": backend.process.pid}
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert backend.end()[0] == 0
    assert not path.exists()


def test_commands_sent_together_are_answered_in_order_under_their_ids(place: list[str]) -> None:
    with running(*place) as backend:
        got = replies(backend, *((f"add thing {number}", f"id{number}") for number in range(100)))
    assert [frame["requestId"] for frame in got] == [f"id{number}" for number in range(100)]
    assert words(got[-1]) == "Added: thing 99. You have 100 tasks."


def test_subprotocol_and_compression(place: list[str]) -> None:
    async def conversation(link: ClientConnection) -> None:
        assert link.subprotocol == "omnii.v1+json"
        assert [extension.name for extension in link.protocol.extensions] == ["permessage-deflate"]

    async def without(link: ClientConnection) -> None:
        assert link.subprotocol is None

    with running(*place) as backend:
        offered = [Subprotocol("omnii.v1+msgpack"), Subprotocol("omnii.v1+json")]
        talk(backend, conversation, subprotocols=offered)
        talk(backend, without, subprotocols=[Subprotocol("omnii.v1+msgpack")])
        talk(backend, without)


def test_a_web_page_is_refused(place: list[str]) -> None:
    with running(*place) as backend:
        assert refusal(backend, origin=Origin("http://localhost")) == 403
        assert refusal(backend, origin=Origin("null")) == 403


def test_junk_leaves_the_link_up(place: list[str]) -> None:
    async def conversation(link: ClientConnection) -> None:
        for junk in ("", "{", '{"type":"nope"}', b"\xff\x00", "[" * 20_000):
            await link.send(junk)
            assert json.loads(await link.recv())["error"]["code"] == "invalid_frame"
        await link.send(
            json.dumps({"type": "ping", "payload": {"userId": "u", "sequence": 3}, "timestamp": 1})
        )
        assert json.loads(await link.recv())["data"] == {"pong": True, "sequence": 3}

    with running(*place) as backend:
        talk(backend, conversation)


def test_a_huge_frame_closes_its_link_only(place: list[str]) -> None:
    async def send_huge() -> None:
        async with asyncio.timeout(DEADLINE_S):
            # Not `async with`: close() of websockets 17 fails on a transport that was cut while it wrote.
            link = await unix_connect(place[1], URL, compression=None)
            await link.recv()
            await link.send("x" * (2 * 1024 * 1024))
            with pytest.raises(ConnectionClosed) as closed:
                await link.recv()
            await link.wait_closed()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009

    with running(*place) as backend:
        asyncio.run(send_huge())
        assert words(replies(backend, ("thanks", "1"))[0]) == "You're welcome."


def test_a_command_is_done_once_across_a_kill(place: list[str]) -> None:
    with running(*place) as backend:
        (first,) = replies(backend, ("add milk", "same"))
        backend.end(signal.SIGKILL)
    assert Path(place[1]).exists()
    with running(*place) as backend:
        again, listed = replies(backend, ("add milk", "same"), ("my tasks", "other"))
    assert again == first
    assert words(listed) == "You have 1 task: milk."


def test_a_second_owner_is_refused_by_name(place: list[str], tmp_path: Path) -> None:
    with running(*place) as backend:
        for other in (
            ["--socket", str(tmp_path / "other.sock"), *place[2:]],
            [*place[:2], "--data-dir", str(tmp_path / "other")],
        ):
            code, errors = Backend(*other).wait()
            assert code == 1
            assert str(backend.process.pid) in errors
            assert "Traceback" not in errors
        assert words(replies(backend, ("thanks", "1"))[0]) == "You're welcome."


def test_a_foreign_listener_is_left_alone(place: list[str]) -> None:
    Path(place[1]).parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(place[1])
        other.listen()
        code, errors = Backend(*place).wait()
    assert code == 1
    assert "Another program listens" in errors


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_soon_and_says_goodbye(place: list[str], number: int) -> None:
    async def conversation(link: ClientConnection) -> None:
        started = time.monotonic()
        backend.process.send_signal(number)
        with pytest.raises(ConnectionClosed) as closed:
            await link.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001
        assert await asyncio.to_thread(backend.process.wait, DEADLINE_S) == 0
        assert time.monotonic() - started < 5

    with running(*place) as backend:
        talk(backend, conversation)


@pytest.mark.parametrize("pair", [os.pipe, lambda: [end.detach() for end in socket.socketpair()]])
def test_it_ends_with_its_parent(place: list[str], pair: Callable[[], Any]) -> None:
    theirs, ours = pair()
    with running(*place, "--parent-fd", str(theirs), pass_fds=(theirs,)) as backend:
        os.close(theirs)
        os.write(ours, b"still here")
        assert words(replies(backend, ("thanks", "1"))[0]) == "You're welcome."
        os.close(ours)
        assert backend.wait()[0] == 0


def test_tcp_wants_the_token_and_no_origin(tmp_path: Path) -> None:
    token_file = tmp_path / "secret" / "token"
    place = ["--port", "0", "--token-file", str(token_file), "--data-dir", str(tmp_path / "data")]
    with running(*place) as backend:
        token = token_file.read_text().strip()
        assert stat.S_IMODE(token_file.stat().st_mode) == 0o600
        assert backend.said["url"].startswith("ws://127.0.0.1:")
        right = {"Authorization": f"Bearer {token}"}
        talk(backend, nothing, additional_headers=right)
        assert refusal(backend) == 401
        for wrong in (f"Bearer {token}x", "Bearer", "Bearer ", f"Basic {token}", token, "Bearer ü"):
            assert refusal(backend, additional_headers={"Authorization": wrong}) == 401
        assert refusal(backend, additional_headers=right, origin=Origin("http://127.0.0.1")) == 403
        port = backend.said["url"].removesuffix("/ws").rsplit(":", 1)[1]
        code, errors = Backend("--port", port, "--data-dir", str(tmp_path / "other")).wait()
        assert (code, "cannot be used" in errors, "Traceback" in errors) == (1, True, False)
        _, logged = backend.end()
        assert token not in logged
    with running(*place):
        assert token_file.read_text().strip() == token


def test_an_empty_token_file_is_filled(tmp_path: Path) -> None:
    token_file = tmp_path / "data" / "token"
    token_file.parent.mkdir()
    token_file.touch(mode=0o600)
    with running("--port", "0", "--data-dir", str(tmp_path / "data")) as backend:
        token = token_file.read_text().strip()
        talk(backend, nothing, additional_headers={"Authorization": f"Bearer {token}"})
        assert refusal(backend, additional_headers={"Authorization": "Bearer "}) == 401


def test_the_environments_token_wins(tmp_path: Path) -> None:
    token = "an-environment-token"
    place = ["--port", "0", "--data-dir", str(tmp_path / "data")]
    with running(*place, environment={"OMNIID_BACKEND_TOKEN": token}) as backend:
        talk(backend, nothing, additional_headers={"Authorization": f"Bearer {token}"})
    assert not (tmp_path / "data" / "token").exists()


def test_no_words_of_the_user_reach_the_log(place: list[str]) -> None:
    with running(*place, "--log-level", "debug") as backend:
        replies(backend, ("add a very private thing to my list", "1"))
        _, logged = backend.end()
    assert "private" not in logged


@pytest.mark.parametrize(
    ("arguments", "code", "words_of_it"),
    [
        (["--socket", "/tmp/" + "x" * 120], 78, "107 is the most"),
        (["--socket", "{tmp}/file"], 78, "is no socket"),
        (["--socket", "{tmp}/open/b.sock"], 78, "Other users may write"),
        (["--socket", "{tmp}/file/b.sock"], 78, "cannot be made"),
        (["--port", "0", "--host", "::"], 78, "--allow-remote"),
        (["--port", "0", "--host", "no.such.host.invalid"], 78, "no address"),
        (["--port", "0", "--token-file", "{tmp}/open/token"], 78, "chmod 600"),
        (["--port", "0", "--token-file", "{tmp}/file"], 78, "no fit token"),
        (["--port", "70000"], 2, "no port"),
        (["--socket", "{tmp}/b.sock", "--parent-fd", "77"], 78, "--parent-fd 77"),
        (["--socket", "{tmp}/b.sock", "--parent-fd", "x"], 2, "no descriptor"),
        ([], 2, "--socket"),
    ],
)
def test_a_bad_option_is_one_sentence(
    tmp_path: Path, arguments: list[str], code: int, words_of_it: str
) -> None:
    (tmp_path / "file").touch(mode=0o600)
    (tmp_path / "file").write_text("too short")
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    (tmp_path / "open" / "token").write_text("a-token-that-all-can-read")
    (tmp_path / "open" / "token").chmod(0o644)
    given = [argument.format(tmp=tmp_path) for argument in arguments]
    backend = Backend("--data-dir", str(tmp_path / "data"), *given)
    assert backend.said == {}
    found, errors = backend.wait()
    assert (found, "Traceback" in errors) == (code, False)
    assert words_of_it in errors


def test_the_verb_starts_the_same_backend(tmp_path: Path) -> None:
    environment = {
        **os.environ, "XDG_RUNTIME_DIR": str(tmp_path / "run"), "XDG_DATA_HOME": str(tmp_path / "share"),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }  # fmt: skip
    script = "from omniid.cli.backend import app; app()"
    process = subprocess.Popen(
        [sys.executable, "-c", script, "serve"], stdout=subprocess.PIPE, env=environment, text=True
    )
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        assert said["socket"] == str(tmp_path / "run" / "omniid" / "backend.sock")
        assert said["pid"] == process.pid
        process.terminate()
        process.communicate(timeout=DEADLINE_S)
        assert process.returncode == 0
        assert (tmp_path / "share" / "omniid" / "backend" / "lock").exists()
    finally:
        process.kill()
        process.communicate()


def test_what_only_a_consent_needs_is_not_loaded_before() -> None:
    script = (
        "import sys, omniid.backend.server;"
        "print(sorted({'http.server', 'icalendar', 'recurring_ical_events', 'hassil'} & set(sys.modules)))"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    )
    assert done.stdout == "[]\n"
