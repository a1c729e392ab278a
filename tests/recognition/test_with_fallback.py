"""Who recognises when the remote recogniser is away: a table of moments, with time as an argument."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from omniid.errors import RecognitionError
from omniid.recognition.recognizer import NOTHING, Recognition, Recognizer, Wishes
from omniid.recognition.with_fallback import AWAY_S, RemoteWithFallback

SOUND = bytes(32_000)
NO_WISHES = Wishes()


def never() -> bool:
    return False


class Known:
    """A recogniser that says its name, or fails."""

    compute_type = "int8"
    load_s = 0.5
    note: str | None = None

    def __init__(self, name: str, *, may_draft: bool = False) -> None:
        self.model_name = self.device = name
        self.may_draft = may_draft
        self.asked = 0
        self.fails: RecognitionError | None = None

    def recognise(self, pcm: bytes, wishes: Wishes, is_cancelled: Callable[[], bool]) -> Recognition:  # noqa: ARG002
        self.asked += 1
        if self.fails is not None:
            raise self.fails
        return NOTHING if is_cancelled() else Recognition(self.model_name, 1.0, "en")


class Pair:
    """A remote and a local recogniser, and everything that was said of them."""

    def __init__(self) -> None:
        self.remote, self.local = Known("remote"), Known("local", may_draft=True)
        self.connects: RecognitionError | None = None
        self.loads: RecognitionError | None = None
        self.connected = self.loaded = 0
        self.now = 0.0
        self.notes: list[str | None] = []

    def connect(self) -> Recognizer:
        self.connected += 1
        if self.connects is not None:
            raise self.connects
        return self.remote

    def load(self) -> Recognizer:
        self.loaded += 1
        if self.loads is not None:
            raise self.loads
        return self.local

    def build(self) -> RemoteWithFallback:
        return RemoteWithFallback(self.connect, self.load, self.notes.append, clock=lambda: self.now)

    @staticmethod
    def say(both: RemoteWithFallback, wishes: Wishes = NO_WISHES) -> str:
        return both.recognise(SOUND, wishes, never).text


AWAY = RecognitionError("The recogniser is away.", code="recogniser_away")


def test_while_the_remote_one_answers_nothing_is_loaded_here() -> None:
    pair = Pair()
    both = pair.build()
    conforms: Recognizer = both
    assert (conforms.device, conforms.compute_type) == ("remote", "int8")
    assert [pair.say(both) for _ in range(3)] == ["remote"] * 3
    assert (pair.loaded, pair.notes, both.model_name) == (0, [], "remote")


def test_who_was_away_a_moment_ago_is_not_asked_again_for_a_while() -> None:
    pair = Pair()
    both = pair.build()
    pair.remote.fails = AWAY
    assert [pair.say(both) for _ in range(5)] == ["local"] * 5
    assert (pair.remote.asked, pair.loaded) == (1, 1)
    assert pair.notes == ["The local model local recognises meanwhile. The recogniser is away."]
    pair.now = AWAY_S - 0.1
    assert pair.say(both) == "local"
    assert pair.remote.asked == 1
    pair.now = AWAY_S
    assert pair.say(both) == "local"
    assert (pair.remote.asked, len(pair.notes)) == (2, 1)
    pair.remote.fails = None
    pair.now += AWAY_S
    assert [pair.say(both) for _ in range(2)] == ["remote", "remote"]
    assert (pair.notes[1:], both.note, both.model_name) == ([None], None, "remote")


def test_who_is_away_from_the_start_is_found_when_it_comes() -> None:
    pair = Pair()
    pair.connects = AWAY
    both = pair.build()
    assert (both.model_name, both.note, both.may_draft) == ("local", pair.notes[0], True)
    assert pair.say(both) == "local"
    pair.connects = None
    pair.now = AWAY_S
    assert pair.say(both) == "remote"
    assert pair.connected == 2


def test_a_draft_never_goes_elsewhere() -> None:
    pair = Pair()
    both = pair.build()
    assert pair.say(both, Wishes(is_draft=True)) == ""
    assert not both.may_draft
    pair.remote.fails = AWAY
    pair.say(both)
    pair.now = AWAY_S
    assert pair.say(both, Wishes(is_draft=True)) == "local"
    assert pair.remote.asked == 1


def test_neither_one_names_both_reasons() -> None:
    pair = Pair()
    pair.connects = AWAY
    pair.loads = RecognitionError("There is no model.", code="model_missing")
    with pytest.raises(
        RecognitionError, match=r"is away\. And no local model .* There is no model"
    ) as caught:
        pair.build()
    assert caught.value.code == "model_missing"


def test_without_a_local_model_the_remote_one_is_asked_each_time() -> None:
    pair = Pair()
    both = pair.build()
    pair.remote.fails = AWAY
    pair.loads = RecognitionError("There is no model.", code="model_missing")
    for _ in range(2):
        with pytest.raises(RecognitionError):
            pair.say(both)
    pair.remote.fails = None
    assert pair.say(both) == "remote"
    assert pair.notes == []


def test_a_cancelled_take_changes_nothing() -> None:
    pair = Pair()
    both = pair.build()
    pair.remote.fails = AWAY
    assert both.recognise(SOUND, Wishes(), lambda: True) == NOTHING
    assert (pair.loaded, pair.notes) == (0, [])
    assert pair.say(both) == "local"
    pair.remote.fails = None
    pair.now = AWAY_S
    assert both.recognise(SOUND, Wishes(), lambda: True) == NOTHING
    assert both.note is not None, "a cancelled take proves nothing"
