"""`python -m omniid.backend`: the embedded backend as a process of its own."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from omniid.errors import EXIT_DONE, OmniidError

_INTERRUPTED = 130
_MAX_PORT = 65_535


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs it; an error of ours is one sentence on stderr and its exit code."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(
        level=options.log_level.upper(),
        stream=sys.stderr,
        format="%(asctime)s omniid.backend %(levelname)s %(message)s",
    )
    # websockets logs each refused handshake with a traceback; nothing of a client's belongs in a log.
    logging.getLogger("websockets").setLevel(logging.CRITICAL)
    try:
        _run(options)
    except OmniidError as error:
        print(f"omniid backend: {error.message}", file=sys.stderr)  # noqa: T201 a command line prints
        return error.exit_code
    except KeyboardInterrupt:
        return _INTERRUPTED
    return EXIT_DONE


def _run(options: argparse.Namespace) -> None:
    import asyncio  # noqa: PLC0415 --help and bad options need none of this

    from omniid.backend.server import serve  # noqa: PLC0415
    from omniid.backend.settings import Settings, TcpAddress, UnixAddress, read_token  # noqa: PLC0415

    data_dir = options.data_dir.expanduser().absolute()
    token = None
    address: UnixAddress | TcpAddress
    if options.port is None:
        address = UnixAddress(options.socket.expanduser().absolute())
    else:
        address = TcpAddress(options.host, options.port, options.allow_remote)
        token = read_token((options.token_file or data_dir / "token").expanduser().absolute())
    asyncio.run(serve(Settings(address, data_dir, token, options.parent_fd, _calendar_dirs(options))))


def _calendar_dirs(options: argparse.Namespace) -> tuple[Path, ...]:
    from omniid.backend.diary.shelf import usual_folders  # noqa: PLC0415 see _run()

    if options.calendar_dir is None:
        return usual_folders(os.environ, Path.home())
    return tuple(folder.expanduser().absolute() for folder in options.calendar_dir)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="omniid backend", description="A local assistant behind the Omnii protocol.", allow_abbrev=False
    )
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--socket", type=Path, metavar="PATH", help="listen on a Unix socket (0600)")
    where.add_argument("--port", type=_port, metavar="N", help="listen on TCP; 0 takes a free port")
    parser.add_argument("--host", default="127.0.0.1", help="with --port: the address (default %(default)s)")
    parser.add_argument("--allow-remote", action="store_true", help="with --port: let other machines in")
    parser.add_argument(
        "--token-file",
        type=Path,
        metavar="PATH",
        help="with --port: the bearer token, made if missing (default: `token` in the data folder; "
        "$OMNIID_BACKEND_TOKEN wins)",
    )
    parser.add_argument("--data-dir", type=Path, metavar="DIR", required=True, help="where the tasks lie")
    parser.add_argument(
        "--calendar-dir",
        type=Path,
        action="append",
        metavar="DIR",
        help="where calendars lie as .ics files, instead of the usual places (repeatable)",
    )
    parser.add_argument(
        "--parent-fd", type=_descriptor, metavar="N", help="end when the other end of this descriptor closes"
    )
    parser.add_argument(
        "--log-level", choices=("debug", "info", "warning", "error"), default="info", help="what stderr gets"
    )
    return parser


def _port(text: str) -> int:
    port = int(text) if text.isascii() and text.isdigit() else -1
    if not 0 <= port <= _MAX_PORT:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; use 0 to {_MAX_PORT}")
    return port


def _descriptor(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"{text!r} is no descriptor; use a number from 0")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
