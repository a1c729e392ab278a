"""What the end of a link means, as tables: whether dialling again can help, and when."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniid.protocol.closing import (
    LONGEST_RETRY_AFTER_S,
    POISON_CLOSES,
    Retry,
    advise,
    classify_close,
    classify_status,
    retry_after_s,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)

CLOSES: dict[Retry, list[tuple[int | None, str]]] = {
    "retry": [
        (None, ""),
        (None, "invalid token"),  # nobody sent that code, so nobody said that
        (1000, ""),
        (1000, "token expired"),
        (1001, "going away"),
        (1003, ""),
        (1005, ""),
        (1006, ""),
        (1007, ""),
        (1008, ""),
        (1008, "too many messages"),
        (1008, "rate limit"),
        (1009, "too big"),
        (1011, "unauthorized"),
        (1012, "restart"),
        (1013, "try again later"),
        (4000, ""),
        (4408, ""),
        (4429, "slow down"),
        (4500, ""),
        (4503, ""),
        (4999, ""),
        (401, ""),
    ],
    "needs_token": [
        (1008, "invalid token"),
        (1008, "Token has EXPIRED"),
        (1008, "Unauthorized"),
        (1008, "authentication failed"),
        (1008, "bad credentials"),
        (1008, "please log in"),
        (1008, "login required"),
        (1008, "sign-in first"),
        (1008, "Forbidden"),
        (1008, "session expired"),
        (4401, ""),
        (4401, "slow down"),
        (4403, ""),
    ],
    "stop": [(4400, ""), (4404, ""), (4404, "no token"), (4405, ""), (4410, ""), (4426, "")],
}
STATUSES: dict[Retry, list[int]] = {
    "retry": [200, 301, 302, 402, 406, 408, 409, 418, 425, 429, 500, 502, 503, 504, 599],
    "needs_token": [401, 403],
    "stop": [400, 404, 405, 410, 426],
}


@pytest.mark.parametrize(
    ("code", "reason", "retry"),
    [(code, reason, retry) for retry, closes in CLOSES.items() for code, reason in closes],
)
def test_what_a_close_asks_for(code: int | None, reason: str, retry: Retry) -> None:
    assert classify_close(code, reason) == retry


@pytest.mark.parametrize(
    ("status", "retry"), [(status, retry) for retry, statuses in STATUSES.items() for status in statuses]
)
def test_what_a_status_asks_for(status: int, retry: Retry) -> None:
    assert classify_status(status) == retry
    assert classify_close(4000 + status) == retry  # the same said over an open socket


@pytest.mark.parametrize("code", sorted(POISON_CLOSES))
def test_a_close_over_a_frame_is_the_frames_end_and_not_the_links(code: int) -> None:
    assert classify_close(code) == "retry"


@given(st.none() | st.integers(), st.text())
def test_every_close_means_something(code: int | None, reason: str) -> None:
    assert classify_close(code, reason) in {"retry", "needs_token", "stop"}


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (401, "omniid auth status"),
        (403, "omniid auth status"),
        (429, "is tried again"),
        (500, "is tried again"),
        (503, "is tried again"),
        (200, "check backend.url"),
        (301, "check backend.url"),
        (404, "check backend.url"),
        (426, "check backend.url"),
    ],
)
def test_a_refused_handshake_is_told_with_what_to_do(status: int, words: str) -> None:
    assert words in advise(status)


RETRY_AFTER: dict[str, float] = {
    # a number of seconds
    "0": 0,
    "1": 1,
    "120": 120,
    " 120 ": 120,
    "007": 7,
    "599": 599,
    "600": 600,
    "601": 600,
    "86400": 600,
    "9" * 400: 600,
    # a date
    "Sun, 01 Mar 2026 12:00:00 GMT": 0,
    "Sun, 01 Mar 2026 12:00:01 GMT": 1,
    "Sun, 01 Mar 2026 12:02:00 GMT": 120,
    "Sunday, 01-Mar-26 12:02:00 GMT": 120,  # obsolete, and to be understood
    "Sun, 01 Mar 2026 13:02:00 +0100": 120,
    "Sun, 01 Mar 2026 12:10:01 GMT": 600,
    "Mon, 01 Mar 2027 12:00:00 GMT": 600,
    # one that is past
    "Sun, 01 Mar 2026 11:59:59 GMT": 0,
    "Thu, 01 Jan 1970 00:00:00 GMT": 0,
    # neither
    "": 0,
    " ": 0,
    "soon": 0,
    "-5": 0,
    "+5": 0,
    "1.5": 0,
    "1e2": 0,
    "0x10": 0,
    "120 seconds": 0,
    "120, 240": 0,
    "\u0661\u0662\u0660": 0,  # digits, but not of a header
    "\u00b2": 0,
    "Sun, 99 Mar 2026 12:02:00 GMT": 0,
    "Sun, 01 Mar 2026 99:02:00 GMT": 0,
    "Sun, 01 Foo 2026 12:02:00 GMT": 0,
}


@pytest.mark.parametrize(("header", "seconds"), RETRY_AFTER.items(), ids=repr)
def test_how_long_a_server_asks_to_be_left_alone(header: str, seconds: float) -> None:
    assert retry_after_s(header, NOW) == seconds


@pytest.mark.parametrize("hours", [-11, 0, 2, 14])
def test_a_date_means_the_same_in_every_zone(hours: int) -> None:
    now = NOW.astimezone(timezone(timedelta(hours=hours)))

    assert retry_after_s("Sun, 01 Mar 2026 12:02:00 GMT", now) == 120


@given(st.integers(0, 10**9))
def test_no_number_asks_for_less_than_nothing_or_more_than_the_cap(seconds: int) -> None:
    assert retry_after_s(str(seconds), NOW) == min(seconds, LONGEST_RETRY_AFTER_S)


@pytest.mark.parametrize(
    "header", ["Fri, 31 Dec 9999 23:59:59 -1200", "Mon, 01 Jan 2024 00:00:00 +99999999999999"]
)
def test_a_date_beyond_all_calendars_ends_nothing(header: str) -> None:
    assert 0 <= retry_after_s(header, datetime(2026, 3, 1, 12, tzinfo=UTC)) <= LONGEST_RETRY_AFTER_S


def test_a_date_without_a_zone_means_gmt_wherever_we_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert retry_after_s("Sun Mar  1 12:02:00 2026", datetime(2026, 3, 1, 12, tzinfo=UTC)) == 120
    finally:
        monkeypatch.undo()
        time.tzset()
