"""Connections, handlers and servers from their beginning to their end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import plait
from plait import web
from plait.client_exceptions import ClientConnectionResetError
from plait.web_runner import offer_protocols
from plait_engine import Config, ErrorCode, Limits, Timeouts
from plait_engine.engines import EngineName
from plait_engine.testing import counting_random, frames
from tests.adapters.web_peer import Setup, app_of
from tests.conftest import Authority

pytestmark = pytest.mark.anyio

H1 = Setup("http/1.1", "native")
H2 = Setup("h2", "native")


class Gate:
    """A handler that waits until it is told to go on, and counts."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.began = asyncio.Semaphore(0)
        self.running = 0
        self.most = 0
        self.ended = 0

    async def __call__(self, request: web.Request) -> web.Response:
        self.running += 1
        self.most = max(self.most, self.running)
        self.began.release()
        try:
            await self.go.wait()
        finally:
            self.running -= 1
            self.ended += 1
        return web.Response(text="done")


async def until(condition: Callable[[], bool]) -> None:
    """Let the loop turn until ``condition`` is true."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  # nobody tells of what is looked at
            await asyncio.sleep(0)


# -- handlers and clients that go ---------------------------------------------------------------------


async def test_a_handler_outlives_its_client(setup: Setup) -> None:
    gate = Gate()
    async with setup.serve(app_of(gate)) as site:
        client = await site.connect()
        client.request()
        await gate.began.acquire()
        await site.close(client)
        assert gate.running == 1
        gate.go.set()
    assert gate.ended == 1


async def test_writes_to_a_client_that_is_gone_raise(setup: Setup) -> None:
    began, raised = asyncio.Event(), asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        began.set()
        await request.protocol.driver.wait_closed()
        for call in (response.write(b"x"), response.write_eof(), request.send_informational(103)):
            with pytest.raises(ClientConnectionResetError):
                await call
        raised.set()
        return response

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        client.request()
        await began.wait()
        client.abort()
        await asyncio.wait_for(raised.wait(), 20)


async def test_a_reset_stream_cancels_where_that_is_wanted() -> None:
    gate = Gate()
    async with H2.serve(app_of(gate), handler_cancellation=True) as site:
        client = await site.connect()
        answer = client.request()
        await gate.began.acquire()
        answer.reset()
        answer.forget()
        other = client.request()
        await gate.began.acquire()
        assert gate.ended == 1
        gate.go.set()
        await other.complete()


# -- floods ------------------------------------------------------------------------------------------


async def test_a_stream_that_is_reset_at_once_starts_no_handler() -> None:
    """Attack T1: a request and its reset in one segment."""
    gate = Gate()
    async with H2.serve(app_of(gate)) as site:
        client = await site.connect()
        for _ in range(50):
            answer = client.request()
            answer.reset(ErrorCode.CANCEL)
            answer.forget()
        gate.go.set()
        await client.fetch()
        assert gate.most == 1
        assert site.server.requests_count == 1


async def test_no_more_handlers_run_than_streams_are_allowed() -> None:
    """Attack T1: reset streams make room for new ones, their handlers still run."""
    gate = Gate()
    limit = 5
    async with H2.serve(app_of(gate), limits=Limits(max_concurrent_streams=limit)) as site:
        client = await site.connect()
        await client.fetch("GET", "/nothing")  # The SETTINGS have come.
        for _ in range(limit):
            answer = client.request()
            await gate.began.acquire()
            answer.reset(ErrorCode.CANCEL)
            answer.forget()
        (handler,) = site.server.connections
        # These wait for a handler to end; those that are reset meanwhile never begin.
        waiting = [client.request() for _ in range(limit)]
        await until(lambda: len(handler.admission.waiting) == limit)
        for answer in waiting[:3]:
            answer.reset(ErrorCode.CANCEL)
            answer.forget()
        await until(lambda: len(handler.admission.waiting) == limit - 3)
        assert gate.most == gate.running == limit
        gate.go.set()
        for answer in waiting[3:]:
            assert (await answer.complete()).body == b"done"
        assert gate.most == limit
        assert gate.ended == limit + 2


async def test_a_request_that_finds_no_handler_is_refused() -> None:
    """Attack T1: the client hears so, instead of waiting for handlers that may never end."""
    gate = Gate()
    limit = 5
    async with H2.serve(app_of(gate), limits=Limits(max_concurrent_streams=limit)) as site:
        client = await site.connect()
        await client.fetch("GET", "/nothing")  # The SETTINGS have come.
        for _ in range(limit):
            answer = client.request()
            await gate.began.acquire()
            answer.reset(ErrorCode.CANCEL)
            answer.forget()
        (handler,) = site.server.connections
        handler.admission.patience = 0.01
        for _ in range(2):
            reset = await client.request().broken()
            assert reset.code == ErrorCode.REFUSED_STREAM
            assert reset.retryable
        assert gate.most == gate.running == limit
        gate.go.set()
        await until(lambda: gate.ended == limit)
        await client.fetch()  # The connection is as good as new.


async def test_pipelined_requests_are_answered_in_order() -> None:
    """Attacks S74, S75: one handler at a time, and the client is held up."""
    order = []

    async def handler(request: web.Request) -> web.Response:
        order.append(request.path)
        await asyncio.sleep(0)
        return web.Response(text=request.path)

    async with H1.serve(app_of(handler, "/{n}")) as site:
        data = b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(500))
        last = b"GET /last HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        answer = await site.send_raw(data + last)
        assert answer.count(b"200 OK") == 501
        assert answer.endswith(b"/last")
    assert order == [f"/{number}" for number in range(500)] + ["/last"]


# -- shutdown ----------------------------------------------------------------------------------------


async def test_shutdown_waits_for_handlers(setup: Setup) -> None:
    """And in this order: no new connection, idle ones closed, on_shutdown, the handlers."""
    gate = Gate()
    steps = []
    app = app_of(gate)

    async def on_shutdown(app: web.Application) -> None:
        steps.append("shutdown")
        with pytest.raises(ConnectionRefusedError):
            await site.connect()
        await idle.wait_closed()
        assert gate.running == 1
        gate.go.set()

    async def on_cleanup(app: web.Application) -> None:
        steps.append("cleanup")
        assert gate.running == 0

    app.on_shutdown.append(on_shutdown)
    app.on_cleanup.append(on_cleanup)
    async with setup.serve(app) as site:
        client, idle = await site.connect(), await site.connect()
        await idle.fetch("GET", "/nothing")
        answer = client.request()
        await gate.began.acquire()
        await site.runner.cleanup()
        assert (await answer.complete()).body == b"done"
        await client.wait_closed()
        assert not site.runner.sites
    assert steps == ["shutdown", "cleanup"]


async def test_shutdown_cancels_what_takes_too_long(setup: Setup) -> None:
    gate = Gate()
    async with setup.serve(app_of(gate), shutdown_timeout=0.05) as site:
        client = await site.connect()
        answer = client.request()
        await gate.began.acquire()
        await site.runner.cleanup()
        assert gate.ended == 1
        await answer.broken()


async def test_shutdown_first_cancels_reading(setup: Setup) -> None:
    """A handler that waits for content that never comes can still answer."""
    began = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        began.set()
        try:
            await request.read()
        except asyncio.CancelledError:
            return web.Response(text="shutting down")
        return web.Response()

    async with setup.serve(app_of(handler), shutdown_timeout=0.05) as site:
        client = await site.connect()
        answer = client.request("POST", "/", [("content-length", "5")], end=False)
        await began.wait()
        await site.runner.cleanup()
        await answer.head_came.wait()
        assert answer.status == 200


async def test_one_bound_holds_for_the_whole_shutdown(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    """Even of a handler that does not let itself be cancelled."""
    began = asyncio.Event()
    go = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        began.set()
        while not go.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await go.wait()
        return response

    loop = asyncio.get_running_loop()
    async with setup.serve(app_of(handler), shutdown_timeout=0.6) as site:
        client = await site.connect()
        client.request(target="/?events")
        await began.wait()
        start = loop.time()
        await site.runner.cleanup()
        assert loop.time() - start < 1.1  # It was three times as long.
        go.set()
        await client.wait_closed()
    (message,) = caplog.messages
    assert re.match(r"Handlers go on although .*: GET /\?events from \('127.0.0.1', \d+\)", message)


async def test_it_is_told_what_a_shutdown_waits_for(
    setup: Setup, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("plait.web_server._SILENCE", 0.0)
    gate = Gate()

    class Release(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            gate.go.set()

    async with setup.serve(app_of(gate), shutdown_timeout=20) as site:
        logger = site.server.logger
        logger.addHandler(release := Release())
        try:
            client = await site.connect()
            answer = client.request(target="/?a")
            await gate.began.acquire()
            await site.runner.cleanup()
            assert (await answer.complete()).body == b"done"
        finally:
            logger.removeHandler(release)
    (message,) = caplog.messages
    assert message.startswith(
        "Shutting down: waiting, at most 20 s, for the handlers of 1 connection: GET /?a"
    )


@pytest.mark.parametrize("http2", [False, True])
async def test_websockets_are_told_that_the_server_goes_away(http2: bool) -> None:
    """And neither a handler that receives nor one that closes itself makes trouble."""
    ended = []

    async def chat(request: web.Request) -> web.WebSocketResponse:
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        await websocket.send_str("hello")
        if "push" in request.query:
            with contextlib.suppress(ConnectionResetError):
                while True:
                    await websocket.send_str("more")
                    await asyncio.sleep(0)
        async for _ in websocket:
            pass
        ended.append(websocket.closed)
        return websocket

    runner = web.AppRunner(app_of(chat), access_log=None, shutdown_timeout=20)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    connector = plait.TCPConnector(http2=http2)
    async with plait.ClientSession(connector=connector) as session:
        async with session.ws_connect(url) as quiet, session.ws_connect(url + "?push") as busy:
            assert await quiet.receive_str() == await busy.receive_str() == "hello"
            cleanup = asyncio.ensure_future(runner.cleanup())
            assert (await quiet.receive()).data == 1001
            async for message in busy:
                assert message.data == "more"
            assert busy.close_code == 1001
        await asyncio.wait_for(cleanup, 10)
    assert ended == [True, True]


async def test_cleanup_happens_although_shutdown_fails() -> None:
    gate = Gate()
    app = app_of(gate)
    cleaned = []

    async def fail(app: web.Application) -> None:
        gate.go.set()
        raise KeyError("x")

    async def on_cleanup(app: web.Application) -> None:
        cleaned.append(gate.ended)

    app.on_shutdown.append(fail)
    app.on_cleanup.append(on_cleanup)
    async with H1.serve(app) as site:
        answer = (await site.connect()).request()
        await gate.began.acquire()
        with pytest.raises(KeyError):
            await site.runner.cleanup()
        assert (await answer.complete()).body == b"done"
        assert site.runner.server is None
    assert cleaned == [1]


async def test_timeouts_and_limits_reach_the_engine() -> None:
    """aiohttp's names for them, and the engine's own."""
    server = web.Server(
        Gate(),
        keepalive_timeout=7.0,
        max_line_size=10,
        max_headers=11,
        max_field_size=12,
        lingering_time=13.0,
        read_bufsize=14,
        limits=Limits(max_concurrent_streams=15),
        timeouts=Timeouts(head=16.0),
    )
    limits, timeouts = server.config.limits, server.config.timeouts
    assert (limits.max_line_size, limits.max_fields, limits.max_field_size) == (10, 11, 12)
    assert (limits.read_high_water, limits.max_concurrent_streams) == (14, 15)
    assert (timeouts.keep_alive, timeouts.close, timeouts.head) == (7.0, 13.0, 16.0)
    assert server.tls_config.scheme == "https"
    assert web.Server(Gate(), keepalive_timeout=None).config.timeouts.keep_alive is None
    assert web.Server(Gate(), limits=Limits(max_fields=3)).config.limits.max_fields == 3


async def test_arguments_of_the_application_win_over_those_of_the_runner() -> None:
    app = web.Application(handler_args={"keepalive_timeout": 3.0})
    runner = web.AppRunner(app, keepalive_timeout=5.0, lingering_time=7.0)
    await runner.setup()
    try:
        assert runner.server is not None
        timeouts = runner.server.config.timeouts
        assert (timeouts.keep_alive, timeouts.close) == (3.0, 7.0)
    finally:
        await runner.cleanup()


async def test_without_keep_alive_a_connection_ends_after_its_request(setup: Setup) -> None:
    async with setup.serve(app_of(Gate()), keepalive_timeout=0) as site:
        client = await site.connect()
        for _ in range(10):  # turns of the loop: nothing closes ahead of the request
            await asyncio.sleep(0)
        assert (await client.fetch("GET", "/nothing")).status == 404
        await asyncio.wait_for(client.wait_closed(), 20)


async def test_a_low_level_server(setup: Setup) -> None:
    async def handler(request: web.BaseRequest) -> web.Response:
        assert type(request) is web.BaseRequest
        return web.Response(text=request.path)

    server = web.Server(handler, engine=setup.engine, access_log=None)
    async with setup.serve(server) as site:
        client = await site.connect()
        assert (await client.fetch("GET", "/any")).body == b"/any"
        assert len(server.connections) == 1
        assert server.requests_count == 1
    assert server.connections == []


# -- cleartext and TLS ---------------------------------------------------------------------------------


async def test_cleartext_speaks_both_versions() -> None:
    app = app_of(Gate())
    async with H1.serve(app) as site:
        for setup in (H1, H2):
            site.setup = setup
            assert (await (await site.connect()).fetch("GET", "/nothing")).status == 404


async def test_http2_can_be_switched_off() -> None:
    async with H1.serve(app_of(Gate()), http2=False) as site:
        preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        assert (await site.send_raw(preface)).startswith(b"HTTP/1.1 505 ")


async def handshake(port: int, context: ssl.SSLContext) -> str | None:
    """Return the protocol that a TLS server chooses."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    ssl_object = writer.get_extra_info("ssl_object")
    chosen: str | None = ssl_object.selected_alpn_protocol()
    writer.close()
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        await writer.wait_closed()
    return chosen


@pytest.mark.parametrize(
    ("own", "http2", "offered", "chosen"),
    [
        ((), True, ("http/1.1", "h2"), "h2"),
        ((), True, ("http/1.1",), "http/1.1"),
        ((), True, (), None),
        ((), False, ("http/1.1", "h2"), "http/1.1"),
        (("http/1.1",), True, ("http/1.1", "h2"), "http/1.1"),
        (("http/1.1", "h2"), True, ("h2", "http/1.1"), "http/1.1"),
        (("h2",), True, ("h2", "http/1.1"), "h2"),
    ],
)
async def test_alpn(
    authority: Authority,
    own: tuple[str, ...],
    http2: bool,
    offered: tuple[str, ...],
    chosen: str | None,
) -> None:
    """RFC 7301: what the context offers itself stays; else h2 first, then HTTP/1.1."""
    runner = web.AppRunner(app_of(Gate()), http2=http2)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=authority.server_context(*own))
    await site.start()
    try:
        assert site.name == f"https://127.0.0.1:{site.port}"
        assert await handshake(site.port, authority.client_context(*offered)) == chosen
    finally:
        await runner.cleanup()


def test_the_trial_handshake_leaves_the_context_alone(authority: Authority) -> None:
    calls = []

    def callback(*args: Any) -> None:
        calls.append(args)

    context = authority.server_context()
    context.sni_callback = callback
    context.verify_mode = ssl.CERT_REQUIRED
    offer_protocols(context, ("h2",))
    assert not calls
    assert context.sni_callback is callback
    # A context without a certificate cannot finish a handshake, but it can choose.
    offer_protocols(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ("h2",))


async def test_scheme_over_tls(authority: Authority) -> None:
    async def handler(request: web.Request) -> web.Response:
        assert request.secure
        return web.Response(text=str(request.url))

    runner = web.AppRunner(app_of(handler))
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=authority.server_context())
    await site.start()
    try:
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", site.port, ssl=authority.client_context()
        )
        writer.write(b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n")
        assert (await asyncio.wait_for(reader.read(), 20)).endswith(b"https://a.test/")
        writer.close()
        await writer.wait_closed()
    finally:
        await runner.cleanup()


# -- sites -----------------------------------------------------------------------------------------------


async def test_a_unix_socket(tmp_path: Path) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.remote!r} {request.host} {request.url}")

    runner = web.AppRunner(app_of(handler))
    await runner.setup()
    path = tmp_path / "socket"
    site = web.UnixSite(runner, path)
    await site.start()
    try:
        assert site.name == f"http://unix:{path}:"
        assert runner.addresses == [str(path)]
        reader, writer = await asyncio.open_unix_connection(str(path))
        writer.write(b"GET / HTTP/1.0\r\n\r\n")
        answer = (await asyncio.wait_for(reader.read(), 20)).decode()
        assert answer.endswith(f"'' {path} http://localhost/")
        writer.close()
        await writer.wait_closed()
    finally:
        await runner.cleanup()


async def test_sites() -> None:
    runner = web.AppRunner(app_of(Gate()))
    with pytest.raises(RuntimeError, match="setup"):
        web.TCPSite(runner)
    await runner.setup()
    sock = socket.create_server(("127.0.0.1", 0))
    site = web.SockSite(runner, sock)
    try:
        await site.start()
        with pytest.raises(RuntimeError, match="has the site"):
            await site.start()
        port = sock.getsockname()[1]
        assert site.name == f"http://127.0.0.1:{port}"
        assert runner.addresses == [("127.0.0.1", port)]
        assert runner.sites == {site}
        await site.stop()
        with pytest.raises(RuntimeError, match="does not have the site"):
            await site.stop()
        with pytest.warns(DeprecationWarning, match="shutdown_timeout"):
            web.TCPSite(runner, shutdown_timeout=3)
        assert web.TCPSite(runner).name == "http://0.0.0.0:8080"
    finally:
        await runner.cleanup()
    with pytest.raises(TypeError, match=r"web\.Application"):
        web.AppRunner(object())  # type: ignore[arg-type]  # that is the point


@pytest.mark.parametrize("engine", ["native", "reference"])
async def test_the_last_answer_reaches_a_client_that_is_still_talking(engine: EngineName) -> None:
    """A server that closes too early resets the connection, and with it what was not read."""
    size = 600_000
    gate = Gate()

    async def handler(request: web.Request) -> web.Response:
        await gate(request)
        return web.Response(body=bytes(size))

    wide = Limits(stream_window=2 * size, connection_window=2 * size)
    async with Setup("h2", engine).serve(app_of(handler)) as site:
        client = await site.connect(Config(limits=wide, random=counting_random))
        answer = client.request()
        await gate.began.acquire()
        (connection,) = site.server.connections
        client.close()
        await until(lambda: connection.driver.is_closing)
        assert client.transport is not None
        client.transport.pause_reading()
        gate.go.set()
        await until(lambda: not connection.driver.exchanges)
        for _ in range(10):
            client.transport.write(frames.ping(b"any news"))
            await asyncio.sleep(0)
        client.transport.resume_reading()
        assert len((await answer.complete()).body) == size


# -- slow and silent clients ------------------------------------------------------------------------------


async def test_a_head_that_does_not_come() -> None:
    """Attack S77: the time is for all of the head, not for each byte."""
    async with H1.serve(app_of(Gate()), timeouts=Timeouts(head=0.05)) as site:
        assert await site.send_raw(b"") == b""
        assert (await site.send_raw(b"GET / HT")).startswith(b"HTTP/1.1 408 ")


# The reference engine of HTTP/2 has no such timer.
@pytest.mark.parametrize("setup", [H1, H2, Setup("http/1.1", "reference")], ids=str)
async def test_content_that_does_not_come(setup: Setup) -> None:
    began: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def handler(request: web.Request) -> web.Response:
        try:
            await request.read()
        except web.RequestPayloadError as error:
            began.set_result(error)
            raise
        return web.Response()

    async with setup.serve(app_of(handler), timeouts=Timeouts(body=0.05)) as site:
        client = await site.connect(Config(random=counting_random))
        client.request("POST", "/", (), b"x", end=False)
        error = await asyncio.wait_for(began, 20)
        assert "body" in str(error) or "too long" in str(error)


async def test_a_client_that_never_reads() -> None:
    """Attack S78: the handler is held up, then the write timer ends the connection."""
    failed = asyncio.Event()

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 100_000)
        finally:
            failed.set()

    async with H1.serve(app_of(handler), timeouts=Timeouts(write=0.2)) as site:
        reader, writer = await asyncio.open_connection("127.0.0.1", site.port, limit=1000)
        writer.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        await asyncio.wait_for(failed.wait(), 20)
        writer.transport.abort()
        del reader


async def test_unix_sockets(tmp_path: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=request.path)

    app = web.Application()
    app.router.add_get("/here", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    path = str(tmp_path / "socket")
    await web.UnixSite(runner, path).start()
    async with (
        plait.ClientSession(connector=plait.UnixConnector(path)) as session,
        session.get("http://localhost/here") as response,
    ):
        assert (response.status, await response.text()) == (200, "/here")
    await runner.cleanup()


async def test_a_socket_of_ones_own() -> None:
    app = web.Application()
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        runner = web.AppRunner(app)
        await runner.setup()
        await web.SockSite(runner, sock).start()
        url = f"http://127.0.0.1:{sock.getsockname()[1]}/"
        async with plait.ClientSession() as session, session.get(url) as response:
            assert response.status == 404
        await runner.cleanup()
