"""The server's side of 100 Continue, of tunnels and of HTTP/2 by prior knowledge."""

from __future__ import annotations

import pytest

from plait_engine import (
    Accept,
    CloseAction,
    ConnectionState,
    Data,
    EndOfMessage,
    InformationalResponse,
    LocalProtocolError,
    PriorKnowledge,
    Response,
)
from plait_engine.testing import Fragmenter
from tests.engine.chops import CHOPS
from tests.engine.http1.helpers import (
    GET,
    answer,
    body_of,
    closed,
    config,
    ended,
    head,
    requests,
    server,
    statuses,
)

each_chop = pytest.mark.parametrize("chop", CHOPS)


# -- 100 Continue -------------------------------------------------------------------------

EXPECT = head("POST / HTTP/1.1", "Host: a", "Content-Length: 5", "Expect: 100-Continue")


@each_chop
def test_100_continue_is_sent_when_the_application_wants_it(chop: Fragmenter) -> None:
    endpoint = server(chop)
    endpoint.receive(EXPECT)
    assert requests(endpoint)[0].expect_continue
    assert endpoint.take_sent() == b""
    endpoint.send(InformationalResponse(1, 100))
    assert endpoint.take_sent() == b"HTTP/1.1 100 Continue\r\n\r\n"
    endpoint.send(InformationalResponse(1, 100))
    assert endpoint.take_sent() == b""
    endpoint.receive(b"hello")
    assert body_of(endpoint) == b"hello"
    assert b"Connection" not in answer(endpoint)
    assert endpoint.connection.state is ConnectionState.OPEN


@pytest.mark.parametrize(
    "data",
    [
        EXPECT + b"h",
        GET,
        head("POST / HTTP/1.0", "Content-Length: 5", "Expect: 100-continue"),
        head("POST / HTTP/1.1", "Host: a", "Content-Length: 0", "Expect: 100-continue"),
        head("POST / HTTP/1.1", "Host: a", "Content-Length: 5", "Expect: y 100-continue"),
        head("POST / HTTP/1.1", "Host: a", "Content-Length: 5", "Expect: foo"),
    ],
)
def test_100_continue_is_not_sent_when_nobody_waits(data: bytes) -> None:
    """S84."""
    endpoint = server()
    endpoint.receive(data)
    endpoint.send(InformationalResponse(1, 100))
    assert endpoint.take_sent() == b""


def test_a_final_answer_instead_of_100_closes() -> None:
    """RFC 9110 section 10.1.1: nobody knows whether the content comes."""
    endpoint = server()
    endpoint.receive(EXPECT)
    data = answer(endpoint, status=401)
    assert b"\r\nConnection: close\r\n" in data
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF
    endpoint.receive(b"hello" + GET)
    assert len(requests(endpoint)) == 1
    assert body_of(endpoint) == b""


def test_other_informational_responses() -> None:
    endpoint = server()
    endpoint.receive(GET)
    endpoint.send(InformationalResponse(1, 103, [("Link", "</a>"), ("Content-Length", "5")]))
    endpoint.send(InformationalResponse(1, 103))
    assert endpoint.take_sent() == (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n"
    )
    assert statuses(answer(endpoint)) == [200]


def test_http10_gets_no_informational_response() -> None:
    endpoint = server()
    endpoint.receive(b"GET / HTTP/1.0\r\n\r\n")
    endpoint.send(InformationalResponse(1, 103))
    assert endpoint.take_sent() == b""


# -- tunnels --------------------------------------------------------------------------------

UPGRADE = head(
    "GET /ws HTTP/1.1", "Host: a", "Connection: keep-alive, Upgrade", "Upgrade: WebSocket"
)


@each_chop
def test_an_accepted_upgrade_becomes_a_tunnel(chop: Fragmenter) -> None:
    endpoint = server(chop)
    endpoint.receive(UPGRADE + b"early")
    assert requests(endpoint)[0].protocol == "websocket"
    assert not ended(endpoint)
    endpoint.send(Accept(1, [("X", "y"), ("Upgrade", "other"), ("Content-Length", "5")]))
    assert endpoint.take_sent() == (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"X: y\r\n\r\n"
    )
    endpoint.receive(b" late" + GET)
    assert body_of(endpoint) == b"early late" + GET
    count = len(endpoint.events)
    endpoint.connection.receive_data(b"", endpoint.clock.now)
    endpoint.drain()
    assert len(endpoint.events) == count
    endpoint.send(Data(1, b"down"))
    assert endpoint.take_sent() == b"down"
    endpoint.send(EndOfMessage(1))
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF
    endpoint.receive(b"!")
    endpoint.receive_eof()
    assert body_of(endpoint).endswith(b"!")
    assert ended(endpoint)
    assert closed(endpoint).error is None
    assert endpoint.connection.wants_close is CloseAction.CLOSE


def test_a_tunnel_that_the_peer_ends_first() -> None:
    endpoint = server()
    endpoint.receive(UPGRADE)
    endpoint.send(Accept(1))
    endpoint.receive_eof()
    assert ended(endpoint)
    assert not endpoint.is_closed
    endpoint.send(Data(1, b"bye"), EndOfMessage(1))
    assert endpoint.take_sent().endswith(b"bye")
    assert endpoint.is_closed


def test_eof_before_the_tunnel_is_decided() -> None:
    endpoint = server()
    endpoint.receive(UPGRADE + b"x")
    endpoint.receive_eof()
    endpoint.send(Accept(1))
    assert body_of(endpoint) == b"x"
    assert ended(endpoint)


@each_chop
def test_a_declined_upgrade_goes_on_with_http(chop: Fragmenter) -> None:
    """S11."""
    endpoint = server(chop)
    endpoint.receive(UPGRADE + GET * 40)
    answer(endpoint, 1, status=403)
    assert ended(endpoint)
    for number in range(1, 41):
        assert statuses(answer(endpoint, 2 * number + 1)) == [200]
    assert len(requests(endpoint)) == 41


def test_what_comes_behind_a_pending_upgrade_is_bounded() -> None:
    endpoint = server(settings=config(max_pipelined=100))
    endpoint.receive(UPGRADE)
    endpoint.receive(b"x" * 100)
    assert not endpoint.connection.wants_read
    endpoint.send(Accept(1))
    assert endpoint.connection.wants_read
    assert body_of(endpoint) == b"x" * 100


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(head("GET / HTTP/1.1", "Host: a", *fields), id=name)
        for name, fields in [
            ("S12-no-connection", ["Upgrade: websocket"]),
            ("S12-notupgrade", ["Upgrade: websocket", "Connection: notupgrade"]),
            (
                "S12-h2c",
                ["Upgrade: h2c", "Connection: Upgrade, HTTP2-Settings", "HTTP2-Settings: AA"],
            ),
            ("S12-unknown", ["Upgrade: totally-made-up/1.0", "Connection: Upgrade"]),
            ("S12-kelvin", ["Upgrade: webso\xe2\x84\xaaet", "Connection: Upgrade"]),
            ("S12-empty", ["Upgrade:", "Connection: Upgrade"]),
        ]
    ]
    + [
        pytest.param(
            head("GET / HTTP/1.0", "Host: a", "Upgrade: websocket", "Connection: Upgrade"),
            id="S12-http10",
        )
    ],
)
def test_an_upgrade_that_is_ignored(data: bytes) -> None:
    endpoint = server(settings=config(upgrade_protocols=frozenset({"websocket", "h2c"})))
    endpoint.receive(data)
    assert requests(endpoint)[0].protocol is None
    assert ended(endpoint)
    with pytest.raises(LocalProtocolError):
        endpoint.send(Accept(1))
    assert statuses(answer(endpoint)) == [200]


def test_the_first_upgrade_that_is_offered_is_taken() -> None:
    endpoint = server()
    endpoint.receive(
        head("GET / HTTP/1.1", "Host: a", "Upgrade: h2c, foo/2, websocket", "Connection: upgrade")
    )
    assert requests(endpoint)[0].protocol == "websocket"


@each_chop
@pytest.mark.parametrize(
    ("field", "body"),
    [
        ("Content-Length: 4", b"body"),
        ("Transfer-Encoding: chunked", b"4\r\nbody\r\n0\r\n\r\n"),
        ("Content-Length: 24", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    ],
)
def test_an_upgrade_with_content_is_an_ordinary_request(
    field: str, body: bytes, chop: Fragmenter
) -> None:
    """S11, S13; RFC 9110 section 7.8."""
    endpoint = server(chop)
    endpoint.receive(
        head("GET / HTTP/1.1", "Host: a", "Upgrade: websocket", "Connection: Upgrade", field)
        + body
        + GET
    )
    assert requests(endpoint)[0].protocol is None
    assert ended(endpoint)
    answer(endpoint)
    assert len(requests(endpoint)) == 2


@each_chop
def test_connect(chop: Fragmenter) -> None:
    endpoint = server(chop)
    endpoint.receive(head("CONNECT b:1 HTTP/1.1", "Host: b:1") + b"up")
    assert requests(endpoint)[0].protocol is None
    assert not ended(endpoint)
    with pytest.raises(LocalProtocolError, match="Accept"):
        endpoint.send(Response(1, 200), EndOfMessage(1))
    endpoint.send(Accept(1))
    assert endpoint.take_sent() == b"HTTP/1.1 200 OK\r\n\r\n"
    assert body_of(endpoint) == b"up"


def test_connect_declined() -> None:
    endpoint = server()
    endpoint.receive(head("CONNECT b:1 HTTP/1.1", "Host: b:1") + GET)
    answer(endpoint, status=405)
    assert ended(endpoint)
    assert len(requests(endpoint)) == 2


def test_connect_over_http10_closes_when_declined() -> None:
    endpoint = server()
    endpoint.receive(head("CONNECT b:1 HTTP/1.0"))
    assert b"Connection: close" in answer(endpoint, status=405)


# -- prior knowledge ------------------------------------------------------------------------

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


@each_chop
def test_the_http2_preface_is_handed_over(chop: Fragmenter) -> None:
    endpoint = server(chop, config(detect_http2=True))
    endpoint.receive(PREFACE)
    assert endpoint.events == [PriorKnowledge(PREFACE)]
    assert endpoint.take_sent() == b""
    assert endpoint.connection.wants_close is CloseAction.NONE
    assert not endpoint.connection.wants_read
    assert endpoint.connection.next_timeout() is None


def test_what_follows_the_preface_is_handed_over_too() -> None:
    endpoint = server(settings=config(detect_http2=True))
    endpoint.receive(PREFACE[:5])
    endpoint.receive(PREFACE[5:] + b"frames")
    assert endpoint.events == [PriorKnowledge(PREFACE + b"frames")]


@each_chop
@pytest.mark.parametrize("data", [PREFACE[:18] + b"XX\r\n\r\n", b"PRI * HTTP/2.1\r\n\r\n"])
def test_nearly_the_preface(data: bytes, chop: Fragmenter) -> None:
    endpoint = server(chop, config(detect_http2=True))
    endpoint.receive(data)
    assert statuses(endpoint.take_sent()) == [505]


@each_chop
@pytest.mark.parametrize(
    "data",
    [
        b"INVALID CONNECTION PREFACE\r\n\r\n",
        b"FOO BAR BAZ\r\n",
        b"PRI * BAZ\r\n",
        b"GET / PREFACE\r\n\r\n",
        b"GET index HTTP/1.1\r\n\r\n",
        b"GET index http/1.1\r\n\r\n",
        b"CONNECT a:1 PREFACE\r\n\r\n",
        b"OPTIONS * PREFACE\r\n\r\n",
        b"INVALID PREFACE\r\n\r\n",
    ],
)
@pytest.mark.parametrize("detect_http2", [True, False])
def test_what_is_neither_a_request_nor_the_preface_is_answered(
    data: bytes, detect_http2: bool, chop: Fragmenter
) -> None:
    # RFC 9112 section 2.2
    endpoint = server(chop, config(detect_http2=detect_http2))
    endpoint.receive(data)
    assert statuses(endpoint.take_sent()) == [400]
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF


def test_another_protocol_behind_a_request_is_answered() -> None:
    endpoint = server(settings=config(detect_http2=True))
    endpoint.receive(GET + b"INVALID CONNECTION PREFACE\r\n\r\n")
    assert statuses(answer(endpoint)) == [200, 400]


def test_the_preface_behind_a_request_is_refused() -> None:
    endpoint = server(settings=config(detect_http2=True))
    endpoint.receive(GET + PREFACE)
    assert statuses(answer(endpoint)) == [200, 505]


@each_chop
def test_methods_that_begin_like_the_preface(chop: Fragmenter) -> None:
    endpoint = server(chop, config(detect_http2=True))
    endpoint.receive(head("PROPFIND / HTTP/1.1", "Host: a") + head("PRI /x HTTP/1.1", "Host: a"))
    answer(endpoint)
    assert [request.method for request in requests(endpoint)] == ["PROPFIND", "PRI"]
