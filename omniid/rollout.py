"""Who is moved to the remote backend while `features.rollout_percent` grows. Pure."""

from __future__ import annotations

import hashlib

_PLACES = 10_000  # a hundredth of a percent is the finest step


def includes(user_id: str, percent: float) -> bool:
    """Whether a user is among the first `percent` of all users.

    Each user has one place for ever, on every machine: whoever was moved stays moved as the share grows.
    """
    digest = hashlib.sha256(f"omniid rollout {user_id}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") % _PLACES
    return place < percent * _PLACES / 100
