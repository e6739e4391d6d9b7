"""Servers and clients of tests: over both versions, on sockets and in memory."""

from __future__ import annotations

import asyncio
import gc
import socket
import threading
import unittest
import warnings
from collections.abc import AsyncIterator
from typing import Any
from unittest import mock

import pytest
from yarl import URL

import plait
from plait import web
from plait.test_utils import (
    REUSE_ADDRESS,
    AioHTTPTestCase,
    BaseTestServer,
    RawTestServer,
    TestClient,
    TestServer,
    get_port_socket,
    get_unused_port_socket,
    loop_context,
    make_mocked_coro,
    setup_test_loop,
    teardown_test_loop,
    unittest_run_loop,
    unused_port,
)
from plait.transport.memory import MemoryTransport
from plait_engine.policy.retry import RetryPolicy
from tests.conftest import Authority

pytestmark = pytest.mark.anyio

METHODS = ["get", "head", "post", "put", "patch", "delete", "options"]


@pytest.fixture(params=[False, True], ids=["socket", "memory"])
def in_memory(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=[False, True], ids=["h1", "h2"])
def http2(request: pytest.FixtureRequest) -> Any:
    return request.param


async def hello(request: web.BaseRequest) -> web.Response:
    response = web.Response(text=f"{request.method} {request.path_qs}")
    response.set_cookie("seen", "yes")
    return response


async def echo(request: web.Request) -> web.StreamResponse:
    ws: Any = web.WebSocketResponse()
    await ws.prepare(request)
    async for message in ws:
        await ws.send_str(message.data[::-1])
    return ws


def make_app() -> web.Application:
    app = web.Application()
    app.add_routes([web.get("/ws", echo), web.route("*", "/{tail:.*}", hello)])
    return app


@pytest.fixture
async def client(in_memory: bool, http2: bool) -> AsyncIterator[TestClient[Any, Any]]:
    server = TestServer(make_app(), in_memory=in_memory)
    async with TestClient(server, http2=http2) as made:
        yield made


# -- the client ----------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
async def test_each_method(client: TestClient[Any, Any], http2: bool, method: str) -> None:
    async with getattr(client, method)("/a?b=1") as response:
        assert response.status == 200
        assert response.version == ((2, 0) if http2 else (1, 1))
        text = await response.text()
        assert text == ("" if method == "head" else f"{method.upper()} /a?b=1")


async def test_a_request_may_be_awaited(client: TestClient[Any, Any]) -> None:
    response = await client.request("PURGE", URL("/x"), params={"y": "z"})
    assert await response.text() == "PURGE /x?y=z"


async def test_a_websocket(client: TestClient[Any, Any]) -> None:
    async with client.ws_connect("/ws") as ws:
        await ws.send_str("abc")
        assert await ws.receive_str() == "cba"
    ws = await client.ws_connect("/ws", decode_text=False)
    await ws.send_str("abc")
    assert (await ws.receive()).data == b"cba"


async def test_cookies_of_an_ip_address_are_kept(client: TestClient[Any, Any]) -> None:
    assert list(client.session.cookie_jar) == []
    await client.get("/")
    assert [(cookie.key, cookie.value) for cookie in client.session.cookie_jar] == [("seen", "yes")]


async def test_properties(in_memory: bool) -> None:
    app = make_app()
    server = TestServer(app, in_memory=in_memory)
    client = TestClient(server)
    assert (client.server, client.app, client.host) == (server, app, "127.0.0.1")
    assert client.port is None
    assert not server.started
    async with client:
        assert server.started
        assert isinstance(client.port, int)
        assert server.port == client.port
        assert client.make_url("/a").path == "/a"
        assert client.make_url("/a").port == client.port
        assert isinstance(server.handler, web.Server)
        assert client.session.closed is False
    assert client.port is None
    assert server.closed
    assert client.session.closed
    with pytest.raises(RuntimeError):
        client.make_url("/a")
    with pytest.raises(RuntimeError):
        _ = server.handler


async def test_what_is_open_is_closed_with_the_client(in_memory: bool, http2: bool) -> None:
    ended = asyncio.Event()

    async def stream(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(1000))
                await asyncio.sleep(0)
        finally:
            ended.set()

    app = make_app()
    app.router.add_get("/stream", stream)
    app.router._resources.reverse()
    client = TestClient(TestServer(app, in_memory=in_memory), http2=http2)
    await client.start_server()
    response = await client.get("/stream")
    ws = await client.ws_connect("/ws")
    await client.close()
    assert response.closed
    assert ws.closed
    await asyncio.wait_for(ended.wait(), 20)
    await client.close()  # Later calls do nothing.
    del response, ws, client
    gc.collect()  # A ResourceWarning would fail the test.


async def test_a_client_that_was_never_started_is_closed() -> None:
    server = TestServer(make_app())
    client = TestClient(server)
    await client.close()
    assert client.session.closed
    assert not server.closed


async def test_everything_is_closed_although_something_fails() -> None:
    client = TestClient(TestServer(make_app()))
    await client.start_server()
    with (
        mock.patch.object(client.session, "close", side_effect=KeyError),
        pytest.raises(KeyError),
    ):
        await client.close()
    assert client.server.closed
    await client.session.close()


async def test_nothing_is_sent_again_by_default(in_memory: bool) -> None:
    count = 0

    async def drop(request: web.BaseRequest) -> web.Response:
        nonlocal count
        count += 1
        if count > 1:
            request.protocol.force_close()
        return web.Response()

    async with TestClient(RawTestServer(drop, in_memory=in_memory)) as client:
        await client.get("/")
        with pytest.raises(plait.ClientConnectionError):
            await client.get("/")
    assert count == 2
    count = 0
    server = RawTestServer(drop, in_memory=in_memory)
    async with TestClient(server, retry_policy=RetryPolicy()) as client:
        await client.get("/")
        with pytest.raises(plait.ClientConnectionError):
            await client.get("/")
    assert count == 3


async def test_arguments_of_the_session(in_memory: bool) -> None:
    async def show(request: web.BaseRequest) -> web.Response:
        return web.Response(text=request.headers["X-Own"])

    server = RawTestServer(show, in_memory=in_memory)
    jar = plait.DummyCookieJar()
    async with TestClient(
        server, cookie_jar=jar, headers={"X-Own": "1"}, engine="reference"
    ) as client:
        assert client.session.cookie_jar is jar
        async with client.get("/") as response:
            assert await response.text() == "1"
        connector = client.session.connector
        assert connector is not None
        assert connector.engine == "reference"
    with pytest.raises(TypeError):
        TestClient(server, nonsense=1)


async def test_a_connector_of_ones_own_is_kept() -> None:
    connector = plait.TCPConnector()
    server = TestServer(make_app(), in_memory=True)
    async with TestClient(server, connector=connector) as client:
        assert client.session.connector is connector


async def test_what_is_no_server() -> None:
    with pytest.raises(TypeError, match="found type: <class 'str'>"):
        TestClient("http://127.0.0.1")  # type: ignore[call-overload]


@pytest.mark.parametrize("make", [TestServer, lambda app: TestClient(TestServer(app))])
async def test_with_without_async(make: Any) -> None:
    made = make(make_app())
    with pytest.raises(TypeError, match="async with"), made:
        pass
    await made.close()


# -- servers -------------------------------------------------------------------------------


async def test_a_bare_handler(in_memory: bool, http2: bool) -> None:
    server = RawTestServer(hello, in_memory=in_memory)
    async with TestClient(server, http2=http2) as client:
        assert client.app is None
        async with client.get("/raw") as response:
            assert await response.text() == "GET /raw"
    assert server.closed


@pytest.mark.parametrize("debug", [None, False])
async def test_a_bare_handler_shows_its_traceback(debug: bool | None) -> None:
    async def fail(request: web.BaseRequest) -> web.Response:
        raise KeyError("inside")

    options = {} if debug is None else {"debug": debug}
    server = RawTestServer(fail, in_memory=True, logger=mock.Mock(), **options)
    async with TestClient(server) as client, client.get("/") as response:
        assert response.status == 500
        assert ("KeyError" in await response.text()) is (debug is None)


async def test_a_handler_is_cancelled_when_its_client_leaves(in_memory: bool) -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def wait(request: web.BaseRequest) -> web.Response:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError

    async with TestClient(RawTestServer(wait, in_memory=in_memory)) as client:
        task = asyncio.ensure_future(client.request("GET", "/"))
        await asyncio.wait_for(started.wait(), 20)
        task.cancel()
        await asyncio.wait_for(cancelled.wait(), 20)


async def test_arguments_of_the_runner() -> None:
    app = make_app()
    server = TestServer(app, in_memory=True, handler_cancellation=False, shutdown_timeout=3.0)
    async with server:
        assert server.handler.handler_cancellation is False
        assert server.runner is not None
        assert server.runner._shutdown_timeout == 3.0
    raw = RawTestServer(hello, in_memory=True, shutdown_timeout=3.0, http2=False)
    async with raw:
        assert raw.handler.http2 is False
        assert raw.runner is not None
        assert raw.runner._shutdown_timeout == 3.0
    other = TestServer(make_app(), in_memory=True)
    await other.start_server(http2=False)
    await other.start_server(http2=True)  # It runs already.
    assert other.handler.http2 is False
    await other.close()
    await other.close()


@pytest.mark.parametrize("http2", [False, True])
async def test_tls(authority: Authority, http2: bool) -> None:
    server = TestServer(make_app(), host="localhost")
    client = TestClient(server, http2=http2)
    await server.start_server(ssl=authority.server_context())
    assert server.scheme == "https"
    assert client.make_url("/").scheme == "https"
    async with client.get("/", ssl=authority.client_context()) as response:
        assert response.version == ((2, 0) if http2 else (1, 1))
    await client.close()


async def test_tls_of_the_constructor(authority: Authority) -> None:
    async with TestServer(make_app(), ssl=authority.server_context()) as server:
        assert server.make_url("/").scheme == "https"


async def test_there_is_no_tls_in_memory(authority: Authority) -> None:
    server = TestServer(make_app(), in_memory=True)
    with pytest.raises(ValueError, match="no TLS"):
        await server.start_server(ssl=authority.server_context())
    async with TestClient(server) as client:
        with pytest.raises(plait.ClientConnectorError, match="no TLS"):
            await client.session.get("https://127.0.0.1/")


async def test_in_memory_there_is_no_socket() -> None:
    async def look(request: web.BaseRequest) -> web.Response:
        assert isinstance(request.transport, MemoryTransport)
        assert request.get_extra_info("sockname") == ("127.0.0.1", 8000)
        return web.Response(text=f"{request.remote} {request.host}")

    server = RawTestServer(look, in_memory=True, port=8000)
    async with TestClient(server) as client:
        assert server.runner is not None
        assert server.runner.addresses == []
        async with client.get("/") as response:
            assert await response.text() == "127.0.0.1 127.0.0.1:8000"
            assert response.connection is None or isinstance(
                response.connection.transport, MemoryTransport
            )


async def test_nobody_listens_before_the_start_and_after_the_end() -> None:
    server = TestServer(make_app(), in_memory=True)
    client = TestClient(server)
    for _ in range(2):
        with pytest.raises(plait.ClientConnectorError, match="Connection refused"):
            await client.session.get("http://127.0.0.1/")
        await client.start_server()
        await server.close()
    await client.close()


@pytest.mark.parametrize(
    ("host", "address"), [("127.0.0.1", "127.0.0.1"), ("localhost", "127.0.0.1"), ("::1", "::1")]
)
async def test_addresses(host: str, address: str) -> None:
    async with TestClient(TestServer(make_app(), host=host)) as client:
        assert client.host == address
        assert client.make_url("/").host == host
        async with client.get("/") as response:
            assert response.status == 200


async def test_a_port_and_a_socket_of_ones_own() -> None:
    with get_unused_port_socket("127.0.0.1") as sock:
        port = sock.getsockname()[1]
        asked: list[Any] = []

        def make(*args: Any) -> socket.socket:
            asked.append(args)
            return sock

        async with TestServer(make_app(), port=port, socket_factory=make) as server:
            assert server.port == port
        assert asked == [("127.0.0.1", port, socket.AF_INET)]


async def test_a_port_that_is_taken() -> None:
    with get_unused_port_socket("127.0.0.1") as sock:
        sock.listen()
        client = TestClient(TestServer(make_app(), port=sock.getsockname()[1]))
        with pytest.raises(OSError, match="in use"):
            await client.__aenter__()
    assert client.session.closed
    assert client.server.closed


async def test_a_socket_that_nobody_listens_on_is_closed(authority: Authority) -> None:
    sock = get_unused_port_socket("127.0.0.1")
    server = TestServer(make_app(), socket_factory=lambda *_: sock)
    with pytest.raises(ValueError, match="one for clients"):
        await server.start_server(ssl=authority.client_context())
    assert sock.fileno() == -1
    await server.close()


async def test_an_application_that_does_not_start() -> None:
    async def fail(app: web.Application) -> None:
        raise KeyError

    app = make_app()
    app.on_startup.append(fail)
    server = TestServer(app)
    with pytest.raises(KeyError):
        await server.__aenter__()
    assert server.closed


async def test_urls() -> None:
    async with TestServer(make_app(), scheme="ws") as server:
        root = f"ws://127.0.0.1:{server.port}"
        assert server.make_url("/a?b") == server.make_url(URL("/a?b")) == URL(f"{root}/a?b")
        for absolute in ("http://a/", URL("http://a/")):
            with pytest.raises(AssertionError):
                server.make_url(absolute)
    async with TestServer(make_app(), skip_url_asserts=True) as server:
        root = f"http://127.0.0.1:{server.port}"
        assert server.make_url("//a") == URL(f"{root}//a")


async def test_a_server_of_ones_own_kind() -> None:
    class Own(BaseTestServer):
        async def _make_runner(self, **kwargs: Any) -> web.BaseRunner:
            return web.ServerRunner(web.Server(hello))

    async with TestClient(Own(in_memory=True)) as client, client.get("/own") as response:
        assert await response.text() == "GET /own"


# -- unittest ------------------------------------------------------------------------------


def run_case(case: type[unittest.TestCase]) -> unittest.TestResult:
    result = unittest.TestResult()
    unittest.defaultTestLoader.loadTestsFromTestCase(case).run(result)
    return result


def test_a_test_case() -> None:
    class Case(AioHTTPTestCase):
        async def get_application(self) -> web.Application:
            return make_app()

        async def test_request(self) -> None:
            assert self.loop is asyncio.get_running_loop()
            assert self.server.app is self.app is self.client.app
            async with self.client.get("/a") as response:
                assert await response.text() == "GET /a"

        def test_synchronous(self) -> None:
            async def inner() -> str:
                async with self.client.get("/b") as response:
                    return await response.text()

            assert self.loop.run_until_complete(inner()) == "GET /b"

    result = run_case(Case)
    assert (result.testsRun, result.errors, result.failures) == (2, [], [])


def test_a_test_case_of_the_old_kind_in_memory_over_http2() -> None:
    class Case(AioHTTPTestCase):
        def get_app(self) -> web.Application:
            return make_app()

        async def get_server(self, app: web.Application) -> TestServer:
            return TestServer(app, in_memory=True)

        async def get_client(self, server: TestServer) -> TestClient[Any, Any]:
            return TestClient(server, http2=True)

        async def test_request(self) -> None:
            async with self.client.get("/") as response:
                assert response.version == (2, 0)

    result = run_case(Case)
    assert (result.testsRun, result.errors, result.failures) == (1, [], [])


def test_a_test_case_without_an_application() -> None:
    class Case(AioHTTPTestCase):
        async def test_nothing(self) -> None: ...

    ((_, trace),) = run_case(Case).errors
    assert "override get_application()" in trace


def test_a_test_case_whose_application_does_not_start() -> None:
    class Case(AioHTTPTestCase):
        async def get_application(self) -> web.Application:
            async def fail(app: web.Application) -> None:
                raise KeyError("startup")

            app = make_app()
            app.on_startup.append(fail)
            return app

        async def test_nothing(self) -> None: ...

    ((_, trace),) = run_case(Case).errors
    assert "KeyError: 'startup'" in trace
    gc.collect()


def test_unittest_run_loop() -> None:
    with pytest.warns(DeprecationWarning, match="unittest_run_loop"):
        assert unittest_run_loop(hello) is hello


# -- loops, ports, mocks -------------------------------------------------------------------


def test_a_loop() -> None:
    with loop_context() as loop:
        assert asyncio.get_event_loop() is loop
        assert loop.run_until_complete(asyncio.sleep(0, "done")) == "done"
    assert loop.is_closed()


def test_a_loop_is_closed_when_its_body_fails() -> None:
    with pytest.raises(KeyError), loop_context(fast=True) as loop:
        raise KeyError
    assert loop.is_closed()


@pytest.mark.parametrize("fast", [False, True])
def test_what_a_loop_has_to_do_is_done(fast: bool) -> None:
    made: list[asyncio.AbstractEventLoop] = []

    def factory() -> asyncio.AbstractEventLoop:
        made.append(asyncio.new_event_loop())
        return made[-1]

    loop = setup_test_loop(factory)
    assert made == [loop]
    done: list[str] = []
    loop.call_soon(done.append, "now")
    with mock.patch.object(gc, "collect") as collect:
        teardown_test_loop(loop, fast=fast)
    assert done == ["now"]
    assert collect.called is not fast
    assert loop.is_closed()
    teardown_test_loop(loop)  # It is closed already.


def test_a_loop_of_another_thread() -> None:
    results: list[object] = []

    def run() -> None:
        with loop_context() as loop:
            results.append(loop.run_until_complete(asyncio.sleep(0, "there")))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert results == ["there"]


def test_ports() -> None:
    port = unused_port()
    with get_port_socket("127.0.0.1", port, socket.AF_INET) as sock:
        assert sock.getsockname() == ("127.0.0.1", port)
        reuse = sock.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR)
        assert bool(reuse) is REUSE_ADDRESS
        sock.listen()
        with warnings.catch_warnings(), pytest.raises(OSError, match="in use"):
            get_port_socket("127.0.0.1", port, socket.AF_INET)
        gc.collect()  # The socket that could not be bound is closed.
    with get_unused_port_socket("::1", socket.AF_INET6) as sock:
        assert sock.getsockname()[0] == "::1"


async def test_a_mock_of_a_coroutine_function() -> None:
    function = make_mocked_coro(3)
    assert await function(1, a=2) == 3
    function.assert_called_once_with(1, a=2)
    assert await make_mocked_coro(None)() is None
    with pytest.raises(KeyError):
        await make_mocked_coro(raise_exception=KeyError())()
    assert await make_mocked_coro(asyncio.sleep(0, "slept"))() == "slept"
