"""The daemon's log: structlog to standard error, for people on a terminal, as JSON lines elsewhere."""

from __future__ import annotations

import logging
import sys
from io import TextIOBase
from typing import TextIO, cast

import structlog


def configure(level: str, style: str) -> None:
    """Set the log up once, at the start of a process. `style` is auto, text or json."""
    as_json = style == "json" or (style == "auto" and not sys.stderr.isatty())
    number = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=as_json),
            structlog.processors.format_exc_info if as_json else _keep,
            structlog.processors.JSONRenderer()
            if as_json
            else structlog.dev.ConsoleRenderer(
                exception_formatter=structlog.dev.plain_traceback  # the rich one shows tokens and texts
            ),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        cache_logger_on_first_use=True,
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _LastingStream(sys.stderr))),
    )
    # Libraries' own words: only what is wrong, and only in the same place.
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format="%(levelname)s %(name)s %(message)s")


class _LastingStream(TextIOBase):
    """Standard error, but a full disk or a closed pipe behind it must not end the daemon."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        try:
            return self._stream.write(text)
        except OSError:
            return 0  # there is nowhere left to say it

    def flush(self) -> None:
        try:
            self._stream.flush()
        except OSError:
            return


def _keep(_logger: object, _name: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return event
