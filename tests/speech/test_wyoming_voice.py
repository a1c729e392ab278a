"""The real wyoming-piper, and servers that keep to nothing."""

from __future__ import annotations

import json
import socket
import sys
import threading
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest
from support.wyoming_speech import answering, wyoming_piper

from omniid.errors import SpeechError
from omniid.speech import wyoming_voice
from omniid.speech.synthesizer import Sound
from omniid.speech.wyoming_voice import WyomingVoice, list_voices

pytestmark = pytest.mark.filterwarnings("ignore:'audioop' is deprecated:DeprecationWarning")  # wyoming's own


def event(kind: str, payload: bytes = b"", **data: object) -> bytes:
    return json.dumps({"type": kind, "data": data, "payload_length": len(payload)}).encode() + b"\n" + payload


START = event("audio-start", rate=8_000, width=2, channels=1)
SAMPLES = array("h", range(100)).tobytes()
CHUNK = event("audio-chunk", SAMPLES, rate=8_000, width=2, channels=1)
STOP = event("audio-stop")


def saying(*answers: bytes) -> Callable[[socket.socket], None]:
    def answer(connection: socket.socket) -> None:
        for each in answers:
            connection.sendall(each)

    return answer


def test_speaks_through_a_real_server(tmp_path: Path) -> None:
    with wyoming_piper(tmp_path) as uri:
        assert "en_US-joe-medium" in {voice.name for voice in list_voices(uri)}
        voice = WyomingVoice(uri, "en_US-joe-medium", volume=0.5)
        voice.prepare()
        assert voice.language == "en_US"
        sound = voice.synthesize("Good evening.")
        again = WyomingVoice(uri, None, volume=1.0).synthesize("Good evening. It is late.")
        with pytest.raises(SpeechError, match="has no voice 'nobody'") as raised:
            WyomingVoice(uri, "nobody", volume=1.0).prepare()
    assert raised.value.code == "no_such_voice"
    assert sound.rate == 22_050
    assert 0.4 < sound.duration_s < again.duration_s < 5.0
    assert 8_000 < max(map(abs, array("h", sound.samples))) <= 16_384


def test_takes_the_samples_of_a_sentence() -> None:
    with answering(saying(START, CHUNK, CHUNK, STOP)) as uri:
        assert WyomingVoice(uri, None, volume=1.0).synthesize("Hello.") == Sound(8_000, SAMPLES * 2)


def test_takes_the_first_of_two_channels() -> None:
    start = event("audio-start", rate=8_000, width=2, channels=2)
    with answering(saying(start, CHUNK, STOP)) as uri:
        sound = WyomingVoice(uri, None, volume=1.0).synthesize("Hello.")
    assert array("h", sound.samples).tolist() == list(range(0, 100, 2))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"", "broke off"),
        (START + CHUNK, "broke off"),
        (START + CHUNK[:-50], "broke off"),
        (event("error", text="no such voice", code="x"), "The voice server says: no such voice"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "broke off"),
        (event("audio-start", rate=8_000, width=4, channels=1), "no Wyoming server"),
        (event("audio-start", rate=0, width=2, channels=1), "no Wyoming server"),
        (event("audio-start"), "no Wyoming server"),
        (CHUNK + STOP, "no Wyoming server"),
        (b'{"type":"audio-chunk","payload_length":99999999999}\n', "broke off"),
        (b"[]\n", "no Wyoming server"),
    ],
)
def test_a_server_that_talks_nonsense_is_one_kind_of_error(answer: bytes, said: str) -> None:
    with answering(saying(answer)) as uri, pytest.raises(SpeechError, match=said):
        WyomingVoice(uri, None, volume=1.0).synthesize("Hello.")


def test_a_server_that_hangs_or_drips_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wyoming_voice, "ANSWER_S", 0.3)
    done = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(START)
        while not done.wait(0.02):
            connection.sendall(CHUNK)

    with answering(drip) as uri:
        with pytest.raises(SpeechError, match="does not answer") as raised:
            WyomingVoice(uri, None, volume=1.0).synthesize("Hello.")
        done.set()
    assert raised.value.code == "voice_unreachable"


@pytest.mark.parametrize(
    "uri", [None, "", "tcp://", "tcp://host", "http://x:1", "tcp://[::", "tcp://h:99999"]
)
def test_an_address_that_is_none_is_told(uri: str | None) -> None:
    with pytest.raises(SpeechError, match=r"such as tcp://192\.0\.2\.7:10200") as raised:
        WyomingVoice(uri, None, volume=1.0).synthesize("Hello.")
    assert raised.value.code == "bad_voice"


def test_a_server_that_is_away_is_told(tmp_path: Path) -> None:
    with pytest.raises(SpeechError, match="Is its server running") as raised:
        WyomingVoice(f"unix://{tmp_path}/nobody", None, volume=1.0).prepare()
    assert raised.value.code == "voice_unreachable"


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wyoming.tts", None)
    with pytest.raises(SpeechError, match=r"pip install 'omniid\[wyoming\]'") as raised:
        WyomingVoice("tcp://127.0.0.1:1", None, volume=1.0).prepare()
    assert raised.value.code == "no_voice_engine"
