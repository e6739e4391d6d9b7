"""The WebSocket handshake: what a stranger may put into its fields.

Invariants:

* ``accept_request`` returns, or raises HandshakeRefused with a status to answer with;
* ``check_response`` returns, or raises RemoteProtocolError;
* what was agreed is within what this side is willing to do, and zlib takes it: a
  connection can be made of it.

Input: options (a byte), the parameters of this side, then fields: a name (a byte), a
size (a byte), a value.
"""

from __future__ import annotations

from fuzz.choices import Choices
from fuzz.harness import check, config
from plait_engine import headers
from plait_engine.connection import Role
from plait_engine.errors import RemoteProtocolError
from plait_engine.events import Accept, Request
from plait_engine.websocket import (
    BytesMessage,
    Deflate,
    HandshakeRefused,
    Negotiated,
    WebSocketConnection,
    accept_key,
    accept_request,
    check_response,
    client_request,
)

CLIENT = 0x01
HTTP2 = 0x02
DEFLATE = 0x04

SUBPROTOCOLS = ("chat", "superchat")
KEY = "AQIDBAUGBwgJCgsMDQ4PEA=="
NAMES = (
    "Sec-WebSocket-Extensions",
    "Sec-WebSocket-Protocol",
    "Sec-WebSocket-Key",
    "Sec-WebSocket-Version",
    "Sec-WebSocket-Accept",
    "Upgrade",
    "Connection",
    "Origin",
)


def run(data: bytes) -> None:
    """Run one input."""
    choices = Choices(data)
    options = choices.byte()
    deflate = read_deflate(choices) if options & DEFLATE else None
    fields = _read_fields(choices)
    http2 = bool(options & HTTP2)
    try:
        if options & CLIENT:
            role, negotiated = Role.CLIENT, _check_response(fields, deflate, http2)
        else:
            role, negotiated = Role.SERVER, _accept_request(fields, deflate, http2)
    except HandshakeRefused as error:
        check(error.status_hint in (400, 403, 405, 426), "a refusal has a status", error)
        return
    except RemoteProtocolError:
        check(bool(options & CLIENT), "a server refuses with HandshakeRefused")
        return
    _check_negotiated(role, negotiated, deflate)


def read_deflate(choices: Choices) -> Deflate:
    """Return parameters of permessage-deflate."""
    flags, bits = choices.byte(), choices.byte()
    return Deflate(
        server_no_context_takeover=bool(flags & 1),
        client_no_context_takeover=bool(flags & 2),
        server_max_window_bits=8 + bits % 8,
        client_max_window_bits=8 + (bits >> 4) % 8,
    )


def _read_fields(choices: Choices) -> list[tuple[str, str]]:
    """Return fields as an engine lets them through: no control characters, no edges."""
    fields = []
    while not choices.exhausted:
        name = choices.pick(NAMES)
        value = headers.decode(choices.data(choices.byte())).strip(" \t")
        if headers.is_token(name) and not headers.find_bad_value_char(value):
            fields.append((name, value))
    return fields


def _accept_request(
    fields: list[tuple[str, str]], deflate: Deflate | None, http2: bool
) -> Negotiated:
    required = [("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", KEY)]
    given = {name for name, _ in fields}
    fields = [field for field in required if field[0] not in given] + fields
    request = Request(
        1, "CONNECT" if http2 else "GET", "http", "a", "/", fields, protocol="websocket"
    )
    return accept_request(
        request, subprotocols=SUBPROTOCOLS, deflate=deflate, origins=("http://a", "")
    )[1]


def _check_response(
    fields: list[tuple[str, str]], deflate: Deflate | None, http2: bool
) -> Negotiated:
    request = client_request(
        1,
        scheme="http",
        authority="a",
        target="/",
        random=config().random,
        http2=http2,
        subprotocols=SUBPROTOCOLS,
        deflate=deflate,
    )
    key = headers.get(request.headers, "sec-websocket-key") or ""
    required = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept_key(key)),
    ]
    given = {name for name, _ in fields}
    fields = [field for field in required if field[0] not in given] + fields
    return check_response(request, Accept(1, fields), deflate=deflate)


def _check_negotiated(role: Role, negotiated: Negotiated, willing: Deflate | None) -> None:
    check(negotiated.subprotocol in (None, *SUBPROTOCOLS), "the subprotocol is ours", negotiated)
    agreed = negotiated.deflate
    if agreed is not None:
        check(willing is not None, "no compression unless we are willing", agreed)
        assert willing is not None
        ours, limit = (
            (agreed.server_max_window_bits, willing.server_max_window_bits)
            if role is Role.SERVER
            else (agreed.client_max_window_bits, willing.client_max_window_bits)
        )
        check(8 <= ours <= limit, "our window is within what we are willing to use", agreed)
    connection = WebSocketConnection(role, config(), deflate=agreed)
    connection.send(BytesMessage(b"hello" * 20), now=0.0)
    check(bool(connection.data_to_send()), "a connection of what was agreed can send")
