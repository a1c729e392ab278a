"""`omniid voices`: which voices there are, which one speaks, and how to choose another."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Annotated, Any

import typer

from omniid.cli.output import JsonFlag, fitted, print_json, printable
from omniid.errors import EXIT_FAILED, SpeechError

_WITHIN_S = 20.0
_FEW_VOICES = 12
_INDENT = 4


def voices(
    *,
    all_: Annotated[
        bool, typer.Option("--all", help="List every voice, not the first dozen an engine.")
    ] = False,
    json_: JsonFlag = False,
) -> None:
    """List the voices. speech.engine takes an engine's name and speech.voice what stands first in a line.

    Exit code 1 if the voice that is configured cannot be used.
    """
    from omniid import config  # noqa: PLC0415 pydantic, which other verbs do without

    speech = config.load_default().speech
    engines = find_voices(speech.engine, speech.voice)
    used = next((engine for engine in engines if engine["is_used"]), None)
    if json_:
        print_json({"engine": speech.engine, "voice": speech.voice, "engines": engines})
    else:
        for engine in engines:
            _print(engine, len(engine["voices"]) if all_ else _FEW_VOICES)
        print(fitted(_how_to_choose(speech.engine), 0))
    if used is not None and used["problem"] is not None:
        raise typer.Exit(EXIT_FAILED)


def find_voices(engine: str, voice: str | None, *, within_s: float = _WITHIN_S) -> list[dict[str, Any]]:
    """What `omniid.speech.catalogue` sees, under a deadline: engines with `voices` and `problem`.

    Raises:
        SpeechError: it did not answer, or died.
    """
    command = [sys.executable, "-P", "-m", "omniid.speech.catalogue", engine]
    command += [] if voice is None else [voice]
    try:
        done = subprocess.run(command, capture_output=True, timeout=within_s, check=True)  # noqa: S603 ourselves
        engines: list[dict[str, Any]] = json.loads(done.stdout)
    except subprocess.TimeoutExpired as error:
        raise SpeechError(
            f'The voice engines did not answer within {within_s:g} s. Try speech.engine = "pyttsx3".',
            code="voice_hung",
        ) from error
    except (subprocess.CalledProcessError, ValueError) as error:
        raise SpeechError(f"The voice engines cannot be asked ({error}).") from error
    return engines


def _print(engine: dict[str, Any], most: int) -> None:
    print(f"{engine['name']}{'  [used]' if engine['is_used'] else ''}:")
    listed = _nearest_first(engine["voices"])
    for voice in listed[:most]:
        print(fitted(f"  {_line(voice)}", _INDENT))
    if len(listed) > most:
        print(f"  and {len(listed) - most} others (--all lists them)")
    if engine["problem"] is not None:
        print(fitted(f"  {printable(engine['problem'])}", _INDENT))
    elif not listed:
        print("  set speech.voice to the address of a server, such as tcp://192.0.2.7:10200")


def _nearest_first(voices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The one that speaks, then those of its language."""
    spoken = {language[:2] for voice in voices if voice["is_used"] for language in voice["languages"]}
    return sorted(
        voices,
        key=lambda voice: (not voice["is_used"], spoken.isdisjoint(each[:2] for each in voice["languages"])),
    )


def _line(voice: dict[str, Any]) -> str:
    name = printable(voice["name"])
    chosen_by = printable(voice["id"]) if voice["id"] is not None else f"{name} (leave speech.voice unset)"
    about = [] if voice["id"] in {None, voice["name"]} else [name]
    about += [printable(language) for language in voice["languages"] if language]
    return f"{chosen_by}  ({', '.join(about)}){'  [used]' if voice['is_used'] else ''}"


def _how_to_choose(engine: str) -> str:
    silent = "omniid does not speak (speech.engine is none). " if engine == "none" else ""
    return f'{silent}Choose in the configuration: [speech] engine = "pyttsx3", voice = "gmw/en".'
