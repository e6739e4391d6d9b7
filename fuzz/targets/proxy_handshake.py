"""What is said to a proxy before a tunnel is there: CONNECT, SOCKS 4 and 5.

Invariants:

* a handshake opens or fails, at the end of the input at the latest; it has an error if it
  failed, and only then; what comes later changes neither;
* the same bytes, whole and in pieces, give the same outcome, the same output, and the same
  first bytes of the tunnel, which are the last ones of the input;
* nothing is said that was not asked for: the output is what a right proxy would get to hear,
  up to some message of it, and a login is only sent where the proxy chose that method;
* a tunnel by CONNECT is refused by a status that is not 2xx.

Input: which handshake (a byte), cuts, then what the proxy sends.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from fuzz.choices import Choices, Cuts
from fuzz.harness import START, check
from plait_engine.config import Limits
from plait_engine.proxy.connect import ConnectHandshake
from plait_engine.proxy.handshake import (
    Handshake,
    HandshakeState,
    TunnelError,
    TunnelRefusedError,
)
from plait_engine.proxy.socks import Socks4Handshake, Socks5Handshake

SMALL: Final = Limits(max_line_size=32, max_field_size=32, max_fields=2)

GREETING: Final = b"\x05\x01\x00"
GREETING_WITH_LOGIN: Final = b"\x05\x02\x00\x02"
LOGIN: Final = b"\x01\x04user\x06secret"
NAME_REQUEST: Final = b"\x05\x01\x00\x03\x01a\x00\x50"
CONNECT_REQUEST: Final = b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n"

CONNECT, TIGHT, SOCKS4, SOCKS5, SOCKS5_LOGIN = range(5)

HANDSHAKES: Final[list[Callable[[], Handshake]]] = [
    lambda: ConnectHandshake("a:80", []),
    lambda: ConnectHandshake("a:80", [], SMALL),
    lambda: Socks4Handshake("a", 80, "user"),
    lambda: Socks5Handshake("a", 80),
    lambda: Socks5Handshake("a", 80, ("user", "secret")),
]

SAID: Final[list[list[bytes]]] = [
    [CONNECT_REQUEST],
    [CONNECT_REQUEST],
    [b"\x04\x01\x00\x50\x00\x00\x00\x01user\x00a\x00"],
    [GREETING, GREETING + NAME_REQUEST],
    [
        GREETING_WITH_LOGIN,
        GREETING_WITH_LOGIN + NAME_REQUEST,
        GREETING_WITH_LOGIN + LOGIN,
        GREETING_WITH_LOGIN + LOGIN + NAME_REQUEST,
    ],
]
"""All that each of them may have said."""


class Outcome(NamedTuple):
    """What came of a handshake."""

    state: HandshakeState
    error: tuple[object, ...] | None
    output: bytes
    tunnel: bytes


def run(data: bytes) -> None:
    """Run one input."""
    choices = Choices(data)
    kind = choices.byte() % len(HANDSHAKES)
    cuts = Cuts(choices)
    wire = choices.rest()
    whole, cut = (_talk(HANDSHAKES[kind](), pieces) for pieces in ([wire], cuts(wire)))
    check(whole == cut, "the outcome does not depend on the cuts", whole, cut)
    check(wire.endswith(whole.tunnel), "a tunnel is the end of the input", whole)
    check(whole.output in SAID[kind], "only what was asked for is said", whole)
    if LOGIN in whole.output:
        check(wire.startswith(b"\x05\x02"), "a login is sent where the proxy wants it", whole)


def _talk(handshake: Handshake, pieces: list[bytes]) -> Outcome:
    handshake.start(START)
    output = handshake.data_to_send()
    rest = list(pieces)
    while rest and handshake.state is HandshakeState.PENDING:
        handshake.receive_data(rest.pop(0), START)
        output += handshake.data_to_send()
    if handshake.state is HandshakeState.PENDING:
        handshake.receive_eof(START)
    state, error = handshake.state, handshake.error
    check(state is not HandshakeState.PENDING, "a handshake comes to an end")
    check((error is not None) == (state is HandshakeState.FAILED), "who fails says why", state)
    tunnel = b""
    if state is HandshakeState.OPEN:
        tunnel = handshake.surplus + b"".join(rest)
    else:
        check(not handshake.surplus, "where no tunnel is there is nothing of it")
    handshake.receive_eof(START)
    check((handshake.state, handshake.error) == (state, error), "an outcome is the last one")
    check(not handshake.data_to_send(), "nothing is said in a tunnel")
    return Outcome(state, _comparable(error), output, tunnel)


def _comparable(error: TunnelError | None) -> tuple[object, ...] | None:
    """Return what does not depend on which of several faults is seen first."""
    if isinstance(error, TunnelRefusedError):
        check(not 200 <= error.status <= 299, "2xx is a tunnel", error)
        return "refused", error.status, error.reason, tuple(error.headers)
    return None if error is None else ("failed",)
