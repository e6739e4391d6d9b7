"""Servers, clients and mocks for tests, on aiohttp and on plait."""

from __future__ import annotations

import asyncio
import io
import logging
import socket
import unittest
from typing import Any
from unittest import mock

import pytest
from multidict import CIMultiDict
from yarl import URL

from tests.same.conftest import Library

pytestmark = pytest.mark.anyio


def app_of(library: Library) -> Any:
    web = library.web

    async def say(request: Any) -> Any:
        return web.Response(text=f"{request.method} {request.path} {dict(request.cookies)}")

    async def cookie(request: Any) -> Any:
        response = web.Response()
        response.set_cookie("a", "1")
        return response

    async def echo(request: Any) -> Any:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        async for message in ws:
            await ws.send_str(message.data)
        return ws

    app = web.Application()
    app.router.add_get("/cookie", cookie)
    app.router.add_get("/ws", echo)
    app.router.add_route("*", "/{tail:.*}", say)
    return app


# -- servers and clients -----------------------------------------------------------------------


async def test_a_client(plain: Library) -> None:
    utils = plain.test_utils
    app = app_of(plain)
    server = utils.TestServer(app)
    client = utils.TestClient(server)
    assert client.server is server
    assert client.app is app
    async with client:
        assert server.started is True
        assert client.host == server.host == "127.0.0.1"
        assert client.port == server.port
        assert client.make_url("/a") == URL(f"http://127.0.0.1:{server.port}/a")
        assert isinstance(client.session, plain.top.ClientSession)
        for method in ("get", "post", "put", "patch", "delete", "options"):
            response = await getattr(client, method)("/a")
            assert await response.text() == f"{method.upper()} /a {{}}"
        async with client.head("/a") as response:
            assert response.status == 200
        async with client.request("REPORT", "/a") as response:
            assert await response.text() == "REPORT /a {}"
        async with client.ws_connect("/ws") as ws:
            await ws.send_str("x")
            assert await ws.receive_str() == "x"
        await client.get("/cookie")
        async with client.get("/a") as response:
            assert await response.text() == "GET /a {'a': '1'}"
    assert server.closed is True
    assert client.session.closed is True


async def test_a_client_without_a_context(plain: Library) -> None:
    client = plain.test_utils.TestClient(plain.test_utils.TestServer(app_of(plain)))
    await client.start_server()
    await client.start_server()
    response = await client.get("/a", headers={"Cookie": "b=2"})
    assert await response.text() == "GET /a {'b': '2'}"
    await client.close()
    await client.close()


async def test_arguments_of_the_session(plain: Library) -> None:
    utils = plain.test_utils
    jar = plain.top.CookieJar(unsafe=True)
    server = utils.TestServer(app_of(plain))
    async with utils.TestClient(server, cookie_jar=jar, headers={"Cookie": "c=3"}) as client:
        async with client.get("/a") as response:
            assert await response.text() == "GET /a {'c': '3'}"
        assert client.session.cookie_jar is jar


async def test_what_a_client_refuses(plain: Library) -> None:
    with pytest.raises(TypeError):
        plain.test_utils.TestClient(app_of(plain))
    client = plain.test_utils.TestClient(plain.test_utils.TestServer(app_of(plain)))
    with pytest.raises(TypeError), client:
        pass
    await client.close()
    with pytest.raises(TypeError), plain.test_utils.TestServer(app_of(plain)):
        pass


async def test_a_server(plain: Library) -> None:
    utils = plain.test_utils
    server = utils.TestServer(app_of(plain))
    assert server.started is False
    assert server.closed is False
    async with server:
        assert server.started is True
        assert isinstance(server.handler, plain.web.Server)
        assert server.make_url("/a?b=c") == URL(f"http://127.0.0.1:{server.port}/a?b=c")
        assert server.scheme == "http"
        with pytest.raises(AssertionError):
            server.make_url("http://a.example/")
        async with (
            plain.top.ClientSession() as session,
            session.get(server.make_url("/a")) as response,
        ):
            assert await response.text() == "GET /a {}"
    assert server.closed is True
    await server.close()


async def test_a_server_at_a_port(plain: Library) -> None:
    port = plain.test_utils.unused_port()
    async with plain.test_utils.TestServer(app_of(plain), port=port) as server:
        assert server.port == port


async def test_a_socket_of_ones_own(plain: Library) -> None:
    made: list[socket.socket] = []

    def factory(host: str, port: int, family: socket.AddressFamily) -> socket.socket:
        made.append(plain.test_utils.get_port_socket(host, port, family))
        return made[0]

    server = plain.test_utils.TestServer(app_of(plain), socket_factory=factory)
    async with server:
        assert made[0].getsockname()[1] == server.port


async def test_a_bare_handler(plain: Library) -> None:
    web = plain.web

    async def handler(request: Any) -> Any:
        assert type(request) is web.BaseRequest
        return web.Response(text="bare")

    server = plain.test_utils.RawTestServer(handler)
    async with plain.test_utils.TestClient(server) as client:
        assert client.app is None
        async with client.get("/") as response:
            assert await response.text() == "bare"


async def test_a_bare_handler_that_fails(plain: Library, caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: Any) -> Any:
        raise KeyError("mine")

    server = plain.test_utils.RawTestServer(handler)
    with caplog.at_level(logging.CRITICAL):
        async with plain.test_utils.TestClient(server) as client, client.get("/") as response:
            assert response.status == 500
            assert "mine" in await response.text()


async def test_urls_as_they_are_written(plain: Library) -> None:
    server = plain.test_utils.TestServer(app_of(plain), skip_url_asserts=True)
    async with server:
        assert server.make_url("/a").path.endswith("/a")


# -- test cases --------------------------------------------------------------------------------


def run(case: type[unittest.TestCase]) -> unittest.TestResult:
    suite = unittest.defaultTestLoader.loadTestsFromTestCase(case)
    return unittest.TextTestRunner(stream=io.StringIO()).run(suite)


def test_a_test_case(plain: Library) -> None:
    seen: list[str] = []

    class Case(plain.test_utils.AioHTTPTestCase):  # type: ignore[misc, name-defined]
        async def get_application(self) -> Any:
            return app_of(plain)

        async def setUpAsync(self) -> None:
            await super().setUpAsync()
            seen.append("up")

        async def tearDownAsync(self) -> None:
            seen.append("down")
            await super().tearDownAsync()

        async def test_it(self) -> None:
            assert self.app is self.client.app
            assert self.loop is asyncio.get_running_loop()
            async with self.client.get("/a") as response:
                seen.append(await response.text())

    result = run(Case)
    assert (result.testsRun, result.errors, result.failures) == (1, [], [])
    assert seen == ["up", "GET /a {}", "down"]


def test_a_test_case_with_parts_of_its_own(plain: Library) -> None:
    class Case(plain.test_utils.AioHTTPTestCase):  # type: ignore[misc, name-defined]
        def get_app(self) -> Any:
            return app_of(plain)

        async def get_server(self, app: Any) -> Any:
            return plain.test_utils.TestServer(app, host="127.0.0.1")

        async def get_client(self, server: Any) -> Any:
            return plain.test_utils.TestClient(server, headers={"Cookie": "a=1"})

        async def test_it(self) -> None:
            async with self.client.get("/a") as response:
                assert await response.text() == "GET /a {'a': '1'}"

    result = run(Case)
    assert (result.testsRun, result.errors, result.failures) == (1, [], [])


def test_a_test_case_without_an_application(plain: Library) -> None:
    class Case(plain.test_utils.AioHTTPTestCase):  # type: ignore[misc, name-defined]
        async def test_it(self) -> None:
            """Never runs."""

    result = run(Case)
    assert len(result.errors) == 1


def test_the_old_decorator(plain: Library) -> None:
    def function() -> None:
        """Is returned as it is."""

    with pytest.warns(DeprecationWarning, match="no longer needed"):
        assert plain.test_utils.unittest_run_loop(function) is function


# -- loops and ports ---------------------------------------------------------------------------


def test_a_loop(plain: Library) -> None:
    with plain.test_utils.loop_context() as loop:
        assert isinstance(loop, asyncio.AbstractEventLoop)
        assert loop.run_until_complete(asyncio.sleep(0, 5)) == 5
    assert loop.is_closed()
    loop = plain.test_utils.setup_test_loop()
    assert loop.run_until_complete(asyncio.sleep(0, 5)) == 5
    plain.test_utils.teardown_test_loop(loop, fast=True)
    assert loop.is_closed()


def test_ports(plain: Library) -> None:
    utils = plain.test_utils
    with utils.get_unused_port_socket("127.0.0.1") as sock:
        assert sock.getsockname()[1] > 0
    port = utils.unused_port()
    with utils.get_port_socket("127.0.0.1", port, socket.AF_INET) as sock:
        assert sock.getsockname() == ("127.0.0.1", port)


# -- mocks -------------------------------------------------------------------------------------


async def test_a_mocked_coroutine(plain: Library) -> None:
    called = plain.test_utils.make_mocked_coro(5)
    assert await called(1, a=2) == 5
    called.assert_called_once_with(1, a=2)
    failing = plain.test_utils.make_mocked_coro(raise_exception=KeyError("a"))
    with pytest.raises(KeyError):
        await failing()


async def test_a_mocked_request(plain: Library) -> None:
    web = plain.web
    request = plain.test_utils.make_mocked_request("GET", "/a?b=c", headers={"X": "1"})
    assert isinstance(request, web.Request)
    assert (request.method, request.path, request.query["b"]) == ("GET", "/a", "c")
    assert request.headers == CIMultiDict({"X": "1"})
    assert request.raw_headers == ((b"X", b"1"),)
    assert request.version == plain.top.HttpVersion11
    assert request.keep_alive is True
    assert request.scheme == "http"
    assert request.body_exists is False
    assert await request.read() == b""
    assert request.match_info == {}
    assert request.transport is not None
    assert request.app is not None


async def test_arguments_of_a_mocked_request(plain: Library) -> None:
    web = plain.web
    app = web.Application()
    transport = mock.Mock()
    transport.get_extra_info.side_effect = {"peername": ("1.2.3.4", 5)}.get
    payload = plain.streams.StreamReader(
        mock.Mock(_reading_paused=False), 2**16, loop=asyncio.get_running_loop()
    )
    payload.feed_data(b"body")
    payload.feed_eof()
    request = plain.test_utils.make_mocked_request(
        "POST",
        "/a",
        match_info={"x": "y"},
        version=plain.top.HttpVersion10,
        closing=True,
        app=app,
        transport=transport,
        payload=payload,
        client_max_size=3,
    )
    assert request.match_info["x"] == "y"
    assert request.app is app
    assert request.version == plain.top.HttpVersion10
    assert request.keep_alive is False
    assert request.remote == "1.2.3.4"
    assert request.transport is transport
    with pytest.raises(web.HTTPRequestEntityTooLarge):
        await request.read()


async def test_a_mocked_request_over_tls(plain: Library) -> None:
    context = mock.Mock()
    request = plain.test_utils.make_mocked_request("GET", "/", sslcontext=context)
    assert request.secure is True
    assert request.scheme == "https"


async def test_a_handler_with_a_mocked_request(plain: Library) -> None:
    web = plain.web

    async def handler(request: Any) -> Any:
        return web.json_response({"path": request.path})

    response = await handler(plain.test_utils.make_mocked_request("GET", "/a"))
    assert response.text == '{"path": "/a"}'


async def test_a_response_to_a_mocked_request(plain: Library) -> None:
    web = plain.web
    writer = mock.Mock()
    for name in ("write", "write_eof", "write_headers", "drain"):
        setattr(writer, name, plain.test_utils.make_mocked_coro())
    request = plain.test_utils.make_mocked_request("GET", "/", writer=writer)
    response = web.StreamResponse(status=202, headers={"X": "1"})
    assert await response.prepare(request) is writer
    status_line, headers = writer.write_headers.call_args.args
    assert status_line == "HTTP/1.1 202 Accepted"
    assert headers["X"] == "1"
    await response.write(b"a")
    writer.write.assert_called_with(b"a")
    await response.write_eof()
    assert writer.write_eof.called


def test_a_mocked_request_without_a_loop(plain: Library) -> None:
    request = plain.test_utils.make_mocked_request("GET", "/")
    assert request.path == "/"
