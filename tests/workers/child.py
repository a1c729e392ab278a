"""A small child for the supervisor's tests: `python child.py BEHAVIOUR --channel-fd N`. It knows no audio.

It answers Say("…", text) by what the text asks for.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

from omniid.workers.channel import (
    VERSION,
    ConfigureMouth,
    Message,
    Say,
    SpeechFinished,
    WorkerReady,
    decode,
    encode,
)


def lines(channel: socket.socket) -> Iterator[Message]:
    with channel.makefile("rb") as file:
        for line in file:
            yield decode(line)


def say_aloud(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def answer(channel: socket.socket, say: Say) -> None:
    match say.text.split():
        case ["hang"]:
            time.sleep(600)
        case ["crash"]:
            os.kill(os.getpid(), signal.SIGSEGV)
        case ["exit", status]:
            channel.sendall(encode(SpeechFinished(say.utterance_id, "last words")))
            os._exit(int(status))
        case ["junk"]:
            channel.sendall(b"ALSA lib pcm.c: no such device\n")
        case ["endless"]:
            channel.sendall(b"x" * 3_000_000)
        case ["reversed"]:
            channel.sendall(encode(Say("1", "this is for a child to hear")))
        case ["hangup"]:
            channel.shutdown(socket.SHUT_RDWR)
            time.sleep(600)
        case ["fork"]:
            grandchild = subprocess.Popen(["sleep", "600"])
            channel.sendall(encode(SpeechFinished(say.utterance_id, str(grandchild.pid))))
        case _:
            channel.sendall(encode(SpeechFinished(say.utterance_id, say.text)))


def main(behaviour: str, fd: int) -> None:
    channel = socket.socket(fileno=fd)
    channel.set_inheritable(False)
    match behaviour:
        case "exit_at_once":
            sys.exit(0)
        case "exit_3":
            sys.exit("it cannot start")
        case "silent":
            say_aloud("no end of line")
            time.sleep(600)
        case "deaf":
            channel.sendall(encode(WorkerReady(VERSION, os.getpid())))
            time.sleep(600)
        case "old":
            channel.sendall(encode(WorkerReady(VERSION + 1, os.getpid())))
            time.sleep(600)
        case "chatty":
            say_aloud("noise" * 10_000 + "\n")
            for number in range(5_000):
                say_aloud(f"line {number}\n")
    channel.sendall(encode(WorkerReady(VERSION, os.getpid())))
    for message in lines(channel):
        match message:
            case ConfigureMouth(voice=voice):
                channel.sendall(encode(SpeechFinished("configured", str(voice))))
            case Say() as say:
                answer(channel, say)
    if behaviour == "ignores_eof":
        time.sleep(600)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[3]))
