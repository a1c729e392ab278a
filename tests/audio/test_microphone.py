"""The microphone itself, in a program of its own beside a real sound server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support.ear import write_wav
from support.pulse import PulseServer, pulse

from omniid.audio.keeper import LONGEST_RETRY_S, retry_delay

__all__ = ["pulse"]

# A device that refuses 16 kHz mono, as sound cards without a sound server do; all else is real.
RECORD = """
import sys
from omniid.audio import portaudio
from omniid.audio.microphone import Microphone
make = Microphone._stream
def picky(self, sd, index, rate, channels):
    if rate == 16_000:
        raise sd.PortAudioError("Invalid sample rate", -9997)
    return make(self, sd, index, rate, channels)
Microphone._stream = picky
microphone = Microphone(sys.argv[1])
microphone.listen()
microphone.open()
sound = bytearray()
while len(sound) < 32_000 * 2:
    block = microphone.read(1.0)
    sound += block.pcm if block else b""
assert microphone.close(5.0)
open(sys.argv[2], "wb").write(sound)
"""


@pytest.mark.parametrize(
    "form",
    [
        ("rate=44100", "channels=2"),
        ("rate=48000", "channels=1", "channel_map=mono"),
        ("rate=96000", "channels=8"),
    ],
)
def test_a_device_without_16_khz_mono_is_resampled(
    pulse: PulseServer, tmp_path: Path, form: tuple[str, ...]
) -> None:
    pulse.pactl("load-module", "module-null-sink", "sink_name=odd", *form)
    pulse.keep_warm("odd")
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(16_000 * 20) / 16_000)
    sound = write_wav(tmp_path / "tone.wav", (tone * 32_767).astype("<i2").tobytes())
    player = pulse.start_speaking(sound, "odd")
    try:
        heard_in = tmp_path / "heard.raw"
        command = [sys.executable, "-c", RECORD, "odd.monitor", str(heard_in)]
        subprocess.run(command, env=pulse.env, timeout=60, check=True, stderr=subprocess.DEVNULL)
    finally:
        player.kill()
        player.wait()
    heard = np.frombuffer(heard_in.read_bytes(), "<i2").astype(float)[8_000:]
    strongest = np.argmax(np.abs(np.fft.rfft(heard))) * 16_000 / len(heard)
    assert strongest == pytest.approx(440, abs=2), "a mislabelled rate would be heard as another pitch"
    assert np.abs(heard).max() == pytest.approx(0.3 * 32_767, rel=0.1)


def test_a_microphone_that_went_away_is_looked_for_ever_more_seldom() -> None:
    delays = [retry_delay(failures) for failures in range(1_000)]
    assert delays[:5] == [1, 2, 4, 8, 16]
    assert max(delays) == delays[-1] == LONGEST_RETRY_S
