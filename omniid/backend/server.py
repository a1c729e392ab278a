"""The WebSocket shell: handshake rules, connections, signals. What is said is none of its business."""

from __future__ import annotations

import asyncio
import hmac
import http
import json
import logging
import os
import signal
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial

from websockets import ConnectionClosed, Headers, Request, Response, Subprotocol
from websockets.asyncio.server import Server, ServerConnection
from websockets.asyncio.server import serve as listen

from omniid.backend import conversation, frames
from omniid.backend.desk import Desk
from omniid.backend.listening import listening
from omniid.backend.settings import Settings
from omniid.backend.store import Store
from omniid.errors import ConfigError
from omniid.protocol.messages import SUBPROTOCOL_JSON, CommandPayload

_log = logging.getLogger("omniid.backend")
MAX_FRAME_BYTES = 1024 * 1024
_PING_S = 20.0
_CLOSES_WITHIN_S = 0.4
_ENDS_WITHIN_S = 0.8
# Commands of one connection that wait for the desk; a client that sends more is read no further.
_MAX_WAITING = 64

type_of_check = Callable[[ServerConnection, Request], Response | None]


async def serve(settings: Settings) -> None:
    """Runs the backend until SIGTERM, SIGINT or the parent's end.

    Raises:
        OmniidError: it cannot start; the message says why.
    """
    stop = asyncio.Event()
    with (
        Store(settings.data_dir) as store,
        listening(settings.address) as listener,
        ThreadPoolExecutor(1, thread_name_prefix="desk") as thread,
    ):
        desk = Desk(store)
        _watch(stop, settings.parent_fd)
        server = await _listen(listener, settings.token, partial(_converse, desk, thread))
        try:
            _say_ready(listener)
            await stop.wait()
        finally:
            await _end(server)


async def _listen(
    listener: socket.socket, token: str | None, converse: Callable[[ServerConnection], object]
) -> Server:
    async def handler(connection: ServerConnection) -> None:
        await _until_closed(connection, converse)

    return await listen(
        handler,
        sock=listener,
        process_request=partial(_admit, token),
        select_subprotocol=_subprotocol,
        max_size=MAX_FRAME_BYTES,
        ping_interval=_PING_S,
        ping_timeout=_PING_S,
        close_timeout=_CLOSES_WITHIN_S,
        server_header=None,
    )
