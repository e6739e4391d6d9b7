"""Which version of HTTP a client speaks with a server.

On TLS the client offers versions by ALPN and the server chooses (RFC 7301; RFC 9113 section
3.2).  On cleartext the client knows beforehand or speaks HTTP/1.1 (RFC 9113 section 3.3).  A
server that answers HTTP_1_1_REQUIRED (RFC 9113 section 7) is remembered.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

from plait_engine.engines import ALPN_PROTOCOLS

MAX_HTTP1_SERVERS: Final = 1024
"""Servers that asked for HTTP/1.1 that are remembered."""

ServerT = TypeVar("ServerT", bound=Hashable)


class Versions(Generic[ServerT]):
    """The versions that a client speaks, and what servers have asked for.

    ``http2``: ``None``: HTTP/2 where ALPN chooses it, HTTP/1.1 on cleartext; ``True``: HTTP/2
    only, by prior knowledge on cleartext; ``False``: HTTP/1.1 only.
    """

    __slots__ = ("_http1_servers", "http2")

    def __init__(self, http2: bool | None) -> None:
        self.http2 = http2
        self._http1_servers: OrderedDict[ServerT, None] = OrderedDict()

    def require_http1(self, server: ServerT) -> None:
        """``server`` wants HTTP/1.1."""
        self._http1_servers[server] = None
        if len(self._http1_servers) > MAX_HTTP1_SERVERS:
            self._http1_servers.popitem(last=False)

    def requires_http1(self, server: ServerT) -> bool:
        """Tell whether ``server`` wants HTTP/1.1."""
        return bool(self._http1_servers) and server in self._http1_servers

    def offers(self, *, http1_only: bool = False) -> tuple[str, ...]:
        """Return what to offer by ALPN, the best first."""
        if http1_only or self.http2 is False:
            return ("http/1.1",)
        return ("h2",) if self.http2 else ALPN_PROTOCOLS

    def may_share(self, *, secure: bool, http1_only: bool = False) -> bool:
        """Tell whether a connection that is still to be opened may speak HTTP/2."""
        if http1_only or self.http2 is False:
            return False
        return secure or self.http2 is True

    def spoken(self, negotiated: str | None, *, secure: bool, http1_only: bool = False) -> str:
        """Return the version of a connection; ``negotiated``: what the server chose by ALPN."""
        if negotiated is not None:
            return negotiated
        prior_knowledge = self.http2 is True and not secure and not http1_only
        return "h2" if prior_knowledge else "http/1.1"
