"""One run of one child process: spawned in its own group, its output as log lines, its end certain.

The child holds one end of a socket pair, its lifeline; the daemon holds the other. When the daemon dies,
however it dies, the child reads the end of the file and goes. No signal and no polling of a parent's pid is
needed, and it works the same on macOS.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Self

FD = "{fd}"  # this word of a command becomes the number of the child's end of the lifeline
GRACE_S = 1.0
MAX_LINE_CHARS = 2_000
MAX_LINES_PER_S = 50
_READ_BYTES = 65_536

Stream = Literal["stdout", "stderr"]
OnLine = Callable[[Stream, str], None]


def describe_exit(returncode: int) -> str:
    """How a process ended, as the end of a sentence: `returncode` as subprocess gives it."""
    if returncode >= 0:
        return f"exited with status {returncode}"
    try:
        return f"was ended by {signal.Signals(-returncode).name}"
    except ValueError:  # real-time signals have no name
        return f"was ended by signal {-returncode}"


class OutputLines:
    """Turns what a child prints into lines: long ones are cut, a flood is counted instead of passed on."""

    def __init__(self, fd: int, emit: Callable[[str], None]) -> None:
        self._fd = fd
        self._emit = emit
        self._partial = b""
        self._second = 0
        self._in_this_second = 0
        self._dropped = 0
        self._loop = asyncio.get_running_loop()
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._read)
        self._open = True

    def close(self) -> None:
        """Take what is still in the pipe, then close it. Calling it again does nothing."""
        while self._open and self._read():
            pass
        self._end()

    def _read(self) -> bool:
        """One gulp; False when there is nothing (more) to read now."""
        try:
            data = os.read(self._fd, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            self._end()
            return False
        *lines, self._partial = (self._partial + data).split(b"\n")
        for line in lines:
            self._pass_on(line)
        # A line that never ends must not fill the memory.
        self._partial = self._partial[: MAX_LINE_CHARS * 4]
        return True

    def _end(self) -> None:
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._fd)
        os.close(self._fd)
        if self._partial:
            self._pass_on(self._partial)
        self._tell_dropped()

    def _pass_on(self, line: bytes) -> None:
        second = int(self._loop.time())
        if second != self._second:
            self._tell_dropped()
            self._second, self._in_this_second = second, 0
        self._in_this_second += 1
        if self._in_this_second > MAX_LINES_PER_S:
            self._dropped += 1
            return
        text = line.decode(errors="replace").rstrip()
        if text:
            self._emit(text[:MAX_LINE_CHARS])

    def _tell_dropped(self) -> None:
        if self._dropped:
            self._emit(f"({self._dropped} more lines were dropped)")
            self._dropped = 0


class ChildProcess:
    """A running child. Make one with `spawn`; call `end` when done with it, also after it has exited."""

    def __init__(self, process: Process, lifeline: socket.socket, outputs: Sequence[OutputLines]) -> None:
        self.lifeline = lifeline
        self.hang_up: Callable[[], None] = lifeline.close
        self._process = process
        self._outputs = outputs
        self._ended = False

    @classmethod
    async def spawn(
        cls, command: Sequence[str], on_line: OnLine, *, env: Mapping[str, str] | None = None
    ) -> Self:
        """Start `command` with `FD` replaced, no stdin, and its own session.

        Raises:
            OSError: the program cannot be started, or this process has no file descriptor left.
        """
        with contextlib.ExitStack() as on_failure, contextlib.ExitStack() as childs_ends:
            ours, theirs = socket.socketpair()
            on_failure.callback(ours.close)
            childs_ends.callback(theirs.close)
            outputs, write_ends = [], []
            streams: tuple[Stream, ...] = ("stdout", "stderr")
            for stream in streams:
                read_end, write_end = os.pipe()
                childs_ends.callback(os.close, write_end)
                write_ends.append(write_end)
                outputs.append(OutputLines(read_end, _labelled(on_line, stream)))
                on_failure.callback(outputs[-1].close)
            process = await asyncio.create_subprocess_exec(
                *(str(theirs.fileno()) if word == FD else word for word in command),
                stdin=DEVNULL,
                stdout=write_ends[0],
                stderr=write_ends[1],
                pass_fds=(theirs.fileno(),),
                # Ctrl-C in a terminal is for the daemon, which ends its children in order.
                start_new_session=True,
                env=env,
            )
            on_failure.pop_all()
        ours.setblocking(False)
        return cls(process, ours, outputs)

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> int:
        """Wait until it has exited and been reaped; returns what `describe_exit` understands."""
        return await self._process.wait()

    def kill(self) -> None:
        """SIGKILL to the child and all it started."""
        # PermissionError is how macOS speaks of a group that has only zombies left.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)

    async def end(self, *, grace_s: float = GRACE_S) -> None:
        """Hang up, give it `grace_s` seconds to go, then kill it; returns when it has been reaped.

        Also a cancelled call leaves nothing running. Calling it again does nothing.
        """
        if self._ended:
            return
        self._ended = True
        self.hang_up()
        try:
            async with asyncio.timeout(grace_s):
                await self._process.wait()
        except TimeoutError:
            self.kill()
            await self._process.wait()
        finally:
            self.kill()  # what the child itself has started
            for output in self._outputs:
                output.close()


def _labelled(on_line: OnLine, stream: Stream) -> Callable[[str], None]:
    return lambda line: on_line(stream, line)
