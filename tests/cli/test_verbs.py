"""The verbs as a user types them, against a real daemon."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from support import flow

from omniid.cli.private_daemon import PrivateDaemon


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
    done = omniid("outbox", "show", "nonsense", config=config)
    assert done.returncode == 2
    assert "There is no command 'nonsense'" in done.stderr


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
