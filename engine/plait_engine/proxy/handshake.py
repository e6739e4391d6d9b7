"""What is said to a proxy before a tunnel is there.

A handshake is a machine: bytes go in, bytes come out, and in the end the connection is the
caller's or there is an error::

                          data, eof
    PENDING --- start ---> PENDING ------> OPEN      ``surplus`` is the tunnel's
                              '----------> FAILED    ``error`` says why

A proxy must not send anything for the tunnel before its answer is complete, but the far end may
speak as soon as it is there, and its first bytes may come with the answer: ``surplus``.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from typing import Final

from plait_engine.headers import Headers

HANDSHAKE_TIME: Final = 60.0
"""Seconds for the answer of a proxy, where no deadline of the request is earlier."""


class HandshakeState(enum.Enum):
    """Where a handshake is."""

    PENDING = "the proxy has not answered yet"
    OPEN = "the connection is a tunnel"
    FAILED = "there is no tunnel"


class TunnelError(Exception):
    """The proxy gives no tunnel, or does not speak its protocol."""


class TunnelRefusedError(TunnelError):
    """A proxy answered CONNECT with something else than 2xx.

    ``headers`` are those of its response; what it says beyond them is not for the caller of
    the request, who asked another server (RFC 9110 section 9.3.6).
    """

    def __init__(self, status: int, reason: str, headers: Headers) -> None:
        super().__init__(f"the proxy answers CONNECT with {status} {reason}".rstrip())
        self.status = status
        self.reason = reason
        self.headers = headers


class Handshake(ABC):
    """See the module.  Subclasses do the talking."""

    def __init__(self) -> None:
        self.state = HandshakeState.PENDING
        self.error: TunnelError | None = None
        """Why there is no tunnel, once that is so."""
        self.surplus = b""
        """What came behind the answer: the first bytes of the tunnel."""
        self._output = b""

    def data_to_send(self) -> bytes:
        """Return the bytes that are to be written now, and forget them."""
        output, self._output = self._output, b""
        return output

    @abstractmethod
    def start(self, now: float) -> None:
        """The connection to the proxy is there."""

    @abstractmethod
    def receive_data(self, data: bytes, now: float) -> None:
        """The proxy sent ``data``."""

    def receive_eof(self, now: float) -> None:
        """The proxy sends nothing more, or the connection is gone."""
        self._fail(TunnelError("the proxy closed the connection before there was a tunnel"))

    def _open(self, surplus: bytes) -> None:
        self.state = HandshakeState.OPEN
        self.surplus = surplus

    def _fail(self, error: TunnelError) -> None:
        if self.state is HandshakeState.PENDING:
            self.state = HandshakeState.FAILED
            self.error = error
