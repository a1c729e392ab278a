"""Values out of a server's frame: what can be used of them, within bounds, and nothing otherwise.

A type that is not the wanted one counts as absent, and so does text in which there is nothing to see.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

MOST_CHARACTERS = 200_000
MOST_ITEMS = 100
MOST_ITEMS_BYTES = 200_000
MOST_RAW_BYTES = 200_000

_MOST_URL = 8_000
_LAST_MS = 253_402_300_799_999  # the end of the year 9999, where dates end


def words(value: object) -> str | None:
    """Text that has something to see in it, cut where it is too long, and saying so.

    Lone surrogates, which no file or socket can carry, are replaced.
    """
    if not isinstance(value, str):
        return None
    text = value[:MOST_CHARACTERS]
    if not any(character.isprintable() and not character.isspace() for character in text):
        return None
    if len(value) > MOST_CHARACTERS:
        text += f"…\n[shortened: {len(value):,} characters came]"
    return text.encode("utf-8", errors="replace").decode("utf-8")


def all_words(value: object) -> tuple[str, ...]:
    return tuple(text for item in items(value) if (text := words(item)))


def items(value: object) -> tuple[Any, ...]:
    """The first of a list's items, as many as may be kept."""
    if not isinstance(value, list):
        return ()
    kept, room = [], MOST_ITEMS_BYTES
    for item in value[:MOST_ITEMS]:
        room -= _size(item)
        if room < 0:
            break
        kept.append(item)
    return tuple(kept)


def record(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def percentage(value: object) -> int | None:
    """A share of 1, or of 100 where it is above 1, as a percentage."""
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 100:  # noqa: PLR2004 a percentage
        return round(value if value > 1 else value * 100)
    return None


def address(value: object) -> str | None:
    """Text that may be an address; what it points at is for its reader to judge. A part of one is none."""
    return words(value) if isinstance(value, str) and len(value) <= _MOST_URL else None


def url(value: object) -> str | None:
    """The address of a page."""
    found = address(value)
    return found if found is not None and found.lower().startswith(("https://", "http://")) else None


def type_of(frame: BaseModel) -> str:
    """The frame's own word for what it is."""
    return (words((frame.model_extra or {}).get("type")) or "message")[:80]


def timestamp(frame: BaseModel) -> str | None:
    """The frame's moment in ISO 8601 and UTC; servers send milliseconds, ISO 8601, or either as text."""
    value = (frame.model_extra or {}).get("timestamp")
    moment = _from_text(value) if isinstance(value, str) else _from_ms(value)
    return None if moment is None else moment.isoformat(timespec="milliseconds")


def _from_text(value: str) -> datetime | None:
    text = value.strip()
    if text.isdecimal():
        return _from_ms(int(text[:20]))
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):  # no date, or one at the very end of time
        return None


def _from_ms(value: object) -> datetime | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LAST_MS:
        return None
    return datetime.fromtimestamp(value / 1000, UTC)


def raw(frame: BaseModel) -> dict[str, Any]:
    """The frame as it came, or what it was where that is too much to keep."""
    content = frame.model_dump(by_alias=True, exclude_none=True)
    size = _size(content)
    return content if size <= MOST_RAW_BYTES else {"type": content.get("type"), "omitted_bytes": size}


def _size(value: object) -> int:
    return len(json.dumps(value, default=str))
