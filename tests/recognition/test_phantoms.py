from __future__ import annotations

import pytest

from omniid.recognition.phantoms import is_phantom, without_annotations


@pytest.mark.parametrize(
    "text", ["Thank you.", "Thank you. ", "you", "Bye-bye!", "Vielen Dank.", "Спасибо", "谢谢"]
)
def test_a_courtesy_needs_speech_or_certainty(text: str) -> None:
    assert is_phantom(text, 0.1, confidence=0.9)
    assert is_phantom(text, 0.25, confidence=0.35)
    assert not is_phantom(text, 0.25, confidence=0.7)
    assert not is_phantom(text, 0.9, confidence=0.35)


@pytest.mark.parametrize(
    "text",
    [
        "Subtitles by the Amara.org community",
        "Thanks for watching!",
        "Sous-titres réalisés par la communauté d'Amara.org",
        "Untertitel im Auftrag des ZDF für funk, 2017",
        "Субтитры сделал DimaTorzok",
        "ご視聴ありがとうございました",
        "",
        "...",
        " ♪ ",
    ],
)
def test_credits_are_never_a_command(text: str) -> None:
    assert is_phantom(text, 5.0, confidence=1.0)


@pytest.mark.parametrize(
    "text", ["Yes.", "No", "Stop!", "Okay.", "Lights on", "Thank you for the music, play it", "はい"]
)
def test_short_commands_are_commands(text: str) -> None:
    assert not is_phantom(text, 0.2, confidence=0.3)


def test_descriptions_of_sound_are_not_words() -> None:
    assert without_annotations(" [BLANK_AUDIO] (keyboard clicking) *sighs* ♪ la la ♪") == ""
    assert without_annotations("turn it [noise] off") == "turn it off"
