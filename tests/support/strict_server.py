"""A strict recording server in its own process, for what kills omniid or measures it.

    python -m support.strict_server --log FILE [--echo] [--features correlate,dedupe,batch] [--delay-ms N]

It prints its port on one line, appends each requestId that it receives to FILE, one a line, before it
replies, and ends with its standard input. It exits with 1 when the client broke the protocol, and says how
on standard error.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from support.peer import MSGPACK, Command, Peer, reply, reply_after

_HERE = Path(__file__).parent.parent


@contextlib.contextmanager
def strict_server(log: Path, *options: str) -> Iterator[int]:
    """The port of a server in a child process; afterwards the client must not have broken the protocol."""
    child = subprocess.Popen(
        [sys.executable, "-m", "support.strict_server", "--log", str(log), *options],
        cwd=_HERE,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None
        yield int(child.stdout.readline())
        child.communicate()
    assert child.returncode == 0


def received(log: Path) -> list[str]:
    """The ids in a log, in the order in which they came."""
    return log.read_text().split() if log.exists() else []


def _parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m support.strict_server")
    parser.add_argument("--log", type=Path, required=True, metavar="FILE")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--echo", action="store_true", help="name the command in each reply")
    parser.add_argument("--features", default="", metavar="LIST", help="what the hello names, with commas")
    parser.add_argument("--msgpack", action="store_true", help="take MessagePack if it is offered")
    parser.add_argument("--delay-ms", type=float, default=0.0, metavar="N", help="before each reply")
    return parser.parse_args()


async def _serve(options: argparse.Namespace) -> int:
    log = os.open(options.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def record(command: Command) -> None:
        os.write(log, f"{command.request_id}\n".encode())  # in the kernel at once: a reply never precedes it

    peer = Peer(
        then=reply_after(options.delay_ms / 1000) if options.delay_ms else reply,
        features=[name for name in options.features.split(",") if name],
        echo=options.echo,
        subprotocols=[MSGPACK] if options.msgpack else (),
        port=options.port,
        keeps=False,
        on_command=record,
    )
    try:
        async with peer.listening():
            print(peer.port, flush=True)  # noqa: T201 the parent reads it
            await asyncio.to_thread(sys.stdin.read)
    finally:
        os.close(log)
    for breach in peer.breaches:
        print(breach, file=sys.stderr)  # noqa: T201 the person who runs it reads it
    return 1 if peer.breaches else 0


if __name__ == "__main__":
    sys.exit(asyncio.run(_serve(_parsed())))
