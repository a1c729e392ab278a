"""The two encodings of the wire: JSON text, and the same objects as MessagePack.

Which one a link speaks is settled by the WebSocket subprotocol. Whatever `unpack` gives, every later reader
can carry: finite numbers, whole characters, text as keys, a bottom at `DEEPEST` levels. Half a character
becomes a mark in its place; anything else that is wrong is a `ValueError` with a short reason.
"""

from __future__ import annotations

import json
import math
from typing import Any, Literal, Protocol

import msgpack  # type: ignore[import-untyped]

SUBPROTOCOL_JSON = "omnii.v1+json"
SUBPROTOCOL_MSGPACK = "omnii.v1+msgpack"
DEEPEST = 64

Encoding = Literal["auto", "json", "msgpack"]


class Codec(Protocol):
    """One encoding of the wire's objects."""

    def pack(self, content: dict[str, Any]) -> str | bytes:
        """An object as a frame: text for a text frame, bytes for a binary one.

        Raises:
            ValueError: the encoding cannot carry the object.
        """
        ...

    def unpack(self, raw: str | bytes) -> Any:
        """What a frame holds.

        Raises:
            ValueError: the frame cannot be read; the message says why.
        """
        ...


class JsonCodec:
    """JSON in text frames; in a binary frame it is read all the same."""

    def pack(self, content: dict[str, Any]) -> str:
        try:
            text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        except (TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"JSON cannot carry it: {error}") from error
        return _whole(text)

    def unpack(self, raw: str | bytes) -> Any:
        text = raw.decode(errors="replace") if isinstance(raw, bytes) else _whole(raw)
        try:
            return _load(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"not JSON: {error}") from error


class MsgpackCodec:
    """MessagePack in binary frames; a text frame is read as the JSON it must be.

    Whole numbers end at 64 bits here, and only here: `pack` refuses longer ones.
    """

    def pack(self, content: dict[str, Any]) -> bytes:
        same = json.loads(JSON.pack(content))  # what JSON makes of it, so that both encodings say the same
        try:
            packed: bytes = msgpack.packb(same)
        except (ValueError, OverflowError) as error:
            raise ValueError(f"MessagePack cannot carry it: {error}") from error
        return packed

    def unpack(self, raw: str | bytes) -> Any:
        if isinstance(raw, str):
            return JSON.unpack(raw)
        try:
            return _load_msgpack(raw)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"not MessagePack: {error}") from error


JSON = JsonCodec()
MSGPACK = MsgpackCodec()


def offered(encoding: Encoding) -> list[str]:
    """The subprotocols to offer for `session.encoding`.

    The best comes first, since most servers take the first that they know. One that takes none speaks JSON.
    """
    match encoding:
        case "auto":
            return [SUBPROTOCOL_MSGPACK, SUBPROTOCOL_JSON]
        case "msgpack":
            return [SUBPROTOCOL_MSGPACK]
        case "json":
            return [SUBPROTOCOL_JSON]


def chosen(subprotocol: str | None) -> JsonCodec | MsgpackCodec:
    """The encoding of a link whose server took this subprotocol, or took none."""
    return MSGPACK if subprotocol == SUBPROTOCOL_MSGPACK else JSON


def _load(text: str) -> Any:
    """JSON that every later reader of it can carry: finite numbers, whole characters, a bottom."""
    content = json.loads(text, parse_float=_finite, parse_constant=_finite)
    if not _is_shallow(content):
        raise ValueError(f"nested deeper than {DEEPEST} levels")
    if "\\ud" in text.lower():  # a lone surrogate hides in an escape, and no file or socket takes it
        content = json.loads(_whole(json.dumps(content, ensure_ascii=False)))
    return content


def _load_msgpack(raw: bytes) -> Any:
    """MessagePack that holds only what JSON could hold."""
    _walk_over(raw)
    content = msgpack.unpackb(raw, raw=False, unicode_errors="replace", strict_map_key=True)
    if not _is_shallow(content):
        raise ValueError(f"nested deeper than {DEEPEST} levels")
    _refuse_foreign(content)
    return content


def _walk_over(raw: bytes) -> None:
    """See that every item that a length claims is there, before anything is built.

    The builder makes room for what a header claims as it meets it. Without this walk, a thousand nested
    headers that each claim what one frame could hold would have it make room for terabytes.
    """
    walker = msgpack.Unpacker(max_buffer_size=len(raw))
    walker.feed(raw)
    try:
        walker.skip()
    except msgpack.OutOfData as error:
        raise ValueError("it ends before its last value does") from error
    except msgpack.StackError as error:
        raise ValueError(f"nested deeper than {DEEPEST} levels") from error
    except msgpack.FormatError as error:
        raise ValueError("no value begins with that byte") from error
    if walker.tell() != len(raw):
        raise ValueError("something follows its value")


def _refuse_foreign(content: Any) -> None:
    """JSON has no bytes, timestamps and extensions, no keys but text, and no numbers that are none."""
    waiting = [content]
    while waiting:
        match waiting.pop():
            case dict() as record:
                if not all(isinstance(key, str) for key in record):
                    raise ValueError("a key that is no text")
                waiting.extend(record.values())
            case list() as items:
                waiting.extend(items)
            case float() as number if not math.isfinite(number):
                raise ValueError(f"{number} is no number of JSON")
            case None | str() | int() | float():
                pass
            case other:
                raise ValueError(f"a value of the kind {type(other).__name__}, which JSON has not")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text[:20]} is no number of JSON")
    return number


def _is_shallow(content: Any) -> bool:
    level: list[Any] = [[content]]
    for _ in range(DEEPEST + 1):
        items = (child for item in level for child in (item.values() if isinstance(item, dict) else item))
        level = [item for item in items if isinstance(item, dict | list)]
        if not level:
            return True
    return False


def _whole(text: str) -> str:
    """The text with a question mark for each half of a character, which no socket takes."""
    return text.encode(errors="replace").decode()
