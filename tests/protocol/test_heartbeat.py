"""Silence as a table: any byte is life, a silent end is asked once, and then it is dead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniid.protocol.heartbeat import Heartbeat, Verdict

INTERVAL_S, TIMEOUT_S = 15.0, 10.0
START = 1_000.0

Step = tuple[float, str | Verdict]
ROWS: dict[str, list[Step]] = {
    "well until the interval is over": [(0, "well"), (14.999, "well"), (15, "ask")],
    "asked once": [(15, "ask"), (15, "well"), (24.999, "well")],
    "dead once the answer is overdue": [(15, "ask"), (25, "dead")],
    "dead for good": [(15, "ask"), (25, "dead"), (25, "dead"), (1_000, "dead")],
    "what is heard starts it anew": [(14, "heard"), (15, "well"), (28.999, "well"), (29, "ask")],
    "an answer starts it anew": [(15, "ask"), (24, "heard"), (25, "well"), (38.999, "well"), (39, "ask")],
    "an answer at the last moment counts": [(15, "ask"), (25, "heard"), (25, "well"), (39, "well")],
    "asked late, it has its whole time": [(100, "ask"), (109.999, "well"), (110, "dead")],
    "a probe is a question out of turn": [(2, "probe 3"), (4.999, "well"), (5, "dead")],
    "a probe that is answered": [(2, "probe 3"), (4, "heard"), (5, "well"), (18.999, "well"), (19, "ask")],
    "a probe shortens what it had": [(15, "ask"), (16, "probe 3"), (19, "dead")],
    "a probe never lengthens what it had": [(15, "ask"), (24, "probe 3"), (25, "dead")],
    "a second probe neither": [(2, "probe 3"), (3, "probe 3"), (5, "dead")],
    "a probe beyond the interval asks no second time": [(10, "probe 8"), (15, "well"), (18, "dead")],
}


@pytest.mark.parametrize("steps", ROWS.values(), ids=ROWS.keys())
def test_what_silence_means(steps: list[Step]) -> None:
    heart = Heartbeat(INTERVAL_S, TIMEOUT_S, START)

    for seconds, step in steps:
        now = START + seconds
        if step == "heard":
            heart.heard(now)
        elif step.startswith("probe"):
            heart.probe(now, float(step.removeprefix("probe")))
        else:
            assert heart.check(now) == step, seconds


def test_it_says_when_it_has_something_to_say_and_when_it_heard_the_last() -> None:
    heart = Heartbeat(INTERVAL_S, TIMEOUT_S, START)

    assert (heart.heard_at, heart.next_deadline()) == (START, START + 15)
    heart.heard(START + 4)
    assert (heart.heard_at, heart.next_deadline()) == (START + 4, START + 19)
    heart.check(START + 19)
    assert (heart.heard_at, heart.next_deadline()) == (START + 4, START + 29)


@given(st.lists(st.tuples(st.floats(0, 40), st.sampled_from(["check", "heard", "probe"])), max_size=40))
def test_it_has_something_to_say_at_its_deadline_and_nothing_before(steps: list[tuple[float, str]]) -> None:
    heart = Heartbeat(INTERVAL_S, TIMEOUT_S, 0.0)
    now = 0.0
    for wait_s, step in steps:
        now += wait_s
        due = heart.next_deadline()
        if step == "heard":
            heart.heard(now)
        elif step == "probe":
            heart.probe(now, 3.0)
        else:
            assert (heart.check(now) == "well") == (now < due)
        assert heart.next_deadline() <= now + max(INTERVAL_S, TIMEOUT_S)
