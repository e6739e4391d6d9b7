"""plait's client, made to speak one version over one carrier."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any

import plait
from tests.conftest import Authority


@dataclass(frozen=True)
class Way:
    """A version of HTTP and what carries it."""

    version: str
    """``"1.1"`` or ``"2.0"``."""
    tls: bool

    def __str__(self) -> str:
        return f"h{self.version[0]}{'-tls' if self.tls else ''}"

    def open_session(self, authority: Authority, **options: Any) -> plait.ClientSession:
        """Return a session that speaks only this version and trusts ``authority``."""
        return plait.ClientSession(
            connector=plait.TCPConnector(
                ssl=self.ssl_context(authority), http2=self.version == "2.0"
            ),
            **options,
        )

    def ssl_context(self, authority: Authority) -> ssl.SSLContext:
        return authority.client_context()


H1 = Way("1.1", tls=False)
H1_TLS = Way("1.1", tls=True)
H2C = Way("2.0", tls=False)
H2 = Way("2.0", tls=True)
