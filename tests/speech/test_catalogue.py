"""What `omniid voices` finds: the real engines, asked in a process of their own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from support.wyoming_speech import wyoming_piper
from typer.testing import CliRunner

from omniid.cli import voices
from omniid.errors import SpeechError


def engines(engine: str, voice: str | None = None) -> dict[str, dict[str, Any]]:
    return {found["name"]: found for found in voices.find_voices(engine, voice, within_s=60)}


def used(engine: dict[str, Any]) -> list[str]:
    return [voice["name"] for voice in engine["voices"] if voice["is_used"]]


def test_every_engine_names_its_voices_and_the_one_that_speaks() -> None:
    found = engines("pyttsx3", "gmw/de")
    assert used(found["pyttsx3"]) == ["German"]
    assert [voice["name"] for voice in found["piper"]["voices"]] == ["en_US-joe-medium"]
    assert not found["piper"]["is_used"]
    assert found["wyoming"] == {"name": "wyoming", "is_used": False, "voices": [], "problem": None}
    assert used(engines("piper")["piper"]) == ["en_US-joe-medium"]


def test_a_voice_that_is_not_there_is_the_engines_problem() -> None:
    assert "no voice 'vulcan'" in engines("pyttsx3", "vulcan")["pyttsx3"]["problem"]
    assert "no voice '/nowhere.onnx'" in engines("piper", "/nowhere.onnx")["piper"]["problem"]
    assert "needs an address" in engines("wyoming")["wyoming"]["problem"]


def test_a_servers_voices_can_be_chosen_by_what_is_listed(tmp_path: Path) -> None:
    with wyoming_piper(tmp_path) as uri:
        found = engines("wyoming", f"{uri}#en_US-joe-medium")["wyoming"]
    (joe,) = (voice for voice in found["voices"] if voice["is_used"])
    assert joe["id"] == f"{uri}#en_US-joe-medium"


def test_an_engine_that_hangs_is_not_waited_for() -> None:
    with pytest.raises(SpeechError, match="did not answer within") as raised:
        voices.find_voices("pyttsx3", None, within_s=0.001)
    assert raised.value.code == "voice_hung"


@pytest.fixture
def verb(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> typer.Typer:
    (tmp_path / "config.toml").write_text("")
    monkeypatch.setenv("OMNIID_CONFIG", str(tmp_path / "config.toml"))
    app = typer.Typer()
    app.command()(voices.voices)
    return app


def test_the_verb_shows_the_voice_in_use_first_and_how_to_choose(verb: typer.Typer) -> None:
    result = CliRunner().invoke(verb, [])
    assert result.exit_code == 0
    first, second, *_ = result.output.splitlines()
    assert first == "pyttsx3  [used]:"
    assert second.endswith("[used]")
    assert "others (--all lists them)" in result.output
    assert "[speech] engine =" in result.output


def test_the_verb_fails_where_the_configured_voice_cannot_be_used(
    verb: typer.Typer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OMNIID_SPEECH__VOICE", "vulcan")
    result = CliRunner().invoke(verb, ["--json"])
    assert result.exit_code == 1
    printed = json.loads(result.output)
    assert printed["voice"] == "vulcan"
    assert "vulcan" in printed["engines"][0]["problem"]
