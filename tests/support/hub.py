"""A model hub on loopback: Hugging Face's API as its own client calls it, over real HTTP, with faults.

Two servers: the hub answers questions and redirects large files to a store, as the real one does to its
network of caches.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

COMMIT = "0123456789abcdef0123456789abcdef01234567"
PIECE_BYTES = 8 * 1024
LARGE_BYTES = 1_000  # from here on a file is in LFS
_RESOLVE = re.compile(r"/(?P<repository>[^/]+/[^/]+)/resolve/(?P<commit>[^/]+)/(?P<name>.+)")


@dataclass
class Faults:
    """What goes wrong with one file. Those with a number are used up one by one."""

    cuts: list[int] = field(default_factory=list)  # after so many bytes of an answer the connection is reset
    short: list[int] = field(default_factory=list)  # so many bytes, and called the whole answer
    statuses: list[int] = field(default_factory=list)
    stall_after: int | None = None  # then nothing more comes, until `release`
    wrong: bool = False  # other bytes than those that were sealed
    too_long: bool = False
    ignores_range: bool = False
    error_code: str = ""  # X-Error-Code beside a status


@dataclass
class Request:
    """A request for a file. `start`: the first byte that was asked for. `sent`: how many were given."""

    name: str
    start: int
    sent: int
    authorization: str | None
    is_at_store: bool


class Hub:
    """Repositories with files. All of it may be changed while it serves."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.commit = COMMIT
        self.faults: dict[str, Faults] = {}
        self.api_statuses: list[int] = []
        self.api_error_code = ""
        self.requests: list[Request] = []
        self.description: dict[str, Any] | None = None  # said instead of the truth
        self.stalled = threading.Event()
        self.release = threading.Event()
        self._servers = [
            ThreadingHTTPServer(("127.0.0.1", 0), self._handler(store)) for store in (False, True)
        ]

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self._servers[0].server_port}"

    @property
    def store(self) -> str:
        return f"http://127.0.0.1:{self._servers[1].server_port}"

    def of(self, name: str) -> list[Request]:
        """The requests that were answered with bytes of this file."""
        return [request for request in self.requests if request.name == name and request.sent]

    def sent(self, name: str) -> int:
        return sum(request.sent for request in self.of(name))

    @contextmanager
    def serving(self) -> Iterator[Hub]:
        threads = [threading.Thread(target=server.serve_forever, args=(0.05,)) for server in self._servers]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            self.release.set()
            for server, thread in zip(self._servers, threads, strict=True):
                server.shutdown()
                thread.join()
                server.server_close()

    def describe(self, repository: str) -> dict[str, Any] | None:
        if self.description is not None:
            return self.description
        files = self.repositories.get(repository)
        if files is None:
            return None
        siblings = [_sibling(name, content) for name, content in files.items()]
        return {"id": repository, "sha": self.commit, "siblings": siblings, "private": False, "tags": []}

    def _handler(self, is_store: bool) -> type[BaseHTTPRequestHandler]:
        hub = self

        class Handler(_Handler):
            def do_GET(self) -> None:
                self.serve(hub, is_store=is_store)

        return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_arguments: Any) -> None:
        """Tests look at `Hub.requests`."""

    def serve(self, hub: Hub, *, is_store: bool) -> None:
        path = unquote(urlsplit(self.path).path)
        if path.startswith("/api/models/"):
            self._describe(hub, path.removeprefix("/api/models/"))
            return
        asked = _RESOLVE.fullmatch(path)
        content = asked and hub.repositories.get(asked["repository"], {}).get(asked["name"])
        if not asked or content is None or asked["commit"] != hub.commit:
            self._refuse(404, "EntryNotFound")
            return
        if len(content) >= LARGE_BYTES and not is_store:
            self._redirect(f"{hub.store}{self.path}")
            return
        self._send(hub, asked["name"], content, is_store=is_store)

    def _describe(self, hub: Hub, repository: str) -> None:
        description = hub.describe(repository)
        if hub.api_statuses:
            self._refuse(hub.api_statuses.pop(0), hub.api_error_code)
        elif description is None:
            self._refuse(404, "RepoNotFound")
        else:
            self._answer(200, json.dumps(description).encode(), {"Content-Type": "application/json"})

    def _send(self, hub: Hub, name: str, content: bytes, *, is_store: bool) -> None:
        faults = hub.faults.get(name, Faults())
        request = Request(name, self._start(), 0, self.headers.get("Authorization"), is_store)
        hub.requests.append(request)
        if faults.statuses:
            self._refuse(faults.statuses.pop(0), faults.error_code)
            return
        if faults.wrong:
            content = bytes(byte ^ 0xFF for byte in content)
        is_part = request.start > 0 and not faults.ignores_range
        body = content[request.start :] if is_part else content
        if faults.too_long:
            body += b"more"
        if faults.short:
            body = body[: faults.short.pop(0)]
        self.send_response(206 if is_part else 200)
        if is_part:
            self.send_header("Content-Range", f"bytes {request.start}-{len(content) - 1}/{len(content)}")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
        self.send_header("X-Repo-Commit", hub.commit)
        self.end_headers()
        self._pour(hub, faults, request, body)

    def _pour(self, hub: Hub, faults: Faults, request: Request, body: bytes) -> None:
        cut = faults.cuts.pop(0) if faults.cuts else None
        end = min(len(body), *(limit for limit in (cut, faults.stall_after, len(body)) if limit is not None))
        try:
            while request.sent < end:
                piece = body[request.sent : min(request.sent + PIECE_BYTES, end)]
                self.wfile.write(piece)
                request.sent += len(piece)
        except OSError:  # the client went away
            self.close_connection = True
            return
        if faults.stall_after is not None and end < len(body):
            hub.stalled.set()
            hub.release.wait()
            self.close_connection = True
        elif cut is not None and end < len(body):
            self._reset()

    def _reset(self) -> None:
        """End it as a broken link does; what was sent has to arrive first."""
        self.wfile.flush()
        self.connection.shutdown(socket.SHUT_WR)
        self.connection.settimeout(10)
        self.close_connection = True

    def _start(self) -> int:
        asked = self.headers.get("Range")
        return int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0

    def _redirect(self, where: str) -> None:
        self._answer(302, b"", {"Location": where})

    def _refuse(self, status: int, code: str = "") -> None:
        self._answer(status, b"", {"X-Error-Code": code} if code else {})

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _sibling(name: str, content: bytes) -> dict[str, Any]:
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
    sibling: dict[str, Any] = {"rfilename": name, "size": len(content), "blobId": blob}
    if len(content) >= LARGE_BYTES:
        digest = hashlib.sha256(content).hexdigest()
        sibling["lfs"] = {"sha256": digest, "size": len(content), "pointerSize": 134}
    return sibling
