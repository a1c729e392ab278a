"""What must not stop the daemon: bad sound, no device, no model, lost children, wrong servers."""

from __future__ import annotations

import http.server
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support import flow

from omniid.cli.private_daemon import Config, PrivateDaemon
from omniid.errors import OmniidError


def press(running: PrivateDaemon) -> None:
    running.client.call("POST", "/v1/listen/start", {"owner": "test"})


def release(running: PrivateDaemon) -> None:
    running.client.call("POST", "/v1/listen/stop", {"owner": "test"})


def assert_lives(running: PrivateDaemon) -> None:
    status = running.status()
    assert status["capture"] == "idle"
    assert "Traceback" not in running.log.read_text(encoding="utf-8")


def no_text(path: Path) -> Path:
    path.write_text("this is no sound at all, and long enough to be taken for a header")
    return path


def empty(path: Path) -> Path:
    path.touch()
    return path


@pytest.mark.parametrize("make", [no_text, empty, lambda path: path], ids=["text", "empty", "missing"])
def test_a_file_that_is_no_sound_gets_one_sentence_and_the_daemon_lives(tmp_path: Path, make: Any) -> None:
    recording = make(tmp_path / "take.wav")
    config: Config = {"audio": {"input_file": recording}, "speech": {"engine": "none"}}
    with flow.daemon(tmp_path / "house", config) as running:
        press(running)
        failed = flow.until(running, "take_failed")
        assert str(recording) in failed["message"]
        assert_lives(running)
        # Once the file is good, the next take works: it is read anew each time.
        flow.human_speech(recording)
        press(running)
        flow.until(running, "input_file_ended")
        release(running)
        assert "forward" in flow.until(running, "take_recognised")["text"].lower()


def test_silence_is_nothing_heard_and_makes_no_command(tmp_path: Path) -> None:
    recording = flow.write_wav(tmp_path / "take.wav", bytes(2 * 16_000 * 3))
    config: Config = {"audio": {"input_file": recording, "input_pace": 0}, "speech": {"engine": "none"}}
    with flow.daemon(tmp_path / "house", config) as running:
        press(running)
        flow.until(running, "input_file_ended")
        release(running)
        assert flow.until(running, "take_empty")["reason"] == "no_speech"
        assert running.client.call("GET", "/v1/outbox")["commands"] == []
        assert_lives(running)


def test_a_take_as_long_as_an_hour_is_cut_at_the_cap_and_recognised(tmp_path: Path) -> None:
    speech = flow.HUMAN.read_bytes()
    hour = speech + bytes(2 * 16_000 * 3_600 - len(speech))
    recording = flow.write_wav(tmp_path / "take.wav", hour)
    config: Config = {
        "audio": {"input_file": recording, "input_pace": 0, "max_take_s": 10},
        "speech": {"engine": "none"},
    }
    with flow.daemon(tmp_path / "house", config) as running:
        press(running)
        ended = flow.until(running, "capture_ended")
        assert ended["cause"] == "cap"
        assert ended["duration_s"] == pytest.approx(10, abs=0.1)
        assert "forward" in flow.until(running, "take_recognised")["text"].lower()
        assert_lives(running)


def test_without_any_sound_device_the_key_is_answered_with_what_to_do(tmp_path: Path) -> None:
    with flow.daemon(tmp_path, {"speech": {"engine": "none"}}) as running:
        press(running)
        failed = flow.until(running, "take_failed")
        assert failed["code"] == "no_microphone"
        assert_lives(running)
        assert "microphone" in running.status()["problems"]


def test_without_a_model_the_take_fails_with_every_way_to_get_one(tmp_path: Path) -> None:
    recording = flow.human_speech(tmp_path / "take.wav")
    config: Config = {
        "audio": {"input_file": recording, "input_pace": 0},
        "recognition": {"model": "small.en"},
        "speech": {"engine": "none"},
    }
    with flow.daemon(tmp_path / "house", config, XDG_CACHE_HOME=str(tmp_path / "cache")) as running:
        press(running)
        flow.until(running, "input_file_ended")
        release(running)
        failed = flow.until(running, "take_failed")
        assert failed["code"] == "model_missing"
        for way in ("models download", "omniid[model]", "recognition.model", str(tmp_path / "cache")):
            assert way in failed["message"]
        assert_lives(running)


def test_a_killed_ear_costs_the_take_and_nothing_else(tmp_path: Path) -> None:
    recording = flow.human_speech(tmp_path / "take.wav")
    config: Config = {"audio": {"input_file": recording}, "speech": {"engine": "none"}}
    with flow.daemon(tmp_path / "house", config) as running:
        press(running)
        flow.until(running, "capture_opened")
        os.kill(running.status()["workers"]["ear"]["pid"], signal.SIGKILL)
        assert flow.until(running, "worker_failed")["worker"] == "ear"
        assert_lives(running)
        press(running)
        flow.until(running, "input_file_ended")
        release(running)
        assert "forward" in flow.until(running, "take_recognised")["text"].lower()


def test_a_killed_backend_comes_back_and_a_command_waits_for_it(tmp_path: Path) -> None:
    with flow.daemon(tmp_path, {"speech": {"engine": "none"}}) as running:
        flow.until_ready(running)
        backend = running.status()["workers"]["backend"]["pid"]
        os.kill(backend, signal.SIGKILL)
        flow.until(running, "link_lost")
        answer = running.client.call("POST", "/v1/commands", {"message": "what time is it", "wait_s": 30})
        assert answer["state"] == "done"
        assert answer["attempts"] == 1
        assert running.status()["workers"]["backend"]["pid"] != backend


def test_no_voice_engine_does_not_lose_the_reply(tmp_path: Path) -> None:
    with flow.daemon(tmp_path, {"speech": {"voice": "nobody at all"}}) as running:
        flow.until_ready(running)
        answer = running.client.call("POST", "/v1/commands", {"message": "what time is it", "wait_s": 30})
        assert answer["state"] == "done"
        assert answer["reply"]["content"]
        assert flow.until(running, "speech_failed")["message"]
        assert "speaker" in running.status()["problems"]


class _Html(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        page = b"<html><body>It works!</body></html>"
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.send_header("Content-Length", str(len(page)))
        self.end_headers()
        self.wfile.write(page)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def html_server() -> Iterator[int]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Html)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_backend_that_speaks_html_is_named_and_the_command_waits(tmp_path: Path) -> None:
    with html_server() as port:
        config: Config = {"backend": {"url": f"ws://127.0.0.1:{port}/ws"}, "speech": {"engine": "none"}}
        with flow.daemon(tmp_path, config) as running:
            lost = flow.until(running, "link_lost", "link_stopped")
            assert "HTTP 200" in lost["reason"]
            answer = running.client.call("POST", "/v1/commands", {"message": "hello", "wait_s": 0})
            assert answer["state"] == "queued"
            assert_lives(running)


def test_what_was_on_the_wire_when_the_daemon_died_is_uncertain_and_not_sent_again(tmp_path: Path) -> None:
    silent = subprocess.Popen([sys.executable, "-c", _SILENT_SERVER], stdout=subprocess.PIPE, text=True)
    assert silent.stdout is not None
    try:
        port = int(silent.stdout.readline())
        config: Config = {"backend": {"url": f"ws://127.0.0.1:{port}/ws"}, "speech": {"engine": "none"}}
        with flow.daemon(tmp_path, config) as running:
            flow.until_ready(running)
            sent = running.client.call("POST", "/v1/commands", {"message": "send the mail"})["id"]
            assert silent.stdout.readline().strip() == sent
            flow.until(running, "command_moved", where=lambda data: data["state"] == "waiting")
            assert running.process is not None
            running.process.kill()
            running.process.wait()
        with flow.daemon(tmp_path, config) as running:
            flow.until_ready(running)
            assert running.client.call("GET", f"/v1/commands/{sent}")["state"] == "uncertain"
            again = running.client.call("POST", "/v1/commands", {"message": "another"})["id"]
            assert silent.stdout.readline().strip() == again
            dropped = running.client.call("POST", f"/v1/commands/{sent}/drop")
            assert dropped["state"] == "dropped"
    finally:
        silent.kill()
        silent.wait()
        silent.stdout.close()


_SILENT_SERVER = """
import asyncio, json
from websockets.asyncio.server import serve

async def on_link(link):
    async for frame in link:
        print(json.loads(frame)["payload"]["requestId"], flush=True)

async def main():
    async with serve(on_link, "127.0.0.1", 0) as server:
        print(next(iter(server.sockets)).getsockname()[1], flush=True)
        await server.serve_forever()

asyncio.run(main())
"""


def test_sigterm_ends_everything_cleanly_within_five_seconds(tmp_path: Path) -> None:
    with flow.daemon(tmp_path, {}) as running:
        flow.until_ready(running)
        flow.until_ear(running)
        status = running.status()
        pids = [worker["pid"] for worker in status["workers"].values() if worker["pid"]]
        began = time.monotonic()
        assert running.stop() == 0
        assert time.monotonic() - began < 5
        assert not any(flow.is_alive(pid) for pid in pids)
        assert not running.client.path.exists()


def test_a_second_sigterm_ends_it_at_once(tmp_path: Path) -> None:
    with flow.daemon(tmp_path, {"speech": {"engine": "none"}}) as running:
        flow.until_ready(running)
        assert running.process is not None
        backend = running.status()["workers"]["backend"]["pid"]
        os.kill(backend, signal.SIGSTOP)  # so that closing the link to it takes a while
        try:
            running.process.terminate()
            deadline = time.monotonic() + flow.WITHIN_S
            while '"stopping"' not in running.log.read_text(encoding="utf-8"):
                assert time.monotonic() < deadline
            running.process.terminate()
            assert running.process.wait(flow.WITHIN_S) == 128 + signal.SIGTERM
        finally:
            os.kill(backend, signal.SIGKILL)


def test_the_end_of_its_terminal_ends_it_cleanly(tmp_path: Path) -> None:
    with flow.daemon(tmp_path, {"speech": {"engine": "none"}}) as running:
        flow.until_ready(running)
        assert running.process is not None
        running.process.send_signal(signal.SIGHUP)
        running.process.send_signal(signal.SIGHUP)
        assert running.process.wait(flow.WITHIN_S) == 0
        assert not running.client.path.exists()


def test_under_nohup_it_outlives_its_terminal(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with flow.daemon(tmp_path, {"speech": {"engine": "none"}}) as running:
            flow.until_ready(running)
            assert running.process is not None
            running.process.send_signal(signal.SIGHUP)
            assert running.status(), "it still answers"
            assert running.stop() == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_sigterm_in_the_middle_of_a_take_closes_the_microphone(tmp_path: Path) -> None:
    recording = flow.human_speech(tmp_path / "take.wav")
    with flow.daemon(tmp_path / "house", {"audio": {"input_file": recording}}) as running:
        press(running)
        flow.until(running, "capture_opened")
        ear = running.status()["workers"]["ear"]["pid"]
        assert running.stop() == 0
        assert not flow.is_alive(ear)


def test_children_go_when_the_daemon_is_killed(tmp_path: Path) -> None:
    with flow.daemon(tmp_path, {}) as running:
        flow.until_ready(running)
        flow.until_ear(running)
        pids = [worker["pid"] for worker in running.status()["workers"].values() if worker["pid"]]
        assert running.process is not None
        running.process.kill()
        running.process.wait()
        deadline = time.monotonic() + flow.WITHIN_S
        while any(flow.is_alive(pid) for pid in pids) and time.monotonic() < deadline:
            os.sched_yield()
        assert not any(flow.is_alive(pid) for pid in pids)


def test_a_second_daemon_is_refused_and_told_who_runs(tmp_path: Path) -> None:
    with flow.daemon(tmp_path, {"speech": {"engine": "none"}}) as running:
        assert running.process is not None
        second = subprocess.run(
            [sys.executable, "-m", "omniid", "run"],
            env=running.environment,
            capture_output=True,
            text=True,
            timeout=flow.WITHIN_S,
            check=False,
        )
        assert second.returncode == 1
        assert f"already running (pid {running.process.pid})" in second.stderr
        assert "Traceback" not in second.stderr
        assert running.client.call("GET", "/v1/health") == {"ok": True}


def test_three_mistakes_in_the_configuration_are_all_told_and_exit_is_78(tmp_path: Path) -> None:
    wrong: Config = {
        "session": {"reply_timeout_s": "soon"},
        "audio": {"inptu_file": "x"},
        "speech": {"rate": 9},
    }
    with pytest.raises(OmniidError, match="did not start"), flow.daemon(tmp_path, wrong) as running:
        pytest.fail(f"started all the same: {running.status()}")
    done = subprocess.run(
        [sys.executable, "-m", "omniid", "run"],
        env={**os.environ, "OMNIID_CONFIG": str(tmp_path / "config.toml")},
        capture_output=True,
        text=True,
        timeout=flow.WITHIN_S,
        check=False,
    )
    assert done.returncode == 78
    for key in ("session.reply_timeout_s", "audio.inptu_file", "audio.input_file", "speech.rate"):
        assert key in done.stderr
    assert done.stderr.count(str(tmp_path / "config.toml")) == 3
    assert "Traceback" not in done.stderr


def test_a_mouth_that_dies_silently_says_it_all_in_its_next_life(tmp_path: Path) -> None:
    with flow.daemon(tmp_path, {"audio": {"output_file": tmp_path / "speaker.wav"}}) as running:
        flow.until_ready(running)
        running.client.call("POST", "/v1/speech", {"text": "Warm."})
        flow.until(running, "speech_finished")
        mouth = running.status()["workers"]["mouth"]["pid"]
        os.kill(mouth, signal.SIGSTOP)
        asked = [
            running.client.call("POST", "/v1/speech", {"text": text})["utterance_id"]
            for text in ("One.", "Two.")
        ]
        flow.until(running, "speech_queued", where=lambda data: data["utterance_id"] == asked[0])
        os.kill(mouth, signal.SIGKILL)

        ended = [flow.until(running, "speech_finished") for _ in asked]
        assert [(each["utterance_id"], each["cause"]) for each in ended] == [
            (each, "spoken") for each in asked
        ]
        assert running.status()["problems"] == {}
