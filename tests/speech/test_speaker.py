"""The speaker's own decisions, with a voice and an output that do as the test says."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator

import pytest

from omniid.errors import AudioError, OmniidError, SpeechError
from omniid.speech import outlet as outlet_module
from omniid.speech import speaker as speaker_module
from omniid.speech.speaker import Speaker
from omniid.speech.synthesizer import Sound

DEADLINE_S = 30.0
BLOCK = bytes(320)


class Voice:
    """One block of sound for each sentence, once it may go on."""

    def __init__(self) -> None:
        self.go_on = threading.Event()
        self.go_on.set()
        self.at_work = threading.Event()
        self.made: list[str] = []
        self.made_two = threading.Event()
        self.error: SpeechError | None = None
        self.fails_at = ""
        self.rate = 8_000

    @property
    def language(self) -> str | None:
        return "en"

    def prepare(self) -> None:
        pass

    def synthesize(self, text: str) -> Sound:
        self.at_work.set()
        assert self.go_on.wait(DEADLINE_S)
        if self.error is not None:
            raise self.error
        if text == self.fails_at:
            raise SpeechError("no")
        self.made.append(text)
        if len(self.made) == 2:
            self.made_two.set()
        return Sound(self.rate, BLOCK[: self.rate // 50 * 2])

    def close(self) -> None:
        pass


class Output:
    def __init__(self) -> None:
        self.calls: list[str] = []
        self.errors: dict[str, AudioError] = {}
        self.lost_at_call: int | None = None
        self.strayed_for: AudioError | None = None
        self.fails_after_call: int | None = None  # to open
        self.wait_for_stop = False
        self.written = threading.Event()
        self.aborted = threading.Event()

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if len(self.calls) == self.lost_at_call:
            raise AudioError("gone", code="speaker_lost")
        if name == "open" and self.fails_after_call is not None and len(self.calls) > self.fails_after_call:
            raise AudioError("still gone", code="no_such_speaker")
        if name in self.errors:
            raise self.errors[name]

    def prepare(self) -> None:
        pass

    def open(self, rate: int) -> str:
        self._call("open")
        return f"fake at {rate}"

    def write(self, block: bytes, stop: threading.Event) -> None:
        assert 0 < len(block) <= len(BLOCK)
        self._call("write")
        self.written.set()
        if self.wait_for_stop:
            assert stop.wait(DEADLINE_S)

    def finish(self, stop: threading.Event) -> None:
        assert not stop.is_set()
        self._call("finish")

    def abort(self) -> None:
        self.aborted.set()
        self._call("abort")

    def strayed(self) -> AudioError | None:
        return self.strayed_for


class Stage:
    """A speaker with its fakes; what it reports comes out of `next`."""

    def __init__(self, fallback: Voice | None = None, spare: Output | None = None) -> None:
        self.voice = Voice()
        self.output = Output()
        self.reports: queue.Queue[tuple[str, ...]] = queue.Queue()
        self.speaker = Speaker(self.voice, self.output, self, fallback=fallback, spare=spare)

    def started(self, utterance_id: str, first_sound_at: float, device: str) -> None:
        assert first_sound_at > 0
        self.reports.put(("started", utterance_id, device))

    def finished(self, utterance_id: str, cause: str) -> None:
        self.reports.put((cause, utterance_id))

    def failed(self, utterance_id: str, error: OmniidError) -> None:
        self.reports.put(("failed", utterance_id, error.code))

    def replaced(self, error: SpeechError) -> None:
        self.reports.put(("replaced", error.code))

    def moved(self, error: AudioError | None) -> None:
        self.reports.put(("moved", "back" if error is None else error.code))

    def next(self) -> tuple[str, ...]:
        return self.reports.get(timeout=DEADLINE_S)


@pytest.fixture
def stage() -> Iterator[Stage]:
    with on_stage(Stage()) as made:
        yield made


@contextlib.contextmanager
def on_stage(made: Stage) -> Iterator[Stage]:
    made.speaker.start()
    with contextlib.closing(made.speaker):
        yield made
        made.voice.go_on.set()
        made.speaker.stop()
    assert made.reports.empty()
    assert made.speaker.unfinished() == []


def test_sentences_are_played_in_order_and_end_once(stage: Stage) -> None:
    stage.speaker.say("1", "One. Two. Three.")
    assert stage.next() == ("started", "1", "fake at 8000")
    assert stage.next() == ("spoken", "1")
    assert stage.voice.made == ["One.", "Two.", "Three."]
    assert stage.output.calls == ["open", "write", "write", "write", "finish"]


def test_the_next_sentence_is_made_while_the_one_before_is_heard(stage: Stage) -> None:
    stage.output.wait_for_stop = True
    stage.speaker.say("1", "One. Two. Three.")
    assert stage.output.written.wait(DEADLINE_S)
    assert stage.voice.made_two.wait(DEADLINE_S)
    assert stage.output.calls == ["open", "write"]
    stage.speaker.stop()
    assert stage.next() == ("started", "1", "fake at 8000")
    assert stage.next() == ("stopped", "1")
    assert stage.output.calls == ["open", "write", "abort"]


def test_stop_while_the_voice_still_works_does_not_wait_for_it(stage: Stage) -> None:
    stage.voice.go_on.clear()
    stage.speaker.say("1", "A long one.")
    stage.speaker.say("2", "Another.")
    assert stage.voice.at_work.wait(DEADLINE_S)
    assert stage.speaker.unfinished() == ["1", "2"]
    stage.speaker.stop()
    stage.speaker.stop()
    assert stage.next() == ("stopped", "1")
    assert stage.next() == ("stopped", "2")
    assert "write" not in stage.output.calls
    stage.voice.go_on.set()
    stage.speaker.say("3", "Again.")
    assert stage.next()[0] == "started"
    assert stage.next() == ("spoken", "3")


def test_a_voice_that_hangs_is_given_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaker_module, "VOICE_HUNG_S", 0.05)
    stage.voice.go_on.clear()
    stage.speaker.say("1", "Hello.")
    assert stage.next() == ("failed", "1", "voice_hung")


def test_a_voice_that_fails_is_reported_and_the_next_utterance_tries_again(stage: Stage) -> None:
    stage.voice.error = SpeechError("no", code="no_voice_engine")
    stage.speaker.say("1", "Hello.")
    assert stage.next() == ("failed", "1", "no_voice_engine")
    stage.voice.error = None
    stage.speaker.say("2", "Hello.")
    assert stage.next()[0] == "started"
    assert stage.next() == ("spoken", "2")


@pytest.mark.parametrize("where", ["open", "write", "finish"])
def test_an_output_that_fails_is_closed_and_reported(stage: Stage, where: str) -> None:
    stage.output.errors[where] = AudioError("gone", code="speaker_lost")
    stage.speaker.say("1", "Hello.")
    report = stage.next()
    if where == "finish":
        assert report[0] == "started"
        report = stage.next()
    assert report == ("failed", "1", "speaker_lost")
    assert stage.output.calls[-1] == "abort"


def test_a_speaker_that_comes_back_goes_on_with_the_sentence(stage: Stage) -> None:
    stage.output.lost_at_call = 3
    stage.speaker.say("1", "One. Two. Three.")
    assert stage.next() == ("started", "1", "fake at 8000")
    assert stage.next() == ("spoken", "1")
    assert stage.output.calls == ["open", "write", "write", "abort", "open", "write", "write", "finish"]


def test_that_the_speaker_hangs_is_what_counts(stage: Stage) -> None:
    stage.output.errors["write"] = AudioError("gone", code="speaker_lost")
    stage.output.errors["abort"] = AudioError("hangs", code="speaker_hung")
    stage.speaker.say("1", "Hello.")
    assert stage.next() == ("failed", "1", "speaker_hung")


def test_too_many_waiting_are_refused_one_by_one(stage: Stage) -> None:
    stage.voice.go_on.clear()
    for number in range(speaker_module.MAX_WAITING):
        stage.speaker.say(str(number), "Hello.")
    stage.speaker.say("one more", "Hello.")
    assert stage.next() == ("failed", "one more", "speech_queue_full")
    stage.speaker.stop()
    for number in range(speaker_module.MAX_WAITING):
        assert stage.next() == ("stopped", str(number))


def test_a_voice_that_fails_is_replaced_in_mid_reply_and_that_is_told_once() -> None:
    other = Voice()
    with on_stage(Stage(other)) as stage:
        stage.voice.error = SpeechError("no", code="no_voice_engine")
        stage.speaker.say("1", "One. Two.")
        stage.speaker.say("2", "Three.")
        reports = [stage.next() for _ in range(5)]
    assert reports == [
        ("replaced", "no_voice_engine"),
        ("started", "1", "fake at 8000"),
        ("spoken", "1"),
        ("started", "2", "fake at 8000"),
        ("spoken", "2"),
    ]
    assert other.made == ["One.", "Two.", "Three."]


def test_a_voice_that_hangs_is_replaced_while_it_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speaker_module, "VOICE_HUNG_S", 0.2)
    other = Voice()
    with on_stage(Stage(other)) as stage:
        stage.voice.go_on.clear()
        stage.speaker.say("1", "One. Two.")
        assert stage.next() == ("replaced", "voice_hung")
        assert stage.next()[0] == "started"
        assert stage.next() == ("spoken", "1")
    assert other.made == ["One.", "Two."]


def test_when_the_fallback_fails_too_the_first_error_is_told() -> None:
    other = Voice()
    other.error = SpeechError("neither", code="no_such_voice")
    with on_stage(Stage(other)) as stage:
        stage.voice.error = SpeechError("no", code="no_voice_engine")
        stage.speaker.say("1", "One.")
        assert stage.next() == ("failed", "1", "no_voice_engine")


def test_stop_while_the_voice_hangs_replaces_nothing() -> None:
    with on_stage(Stage(Voice())) as stage:
        stage.voice.go_on.clear()
        stage.speaker.say("1", "One.")
        assert stage.voice.at_work.wait(DEADLINE_S)
        stage.speaker.stop()
        assert stage.next() == ("stopped", "1")


def test_another_voices_rate_opens_the_speaker_anew() -> None:
    other = Voice()
    other.rate = 4_000
    with on_stage(Stage(other)) as stage:
        stage.voice.fails_at = "Four."
        stage.speaker.say("1", "Three. Four.")
        assert {stage.next()[0] for _ in range(3)} == {"started", "replaced", "spoken"}
    assert stage.output.calls == ["open", "write", "finish", "open", "write", "finish"]


def heard_with_spare(
    wanted_fails: str | None, spare_fails: str | None
) -> tuple[list[tuple[str, ...]], Output]:
    """The reports of one utterance, both speakers failing to open with these codes (None: they do not)."""
    spare = Output()
    with on_stage(Stage(spare=spare)) as stage:
        if wanted_fails:
            stage.output.errors["open"] = AudioError("no", code=wanted_fails)
        if spare_fails:
            spare.errors["open"] = AudioError("neither", code=spare_fails)
        stage.speaker.say("1", "One. Two.")
        reports = [stage.next()]
        while reports[-1][0] not in {"spoken", "failed"}:
            reports.append(stage.next())
    return reports, spare


@pytest.mark.parametrize("code", ["no_such_speaker", "no_speaker"])
def test_a_speaker_that_is_away_is_stood_in_for(code: str) -> None:
    reports, spare = heard_with_spare(code, None)
    assert reports == [("moved", code), ("started", "1", "fake at 8000"), ("spoken", "1")]
    assert spare.calls == ["open", "write", "write", "finish"]


@pytest.mark.parametrize("code", ["speaker_hung", "no_audio_library"])
def test_what_no_other_speaker_helps_against_is_told_as_it_is(code: str) -> None:
    reports, spare = heard_with_spare(code, None)
    assert reports == [("failed", "1", code)]
    assert spare.calls == []


def test_where_the_spare_speaker_fails_too_its_error_is_told() -> None:
    reports, _ = heard_with_spare("no_such_speaker", "no_speaker")
    assert reports == [("failed", "1", "no_speaker")]


def test_the_wanted_speaker_is_tried_first_each_time_and_its_coming_back_is_told_once() -> None:
    spare = Output()
    with on_stage(Stage(spare=spare)) as stage:
        stage.output.errors["open"] = AudioError("no", code="no_such_speaker")
        for number in "12":
            stage.speaker.say(number, "Hello.")
        reports = [stage.next() for _ in range(5)]
        stage.output.errors.clear()
        for number in "34":
            stage.speaker.say(number, "Hello.")
        reports += [stage.next() for _ in range(5)]
    assert [report for report in reports if report[0] == "moved"] == [
        ("moved", "no_such_speaker"),
        ("moved", "back"),
    ]
    assert reports[5] == ("moved", "back")
    assert stage.output.calls == ["open", "open", *(["open", "write", "finish"] * 2)]
    assert spare.calls == ["open", "write", "finish"] * 2


def test_a_speaker_that_does_not_come_back_is_stood_in_for_in_mid_sentence(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(outlet_module, "REOPEN_AFTER_S", (0.0, 0.0))
    spare = Output()
    with on_stage(Stage(spare=spare)) as stage:
        stage.output.lost_at_call = 3
        stage.output.fails_after_call = 3
        stage.speaker.say("1", "One. Two. Three.")
        reports = [stage.next() for _ in range(3)]
    assert sorted(reports) == [("moved", "speaker_lost"), ("spoken", "1"), ("started", "1", "fake at 8000")]
    assert stage.output.calls == ["open", "write", "write", "abort", "open", "open"]
    assert spare.calls == ["open", "write", "write", "finish"]


def test_a_spare_speaker_that_is_lost_is_looked_for_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outlet_module, "REOPEN_AFTER_S", (0.0, 0.0))
    spare = Output()
    with on_stage(Stage(spare=spare)) as stage:
        stage.output.errors["open"] = AudioError("no", code="no_such_speaker")
        spare.lost_at_call = 2
        stage.speaker.say("1", "One.")
        assert [stage.next()[0] for _ in range(3)] == ["moved", "started", "spoken"]
    assert spare.calls == ["open", "write", "abort", "open", "write", "finish"]


def test_stop_while_the_speaker_is_looked_for_ends_the_utterance() -> None:
    spare = Output()
    with on_stage(Stage(spare=spare)) as stage:
        stage.output.lost_at_call = 3
        stage.output.fails_after_call = 3
        stage.speaker.say("1", "One. Two.")
        assert stage.next()[0] == "started"
        assert stage.output.aborted.wait(DEADLINE_S)
        stage.speaker.stop()
        assert stage.next() == ("stopped", "1")
    assert spare.calls == []


def test_where_the_sound_was_taken_elsewhere_it_goes_on_and_that_is_told_once() -> None:
    with on_stage(Stage(spare=Output())) as stage:
        stage.output.strayed_for = AudioError("pulled", code="speaker_lost")
        stage.speaker.say("1", "One. Two.")
        reports = [stage.next() for _ in range(3)]
        stage.output.strayed_for = None
        stage.speaker.say("2", "One.")
        reports += [stage.next() for _ in range(3)]
    assert [report[0] for report in reports] == ["started", "moved", "spoken", "moved", "started", "spoken"]
    assert reports[3] == ("moved", "back")
    assert stage.output.calls == ["open", "write", "write", "finish", "open", "write", "finish"]


def test_a_text_that_no_history_keeps_is_cut_without_speaking_of_one() -> None:
    with on_stage(Stage()) as stage:
        stage.speaker.say("1", "This is said again. " * 500, in_history=False)
        assert [stage.next()[0] for _ in range(2)] == ["started", "spoken"]
    assert stage.voice.made[-1] == "The rest is left out."
