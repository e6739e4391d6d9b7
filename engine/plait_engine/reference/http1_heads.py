"""How the reference's HTTP/1.1 engine reads a message head that h11 has parsed.

h11 takes any ``HTTP/d.d``, gives a request target no meaning, and accepts a message with
both Content-Length and Transfer-Encoding.  The functions here say what is missing, or
raise RemoteProtocolError with the status that answers it.

Rules: RFC 9112 sections 2.3, 3.2, 6.1 and 9.3; RFC 9110 section 7.8.
"""

from __future__ import annotations

import re

import h11

from plait_engine.config import Config
from plait_engine.errors import RemoteProtocolError
from plait_engine.events import Request, Response
from plait_engine.headers import (
    Headers,
    decode,
    find_bad_value_char,
    get_all,
    get_joined,
    has_token,
    tokens,
)
from plait_engine.semantics.authority import is_authority
from plait_engine.semantics.content import ENDED_BY_HEAD

from .fields import to_text

_absolute_form = re.compile(r"(?P<scheme>https?)://(?P<authority>[^/?#]*)(?P<rest>.*)", re.I | re.S)


def read_request(event: h11.Request, stream_id: int, config: Config, waits: bool) -> Request:
    """Return the ``Request`` that h11 parsed; ``waits``: the client waits for 100."""
    version = event.http_version.decode()
    if not version.startswith("1."):  # RFC 9110 section 15.6.6
        raise RemoteProtocolError(f"HTTP/{version} is not supported", status_hint=505)
    headers = to_text(event.headers.raw_items())
    method = event.method.decode()
    coded = bool(get_all(headers, "transfer-encoding"))
    sized = get_all(headers, "content-length")
    if coded and (sized or version == "1.0"):  # RFC 9112 section 6.1
        raise RemoteProtocolError("Transfer-Encoding beside Content-Length or in HTTP/1.0")
    has_content = coded or bool(sized and int(sized[0]))
    if has_content and method == "CONNECT":  # RFC 9110 section 9.3.6
        raise RemoteProtocolError("CONNECT with content")
    protocol = None
    if version != "1.0" and not has_content and method != "CONNECT":
        protocol = _offered_protocol(headers, config)
    hosts = get_all(headers, "host")
    if not hosts and version != "1.0":  # h11 asks in HTTP/1.1 only, not in 1.2
        raise RemoteProtocolError("no Host field")
    if hosts and not is_authority(hosts[0]):  # RFC 9112 section 3.2, RFC 9110 section 4.2.1
        raise RemoteProtocolError(f"{hosts[0]!r} is not a valid host")
    host = "".join(hosts)
    scheme, authority, target = split_target(method, event.target.decode(), config.scheme, host)
    version = "1.0" if version == "1.0" else "1.1"
    return Request(
        stream_id,
        method,
        scheme,
        authority,
        target,
        headers,
        protocol,
        version,
        has_content and waits,
        get_joined(headers, "expect"),
        not is_last(version, headers),
        not (has_content or protocol or method == "CONNECT"),
        get_joined(headers, "content-encoding"),
    )


def read_response(event: h11.Response, stream_id: int, method: str) -> Response:
    """Return the ``Response`` to ``method`` that h11 parsed."""
    reason = read_reason(event)
    version = "1.0" if event.http_version == b"1.0" else "1.1"
    headers = to_text(event.headers.raw_items())
    close = is_last(version, headers) or not (
        # RFC 9112 section 6.3: else the content ends with the connection.
        method == "HEAD"
        or event.status_code in ENDED_BY_HEAD
        or get_all(headers, "content-length")
        or has_token(headers, "transfer-encoding", "chunked")
    )
    return Response(stream_id, event.status_code, headers, reason, version, close)


def read_reason(event: h11.Response | h11.InformationalResponse) -> str:
    """Return the reason phrase of a status line that h11 takes and HTTP/1.1 allows."""
    if not event.http_version.startswith(b"1."):  # RFC 9112 section 2.3
        raise RemoteProtocolError("the response is not of HTTP/1")
    reason = decode(bytes(event.reason))
    if find_bad_value_char(reason):  # RFC 9112 section 4
        raise RemoteProtocolError("the reason phrase has a control character")
    return reason


def is_last(version: str, headers: Headers) -> bool:
    """Tell whether the connection ends with this exchange (RFC 9112 section 9.3)."""
    return version == "1.0" or has_token(headers, "connection", "close")


def _offered_protocol(headers: Headers, config: Config) -> str | None:
    """Return the first protocol of Upgrade that the application may accept (9110 7.8)."""
    if not has_token(headers, "connection", "upgrade"):
        return None
    for value in get_all(headers, "upgrade"):
        for token in tokens(value):
            if token in config.upgrade_protocols and token != "h2c":
                return token
    return None


def split_target(method: str, target: str, scheme: str, host: str) -> tuple[str, str, str]:
    """Return ``(scheme, authority, target)`` of a received HTTP/1.1 request.

    The four forms of RFC 9112 section 3.2; raises RemoteProtocolError (400) for any other.
    """
    if method == "CONNECT":
        if not is_authority(target) or target.rpartition(":")[2] in ("", target):
            raise RemoteProtocolError("the target of CONNECT is not host:port")
        return scheme, target, target
    if "\\" in target.partition("?")[0]:  # RFC 3986 section 3.3
        raise RemoteProtocolError("the path of the request target has a backslash")
    if target.startswith("/"):
        if "#" in target:
            raise RemoteProtocolError("the request target has a fragment")
        return scheme, host, target
    if target == "*" and method == "OPTIONS":
        return scheme, host, target
    match = _absolute_form.fullmatch(target)
    if not match or not is_authority(match["authority"]) or "#" in target:
        raise RemoteProtocolError(f"the request target {target!r} has no valid form")
    # RFC 9112 section 3.2.2: the Host field is ignored when the target is absolute.
    rest = match["rest"]
    if not rest.startswith("/"):
        rest = "*" if method == "OPTIONS" and not rest else "/" + rest
    return match["scheme"].lower(), match["authority"], rest
