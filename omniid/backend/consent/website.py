"""The HTTP server of the consent page: one loopback port, one thread a request, a few at a time."""

from __future__ import annotations

import logging
import socket
import threading
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Protocol
from urllib.parse import parse_qs

from omniid.backend.consent import page
from omniid.backend.consent.page import Page

_HOST = "127.0.0.1"
_PATH = "/consent?link="  # one address but for what follows: clients know by it that it is one account
_MAX_BODY_BYTES = 1_024
_REQUEST_S = 10.0
_MAX_REQUESTS = 16
# How soon it is noticed that the website is not needed any more.
_LOOKS_EVERY_S = 0.2
_log = logging.getLogger("omniid.backend")


class Desk(Protocol):
    """Who knows the consents."""

    def needed(self) -> bool: ...
    def show(self, token: str) -> Page: ...
    def decide(self, token: str, form_token: str, choice: str) -> Page | str: ...


class Website:
    """Serves from a thread of its own until the desk needs it no more."""

    def __init__(self, desk: Desk) -> None:
        """Raises OSError where there is no free port."""
        self._server = _Server((_HOST, 0), _Handler)
        self._server.desk = desk
        self._thread = threading.Thread(target=self._serve, name="consent", daemon=True)
        self._thread.start()

    def link(self, token: str) -> str:
        return f"http://{_HOST}:{self._server.server_port}{_PATH}{token}"

    def wait_closed(self) -> None:
        self._thread.join()

    def _serve(self) -> None:
        with self._server as server:
            while server.desk.needed():
                server.handle_request()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    timeout = _LOOKS_EVERY_S
    desk: Desk

    def __init__(self, address: tuple[str, int], handler: type[BaseHTTPRequestHandler]) -> None:
        self._free = threading.BoundedSemaphore(_MAX_REQUESTS)
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Without the name look-up of the original, which may take seconds."""
        self.socket.bind(self.server_address)
        self.server_port = int(self.socket.getsockname()[1])

    def process_request(self, request: socket.socket | tuple[bytes, socket.socket], client: object) -> None:
        if not self._free.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client)
        except RuntimeError:  # no thread can be had
            self._free.release()
            raise

    def process_request_thread(
        self, request: socket.socket | tuple[bytes, socket.socket], client: object
    ) -> None:
        try:
            super().process_request_thread(request, client)
        finally:
            self._free.release()

    def handle_error(self, _request: object, _client: object) -> None:
        """A browser that goes away in mid-answer is no event; the link's token belongs in no log."""
        _log.debug("a request for the consent page broke off")


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = _REQUEST_S

    def do_GET(self) -> None:
        token = self._token()
        if token is not None:
            self._send(self.server.desk.show(token))

    def do_POST(self) -> None:
        token = self._token()
        if token is None:
            return
        if not self._is_own_form():
            words = "This form was sent by another page. Open the link yourself, and choose there."
            self._send(page.plain(HTTPStatus.FORBIDDEN, "Not accepted", words))
            return
        fields = self._fields()
        if fields is None:
            words = "Go back, and choose Allow or Deny."
            self._send(page.plain(HTTPStatus.BAD_REQUEST, "Not understood", words))
            return
        result = self.server.desk.decide(token, fields.get("form", ""), fields.get("choice", ""))
        if isinstance(result, Page):
            self._send(result)
        else:
            self._send(Page(HTTPStatus.SEE_OTHER, ""), {"Location": result})

    def _token(self) -> str | None:
        """The token of a link that came in under our own name; of anything else the answer is sent."""
        # A page elsewhere can let its own name point here, but cannot change what stands in Host.
        if self._one("Host") not in self._own_names():
            words = "This page answers under the address of its own link only."
            self._send(page.plain(HTTPStatus.FORBIDDEN, "Not here", words))
            return None
        if not self.path.startswith(_PATH):
            self._send(page.gone(None))
            return None
        return self.path.removeprefix(_PATH)

    def _is_own_form(self) -> bool:
        """Under `no-referrer` a browser calls our own form's origin null as well; Sec-Fetch-Site tells."""
        if "Origin" not in self.headers:
            return True
        origin = self._one("Origin")
        if origin == "null":
            return self._one("Sec-Fetch-Site") == "same-origin"
        return origin in {f"http://{name}" for name in self._own_names()}

    def _fields(self) -> dict[str, str] | None:
        length = self._one("Content-Length") or ""
        if not (length.isascii() and length.isdigit()) or int(length) > _MAX_BODY_BYTES:
            return None
        try:
            found = parse_qs(self.rfile.read(int(length)).decode("ascii"), max_num_fields=4)
        except ValueError:
            return None
        return {name: values[0] for name, values in found.items() if len(values) == 1}

    def _one(self, name: str) -> str | None:
        """A header that came once; two of one name are two readings of one request."""
        found: Sequence[str] = self.headers.get_all(name) or ()
        return found[0] if len(found) == 1 else None

    def _own_names(self) -> set[str]:
        port = self.server.server_port
        return {f"{_HOST}:{port}", f"localhost:{port}"}

    def _send(self, shown: Page, more: dict[str, str] | None = None) -> None:
        body = shown.body.encode()
        self.send_response(shown.status)
        for name, value in {**shown.headers(), **(more or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, _message: str | None = None, _explain: str | None = None) -> None:
        """What http.server itself refuses: a method, a line or a header it does not take."""
        _log.debug("a request for the consent page was refused with %d", code)
        self.close_connection = True
        words = "A browser that opens the link gets the right page."
        self._send(page.plain(code, "Not understood", words))

    def version_string(self) -> str:
        return "omniid"

    def log_message(self, *_: object) -> None:
        """Nothing: the path holds the link's token."""
