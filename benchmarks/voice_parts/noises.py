"""What a microphone hears when nobody speaks: noise, music and silence, made up from seeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

RATE = 16_000
Dice = np.random.Generator


def moments(seconds: float) -> Any:
    return np.arange(int(seconds * RATE)) / RATE


def silence(seconds: float, dice: Dice) -> Any:
    return dice.normal(0, 0.0003, moments(seconds).size)


def white(seconds: float, dice: Dice) -> Any:
    return dice.normal(0, 10 ** dice.uniform(-3, -0.7), moments(seconds).size)


def pink(seconds: float, dice: Dice) -> Any:
    """A fan, a road, the sea: each octave as loud as the next; it swells and ebbs."""
    size = moments(seconds).size
    spectrum = np.fft.rfft(dice.normal(0, 1, size))
    shaped = np.fft.irfft(spectrum / np.sqrt(np.arange(1, spectrum.size + 1)), size)
    swell = 1 + 0.5 * np.sin(2 * np.pi * dice.uniform(0.1, 1) * moments(seconds))
    return 10 ** dice.uniform(-2.5, -0.8) * swell * shaped / shaped.std()


def hum(seconds: float, dice: Dice) -> Any:
    mains = dice.choice([50.0, 60.0])
    parts = (dice.uniform(0, 0.3) / order * tone(seconds, mains * order) for order in (1, 2, 3, 5))
    return sum(parts) + silence(seconds, dice)


def door(seconds: float, dice: Dice) -> Any:
    """Slams: a burst that dies away, low as wood is."""
    return _events(seconds, dice, every_s=2.0, length_s=0.5, sound=_slam)


def keyboard(seconds: float, dice: Dice) -> Any:
    return _events(seconds, dice, every_s=0.15, length_s=0.03, sound=_click)


def breath(seconds: float, dice: Dice) -> Any:
    """Into a close microphone: noise shaped by a mouth, a second long."""
    return _events(seconds, dice, every_s=3.0, length_s=1.2, sound=_puff)


def music(seconds: float, dice: Dice) -> Any:
    """Chords, a melody with vibrato, and drums."""
    beat = 60 / dice.uniform(80, 140)
    sound, root = np.zeros(moments(seconds).size), 110.0
    for index in range(int(seconds / beat)):
        start = int(index * beat * RATE)
        if index % 4 == 0:
            root = 110 * 2 ** (dice.choice([0, 3, 5, 7, 8]) / 12)
        for step in (0, 4, 7):
            _mix(sound, start, 0.05 * _note(root * 2 ** (step / 12), beat, dice, vibrato=0.0))
        melody = root * 2 ** (dice.choice([0, 2, 4, 5, 7, 9, 11, 12]) / 12 + 1)
        _mix(sound, start, 0.12 * _note(melody, beat, dice, vibrato=0.02))
        _mix(sound, start, 0.3 * (_slam(0.2, dice) if index % 2 == 0 else _click(0.1, dice)))
    return sound


KINDS: dict[str, Callable[[float, Dice], Any]] = {
    "silence": silence,
    "white noise": white,
    "pink noise": pink,
    "mains hum": hum,
    "door": door,
    "keyboard": keyboard,
    "breath": breath,
    "music": music,
}


def takes(minutes: float, take_s: float = 5.0) -> Iterator[tuple[str, bytes]]:
    """As many takes as fill the minutes, of each kind in turn; always the same ones."""
    kinds = list(KINDS)
    for index in range(int(minutes * 60 / take_s)):
        kind = kinds[index % len(kinds)]
        sound = KINDS[kind](take_s, np.random.default_rng(index)) + silence(
            take_s, np.random.default_rng(index)
        )
        yield kind, (np.clip(sound, -1, 1) * 32_767).astype("<i2").tobytes()


def tone(seconds: float, hz: float) -> Any:
    return np.sin(2 * np.pi * hz * moments(seconds))


def _events(
    seconds: float, dice: Dice, *, every_s: float, length_s: float, sound: Callable[[float, Dice], Any]
) -> Any:
    whole = silence(seconds, dice)
    at = dice.uniform(0, every_s)
    while at < seconds:
        _mix(whole, int(at * RATE), sound(length_s, dice))
        at += every_s * dice.uniform(0.5, 1.5)
    return whole


def _mix(whole: Any, start: int, part: Any) -> None:
    room = whole[start : start + part.size]
    room += part[: room.size]


def _slam(length_s: float, dice: Dice) -> Any:
    time = moments(length_s)
    low = np.cumsum(dice.normal(0, 1, time.size))
    low -= np.linspace(low[0], low[-1], time.size)
    return 0.8 * low / np.abs(low).max() * np.exp(-time * dice.uniform(10, 25)) * np.sign(dice.normal())


def _click(length_s: float, dice: Dice) -> Any:
    time = moments(length_s)
    return dice.normal(0, dice.uniform(0.1, 0.4), time.size) * np.exp(-time * 250)


def _puff(length_s: float, dice: Dice) -> Any:
    time = moments(length_s)
    spectrum = np.fft.rfft(dice.normal(0, 1, time.size))
    hz = np.fft.rfftfreq(time.size, 1 / RATE)
    mouth = sum(np.exp(-(((hz - peak) / 300) ** 2)) for peak in (500, 1500, 2500)) + 0.1
    sound = np.fft.irfft(spectrum * mouth, time.size)
    return dice.uniform(0.02, 0.2) * sound / np.abs(sound).max() * np.sin(np.pi * time / length_s)


def _note(hz: float, length_s: float, dice: Dice, *, vibrato: float) -> Any:
    time = moments(length_s)
    wave = hz * (1 + vibrato * np.sin(2 * np.pi * 5.5 * time))
    phase = 2 * np.pi * np.cumsum(wave) / RATE + dice.uniform(0, 6)
    tones = sum(np.sin(order * phase) / order**1.3 for order in range(1, 9))
    return tones * np.minimum(time * 30, 1) * np.exp(-1.5 * time / length_s)
