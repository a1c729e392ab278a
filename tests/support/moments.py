"""Time for tests: a moment is so many seconds after an arbitrary start, on both clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from omniid.moment import Moment

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
START_MONOTONIC = 1_000.0


def at(seconds: float = 0.0) -> Moment:
    return Moment(START_MONOTONIC + seconds, START + timedelta(seconds=seconds))


def wall(seconds: float = 0.0) -> datetime:
    return at(seconds).wall
