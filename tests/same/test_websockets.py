"""WebSockets at a handler, on aiohttp and on plait; the client is plait's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

import plait
from plait import WSMsgType
from tests.same.conftest import Library

pytestmark = pytest.mark.anyio

Talk = Callable[[Any], Any]


@asynccontextmanager
async def connected(library: Library, handler: Any, **connect: Any) -> AsyncIterator[Any]:
    """Give the client's end of a WebSocket; ``connect``: options of ``ws_connect``."""
    connector = plait.TCPConnector(http2=library.is_h2)
    async with (
        library.serve(handler) as site,
        plait.ClientSession(connector=connector) as session,
        session.ws_connect(f"http://127.0.0.1:{site.port}/", **connect) as ws,
    ):
        yield ws


async def talk(
    library: Library,
    server: Callable[[Any, Any], Any],
    client: Talk,
    connect: dict[str, Any] | None = None,
    **options: Any,
) -> None:
    """Run ``server`` with a request and its WebSocket, ``client`` with the other end.

    ``options`` are those of ``WebSocketResponse``, ``connect`` those of ``ws_connect``.  What
    either raises is raised here.
    """
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def handler(request: Any) -> Any:
        ws = library.web.WebSocketResponse(**options)
        try:
            await ws.prepare(request)
            await server(request, ws)
            ended.set_result(None)
        except BaseException as error:
            ended.set_exception(error)
            raise
        return ws

    async with connected(library, handler, **connect or {}) as ws:
        await client(ws)
        await ws.close()
        await asyncio.wait_for(ended, 20)


async def echo(request: Any, ws: Any) -> None:
    async for message in ws:
        if message.type == WSMsgType.TEXT:
            await ws.send_str(message.data)
        else:
            await ws.send_bytes(message.data)


# -- messages ----------------------------------------------------------------------------------


async def test_echo(library: Library) -> None:
    async def client(ws: Any) -> None:
        for text in ("", "a", "é" * 1000, "x" * 100_000):
            await ws.send_str(text)
            assert await ws.receive_str() == text
        for data in (b"", b"a", bytes(100_000)):
            await ws.send_bytes(data)
            assert await ws.receive_bytes() == data

    await talk(library, echo, client)


@pytest.mark.parametrize("compress", [True, False])
async def test_echo_compressed(library: Library, compress: bool) -> None:
    async def server(request: Any, ws: Any) -> None:
        assert bool(ws.compress) is compress
        await echo(request, ws)

    async def client(ws: Any) -> None:
        for text in ("a", "x" * 100_000):
            await ws.send_str(text)
            assert await ws.receive_str() == text

    await talk(library, server, client, {"compress": 15}, compress=compress)


async def test_what_is_received(library: Library) -> None:
    async def server(request: Any, ws: Any) -> None:
        message = await ws.receive()
        assert isinstance(message, tuple)
        assert (message.type, message.data) == (library.web.WSMsgType.TEXT, '{"a": 1}')
        assert message.json() == {"a": 1}
        message = await ws.receive()
        assert (message.type, message.data) == (library.web.WSMsgType.BINARY, b"b")
        assert await ws.receive_str() == "c"
        assert await ws.receive_bytes() == b"d"
        assert await ws.receive_json() == [1]
        assert await ws.receive_json(loads=str.upper) == "E"

    async def client(ws: Any) -> None:
        await ws.send_str('{"a": 1}')
        await ws.send_bytes(b"b")
        await ws.send_str("c")
        await ws.send_bytes(b"d")
        await ws.send_json([1])
        await ws.send_str("e")
        await ws.receive()

    await talk(library, server, client)


async def test_what_is_sent(library: Library) -> None:
    async def server(request: Any, ws: Any) -> None:
        await ws.send_str("a")
        await ws.send_bytes(b"b")
        await ws.send_bytes(bytearray(b"c"))
        await ws.send_json({"d": 1})
        await ws.send_json(1, dumps=lambda data: f"<{data}>")
        await ws.send_json_bytes(1, dumps=lambda data: b"f")
        await ws.send_frame(b"g", library.web.WSMsgType.TEXT)
        await ws.send_str("h", compress=9)
        for wrong in (b"x", 5):
            with pytest.raises(TypeError):
                await ws.send_str(wrong)
        with pytest.raises(TypeError):
            await ws.send_bytes("x")

    async def client(ws: Any) -> None:
        assert await ws.receive_str() == "a"
        assert await ws.receive_bytes() == b"b"
        assert await ws.receive_bytes() == b"c"
        assert await ws.receive_json() == {"d": 1}
        assert await ws.receive_str() == "<1>"
        assert await ws.receive_bytes() == b"f"
        assert await ws.receive_str() == "g"
        assert await ws.receive_str() == "h"

    await talk(library, server, client, {"compress": 15})


async def test_messages_of_the_wrong_type(library: Library) -> None:
    async def server(request: Any, ws: Any) -> None:
        with pytest.raises(library.top.WSMessageTypeError):
            await ws.receive_str()
        with pytest.raises(library.top.WSMessageTypeError):
            await ws.receive_bytes()
        with pytest.raises(TypeError):
            await ws.receive_json()
        await ws.send_str("done")

    async def client(ws: Any) -> None:
        await ws.send_bytes(b"a")
        await ws.send_str("a")
        await ws.send_bytes(b"a")
        assert await ws.receive_str() == "done"

    await talk(library, server, client)


async def test_text_as_bytes(library: Library) -> None:
    async def server(request: Any, ws: Any) -> None:
        message = await ws.receive()
        assert (message.type, message.data) == (library.web.WSMsgType.TEXT, b"\xc3\xa9")
        assert await ws.receive_str() == b"b"
        assert await ws.receive_json() == [1]

    async def client(ws: Any) -> None:
        await ws.send_str("é")
        await ws.send_str("b")
        await ws.send_str("[1]")
        await ws.receive()

    await talk(library, server, client, decode_text=False)


async def test_a_message_that_is_too_large(library: Library) -> None:
    async def server(request: Any, ws: Any) -> None:
        message = await ws.receive()
        assert message.type == library.web.WSMsgType.ERROR
        assert isinstance(message.data, library.http.WebSocketError)
        assert message.data.code == library.top.WSCloseCode.MESSAGE_TOO_BIG
        assert ws.closed

    async def client(ws: Any) -> None:
        await ws.send_bytes(bytes(20))
        message = await ws.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1009)

    await talk(library, server, client, max_msg_size=10)


# -- pings -------------------------------------------------------------------------------------


async def test_pings_are_answered(library: Library) -> None:
    async def client(ws: Any) -> None:
        await ws.ping(b"a")
        message = await ws.receive()
        assert (message.type, message.data) == (WSMsgType.PONG, b"a")

    await talk(library, echo, client, {"autoping": False})


async def test_without_autoping(library: Library) -> None:
    async def server(request: Any, ws: Any) -> None:
        message = await ws.receive()
        assert (message.type, message.data) == (library.web.WSMsgType.PING, b"a")
        await ws.pong(b"b")
        await ws.ping(b"c")
        message = await ws.receive()
        assert (message.type, message.data) == (library.web.WSMsgType.PONG, b"c")

    async def client(ws: Any) -> None:
        await ws.ping(b"a")
        message = await ws.receive()
        assert (message.type, message.data) == (WSMsgType.PONG, b"b")
        message = await ws.receive()
        assert (message.type, message.data) == (WSMsgType.PING, b"c")
        await ws.pong(b"c")
        await ws.receive()

    await talk(library, server, client, {"autoping": False}, autoping=False)


# -- the end -----------------------------------------------------------------------------------


async def test_the_client_closes(library: Library) -> None:
    async def server(request: Any, ws: Any) -> None:
        message = await ws.receive()
        assert message.type == library.web.WSMsgType.CLOSE
        assert (message.data, message.extra) == (4000, "bye")
        assert ws.closed is True
        assert ws.close_code == 4000
        assert ws.exception() is None
        assert await ws.close() is False
        message = await ws.receive()
        assert message.type == library.web.WSMsgType.CLOSED
        with pytest.raises(library.top.ClientConnectionResetError):
            await ws.send_str("late")

    async def client(ws: Any) -> None:
        assert await ws.close(code=4000, message=b"bye") is True

    await talk(library, server, client)


async def test_the_server_closes(library: Library) -> None:
    async def server(request: Any, ws: Any) -> None:
        assert await ws.close(code=4001, message=b"go") is True
        assert ws.closed is True
        assert ws.close_code == 4001
        assert await ws.close() is False

    async def client(ws: Any) -> None:
        message = await ws.receive()
        assert message.type == WSMsgType.CLOSE
        assert (message.data, message.extra) == (4001, "go")

    await talk(library, server, client)


async def test_the_handler_ends(library: Library) -> None:
    async def server(request: Any, ws: Any) -> None:
        await ws.send_str("last")

    async def client(ws: Any) -> None:
        assert [message.data async for message in ws] == ["last"]
        assert ws.close_code == 1000

    await talk(library, server, client)


async def test_iteration_ends(library: Library) -> None:
    async def server(request: Any, ws: Any) -> None:
        assert [message.data async for message in ws] == ["a", b"b"]
        assert ws.close_code == 1000

    async def client(ws: Any) -> None:
        await ws.send_str("a")
        await ws.send_bytes(b"b")
        await ws.close()

    await talk(library, server, client)


async def test_without_autoclose(library: Library) -> None:
    async def server(request: Any, ws: Any) -> None:
        message = await ws.receive()
        assert message.type == library.web.WSMsgType.CLOSE
        assert ws.closed is False
        assert await ws.close(code=4002) is True

    async def client(ws: Any) -> None:
        await ws.close()

    await talk(library, server, client, autoclose=False)


async def test_receiving_from_what_is_closed(library: Library) -> None:
    async def server(request: Any, ws: Any) -> None:
        await ws.receive()
        for _ in range(4):
            assert (await ws.receive()).type == library.web.WSMsgType.CLOSED
        with pytest.raises(RuntimeError):
            await ws.receive()

    async def client(ws: Any) -> None:
        await ws.close()

    await talk(library, server, client)


async def test_receiving_twice_at_a_time(library: Library) -> None:
    async def server(request: Any, ws: Any) -> None:
        first = asyncio.ensure_future(ws.receive())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError):
            await ws.receive()
        await ws.send_str("go on")
        assert (await first).data == "a"

    async def client(ws: Any) -> None:
        assert await ws.receive_str() == "go on"
        await ws.send_str("a")
        await ws.receive()

    await talk(library, server, client)


async def test_receiving_with_a_timeout(library: Library) -> None:
    async def server(request: Any, ws: Any) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await ws.receive(timeout=0.01)
        await ws.send_str("go on")
        assert await ws.receive_str(timeout=20) == "a"

    async def client(ws: Any) -> None:
        assert await ws.receive_str() == "go on"
        await ws.send_str("a")
        await ws.receive()

    await talk(library, server, client)


async def test_receiving_with_a_timeout_of_the_socket(library: Library) -> None:
    async def server(request: Any, ws: Any) -> None:
        with pytest.raises(asyncio.TimeoutError):
            await ws.receive()

    async def client(ws: Any) -> None:
        await ws.receive()

    await talk(library, server, client, receive_timeout=0.01)


# -- the handshake -----------------------------------------------------------------------------


async def test_state(library: Library) -> None:
    async def handler(request: Any) -> Any:
        ws = library.web.WebSocketResponse()
        for call in (ws.receive, ws.ping, ws.pong, ws.close):
            with pytest.raises(RuntimeError):
                await call()
        for call in (ws.send_str, ws.send_json):
            with pytest.raises(RuntimeError):
                await call("a")
        with pytest.raises(RuntimeError):
            await ws.send_bytes(b"a")
        assert (ws.prepared, ws.closed, ws.close_code, ws.ws_protocol) == (False, False, None, None)
        ready = ws.can_prepare(request)
        assert (bool(ready), ready.ok, ready.protocol) == (True, True, None)
        assert ws.prepared is False
        await ws.prepare(request)
        assert ws.prepared is True
        with pytest.raises(RuntimeError):
            ws.can_prepare(request)
        with pytest.raises(RuntimeError):
            await ws.write(b"a")
        assert ws.get_extra_info("peername")[0] == "127.0.0.1"
        assert ws.get_extra_info("nothing", 1) == 1
        assert ws.exception() is None
        await ws.send_str("good")
        await ws.write_eof()
        assert ws.closed is True
        await ws.write_eof()
        return ws

    async with connected(library, handler) as ws:
        assert await ws.receive_str() == "good"
        await ws.receive()


@pytest.mark.parametrize(
    ("offered", "known", "chosen"),
    [
        ((), (), None),
        (("a",), ("a",), "a"),
        (("a", "b"), ("b", "a"), "a"),
        (("c", "b"), ("a", "b"), "b"),
        (("a",), (), None),
        ((), ("a",), None),
    ],
)
async def test_protocols(
    library: Library, offered: tuple[str, ...], known: tuple[str, ...], chosen: str | None
) -> None:
    async def server(request: Any, ws: Any) -> None:
        assert ws.ws_protocol == chosen

    async def client(ws: Any) -> None:
        assert ws.protocol == chosen

    await talk(library, server, client, {"protocols": offered}, protocols=known)


async def test_no_protocol_in_common_is_told(
    library: Library, caplog: pytest.LogCaptureFixture
) -> None:
    async def server(request: Any, ws: Any) -> None:
        assert ws.ws_protocol is None

    async def client(ws: Any) -> None:
        assert ws.protocol is None

    await talk(library, server, client, {"protocols": ("mine",)}, protocols=("other",))
    (record,) = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert record.name == f"{library.name}.websocket"
    assert "mine" in record.getMessage()
    assert "other" in record.getMessage()


async def test_control_frames_are_short(library: Library) -> None:
    async def server(request: Any, ws: Any) -> None:
        await ws.ping(bytes(125))
        assert await ws.receive_str() == "go on"

    async def client(ws: Any) -> None:
        message = await ws.receive()
        assert (message.type, message.data) == (WSMsgType.PING, bytes(125))
        await ws.send_str("go on")
        await ws.receive()

    await talk(library, server, client, {"autoping": False})


async def test_fields_of_the_response(library: Library) -> None:
    async def handler(request: Any) -> Any:
        ws = library.web.WebSocketResponse()
        ws.headers["X-A"] = "1"
        ws.set_cookie("b", "2")
        await ws.prepare(request)
        return ws

    async with connected(library, handler) as ws:
        headers = ws._response.headers
        assert headers["X-A"] == "1"
        assert headers["Set-Cookie"] == "b=2; Path=/"


HANDSHAKE = {
    "Host": "a",
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


def head(**changes: str | None) -> bytes:
    fields = {**HANDSHAKE, **{name.replace("_", "-"): value for name, value in changes.items()}}
    lines = [f"{name}: {value}" for name, value in fields.items() if value is not None]
    return "\r\n".join(["GET / HTTP/1.1", *lines, "", ""]).encode()


async def test_a_handshake(plain: Library) -> None:
    async def handler(request: Any) -> Any:
        ws = plain.web.WebSocketResponse()
        await ws.prepare(request)
        await ws.send_str("a")
        request.transport.close()
        return ws

    answer = await plain.raw(handler, head())
    lines = answer.partition(b"\r\n\r\n")[0].lower().split(b"\r\n")
    assert lines[0] == b"http/1.1 101 switching protocols"
    assert b"upgrade: websocket" in lines
    assert b"connection: upgrade" in lines
    assert b"sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=" in lines
    assert not any(line.startswith((b"content-length", b"transfer-encoding")) for line in lines)
    assert b"\r\n\r\n\x81\x01a" in answer


@pytest.mark.parametrize(
    "changes",
    [
        {"Upgrade": None},
        {"Upgrade": "other"},
        {"Connection": None},
        {"Connection": "keep-alive"},
        {"Sec_WebSocket_Key": None},
        {"Sec_WebSocket_Key": "short"},
        {"Sec_WebSocket_Key": "a" * 24},
    ],
)
async def test_handshakes_that_are_none(plain: Library, changes: dict[str, str | None]) -> None:
    async def handler(request: Any) -> Any:
        ws = plain.web.WebSocketResponse()
        assert bool(ws.can_prepare(request)) is False
        with pytest.raises(plain.web.HTTPBadRequest) as caught:
            await ws.prepare(request)
        raise caught.value

    async with plain.serve(handler) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port)
        writer.write(head(**changes))
        assert (await reader.readline()).startswith(b"HTTP/1.1 400 ")
        writer.close()
        await writer.wait_closed()
