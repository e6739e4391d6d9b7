"""The client's WebSocket against servers that do what ours does not.  W16, W18, W22."""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

import plait
from plait import WSMsgType, web
from plait.http_websocket import WS_CLOSED_MESSAGE
from plait_engine.websocket import accept_key
from tests.adapters.ws_pair import ENGINES, echo, send_for_ever
from tests.conftest import Authority
from tests.engine.websocket.peer import CLOSE, PING, PONG, TEXT, Frame, close_frame, decode
from tests.serving import serve

pytestmark = pytest.mark.anyio

ACCEPT = (
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Accept: KEY\r\n\r\n"
)


@asynccontextmanager
async def raw_server(
    answer: bytes,
    received: list[bytes] | None = None,
    *,
    reply: bytes = b"",
    stay: bool = False,
) -> AsyncIterator[str]:
    """Answer each request with ``answer`` (KEY is the proof), then read, and close at EOF.

    ``reply``: what follows once the client sent something more.  ``stay``: do not end the
    connection before the client does.
    """
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            found = re.search(rb"Sec-WebSocket-Key: (\S+)", head, re.IGNORECASE)
            proof = accept_key(found[1].decode()).encode() if found else b""
            writer.write(answer.replace(b"KEY", proof))
            if not stay:
                writer.write_eof()
            data = b""
            if reply:
                data = await reader.read(1)
                writer.write(reply)
            data += await reader.read()
            if received is not None:
                received.extend([head, data])
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture(params=ENGINES)
async def session(request: pytest.FixtureRequest) -> AsyncIterator[plait.ClientSession]:
    async with plait.ClientSession(engine=request.param) as made:
        yield made


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (b"KEY", b"wrong"),
        (b"Sec-WebSocket-Accept: KEY\r\n", b""),
        (b"Upgrade: websocket", b"Upgrade: h2c"),
        (b"\r\n\r\n", b"\r\nSec-WebSocket-Protocol: unasked\r\n\r\n"),
        (b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
    ],
)
async def test_w16_answers_that_do_not_fit(
    session: plait.ClientSession, before: bytes, after: bytes
) -> None:
    async with raw_server(ACCEPT.replace(before, after)) as url:
        with pytest.raises(plait.ClientResponseError):  # WSServerHandshakeError is one
            await session.ws_connect(url)


async def test_w16_frames_in_the_packet_of_the_answer(session: plait.ClientSession) -> None:
    answer = ACCEPT + Frame(TEXT, b"early").encode(False) + close_frame(4000).encode(False)
    received: list[bytes] = []
    async with raw_server(answer, received) as url:
        async with session.ws_connect(url) as ws:
            assert await ws.receive_str() == "early"
            assert await ws.receive() == (WSMsgType.CLOSE, 4000, "")
        await session.close()
    assert list(decode(received[1], masked=True)) == [close_frame(4000)]


async def test_a_ping_in_the_packet_of_the_answer_is_answered(
    session: plait.ClientSession,
) -> None:
    answer = ACCEPT + Frame(PING, b"early").encode(False)
    reply = Frame(TEXT, b"done").encode(False)
    received: list[bytes] = []
    async with raw_server(answer, received, reply=reply, stay=True) as url:
        async with session.ws_connect(url) as ws:
            assert await ws.receive_str(timeout=20) == "done"
            ws._response.close()
        await session.close()
    assert next(decode(received[1], masked=True)) == Frame(PONG, b"early")


async def test_the_server_is_gone(session: plait.ClientSession) -> None:
    async with raw_server(ACCEPT + Frame(TEXT, b"last").encode(False)) as url:
        ws = await session.ws_connect(url)
        assert await ws.receive_str() == "last"
        assert await ws.receive() == WS_CLOSED_MESSAGE
        assert (ws.closed, ws.close_code, ws.exception()) == (True, 1006, None)
        assert await ws.close() is False


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (Frame(TEXT, b"masked").encode(True), 1002),
        (Frame(TEXT, b"\xc3\x28").encode(False), 1007),
        (Frame(TEXT, b"x" * 1001).encode(False), 1009),
    ],
)
async def test_faults_of_the_server(session: plait.ClientSession, data: bytes, code: int) -> None:
    received: list[bytes] = []
    answer = ACCEPT + Frame(TEXT, b"before").encode(False) + data
    async with raw_server(answer, received, stay=True) as url:
        ws = await session.ws_connect(url, max_msg_size=1000)
        assert await ws.receive_str() == "before"
        message = await ws.receive()
        assert message.type is WSMsgType.ERROR
        assert isinstance(message.data, plait.WebSocketError)
        assert ws.close_code == message.data.code == code
        await session.close()
    (frame,) = decode(received[1], masked=True)
    assert frame.opcode == CLOSE
    assert int.from_bytes(frame.payload[:2]) == code


async def test_the_server_closes_its_socket_right_behind_a_fault(
    session: plait.ClientSession,
) -> None:
    # Our Close frame is answered by RST then, before we can end our side.
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        connecting = asyncio.create_task(session.ws_connect(url))
        server, _ = await loop.sock_accept(listener)
    with server:
        head = await loop.sock_recv(server, 65536)
        key = re.search(rb"Sec-WebSocket-Key: (\S+)", head, re.IGNORECASE)
        assert key is not None
        await loop.sock_sendall(
            server, ACCEPT.replace(b"KEY", accept_key(key[1].decode()).encode())
        )
        websocket = await connecting
        server.send(Frame(TEXT, b"\xc3\x28").encode(False))
    assert (await websocket.receive()).type is WSMsgType.ERROR
    assert (websocket.closed, websocket.close_code) == (True, 1007)


async def test_the_heartbeat_finds_a_dead_server(session: plait.ClientSession) -> None:
    async with raw_server(ACCEPT, stay=True) as url:
        ws = await session.ws_connect(url, heartbeat=0.05)
        message = await ws.receive()
        assert message.type is WSMsgType.ERROR
        assert isinstance(message.data, plait.ServerTimeoutError)
        assert (ws.closed, ws.close_code, ws.exception()) == (True, 1006, message.data)


async def test_who_only_sends_hears_of_a_dead_server() -> None:
    async with raw_server(ACCEPT, stay=True) as url, plait.ClientSession() as session:
        ws = await session.ws_connect(url, heartbeat=0.05)
        with pytest.raises(plait.ClientConnectionResetError):
            await send_for_ever(ws)
        assert ws.closed
        assert isinstance(ws.exception(), plait.ServerTimeoutError)
        assert await ws.receive() == WS_CLOSED_MESSAGE


async def test_what_goes_on_the_wire(session: plait.ClientSession) -> None:
    received: list[bytes] = []
    async with raw_server(ACCEPT, received) as url:
        ws = await session.ws_connect(
            url.replace("http:", "ws:") + "chat?a=b",
            protocols=("one", "two"),
            compress=12,
            origin="https://example.com",
            headers={"X-Own": "1", "Sec-WebSocket-Version": "99", "Upgrade": "other"},
        )
        await ws.close()
        await session.close()
    lines = received[0].decode().split("\r\n")
    assert lines[0] == "GET /chat?a=b HTTP/1.1"
    fields = dict(line.split(": ", 1) for line in lines[1:] if line)
    assert fields["Upgrade"] == "websocket"
    assert fields["Connection"] == "Upgrade"
    assert fields["Sec-WebSocket-Version"] == "13"
    assert fields["Sec-WebSocket-Protocol"] == "one,two"
    assert fields["Sec-WebSocket-Extensions"] == (
        "permessage-deflate; client_max_window_bits; server_max_window_bits=12"
    )
    assert fields["Origin"] == "https://example.com"
    assert fields["X-Own"] == "1"
    assert len(fields["Sec-WebSocket-Key"]) == 24


async def test_session_timeouts_end_with_the_handshake() -> None:
    timeout = plait.ClientTimeout(total=0.1, sock_read=0.1)
    async with (
        serve_app(plain_app()) as url,
        plait.ClientSession(timeout=timeout) as session,
        session.ws_connect(url + "/ws") as ws,
    ):
        with pytest.raises(TimeoutError):
            await ws.receive(timeout=0.3)
        await ws.send_str("still open")
        assert await ws.receive_str() == "still open"


async def test_the_handshake_itself_times_out() -> None:
    timeout = plait.ClientTimeout(total=0.05)
    async with raw_server(b"", stay=True) as url, plait.ClientSession(timeout=timeout) as session:
        with pytest.raises(TimeoutError):
            await session.ws_connect(url)


async def test_the_place_in_the_pool_is_given_back() -> None:
    connector = plait.TCPConnector(limit=1)
    async with (
        serve_app(plain_app()) as url,
        plait.ClientSession(connector=connector) as session,
    ):
        for _ in range(3):
            async with asyncio.timeout(10), session.ws_connect(url + "/ws") as ws:
                await ws.send_str("x")
                assert await ws.receive_str() == "x"
        async with asyncio.timeout(10), session.get(url + "/page") as response:
            assert await response.text() == "page"


async def test_closing_the_session_ends_an_open_websocket() -> None:
    async with serve_app(plain_app()) as url:
        session = plait.ClientSession()
        ws = await session.ws_connect(url + "/ws")
        waiting = asyncio.create_task(ws.receive())
        await asyncio.sleep(0)
        await session.close()
        assert await waiting == WS_CLOSED_MESSAGE
        assert ws.close_code == 1006


@pytest.mark.parametrize("compress", [-1, 8, 16])
async def test_compress_out_of_range(compress: int) -> None:
    async with plait.ClientSession() as session:
        with pytest.raises(ValueError, match="9 to 15"):
            await session.ws_connect("http://127.0.0.1:1/", compress=compress)


async def test_deprecated_arguments() -> None:
    async with serve_app(plain_app()) as url, plait.ClientSession() as session:
        with pytest.warns(DeprecationWarning, match="timeout"):
            ws = await session.ws_connect(url + "/ws", timeout=3.0, receive_timeout=0.01)
        with pytest.raises(TimeoutError):
            await ws.receive()
        await ws.close()


async def test_w18_credentials_stay_at_their_origin() -> None:
    seen: list[dict[str, str]] = []

    async def accept(request: web.Request) -> web.WebSocketResponse[Any]:
        seen.append(dict(request.headers))
        ws: web.WebSocketResponse[Any] = web.WebSocketResponse()
        await ws.prepare(request)
        return ws

    there = web.Application()
    there.router.add_get("/ws", accept)
    async with serve_app(there) as target:

        async def redirect(request: web.Request) -> web.Response:
            raise web.HTTPFound(target + "/ws")

        here = web.Application()
        here.router.add_get("/", redirect)
        async with serve_app(here) as url, plait.ClientSession() as session:
            headers = {"Authorization": "Basic x", "Cookie": "a=b", "X-Own": "1"}
            async with session.ws_connect(url + "/", headers=headers):
                pass
    assert "X-Own" in seen[0]
    assert "Authorization" not in seen[0]
    assert "Cookie" not in seen[0]


@pytest.mark.parametrize("engine", ENGINES)
async def test_http2_without_rfc_8441_means_http_1_1(authority: Authority, engine: Any) -> None:
    """The pages go over HTTP/2, the WebSocket over a connection of its own."""
    versions: list[tuple[str, str]] = []

    def note(request: web.Request) -> None:
        versions.append((request.path, f"{request.version.major}.{request.version.minor}"))

    app = plain_app(note)
    async with serve_app(app, authority, enable_connect_protocol=False) as url:
        connector = plait.TCPConnector(ssl=authority.client_context(), engine=engine)
        async with plait.ClientSession(connector=connector) as session:
            async with session.get(url + "/page") as response:
                assert await response.text() == "page"
            async with session.ws_connect(url + "/ws") as ws:
                await ws.send_str("x")
                assert await ws.receive_str() == "x"
    assert versions == [("/page", "2.0"), ("/ws", "1.1")]


def plain_app(note: Callable[[web.Request], None] = lambda request: None) -> web.Application:
    """An application with an echo and a page."""

    async def accept(request: web.Request) -> web.WebSocketResponse[Any]:
        note(request)
        ws: web.WebSocketResponse[Any] = web.WebSocketResponse()
        await ws.prepare(request)
        await echo(ws)
        return ws

    async def page(request: web.Request) -> web.Response:
        note(request)
        return web.Response(text="page")

    app = web.Application()
    app.router.add_get("/ws", accept)
    app.router.add_get("/page", page)
    return app


@asynccontextmanager
async def serve_app(
    app: web.Application, authority: Authority | None = None, **config: bool
) -> AsyncIterator[str]:
    """Serve ``app``, with TLS if there is an ``authority``; ``config``: the engine's."""
    context = authority.server_context("h2", "http/1.1") if authority else None
    async with serve(app, context, shutdown_timeout=1.0) as served:
        server = served.runner.server
        assert server is not None
        server.config = replace(server.config, **config)  # type: ignore[arg-type]
        server.tls_config = replace(server.tls_config, **config)  # type: ignore[arg-type]
        yield served.url


async def test_messages_that_nobody_takes_use_up_no_http2_window() -> None:
    async def many(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        for _ in range(10):
            await websocket.send_bytes(bytes(20_000))
        async for _ in websocket:
            pass
        return websocket

    app = web.Application()
    app.router.add_get("/", many)
    async with (
        serve(app) as served,
        plait.ClientSession(connector=plait.TCPConnector(http2=True)) as session,
    ):
        for _ in range(60):  # more than the windows of both sides
            websocket = await asyncio.wait_for(session.ws_connect(served.url), 10)
            assert (await websocket.receive(timeout=10)).data == bytes(20_000)
            await websocket.send_bytes(bytes(30_000))
            await websocket.close()


async def test_iteration_goes_by_the_receive_of_a_subclass() -> None:
    class Numbered(plait.ClientWebSocketResponse[Any]):
        count = 0

        async def receive(self, timeout: float | None = None) -> Any:
            message = await super().receive(timeout)
            if message.type is WSMsgType.TEXT:
                self.count += 1
                return message._replace(extra=str(self.count))
            return message

    async def serve(request: web.Request) -> web.WebSocketResponse[Any]:
        ws = web.WebSocketResponse[Any]()
        await ws.prepare(request)
        for text in ("a", "b"):
            await ws.send_str(text)
        await ws.close()
        return ws

    app = web.Application()
    app.router.add_get("/", serve)
    async with (
        serve_app(app) as url,
        plait.ClientSession(ws_response_class=Numbered) as session,
        session.ws_connect(url) as ws,
    ):
        seen = [(message.data, message.extra) async for message in ws]
    assert seen == [("a", "1"), ("b", "2")]
