"""The real eSpeak NG through the real pyttsx3."""

from __future__ import annotations

from pathlib import Path

import pytest

from omniid.errors import SpeechError
from omniid.speech.pyttsx3_voice import Pyttsx3Voice


@pytest.fixture
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    return tmp_path


def test_every_sentence_is_whole_however_fast_they_follow(runtime: Path) -> None:
    voice = Pyttsx3Voice(None, rate=180, volume=1.0)
    durations = [voice.synthesize("Guten Abend.").duration_s for _ in range(40)]
    assert min(durations) > 0.9 * max(durations) > 0.5
    assert list(runtime.iterdir()) == []


def test_nothing_is_written_once_it_is_closed(runtime: Path) -> None:
    voice = Pyttsx3Voice(None, rate=180, volume=1.0)
    voice.prepare()
    voice.close()
    with pytest.raises(SpeechError, match="closed"):
        voice.synthesize("Hello.")
    assert list(runtime.iterdir()) == []


def test_a_folder_without_room_is_a_clear_error_and_passes(
    runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    voice = Pyttsx3Voice(None, rate=180, volume=1.0)
    monkeypatch.setattr("omniid.speech.pyttsx3_voice._base_folder", lambda: runtime / "missing")
    with pytest.raises(SpeechError, match="no room for a temporary sound file"):
        voice.synthesize("Hello.")
    (runtime / "missing").mkdir()
    assert voice.synthesize("Hello.").duration_s > 0.3


def test_an_unknown_voice_names_those_that_are_near() -> None:
    with pytest.raises(
        SpeechError, match=r"There is no voice 'en-klingon'; there are gmw/en-029, "
    ) as raised:
        Pyttsx3Voice("en-klingon", rate=180, volume=1.0).prepare()
    assert raised.value.code == "no_such_voice"
