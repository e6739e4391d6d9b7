"""The client's end of a WebSocket, on aiohttp and on plait; the server is plait's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from plait import WSMsgType, web
from tests.same.conftest import Library
from tests.serving import serve

pytestmark = pytest.mark.anyio


@asynccontextmanager
async def connected(
    library: Library,
    server: Callable[[web.WebSocketResponse], Any],
    answer: dict[str, Any] | None = None,
    **connect: Any,
) -> AsyncIterator[Any]:
    """Give the client's end; ``server`` runs with the other one.

    ``answer``: options of ``WebSocketResponse``, ``connect``: those of ``ws_connect``.  What the
    server raises is raised here.
    """
    ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def handler(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(**answer or {})
        await ws.prepare(request)
        try:
            await server(ws)
            ended.set_result(None)
        except BaseException as error:
            ended.set_exception(error)
            raise
        return ws

    app = web.Application()
    app.router.add_get("/", handler)
    async with serve(app) as served, library.session() as session:
        async with session.ws_connect(served.url, **connect) as ws:
            yield ws
        await asyncio.wait_for(ended, 20)


async def echo(ws: web.WebSocketResponse) -> None:
    async for message in ws:
        if message.type == WSMsgType.TEXT:
            await ws.send_str(message.data)
        else:
            await ws.send_bytes(message.data)


async def wait(ws: web.WebSocketResponse) -> None:
    """Wait for the client to close."""
    async for _ in ws:
        pass


# -- messages ----------------------------------------------------------------------------------


@pytest.mark.parametrize("compress", [0, 15])
async def test_echo(library: Library, compress: int) -> None:
    async with connected(library, echo, compress=compress) as ws:
        assert isinstance(ws, library.top.ClientWebSocketResponse)
        assert ws.compress == compress
        for text in ("", "a", "é" * 1000, "x" * 100_000):
            await ws.send_str(text)
            assert await ws.receive_str() == text
        for data in (b"", b"a", bytes(100_000)):
            await ws.send_bytes(data)
            assert await ws.receive_bytes() == data
        await ws.send_json({"a": 1})
        assert await ws.receive_json() == {"a": 1}
        await ws.send_json(1, dumps=lambda data: f"<{data}>")
        assert await ws.receive_str() == "<1>"
        await ws.send_json_bytes(1, dumps=lambda data: b"bytes")
        assert await ws.receive_bytes() == b"bytes"
        await ws.send_frame(b"text", library.top.WSMsgType.TEXT)
        message = await ws.receive()
        assert (message.type, message.data) == (library.top.WSMsgType.TEXT, "text")
        await ws.send_str("[1]")
        assert await ws.receive_json(loads=len) == 3


async def test_a_queue_that_a_library_empties_before_it_reads(library: Library) -> None:
    async with connected(library, echo) as ws:
        await ws.send_str("a")
        connection = ws._conn  # As ccxt looks at it.
        queue = None if connection is None else connection.protocol._payload
        assert queue is None or len(queue._buffer) == 0
        assert await ws.receive_str() == "a"


async def test_what_cannot_be_sent(library: Library) -> None:
    async with connected(library, echo) as ws:
        for wrong in (b"x", 5):
            with pytest.raises(TypeError):
                await ws.send_str(wrong)
        with pytest.raises(TypeError):
            await ws.send_bytes("x")


async def test_messages_of_the_wrong_type(library: Library) -> None:
    async with connected(library, echo) as ws:
        await ws.send_bytes(b"a")
        with pytest.raises(library.top.WSMessageTypeError):
            await ws.receive_str()
        await ws.send_str("a")
        with pytest.raises(library.top.WSMessageTypeError):
            await ws.receive_bytes()


async def test_text_as_bytes(library: Library) -> None:
    async with connected(library, echo, decode_text=False) as ws:
        await ws.send_str("é")
        message = await ws.receive()
        assert (message.type, message.data) == (library.top.WSMsgType.TEXT, b"\xc3\xa9")
        await ws.send_str("[1]")
        assert await ws.receive_json() == [1]


async def test_a_message_that_is_too_large(library: Library) -> None:
    async def server(ws: web.WebSocketResponse) -> None:
        await ws.send_bytes(bytes(20))
        message = await ws.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1009)

    async with connected(library, server, max_msg_size=10) as ws:
        message = await ws.receive()
        assert message.type == library.top.WSMsgType.ERROR
        assert message.data.code == library.top.WSCloseCode.MESSAGE_TOO_BIG
        assert ws.closed is True


# -- pings -------------------------------------------------------------------------------------


async def test_pings(library: Library) -> None:
    async def server(ws: web.WebSocketResponse) -> None:
        message = await ws.receive()
        assert (message.type, message.data) == (WSMsgType.PING, b"a")
        await ws.pong(b"b")
        await ws.ping(b"c")
        message = await ws.receive()
        assert (message.type, message.data) == (WSMsgType.PONG, b"c")
        await wait(ws)

    async with connected(library, server, {"autoping": False}, autoping=False) as ws:
        await ws.ping(b"a")
        message = await ws.receive()
        assert (message.type, message.data) == (library.top.WSMsgType.PONG, b"b")
        message = await ws.receive()
        assert (message.type, message.data) == (library.top.WSMsgType.PING, b"c")
        await ws.pong(b"c")


async def test_pings_are_answered(library: Library) -> None:
    async def server(ws: web.WebSocketResponse) -> None:
        await ws.ping(b"a")
        message = await ws.receive()
        assert (message.type, message.data) == (WSMsgType.PONG, b"a")
        await ws.send_str("done")
        await wait(ws)

    async with connected(library, server, {"autoping": False}) as ws:
        assert await ws.receive_str() == "done"


async def test_the_heartbeat_is_answered(library: Library) -> None:
    async def server(ws: web.WebSocketResponse) -> None:
        message = await ws.receive()
        assert message.type == WSMsgType.PING
        await ws.pong(message.data)
        await ws.send_str("done")
        await wait(ws)

    async with connected(library, server, {"autoping": False}, heartbeat=0.05) as ws:
        assert await ws.receive_str() == "done"


async def test_nobody_answers_the_heartbeat(library: Library) -> None:
    over = asyncio.Event()

    async def server(ws: web.WebSocketResponse) -> None:
        await over.wait()  # It does not receive, and so does not answer.

    async with connected(library, server, {"autoping": False}, heartbeat=0.05) as ws:
        message = await asyncio.wait_for(ws.receive(), 20)
        assert message.type in {library.top.WSMsgType.CLOSED, library.top.WSMsgType.ERROR}
        assert ws.closed is True
        assert ws.close_code == library.top.WSCloseCode.ABNORMAL_CLOSURE
        assert isinstance(ws.exception(), library.top.ServerTimeoutError)
        over.set()


# -- the end -----------------------------------------------------------------------------------


async def test_the_client_closes(library: Library) -> None:
    async def server(ws: web.WebSocketResponse) -> None:
        message = await ws.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, 4000)
        assert message.extra == "bye"

    async with connected(library, server) as ws:
        assert ws.closed is False
        assert ws.close_code is None
        assert await ws.close(code=4000, message=b"bye") is True
        assert ws.closed is True
        assert ws.exception() is None
        assert await ws.close() is False
        assert (await ws.receive()).type == library.top.WSMsgType.CLOSED
        with pytest.raises(library.top.ClientConnectionResetError):
            await ws.send_str("late")


async def test_the_server_closes(library: Library) -> None:
    async def server(ws: web.WebSocketResponse) -> None:
        assert await ws.close(code=4001, message=b"go") is True

    async with connected(library, server) as ws:
        message = await ws.receive()
        assert message.type == library.top.WSMsgType.CLOSE
        assert (message.data, message.extra) == (4001, "go")
        assert ws.closed is True
        assert ws.close_code == 4001
        assert (await ws.receive()).type == library.top.WSMsgType.CLOSED


async def test_iteration_ends(library: Library) -> None:
    async def server(ws: web.WebSocketResponse) -> None:
        await ws.send_str("a")
        await ws.send_bytes(b"b")

    async with connected(library, server) as ws:
        assert [message.data async for message in ws] == ["a", b"b"]


async def test_without_autoclose(library: Library) -> None:
    async def server(ws: web.WebSocketResponse) -> None:
        assert await ws.close() is True
        assert ws.close_code == 4002

    async with connected(library, server, autoclose=False) as ws:
        message = await ws.receive()
        assert message.type == library.top.WSMsgType.CLOSE
        assert ws.closed is False
        assert await ws.close(code=4002) is True


async def test_a_server_that_is_gone(library: Library) -> None:
    async def server(ws: web.WebSocketResponse) -> None:
        assert await ws.receive_str() == "now"
        assert ws._req is not None
        assert ws._req.transport is not None
        ws._req.transport.abort()

    async with connected(library, server) as ws:
        await ws.send_str("now")
        message = await ws.receive()
        assert message.type in {library.top.WSMsgType.CLOSED, library.top.WSMsgType.ERROR}
        assert ws.closed is True
        assert ws.close_code == library.top.WSCloseCode.ABNORMAL_CLOSURE


async def test_receiving_twice_at_a_time(library: Library) -> None:
    async with connected(library, echo) as ws:
        first = asyncio.ensure_future(ws.receive())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError):
            await ws.receive()
        await ws.send_str("a")
        assert (await first).data == "a"


async def test_receiving_with_a_timeout(library: Library) -> None:
    async with connected(library, echo) as ws:
        with pytest.raises(asyncio.TimeoutError):
            await ws.receive(timeout=0.01)
        await ws.send_str("a")
        assert await ws.receive_str(timeout=20) == "a"
    timeout = library.top.ClientWSTimeout(ws_receive=0.01)
    async with connected(library, echo, timeout=timeout) as ws:
        with pytest.raises(asyncio.TimeoutError):
            await ws.receive()


# -- the handshake -----------------------------------------------------------------------------


async def test_what_the_client_tells(library: Library) -> None:
    async with connected(library, echo, {"protocols": ("b", "a")}, protocols=("a", "b")) as ws:
        assert ws.protocol == "a"
        assert ws.get_extra_info("peername")[0] == "127.0.0.1"
        assert ws.get_extra_info("nothing", 1) == 1


async def test_fields_of_the_handshake(library: Library) -> None:
    seen: list[Any] = []

    async def handler(request: web.Request) -> web.WebSocketResponse:
        seen.append((request.headers, request.raw_path))
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        return ws

    app = web.Application()
    app.router.add_get("/a", handler)
    async with (
        serve(app) as served,
        library.session(headers={"X-A": "1"}) as session,
        session.ws_connect(
            f"{served.url}/a",
            params={"b": "c"},
            headers={"X-B": "2"},
            origin="https://a.example",
            protocols=("p", "q"),
        ) as ws,
    ):
        await ws.receive()
    headers, target = seen[0]
    assert target == "/a?b=c"
    assert (headers["X-A"], headers["X-B"]) == ("1", "2")
    assert headers["Origin"] == "https://a.example"
    assert headers["Sec-WebSocket-Protocol"].replace(" ", "") == "p,q"
    assert headers["Sec-WebSocket-Version"] == "13"


async def test_what_is_no_websocket(library: Library) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(status=403, headers={"X": "1"})

    app = web.Application()
    app.router.add_get("/", handler)
    async with serve(app) as served, library.session() as session:
        with pytest.raises(library.top.WSServerHandshakeError) as caught:
            await session.ws_connect(served.url)
        assert caught.value.status == 403
        assert caught.value.headers["X"] == "1"
        assert isinstance(caught.value, library.top.ClientResponseError)


async def test_a_socket_of_ones_own_kind(library: Library) -> None:
    class Mine(library.top.ClientWebSocketResponse):  # type: ignore[misc, name-defined]
        pass

    async def handler(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        return ws

    app = web.Application()
    app.router.add_get("/", handler)
    async with (
        serve(app) as served,
        library.session(ws_response_class=Mine) as session,
        session.ws_connect(served.url) as ws,
    ):
        assert type(ws) is Mine


async def test_what_is_deprecated(library: Library) -> None:
    async def handler(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        return ws

    app = web.Application()
    app.router.add_get("/", handler)
    async with serve(app) as served, library.session() as session:
        for options in ({"timeout": 5.0}, {"timeout": None}, {"receive_timeout": 5.0}):
            with pytest.warns(DeprecationWarning, match="timeout"):
                ws = await session.ws_connect(served.url, **options)
            await ws.close()
