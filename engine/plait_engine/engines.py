"""Choose a connection by role, protocol and engine.

Two engines stand behind the one contract of ``connection.Connection``:

* ``"native"``: plait's own state machines, and the default;
* ``"reference"``: h11, h2 and wsproto behind the same contract.  It exists so that anyone
  with an interoperability problem can ask "is it the engine?" by one argument, and as the
  oracle of the tests.  It is slower and has fewer limits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal, TypeAlias

from .config import Config
from .connection import Connection, Role

if TYPE_CHECKING:
    from .websocket import WebSocketConnection

EngineName: TypeAlias = Literal["native", "reference"]
Protocol: TypeAlias = Literal["http/1.1", "h2"]

ALPN_PROTOCOLS: Final = ("h2", "http/1.1")
"""What to offer and accept on TLS, the best first (RFC 7301; RFC 9113 section 3.2)."""


def create_connection(
    role: Role,
    protocol: str = "http/1.1",
    config: Config | None = None,
    *,
    engine: EngineName = "native",
) -> Connection:
    """Return a new connection that speaks ``protocol`` (an ALPN name, RFC 7301).

    Raises ValueError for an unknown protocol or engine.
    """
    config = config or Config()
    if engine == "native":
        if protocol == "http/1.1":
            from .http1 import HTTP1Client, HTTP1Server

            return HTTP1Server(config) if role is Role.SERVER else HTTP1Client(config)
        if protocol == "h2":
            from .http2 import HTTP2Connection

            return HTTP2Connection(role, config)
    elif engine == "reference":
        if protocol == "http/1.1":
            from .reference import ReferenceHTTP1Connection

            return ReferenceHTTP1Connection(role, config)
        if protocol == "h2":
            from .reference import ReferenceHTTP2Connection

            return ReferenceHTTP2Connection(role, config)
    else:
        raise ValueError(f"unknown engine: {engine!r}")
    raise ValueError(f"unknown protocol: {protocol!r}")


def websocket_class(engine: EngineName = "native") -> type[WebSocketConnection]:
    """Return the class of WebSocket connections of ``engine``.

    Raises ValueError for an unknown engine.
    """
    if engine == "native":
        from .websocket import WebSocketConnection

        return WebSocketConnection
    if engine == "reference":
        from .reference import ReferenceWebSocketConnection

        return ReferenceWebSocketConnection
    raise ValueError(f"unknown engine: {engine!r}")
