"""Attacks on the HTTP/1.1 engine that its own tests do not try.

A row is an id of the list of attacks, and what makes the row.  ``test_index`` says where
the others are.
"""

from __future__ import annotations

import pytest

from plait_engine import EndOfMessage, Request
from plait_engine.testing import Fragmenter
from tests.engine.chops import CHOPS
from tests.engine.http1.helpers import (
    GET,
    POISON,
    answer,
    ask,
    body_of,
    client,
    closed,
    config,
    ended,
    requests,
    responses,
    server,
    statuses,
)
from tests.engine.http1.test_bad_requests import coding, field, head, request_line

each_chop = pytest.mark.parametrize("chop", CHOPS)


@each_chop
@pytest.mark.parametrize(
    ("data", "content"),
    [
        pytest.param(coding("Chunked"), b"hello", id="S3-case"),
        pytest.param(coding(",chunked"), b"hello", id="S3-empty-member-before"),
        pytest.param(coding("chunked ,"), b"hello", id="S3-empty-member-behind"),
        pytest.param(coding(" \tchunked\t "), b"hello", id="S3-white-space"),
        pytest.param(head("Content_Length: 5"), b"", id="S48-length"),
        pytest.param(head("Transfer_Encoding: chunked"), b"", id="S48-coding"),
        pytest.param(head("ContentLength: 5"), b"", id="S48-without-hyphen"),
        pytest.param(head("Content-Length: 0"), b"", id="S7-zero"),
    ],
)
def test_framing_is_what_the_grammar_says(data: bytes, content: bytes, chop: Fragmenter) -> None:
    endpoint = server(chop)
    endpoint.receive(data + GET)
    assert body_of(endpoint) == content
    assert ended(endpoint)
    assert statuses(answer(endpoint)) == [200]
    assert len(requests(endpoint)) == 2


@each_chop
@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        pytest.param(b"X: v \t", "X", "v", id="S61-behind"),
        pytest.param(b"X:\t v", "X", "v", id="S61-before"),
        pytest.param(b"X:", "X", "", id="S61-empty"),
        pytest.param(b"X: \xc2\xa0v\xc2\x85", "X", "\xa0v\x85", id="S60-only-ascii-white-space"),
        pytest.param(b"__proto__: x", "__proto__", "x", id="S63-proto"),
        pytest.param(b"__class__: x", "__class__", "x", id="S63-class"),
        pytest.param(b"X: a\tb", "X", "a\tb", id="S42-tab"),
        pytest.param(b"X: \xff", "X", "\udcff", id="S64-bytes"),
    ],
)
def test_fields_are_plain_data(line: bytes, name: str, value: str, chop: Fragmenter) -> None:
    endpoint = server(chop)
    endpoint.receive(field(line))
    (request,) = requests(endpoint)
    assert (name, value) in request.headers


@each_chop
@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([b"Upgrade: websocket", b"Connection: upgrade2"], id="S12-suffix"),
        pytest.param([b"Upgrade: websocket", b'Connection: "upgrade"'], id="S12-quoted"),
        pytest.param(["Connection: clo\u017fe".encode()], id="S3-long-s-close"),
        pytest.param(["Expect: 100-cont\u0131nue".encode()], id="S3-dotless-i-expect"),
    ],
)
def test_tokens_are_ascii_and_whole(lines: list[bytes], chop: Fragmenter) -> None:
    """Nothing of it is an Upgrade, an end or an expectation; the next request follows."""
    endpoint = server(chop)
    endpoint.receive(head(*lines, line="GET / HTTP/1.1") + GET)
    (request,) = requests(endpoint)
    assert request.protocol is None
    assert not request.expect_continue
    assert statuses(answer(endpoint)) == [200]
    assert len(requests(endpoint)) == 2


@each_chop
def test_s3_keep_alive_with_a_kelvin_sign_keeps_nothing(chop: Fragmenter) -> None:
    endpoint = server(chop)
    line = "GET / HTTP/1.0"
    endpoint.receive(head("Connection: \u212aeep-alive".encode(), line=line) + POISON)
    assert statuses(answer(endpoint)) == [200]
    assert endpoint.connection.wants_close
    assert len(requests(endpoint)) == 1


@each_chop
@pytest.mark.parametrize(
    ("line", "authority", "target"),
    [
        pytest.param("GET http://other/ HTTP/1.1", "other", "/", id="S55-host"),
        pytest.param("GET http://other:81?q HTTP/1.1", "other:81", "/?q", id="S55-query"),
        pytest.param("GET http://other HTTP/1.1", "other", "/", id="S55-no-path"),
        pytest.param("OPTIONS http://other HTTP/1.1", "other", "*", id="S55-options"),
        pytest.param("GET //other/ HTTP/1.1", "a", "//other/", id="S56-two-slashes"),
        pytest.param("OPTIONS * HTTP/1.1", "a", "*", id="S56-asterisk"),
    ],
)
def test_who_is_asked(line: str, authority: str, target: str, chop: Fragmenter) -> None:
    """RFC 9112 section 3.2.2: of target and Host, the target wins."""
    endpoint = server(chop)
    endpoint.receive(request_line(line))
    (request,) = requests(endpoint)
    assert (request.authority, request.target) == (authority, target)


@each_chop
@pytest.mark.parametrize(
    "lines",
    [
        pytest.param([b"a:"] * 10_000, id="S51-many"),
        pytest.param([b"a" * 100_000 + b": b"], id="S51-name"),
        pytest.param([b"a: " + b"b" * 100_000], id="S51-value"),
        pytest.param([b"a" * 100_000], id="S51-no-colon"),
        pytest.param([b"X: y"] * 10_000, id="S50-one-name"),
    ],
)
def test_too_much(lines: list[bytes], chop: Fragmenter) -> None:
    endpoint = server(chop)
    endpoint.receive(head(*lines, line="GET / HTTP/1.1"))
    endpoint.receive(POISON)
    assert statuses(endpoint.take_sent()) == [431]
    assert requests(endpoint) == []


def test_s50_a_name_that_repeats_costs_what_its_lines_cost() -> None:
    """If it cost the square of that, nobody would wait for this test to end."""
    count = 500_000
    endpoint = server(
        settings=config(max_fields=2 * count, max_header_list_size=1 << 30, max_field_size=1 << 20)
    )
    endpoint.receive(head(*[b"X: y"] * count, line="GET / HTTP/1.1"))
    (request,) = requests(endpoint)
    assert len(request.headers) == count + 1


def test_s49_a_long_bad_line_costs_what_it_is_long() -> None:
    """Likewise."""
    size = 4_000_000
    limits = config(max_field_size=2 * size, max_header_list_size=2 * size, max_line_size=2 * size)
    for data in (
        field(b"Bad: " + b"x" * size + b"\x10"),
        field(b"x" * size),
        request_line("GET /" + "x" * size + " HTTP/1.1\x10"),
        head(f"Host: {'%61' * (size // 3)}/", line="GET / HTTP/1.1", host=False),
    ):
        endpoint = server(settings=limits)
        endpoint.receive(data)
        assert statuses(endpoint.take_sent()) == [400]


def test_s52_dribbles_cost_what_they_carry() -> None:
    """The pieces of a long line are looked at once each."""
    endpoint = server(settings=config(max_line_size=1 << 22))
    endpoint.receive(b"GET /")
    for _ in range(1000):
        endpoint.receive(b"x" * 1024)
    endpoint.receive(b" HTTP/1.1\r\nHost: a\r\n\r\n")
    assert [type(event) for event in endpoint.events] == [Request, EndOfMessage]


def test_s49_a_folded_response_costs_what_it_is_long() -> None:
    """Likewise."""
    size = 1_000_000
    endpoint = client(settings=config(max_field_size=2 * size, max_header_list_size=4 * size))
    ask(endpoint)
    fields = b"X: a\r\n b" + b" \t" * (size // 2) + b"c\r\n"
    endpoint.receive(b"HTTP/1.1 204 No Content\r\n" + fields + b"\r\n")
    (response,) = responses(endpoint)
    (value,) = [value for name, value in response.headers if name == "X"]
    assert value.startswith("a b \t")
    assert value.endswith("\tc")


@each_chop
@pytest.mark.parametrize(
    ("data", "message"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nX: \x1b[2J\r\n\r\n", "control character", id="C8-escape"),
        pytest.param(b"\x1b[2J\r\n\r\n", "status line", id="S65-status-line"),
        pytest.param(b"HTTP/1.1 200 OK\r\n\x1b\xff: x\r\n\r\n", "name", id="S65-name"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: \xff5\r\n\r\n", "Length", id="S65-length"
        ),
    ],
)
def test_messages_of_errors_repeat_nothing(data: bytes, message: str, chop: Fragmenter) -> None:
    endpoint = client(chop)
    ask(endpoint)
    endpoint.receive(data)
    text = str(closed(endpoint).error)
    assert message in text
    assert text.isascii()
    assert text.isprintable()
    assert responses(endpoint) == []
