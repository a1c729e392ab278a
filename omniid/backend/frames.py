"""The frames that the backend sends, each as the JSON text that goes out. Times are Unix ms."""

from __future__ import annotations

import json
from typing import Any

from omniid.backend.records import Answered

# `batch` is not among them: a frame with several commands is refused.
FEATURES = ("correlate", "dedupe", "redirect")
_SOURCE = {"source": "omniid local", "sourceType": "local"}


def hello() -> str:
    return _text({"type": "hello", "payload": {"features": list(FEATURES)}})


def pong(sequence: int, at_ms: int) -> str:
    return _text({"type": "pong", "data": {"pong": True, "sequence": sequence}, "timestamp": at_ms})


def error(code: str, message: str, at_ms: int, request_id: str | None = None) -> str:
    return _text(
        {"type": "error", "error": {"code": code, "message": message}, "timestamp": at_ms}, request_id
    )


def response(answered: Answered) -> str:
    """The answer to a command; the same text each time, so that a repeated command hears the same."""
    metadata: dict[str, Any] = dict(_SOURCE)
    if answered.suggestions:
        metadata["suggestions"] = list(answered.suggestions)
    frame = {
        "type": "response",
        "status": "success" if answered.done else "error",
        "data": {"message": answered.message, "metadata": metadata},
        "timestamp": answered.at_ms,
    }
    return _text(frame, answered.request_id)


def consent_needed(request_id: str, user_id: str, url: str, message: str, at_ms: int) -> str:
    """The command is not done: the user has to allow it at `url`, and then it is to be sent again."""
    data = {
        "requiresAuth": True,
        "authUrl": url,
        "message": message,
        "userId": user_id,
        "action": "oauth_required",
    }
    return _text({"type": "response", "status": "success", "data": data, "timestamp": at_ms}, request_id)


def consent_given(url: str, message: str, at_ms: int, *, success: bool) -> str:
    """The user has decided at `url`; `success` where they have allowed it."""
    data = {"action": "oauth_completed", "success": success, "authUrl": url, "message": message}
    return _text({"type": "system", "data": data, "timestamp": at_ms})


def _text(frame: dict[str, Any], request_id: str | None = None) -> str:
    if request_id is not None:
        frame = {**frame, "requestId": request_id}
    return json.dumps(frame, ensure_ascii=False, separators=(",", ":"))
