"""`omniid demo`: the whole of omniid at work, on real sound, with everything that happens printed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import wave
from pathlib import Path
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer

from omniid.cli.output import fitted, printable
from omniid.cli.private_daemon import PrivateDaemon
from omniid.errors import OmniidError

_RECORDING = Path("/usr/share/pocketsphinx/test/data/goforward.raw")
_STEP_WITHIN_S = 60.0
_KEY = "the demo's key"
# "Go forward ten meters" is a command no backend here can carry out: an honest no is an answer.
_ANSWERED = ("done", "failed")


def demo(
    *, microphone: Annotated[bool, typer.Option("--microphone", help="Use your own voice.")] = False
) -> None:
    """Show a spoken and a typed command, and one that waits while the backend is away."""
    from omniid.cli.checks import probe_devices  # noqa: PLC0415 pydantic, which other verbs do without

    devices = probe_devices()
    if microphone and not devices["inputs"]:
        raise OmniidError(devices["problem"] or "No microphone was found. Plug one in and try again.")
    _unwind_on_signals()
    folder = Path(tempfile.mkdtemp(prefix="omniid-demo-"))
    audio: dict[str, Path] = {}
    if not microphone:
        audio["input_file"] = folder / "microphone.wav"
    if not devices["outputs"]:
        audio["output_file"] = folder / "speaker.wav"
    try:
        with PrivateDaemon(folder, {"audio": audio}, is_temporary=True) as daemon:
            show = _Show(daemon, audio.get("output_file"))
            if microphone:
                show.welcome("omniid demo: everything below is real")
                show.live()
            else:
                show.welcome("omniid demo: everything below is real; only the microphone is a recording")
                show.everything(audio["input_file"])
    except (KeyboardInterrupt, SystemExit):  # broken off from outside
        shutil.rmtree(folder)
        raise
    _tidy(folder, keep=audio.get("output_file"))


def _unwind_on_signals() -> None:
    """SIGTERM and the end of the terminal end the demo as Ctrl-C does, unless they are ignored."""

    def on_signal(number: int, _frame: FrameType | None) -> NoReturn:
        sys.exit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has it
            signal.signal(number, on_signal)


def _tidy(folder: Path, keep: Path | None) -> None:
    """Leave nothing behind but the sound of the replies."""
    if keep is None:
        shutil.rmtree(folder)
        return
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path != keep:
            path.unlink()


class _Show:
    def __init__(self, daemon: PrivateDaemon, speaker: Path | None) -> None:
        self._daemon = daemon
        self._speaker = speaker

    def welcome(self, title: str) -> None:
        _title(title)
        self._until("link_opened")
        daemon = self._daemon
        status = daemon.status()
        _line("daemon", f"pid {status['pid']}, ready after {daemon.ready_after_s:.2f} s, in {daemon.folder}")
        backend = status["workers"]["backend"]["pid"]
        _line("backend", f"{status['backend']}, pid {backend}, link {status['link']}")
        _line("speaker", f"no sound card: into {self._speaker}" if self._speaker else "the sound card")

    def everything(self, microphone: Path) -> None:
        if _RECORDING.exists():
            _title(f"1. A person speaks: {_RECORDING.name}, from Debian's pocketsphinx-testdata")
            _raw_to_wav(_RECORDING, microphone)
            self._voice(("forward", "meters"))
        else:
            _title("1. Left out: the recording of a person (install pocketsphinx-testdata)")
        _title("2. A command is spoken by a synthetic voice")
        _synthesise("What time is it?", microphone)
        self._voice(("time",))
        _title("3. A command is typed")
        self._typed("Add water the plants to my tasks")
        _title("4. The backend goes away; a command waits on disk; the backend comes back")
        self._outage()
        _title("All of it happened.")
        if self._speaker is not None:
            _line("listen to", str(self._speaker))

    def live(self) -> None:
        while True:
            answer = input("\nPress Enter and talk, Enter again when you are done; q and Enter ends. ")
            if answer.strip().lower() == "q":
                return
            self._key("start")
            self._until("capture_opened")
            input("Listening … ")
            self._key("stop")
            event = self._until("take_recognised", "take_empty", "take_failed")
            if event["event"] == "take_recognised":
                self._follow_to_the_sound()

    # --- the steps ---------------------------------------------------------------------------------------

    def _voice(self, expected: tuple[str, ...]) -> None:
        self._key("start")
        self._until("capture_opened")
        self._until("input_file_ended")
        self._key("stop")
        heard = self._until("take_recognised", "take_empty", "take_failed")
        words = str(heard["data"].get("text", "")).lower()
        if not all(word in words for word in expected):
            raise OmniidError(f"The words {expected} were not recognised in what was said.")
        self._follow_to_the_sound()

    def _typed(self, text: str) -> None:
        command = self._daemon.client.call("POST", "/v1/commands", {"message": text})
        _line("typed", f"{text!r}, accepted as {command['id']}")
        self._follow_to_the_sound()

    def _outage(self) -> None:
        backend = self._daemon.status()["workers"]["backend"]["pid"]
        os.kill(backend, signal.SIGSTOP)
        try:
            _line("backend", f"pid {backend} is frozen, and the link to it is given up")
            self._daemon.client.call("POST", "/v1/reconnect")
            self._until("link_dialling")
            text = "What are my tasks?"
            command = self._daemon.client.call("POST", "/v1/commands", {"message": text})
            _line("typed", f"{text!r}, accepted as {command['id']}")
            self._show_outbox(command["id"])
        finally:
            os.kill(backend, signal.SIGCONT)
        _line("backend", "goes on")
        self._until("link_opened")
        self._follow_to_the_sound()
        state = self._daemon.client.call("GET", f"/v1/commands/{command['id']}")
        if state["state"] != "done" or state["attempts"] != 1:
            raise OmniidError(f"The waiting command is {state['state']} after {state['attempts']} attempts.")
        _line("delivered", f"{command['id']} once, in {state['attempts']} attempt")

    def _show_outbox(self, expected: str) -> None:
        waiting = self._daemon.client.call("GET", "/v1/outbox")["commands"]
        for command in waiting:
            _line("outbox", f"{command['id']} is {command['state']}: {command['message']!r}")
        if [command["state"] for command in waiting if command["id"] == expected] != ["queued"]:
            raise OmniidError("The command does not wait in the outbox.")

    def _key(self, edge: str) -> None:
        self._daemon.client.call("POST", f"/v1/listen/{edge}", {"owner": _KEY})
        _line("key", "down" if edge == "start" else "up")

    def _follow_to_the_sound(self) -> None:
        settled = self._until("command_settled")
        if self._until("speech_started", "speech_failed")["event"] == "speech_failed":
            raise OmniidError("The reply could not be spoken; the problem is named above.")
        command = self._daemon.client.call("GET", f"/v1/commands/{settled['data']['command_id']}")
        if command["state"] not in _ANSWERED:
            raise OmniidError(f"The command is {command['state']}: {command['reason']}.")
        _line("time", _timings(command["timings"]))
        self._until("speech_finished")

    def _until(self, *names: str) -> dict[str, Any]:
        """Print what happens, up to the first event of one of these names."""
        while True:
            event = self._daemon.next_event(_STEP_WITHIN_S)
            if event["event"] == "snapshot" and event["data"]["link"] == "ready" and "link_opened" in names:
                return event
            _narrate(event["event"], event["data"])
            if event["event"] in names:
                return event


def _narrate(name: str, data: dict[str, Any]) -> None:
    match name:
        case "capture_opened":
            _line("microphone", f"open: {data['device']}")
        case "capture_ended":
            _line("microphone", f"closed after {data['duration_s']:.2f} s ({data['cause']})")
        case "take_recognised":
            _line("heard", f"{printable(data['text'])!r}, confidence {data['confidence']:.2f}")
            if data["model_load_s"]:
                _line("", f"model {data['model']}, loaded in {data['model_load_s']:.2f} s while you spoke")
        case "take_empty":
            _line("heard", f"nothing ({data['reason']})")
        case "take_failed" | "speech_failed" | "worker_failed":
            _line("problem", printable(data["message"]))
        case "command_queued":
            _line("command", f"{data['command_id']}, on disk")
        case "command_written":
            _line("sent", _frame(json.loads(data["frame"])))
        case "command_settled":
            _line("received", _frame(data["reply"]["raw"]))
            _line("reply", printable(data["reply"]["content"]))
        case "speech_started":
            _line("spoken", f"through {printable(data['device'])}")
        case "link_lost" | "link_stopped":
            _line("link", printable(data["reason"]))
        case _:
            pass


def _timings(timings: dict[str, int]) -> str:
    """Each stage with the milliseconds since the one before it."""
    parts: list[str] = []
    before = 0
    for stage, at in timings.items():
        parts.append(f"{stage.replace('_', ' ')} +{at - before} ms" if parts else stage.replace("_", " "))
        before = at
    if "released" in timings and "first_sound" in timings:
        parts.append(f"so {timings['first_sound'] - timings['released']} ms from key up to first sound")
    return ", ".join(parts)


def _frame(frame: dict[str, Any]) -> str:
    return printable(json.dumps(frame, ensure_ascii=False))


def _raw_to_wav(raw: Path, path: Path) -> None:
    """16 kHz mono 16-bit samples without a header become a WAV."""
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(16_000)
        out.writeframes(raw.read_bytes())


def _synthesise(text: str, path: Path) -> None:
    """The text spoken into a WAV by the voice omniid itself speaks with."""
    command = [sys.executable, "-m", "omniid.speech.to_file", str(path), text]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=_STEP_WITHIN_S)  # noqa: S603 ourselves
    except subprocess.TimeoutExpired as error:
        raise OmniidError("The voice did not finish a short sentence in a minute.") from error
    except subprocess.CalledProcessError as error:
        raise OmniidError(error.stderr.decode(errors="replace").strip()) from error


def _title(text: str) -> None:
    print(f"\n{text}")


def _line(label: str, text: str) -> None:
    print(fitted(f"  {label:<11} {text}", 14), flush=True)
