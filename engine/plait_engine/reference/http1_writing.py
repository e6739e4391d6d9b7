"""How the reference's HTTP/1.1 engine writes: one function for each event to send.

h11 writes what a head says.  The contract lets the application leave framing out, so these
functions say it: Content-Length for a message that is complete in one command, chunked
for any other (RFC 9112 section 6), Upgrade and Connection for a tunnel (RFC 9110 section
7.8).

A writer gets copies of h11's machine and of the ``Exchange``, the event, and the events
behind it in the same command; it changes the copies and returns the bytes, or raises
LocalProtocolError (or h11's) and the copies are thrown away.
"""

from __future__ import annotations

import http
from collections.abc import Callable
from dataclasses import dataclass, field

import h11

from plait_engine.errors import ErrorCode, LocalProtocolError, RemoteProtocolError
from plait_engine.events import (
    Accept,
    Data,
    EndOfMessage,
    InformationalResponse,
    Request,
    Response,
    Sendable,
    StreamReset,
)
from plait_engine.headers import Headers, encode, find_bad_value_char, get_all, has_token
from plait_engine.semantics.authority import is_authority
from plait_engine.semantics.content import (
    ENDED_BY_HEAD,
    METHODS_WITH_CONTENT,
    METHODS_WITHOUT_CONTENT,
    RESET_CONTENT,
    WITHOUT_CONTENT,
)
from plait_engine.semantics.fields import check_fields, offered_upgrades
from plait_engine.semantics.http10 import check_http10_request
from plait_engine.semantics.message import check_final, check_informational, complete_length

from .fields import to_raw

FRAMING_FIELDS = frozenset({"content-length", "transfer-encoding"})

Fields = list[tuple[str, str]]
Rest = tuple[Sendable, ...]


@dataclass(slots=True)
class Exchange:
    """The one exchange of the connection, or the next one when it is not open."""

    stream_id: int = 1
    open: bool = False
    last: bool = False
    """No exchange follows: a response says ``Connection: close``."""
    method: str = ""
    protocol: str | None = None
    http_version: str = "1.1"
    upgrades: frozenset[str] = frozenset()
    """The protocols that the request offers to switch to."""
    tunnel_offered: bool = False
    tunnel_open: bool = False
    sent_end: bool = False
    received_end: bool = False
    waits_for_continue: bool = False
    """This client holds the content back (RFC 9110 section 10.1.1)."""
    held: bytearray = field(default_factory=bytearray)
    has_length: bool = False
    """What is sent has the length that Content-Length says."""
    bodiless: bool = False
    """The response has a status without content."""
    server_leaves: bool = False
    """(client) The connection ends behind the response; no more of the request is read."""
    drops_content: bool = False
    """A final response came before this client sent the held content: it never will."""
    refuses_content: bool = False
    """The final response went out before the client, which waits for 100, sent content."""
    discards: bool = False
    """The rest of the peer's message is not wanted."""
    discarded: int = 0
    aborted: bool = False


def write_request(machine: h11.Connection, exchange: Exchange, event: Request, rest: Rest) -> bytes:
    exchange.open = True
    exchange.method = event.method
    exchange.protocol = event.protocol
    exchange.tunnel_offered = event.method == "CONNECT" or event.protocol is not None
    if event.method == "CONNECT" and event.protocol is not None:
        raise LocalProtocolError("HTTP/1.1 has no extended CONNECT: send GET")
    check_fields(event.headers)
    headers = list(event.headers)
    if not get_all(headers, "host"):
        if event.authority and not is_authority(event.authority):
            raise LocalProtocolError(f"{event.authority!r} is not a valid host")
        headers.insert(0, ("Host", event.authority))
    if exchange.tunnel_offered and is_framed(headers):
        raise LocalProtocolError("a request for a tunnel has no content")
    if event.protocol is not None:
        headers += upgrade_fields(headers, event.protocol)
    elif not exchange.tunnel_offered:
        exchange.upgrades = offered_upgrades(headers)
        headers += request_framing(event.method, headers, rest)
        exchange.waits_for_continue = is_framed(headers) and has_token(
            headers, "expect", "100-continue"
        )
    exchange.has_length = bool(get_all(headers, "content-length"))
    if event.http_version == "1.0":
        check_http10_request(event, chunked=bool(get_all(headers, "transfer-encoding")))
        if not has_token(headers, "connection", "keep-alive"):  # RFC 9112 section 9.3
            exchange.last = True
    data = write(
        machine,
        h11.Request(
            method=encode(event.method), target=encode(event.target), headers=to_raw(headers)
        ),
    )
    if exchange.tunnel_offered:  # what follows is tunnel bytes, and only after Accept
        write(machine, h11.EndOfMessage())
        exchange.sent_end = True
    if event.http_version == "1.0":  # h11 writes 1.1 only; a target has no spaces.
        data = data.replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1)
    return data


def write_informational(
    machine: h11.Connection, exchange: Exchange, event: InformationalResponse, rest: Rest
) -> bytes:
    check_fields(event.headers)
    check_informational(event.status)
    asked = machine.they_are_waiting_for_100_continue
    data = write(  # h11 takes any of them for 100 Continue
        machine,
        h11.InformationalResponse(
            status_code=event.status, reason=phrase(event.status), headers=to_raw(event.headers)
        ),
    )
    machine.client_is_waiting_for_100_continue = asked and event.status != 100
    # RFC 9110 section 15.2: no 1xx for an HTTP/1.0 client.  Section 10.1.1: 100 means
    # nothing to who did not ask.
    if exchange.http_version == "1.0" or (event.status == 100 and not asked):
        return b""
    return data


def write_response(
    machine: h11.Connection, exchange: Exchange, event: Response, rest: Rest
) -> bytes:
    check_final(event.status, opens_tunnel=exchange.method == "CONNECT")
    if event.reason and find_bad_value_char(event.reason):
        raise LocalProtocolError("the reason phrase has a control character")
    reason = phrase(event.status) if event.reason is None else encode(event.reason)
    check_fields(event.headers)
    headers = list(event.headers)
    exchange.bodiless = event.status in WITHOUT_CONTENT
    if exchange.bodiless:
        headers = [pair for pair in headers if pair[0].lower() not in FRAMING_FIELDS]
        if event.status == RESET_CONTENT:
            headers.append(("Content-Length", "0"))
    headers += response_framing(exchange.method, event.status, headers, rest)
    exchange.has_length = bool(get_all(headers, "content-length"))
    if machine.they_are_waiting_for_100_continue:
        # RFC 9110 section 10.1.1: nobody knows whether the content will come.
        exchange.last = exchange.refuses_content = True
    exchange.last = exchange.last or event.close
    if exchange.last and not has_token(headers, "connection", "close"):
        headers.append(("Connection", "close"))
    exchange.tunnel_offered = False
    return write(
        machine,
        h11.Response(status_code=event.status, reason=reason, headers=to_raw(headers)),
    )


def write_accept(machine: h11.Connection, exchange: Exchange, event: Accept, rest: Rest) -> bytes:
    if machine.our_role is h11.CLIENT:
        raise LocalProtocolError("a client accepts no tunnel")
    if event.protocol is not None:
        check_switch(exchange, event.protocol)
        exchange.protocol = event.protocol
    elif not exchange.tunnel_offered:
        raise LocalProtocolError("the request asks for no tunnel")
    check_fields(event.headers)
    exchange.tunnel_offered = exchange.received_end = exchange.sent_end = False
    exchange.tunnel_open = True
    headers = list(event.headers)
    answer: h11.Event
    if exchange.protocol is None:
        answer = h11.Response(status_code=200, reason=phrase(200), headers=to_raw(headers))
    else:
        headers += upgrade_fields(headers, exchange.protocol)
        answer = h11.InformationalResponse(
            status_code=101, reason=phrase(101), headers=to_raw(headers)
        )
    return write(machine, answer)


def check_switch(exchange: Exchange, protocol: str) -> None:
    """Raise LocalProtocolError if the request cannot be answered by a switch to ``protocol``.

    RFC 9110 section 7.8: only to what it asked for, and behind its end.
    """
    if not protocol.isascii() or protocol.lower() not in exchange.upgrades:
        raise LocalProtocolError(f"the request does not ask for {protocol!r}")
    if not exchange.received_end:
        raise LocalProtocolError("the request is not complete")


def write_data(machine: h11.Connection, exchange: Exchange, event: Data, rest: Rest) -> bytes:
    if exchange.sent_end:
        raise LocalProtocolError("the message has ended")
    if exchange.tunnel_open:
        return event.data
    if machine.our_role is h11.SERVER and exchange.method == "HEAD":
        if machine.our_state is not h11.SEND_BODY:
            raise LocalProtocolError("content before the head of the response")
        return b""  # RFC 9110 section 9.3.2
    if exchange.bodiless:
        return b""  # section 15.3.6
    return write(machine, h11.Data(data=event.data))


def write_end(
    machine: h11.Connection, exchange: Exchange, event: EndOfMessage, rest: Rest
) -> bytes:
    if exchange.sent_end:
        raise LocalProtocolError("the message has ended")
    exchange.sent_end = True
    if exchange.tunnel_open:
        return b""
    trailers = to_raw(event.trailers)
    if exchange.http_version == "1.0" or exchange.method == "HEAD":
        trailers = []  # RFC 9110 section 6.5.1: no place for them
    return write(machine, h11.EndOfMessage(headers=trailers))


def write_reset(
    machine: h11.Connection, exchange: Exchange, event: StreamReset, rest: Rest
) -> bytes:
    if event.code == ErrorCode.NO_ERROR and exchange.sent_end:
        exchange.discards = True
    else:
        exchange.aborted = True
    return b""


WRITERS: dict[type, Callable[..., bytes]] = {
    Request: write_request,
    InformationalResponse: write_informational,
    Response: write_response,
    Accept: write_accept,
    Data: write_data,
    EndOfMessage: write_end,
    StreamReset: write_reset,
}


class Reserved(bytes):
    """Stands in h11's writer for body bytes that the adapter writes itself.

    h11 asks nothing but the length of what it passes through.
    """

    size: int

    def __new__(cls, size: int) -> Reserved:
        placeholder = super().__new__(cls)
        placeholder.size = size
        return placeholder

    def __len__(self) -> int:
        return self.size


def write_refusal(machine: h11.Connection, error: RemoteProtocolError, silent: bool) -> bytes:
    """Write the response to a request that is refused; ``silent``: it was HEAD."""
    status = error.status_hint
    body = f"{status} {error.message}\n".encode("ascii", "backslashreplace")
    fields = [
        ("Content-Type", "text/plain; charset=utf-8"),
        ("Content-Length", str(len(body))),
        ("Connection", "close"),
    ]
    head = h11.Response(status_code=status, reason=phrase(status), headers=fields)
    data = write(machine, head)
    return data if silent else data + body


def is_framed(headers: Headers) -> bool:
    """Tell whether the fields say where the content ends."""
    sized = get_all(headers, "content-length")
    coded = get_all(headers, "transfer-encoding")
    if sized and coded:  # RFC 9112 section 6.2
        raise LocalProtocolError("Content-Length and Transfer-Encoding exclude each other")
    return bool(sized or coded)


def request_framing(method: str, headers: Headers, rest: Rest) -> Fields:
    """Return the framing fields that a request still needs."""
    if is_framed(headers):
        return []
    size = complete_length(rest)
    if size is None:
        chunked = method not in METHODS_WITHOUT_CONTENT
        return [("Transfer-Encoding", "chunked")] if chunked else []
    if size or method in METHODS_WITH_CONTENT:
        return [("Content-Length", str(size))]
    return []


def response_framing(method: str, status: int, headers: Headers, rest: Rest) -> Fields:
    """Return the framing fields that a response still needs; h11 adds chunked itself."""
    if status in ENDED_BY_HEAD or is_framed(headers):
        return []
    size = complete_length(rest)
    if not size and method == "HEAD":  # RFC 9110 section 8.6: no content tells no length
        return []
    return [] if size is None else [("Content-Length", str(size))]


def upgrade_fields(headers: Headers, protocol: str) -> Fields:
    """Return what ``headers`` lack to switch to ``protocol`` (RFC 9110 section 7.8)."""
    fields = []
    if not get_all(headers, "upgrade"):
        fields.append(("Upgrade", protocol))
    if not has_token(headers, "connection", "upgrade"):
        fields.append(("Connection", "Upgrade"))
    return fields


def phrase(status: int) -> bytes:
    """Return the standard reason phrase of ``status``, or none."""
    try:
        return http.HTTPStatus(status).phrase.encode()
    except ValueError:
        return b""


def write(machine: h11.Connection, event: h11.Event) -> bytes:
    """Let h11 write ``event`` and return the bytes."""
    return machine.send(event) or b""
