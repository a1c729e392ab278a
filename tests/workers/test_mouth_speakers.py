"""The real mouth on a real sound server whose named speaker is away, is pulled, and comes back."""

from __future__ import annotations

import socket

import pytest
from support.mouth import MouthProcess, loud_seconds, mouth
from support.pipewire import server
from support.pulse import PulseServer, pulse, wait_for

from omniid.workers.channel import SpeechFinished

__all__ = ["pulse", "server"]

NAME = "headset"
TEXT = "This is a rather long sentence, so that there is time to pull the speaker while it is heard. " * 2
AWAY = f"The speaker '{NAME}' is not there; the system's own is used."


def spoken(child: MouthProcess, utterance_id: str) -> str:
    """Said as the one before it was; the first word of the device it was said on."""
    child.say(utterance_id, "Over here.")
    device = child.started(utterance_id).device.partition(" ")[0]
    assert child.receive() == SpeechFinished(utterance_id, "spoken")
    return device


def plug_in(pulse: PulseServer) -> None:
    pulse.add_sink(NAME)
    pulse.keep_warm(NAME)


def streams_of_speech(pulse: PulseServer) -> list[list[str]]:
    """Number, sink, client and more of the mouth's streams: they alone are mono."""
    streams = [line.split("\t") for line in pulse.pactl("list", "short", "sink-inputs").splitlines()]
    return [stream for stream in streams if " 1ch " in stream[-1]]


def sinks_with_speech(pulse: PulseServer) -> set[str]:
    names = dict(line.split("\t")[:2] for line in pulse.pactl("list", "short", "sinks").splitlines())
    return {names[stream[1]] for stream in streams_of_speech(pulse)}


def throw_out(pulse: PulseServer) -> None:
    """The server ends its connection with the mouth, at once with the stream on it."""
    path = str(pulse.folder / "cli.sock")
    pulse.pactl("load-module", "module-cli-protocol-unix", f"socket={path}")
    stream, _, client, *_ = streams_of_speech(pulse)[0]
    with socket.socket(socket.AF_UNIX) as orders:
        orders.connect(path)
        orders.sendall(f"kill-client {client}\n".encode())
        wait_for(
            lambda: all(each[0] != stream for each in streams_of_speech(pulse)), "the mouth is thrown out"
        )


def test_the_systems_own_stands_in_until_the_speaker_is_plugged_in(server: PulseServer) -> None:
    with mouth(server.env, output_device=NAME) as child:
        with server.record() as heard:
            child.say("1", "Over here.")
            assert str(child.noted()).startswith(AWAY)
            assert child.started("1").device.partition(" ")[0] != NAME
            assert child.receive() == SpeechFinished("1", "spoken")
        loud_seconds(heard)
        assert spoken(child, "2") != NAME  # and nothing is noted again
        plug_in(server)
        with server.record(f"{NAME}.monitor") as heard:
            child.say("3", "Over here.")
            assert child.noted() is None
            assert child.started("3").device.partition(" ")[0] == NAME
            assert child.receive() == SpeechFinished("3", "spoken")
        loud_seconds(heard)
        assert spoken(child, "4") == NAME


def test_pulled_in_mid_sentence_it_speaks_on_and_the_speaker_is_used_again_when_it_is_back(
    server: PulseServer,
) -> None:
    plug_in(server)
    with mouth(server.env, output_device=NAME) as child:
        child.say("1", TEXT)
        assert child.started("1").device.partition(" ")[0] == NAME
        assert sinks_with_speech(server) == {NAME}
        with server.record() as heard:
            server.remove_sink(NAME)
            assert str(child.noted()).startswith(AWAY)
            assert child.receive() == SpeechFinished("1", "spoken")
        begin, end = loud_seconds(heard)
        assert end - begin > 3.0
        plug_in(server)
        child.say("2", "Over here.")
        assert child.noted() is None
        assert child.started("2").device.partition(" ")[0] == NAME
        assert child.receive() == SpeechFinished("2", "spoken")


def test_pulled_with_its_stream_it_speaks_on_after_it_was_looked_for(pulse: PulseServer) -> None:
    """As on a server that moves no streams: here, because it throws the mouth out."""
    plug_in(pulse)
    with mouth(pulse.env, output_device=NAME) as child:
        child.say("1", TEXT)
        child.started("1")
        with pulse.record() as heard:
            pulse.remove_sink(NAME)
            throw_out(pulse)
            assert str(child.noted()).startswith(AWAY)
            wait_for(
                lambda: sinks_with_speech(pulse) == {"speaker"}, "it is heard on the system's own speaker"
            )
            assert child.receive() == SpeechFinished("1", "spoken")
        begin, end = loud_seconds(heard)
        assert end - begin > 3.0


def test_thrown_out_of_a_speaker_that_is_there_it_goes_on_there_without_a_word(pulse: PulseServer) -> None:
    plug_in(pulse)
    with mouth(pulse.env, output_device=NAME) as child:
        child.say("1", TEXT)
        child.started("1")
        throw_out(pulse)
        wait_for(lambda: sinks_with_speech(pulse) == {NAME}, "it is heard there again")
        assert child.receive() == SpeechFinished("1", "spoken")


def test_voice_and_speaker_are_noted_together_and_cleared_apart(pulse: PulseServer) -> None:
    with mouth(pulse.env, output_device=NAME, engine="piper", voice="/nowhere.onnx") as child:
        child.say("1", "Hello.")
        voice, both = str(child.noted()), str(child.noted())
        assert "'/nowhere.onnx'" in voice
        assert AWAY not in voice
        assert voice in both
        assert AWAY in both
        child.started("1")
        assert child.receive() == SpeechFinished("1", "spoken")
        plug_in(pulse)
        child.say("2", "Hello.")
        assert child.noted() == voice
        assert child.started("2").device == NAME
        assert child.receive() == SpeechFinished("2", "spoken")


@pytest.mark.parametrize("device", [None, NAME])
def test_without_any_speaker_it_says_what_to_do(pulse: PulseServer, device: str | None) -> None:
    pulse.kill()
    with mouth(pulse.env, output_device=device) as child:
        child.say("1", "Hello.")
        failed = child.failed("1")
        assert failed.code == "no_speaker"
        assert "connect one or start the sound server" in failed.message
