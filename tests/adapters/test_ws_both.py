"""WebSockets between plait's client and server: every protocol, both engines."""

from __future__ import annotations

import asyncio
import os

import pytest

import plait
from plait import WSMsgType, web
from plait.http_websocket import WS_CLOSED_MESSAGE, WS_CLOSING_MESSAGE, WSMessage
from plait_engine import Limits, LocalProtocolError
from plait_engine.engines import EngineName
from tests.adapters.ws_pair import ENGINES, WAYS, Setup, echo
from tests.conftest import Authority
from tests.serving import serve
from tests.sessions import Way

pytestmark = pytest.mark.anyio


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> EngineName:
    name: EngineName = request.param
    return name


@pytest.fixture(params=WAYS, ids=str)
def setup(request: pytest.FixtureRequest, engine: EngineName, authority: Authority) -> Setup:
    way: Way = request.param
    return Setup(way, engine, authority)


# -- messages ---------------------------------------------------------------------


@pytest.mark.parametrize("compress", [0, 9, 15])
async def test_messages_of_all_sizes(setup: Setup, compress: int) -> None:
    async with setup.serve(echo) as site, site.connect(compress=compress) as ws:
        assert ws.compress == (15 if compress else 0)
        for size in (0, 1, 125, 126, 65535, 65536, 1 << 20):
            text = "grüße" * (size // 6) + "x" * (size % 6)
            await ws.send_str(text)
            assert await ws.receive() == (WSMsgType.TEXT, text, "")
            raw = os.urandom(size)
            await ws.send_bytes(raw)
            assert await ws.receive() == (WSMsgType.BINARY, raw, "")
        await ws.send_bytes(bytearray(b"array"))
        assert await ws.receive_bytes() == b"array"
        await ws.send_bytes(memoryview(b"view"), compress=0)
        assert await ws.receive_bytes() == b"view"
        await ws.send_json({"a": ["ü", 1]})
        assert await ws.receive_json() == {"a": ["ü", 1]}
        await ws.send_json_bytes([1], dumps=lambda data: b"[1]")
        assert await ws.receive_bytes() == b"[1]"
        await ws.send_frame(b"frame", WSMsgType.TEXT)
        assert await ws.receive_str() == "frame"
        await ws.send_frame(b"frame", WSMsgType.BINARY)
        assert await ws.receive_bytes() == b"frame"


async def test_the_request_says_that_it_is_a_websocket(authority: Authority, setup: Setup) -> None:
    """Libraries look at these fields, which HTTP/2 has not (RFC 8441 section 5)."""

    async def answer(request: web.Request) -> web.WebSocketResponse:
        websocket: web.WebSocketResponse = web.WebSocketResponse()
        await websocket.prepare(request)
        fields = [request.headers[name].lower() for name in ("Host", "Connection", "Upgrade")]
        await websocket.send_json([request.method, *fields])
        return websocket

    app = web.Application()
    app.router.add_get("/", answer)
    context = authority.server_context("h2", "http/1.1") if setup.way.tls else None
    async with (
        serve(app, context, engine=setup.engine) as served,
        setup.way.open_session(authority) as session,
        session.ws_connect(served.url) as websocket,
    ):
        host = f"127.0.0.1:{served.port}"
        assert await websocket.receive_json() == ["GET", host, "upgrade", "websocket"]


async def test_text_as_bytes(setup: Setup) -> None:
    async def handler(ws: web.WebSocketResponse) -> None:
        assert await ws.receive_str() == b"hello"
        await ws.send_frame("grüße".encode(), WSMsgType.TEXT)

    async with (
        setup.serve(handler, decode_text=False) as site,
        site.connect(decode_text=False) as ws,
    ):
        await ws.send_str("hello")
        message = await ws.receive()
        assert message == (WSMsgType.TEXT, "grüße".encode(), "")
        assert type(message).__name__ == "WSMessageTextBytes"


async def test_what_cannot_be_sent(setup: Setup) -> None:
    async with setup.serve(echo) as site, site.connect() as ws:
        with pytest.raises(TypeError):
            await ws.send_str(b"bytes")
        with pytest.raises(TypeError):
            await ws.send_bytes("text")
        with pytest.raises(LocalProtocolError):
            await ws.send_str("\ud800")
        with pytest.raises(LocalProtocolError):
            await ws.send_frame(b"\xff", WSMsgType.TEXT)
        with pytest.raises(LocalProtocolError):
            await ws.ping(b"x" * 126)
        with pytest.raises(ValueError, match="by itself"):
            await ws.send_frame(b"", WSMsgType.CONTINUATION)
        with pytest.raises(LocalProtocolError):
            await ws.close(code=1006)
        with pytest.raises(LocalProtocolError):
            await ws.close(message=b"x" * 124)
        assert not ws.closed
        await ws.send_str("still open")
        assert await ws.receive_str() == "still open"


async def test_messages_of_the_wrong_type(setup: Setup) -> None:
    async with setup.serve(echo) as site, site.connect() as ws:
        await ws.send_str("text")
        with pytest.raises(plait.WSMessageTypeError):
            await ws.receive_bytes()
        await ws.send_bytes(b"bytes")
        with pytest.raises(plait.WSMessageTypeError):
            await ws.receive_str()


async def test_both_send_much_at_once(setup: Setup) -> None:
    """Neither waits for the other to read: only what is full stops, and goes on."""
    message = bytes(100_000)

    async def handler(ws: web.WebSocketResponse) -> None:
        async def receive() -> None:
            for _ in range(100):
                assert await ws.receive_bytes() == message

        task = asyncio.create_task(receive())
        for _ in range(100):
            await ws.send_bytes(message)
        await task

    async with setup.serve(handler, compress=False) as site, site.connect() as ws:

        async def send() -> None:
            for _ in range(100):
                await ws.send_bytes(message)

        task = asyncio.create_task(send())
        for _ in range(100):
            assert await ws.receive_bytes() == message
        await task


async def test_a_slow_reader_stops_the_sender(setup: Setup) -> None:
    sent = 0
    go_on = asyncio.Event()

    async def handler(ws: web.WebSocketResponse) -> None:
        await go_on.wait()
        for _ in range(400):
            await ws.receive_bytes()

    async with setup.serve(handler, compress=False) as site, site.connect() as ws:

        async def send() -> None:
            nonlocal sent
            for _ in range(400):
                await ws.send_bytes(bytes(100_000))
                sent += 1

        task = asyncio.create_task(send())
        before = -1
        while before != sent:  # until the sender makes no progress any more
            before = sent
            await asyncio.wait([task], timeout=0.25)
        assert sent < 300  # of 40 MB: what the sockets and the two of us hold
        go_on.set()
        await task


async def test_a_message_too_big(setup: Setup) -> None:
    async def handler(ws: web.WebSocketResponse) -> None:
        message = await ws.receive()
        assert message.type is WSMsgType.ERROR
        assert isinstance(message.data, plait.WebSocketError)
        assert ws.close_code == message.data.code == plait.WSCloseCode.MESSAGE_TOO_BIG

    async with setup.serve(handler, max_msg_size=1000) as site, site.connect() as ws:
        await ws.send_bytes(bytes(1001))
        message = await ws.receive()
        assert (message.type, message.data) == (WSMsgType.CLOSE, 1009)


# -- pings --------------------------------------------------------------------------


async def test_pings_are_answered_silently(setup: Setup) -> None:
    async with setup.serve(echo) as site, site.connect() as ws:
        await ws.ping(b"payload")
        await ws.pong("nobody asked")
        await ws.send_str("after")
        assert await ws.receive_str() == "after"


async def test_without_autoping_they_are_reported(setup: Setup) -> None:
    async def handler(ws: web.WebSocketResponse) -> None:
        assert await ws.receive() == (WSMsgType.PING, b"1", "")
        await ws.pong(b"1")
        assert await ws.receive() == (WSMsgType.PONG, b"2", "")

    async with (
        setup.serve(handler, autoping=False) as site,
        site.connect(autoping=False) as ws,
    ):
        await ws.ping(b"1")
        assert await ws.receive() == (WSMsgType.PONG, b"1", "")
        await ws.pong("2")


# -- the end ----------------------------------------------------------------------------


async def test_the_client_closes(setup: Setup) -> None:
    async def handler(ws: web.WebSocketResponse) -> None:
        assert await ws.receive() == (WSMsgType.CLOSE, 4001, "bye")
        assert (ws.closed, ws.close_code, ws.exception()) == (True, 4001, None)
        assert await ws.close() is False
        for _ in range(4):
            assert await ws.receive() == WS_CLOSED_MESSAGE
        with pytest.raises(RuntimeError, match="closed"):
            await ws.receive()
        with pytest.raises(plait.ClientConnectionResetError):
            await ws.send_str("too late")

    async with setup.serve(handler) as site:
        ws = await site.connect()
        assert await ws.close(code=4001, message=b"bye") is True
        assert (ws.closed, ws.close_code, ws.exception()) == (True, 4001, None)
        assert await ws.close() is False
        assert await ws.receive() == WS_CLOSED_MESSAGE
        with pytest.raises(plait.ClientConnectionResetError):
            await ws.send_str("too late")


async def test_the_server_closes(setup: Setup) -> None:
    async def handler(ws: web.WebSocketResponse) -> None:
        await ws.send_str("last words")
        assert await ws.close(code=1001, message="going") is True
        assert ws.close_code == 1001

    async with setup.serve(handler) as site:
        ws = await site.connect()
        messages = [message async for message in ws]
        assert messages == [(WSMsgType.TEXT, "last words", "")]
        assert (ws.closed, ws.close_code) == (True, 1001)
        assert await ws.receive() == WS_CLOSED_MESSAGE


async def test_the_handler_just_returns(setup: Setup) -> None:
    async def handler(ws: web.WebSocketResponse) -> None:
        pass

    async with setup.serve(handler) as site, site.connect() as ws:
        assert await ws.receive() == (WSMsgType.CLOSE, 1000, "")


async def test_both_close_at_once(setup: Setup) -> None:
    async def handler(ws: web.WebSocketResponse) -> None:
        await ws.close(code=1001)
        assert ws.close_code == 1000

    async with setup.serve(handler) as site:
        ws = await site.connect()
        await ws.close()
        assert ws.close_code in (1000, 1001)


async def test_another_task_closes_while_the_handler_receives(setup: Setup) -> None:
    """As ``on_shutdown`` does; the handler is at its end before the client has answered."""
    opened: asyncio.Future[web.WebSocketResponse] = asyncio.get_running_loop().create_future()
    codes: list[int | None] = []

    async def handler(ws: web.WebSocketResponse) -> None:
        opened.set_result(ws)
        await echo(ws)
        codes.append(ws.close_code)

    async with setup.serve(handler) as site, site.connect(autoclose=False) as ws:
        closing = asyncio.create_task((await opened).close(code=1001, message="bye"))
        assert await ws.receive() == (WSMsgType.CLOSE, 1001, "bye")
        assert not closing.done()
        assert await ws.close(code=4000) is True
        assert await asyncio.wait_for(closing, 10) is True
        assert (await opened).close_code == 4000
    assert codes == [1000]  # The peer had not answered then.


async def test_the_handler_fails_while_another_task_closes(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    opened: asyncio.Future[web.WebSocketResponse] = asyncio.get_running_loop().create_future()

    async def handler(ws: web.WebSocketResponse) -> None:
        opened.set_result(ws)
        await ws.receive()
        raise ZeroDivisionError

    async with setup.serve(handler) as site, site.connect(autoclose=False) as ws:
        assert await asyncio.wait_for((await opened).close(), 10) is True
        assert (await opened).close_code is plait.WSCloseCode.ABNORMAL_CLOSURE
        await ws.close()


async def test_close_ends_a_receive_that_waits(setup: Setup) -> None:
    async with setup.serve(echo) as site:
        ws = await site.connect()
        waiting = asyncio.create_task(ws.receive())
        await ws.send_str("x")
        assert await waiting == (WSMsgType.TEXT, "x", "")
        waiting = asyncio.create_task(ws.receive())
        await asyncio.sleep(0)
        with pytest.raises(RuntimeError, match="one at a time"):
            await ws.receive()
        assert await ws.close() is True
        assert await waiting == WS_CLOSING_MESSAGE
        assert ws.close_code == 1000


async def test_without_autoclose_the_application_answers(setup: Setup) -> None:
    async def handler(ws: web.WebSocketResponse) -> None:
        assert (await ws.receive()).type is WSMsgType.CLOSE
        assert not ws.closed
        assert await ws.receive() == WS_CLOSING_MESSAGE
        assert await ws.close(code=4004) is True
        assert ws.close_code == 4003

    async with setup.serve(handler, autoclose=False) as site:
        ws = await site.connect()
        await ws.close(code=4003)
        assert ws.close_code == 4004


async def test_after_the_clients_close_the_handler_may_still_send(setup: Setup) -> None:
    """RFC 6455 section 5.5.1 forbids data behind our own Close frame, not behind the peer's."""
    sent = asyncio.Event()

    async def handler(ws: web.WebSocketResponse) -> None:
        assert await ws.receive() == (WSMsgType.CLOSE, 4003, "")
        await ws.send_str("last")
        await ws.send_bytes(b"words")
        await ws.ping()
        sent.set()
        assert await ws.close() is True
        with pytest.raises(plait.ClientConnectionResetError):
            await ws.send_str("too late")

    async with setup.serve(handler, autoclose=False) as site:
        ws = await site.connect()
        assert await ws.close(code=4003) is True
        assert ws.close_code == 1000
        assert sent.is_set()


async def test_after_the_servers_close_the_client_may_still_send(setup: Setup) -> None:
    async def handler(ws: web.WebSocketResponse) -> None:
        await ws.close(code=4003)
        assert ws.close_code == 4004

    async with setup.serve(handler) as site:
        ws = await site.connect(autoclose=False)
        assert await ws.receive() == (WSMsgType.CLOSE, 4003, "")
        assert (ws.closed, ws.close_code) == (False, 4003)
        await ws.send_str("last words")
        assert await ws.close(code=4004) is True
        with pytest.raises(plait.ClientConnectionResetError):
            await ws.send_str("too late")


@pytest.mark.parametrize("closes", [1, 2, 3])
async def test_a_receive_beside_several_closes(setup: Setup, closes: int) -> None:
    """One close gives CLOSING; when a second one comes the client is CLOSED, as aiohttp's."""
    async with setup.serve(echo) as site:
        ws = await site.connect()
        waiting = asyncio.create_task(ws.receive())
        await asyncio.sleep(0)
        closed = await asyncio.gather(*(ws.close() for _ in range(closes)))
        assert sorted(closed) == [False] * (closes - 1) + [True]
        assert await waiting == (WS_CLOSING_MESSAGE if closes == 1 else WS_CLOSED_MESSAGE)
        assert await ws.receive() == WS_CLOSED_MESSAGE


async def test_the_status_of_an_accepted_handshake(setup: Setup) -> None:
    statuses: list[int] = []

    async def handler(ws: web.WebSocketResponse) -> None:
        statuses.append(ws.status)

    async with setup.serve(handler) as site, site.connect() as ws:
        await ws.receive()
    assert statuses == [101]


async def test_a_close_that_nobody_answers(setup: Setup) -> None:
    go_on = asyncio.Event()

    async def handler(ws: web.WebSocketResponse) -> None:
        await go_on.wait()

    async with setup.serve(handler) as site:
        ws = await site.connect(timeout=plait.ClientWSTimeout(ws_close=0.05))
        assert await ws.close() is True
        assert ws.close_code == 1006
        assert isinstance(ws.exception(), TimeoutError)
        go_on.set()


async def test_the_client_is_gone(setup: Setup) -> None:
    ended = asyncio.Event()

    async def handler(ws: web.WebSocketResponse) -> None:
        assert await ws.receive_str() == "before"
        await ws.send_str("before")
        assert await ws.receive() == WS_CLOSED_MESSAGE
        assert (ws.closed, ws.close_code) == (True, 1006)
        assert isinstance(ws.exception(), plait.ClientConnectionResetError)
        with pytest.raises(plait.ClientConnectionResetError):
            await ws.send_str("anybody?")
        ended.set()

    async with setup.serve(handler) as site:
        ws = await site.connect()
        await ws.send_str("before")
        assert await ws.receive_str() == "before"
        ws._response.close()
        await ended.wait()
        assert await ws.receive() == WS_CLOSED_MESSAGE
        assert ws.close_code == 1006


async def test_the_handler_fails(setup: Setup, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ws: web.WebSocketResponse) -> None:
        await ws.receive()
        raise ZeroDivisionError

    async with setup.serve(handler) as site:
        ws = await site.connect()
        await ws.send_str("go")
        assert await ws.receive() == WS_CLOSED_MESSAGE
        assert ws.close_code == 1006
        await ws.close()
    assert "ZeroDivisionError" in caplog.text


async def test_receive_can_time_out_and_go_on(setup: Setup) -> None:
    async with setup.serve(echo) as site:
        timeout = plait.ClientWSTimeout(ws_receive=0.02, ws_close=5)
        async with site.connect(timeout=timeout) as ws:
            with pytest.raises(TimeoutError):
                await ws.receive()
            await ws.send_str("x")
            assert await ws.receive_str(timeout=5) == "x"


async def test_cancelling_a_receive_loses_nothing(setup: Setup) -> None:
    async with setup.serve(echo) as site, site.connect() as ws:
        for number in range(10):
            waiting = asyncio.create_task(ws.receive())
            await asyncio.sleep(0)
            await ws.send_str(str(number))
            waiting.cancel()
            assert await asyncio.gather(waiting, return_exceptions=True)
            got = waiting if not waiting.cancelled() else asyncio.create_task(ws.receive())
            assert (await got).data == str(number)


# -- the handshake ------------------------------------------------------------------------


async def test_subprotocols(setup: Setup, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(ws: web.WebSocketResponse) -> None:
        await ws.send_str(str(ws.ws_protocol))

    async with setup.serve(handler, protocols=("b", "a")) as site:
        for offered, chosen in ((("x", "a", "b"), "a"), (("x" * 4000,), None), ((), None)):
            async with site.connect(protocols=offered) as ws:
                assert ws.protocol == chosen
                assert await ws.receive_str() == str(chosen)
    [record] = caplog.records
    assert "protocols" in record.getMessage()
    assert len(record.getMessage()) < 400


async def test_redirects_are_followed(setup: Setup) -> None:
    async with setup.serve(echo) as site, site.connect("/moved") as ws:
        await ws.send_str("x")
        assert await ws.receive_str() == "x"


@pytest.mark.parametrize(("path", "status"), [("/plain", 403), ("/none", 404)])
async def test_a_page_that_is_no_websocket(setup: Setup, path: str, status: int) -> None:
    async with setup.serve(echo) as site:
        with pytest.raises(plait.WSServerHandshakeError) as caught:
            await site.connect(path)
        assert caught.value.status == status
        async with site.connect() as ws:  # and the session is none the worse
            await ws.send_str("x")
            assert await ws.receive_str() == "x"


async def test_messages_sent_right_behind_the_handshake(setup: Setup) -> None:
    async def handler(ws: web.WebSocketResponse) -> None:
        for number in range(100):
            await ws.send_str(str(number))
        assert await ws.receive_str() == "done"

    async with setup.serve(handler) as site, site.connect() as ws:
        for number in range(100):
            assert await ws.receive_str() == str(number)
        await ws.send_str("done")


async def test_websockets_do_not_disturb_each_other(setup: Setup) -> None:
    """W22: on HTTP/2 all of them are streams of one connection."""
    async with setup.serve(echo) as site:
        sockets = [await site.connect() for _ in range(10)]
        for number, ws in enumerate(sockets):
            await ws.send_str(str(number))
        sockets[3]._response.close()
        await sockets[7].send_str("\N{GRINNING FACE}" * 100_000)
        for number, ws in enumerate(sockets):
            if number != 3:
                assert await ws.receive_str() == str(number)
        await asyncio.gather(*(ws.close() for ws in sockets))


async def test_state_before_and_after_the_handshake(setup: Setup) -> None:
    fresh: web.WebSocketResponse = web.WebSocketResponse()
    assert (fresh.prepared, fresh.closed, fresh.close_code, fresh.compress) == (
        False,
        False,
        None,
        True,
    )
    assert fresh.get_extra_info("peername") is None
    for method in (fresh.receive, fresh.close, fresh.ping):
        with pytest.raises(RuntimeError, match="prepare"):
            await method()
    with pytest.raises(RuntimeError):
        await fresh.write(b"x")
    with pytest.raises(RuntimeError):
        await fresh.write_eof()

    async def handler(ws: web.WebSocketResponse) -> None:
        assert (ws.prepared, ws.status) == (True, 101)
        assert ws.get_extra_info("peername")[0] == "127.0.0.1"
        await ws.receive()

    async with setup.serve(handler) as site, site.connect() as ws:
        assert ws.get_extra_info("peername")[1] == site.port
        assert ws.get_extra_info("nothing", 5) == 5
        await ws.close()
        assert ws.get_extra_info("peername") is None
        assert isinstance(ws, plait.ClientWebSocketResponse)
        assert WSMessage(WSMsgType.TEXT, "[1]", "").json() == [1]


@pytest.mark.parametrize("path", ["/hello", "/stream"])
async def test_a_handler_that_answers_with_200(
    setup: Setup, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    """HTTP/1.1: the plain answer.  HTTP/2: 501, since a 2xx would open the tunnel (RFC 8441
    section 4).  Any client can ask for it, so nothing is logged."""
    async with setup.serve(echo) as site:
        for _ in range(3):
            with pytest.raises(plait.WSServerHandshakeError) as refused:
                await site.connect(path)
            assert refused.value.status == (501 if setup.way.version == "2.0" else 200)
        async with site.connect() as ws:
            await ws.send_str("on")
            assert await ws.receive_str() == "on"
    assert [record for record in caplog.records if record.levelname == "ERROR"] == []


async def test_websockets_that_wait_keep_nothing_of_a_shared_window(setup: Setup) -> None:
    """Together they received more than the window of an HTTP/2 connection (1 MiB)."""
    message = bytes(30_000)
    async with asyncio.timeout(30), setup.serve(echo, compress=False) as site:
        sockets = [await site.connect() for _ in range(45)]
        for ws in sockets:
            await ws.send_bytes(message)
            assert await ws.receive_bytes() == message
        for ws in sockets:
            await ws.close()


async def test_windows_smaller_than_a_message(setup: Setup) -> None:
    limits = Limits(read_high_water=2000, stream_window=2000, connection_window=65_535)
    async with (
        asyncio.timeout(30),
        setup.serve(echo, limits=limits) as site,
        site.connect() as ws,
    ):
        for size in (10, 1999, 2000, 2001, 50_000):
            await ws.send_bytes(bytes(size))
            assert await ws.receive_bytes() == bytes(size)
