"""`python -m omniid.speech.catalogue ENGINE [VOICE]`: which voices there are, as one line of JSON.

A program of its own, because loading an engine and asking a server can hang: its caller sets a deadline.
"""

from __future__ import annotations

import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from omniid.errors import SpeechError
from omniid.speech import piper_voice, wyoming_voice
from omniid.speech.pyttsx3_voice import find_voice, load_engine
from omniid.speech.voices import ENGINES, split_address

_ADVICE = {"piper": piper_voice.HOW_TO_INSTALL, "wyoming": wyoming_voice.HOW_TO_INSTALL}
_MODULES = {"pyttsx3": "pyttsx3", "piper": "piper", "wyoming": "wyoming"}


@dataclass(frozen=True, slots=True)
class Voice:
    """`id` is what speech.voice takes; None: leave it unset."""

    id: str | None
    name: str
    languages: list[str]
    is_used: bool


@dataclass(frozen=True, slots=True)
class Engine:
    """`problem`: why it has no voices or not the wanted one, and what to do; None: all is well."""

    name: str
    is_used: bool
    voices: list[Voice]
    problem: str | None


def catalogue(used: str, wanted: str | None) -> list[Engine]:
    """All engines. `used` and `wanted`: speech.engine and speech.voice."""
    return [_engine(name, wanted if name == used else None, is_used=name == used) for name in ENGINES]


def _engine(name: str, wanted: str | None, *, is_used: bool) -> Engine:
    if importlib.util.find_spec(_MODULES[name]) is None:
        install = _ADVICE.get(name, "pip install omniid")
        return Engine(name, is_used, [], f"It is not installed. Install it: {install}")
    voices: list[Voice] = []
    problem = None
    try:
        for voice in _LISTS[name](wanted, is_used):
            voices.append(voice)  # noqa: PERF402 what came before a failure is kept
    except SpeechError as error:
        problem = error.message
    return Engine(name, is_used, voices, problem)


def _pyttsx3(wanted: str | None, is_used: bool) -> Iterator[Voice]:
    engine = load_engine()
    listed = engine.getProperty("voices")
    unknown = None
    try:
        chosen = engine.getProperty("voice") if wanted is None else find_voice(wanted, listed)
    except SpeechError as error:
        chosen, unknown = None, error
    for voice in listed:
        languages = [str(language) for language in voice.languages or []]
        yield Voice(str(voice.id), str(voice.name), languages, is_used and voice.id == chosen)
    if unknown is not None:
        raise unknown


def _piper(wanted: str | None, is_used: bool) -> Iterator[Voice]:
    packaged = piper_voice.packaged_model()
    if packaged is not None:
        yield _piper_voice(packaged, None, is_used=is_used and wanted is None)
    if wanted is not None or packaged is None:
        yield _piper_voice(piper_voice.find_model(wanted), wanted, is_used=is_used)


def _piper_voice(path: Path, id_: str | None, *, is_used: bool) -> Voice:
    try:
        language = json.loads(path.with_name(f"{path.name}.json").read_text("utf-8"))["espeak"]["voice"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SpeechError(
            f"{path}.json is no description of a voice ({error!r}).", code="bad_voice"
        ) from error
    return Voice(id_, path.stem, [str(language)], is_used)


def _wyoming(wanted: str | None, is_used: bool) -> Iterator[Voice]:
    address, name = split_address(wanted)
    if address is None and not is_used:
        return
    listed = wyoming_voice.list_voices(address)
    for voice in listed:
        yield Voice(f"{address}#{voice.name}", voice.name, [voice.language], voice.name == name)
    if name is not None and name not in {voice.name for voice in listed}:
        raise SpeechError(f"{address} has no voice {name!r}.", code="no_such_voice")


_LISTS: dict[str, Callable[[str | None, bool], Iterator[Voice]]] = {
    "pyttsx3": _pyttsx3,
    "piper": _piper,
    "wyoming": _wyoming,
}


if __name__ == "__main__":
    found = catalogue(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)  # noqa: PLR2004 program, engine
    sys.stdout.write(json.dumps([asdict(engine) for engine in found]))
