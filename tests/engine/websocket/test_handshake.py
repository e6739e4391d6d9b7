"""The opening handshake on both carriers, and what it refuses.  W6, W14 to W17."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from plait_engine import Accept, LocalProtocolError, RemoteProtocolError, Request, Response
from plait_engine.headers import Headers, get, get_all
from plait_engine.websocket import (
    Deflate,
    HandshakeRefused,
    Negotiated,
    accept_key,
    accept_request,
    check_response,
    client_request,
)

KEY = "dGhlIHNhbXBsZSBub25jZQ=="  # RFC 6455 section 1.3

DEFAULTS = Deflate()


def request(*fields: tuple[str, str], without: str = "", http2: bool = False) -> Request:
    """A handshake as a client sends it, with further fields, and without one of its own."""
    own = [("Sec-WebSocket-Version", "13")]
    if not http2:
        own = [("Host", "a"), ("Upgrade", "websocket"), ("Connection", "Upgrade"), *own]
        own.append(("Sec-WebSocket-Key", KEY))
    headers = [field for field in own if field[0] != without]
    headers += fields
    if http2:
        headers = [(name.lower(), value) for name, value in headers]
        return Request(1, "CONNECT", "https", "a", "/", headers, "websocket", "2")
    return Request(1, "GET", "http", "a", "/", headers, "websocket", "1.1")


def offered(value: str, willing: Deflate | None = DEFAULTS) -> tuple[str | None, Deflate | None]:
    """What a server answers to the extensions ``value``, and what it agrees to."""
    accept, negotiated = accept_request(
        request(("Sec-WebSocket-Extensions", value)), deflate=willing
    )
    return get(accept.headers, "sec-websocket-extensions"), negotiated.deflate


@pytest.fixture(params=[False, True], ids=["http/1.1", "h2"])
def http2(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


# -- both sides together -----------------------------------------------------------


def test_the_key_of_the_rfc() -> None:
    assert accept_key(KEY) == "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="


@pytest.mark.parametrize("offers", [None, Deflate(), Deflate(True, True, 10, 9)])
@pytest.mark.parametrize("willing", [None, Deflate(), Deflate(True, True, 12, 8)])
def test_client_and_server_agree(
    http2: bool, offers: Deflate | None, willing: Deflate | None
) -> None:
    asked = client_request(
        1,
        scheme="https",
        authority="example.com",
        target="/chat?x=1",
        random=bytes,
        http2=http2,
        subprotocols=("v2", "v1"),
        deflate=offers,
        headers=[("Origin", "https://example.com")],
    )
    assert asked.protocol == "websocket"
    assert asked.method == ("CONNECT" if http2 else "GET")
    assert (asked.scheme, asked.target) == ("https", "/chat?x=1")
    received = replace(asked, http_version="2" if http2 else "1.1")
    accept, servers = accept_request(
        received, subprotocols=["v0", "v1"], deflate=willing, headers=[("X-Extra", "1")]
    )
    assert get(accept.headers, "x-extra") == "1"
    assert (get(accept.headers, "sec-websocket-accept") is None) is http2
    if http2:
        assert all(name == name.lower() for name, _ in [*asked.headers, *accept.headers])
    else:
        upgrade = [("Upgrade", "WebSocket"), ("Connection", "keep-alive, upgrade")]
        accept.headers = [*accept.headers, *upgrade]
    clients = check_response(asked, accept, deflate=offers)
    assert clients.subprotocol == servers.subprotocol == "v1"
    if offers is None or willing is None:
        assert clients.deflate is servers.deflate is None
    else:
        assert clients.deflate is not None
        assert servers.deflate is not None
        assert clients.deflate == replace(
            servers.deflate,
            level=clients.deflate.level,
            memory_level=clients.deflate.memory_level,
        )


def test_nonces_are_drawn_from_random() -> None:
    asked = client_request(
        1, scheme="http", authority="a", target="/", random=lambda size: b"r" * size
    )
    assert get(asked.headers, "sec-websocket-key") == base64.b64encode(b"r" * 16).decode()


@pytest.mark.parametrize("subprotocols", [("a b",), ("a", "a"), ("",), ("ä",), ("a\r\nX: y",)])
def test_subprotocols_that_cannot_be_offered(subprotocols: tuple[str, ...]) -> None:
    with pytest.raises(LocalProtocolError):
        client_request(
            1, scheme="http", authority="a", target="/", random=bytes, subprotocols=subprotocols
        )


# -- the server: requests that are refused ----------------------------------------------


def refusal(asked: Request, **options: Any) -> HandshakeRefused:
    with pytest.raises(HandshakeRefused) as caught:
        accept_request(asked, **options)
    return caught.value


@pytest.mark.parametrize(
    "keys",
    [
        [],
        [KEY, KEY],
        [""],
        ["dG9vIHNob3J0"],
        [KEY + "AAAA"],
        ["dGhlIHNhbXBsZSBub25jZQ"],
        ["dGhlIHNhbXBsZ\tSBub25jZQ=="],
        ["\udcff" * 24],
        ["ä" * 24],
    ],
)
def test_w15_keys(keys: list[str]) -> None:
    asked = request(*[("Sec-WebSocket-Key", key) for key in keys], without="Sec-WebSocket-Key")
    assert refusal(asked).status_hint == 400


@pytest.mark.parametrize(
    "versions", [[], ["12"], ["8"], ["7"], ["0"], ["13, 8"], ["13", "13"], ["ä"], [" "], ["\udcff"]]
)
def test_w15_versions(versions: list[str], http2: bool) -> None:
    asked = request(
        *[("Sec-WebSocket-Version", version) for version in versions],
        without="Sec-WebSocket-Version",
        http2=http2,
    )
    refused = refusal(asked)
    assert get(refused.headers, "sec-websocket-version") == "13"
    # There is no Upgrade on HTTP/2 that 426 could require (RFC 9110 section 15.5.22).
    assert refused.status_hint == (400 if http2 else 426)
    assert get(refused.headers, "upgrade") == (None if http2 else "websocket")
    assert refused.message.isascii(), "it is the content of an answer"


def test_w15_methods() -> None:
    refused = refusal(replace(request(), method="POST"))
    assert refused.status_hint == 405
    assert refused.headers == [("Allow", "GET")]


def test_w15_http_1_0() -> None:
    assert refusal(replace(request(), http_version="1.0")).status_hint == 400


@pytest.mark.parametrize("protocol", [None, "h2c", "connect-udp"])
def test_requests_for_something_else(protocol: str | None, http2: bool) -> None:
    assert refusal(replace(request(http2=http2), protocol=protocol)).status_hint == 400


@pytest.mark.parametrize("field", [("Content-Length", "5"), ("Transfer-Encoding", "chunked")])
def test_w15_handshakes_with_content(field: tuple[str, str]) -> None:
    assert refusal(request(field)).status_hint == 400


def test_content_length_zero_is_no_content() -> None:
    accept_request(request(("Content-Length", "0")))


@pytest.mark.parametrize(
    ("origins", "allowed"),
    [
        (["https://good.example"], True),
        (["https://evil.example"], False),
        (["https://good.example.evil.example"], False),
        (["null"], False),
        ([], False),
        (["https://good.example", "https://good.example"], False),
    ],
)
def test_w17_origins(origins: list[str], allowed: bool, http2: bool) -> None:
    asked = request(*[("Origin", origin) for origin in origins], http2=http2)
    accept_request(asked)  # Without a list every origin is let in.
    if allowed:
        accept_request(asked, origins={"https://good.example"})
    else:
        assert refusal(asked, origins={"https://good.example"}).status_hint == 403


# -- the server: subprotocols and extensions ----------------------------------------------


@pytest.mark.parametrize(
    ("values", "chosen"),
    [
        (["b, a"], "b"),
        (["x", "a,b"], "a"),
        (["x"], None),
        ([], None),
        ([""], None),
        (["A"], None),
        ([" a\t"], "a"),
        (["b" + " " * 32768 + "x"], None),  # W14
        (["\udcff, constructor, a"], "a"),
    ],
)
def test_w14_subprotocols(values: list[str], chosen: str | None) -> None:
    asked = request(*[("Sec-WebSocket-Protocol", value) for value in values])
    accept, negotiated = accept_request(asked, subprotocols=("a", "b"))
    assert negotiated.subprotocol == chosen
    assert get_all(accept.headers, "sec-websocket-protocol") == ([chosen] if chosen else [])


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("permessage-deflate", "permessage-deflate"),
        ("permessage-deflate; client_max_window_bits", "permessage-deflate"),
        (
            "permessage-deflate; client_max_window_bits=10",
            "permessage-deflate; client_max_window_bits=10",
        ),
        (
            "permessage-deflate; server_max_window_bits=15",
            "permessage-deflate; server_max_window_bits=15",
        ),
        (
            'permessage-deflate;server_max_window_bits="1\\0"',
            "permessage-deflate; server_max_window_bits=10",
        ),
        (
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        ("x-webkit-deflate-frame, permessage-deflate", "permessage-deflate"),
        ("permessage-deflate; nonsense, , permessage-deflate", "permessage-deflate"),
        ("constructor; __proto__=1", None),
        ("x", None),
        ("", None),
        # W6: no acceptable parameters, so the offer is declined.
        *(
            (f"permessage-deflate; {parameter}", None)
            for parameter in (
                "server_max_window_bits",
                "server_max_window_bits=7",
                "server_max_window_bits=16",
                "server_max_window_bits=08",
                "server_max_window_bits=abc",
                "client_max_window_bits=7",
                "client_max_window_bits=+9",
                "server_no_context_takeover=1",
                "client_no_context_takeover=true",
                "client_max_window_bits; client_max_window_bits",
                "server_no_context_takeover; server_no_context_takeover",
                "unknown",
                "unknown=1",
            )
        ),
    ],
)
def test_w6_offers_of_deflate(value: str, answer: str | None) -> None:
    text, agreed = offered(value)
    assert text == answer
    assert (agreed is None) is (answer is None)
    assert offered(value, willing=None) == (None, None)


@pytest.mark.parametrize(
    ("value", "willing", "answer"),
    [
        ("", Deflate(True, False, 12), "permessage-deflate; server_no_context_takeover; "
         "server_max_window_bits=12"),
        ("; server_max_window_bits=10", Deflate(False, True, 12), "permessage-deflate; "
         "client_no_context_takeover; server_max_window_bits=10"),
        ("; client_max_window_bits", Deflate(client_max_window_bits=9),
         "permessage-deflate; client_max_window_bits=9"),
        ("; client_max_window_bits=8", Deflate(client_max_window_bits=9),
         "permessage-deflate; client_max_window_bits=8"),
        ("", Deflate(client_max_window_bits=9), "permessage-deflate"),
    ],
)  # fmt: skip
def test_what_the_server_wants_itself(value: str, willing: Deflate, answer: str) -> None:
    assert offered("permessage-deflate" + value, willing)[0] == answer


def test_a_client_that_cannot_limit_its_window_keeps_15_bits() -> None:
    agreed = offered("permessage-deflate", Deflate(client_max_window_bits=9))[1]
    assert agreed == Deflate(client_max_window_bits=15)


@pytest.mark.parametrize(
    "value", ["permessage deflate", "a; =1", "a; b=", 'a; b="', 'a; b=" "', "ä", ";", "a;;b", "a=b"]
)
def test_w14_extensions_that_are_not_well_formed(value: str, http2: bool) -> None:
    asked = request(("Sec-WebSocket-Extensions", value), http2=http2)
    assert refusal(asked, deflate=Deflate()).status_hint == 400


# -- the client: answers that are no answer ------------------------------------------------


def answer_to(
    *fields: tuple[str, str], without: str = "", deflate: Deflate | None = None
) -> Negotiated:
    asked = request(("Sec-WebSocket-Protocol", "a, b"))
    own = [
        ("Upgrade", "websocket"),
        ("Connection", "Upgrade"),
        ("Sec-WebSocket-Accept", accept_key(KEY)),
    ]
    headers: Headers = [*(field for field in own if field[0] != without), *fields]
    return check_response(asked, Accept(1, headers), deflate=deflate)


@pytest.mark.parametrize("status", [200, 301, 401, 404, 426, 503])
def test_a_status_that_is_not_101(status: int) -> None:
    with pytest.raises(RemoteProtocolError, match=str(status)):
        check_response(request(), Response(1, status))


@pytest.mark.parametrize(
    ("without", "field"),
    [
        ("Upgrade", None),
        ("Upgrade", ("Upgrade", "h2c")),
        ("Connection", None),
        ("Connection", ("Connection", "close")),
        ("Sec-WebSocket-Accept", None),
        ("Sec-WebSocket-Accept", ("Sec-WebSocket-Accept", accept_key("x"))),
        ("Sec-WebSocket-Accept", ("Sec-WebSocket-Accept", accept_key(KEY).lower())),
        ("Sec-WebSocket-Accept", ("Sec-WebSocket-Accept", "\udcff")),
        ("", ("Sec-WebSocket-Accept", accept_key(KEY))),
        ("", ("Sec-WebSocket-Protocol", "c")),
        ("", ("Sec-WebSocket-Protocol", "a, b")),
        ("", ("Sec-WebSocket-Protocol", "")),
        ("", ("Sec-WebSocket-Extensions", "x")),
        ("", ("Sec-WebSocket-Extensions", "permessage-deflate")),
        ("", ("Sec-WebSocket-Extensions", "permessage-deflate;")),
    ],
)
def test_w16_answers_that_do_not_fit(without: str, field: tuple[str, str] | None) -> None:
    with pytest.raises(RemoteProtocolError):
        answer_to(*([field] if field else []), without=without)


def test_the_answer_may_leave_everything_out() -> None:
    assert answer_to(deflate=Deflate()) == Negotiated(None, None)
    assert answer_to(("Sec-WebSocket-Protocol", "b")) == Negotiated("b", None)


OFFER = Deflate(server_max_window_bits=12, client_max_window_bits=11)


@pytest.mark.parametrize(
    "parameters",
    [
        "",
        "; server_max_window_bits=13",
        "; server_max_window_bits",
        "; server_max_window_bits=12; client_max_window_bits",
        "; server_max_window_bits=12; client_max_window_bits=12",
        "; server_max_window_bits=7",
        "; server_max_window_bits=12; server_max_window_bits=12",
        "; server_max_window_bits=12; unknown",
        "; server_max_window_bits=12; client_no_context_takeover=1",
        "; server_max_window_bits=12, permessage-deflate; server_max_window_bits=12",
        "; server_max_window_bits=12, other",
    ],
)
def test_w6_answers_to_deflate_that_were_not_offered(parameters: str) -> None:
    with pytest.raises(RemoteProtocolError):
        answer_to(("Sec-WebSocket-Extensions", "permessage-deflate" + parameters), deflate=OFFER)


def test_w6_no_context_takeover_must_be_confirmed() -> None:
    answer = ("Sec-WebSocket-Extensions", "permessage-deflate")
    with pytest.raises(RemoteProtocolError):
        answer_to(answer, deflate=Deflate(server_no_context_takeover=True))
    assert answer_to(answer, deflate=Deflate(client_no_context_takeover=True)).deflate == Deflate(
        client_no_context_takeover=True
    )


def test_what_a_server_may_change() -> None:
    value = (
        "permessage-deflate; server_max_window_bits=9; client_max_window_bits=8; "
        "server_no_context_takeover; client_no_context_takeover"
    )
    negotiated = answer_to(("Sec-WebSocket-Extensions", value), deflate=OFFER)
    assert negotiated.deflate == Deflate(True, True, 9, 8)
