"""The checks of `omniid doctor`. Each looks at one thing for real and says what to do if it is not well."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from omniid import browser, config, host, probing
from omniid.cli.output import link_words
from omniid.config import Settings
from omniid.control.client import Client
from omniid.errors import ConfigError, NotRunningError, OmniidError

Verdict = Literal["ok", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """`advice` says what to do; it is empty when all is well."""

    name: str
    verdict: Verdict
    detail: str
    advice: str = ""


def run() -> Iterator[Finding]:
    """Every check, as its finding becomes known."""
    try:
        settings = config.load_default()
    except ConfigError as error:
        yield Finding("configuration", "problem", error.message, f"Mend {host.config_file()}.")
        settings = Settings()
    else:
        yield _configuration()
    devices = probe_devices()
    yield _microphone(settings, devices)
    yield _speaker(settings, devices)
    yield _guarded("speech model", lambda: _model(settings))
    yield _guarded("voice", lambda: _voice(settings))
    yield _guarded("database", lambda: _database(settings))
    yield _notifications(settings)
    yield _browser()
    yield from _daemon(settings)


def probe_devices() -> dict[str, Any]:
    """What `omniid.audio.probe` sees, under a deadline."""
    return asyncio.run(probing.probe())


def _configuration() -> Finding:
    path = host.config_file()
    return Finding("configuration", "ok", str(path) if path.exists() else f"defaults ({path} is not there)")


def _microphone(settings: Settings, devices: dict[str, Any]) -> Finding:
    if settings.audio.input_file is not None:
        return Finding("microphone", "ok", f"a file stands in for it: {settings.audio.input_file}")
    return _device("microphone", devices["inputs"], settings.audio.input_device, devices["problem"])


def _speaker(settings: Settings, devices: dict[str, Any]) -> Finding:
    if settings.audio.output_file is not None:
        return Finding("speaker", "ok", f"a file stands in for it: {settings.audio.output_file}")
    return _device("speaker", devices["outputs"], settings.audio.output_device, devices["problem"])


def _device(name: str, found: list[dict[str, Any]], wanted: str | None, problem: str | None) -> Finding:
    if problem is not None:
        return Finding(name, "problem", "none can be used", problem)
    if not found:
        return Finding(
            name, "problem", "none was found", f"Plug in a {name}, or start PipeWire or PulseAudio."
        )
    key = "audio.input_device" if name == "microphone" else "audio.output_device"
    if wanted is None:
        chosen = found[0]
    else:
        fits = [device for device in found if wanted in {device["name"], device["description"]}]
        if not fits:
            names = ", ".join(device["name"] for device in found)
            return Finding(name, "problem", f"no {wanted!r}", f"Set {key} to one of: {names}.")
        chosen = fits[0]
    if chosen["muted"]:
        return Finding(name, "problem", f"{chosen['description']} is muted", "Switch it on in your desktop.")
    if name == "microphone" and chosen["is_monitor"]:
        return Finding(
            name, "warning", f"{chosen['description']} is a speaker's own sound", f"Choose one with {key}."
        )
    return Finding(name, "ok", str(chosen["description"]))


def _model(settings: Settings) -> Finding:
    from omniid.recognition.models import find  # noqa: PLC0415 only doctor's own check needs it

    choice = find(settings.recognition.model)
    return Finding("speech model", "ok", f"{choice.name} ({choice.origin}: {choice.path})")


def _voice(settings: Settings) -> Finding:
    from omniid.cli.voices import find_voices  # noqa: PLC0415 only doctor's own check needs it

    if settings.speech.engine == "none":
        return Finding("voice", "ok", "switched off (speech.engine)")
    engines = find_voices(settings.speech.engine, settings.speech.voice)
    used = next(engine for engine in engines if engine["is_used"])
    if used["problem"] is not None:
        return Finding("voice", "problem", f"{used['name']} cannot speak", used["problem"])
    return Finding("voice", "ok", str(used["name"]))


def _database(settings: Settings) -> Finding:
    from omniid import database_key  # noqa: PLC0415 only doctor's own check needs it

    path, wanted = host.data_dir() / "omniid.db", settings.history.encrypted
    key = asyncio.run(database_key.find(path, encrypted=wanted, makes=False))
    is_encrypted = database_key.is_encrypted(path)
    detail = "encrypted, with its key in the keyring" if is_encrypted else "in clear text"
    if is_encrypted == wanted or not path.exists():
        return Finding("database", "ok", detail if path.exists() else "there is none yet")
    kept = "" if key else " The keyring has no key yet; one is made then."
    how = "encrypted" if wanted else "made clear text again"
    return Finding("database", "warning", detail, f"It is {how} when omniid next starts.{kept}")


def _notifications(settings: Settings) -> Finding:
    from omniid.notifications.contract import NotShownError  # noqa: PLC0415 only doctor's own check needs it

    name = "notifications"
    if not settings.notifications.enabled:
        return Finding(name, "ok", "switched off (notifications.enabled)")
    if sys.platform == "darwin":
        return Finding(name, "ok", "through osascript, without buttons")
    try:
        return Finding(name, "ok", f"shown by {asyncio.run(_notification_server())}")
    except NotShownError as error:
        return Finding(name, "warning", "not shown", str(error))


async def _notification_server() -> str:
    from omniid.notifications.freedesktop import Freedesktop  # noqa: PLC0415 not for macOS

    screen = Freedesktop(lambda _tag, _key: None, lambda: None)
    try:
        return await screen.server()
    finally:
        await screen.close()


def _browser() -> Finding:
    """What would open the page of a sign-in, from the session that doctor runs in."""
    commands = [words[0] for words in browser.launchers("https://localhost/", os.environ)]
    found = next((command for command in commands if shutil.which(command)), None)
    if found is not None:
        return Finding("browser", "ok", f"opened by {found}")
    missing = (
        f"not installed: {', '.join(commands)}" if commands else "no display here, and BROWSER is not set"
    )
    advice = (
        "Pages to sign in on are not opened by themselves; `omniid auth status` prints them, with a QR code."
    )
    return Finding("browser", "warning", missing, advice)


def _daemon(settings: Settings) -> Iterator[Finding]:
    socket = host.control_socket()
    try:
        status = Client(socket).call("GET", "/v1/status")
    except NotRunningError as error:
        yield Finding("daemon", "warning", "not running", error.message)
        return
    yield _link(status, socket)
    yield _key(status, settings)


def _key(status: dict[str, Any], settings: Settings) -> Finding:
    hotkey = status["hotkey"]
    if settings.hotkey.backend == "none":
        return Finding("key", "ok", "none is wanted (hotkey.backend)")
    if hotkey["backend"] is None:
        return Finding("key", "warning", "none is listened for", status["problems"].get("hotkey", ""))
    seen = "press and release" if hotkey["sees_releases"] else "press only: the key toggles"
    return Finding("key", "ok", f"{settings.hotkey.key} through {hotkey['backend']} ({seen})")


def _link(status: dict[str, Any], socket: Path) -> Finding:
    link = f"backend {status['backend']}: {link_words(status['link'])}"
    if status["link"] != "ready":
        advice = f"{status['link_reason'] or 'It has only just started'}. Commands wait meanwhile."
        return Finding("daemon", "problem", f"pid {status['pid']}, {link}", advice)
    return Finding("daemon", "ok", f"pid {status['pid']} on {socket}, {link}")


def _guarded(name: str, check: Callable[[], Finding]) -> Finding:
    try:
        return check()
    except OmniidError as error:
        return Finding(
            name, "problem", "none" if error.code == "model_missing" else "unusable", error.message
        )
