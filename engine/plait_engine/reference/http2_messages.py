"""The header blocks of the reference's HTTP/2 engine, in both directions.

h2 checks a header list while it encodes it, so a refusal in the middle leaves fields in the
HPACK table that the peer never saw, and the next valid message dies there.  It also sends
CR LF and NUL as they come.  So everything that h2 could refuse is checked here first.

Rules: RFC 9113 sections 8.1.1, 8.2 and 8.3; RFC 8441 section 4.
"""

from __future__ import annotations

from collections.abc import Iterable

from plait_engine.config import Config
from plait_engine.errors import ErrorCode, LocalProtocolError, RemoteProtocolError, Scope
from plait_engine.events import Request, Response
from plait_engine.headers import Headers, encode, get, get_all, get_joined, has_token, is_token
from plait_engine.semantics.authority import is_authority
from plait_engine.semantics.fields import CONNECTION_FIELDS, find_repeated_singleton

from .fields import RawHeaders, to_raw, to_text

# RFC 9113 section 8.2.2: these have no place in HTTP/2 and are dropped.
_CONNECTION_FIELDS = frozenset(name.encode() for name in CONNECTION_FIELDS)


def read_request(
    raw: Iterable[tuple[bytes, bytes]], stream_id: int, ended: bool, config: Config
) -> Request:
    """Return the ``Request`` of a header block that h2 accepted."""
    pseudo, headers = _split(raw)
    repeated = find_repeated_singleton(headers)
    if repeated is not None:
        raise malformed(f"more than one {repeated} field")
    method = pseudo[":method"]
    authority = pseudo.get(":authority") or get(headers, "host") or ""
    protocol = pseudo.get(":protocol")
    path = pseudo.get(":path", authority)
    if protocol is not None and not config.enable_connect_protocol:
        raise malformed("the server did not announce extended CONNECT")
    plain_connect = method == "CONNECT" and protocol is None
    if not plain_connect and not path.startswith("/") and (path, method) != ("*", "OPTIONS"):
        raise malformed(f"{path!r} is not a valid :path")
    return Request(
        stream_id,
        method,
        pseudo.get(":scheme", config.scheme).lower(),  # RFC 3986 section 3.1
        authority,
        path,
        headers,
        protocol.lower() if protocol else None,
        "2",
        not ended and has_token(headers, "expect", "100-continue"),
        get_joined(headers, "expect"),
        True,
        ended and method != "CONNECT",
        get_joined(headers, "content-encoding"),
    )


def read_response(raw: Iterable[tuple[bytes, bytes]], stream_id: int) -> Response:
    """Return the ``Response`` of a header block that h2 accepted."""
    pseudo, headers = _split(raw)
    status = pseudo[":status"]
    if len(status) != 3 or not status.isascii() or not status.isdigit():
        raise malformed(f"{status!r} is not a status")
    if status == "101":
        raise malformed("HTTP/2 has no 101")  # RFC 9113 section 8.6
    return Response(stream_id, int(status), headers, "", "2")


def read_trailers(raw: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Return the fields of a trailer section that h2 accepted."""
    try:
        return to_text(raw)
    except RemoteProtocolError as error:
        raise malformed(error.message) from None


def _split(raw: Iterable[tuple[bytes, bytes]]) -> tuple[dict[str, str], list[tuple[str, str]]]:
    fields = list(read_trailers(raw))
    pseudo = {name: value for name, value in fields if name.startswith(":")}
    return pseudo, fields[len(pseudo) :]


def malformed(message: str) -> RemoteProtocolError:
    """Return the error for a malformed message (RFC 9113 section 8.1.1)."""
    return stream_error(message, ErrorCode.PROTOCOL_ERROR)


def stream_error(message: str, code: ErrorCode, status_hint: int = 400) -> RemoteProtocolError:
    """Return an error that ends one stream (RFC 9113 section 5.4.2)."""
    return RemoteProtocolError(message, status_hint=status_hint, code=code, scope=Scope.STREAM)


def request_block(request: Request) -> RawHeaders:
    """Return the header block of a request (RFC 9113 section 8.3.1, RFC 8441 section 4)."""
    fields = [pair for pair in field_block(request.headers) if pair[0] != b"host"]
    authority = get(request.headers, "host") or request.authority
    pseudo = [(":method", request.method)]
    if request.protocol is not None:
        if request.method != "CONNECT":
            raise LocalProtocolError("only CONNECT takes a protocol in HTTP/2")
        pseudo.append((":protocol", request.protocol))
    if request.method != "CONNECT" or request.protocol is not None:
        pseudo += [(":scheme", request.scheme), (":path", request.target)]
        if not request.target.startswith("/") and request.target != "*":
            raise LocalProtocolError(f"{request.target!r} is not a valid :path")
    if not is_authority(authority):
        raise LocalProtocolError(f"{authority!r} is not a valid authority")
    if not is_token(request.method):
        raise LocalProtocolError(f"the method {request.method!r} is not a token")
    pseudo.append((":authority", authority))
    if any(" " in value or not value.isprintable() or not value.isascii() for _, value in pseudo):
        raise LocalProtocolError("the request line has a character that cannot be sent")
    return [(encode(name), encode(value)) for name, value in pseudo] + fields


def response_block(status: int, headers: Headers) -> RawHeaders:
    """Return the header block of a response (RFC 9113 section 8.3.2)."""
    return [(b":status", b"%d" % status), *field_block(headers)]


def field_block(headers: Headers) -> RawHeaders:
    """Return fields to send, without those of the HTTP/1.1 connection."""
    raw = to_raw(headers, lower=True)
    return [
        (name, value)
        for name, value in raw
        if name not in _CONNECTION_FIELDS and (name != b"te" or value == b"trailers")
    ]


def promised_length(headers: Headers) -> int | None:
    """Return what Content-Length promises, if it does."""
    values = set(get_all(headers, "content-length"))
    if not values:
        return None
    value = values.pop()
    if values or not value.isascii() or not value.isdigit():
        raise LocalProtocolError(f"Content-Length {value!r} is not a number")
    return int(value)
