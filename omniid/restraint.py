"""Keeps a flapping link from filling the log: so many lines a minute, then only their number. Pure."""

from __future__ import annotations

from dataclasses import dataclass

_MOST = 5
_WITHIN_S = 60.0


@dataclass(slots=True)
class _Kind:
    since: float
    let_through: int = 0
    held_back: int = 0


class Restraint:
    """Times are monotonic seconds; kinds are few and known."""

    def __init__(self) -> None:
        self._kinds: dict[str, _Kind] = {}

    def admit(self, kind: str, now: float) -> int | None:
        """None: keep this line back. Else let it through, and say that so many before it were kept back."""
        seen = self._kinds.setdefault(kind, _Kind(now))
        held_back = seen.held_back
        if now - seen.since >= _WITHIN_S:
            seen = self._kinds[kind] = _Kind(now)
        if seen.let_through >= _MOST:
            seen.held_back += 1
            return None
        seen.let_through += 1
        return held_back
