from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from omniid.audio import portaudio
from omniid.errors import AudioError


class Stream:
    """A stream on no device, so that the turns can be seen without one."""

    def __init__(self) -> None:
        self.is_open = False

    def start(self) -> None:
        self.is_open = True

    def abort(self, *, ignore_errors: bool) -> None:
        assert ignore_errors

    def close(self, *, ignore_errors: bool) -> None:
        assert ignore_errors
        self.is_open = False


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No stream of an earlier test, and none for a later one; no sound server of the machine's own."""
    monkeypatch.setenv("PULSE_SERVER", "unix:/nowhere")
    try:
        portaudio.load()
    except AudioError as error:
        pytest.skip(str(error))
    before, portaudio._use = portaudio._use, portaudio._Use()
    yield
    portaudio._use = before


def test_a_call_that_hangs_holds_nobody_up() -> None:
    goes_on, is_inside = threading.Event(), threading.Event()

    def hang(_sd: object) -> Stream:
        is_inside.set()
        goes_on.wait(60)
        return Stream()

    hanging = threading.Thread(target=portaudio.start, args=(hang,))
    hanging.start()
    assert is_inside.wait(60)
    stream = portaudio.start(lambda _sd: Stream())
    assert stream.is_open
    portaudio.close(stream)
    assert not stream.is_open
    assert portaudio.has_hung()
    goes_on.set()
    hanging.join(60)
    assert not portaudio.has_hung(), "it was only slow"


def test_devices_are_looked_for_anew_only_while_nothing_is_open(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[None] = []
    monkeypatch.setattr(portaudio, "_look_again", lambda _sd: looks.append(None))

    def refuse(_sd: object) -> Stream:
        raise AudioError("no such device")

    with pytest.raises(AudioError):
        portaudio.start(refuse)
    assert len(looks) == 1
    stream = portaudio.start(lambda _sd: Stream())
    with pytest.raises(AudioError):
        portaudio.start(refuse)
    assert len(looks) == 1, "it would have closed the other stream"
    assert stream.is_open
    portaudio.close(stream)
    with pytest.raises(AudioError):
        portaudio.start(refuse)
    assert len(looks) == 2


def test_what_came_later_is_found_at_the_second_look() -> None:
    attempts: list[Stream | None] = [None, Stream()]

    def make(_sd: object) -> Stream:
        stream = attempts.pop(0)
        if stream is None:
            raise AudioError("not there yet")
        return stream

    assert portaudio.start(make).is_open
