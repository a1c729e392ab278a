from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniid.hotkeys.edges import DEBOUNCE_S, GRACE_S, Edge, EdgeFilter

PRESSED, RELEASED, LOST = Edge.PRESSED, Edge.RELEASED, Edge.LOST
STEPS = ("down", "up", "lose", "due")


def told(*steps: tuple[float, str]) -> list[tuple[float, Edge]]:
    """What a filter tells and when, its timer served to the moment."""
    one = EdgeFilter()
    found: list[tuple[float, Edge]] = []
    for now, step in [*steps, (1e9, "due")]:
        while one.deadline is not None and one.deadline <= now:
            deadline = one.deadline
            found += [(deadline, edge) for edge in one.due(deadline)]
        found += [(now, edge) for edge in getattr(one, step)(now)]
    return [(round(now, 4), edge) for now, edge in found]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        pytest.param(
            [(1, "down"), (2, "up")], [(1, PRESSED), (2.05, RELEASED)], id="a press is told at once"
        ),
        pytest.param(
            [(1, "down"), (1.66, "down"), (1.7, "down"), (2, "up")],
            [(1, PRESSED), (2.05, RELEASED)],
            id="repeats without ups between them",
        ),
        pytest.param(
            [(1, "down"), (1.66, "up"), (1.66, "down"), (1.7, "up"), (1.7, "down"), (2, "up")],
            [(1, PRESSED), (2.05, RELEASED)],
            id="repeats as pairs",
        ),
        pytest.param(
            [(1, "down"), (1.005, "up"), (1.009, "down"), (2, "up"), (2.004, "down"), (2.008, "up")],
            [(1, PRESSED), (2.058, RELEASED)],
            id="a worn contact",
        ),
        pytest.param(
            [(1, "down"), (2, "up"), (2.049, "down"), (3, "up")],
            [(1, PRESSED), (3.05, RELEASED)],
            id="a down within the grace",
        ),
        pytest.param(
            [(1, "down"), (2, "up"), (2.2, "down"), (3, "up")],
            [(1, PRESSED), (2.05, RELEASED), (2.2, PRESSED), (3.05, RELEASED)],
            id="two presses",
        ),
        pytest.param(
            [(1, "down"), (2, "up"), (2.06, "down"), (2.07, "up")],
            [(1, PRESSED), (2.05, RELEASED)],
            id="a spark after the release",
        ),
        pytest.param(
            [(1, "down"), (2, "up"), (2.06, "down"), (3, "up")],
            [(1, PRESSED), (2.05, RELEASED), (2.08, PRESSED), (3.05, RELEASED)],
            id="a press right after the release that lasts",
        ),
        pytest.param([(1, "down"), (2, "lose"), (3, "up")], [(1, PRESSED), (2, LOST)], id="lost"),
        pytest.param(
            [(1, "down"), (2, "up"), (2.01, "lose")], [(1, PRESSED), (2.01, RELEASED)], id="lost after an up"
        ),
        pytest.param([(1, "up"), (2, "lose")], [], id="nothing was down"),
    ],
)
def test_clean_edges(steps: list[tuple[float, str]], expected: list[tuple[float, Edge]]) -> None:
    assert told(*steps) == expected


def test_a_timer_that_comes_late_changes_nothing() -> None:
    one = EdgeFilter()
    one.down(1.0)
    one.up(2.0)

    assert one.due(2.0 + GRACE_S / 2) == []
    assert one.down(2.5) == [RELEASED, PRESSED]


steps = st.lists(st.tuples(st.floats(0, 0.2), st.sampled_from(STEPS)), max_size=60)


@given(steps)
def test_presses_and_ends_alternate_and_every_press_ends_once(waits: list[tuple[float, str]]) -> None:
    one, now = EdgeFilter(), 10.0
    edges: list[Edge] = []
    for wait, step in waits:
        now += wait
        edges += getattr(one, step)(now)
        assert one.is_pressed == (edges[-1:] == [PRESSED])
        assert one.deadline is None or now < one.deadline <= now + max(GRACE_S, DEBOUNCE_S)
    edges += one.lose(now + 1)

    assert edges[::2] == [PRESSED] * ((len(edges) + 1) // 2)
    assert PRESSED not in edges[1::2]
    assert len(edges) % 2 == 0
    assert one.deadline is None


@given(steps)
def test_a_key_that_stays_up_is_told_up_and_one_that_stays_down_is_told_down(
    waits: list[tuple[float, str]],
) -> None:
    one, now = EdgeFilter(), 10.0
    for wait, step in waits:
        now += wait
        getattr(one, step)(now)
    one.up(now + 1)
    one.due(now + 2)

    assert not one.is_pressed

    one.down(now + 2.01)
    one.due(now + 3)

    assert one.is_pressed
