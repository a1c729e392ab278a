"""What the end of a link, or of the attempt at one, means: whether dialling again can help. Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Literal

Retry = Literal["retry", "needs_token", "stop"]

POISON_CLOSES = frozenset({1003, 1007, 1009})  # over the frame that was sent last
LONGEST_RETRY_AFTER_S = 600.0
_POLICY = 1008
_NEEDS_TOKEN = frozenset({401, 403})
_STOP = frozenset({400, 404, 405, 410, 426})
_PRIVATE_CLOSES = 4000  # 4401 is to a close what 401 is to a handshake
_ABOUT_THE_TOKEN = re.compile(r"token|auth|credential|log.?in|sign.?in|forbidden|expired", re.IGNORECASE)


def classify_close(code: int | None, reason: str = "") -> Retry:
    """What the peer's close code and reason ask for; None when the link only broke."""
    if code is None:
        return "retry"
    if code == _POLICY and _ABOUT_THE_TOKEN.search(reason):
        return "needs_token"
    return classify_status(code - _PRIVATE_CLOSES)


def classify_status(status: int) -> Retry:
    """What the HTTP status of a refused handshake asks for."""
    if status in _NEEDS_TOKEN:
        return "needs_token"
    return "stop" if status in _STOP else "retry"


def advise(status: int) -> str:
    """What to do about a handshake that was answered with this HTTP status."""
    if status in _NEEDS_TOKEN:
        return "it wants another token; see `omniid auth status`"
    if status == 429 or status >= 500:  # noqa: PLR2004 HTTP statuses
        return "it is busy or broken, and is tried again"
    return "it is no WebSocket there; check backend.url"


def retry_after_s(header: str, now: datetime) -> float:
    """The seconds a server asks to be left alone for: a number or an HTTP date; 0 where it says neither."""
    if header.strip().isascii() and header.strip().isdigit():
        return min(float(header), LONGEST_RETRY_AFTER_S)
    try:
        then = parsedate_to_datetime(header)
        # Without a zone, as the oldest of the three forms of an HTTP date has none, it means GMT.
        wait_s = ((then if then.tzinfo else then.replace(tzinfo=UTC)) - now).total_seconds()
    except (ValueError, OverflowError):
        return 0.0
    return min(max(wait_s, 0.0), LONGEST_RETRY_AFTER_S)
