"""The verbs as a user types them, against a real daemon."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest
from support import flow
from support.field import address, field_server, served, silent
from support.keyring_daemon import KeyringDaemon, keyring_daemon

from omniid.cli.private_daemon import PrivateDaemon

__all__ = ["keyring_daemon"]


def omniid(*arguments: str, config: Path, given: str = "", **more: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **flow.QUIET_HOUSE, "OMNIID_CONFIG": str(config), **more}
    return subprocess.run(
        [sys.executable, "-m", "omniid", *arguments],
        env=environment,
        input=given,
        capture_output=True,
        text=True,
        timeout=flow.WITHIN_S,
        check=False,
    )


def on_terminal(*arguments: str, config: Path, **more: str) -> str:
    """What it shows on a terminal of 80 columns."""
    terminal, theirs = pty.openpty()
    environment = {**os.environ, **flow.QUIET_HOUSE, "OMNIID_CONFIG": str(config), "COLUMNS": "80", **more}
    child = subprocess.Popen(
        [sys.executable, "-m", "omniid", *arguments], env=environment, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # the terminal ends with its last writer
        while piece := os.read(terminal, 4_096):
            shown += piece
    os.close(terminal)
    child.wait(flow.WITHIN_S)
    return shown.decode().replace("\r\n", "\n")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PrivateDaemon]:
    folder = tmp_path_factory.mktemp("house")
    with flow.daemon(folder, {"speech": {"engine": "none"}}) as daemon:
        flow.until_ready(daemon)
        yield daemon


@pytest.fixture
def config(running: PrivateDaemon) -> Path:
    return running.folder / "config.toml"


def test_ask_prints_the_answer_and_its_id_apart(config: Path) -> None:
    done = omniid("ask", "what time is it", config=config)
    assert done.returncode == 0
    assert done.stdout.strip()
    assert len(done.stderr.strip()) == 36


def test_ask_takes_its_text_from_standard_input(config: Path) -> None:
    assert omniid("ask", "-", config=config, given="what time is it\n").returncode == 0


def test_ask_with_the_same_key_twice_is_one_command(config: Path) -> None:
    first, second = (
        json.loads(omniid("ask", "add call Ann to my tasks", "--key", "k1", "--json", config=config).stdout)
        for _ in range(2)
    )
    assert first["id"] == second["id"]
    assert second["attempts"] == 1


@pytest.mark.parametrize("text", ["", "   ", "\x07", "x" * 8_001], ids=["empty", "space", "bell", "too long"])
def test_ask_refuses_what_is_no_command(config: Path, text: str) -> None:
    done = omniid("ask", "-", config=config, given=text)
    assert done.returncode == 4
    assert done.stderr.startswith("omniid: The command")
    assert "Traceback" not in done.stderr


def test_status_is_for_people_and_for_programs(config: Path, running: PrivateDaemon) -> None:
    words = omniid("status", config=config).stdout
    assert words.startswith("omniid is ready")
    assert "microphone  closed" in words
    data = json.loads(omniid("status", "--json", config=config).stdout)
    assert running.process is not None
    assert data["pid"] == running.process.pid


def test_the_outbox_is_empty_when_all_is_done(config: Path) -> None:
    assert omniid("outbox", "list", config=config).stdout == "Nothing waits.\n"


def test_an_unknown_command_is_told_apart(config: Path) -> None:
    for id_ in ("nonsense", "a/b", "a?b c"):
        done = omniid("outbox", "show", id_, config=config)
        assert done.returncode == 1
        assert f"There is no command '{id_}'" in done.stderr


@pytest.mark.parametrize(
    ("verb", "sentence"),
    [
        (("take", "retry"), "There is no take 'last'"),
        (("take", "drop", "0193"), "There is no take '0193'"),
        (("auth", "open"), "No command waits for you to sign in"),
    ],
)
def test_what_is_not_there_is_a_failure_and_no_usage_error(
    config: Path, verb: tuple[str, ...], sentence: str
) -> None:
    done = omniid(*verb, config=config)
    assert (done.returncode, done.stdout) == (1, "")
    assert sentence in done.stderr


@pytest.mark.parametrize("verb", [("outbox", "cancel", ""), ("outbox", "show", " "), ("take", "retry", "")])
def test_an_empty_id_is_a_usage_error_and_called_so(config: Path, verb: tuple[str, ...]) -> None:
    done = omniid(*verb, config=config)
    assert done.returncode == 2
    assert "is empty" in done.stderr
    assert "/v1/" not in done.stderr


def test_a_talk_key_that_is_refused_says_why(config: Path) -> None:
    assert omniid("listen", "disable", config=config).returncode == 0
    try:
        for more in ([], ["--owner", "desk"]):  # the short way, and the whole command line
            done = omniid("listen", "start", *more, config=config)
            assert (done.returncode, done.stdout) == (4, "")
            assert done.stderr == "omniid: The microphone is kept shut. Run `omniid listen enable` first.\n"
    finally:
        omniid("listen", "enable", config=config)


def test_hush_is_fine_with_silence(config: Path) -> None:
    assert omniid("hush", config=config).returncode == 0


def test_listen_stop_without_a_take_does_nothing(config: Path) -> None:
    done = omniid("listen", "stop", config=config)
    assert done.returncode == 0
    assert done.stdout == "The microphone is closed.\n"


def test_without_a_daemon_every_verb_says_how_to_start_one(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'[control]\nsocket = "{tmp_path}/none.sock"\n', encoding="utf-8")
    for verb in (["ask", "hello"], ["status"], ["listen", "start"], ["events"], ["outbox", "list"], ["stop"]):
        done = omniid(*verb, config=config)
        assert done.returncode == 3, verb
        assert "Start it with `omniid run`" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_wrong_option_is_a_usage_error() -> None:
    assert omniid("ask", config=Path("/dev/null")).returncode == 2
    assert omniid("listen", "sideways", config=Path("/dev/null")).returncode == 2


def test_doctor_on_a_machine_with_nothing_names_each_remedy(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(
        f'[control]\nsocket = "{tmp_path}/none.sock"\n[recognition]\nmodel = "small"\n', encoding="utf-8"
    )
    done = omniid("doctor", "--json", config=config, XDG_CACHE_HOME=str(tmp_path))
    assert done.returncode == 1
    findings = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert findings["configuration"]["verdict"] == "ok"
    for name, remedy in (
        ("microphone", "Plug in a microphone"),
        ("speaker", "Plug in a speaker"),
        ("speech model", "omniid models download"),
        ("daemon", "omniid run"),
    ):
        assert findings[name]["verdict"] != "ok"
        assert remedy in findings[name]["advice"]


def test_doctor_tells_what_a_machine_without_a_desktop_does_without(tmp_path: Path) -> None:
    nowhere = {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere", "HOME": str(tmp_path)}
    nowhere |= {"DISPLAY": "", "WAYLAND_DISPLAY": "", "BROWSER": ""}
    done = omniid("doctor", "--json", config=Path("/dev/null"), **nowhere)
    findings = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert findings["notifications"]["verdict"] == "warning"
    assert "there is no session bus" in findings["notifications"]["advice"]
    assert findings["browser"]["detail"] == "no display here, and BROWSER is not set"
    assert "`omniid auth status` prints them" in findings["browser"]["advice"]
    done = omniid(
        "doctor",
        "--json",
        config=Path("/dev/null"),
        **{**nowhere, "BROWSER": "no-such-browser:true", "OMNIID_NOTIFICATIONS__ENABLED": "false"},
    )
    findings = {finding["name"]: finding for finding in json.loads(done.stdout)}
    assert findings["notifications"]["detail"] == "switched off (notifications.enabled)"
    assert findings["browser"] == {
        "name": "browser",
        "verdict": "ok",
        "detail": "opened by true",
        "advice": "",
    }


def test_doctor_lists_a_broken_configuration_and_goes_on(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[session]\nreply_timeout_s = "soon"\n', encoding="utf-8")
    findings = json.loads(omniid("doctor", "--json", config=config).stdout)
    assert findings[0]["verdict"] == "problem"
    assert "session.reply_timeout_s" in findings[0]["detail"]
    assert len(findings) > 3


def test_the_lines_to_bind_can_be_copied_from_doctor_and_status(tmp_path: Path) -> None:
    hotkey = {"backend": "portal", "key": "ctrl+alt+space"}  # there is no bus to find it on
    bound = {
        "sway: bindsym --no-repeat Ctrl+Mod1+space exec omniid listen start",
        "bindsym --release Ctrl+Mod1+space exec omniid listen stop",
        "Hyprland: bind = CTRL ALT, space, exec, omniid listen start",
        "bindr = CTRL ALT, space, exec, omniid listen stop",
    }
    with flow.daemon(tmp_path, {"speech": {"engine": "none"}, "hotkey": hotkey}) as running:
        while "hotkey" not in running.status()["problems"]:
            flow.until(running, "hotkey_changed", "snapshot")
        config = running.folder / "config.toml"
        for verb, margin in (("doctor", 24), ("status", 14)):
            for shown in (on_terminal(verb, config=config), omniid(verb, config=config).stdout):
                lines = [line for line in shown.splitlines() if "exec" in line and "omniid listen" in line]
                assert {line.strip() for line in lines} == bound, shown
                assert {line[: margin + 2] for line in lines} == {" " * (margin + 2)}
                assert "there is no session bus" in " ".join(shown.split())
                assert "Errno" not in shown


def test_doctor_calls_a_database_without_its_key_unusable(
    tmp_path: Path, keyring_daemon: KeyringDaemon
) -> None:
    keyring_daemon.unlock()
    path = tmp_path / "omniid" / "omniid.db"
    path.parent.mkdir()
    path.write_bytes(bytes(range(256)) * 16)  # as an encrypted one looks: no header
    config = tmp_path / "config.toml"
    config.write_text(f'[control]\nsocket = "{tmp_path}/none.sock"\n', encoding="utf-8")

    environment = {"DBUS_SESSION_BUS_ADDRESS": keyring_daemon.address, "XDG_DATA_HOME": str(tmp_path)}
    done = omniid("doctor", "--json", config=config, **environment)

    (found,) = (finding for finding in json.loads(done.stdout) if finding["name"] == "database")
    assert (found["verdict"], found["detail"]) == ("problem", "unusable")
    assert "the keyring does not have its key" in found["advice"]


def test_transcribe_prints_the_words_without_a_daemon(tmp_path: Path) -> None:
    recording = flow.human_speech(tmp_path / "take.wav")
    done = omniid("transcribe", str(recording), config=Path("/dev/null"))
    assert done.returncode == 0
    assert "forward" in done.stdout.lower()


def test_transcribe_send_makes_it_a_voice_command(tmp_path: Path, config: Path) -> None:
    recording = flow.human_speech(tmp_path / "take.wav")
    done = omniid("transcribe", str(recording), "--send", "--json", config=config)
    assert done.returncode == 1  # the embedded backend cannot go forward, and a script must know
    command = json.loads(done.stdout)
    assert command["state"] == "failed"
    assert command["type"] == "voice_command"
    assert command["metadata"]["confidence"] > 0.3


def test_transcribe_takes_44_kilohertz_stereo(tmp_path: Path) -> None:
    source = flow.human_speech(tmp_path / "mono.wav")
    stereo = tmp_path / "stereo.wav"
    subprocess.run([sys.executable, "-c", _TO_44100_STEREO, str(source), str(stereo)], check=True)
    assert "forward" in omniid("transcribe", str(stereo), config=Path("/dev/null")).stdout.lower()


_TO_44100_STEREO = """
import sys, wave
import numpy, soxr
with wave.open(sys.argv[1]) as source:
    mono = numpy.frombuffer(source.readframes(source.getnframes()), "<i2")
high = soxr.resample(mono, 16_000, 44_100)
with wave.open(sys.argv[2], "wb") as out:
    out.setnchannels(2)
    out.setsampwidth(2)
    out.setframerate(44_100)
    out.writeframes(numpy.stack([high, high], axis=1).tobytes())
"""


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "take.wav"),
        (b"this is a letter, not a sound, and it goes on for a while", "take.wav"),
    ],
    ids=["empty", "text"],
)
def test_transcribe_says_in_one_sentence_what_is_no_sound(
    tmp_path: Path, content: bytes, sentence: str
) -> None:
    file = tmp_path / "take.wav"
    file.write_bytes(content)
    done = omniid("transcribe", str(file), config=Path("/dev/null"))
    assert done.returncode == 1
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.stderr


def test_transcribe_of_silence_says_that_nobody_speaks(tmp_path: Path) -> None:
    recording = flow.write_wav(tmp_path / "take.wav", bytes(2 * 16_000 * 2))
    done = omniid("transcribe", str(recording), config=Path("/dev/null"))
    assert done.returncode == 1
    assert done.stdout == ""
    assert "Nobody speaks" in done.stderr


def test_transcribe_of_an_hour_says_how_long_it_is_and_what_to_do(tmp_path: Path) -> None:
    recording = flow.write_wav(tmp_path / "take.wav", bytes(2 * 16_000 * 3_600))
    done = omniid("transcribe", str(recording), config=Path("/dev/null"))
    assert done.returncode == 1
    assert "max_take_s" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_list_of_all_has_what_is_over(config: Path) -> None:
    omniid("ask", "what time is it", config=config)
    everything = json.loads(omniid("outbox", "list", "--all", "--json", config=config).stdout)
    assert "done" in {command["state"] for command in everything}
    assert "what time is it" in omniid("outbox", "list", "--all", config=config).stdout


def test_the_list_has_the_readers_own_time(config: Path) -> None:
    command = json.loads(omniid("ask", "what time is it", "--json", config=config).stdout)
    for zone, hours in (("UTC", 0), ("<+05>-5", 5)):
        shown = omniid("outbox", "show", command["id"], config=config, TZ=zone).stdout.splitlines()[0]
        there = datetime.fromisoformat(command["created_at"]).timestamp() + hours * 3_600
        said = re.search(r"  (\S+ \S+)  done$", shown)
        assert said, shown
        assert datetime.fromisoformat(f"{said[1]}+00:00").timestamp() == there - there % 60


def test_a_text_that_is_deleted_is_shown_as_such(tmp_path: Path) -> None:
    with flow.daemon(tmp_path, {"speech": {"engine": "none"}}) as running:
        flow.until_ready(running)
        config = running.folder / "config.toml"
        assert omniid("ask", "what time is it", config=config).returncode == 0
        assert omniid("history", "--clear", config=config).returncode == 0
        listed = omniid("outbox", "list", "--all", config=config).stdout.splitlines()
        assert listed[1:] == ["    (text deleted)"]
        command_id = listed[0].split()[0]
        assert omniid("outbox", "show", command_id, config=config).stdout.splitlines() == listed


def test_a_command_called_off_on_its_way_is_shown_as_such(tmp_path: Path) -> None:
    with served(silent) as port:
        backend = {"backend": {"url": address(port)}, "speech": {"engine": "none"}}
        with flow.daemon(tmp_path, backend) as running:
            flow.until_ready(running)
            config = running.folder / "config.toml"
            command_id = running.client.call("POST", "/v1/commands", {"message": "order it"})["id"]
            flow.until(running, "command_moved", where=lambda data: data["state"] == "waiting")
            assert "called off" not in omniid("outbox", "list", config=config).stdout
            for verb in (["cancel", command_id], ["list"], ["show", command_id]):
                shown = omniid("outbox", *verb, config=config).stdout
                assert "  waiting (called off: its answer is not wanted)\n    order it\n" in shown


def test_a_command_that_needs_a_sign_in_is_shown_in_plain_words(tmp_path: Path) -> None:
    data = {"requiresAuth": True, "authUrl": "https://accounts.example/1", "message": "Sign in."}
    answer = {"type": "response", "status": "success", "data": data, "timestamp": 1}
    with field_server(answer) as (port, _):
        backend = {"backend": {"url": address(port)}, "speech": {"engine": "none"}}
        with flow.daemon(tmp_path, backend) as running:
            flow.until_ready(running)
            config = running.folder / "config.toml"
            assert omniid("ask", "read my mail", config=config).returncode == 4
            listed = omniid("outbox", "list", config=config).stdout
            assert "  waits for a sign-in" in listed.splitlines()[0]
            status = omniid("status", config=config).stdout
            assert "  outbox      1 waits for a sign-in\n" in status
            assert "needs_auth" not in listed + status


def test_a_key_given_to_two_commands_is_refused(config: Path) -> None:
    assert omniid("ask", "what time is it", "--key", "twice", config=config).returncode == 0
    done = omniid("ask", "what day is it", "--key", "twice", config=config)
    assert done.returncode == 4
    assert "belongs to another command" in done.stderr


def test_a_configuration_that_is_named_and_missing_is_a_mistake(tmp_path: Path) -> None:
    done = omniid("run", config=tmp_path / "mistyped.toml")
    assert done.returncode == 78
    assert "mistyped.toml" in done.stderr


def test_a_command_that_waits_is_told_why(tmp_path: Path) -> None:
    config = {"backend": {"url": "ws://127.0.0.1:9/ws"}, "speech": {"engine": "none"}}
    with flow.daemon(tmp_path, config) as away:
        flow.until(away, "link_lost")
        done = omniid("ask", "hello", "--wait", "0", config=away.folder / "config.toml")
        assert done.returncode == 5
        assert "nothing is lost" in done.stdout
        assert "ws://127.0.0.1:9/ws is" in done.stderr


def test_stop_waits_until_the_daemon_is_gone(tmp_path: Path) -> None:
    with flow.daemon(tmp_path, {"speech": {"engine": "none"}}) as running:
        done = omniid("stop", config=running.folder / "config.toml")
        assert done.stdout == "omniid has stopped.\n"
        assert running.process is not None
        assert running.process.wait(flow.WITHIN_S) == 0
