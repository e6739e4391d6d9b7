"""The opening handshake, both roles and both carriers, as pure functions.

Strategy
--------
A client makes a ``Request`` with ``client_request``, sends it on a connection, and gives
what comes back to ``check_response``.  A server gives the request to ``accept_request``
and sends the ``Accept`` that it returns.  Both then know the ``Negotiated``, and make a
``WebSocketConnection`` of it.

Rules
-----
* HTTP/1.1: GET with Upgrade, a nonce and its proof (RFC 6455 sections 4.1 and 4.2).
* HTTP/2: CONNECT with ``:protocol``; no nonce and no Upgrade, all else is the same (RFC
  8441 section 5).
* The version is 13.  A server answers any other, the drafts' 7 and 8 too, with 426 and the
  one that it speaks (RFC 6455 sections 4.2.2 and 4.4).
* Subprotocols are compared as they are.  Of the client's list the first that the server
  knows is chosen; nothing is chosen that was not offered (4.2.2).

The functions raise ``HandshakeRefused`` (server) or ``RemoteProtocolError`` (client).
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

from plait_engine.errors import LocalProtocolError, RemoteProtocolError, Scope
from plait_engine.events import Accept, Request, Response
from plait_engine.headers import Headers, get, get_all, has_token, is_token

from .deflate import Deflate
from .extensions import Extension, answer, check_answer, offer, parse_extensions

VERSION = "13"

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3

# The names in the case that HTTP/1.1 peers are used to; HTTP/2 has them in lower case.
_KEY = "Sec-WebSocket-Key"
_ACCEPT = "Sec-WebSocket-Accept"
_VERSION = "Sec-WebSocket-Version"
_PROTOCOL = "Sec-WebSocket-Protocol"
_EXTENSIONS = "Sec-WebSocket-Extensions"


@dataclass(frozen=True, slots=True)
class Negotiated:
    """The negotiated parameters: arguments for ``WebSocketConnection``.

    ``subprotocol`` is ``None`` where none was chosen, ``deflate`` where messages are not
    compressed.
    """

    subprotocol: str | None = None
    deflate: Deflate | None = None


class HandshakeRefused(RemoteProtocolError):
    """A server does not accept a handshake.

    Answer with the status ``status_hint`` and the fields ``headers``; the connection goes
    on as HTTP.
    """

    def __init__(self, message: str, status: int = 400, headers: Headers = ()) -> None:
        super().__init__(message, status_hint=status, scope=Scope.STREAM)
        self.headers = headers


def accept_key(key: str) -> str:
    """Return the proof for a client's nonce (RFC 6455 section 4.2.2)."""
    digest = hashlib.sha1(key.encode("utf-8", "surrogateescape") + _GUID, usedforsecurity=False)
    return base64.b64encode(digest.digest()).decode()


# -- the client's side ------------------------------------------------------------


def client_request(
    stream_id: int,
    *,
    scheme: str,
    authority: str,
    target: str,
    random: Callable[[int], bytes],
    http2: bool = False,
    subprotocols: Sequence[str] = (),
    deflate: Deflate | None = None,
    headers: Headers = (),
) -> Request:
    """Return the request that opens a WebSocket.

    ``scheme`` is ``"http"`` or ``"https"`` on both carriers.  ``subprotocols`` are in
    order of preference.  ``deflate``: what to offer.  ``headers``: further fields.

    Raises LocalProtocolError for subprotocols that are not distinct tokens.
    """
    if len(set(subprotocols)) != len(subprotocols) or not all(map(is_token, subprotocols)):
        raise LocalProtocolError("subprotocols must be distinct tokens (RFC 6455 section 4.1)")
    fields = list(headers)
    if not http2:
        fields.append((_KEY, base64.b64encode(random(16)).decode()))
    fields.append((_VERSION, VERSION))
    if subprotocols:
        fields.append((_PROTOCOL, ",".join(subprotocols)))
    if deflate is not None:
        fields.append((_EXTENSIONS, offer(deflate)))
    if http2:
        fields = _lower(fields)
    return Request(
        stream_id,
        "CONNECT" if http2 else "GET",
        scheme,
        authority,
        target,
        fields,
        protocol="websocket",
    )


def check_response(
    request: Request, response: Accept | Response, *, deflate: Deflate | None = None
) -> Negotiated:
    """Check a server's answer to ``request``, and return what was agreed.

    ``deflate`` is what the request offered.  Raises RemoteProtocolError when the server
    did not accept, or what it answered is not an answer to the request (RFC 6455 section
    4.1); its message says what is wrong, and the stream must be given up.
    """
    if isinstance(response, Response):
        raise _bad_answer(f"the server answered the handshake with status {response.status}")
    headers = response.headers
    if request.method != "CONNECT":
        if not has_token(headers, "upgrade", "websocket"):
            raise _bad_answer("the answer has no Upgrade: websocket")
        if not has_token(headers, "connection", "upgrade"):
            raise _bad_answer("the answer has no Connection: Upgrade")
        proof = accept_key(get(request.headers, _KEY.lower()) or "")
        proofs = get_all(headers, _ACCEPT.lower())
        if len(proofs) != 1 or not hmac.compare_digest(
            proofs[0].encode("utf-8", "surrogateescape"), proof.encode()
        ):
            raise _bad_answer(f"the answer has no {_ACCEPT} that fits the key")
    return Negotiated(
        _check_subprotocol(request.headers, headers), _check_extensions(headers, deflate)
    )


def _check_subprotocol(offered: Headers, headers: Headers) -> str | None:
    chosen = get_all(headers, _PROTOCOL.lower())
    if not chosen:
        return None
    if len(chosen) > 1 or chosen[0] not in _subprotocols(offered):
        raise _bad_answer("the server chose a subprotocol that was not offered")
    return chosen[0]


def _check_extensions(headers: Headers, offered: Deflate | None) -> Deflate | None:
    try:
        return check_answer(parse_extensions(get_all(headers, _EXTENSIONS.lower())), offered)
    except ValueError as error:
        raise _bad_answer(str(error)) from None


def _bad_answer(message: str) -> RemoteProtocolError:
    return RemoteProtocolError(message, status_hint=502, scope=Scope.STREAM)


# -- the server's side ------------------------------------------------------------


def accept_request(
    request: Request,
    *,
    subprotocols: Collection[str] = (),
    deflate: Deflate | None = None,
    origins: Collection[str] | None = None,
    headers: Headers = (),
) -> tuple[Accept, Negotiated]:
    """Check a client's handshake; return the ``Accept`` to send, and what is agreed.

    ``subprotocols``: those that the application speaks.  ``deflate``: what this side is
    willing to do, ``None`` for no compression.  ``origins``: the values of Origin that are
    let in, ``None`` for any; with a list, a request without Origin is refused too (RFC
    6455 section 10.2; a browser always sends one).  ``headers``: further fields to send.

    Raises HandshakeRefused with the status and fields to answer: 400, 403, 405 or 426.
    """
    http2 = request.method == "CONNECT"
    _check_method(request)
    _check_version(request.headers, http2)
    fields = list(headers)
    if not http2:
        fields.append((_ACCEPT, accept_key(_check_key(request.headers))))
    if origins is not None:
        _check_origin(request.headers, origins)
    subprotocol = next(
        (name for name in _subprotocols(request.headers) if name in subprotocols), None
    )
    if subprotocol is not None:
        fields.append((_PROTOCOL, subprotocol))
    agreed = None
    if deflate is not None:
        answered = answer(_offered_extensions(request.headers), deflate)
        if answered is not None:
            agreed, value = answered
            fields.append((_EXTENSIONS, value))
    return (
        Accept(request.stream_id, _lower(fields) if http2 else fields),
        Negotiated(subprotocol, agreed),
    )


def _check_method(request: Request) -> None:
    if request.protocol != "websocket":
        raise HandshakeRefused("the request does not ask for a WebSocket")
    if request.method == "CONNECT":
        return
    if request.method != "GET":
        raise HandshakeRefused("a WebSocket is opened with GET", 405, [("Allow", "GET")])
    if request.http_version == "1.0":
        raise HandshakeRefused("a WebSocket needs HTTP/1.1")
    if get(request.headers, "transfer-encoding") or (
        get(request.headers, "content-length") or "0"
    ).strip("0"):
        raise HandshakeRefused("a WebSocket handshake has no content")


def _check_version(headers: Headers, http2: bool) -> None:
    """Check the version (RFC 6455 section 4.4).

    HTTP/2 has no Upgrade field, which a 426 must have (RFC 9110 section 15.5.22): there the
    answer is 400.
    """
    versions = get_all(headers, _VERSION.lower())
    if versions == [VERSION]:
        return
    # The message becomes the content of an answer, so what the client wrote must be text.
    shown = ascii(", ".join(versions))[1:-1] or "none"
    message = f"WebSocket version {shown} is not supported"
    if http2:
        raise HandshakeRefused(message, 400, [(_VERSION.lower(), VERSION)])
    raise HandshakeRefused(
        message,
        426,
        [("Upgrade", "websocket"), ("Connection", "Upgrade"), (_VERSION, VERSION)],
    )


def _check_key(headers: Headers) -> str:
    """Return the nonce: 16 bytes in base64, once (RFC 6455 section 4.2.1)."""
    keys = get_all(headers, _KEY.lower())
    if len(keys) != 1:
        raise HandshakeRefused(f"a handshake has one {_KEY}, not {len(keys)}")
    try:
        nonce = base64.b64decode(keys[0], validate=True)
    except (binascii.Error, ValueError):
        nonce = b""
    if len(nonce) != 16:
        raise HandshakeRefused(f"{_KEY} is not 16 bytes in base64")
    return keys[0]


def _check_origin(headers: Headers, origins: Collection[str]) -> None:
    found = get_all(headers, "origin")
    if len(found) != 1 or found[0] not in origins:
        raise HandshakeRefused("the origin is not allowed", 403)


def _subprotocols(headers: Headers) -> list[str]:
    """Return the subprotocols that a client offers, in its order of preference."""
    values = get_all(headers, _PROTOCOL.lower())
    return [name.strip(" \t") for value in values for name in value.split(",")]


def _offered_extensions(headers: Headers) -> list[Extension]:
    try:
        return parse_extensions(get_all(headers, _EXTENSIONS.lower()))
    except ValueError as error:
        raise HandshakeRefused(str(error)) from None


def _lower(fields: Headers) -> list[tuple[str, str]]:
    """Field names as HTTP/2 has them (RFC 9113 section 8.2.1)."""
    return [(name.lower(), value) for name, value in fields]
