"""Requests that nobody sent, and what a handler can do with them."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any
from unittest import mock

import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

import plait
from plait import web
from plait.http import HttpVersion20
from plait.test_utils import make_mocked_request
from plait_engine import LocalProtocolError

VERSIONS = [plait.HttpVersion10, plait.HttpVersion11, HttpVersion20]

HANDSHAKE = {
    "Host": "example.com",
    "Upgrade": "WebSocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version": "13",
}


def written(request: web.Request) -> bytes:
    """Return what was written to the mock of a transport."""
    transport: Any = request.transport
    return b"".join(call.args[0] for call in transport.write.call_args_list)


async def greet(request: web.Request) -> web.Response:
    return web.Response(text=f"Hello, {request.match_info['name']}!")


# -- without a loop ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers", [None, {"X-A": "b"}, CIMultiDict({"X-A": "b"}), [("X-A", "b")], {}]
)
def test_the_head(headers: Any) -> None:
    request = make_mocked_request("get", "/a%20b?c=d", headers)
    assert type(request) is web.Request
    assert request.method == "GET"
    assert request.path == "/a b"
    assert request.raw_path == request.path_qs == "/a%20b?c=d"
    assert request.query == {"c": "d"}
    assert isinstance(request.headers, CIMultiDictProxy)
    assert dict(request.headers) == dict(headers or {})
    assert request.raw_headers == (((b"X-A", b"b"),) if headers else ())
    assert request.version == (1, 1)
    assert request.keep_alive
    assert request.match_info == {}
    assert not request.body_exists
    assert request.task is not None


def test_the_connection() -> None:
    request = make_mocked_request("GET", "/")
    transport = request.transport
    assert transport is not None
    assert transport.get_extra_info("sockname") == ("127.0.0.1", 80)
    assert transport.get_extra_info("sslcontext") is None
    assert transport.get_extra_info("anything") is None
    assert request.get_extra_info("anything", 3) == 3
    assert request.remote is None
    assert (request.scheme, request.host) == ("http", "127.0.0.1")
    assert request.url == URL("http://127.0.0.1/")
    assert request.protocol.transport is transport


def test_tls() -> None:
    context = ssl.create_default_context()
    request = make_mocked_request("GET", "/", {"Host": "example.com"}, sslcontext=context)
    assert request.secure
    assert request.url == URL("https://example.com/")
    assert request.get_extra_info("sslcontext") is context


@pytest.mark.parametrize("host", ["example.com", "example.com:8080", "[::1]"])
def test_an_absolute_path_says_the_host(host: str) -> None:
    request = make_mocked_request("GET", f"https://{host}/a?b=c", {"Host": "other"})
    assert request.url == URL(f"http://{host}/a?b=c")  # Who asks does not choose the scheme.
    assert (request.scheme, request.host, request.path_qs) == ("http", host, "/a?b=c")


def test_a_transport_that_answers_to_names_alone() -> None:
    transport = mock.Mock()
    known = {"sockname": ("::1", 80, 0, 0), "peername": ("::2", 9, 0, 0)}
    transport.get_extra_info.side_effect = lambda name: known.get(name)
    request = make_mocked_request("GET", "/", transport=transport)
    assert request.url == URL("http://[::1]/")
    assert request.remote == "::2"


def test_a_client_of_http_1_0() -> None:
    version = plait.HttpVersion10
    assert not make_mocked_request("GET", "/", version=version).keep_alive
    headers = {"Connection": "keep-alive"}
    assert make_mocked_request("GET", "/", headers, version=version).keep_alive


@pytest.mark.parametrize("version", VERSIONS[1:])
@pytest.mark.parametrize("closing", [False, True])
def test_the_version(version: plait.HttpVersion, closing: bool) -> None:
    request = make_mocked_request("GET", "/", version=version, closing=closing)
    assert request.version == version
    # A request cannot close a connection of HTTP/2.
    assert request.keep_alive is (not closing or version == HttpVersion20)


def test_what_is_given_is_there() -> None:
    app, transport, protocol = mock.Mock(), mock.Mock(), mock.Mock()
    payload: Any = mock.Mock()
    loop = mock.Mock()
    request = make_mocked_request(
        "POST",
        "/",
        app=app,
        transport=transport,
        protocol=protocol,
        payload=payload,
        client_max_size=7,
        client_max_fields=8,
        loop=loop,
    )
    assert request.app is app
    assert request.transport is transport
    assert request.protocol is protocol
    assert protocol.transport is transport
    assert request.content is payload
    assert (request.client_max_size, request.client_max_fields) == (7, 8)
    with pytest.warns(DeprecationWarning, match="loop"):
        assert request.loop is loop


def test_the_application_is_a_mock_that_keeps_its_state() -> None:
    request = make_mocked_request("GET", "/")
    request.app["a"] = 1
    assert request.app["a"] == 1
    assert "a" in request.app
    assert request.app.get("b", 2) == 2
    with pytest.raises(KeyError):
        request.app["b"]
    with pytest.raises(AttributeError):
        _ = request.app.nonsense  # type: ignore[attr-defined]
    key = web.RequestKey("key", int)
    request[key] = 3
    assert request[key] == 3


@pytest.mark.parametrize("method", ["CONNECT", "PURGE", "OPTIONS"])
def test_any_method(method: str) -> None:
    assert make_mocked_request(method, "/").method == method


def test_what_is_no_method() -> None:
    with pytest.raises(LocalProtocolError):
        make_mocked_request("G T", "/")


def test_a_response_without_a_loop_is_written_at_once() -> None:
    request = make_mocked_request("GET", "/", version=HttpVersion20)

    async def answer() -> None:
        response = web.Response(text="whole")
        await response.prepare(request)
        await response.write_eof()

    coroutine = answer()
    with pytest.raises(StopIteration):
        coroutine.send(None)
    assert b"whole" in written(request)


# -- with one ------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_handler_is_called() -> None:
    request = make_mocked_request("GET", "/you", match_info={"name": "you"})
    response = await greet(request)
    assert response.text == "Hello, you!"


@pytest.mark.anyio
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_response_is_prepared_and_written(method: str, version: plait.HttpVersion) -> None:
    request = make_mocked_request(method, "/", version=version)
    response = web.StreamResponse(headers={"X-A": "b"})
    await response.prepare(request)
    assert response.prepared
    assert response.headers["X-A"] == "b"
    for _ in range(3):
        await response.write(bytes(100000))
    await response.write_eof(b"end")
    await asyncio.sleep(0)
    data = written(request)
    if version == HttpVersion20:
        assert (b"end" in data) is (method == "GET")
    else:
        assert data.startswith(b"HTTP/1.1 200 OK\r\nX-A: b\r\n")
        assert (b"end" in data) is (method == "GET")
        chunked = method == "GET" and version == plait.HttpVersion11
        assert (b"chunked" in data) is chunked


@pytest.mark.anyio
async def test_the_signal_of_an_application_is_sent() -> None:
    app = web.Application()

    async def add(request: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Signal"] = "sent"

    app.on_response_prepare.append(add)
    app.freeze()
    request = make_mocked_request("GET", "/", app=app)
    response = web.Response()
    await response.prepare(request)
    assert response.headers["X-Signal"] == "sent"


@pytest.mark.anyio
async def test_the_content() -> None:
    assert await make_mocked_request("GET", "/").read() == b""
    payload = plait.StreamReader(mock.Mock(), 2**16, loop=asyncio.get_running_loop())
    payload.feed_data(b"a=b&")
    payload.feed_data(b"c=d")
    payload.feed_eof()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    request = make_mocked_request("POST", "/", headers, payload=payload)
    assert request.body_exists
    assert request.can_read_body
    assert await request.post() == {"a": "b", "c": "d"}


@pytest.mark.anyio
async def test_content_that_is_too_large() -> None:
    payload = plait.StreamReader(mock.Mock(), 2**16, loop=asyncio.get_running_loop())
    payload.feed_data(b"12345")
    payload.feed_eof()
    request = make_mocked_request("POST", "/", payload=payload, client_max_size=4)
    with pytest.raises(web.HTTPRequestEntityTooLarge):
        await request.read()


@pytest.mark.anyio
@pytest.mark.parametrize("version", [plait.HttpVersion11, HttpVersion20])
async def test_a_websocket(version: plait.HttpVersion) -> None:
    request = make_mocked_request("GET", "/", HANDSHAKE, version=version)
    assert request.method == "GET"
    ws: Any = web.WebSocketResponse()
    assert ws.can_prepare(request)
    ws.set_status(200)
    await ws.prepare(request)
    assert ws.status == 101
    await ws.send_str("text")
    await asyncio.sleep(0)
    data = written(request)
    assert b"\x81\x04text" in data
    if version == plait.HttpVersion11:
        assert data.startswith(b"HTTP/1.1 101 Switching Protocols\r\n")
        assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in data


@pytest.mark.anyio
async def test_no_deadline_is_set() -> None:
    loop = asyncio.get_running_loop()
    with mock.patch.object(loop, "call_at", side_effect=AssertionError):
        request = make_mocked_request("GET", "/")
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"piece")
        await response.write_eof()


@pytest.mark.anyio
async def test_the_writer_tells_how_it_was_called() -> None:
    request = make_mocked_request("GET", "/")
    response = web.StreamResponse()
    response.enable_compression(web.ContentCoding.gzip)
    writer: Any = await response.prepare(request)
    assert writer is request.writer
    writer.enable_compression.assert_called_with("gzip", None)
    assert writer.write_headers.call_args.args[0] == "HTTP/1.1 200 OK"
    await response.write_eof(b"x")
    writer.write_eof.assert_called_once_with(b"x")
    assert writer.anything is writer.anything
    assert not hasattr(writer, "__fspath__")
    assert b"HTTP/1.1 200 OK" in written(request)


@pytest.mark.anyio
async def test_a_writer_of_ones_own() -> None:
    own = mock.Mock(write_headers=mock.AsyncMock(), write_eof=mock.AsyncMock())
    request = make_mocked_request("GET", "/", writer=own)
    response = web.Response(text="Hello", headers={"Content-Length": 5})  # type: ignore[dict-item]  # as some programs do
    assert await response.prepare(request) is own
    assert own.length == 5
    await response.write_eof()
    own.write_eof.assert_called_once_with(b"Hello")
    assert written(request) == b""
