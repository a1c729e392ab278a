"""The two encodings: the same objects, the same refusals, and no frame that costs more than it weighs."""

from __future__ import annotations

import json
import math
import tracemalloc
from typing import Any, Literal

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from omniid.protocol.codec import (
    DEEPEST,
    JSON,
    MSGPACK,
    SUBPROTOCOL_JSON,
    SUBPROTOCOL_MSGPACK,
    Codec,
    chosen,
    offered,
)
from omniid.protocol.messages import (
    BatchFrame,
    BatchPayload,
    CommandFrame,
    CommandPayload,
    PongFrame,
    ResponseFrame,
    UnknownFrame,
    dump,
    encode,
    parse_server_frame,
)

REPLY = {"type": "response", "status": "success", "data": {"message": "Grüße 😀", "n": [1, 2.5, None, True]}}
COMMAND = CommandPayload(
    command_type="voice_command",
    message="Grüße an Ann",
    user_id="ann",
    user_timezone="Europe/Berlin",
    local_datetime="2026-03-01T13:00:00.000+01:00",
    request_id="0195-1",
    metadata={"confidence": 0.9},
)
both = pytest.mark.parametrize(
    "codec", [pytest.param(JSON, id="JSON"), pytest.param(MSGPACK, id="MessagePack")]
)


# --- which one ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("encoding", "names"),
    [
        ("auto", ["omnii.v1+msgpack", "omnii.v1+json"]),
        ("msgpack", ["omnii.v1+msgpack"]),
        ("json", ["omnii.v1+json"]),
    ],
)
def test_the_best_encoding_is_offered_first(
    encoding: Literal["auto", "json", "msgpack"], names: list[str]
) -> None:
    assert offered(encoding) == names


def test_the_server_chooses_and_json_is_what_it_means_by_nothing() -> None:
    assert chosen(SUBPROTOCOL_MSGPACK) is MSGPACK
    assert [chosen(name) for name in (SUBPROTOCOL_JSON, None, "", "soap")] == [JSON] * 4


# --- what goes out -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "frame",
    [
        CommandFrame(payload=COMMAND, timestamp=1_772_366_400_000),
        BatchFrame(payload=BatchPayload(commands=[COMMAND, COMMAND]), timestamp=7),
        PongFrame(timestamp=7),
    ],
)
def test_a_frame_says_the_same_in_both_encodings(frame: Any) -> None:
    text, binary = encode(frame), encode(frame, MSGPACK)

    assert isinstance(text, str)
    assert isinstance(binary, bytes)
    assert len(binary) < len(text.encode())
    assert json.loads(text) == msgpack.unpackb(binary) == dump(frame)


def test_no_frame_says_what_is_not_set() -> None:
    assert dump(PongFrame(timestamp=7)) == {"type": "pong", "timestamp": 7}
    assert "metadata" not in dump(COMMAND.model_copy(update={"metadata": None}))


@both
@pytest.mark.parametrize(
    "content",
    [
        pytest.param({"x": math.nan}, id="a number that is none"),
        pytest.param({"x": -math.inf}, id="a number without end"),
        pytest.param({"x": b"bytes"}, id="bytes"),
        pytest.param({"x": object()}, id="a thing"),
        pytest.param({("a", "b"): 1}, id="a key that is no text"),
    ],
)
def test_what_json_cannot_carry_goes_out_in_neither(codec: Codec, content: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="cannot carry"):
        codec.pack(content)


@both
def test_an_object_that_holds_itself_does_not_go_out(codec: Codec) -> None:
    content: dict[str, Any] = {}
    content["again"] = content

    with pytest.raises(ValueError, match="cannot carry"):
        codec.pack(content)


@both
def test_an_abyss_does_not_go_out(codec: Codec) -> None:
    content: dict[str, Any] = {}
    for _ in range(5_000):
        content = {"a": content}

    with pytest.raises(ValueError, match="cannot carry"):
        codec.pack(content)


@both
def test_half_a_character_goes_out_as_a_question_mark(codec: Codec) -> None:
    packed = codec.pack({"me\ud800": ["\udfff!"]})

    if isinstance(packed, str):
        packed.encode()
    assert codec.unpack(packed) == {"me?": ["?!"]}


@both
def test_a_tuple_is_a_list_and_a_number_as_key_is_text(codec: Codec) -> None:
    assert codec.unpack(codec.pack({"x": (1, 2), "y": {3: 4}})) == {"x": [1, 2], "y": {"3": 4}}


def test_only_json_carries_whole_numbers_beyond_64_bits() -> None:
    edges = {"least": -(2**63), "most": 2**64 - 1}
    assert MSGPACK.unpack(MSGPACK.pack(edges)) == edges

    beyond = {"x": 2**64}
    assert JSON.unpack(JSON.pack(beyond)) == beyond
    with pytest.raises(ValueError, match="cannot carry"):
        MSGPACK.pack(beyond)


# --- what comes in -----------------------------------------------------------------------------------------


def test_a_text_frame_on_a_messagepack_link_is_read_as_json() -> None:
    assert MSGPACK.unpack(json.dumps(REPLY)) == REPLY


def test_a_binary_frame_on_a_json_link_is_read_as_json() -> None:
    assert JSON.unpack(json.dumps(REPLY).encode()) == REPLY


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        pytest.param(b"", "ends before", id="nothing"),
        pytest.param(b"\x81\xa1a", "ends before", id="a map without its value"),
        pytest.param(b"\xdb\xff\xff\xff\xffa", "ends before", id="text that claims 4 GB"),
        pytest.param(b"\xc6\xff\xff\xff\xffa", "ends before", id="bytes that claim 4 GB"),
        pytest.param(b"\x80\x80", "follows", id="two objects"),
        pytest.param(b'{"type":"ping"}', "follows", id="JSON in a binary frame"),
        pytest.param(b"\xc1", "no value begins", id="a byte that begins nothing"),
        pytest.param(b"\x81\xa1a\xc4\x01x", "bytes", id="bytes"),
        pytest.param(b"\xc4\x00", "bytes", id="no bytes, as bytes"),
        pytest.param(b"\x81\xc4\x01a\x01", "key", id="bytes as a key"),
        pytest.param(b"\x81\x01\x01", "key", id="a number as a key"),
        pytest.param(b"\x81\xc0\x01", "key", id="nothing as a key"),
        pytest.param(b"\x81\x91\x01\x01", "key", id="a list as a key"),
        pytest.param(b"\x91\x81\xc2\x01", "key", id="a flag as a key, further in"),
        pytest.param(b"\x81\xd6\xff\x00\x00\x00\x00\x01", "key", id="a timestamp as a key"),
        pytest.param(b"\xd6\xff\x00\x00\x00\x00", "Timestamp", id="a timestamp"),
        pytest.param(b"\x91\xd4\x05x", "ExtType", id="an extension"),
        pytest.param(b"\xc7\x00\x05", "ExtType", id="an empty extension"),
        pytest.param(b"\xcb\x7f\xf8" + b"\x00" * 6, "nan", id="a number that is none"),
        pytest.param(b"\x91\xca\x7f\x80\x00\x00", "inf", id="a number without end"),
        pytest.param(b"\x91" * (DEEPEST + 1) + b"\x90", "deeper", id="nested too deeply"),
        pytest.param(b"\x91" * 100_000 + b"\xc0", "deeper", id="an abyss"),
    ],
)
def test_what_is_no_object_of_json_is_refused_with_a_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        MSGPACK.unpack(raw)

    assert str(caught.value).startswith("not MessagePack: ")
    assert len(str(caught.value)) < 120
    assert isinstance(parse_server_frame(raw, MSGPACK), UnknownFrame)


@both
def test_the_bottom_is_at_the_same_depth_in_both(codec: Codec) -> None:
    def nested(levels: int) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for _ in range(levels - 1):
            content = {"a": content}
        return content

    assert codec.unpack(codec.pack(nested(DEEPEST))) == nested(DEEPEST)
    with pytest.raises(ValueError, match="deeper than 64"):
        codec.unpack(codec.pack(nested(DEEPEST + 1)))


def test_bytes_that_are_no_utf_8_become_marks_in_both() -> None:
    assert MSGPACK.unpack(b"\x81\xa2a\xff\xa3\xed\xa0\x80") == {"a\ufffd": "\ufffd\ufffd\ufffd"}
    assert JSON.unpack(b'{"a\xff":"\xed\xa0\x80"}') == {"a\ufffd": "\ufffd\ufffd\ufffd"}


FULL = 1 << 20
BOMBS = [
    pytest.param(
        b"\xdd\xff\xff\xff\xff" + b"\xc0" * 15, id="20 bytes that claim a list of 4 thousand million"
    ),
    pytest.param(b"\xdf\xff\xff\xff\xff" + b"\xc0" * 15, id="20 bytes that claim as many keys"),
    pytest.param(
        (b"\xdd" + FULL.to_bytes(4, "big")) * 500 + b"\xc0" * FULL,
        id="500 lists in each other that each claim what the frame could hold",
    ),
]


@pytest.mark.parametrize("bomb", BOMBS)
def test_a_claim_costs_no_more_than_the_frame_that_makes_it(bomb: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="ends before"):
            MSGPACK.unpack(bomb)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert peak_bytes < 4 * len(bomb) + 100_000


def test_a_binary_frame_of_an_unknown_type_is_kept_as_text_for_the_debug_panel() -> None:
    frame = parse_server_frame(MSGPACK.pack({"type": "tomorrow", "x": "é" * 5_000}), MSGPACK)

    assert isinstance(frame, UnknownFrame)
    assert frame.raw.startswith('{"type":"tomorrow","x":"éé')
    assert len(frame.raw) == 2_000


# --- anything at all ---------------------------------------------------------------------------------------

WHOLE = st.integers(-(2**63), 2**64 - 1)
SOUND = st.none() | st.booleans() | WHOLE | st.floats(allow_nan=False, allow_infinity=False) | st.text()
OBJECTS = st.dictionaries(
    st.text(),
    st.recursive(
        SOUND, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_size=5,
)
TYPES = st.sampled_from(
    ["response", "pong", "error", "ping", "hello", "system", "text", "Email", "rdf", "WORKFLOW_DRAFT", "new"]
)
NAMES = st.sampled_from(["status", "data", "message", "error", "payload", "requestId", "success", "id"])
FRAMES = st.builds(
    lambda kind, known, more: {**more, **known, "type": kind},
    TYPES,
    st.dictionaries(NAMES, SOUND | OBJECTS, max_size=4),
    OBJECTS,
)
# What a server could pack that JSON has not: bytes, extensions, any key, any float.
LOOSE = st.recursive(
    SOUND
    | st.floats()
    | st.binary(max_size=20)
    | st.builds(msgpack.ExtType, st.integers(0, 127), st.binary(max_size=5)),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text() | st.integers(0, 9) | st.binary(max_size=3), inner, max_size=4)
    ),
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A good frame of either encoding with some bytes changed, cut away or put in."""
    frame = draw(FRAMES)
    raw = bytearray(draw(st.sampled_from([MSGPACK.pack(frame), JSON.pack(frame).encode()])))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(raw)))
        raw[place : place + draw(st.integers(0, 2))] = draw(st.binary(max_size=2))
    return bytes(raw)


ANYTHING = st.text() | st.binary() | LOOSE.map(msgpack.packb) | damaged()


@both
@given(raw=ANYTHING)
@settings(max_examples=250, deadline=None)
def test_reading_never_raises_and_what_was_read_can_always_be_written(codec: Codec, raw: str | bytes) -> None:
    frame = parse_server_frame(raw, codec)

    json.dumps(frame.model_dump(by_alias=True), ensure_ascii=False, allow_nan=False).encode()


@both
@given(raw=ANYTHING)
@settings(max_examples=150, deadline=None)
def test_what_unpack_gives_can_be_packed_again_and_is_the_same(codec: Codec, raw: str | bytes) -> None:
    try:
        content = codec.unpack(raw)
    except ValueError:
        return
    assert JSON.unpack(JSON.pack({"it": content})) == {"it": content}


@both
@given(content=OBJECTS)
@settings(max_examples=150, deadline=None)
def test_there_and_back_is_exact(codec: Codec, content: dict[str, Any]) -> None:
    back = codec.unpack(codec.pack(content))

    assert back == content
    assert json.dumps(back) == json.dumps(content)  # 1, 1.0 and True are equal, and not the same


@given(FRAMES)
@settings(max_examples=150, deadline=None)
def test_equal_objects_are_equal_frames_in_both_encodings(content: dict[str, Any]) -> None:
    assert parse_server_frame(JSON.pack(content)) == parse_server_frame(MSGPACK.pack(content), MSGPACK)


def test_a_reply_is_the_same_frame_however_it_came() -> None:
    ways = [
        parse_server_frame(JSON.pack(REPLY)),
        parse_server_frame(JSON.pack(REPLY).encode()),
        parse_server_frame(JSON.pack(REPLY), MSGPACK),
        parse_server_frame(MSGPACK.pack(REPLY), MSGPACK),
    ]

    assert all(isinstance(frame, ResponseFrame) and frame == ways[0] for frame in ways)
    assert isinstance(ways[0], ResponseFrame)
    assert ways[0].data == REPLY["data"]
