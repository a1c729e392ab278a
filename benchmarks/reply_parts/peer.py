"""A reply spoken as most programs do it: the whole text is made into a file, then the file is played.

    python peer.py pyttsx3|piper

It says "ready" with its engine loaded, then speaks each line of stdin (JSON text), and falls silent at an
empty one.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import wave
from pathlib import Path

from omniid.speech.voices import make_voice


def main(engine: str) -> None:
    voice = make_voice(engine, voice=None, rate=180, volume=1.0)
    voice.prepare()
    print("ready", flush=True)
    player: subprocess.Popen[bytes] | None = None
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            if player is not None:
                player.kill()
                player.wait()
            if line.strip():
                sound = voice.synthesize(json.loads(line))
                path = Path(folder) / "reply.wav"
                with wave.open(str(path), "wb") as file:
                    file.setnchannels(1)
                    file.setsampwidth(2)
                    file.setframerate(sound.rate)
                    file.writeframes(sound.samples)
                player = subprocess.Popen(["paplay", "--latency-msec=100", str(path)])


if __name__ == "__main__":
    main(sys.argv[1])
