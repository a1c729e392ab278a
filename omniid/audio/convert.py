"""Sound of any rate and number of channels, made 16 kHz mono: for devices that give nothing else."""

from __future__ import annotations

from omniid.audio.frames import RATE


class Converter:
    """Keeps what the resampler needs from one piece for the next, so that no click falls on a seam."""

    def __init__(self, rate: int, channels: int) -> None:
        import soxr  # noqa: PLC0415 - with numpy it is 20 MB; most devices give 16 kHz mono and never need it

        self._channels = channels
        self._resampler = soxr.ResampleStream(rate, RATE, 1, dtype="int16")

    def convert(self, pcm: bytes) -> bytes:
        """Interleaved int16 in; what is complete of it as 16 kHz mono int16 out."""
        import numpy as np  # noqa: PLC0415 - see above

        samples = np.frombuffer(pcm, dtype="<i2").reshape(-1, self._channels)
        mono = samples.mean(axis=1).astype(np.int16)
        return bytes(self._resampler.resample_chunk(mono).tobytes())
