"""The server's WebSocket against raw bytes: what a client of ours never sends.  W7, W12, W13."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

import plait
from plait import WSMsgType, web
from plait.http import WS_CLOSED_MESSAGE
from plait.test_utils import make_mocked_request
from tests.adapters.ws_pair import ENGINES, echo, send_for_ever
from tests.engine.websocket.peer import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Frame,
    close_frame,
    decode,
)
from tests.serving import serve

pytestmark = pytest.mark.anyio

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)

Handler = Callable[[web.WebSocketResponse[Any]], Awaitable[None]]


@dataclass
class RawClient:
    """A TCP connection to the server."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    def send(self, *frames: Frame | bytes) -> None:
        """Write all of ``frames`` in one piece."""
        self.writer.write(b"".join(f if isinstance(f, bytes) else f.encode(True) for f in frames))

    async def read_head(self) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)

    async def read_frames(self) -> list[Frame]:
        """Read to the end of the connection."""
        return list(decode(await asyncio.wait_for(self.reader.read(), 10), masked=False))


@asynccontextmanager
async def serve_websocket(
    handler: Handler, engine: Any = "native", **options: Any
) -> AsyncIterator[Callable[[], Awaitable[RawClient]]]:
    """Serve ``handler`` at /ws, with ``options`` of ``WebSocketResponse``; give ``connect``."""

    async def accept(request: web.Request) -> web.StreamResponse:
        websocket: web.WebSocketResponse[Any] = web.WebSocketResponse(**options)
        ready = websocket.can_prepare(request)
        assert bool(ready) is ready.ok
        await websocket.prepare(request)
        await handler(websocket)
        return websocket

    app = web.Application()
    app.router.add_route("*", "/ws", accept)
    writers: list[asyncio.StreamWriter] = []

    async with serve(app, engine=engine) as served:

        async def connect() -> RawClient:
            reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
            writers.append(writer)
            return RawClient(reader, writer)

        try:
            yield connect
        finally:
            for writer in writers:
                writer.close()


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Any:
    return request.param


async def test_frames_in_the_packet_of_the_handshake(engine: Any) -> None:
    async with serve_websocket(echo, engine) as connect:
        client = await connect()
        client.send(HANDSHAKE, Frame(TEXT, b"early"), close_frame(1000))
        assert (await client.read_head()).startswith(b"HTTP/1.1 101 ")
        assert await client.read_frames() == [Frame(TEXT, b"early"), close_frame(1000)]


FAULTS: dict[str, tuple[Frame | bytes, int]] = {
    "reserved bit": (Frame(TEXT, b"x", rsv=2), 1002),
    "reserved opcode": (Frame(3), 1002),
    "not masked (W7)": (Frame(TEXT, b"x").encode(False), 1002),
    "not UTF-8": (Frame(TEXT, b"\xff"), 1007),
    "too large": (Frame(BINARY, bytes(1001)), 1009),
    "continues nothing": (Frame(CONTINUATION, b"x"), 1002),
    "bad close code": (close_frame(999), 1002),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_a_fault_is_answered_behind_what_came_before_it(engine: Any, fault: str) -> None:
    """All in one packet: the messages are echoed, the ping behind the fault is not."""
    data, code = FAULTS[fault]
    seen: list[Any] = []

    async def handler(ws: web.WebSocketResponse[Any]) -> None:
        await echo_slowly(ws, seen)
        assert (ws.closed, ws.close_code) == (True, code)
        assert isinstance(ws.exception(), plait.WebSocketError)
        assert await ws.receive() == WS_CLOSED_MESSAGE

    async with serve_websocket(handler, engine, max_msg_size=1000) as connect:
        client = await connect()
        client.send(HANDSHAKE)
        await client.read_head()
        client.send(Frame(TEXT, b"one"), Frame(BINARY, b"two"), data, Frame(PING))
        frames = await client.read_frames()
        assert frames[:-1] == [Frame(TEXT, b"one"), Frame(BINARY, b"two")]
        assert frames[-1].opcode == CLOSE
        assert int.from_bytes(frames[-1].payload[:2]) == code
        assert [type(error) for error in seen] == [plait.WebSocketError]
        assert seen[0].code == code


async def echo_slowly(ws: web.WebSocketResponse[Any], errors: list[Any]) -> None:
    """Echo, with other work between: the answer to a fault must wait for it."""
    while (message := await ws.receive()).type is not WSMsgType.ERROR:
        for _ in range(5):
            await asyncio.sleep(0)
        await ws.send_frame(
            message.data.encode() if isinstance(message.data, str) else message.data, message.type
        )
    errors.append(message.data)


async def test_control_frames_in_a_message_in_fragments(engine: Any) -> None:
    async with serve_websocket(echo, engine) as connect:
        client = await connect()
        client.send(HANDSHAKE)
        await client.read_head()
        for frame in (
            Frame(TEXT, b"gr\xc3", fin=False),
            Frame(PING, b"1"),
            Frame(CONTINUATION, b"\xbc", fin=False),
            Frame(PONG, b"2"),
            Frame(CONTINUATION, b"n"),
            close_frame(4000),
        ):
            for byte in frame.encode(True):
                client.send(bytes([byte]))
                await client.writer.drain()
        assert await client.read_frames() == [
            Frame(PONG, b"1"),
            Frame(TEXT, "grün".encode()),
            close_frame(4000),
        ]


async def test_a_close_without_a_code(engine: Any) -> None:
    async def handler(ws: web.WebSocketResponse[Any]) -> None:
        assert await ws.receive() == (WSMsgType.CLOSE, 0, "")
        assert ws.close_code == 0

    async with serve_websocket(handler, engine) as connect:
        client = await connect()
        client.send(HANDSHAKE)
        await client.read_head()
        client.send(close_frame())
        assert await client.read_frames() == [close_frame()]


async def test_the_heartbeat_finds_a_dead_client(engine: Any) -> None:
    ended = asyncio.Event()

    async def handler(ws: web.WebSocketResponse[Any]) -> None:
        message = await ws.receive()
        assert message.type is WSMsgType.ERROR
        assert isinstance(message.data, TimeoutError)
        assert (ws.closed, ws.close_code, ws.exception()) == (True, 1006, message.data)
        ended.set()

    async with serve_websocket(handler, engine, heartbeat=0.05) as connect:
        client = await connect()
        client.send(HANDSHAKE)
        await client.read_head()
        await asyncio.wait_for(ended.wait(), 10)


async def test_the_heartbeat_is_told_to_who_does_not_receive() -> None:
    ended = asyncio.Event()

    async def handler(ws: web.WebSocketResponse[Any]) -> None:
        with pytest.raises(plait.ClientConnectionResetError):
            await send_for_ever(ws)
        assert (ws.closed, ws.close_code) == (True, 1006)
        assert isinstance(ws.exception(), TimeoutError)
        assert await ws.receive() == WS_CLOSED_MESSAGE
        ended.set()

    async with serve_websocket(handler, heartbeat=0.05) as connect:
        client = await connect()
        client.send(HANDSHAKE)
        await client.read_head()
        await asyncio.wait_for(ended.wait(), 10)


async def test_w12_a_client_that_never_answers_the_close(engine: Any) -> None:
    ended = asyncio.Event()

    async def handler(ws: web.WebSocketResponse[Any]) -> None:
        assert await ws.close() is True
        assert ws.close_code == 1006
        assert isinstance(ws.exception(), TimeoutError)
        ended.set()

    async with serve_websocket(handler, engine, timeout=0.05) as connect:
        client = await connect()
        client.send(HANDSHAKE)
        await client.read_head()
        await asyncio.wait_for(ended.wait(), 10)


async def test_w13_a_flood_of_pings_from_who_reads_nothing(engine: Any) -> None:
    """The server goes on answering others, and stops reading or drops pongs here."""
    async with serve_websocket(echo, engine) as connect:
        flooder = await connect()
        flooder.send(HANDSHAKE)
        flood = Frame(PING, b"x" * 100).encode(True) * 1000
        for _ in range(100):
            flooder.writer.write(flood)
        client = await connect()
        client.send(HANDSHAKE)
        await client.read_head()
        client.send(Frame(TEXT, b"still there?"), close_frame(1000))
        assert await client.read_frames() == [Frame(TEXT, b"still there?"), close_frame(1000)]


@pytest.mark.parametrize(
    ("before", "after", "status"),
    [
        (b"Version: 13", b"Version: 12", b"426"),
        (b"Version: 13", b"Version: 8", b"426"),
        (b"Version: 13", b"Version: 7", b"426"),
        (b"Version: 13", b"Version: \xff", b"426"),
        (b"Sec-WebSocket-Key: ", b"X-Key: ", b"400"),
        (b"dGhl", b"dG", b"400"),
        (b"Upgrade: websocket", b"Upgrade: h2c", b"400"),
        (b"Connection: Upgrade", b"Connection: keep-alive", b"400"),
        (b"GET", b"POST", b"405"),
    ],
)
async def test_w15_a_refused_handshake_leaves_a_connection_of_http(
    engine: Any, before: bytes, after: bytes, status: bytes
) -> None:
    async with serve_websocket(echo, engine) as connect:
        client = await connect()
        client.send(HANDSHAKE.replace(before, after, 1))
        head = await client.read_head()
        assert head.split()[1] == status
        if status == b"426":
            assert b"\r\nSec-WebSocket-Version: 13\r\n" in head
        length = int(head.lower().split(b"content-length: ")[1].split()[0])
        assert len(await client.reader.readexactly(length)) == length
        client.send(HANDSHAKE, close_frame(1000))
        assert (await client.read_head()).split()[1] == b"101"
        assert await client.read_frames() == [close_frame(1000)]


async def test_a_handler_may_catch_a_refused_handshake() -> None:
    """A 426 is an HTTPBadRequest, as it is in aiohttp."""
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": KEY}
    for version in ("12", "x", ""):
        headers["Sec-WebSocket-Version"] = version
        websocket: web.WebSocketResponse[Any] = web.WebSocketResponse()
        with pytest.raises(web.HTTPBadRequest) as caught:
            await websocket.prepare(make_mocked_request("GET", "/", headers))
        assert caught.value.status == 426


async def test_a_subprotocol_that_the_server_does_not_know(
    caplog: pytest.LogCaptureFixture,
) -> None:
    headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Key": KEY}
    headers |= {"Sec-WebSocket-Version": "13", "Sec-WebSocket-Protocol": "chat"}
    websocket: web.WebSocketResponse[Any] = web.WebSocketResponse(protocols=["superchat"])
    await websocket.prepare(make_mocked_request("GET", "/", headers))
    assert websocket.ws_protocol is None
    assert "'chat'" in caplog.text
    assert "'superchat'" in caplog.text


async def test_headers_and_cookies_of_the_response() -> None:
    async def accept(request: web.Request) -> web.StreamResponse:
        websocket: web.WebSocketResponse[Any] = web.WebSocketResponse()
        websocket.headers["X-Own"] = "1"
        websocket.set_cookie("name", "value")
        await websocket.prepare(request)
        await websocket.close()
        return websocket

    async def on_prepare(request: web.BaseRequest, response: web.StreamResponse) -> None:
        assert response.task is request.task
        response.headers["X-Signal"] = "2"

    app = web.Application()
    app.on_response_prepare.append(on_prepare)
    app.router.add_get("/ws", accept)
    async with serve(app) as served:
        reader, writer = await asyncio.open_connection("127.0.0.1", served.port)
        try:
            writer.write(HANDSHAKE)
            head = await reader.readuntil(b"\r\n\r\n")
            for field in (b"X-Own: 1", b"X-Signal: 2", b"Set-Cookie: name=value", b"Date: "):
                assert b"\r\n" + field in head
        finally:
            writer.close()
