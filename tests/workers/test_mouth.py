"""The real mouth process: real eSpeak NG through pyttsx3, a real PulseAudio."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.mouth import LONG_TEXT, configuration, loud_seconds, mouth, samples_of
from support.pulse import PulseServer, pulse
from support.spoken_replies import REPLIES, Recogniser, plain, word_error_rate
from support.wyoming_speech import wyoming_piper

from omniid.speech.speakable import speakable
from omniid.workers.channel import (
    Say,
    SpeechFinished,
    StopSpeaking,
    VoiceNoted,
    WorkerReady,
    encode,
)

__all__ = ["pulse"]

DEADLINE_S = 60.0


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """Of a machine without any sound."""
    runtime = tmp_path / "run"
    runtime.mkdir(mode=0o700)
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    return kept | {
        "HOME": str(tmp_path),
        "XDG_RUNTIME_DIR": str(runtime),
        "TMPDIR": str(runtime),
        "PULSE_SERVER": f"unix:{tmp_path}/nobody.sock",
    }


def leftovers(folder: Path) -> list[Path]:
    return list(folder.rglob("omniid-speech-*"))


def test_speaks_into_the_sound_card(pulse: PulseServer) -> None:
    with mouth(pulse.env) as child, pulse.record() as heard:
        said_at = time.monotonic()
        child.say("1", "Good evening. It is 5:04 p.m. and all is well.")
        started = child.started("1")
        assert said_at <= started.first_sound_at <= time.monotonic()
        assert started.device
        assert child.receive() == SpeechFinished("1", "spoken")
        took = time.monotonic() - started.first_sound_at
    begin, end = loud_seconds(heard)
    assert 2.0 < end - begin < 6.0
    # Finished means heard: not told before the end and not long after it.
    assert end - begin - 0.5 < took < end - begin + 5.0


def test_two_utterances_come_one_after_the_other(pulse: PulseServer) -> None:
    with mouth(pulse.env) as child:
        child.say("1", "The first one.")
        child.say("2", "The second one.")
        first = child.started("1")
        assert child.receive() == SpeechFinished("1", "spoken")
        second = child.started("2")
        assert child.receive() == SpeechFinished("2", "spoken")
        assert second.first_sound_at - first.first_sound_at > 0.5


def test_stop_silences_at_once_and_forgets_what_was_waiting(pulse: PulseServer) -> None:
    with mouth(pulse.env) as child:
        with pulse.record() as heard:
            child.say("1", LONG_TEXT)
            child.say("2", "This is never heard.")
            child.say("3", "Nor is this.")
            child.started("1")
            time.sleep(1.0)
            asked_at = time.monotonic()
            child.send(StopSpeaking())
            for utterance_id in ("1", "2", "3"):
                assert child.receive() == SpeechFinished(utterance_id, "stopped")
            took = time.monotonic() - asked_at
            time.sleep(1.0)
        begin, end = loud_seconds(heard)
        assert took < 2.0  # 5 ms on an idle machine, and the last sound 10 ms after it was asked for
        assert end - begin < 4.0  # all of it would be more than 20 s
        child.say("4", "It speaks again.")
        child.started("4")
        assert child.receive() == SpeechFinished("4", "spoken")


def test_stop_while_nothing_is_said_is_fine(env: dict[str, str], tmp_path: Path) -> None:
    with mouth(env, output_file=str(tmp_path / "said.wav")) as child:
        child.send(StopSpeaking())
        child.say("1", "Hello.")
        child.started("1")
        assert child.receive() == SpeechFinished("1", "spoken")


def test_writes_a_valid_file_after_each_utterance(env: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "new folder" / "said.wav"
    lengths = []
    with mouth(env, output_file=str(path)) as child:
        for number in ("1", "2"):
            child.say(number, "The kettle is on.")
            assert child.started(number).device == str(path)
            assert child.receive() == SpeechFinished(number, "spoken")
            rate, samples = samples_of(path)
            lengths.append(len(samples) / rate)
            assert max(map(abs, samples)) > 3_000
    assert path.stat().st_mode & 0o777 == 0o600
    assert 0.5 < lengths[0] < 3.0
    assert lengths[1] == pytest.approx(2 * lengths[0], abs=0.1)


def test_nothing_to_say_is_spoken_without_a_sound(env: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "said.wav"
    with mouth(env, output_file=str(path)) as child:
        child.say("1", "\x1b[31m 👍🏽 \u202e ")
        assert child.receive() == SpeechFinished("1", "spoken")
    assert not path.exists()


def spoken(env: dict[str, str], path: Path, **settings: object) -> tuple[float, int]:
    """The seconds and the peak of one sentence said with these settings."""
    with mouth(env, output_file=str(path), **settings) as child:
        child.say("1", "The quick brown fox jumps over the lazy dog.")
        child.started("1")
        assert child.receive() == SpeechFinished("1", "spoken")
    rate, samples = samples_of(path)
    return len(samples) / rate, max(map(abs, samples))


def test_rate_and_volume_are_honoured(env: dict[str, str], tmp_path: Path) -> None:
    slow_s, full = spoken(env, tmp_path / "slow.wav", rate=100)
    fast_s, half = spoken(env, tmp_path / "fast.wav", rate=300, volume=0.5)
    assert slow_s > 1.8 * fast_s
    assert half == pytest.approx(full / 2, rel=0.2)


@pytest.mark.parametrize("voice", ["gmw/de", "de", "German"])
def test_a_voice_is_found_by_id_language_or_name(env: dict[str, str], tmp_path: Path, voice: str) -> None:
    with mouth(env, output_file=str(tmp_path / "said.wav"), voice=voice) as child:
        child.say("1", "Guten Abend.")
        child.started("1")
        assert child.receive() == SpeechFinished("1", "spoken")


def test_an_unknown_voice_is_refused_with_a_few_that_exist(env: dict[str, str], tmp_path: Path) -> None:
    with mouth(env, output_file=str(tmp_path / "said.wav"), voice="en-klingon") as child:
        for number in ("1", "2"):
            child.say(number, "Hello.")
            failed = child.failed(number)
            assert failed.code == "no_such_voice"
            assert "'en-klingon'" in failed.message
            assert "gmw/en" in failed.message


def test_an_engine_that_there_is_not_is_named(env: dict[str, str], tmp_path: Path) -> None:
    with mouth(env, output_file=str(tmp_path / "said.wav"), engine="gramophone") as child:
        child.say("1", "Hello.")
        failed = child.failed("1")
        assert failed.code == "no_voice_engine"
        assert "'gramophone'" in failed.message


def test_piper_speaks(env: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "said.wav"
    with mouth(env, output_file=str(path), engine="piper") as child:
        child.say("1", "Good evening. It is 10:30.")
        child.started("1")
        assert child.receive() == SpeechFinished("1", "spoken")
        assert child.output() == (b"", b"")
    rate, samples = samples_of(path)
    assert rate == 22_050
    assert 1.0 < len(samples) / rate < 6.0


def test_what_is_spoken_is_understood(env: dict[str, str], tmp_path: Path) -> None:
    """Ten replies full of markup, times and addresses, recognised back by the small model."""
    path = tmp_path / "said.wav"
    with mouth(env, output_file=str(path), engine="piper") as child:
        for number, reply in enumerate(REPLIES):
            child.say(str(number), reply)
        for number in range(len(REPLIES)):
            child.started(str(number))
            assert child.receive() == SpeechFinished(str(number), "spoken")
    said = " ".join(sentence for reply in REPLIES for sentence in speakable(reply, "en"))
    assert word_error_rate(said, Recogniser().hear(path)) < 0.3  # 0.08 on an idle machine


def test_a_voice_elsewhere_speaks(env: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "said.wav"
    with (
        wyoming_piper(tmp_path) as uri,
        mouth(env, output_file=str(path), engine="wyoming", voice=uri) as child,
    ):
        child.say("1", "Good evening.")
        child.started("1")
        assert child.receive() == SpeechFinished("1", "spoken")
    assert samples_of(path)[0] == 22_050


def test_a_voice_that_cannot_be_had_is_replaced_and_that_is_told_once(
    env: dict[str, str], tmp_path: Path
) -> None:
    path = tmp_path / "said.wav"
    with mouth(env, output_file=str(path), engine="piper", voice="/nowhere.onnx") as child:
        child.say("1", "Hello. Here I am.")
        noted = child.receive()
        child.started("1")
        assert child.receive() == SpeechFinished("1", "spoken")
        child.say("2", "Hello. Here I am.")
        child.started("2")
        assert child.receive() == SpeechFinished("2", "spoken")
    assert isinstance(noted, VoiceNoted)
    assert "'/nowhere.onnx'" in str(noted.note)
    assert max(map(abs, samples_of(path)[1])) > 3_000


def test_a_voice_that_hangs_is_replaced_in_the_same_process(env: dict[str, str], tmp_path: Path) -> None:
    """The server accepts and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        uri = f"tcp://127.0.0.1:{silent.getsockname()[1]}"
        with mouth(env, output_file=str(tmp_path / "said.wav"), engine="wyoming", voice=uri) as child:
            child.say("1", "Hello.")
            noted = child.receive()
            child.started("1")
            assert child.receive() == SpeechFinished("1", "spoken")
    assert isinstance(noted, VoiceNoted)
    assert "does not answer" in str(noted.note)


def test_no_voice_at_all_is_told_as_the_first_one_failed(env: dict[str, str], tmp_path: Path) -> None:
    with without_espeak(tmp_path), mouth(env, engine="piper", voice="/nowhere.onnx") as child:
        for number in ("1", "2"):
            child.say(number, "Hello.")
            failed = child.failed(number)
        assert child.process.poll() is None
    assert failed.code == "no_voice_engine"


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param("\x00\x07\x1b[31m" * 200_000, id="control characters"),
        pytest.param("\u202e\u2066" * 100_000, id="overrides of direction"),
        pytest.param("<b>" * 300_000, id="tags"),
    ],
)
def test_a_megabyte_of_nothing_is_spoken_without_a_sound(
    env: dict[str, str], tmp_path: Path, reply: str
) -> None:
    with mouth(env, output_file=str(tmp_path / "said.wav")) as child:
        child.say("1", reply)
        child.started("1")  # "There is more in the history."
        assert child.receive() == SpeechFinished("1", "spoken")


@pytest.mark.parametrize(("in_history", "heard"), [(True, "history"), (False, "rest")])
def test_where_a_text_is_cut_only_what_the_history_keeps_is_said_to_be_there(
    env: dict[str, str], tmp_path: Path, in_history: bool, heard: str
) -> None:
    path = tmp_path / "said.wav"
    with mouth(env, output_file=str(path), engine="piper") as child:
        child.send(Say("1", "<b>" * 300_000, in_history))  # so that the note is all that is said
        child.started("1")
        assert child.receive() == SpeechFinished("1", "spoken")
    assert {"history", "rest"} & set(plain(Recogniser().hear(path)).split()) == {heard}


def test_a_megabyte_of_words_is_cut_and_the_mouth_speaks_on(env: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "said.wav"
    with mouth(env, output_file=str(path)) as child:
        for number, text in (("1", "Words and words. " * 60_000), ("2", "Fine.")):
            child.say(number, text)
            child.started(number)
            assert child.receive() == SpeechFinished(number, "spoken")
    rate, samples = samples_of(path)
    assert 60 < len(samples) / rate < 600


@contextlib.contextmanager
def without_espeak(folder: Path) -> Iterator[None]:
    """`_espeak` finds no library under any of its names: here, because every load fails."""
    (folder / "sitecustomize.py").write_text(
        "import ctypes\n"
        "real = ctypes.LibraryLoader.LoadLibrary\n"
        "def load(self, name):\n"
        "    if 'espeak' in str(name): raise OSError(f'{name}: cannot open shared object file')\n"
        "    return real(self, name)\n"
        "ctypes.LibraryLoader.LoadLibrary = load\n"
    )
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def test_without_espeak_it_says_what_to_install(env: dict[str, str], tmp_path: Path) -> None:
    with without_espeak(tmp_path), mouth(env, output_file=str(tmp_path / "said.wav")) as child:
        child.say("1", "Hello.")
        failed = child.failed("1")
    assert failed.code == "no_voice_engine"
    assert "install libespeak-ng1" in failed.message


def test_without_a_sound_card_it_fails_says_why_and_lives_on(env: dict[str, str]) -> None:
    with mouth(env) as child:
        for number in ("1", "2"):
            child.say(number, "Hello.")
            failed = child.failed(number)
            assert failed.code == "no_speaker"
            assert "connect one or start the sound server" in failed.message
        assert child.output() == (b"", b"")  # ALSA has much to say about it


def test_speaks_when_the_sound_server_comes_late_and_comes_back(pulse: PulseServer) -> None:
    pulse.kill()
    with mouth(pulse.env) as child:
        child.say("1", "Hello.")
        assert child.failed("1").code == "no_speaker"
        for number in ("2", "4"):
            pulse.start()
            child.say(number, "Here I am.")
            child.started(number)
            assert child.receive() == SpeechFinished(number, "spoken")
            child.say(number + "b", LONG_TEXT)
            child.started(number + "b")
            pulse.kill()
            failed = child.failed(number + "b")
            assert failed.code == "speaker_lost"
            assert "went away" in failed.message


@pytest.mark.parametrize("device", ["second", "Second_Speaker"])
def test_a_named_speaker_is_used(pulse: PulseServer, device: str) -> None:
    pulse.pactl(
        "load-module",
        "module-null-sink",
        "sink_name=second",
        "sink_properties=device.description=Second_Speaker",
    )
    pulse.keep_warm("second")
    with mouth(pulse.env, output_device=device) as child, pulse.record("second.monitor") as heard:
        child.say("1", "Over here.")
        assert child.started("1").device == "Second_Speaker"
        assert child.receive() == SpeechFinished("1", "spoken")
    loud_seconds(heard)


def test_a_sound_server_that_hangs_is_reported_and_the_mouth_goes(pulse: PulseServer) -> None:
    with mouth(pulse.env) as child:
        child.say("1", LONG_TEXT)
        child.say("2", "This waits.")
        child.started("1")
        pulse.stop_signal()
        try:
            began = time.monotonic()
            assert child.failed("1").code == "speaker_hung"
            assert child.failed("2").code == "speaker_hung"
            assert child.process.wait(DEADLINE_S) == 3
            assert time.monotonic() - began < 20.0
        finally:
            pulse.cont()


def test_a_sound_server_that_hangs_from_the_start_is_reported(pulse: PulseServer) -> None:
    pulse.stop_signal()
    try:
        with mouth(pulse.env) as child:
            child.say("1", "Hello.")
            assert child.failed("1").code == "speaker_hung"
            assert child.process.wait(DEADLINE_S) == 3
    finally:
        pulse.cont()


def test_the_end_of_the_channel_ends_it_at_once_even_while_the_sound_server_hangs(pulse: PulseServer) -> None:
    with mouth(pulse.env) as child:
        child.say("1", LONG_TEXT)
        child.started("1")
        pulse.stop_signal()
        try:
            began = time.monotonic()
            child.hang_up()
            assert child.process.wait(DEADLINE_S) == 0
            assert time.monotonic() - began < 2.5  # before anything would be found to hang
        finally:
            pulse.cont()


def test_no_temporary_file_is_left_and_nothing_is_printed(env: dict[str, str], tmp_path: Path) -> None:
    stale = tmp_path / "run" / "omniid-speech-of-a-killed-mouth"
    stale.mkdir()
    (stale / "speech.wav").write_bytes(b"old")
    os.utime(stale, (1, 1))
    with mouth(env, output_file=str(tmp_path / "said.wav")) as child:
        child.say("1", "One. Two. Three.")
        child.started("1")
        assert child.receive() == SpeechFinished("1", "spoken")
        assert leftovers(tmp_path) == []
        child.say("2", LONG_TEXT * 200)
        child.started("2")
        assert child.output() == (b"", b"")
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("line", [b"no message\n", encode(WorkerReady(1, 1)), encode(configuration())])
def test_a_message_out_of_place_ends_it_with_a_reason(
    env: dict[str, str], tmp_path: Path, line: bytes
) -> None:
    with mouth(env, output_file=str(tmp_path / "said.wav")) as child:
        child.channel.sendall(line)
        assert child.process.wait(DEADLINE_S) == 1
        assert b"ProtocolError" in child.output()[1]
