from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from omniid.recognition.doubt import (
    Attempt,
    Reading,
    better,
    compression_ratio,
    confidence,
    is_credible,
    is_doubtful,
    is_gravely_doubtful,
    loops,
    token_budget,
)

SURE = Attempt("turn on the light", avg_logprob=-0.2, no_speech=0.05, is_cut=False, confidence=0.9)
LOOP = "ten of clubs ten of clubs ten of clubs"


@pytest.mark.parametrize(
    "text",
    [
        LOOP,
        "stop stop stop stop",
        "What time is it? What time is it?",
        "What time is it? What time is it? What time",
        "and then go on go on go on",
        "Yes. Yes. Yes. Yes",
        "再见再见再见",
    ],
)
def test_a_loop_is_seen(text: str) -> None:
    assert loops(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no",
        "five five",
        "no no",
        "bye bye",
        "turn on the light and turn on the heating",
        "two nine three four zero",
        "had he had had the time",
        "今天天气怎么样",
    ],
)
def test_what_people_say_is_no_loop(text: str) -> None:
    assert not loops(text)


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=6), st.integers(3, 6))
def test_the_same_three_times_is_a_loop_whatever_it_is(words: list[str], times: int) -> None:
    assert loops(" ".join(words * times))


@given(st.lists(st.integers(0, 1000), unique=True, max_size=30))
def test_different_words_are_no_loop(numbers: list[int]) -> None:
    assert not loops(" ".join(f"w{number}" for number in numbers))


@pytest.mark.parametrize(
    "change", [{"is_cut": True}, {"confidence": 0.3}, {"no_speech": 0.7}, {"text": LOOP}]
)
def test_each_sign_makes_doubt(change: dict[str, object]) -> None:
    assert not is_doubtful(SURE)
    assert not is_gravely_doubtful(SURE)
    assert is_doubtful(replace(SURE, **change))  # type: ignore[arg-type]
    assert is_gravely_doubtful(replace(SURE, **change))  # type: ignore[arg-type]


def test_a_little_doubt_is_not_grave() -> None:
    unsure = replace(SURE, confidence=0.5)
    assert is_doubtful(unsure)
    assert not is_gravely_doubtful(unsure)


@pytest.mark.parametrize(
    ("change", "credible"),
    [
        ({}, True),
        ({"text": ""}, False),
        ({"no_speech": 0.8}, True),
        ({"no_speech": 0.95}, False),
        ({"no_speech": 0.65, "avg_logprob": -0.75}, False),
        ({"no_speech": 0.5, "avg_logprob": -2.0}, True),
        ({"text": "ten of clubs " * 12}, False),
    ],
)
def test_what_can_be_believed(change: dict[str, object], credible: bool) -> None:
    assert is_credible(replace(SURE, **change)) is credible  # type: ignore[arg-type]


def test_the_surer_attempt_is_better_but_a_loop_never_is() -> None:
    unsure = replace(SURE, text="burn on the light", confidence=0.4)
    loop = replace(SURE, text=LOOP, confidence=0.99)
    cut = replace(SURE, is_cut=True, confidence=0.99)
    assert better(unsure, SURE) == better(SURE, unsure) == SURE
    assert better(loop, unsure) == better(unsure, loop) == unsure
    assert better(cut, unsure) == unsure


def reading(text: str, probability: float, tokens: int = 2) -> Reading:
    return Reading(text, math.log(probability), tokens)


def test_one_reading_is_as_sure_as_its_tokens() -> None:
    assert confidence([reading("stop", 0.25)]) == pytest.approx(math.sqrt(0.5))
    assert confidence([reading("stop", 1.0)]) == 1.0


def test_other_spellings_of_the_words_make_them_surer_and_other_words_less_sure() -> None:
    alone = confidence([reading("stop", 0.3)])
    spelled = confidence([reading("stop", 0.3), reading("Stop!", 0.3), reading("STOP.", 0.2)])
    doubted = confidence([reading("stop", 0.3), reading("shop", 0.3)])
    both = confidence([reading("stop", 0.3), reading("shop", 0.2), reading("Stop.", 0.3)])
    assert doubted < alone < spelled
    assert doubted < both < spelled


@given(st.lists(st.tuples(st.sampled_from(["a", "A.", "b", ""]), st.floats(-2000, 1)), min_size=1))
def test_confidence_is_between_0_and_1(found: list[tuple[str, float]]) -> None:
    assert 0 <= confidence([Reading(text, logprob, 3) for text, logprob in found]) <= 1


@given(st.floats(0, 30), st.floats(0, 30))
def test_more_time_is_more_tokens(one: float, two: float) -> None:
    assert (token_budget(one) <= token_budget(two)) or one > two
    assert token_budget(one) >= 5 * one


def test_a_long_sentence_does_not_compress_like_a_loop() -> None:
    prose = "write an email to the whole team and tell them that the meeting has been moved to Friday"
    assert compression_ratio(prose) < 2 < compression_ratio("ten of clubs " * 12)
