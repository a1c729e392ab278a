from __future__ import annotations

import json
from typing import get_args

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from omniid.errors import ProtocolError
from omniid.workers.channel import (
    CaptureOpened,
    ConfigureEar,
    ConfigureMouth,
    Message,
    Say,
    StopSpeaking,
    TakeRecognised,
    WorkerReady,
    decode,
    encode,
)

EXAMPLES: list[Message] = [
    WorkerReady(1, 4711),
    ConfigureEar(input_file="/x.wav", vocabulary=["Omnii", "Zoë"], keep_model=True, reject=0.4),
    ConfigureMouth("pyttsx3", None, 180, 1.0, "Headphones", None),
    CaptureOpened("t", "mic", 12.5),
    TakeRecognised("t", "line\nbreak", 0.9, "en", 1.5, 1.0, "tiny", 0.2, 0.3),
    StopSpeaking(),
]


@pytest.mark.parametrize("message", EXAMPLES, ids=lambda message: type(message).__name__)
def test_a_message_survives_the_channel(message: Message) -> None:
    line = encode(message)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert decode(line) == message


@given(st.text(st.characters(exclude_categories=[])))
@example("half \ud800 a pair")
def test_any_text_survives_the_channel(text: str) -> None:
    assert decode(encode(Say("1", text))) == Say("1", text)


def test_every_message_has_a_name_of_its_own() -> None:
    names = [cls.__name__ for cls in get_args(Message)]
    assert len(names) == len(set(names))


def test_a_whole_number_will_do_for_seconds() -> None:
    assert decode(
        b'{"type":"CaptureOpened","take_id":"t","device":"mic","first_sample_at":12}'
    ) == CaptureOpened("t", "mic", 12)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"ALSA lib pcm.c\n",
        b"\xff\xfe\n",
        b"[]\n",
        b"null\n",
        b"7\n",
        b"{}\n",
        b'{"type":"Nothing"}\n',
        b'{"type":["Say"]}\n',
        b'{"type":"Say","utterance_id":"1"}\n',
        b'{"type":"Say","utterance_id":"1","text":"x","more":1}\n',
        b'{"type":"Say","utterance_id":1,"text":"x"}\n',
        b'{"type":"Say","utterance_id":"1","text":null}\n',
        b'{"type":"WorkerReady","version":"1","pid":1}\n',
        b'{"type":"WorkerReady","version":true,"pid":1}\n',
        b'{"type":"WorkerReady","version":1.0,"pid":1}\n',
    ],
)
def test_what_is_no_message_is_refused(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(line)


def test_a_line_names_its_message_and_its_fields() -> None:
    assert json.loads(encode(Say("1", "ü"))) == {
        "type": "Say",
        "utterance_id": "1",
        "text": "ü",
        "in_history": True,
    }
