"""SOCKS: a tunnel by a few bytes.  Versions 4 and 4a, and 5 (RFC 1928).

SOCKS 4 knows IPv4 addresses and a name of the user.  4a adds names of hosts, which the proxy
looks up.  5 adds IPv6, and a login with a password (RFC 1929).

A conversation is a generator: it yields how many bytes of the proxy it needs next, and gets
them.  What comes beyond the last of them belongs to the tunnel.
"""

from __future__ import annotations

import ipaddress
from abc import abstractmethod
from collections.abc import Generator
from typing import Final

from .handshake import Handshake, HandshakeState, TunnelError

_MAX_TEXT: Final = 255
"""The length of a name, a login and a password is one byte (RFC 1928 section 5, RFC 1929)."""

_ANSWERS_4: Final = {
    0x5B: "request rejected or failed",
    0x5C: "the proxy cannot ask identd on this host who we are",
    0x5D: "identd on this host and the request name different users",
}
_ANSWERS_5: Final = {
    0x01: "general failure",
    0x02: "not allowed by the rules of the proxy",
    0x03: "network unreachable",
    0x04: "host unreachable",
    0x05: "connection refused",
    0x06: "TTL expired",
    0x07: "command not supported",
    0x08: "address type not supported",
}
"""RFC 1928 section 6."""

_NO_LOGIN: Final = 0x00
_PASSWORD: Final = 0x02
"""Methods of RFC 1928 section 3."""

_IPV4, _NAME, _IPV6 = 0x01, 0x03, 0x04
"""Types of addresses (RFC 1928 section 5)."""

Conversation = Generator[int, bytes, None]


class _SocksHandshake(Handshake):
    """The part that all versions share."""

    def __init__(self) -> None:
        super().__init__()
        self._conversation = self._talk()
        self._needed = 0
        self._buffer = b""

    def start(self, now: float) -> None:
        self._needed = next(self._conversation)

    def receive_data(self, data: bytes, now: float) -> None:
        buffer = self._buffer + data
        while self.state is HandshakeState.PENDING and len(buffer) >= self._needed:
            piece, buffer = buffer[: self._needed], buffer[self._needed :]
            try:
                self._needed = self._conversation.send(piece)
            except StopIteration:
                self._open(buffer)
                return
            except TunnelError as error:
                self._fail(error)
                return
        self._buffer = buffer

    @abstractmethod
    def _talk(self) -> Conversation:
        """Return the conversation."""


class Socks4Handshake(_SocksHandshake):
    """Asks a SOCKS 4 proxy; with a name for ``host`` it is 4a.

    Raises ValueError for an IPv6 address, which SOCKS 4 does not know, and for a user or a
    host that cannot be sent.
    """

    def __init__(self, host: str, port: int, user: str = "") -> None:
        super().__init__()
        name = b""
        address = _address(host)
        if address is None:
            # An address that cannot be: 0.0.0.x says that a name follows.
            packed, name = b"\x00\x00\x00\x01", _encode(host, "host name") + b"\x00"
        elif address.version == 4:
            packed = address.packed
        else:
            raise ValueError("SOCKS 4 has no IPv6 addresses")
        self._request = (
            b"\x04\x01" + port.to_bytes(2) + packed + _encode(user, "user") + b"\x00" + name
        )

    def _talk(self) -> Conversation:
        self._output += self._request
        version, answer = (yield 8)[:2]
        if version != 0:
            raise TunnelError("the proxy does not speak SOCKS 4")
        if answer != 0x5A:
            raise TunnelError(f"the SOCKS proxy refuses: {_explain(_ANSWERS_4, answer)}")


class Socks5Handshake(_SocksHandshake):
    """Asks a SOCKS 5 proxy for ``host``, an address or a name that the proxy looks up.

    ``login``: user and password, which are sent if the proxy asks for them.  Raises ValueError
    for a host or credentials that cannot be sent.
    """

    def __init__(self, host: str, port: int, login: tuple[str, str] | None = None) -> None:
        super().__init__()
        address = _address(host)
        if address is None:
            where = bytes([_NAME]) + _prefixed(_encode(host, "host name"))
        else:
            where = bytes([_IPV4 if address.version == 4 else _IPV6]) + address.packed
        self._request = b"\x05\x01\x00" + where + port.to_bytes(2)
        self._credentials: bytes | None = None
        if login is not None:
            user, password = (_encode(text, "login") for text in login)
            if not user or not password:  # RFC 1929 section 2: one byte at least.
                raise ValueError("a SOCKS 5 proxy takes no empty user or password")
            self._credentials = b"\x01" + _prefixed(user) + _prefixed(password)

    def _talk(self) -> Conversation:
        methods = [_NO_LOGIN] if self._credentials is None else [_NO_LOGIN, _PASSWORD]
        self._output += b"\x05" + _prefixed(bytes(methods))
        version, method = yield 2
        if version != 5:
            raise TunnelError("the proxy does not speak SOCKS 5")
        if method not in methods:
            raise TunnelError("the SOCKS proxy wants another authentication than we have")
        if method == _PASSWORD and self._credentials is not None:
            self._output += self._credentials
            if (yield 2)[1] != 0:
                raise TunnelError("the SOCKS proxy does not accept the login")
        self._output += self._request
        version, answer, _, kind = yield 4
        if version != 5:
            raise TunnelError("the proxy does not speak SOCKS 5")
        if answer != 0:
            raise TunnelError(f"the SOCKS proxy refuses: {_explain(_ANSWERS_5, answer)}")
        # From where the proxy connected: a host and a port, which nobody asks for.
        if kind == _NAME:
            size = (yield 1)[0]
        elif kind in (_IPV4, _IPV6):
            size = 4 if kind == _IPV4 else 16
        else:
            raise TunnelError(f"the SOCKS proxy names an address of an unknown type: {kind}")
        yield size + 2


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the address that ``host`` is; its zone means nothing to a proxy."""
    try:
        return ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None


def _encode(text: str, what: str) -> bytes:
    data = text.encode()
    if len(data) > _MAX_TEXT or b"\x00" in data:
        raise ValueError(f"a {what} for a SOCKS proxy has at most {_MAX_TEXT} bytes and no NUL")
    return data


def _prefixed(data: bytes) -> bytes:
    return bytes([len(data)]) + data


def _explain(answers: dict[int, str], answer: int) -> str:
    return answers.get(answer, f"answer {answer:#04x}")
