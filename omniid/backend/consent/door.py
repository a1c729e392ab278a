"""Opens the website while a consent is open. Light: the HTTP server is imported with the first consent."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import TYPE_CHECKING

from omniid.backend.consent import page, redirect
from omniid.backend.consent.page import Page
from omniid.backend.consent.register import Ask, Asked, Decision, Register, State
from omniid.errors import OmniidError

if TYPE_CHECKING:
    from omniid.backend.consent.website import Website

_log = logging.getLogger("omniid.backend")
Clock = Callable[[], float]
# Carries a decision out: the consent, what the user said of it, and its link.
Decided = Callable[[Ask, Decision, str], None]


class Door:
    """For every thread. `clock` gives monotonic seconds."""

    def __init__(self, *, reaches_others: bool = False, clock: Clock = time.monotonic) -> None:
        self._reaches_others = reaches_others
        self._clock = clock
        self._lock = threading.Lock()
        self._register = Register()
        self._website: Website | None = None
        self._decided: Decided | None = None
        self._closed = False

    def open(self, ask: Ask, decided: Decided) -> str:
        """The link under which the user decides.

        `decided` carries it out, in another thread, before they are told.

        Raises:
            OmniidError: this machine gives no port.
        """
        with self._lock:
            self._decided = decided
            website = self._website or self._opened()
            token = self._register.open(ask, self._clock())
            return website.link(token)

    def close(self) -> None:
        """Closes the website at once; nothing opens it again."""
        with self._lock:
            self._closed = True
            website = self._website
        if website is not None:
            website.wait_closed()

    def needed(self) -> bool:
        """Asked by the website between two requests; at the first no it closes for good."""
        with self._lock:
            if not self._closed and self._clock() < self._register.needed_until():
                return True
            self._website = None
            self._register = Register()
            return False

    def show(self, token: str) -> Page:
        with self._lock:
            asked = self._register.find(token)
            state = asked.state(self._clock()) if asked is not None else None
        if asked is None or state is not State.OPEN:
            return page.gone(state)
        return page.consent(asked, reaches_others=self._reaches_others)

    def decide(self, token: str, form_token: str, choice: str) -> Page | str:
        """The last page, or the URL to which the browser is sent."""
        try:
            decision = Decision(choice)
        except ValueError:
            return page.plain(HTTPStatus.BAD_REQUEST, "Not understood", "Go back, and choose Allow or Deny.")
        with self._lock:
            taken = self._register.take(token, form_token, self._clock())
            website, decided = self._website, self._decided
        if taken is None:
            return self._refused(token)
        if website is None or decided is None:
            return page.gone(None)
        return self._carried_out(taken, decision, decided, website.link(token))

    def _opened(self) -> Website:
        from omniid.backend.consent.website import Website  # noqa: PLC0415 see above

        if self._closed:
            raise OmniidError("The assistant is ending.", code="consent_unavailable")
        try:
            self._website = Website(self)
        except OSError as error:
            raise OmniidError(
                "I need your permission for that, but this computer gives me no port for a page to ask on. "
                "Please try again later.",
                code="consent_unavailable",
            ) from error
        return self._website

    def _carried_out(self, taken: Asked, decision: Decision, decided: Decided, link: str) -> Page | str:
        try:
            decided(taken.ask, decision, link)
        except OmniidError as error:
            _log.error("a consent was not kept: %s", error.message)
            with self._lock:
                self._register.give_back(taken)
            words = f"It could not be saved: {error.message}. Go back, and choose again."
            return page.plain(HTTPStatus.SERVICE_UNAVAILABLE, "Not done yet", words)
        target = taken.ask.redirect
        if decision is Decision.ALLOW:
            return target or page.allowed()
        return redirect.denied(target) if target else page.denied()

    def _refused(self, token: str) -> Page:
        shown = self.show(token)
        if shown.status == HTTPStatus.OK:
            words = "This form is not from the page you were shown. Open the link again."
            return page.plain(HTTPStatus.FORBIDDEN, "Not accepted", words)
        return shown
