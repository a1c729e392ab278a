"""Certificates of an authority that lives for one test."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import trustme

Certificate = Literal["right", "wrong host", "expired", "unknown authority"]
_EARLIER = timedelta(days=400)


class Authority:
    """`ca_file` is what a client has to trust."""

    def __init__(self, folder: Path) -> None:
        self._ca = trustme.CA()
        self.ca_file = folder / "ca.pem"
        self._ca.cert_pem.write_to_path(str(self.ca_file))

    def context(self, certificate: Certificate = "right", host: str = "127.0.0.1") -> ssl.SSLContext:
        """A server's side of TLS, for a server that is reached as `host`."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._issue(certificate, host).configure_cert(context)
        return context

    def _issue(self, certificate: Certificate, host: str) -> trustme.LeafCert:
        match certificate:
            case "right":
                return self._ca.issue_cert(host)
            case "wrong host":
                return self._ca.issue_cert("elsewhere.example")
            case "expired":
                now = datetime.now(UTC)
                return self._ca.issue_cert(host, not_before=now - _EARLIER, not_after=now - timedelta(days=1))
            case "unknown authority":
                return trustme.CA().issue_cert(host)
