"""The Whisper models that go by a short name. Pure."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

# As the hub wants it, and so that a name can stand for a folder and never for a way out of one.
_PART = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,94}[A-Za-z0-9_])?"
_MAX_NEAR = 3
_NAME = re.compile(rf"{_PART}(/{_PART})?")


@dataclass(frozen=True, slots=True)
class Offer:
    """Where a model can be had. `size_bytes`: of all its files, to within a few per cent."""

    repository: str
    size_bytes: int


def _offer(repository: str, size_mb: int) -> Offer:
    return Offer(repository, size_mb * 1_000_000)


KNOWN = {
    "tiny.en": _offer("Systran/faster-whisper-tiny.en", 78),
    "tiny": _offer("Systran/faster-whisper-tiny", 78),
    "base.en": _offer("Systran/faster-whisper-base.en", 148),
    "base": _offer("Systran/faster-whisper-base", 148),
    "small.en": _offer("Systran/faster-whisper-small.en", 486),
    "small": _offer("Systran/faster-whisper-small", 486),
    "medium.en": _offer("Systran/faster-whisper-medium.en", 1_530),
    "medium": _offer("Systran/faster-whisper-medium", 1_530),
    "large-v1": _offer("Systran/faster-whisper-large-v1", 3_090),
    "large-v2": _offer("Systran/faster-whisper-large-v2", 3_090),
    "large-v3": _offer("Systran/faster-whisper-large-v3", 3_090),
    "large-v3-turbo": _offer("mobiuslabsgmbh/faster-whisper-large-v3-turbo", 1_620),
    "distil-small.en": _offer("Systran/faster-distil-whisper-small.en", 336),
    "distil-medium.en": _offer("Systran/faster-distil-whisper-medium.en", 792),
    "distil-large-v2": _offer("Systran/faster-distil-whisper-large-v2", 1_515),
    "distil-large-v3": _offer("Systran/faster-distil-whisper-large-v3", 1_515),
    "distil-large-v3.5": _offer("distil-whisper/distil-large-v3.5-ct2", 1_515),
}


def is_name(text: str) -> bool:
    """Whether it can name a model: a short name, or OWNER/REPOSITORY."""
    return _NAME.fullmatch(text) is not None and "--" not in text and ".." not in text


def repository(name: str) -> str | None:
    """Where a model of this name is kept; None for a short name that nobody has given."""
    if "/" in name:
        return name
    return KNOWN[name].repository if name in KNOWN else None


def did_you_mean(name: str) -> str:
    """A sentence with the names that look like it; with all of them where none does."""
    wanted = name.casefold()
    within = [known for known in KNOWN if wanted and wanted in known]
    near = (within or difflib.get_close_matches(wanted, KNOWN, n=_MAX_NEAR))[:_MAX_NEAR]
    if near:
        return f"Did you mean {' or '.join(near)}?"
    return f"Known names: {', '.join(KNOWN)}; any other model is named OWNER/REPOSITORY."
