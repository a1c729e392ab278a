"""The control API on a Unix socket: Starlette on uvicorn's HTTP parser, for this user only.

omniid binds the socket itself, under a umask that gives nobody else a moment's access, and every connection's
peer must have our uid before a byte of it is read. A request that a web page could have caused is refused.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from omniid.control import openapi, peer
from omniid.control.schema import (
    EVENTS_PATH,
    MAX_BODY_BYTES,
    METRICS_PATH,
    OPENAPI_PATH,
    VERBS,
    Problem,
    Verb,
)
from omniid.control.stream import EventHub
from omniid.errors import BadRequestError, ConfigError, OmniidError

log = structlog.get_logger()

_DRAINED_BYTES = 64 * 1024 * 1024
_LONGEST_PATH_BYTES = 103  # sun_path is 104 bytes on macOS, 108 on Linux


@dataclass(frozen=True, slots=True)
class Call:
    """One request, checked: the id in its path, its body, the caller's idempotency key, its query."""

    id: str
    body: Any
    idempotency_key: str | None
    query: Mapping[str, str]


Metrics = tuple[bytes, str]  # the text, and its media type
Handler = Callable[[Call], Awaitable[BaseModel]]


class ControlServer:
    """Serves `handlers` (one for each verb's name) and the event stream."""

    def __init__(
        self,
        handlers: Mapping[str, Handler],
        hub: EventHub,
        snapshot: Callable[[], Awaitable[BaseModel]],
        metrics: Callable[[], Awaitable[Metrics]],
    ) -> None:
        self._hub = hub
        self._snapshot = snapshot
        self._read_metrics = metrics
        routes = [
            Route(verb.path, _endpoint(verb, handlers[verb.name]), methods=[verb.method]) for verb in VERBS
        ]
        routes.append(Route(EVENTS_PATH, self._events))
        routes.append(Route(METRICS_PATH, self._metrics))
        routes.append(Route(OPENAPI_PATH, _openapi))
        self.app = Starlette(
            routes=routes,
            exception_handlers={OmniidError: _on_error, HTTPException: _on_http_error, Exception: _on_crash},
        )
        self.app.router.redirect_slashes = False

    @contextlib.asynccontextmanager
    async def serving(self, sock: socket.socket) -> AsyncIterator[None]:
        """Serve on a bound socket until the block ends; then every stream is ended and the socket closed.

        The protocol class is driven without uvicorn's own server loop, which would wake ten times a second.
        """
        config = Config(self.app, lifespan="off", log_config=None, access_log=False, ws="none", http="h11")
        config.load()
        state = ServerState()
        server = await asyncio.get_running_loop().create_unix_server(
            lambda: _OwnUserOnly(config, state, {}), sock=sock
        )
        try:
            yield
        finally:
            server.close()
            self._hub.close()
            for connection in list(state.connections):
                connection.shutdown()
            await _finish(state.tasks)

    async def _events(self, request: Request) -> Response:
        _refuse_browsers(request)
        since = request.query_params.get("since")
        if since is not None and not since.isdecimal():
            raise BadRequestError("since should be the number of an event, such as since=42.")
        stream = self._hub.read(None if since is None else int(since), self._snapshot)
        return StreamingResponse(stream, media_type="text/event-stream")

    async def _metrics(self, request: Request) -> Response:
        _refuse_browsers(request)
        text, media_type = await self._read_metrics()
        return Response(text, media_type=media_type)


class _OwnUserOnly(H11Protocol):
    """Drops a connection of another user before a byte of it is read."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        sock = transport.get_extra_info("socket")
        if not peer.is_ours(sock):
            log.warning("control connection of another user refused", uid=peer.uid(sock))
            transport.abort()


def bind(path: Path) -> socket.socket:
    """A listening Unix socket of mode 0600. The caller holds the owner lock, so what lies there is stale.

    Raises:
        ConfigError: the path is too long for a Unix socket, or something else lies there.
        OSError: the folder does not allow it.
    """
    if len(os.fsencode(path)) > _LONGEST_PATH_BYTES:
        raise ConfigError(
            f"{path} is too long for a Unix socket ({_LONGEST_PATH_BYTES} bytes at most). "
            "Set control.socket to a shorter path."
        )
    if path.exists() and not path.is_socket():
        raise ConfigError(f"{path} is no socket, and is left alone. Set control.socket to another path.")
    path.unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    before = os.umask(0o177)
    try:
        sock.bind(str(path))
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(before)
    sock.listen(128)
    sock.setblocking(False)
    return sock


def _endpoint(verb: Verb, handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    async def serve(request: Request) -> Response:
        _refuse_browsers(request)
        body = await _body(request, verb)
        key = request.headers.get("idempotency-key") or None
        answer = await handler(Call(request.path_params.get("id", ""), body, key, request.query_params))
        return JSONResponse(answer.model_dump(mode="json"))

    return serve


async def _openapi(request: Request) -> Response:
    _refuse_browsers(request)
    return JSONResponse(openapi.document())


def _refuse_browsers(request: Request) -> None:
    if "origin" in request.headers or "referer" in request.headers:
        raise HTTPException(403, "The control API does not answer web pages.")


async def _body(request: Request, verb: Verb) -> BaseModel | None:
    raw = await _read_limited(request)
    if verb.request is None:
        return None
    try:
        return verb.request.model_validate_json(raw or b"{}")
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        if first["type"] == "json_invalid":
            raise BadRequestError(
                f"The request body is not valid JSON: {first['ctx']['error']}.", code="invalid_json"
            ) from error
        where = ".".join(str(part) for part in first["loc"])
        message = first["msg"].replace("Input should be", "should be")
        raise HTTPException(422, f"{where}: {message}. {OPENAPI_PATH} describes the request.") from error


async def _read_limited(request: Request) -> bytes:
    """The body; one that is too large is read to its end all the same, so that the caller hears the no."""
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size <= MAX_BODY_BYTES:
            pieces.append(piece)
        elif size > _DRAINED_BYTES:
            break
    if size > MAX_BODY_BYTES:
        raise HTTPException(413, f"The request is larger than {MAX_BODY_BYTES:,} bytes. Send a smaller one.")
    return b"".join(pieces)


async def _on_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, OmniidError)  # noqa: S101 registered for this class
    return _problem(error.http_status, error.message, error.code)


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 registered for this class
    detail = str(error.detail)
    if error.status_code == 404:  # noqa: PLR2004 an HTTP status
        detail = f"There is no {request.url.path}. {OPENAPI_PATH} lists what there is."
    elif error.status_code == 405:  # noqa: PLR2004 an HTTP status
        detail = f"{request.url.path} does not take {request.method}. {OPENAPI_PATH} lists what there is."
    code = {403: "refused", 404: "not_found", 405: "bad_method", 413: "too_large", 422: "bad_request"}
    return _problem(error.status_code, detail, code.get(error.status_code, "failed"), error.headers)


async def _on_crash(_: Request, error: Exception) -> Response:
    log.error("control request failed", exc_info=error)
    return _problem(500, "omniid failed at this request. Its log says why.", "failed")


def _problem(status: int, detail: str, code: str, headers: Mapping[str, str] | None = None) -> Response:
    problem = Problem(title=code.replace("_", " ").capitalize(), status=status, detail=detail, code=code)
    return Response(
        json.dumps(problem.model_dump()), status, dict(headers or {}), media_type="application/problem+json"
    )


async def _finish(tasks: set[asyncio.Task[None]]) -> None:
    """Let requests in progress end, for a second at most."""
    if not tasks:
        return
    _, slow = await asyncio.wait(list(tasks), timeout=1.0)
    for task in slow:
        task.cancel()
