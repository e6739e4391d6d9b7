"""What other libraries call, override or replace in aiohttp's classes, under aiohttp's name."""

from __future__ import annotations

from tests.adapters.aliased import aliased


def test_a_connector_that_makes_its_transports_itself() -> None:
    aliased(
        """
        import asyncio
        import aiohttp
        from aiohttp import web
        from aiohttp.client_proto import ResponseHandler

        class Detour(aiohttp.TCPConnector):
            async def _wrap_create_connection(self, *args, addr_infos, req, timeout, **kwargs):
                host, port = addr_infos[0][4][:2]
                assert (req.connection_key.port, timeout.sock_connect) == (port, 20)
                return await self._loop.create_connection(
                    lambda: ResponseHandler(self._loop), host, port
                )

        class Further(Detour):
            pass

        async def hello(request):
            return web.Response(text=f"{request.version}")

        async def main():
            runner = web.ServerRunner(web.Server(hello))
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            port = runner.addresses[0][1]
            for connector in (Detour(), Further()):
                timeout = aiohttp.ClientTimeout(sock_connect=20)
                async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
                    for _ in range(2):
                        async with session.get(f"http://127.0.0.1:{port}/") as response:
                            assert "minor=1" in await response.text()
                    try:
                        await session.get("http://127.0.0.1/", proxy="http://127.0.0.1:1")
                    except aiohttp.ClientConnectionError as error:
                        assert "without a proxy" in str(error)
                    else:
                        raise AssertionError
            await runner.cleanup()

        asyncio.run(main())
        """
    )


def test_a_connector_that_is_given_the_request() -> None:
    aliased(
        """
        import asyncio
        import aiohttp
        from aiohttp import web

        class Answering(asyncio.Transport):
            def __init__(self, protocol, path):
                super().__init__()
                self.protocol, self.path, self.closing = protocol, path, False

            def write(self, data):
                if self.path == "/fails":
                    self.protocol.set_exception(ZeroDivisionError("as asked"))
                    return
                head = b"HTTP/1.1 200 OK\\r\\nContent-Length: %d\\r\\n\\r\\n" % len(self.path)
                self.protocol.data_received(head + self.path.encode())

            def close(self):
                if not self.closing:
                    self.closing = True
                    asyncio.get_running_loop().call_soon(self.protocol.connection_lost, None)

            def is_closing(self):
                return self.closing

        class InMemory(aiohttp.BaseConnector):
            async def _create_connection(self, req, traces, timeout):
                protocol = self._factory()
                send = req.send

                async def noting_send(connection):
                    assert type(connection.protocol.transport) is Answering
                    return await send(connection)

                req.send = noting_send
                protocol.connection_made(Answering(protocol, req.url.path))
                return protocol

        class Counting(aiohttp.TCPConnector):
            count = 0

            async def _create_connection(self, req, *args, **kwargs):
                assert req.method == "GET"
                self.count += 1
                return await super()._create_connection(req, *args, **kwargs)

        class CountingTwice(Counting):
            async def _create_connection(self, req, traces, timeout):
                self.count += 1
                return await super()._create_connection(req, traces, timeout)

        async def hello(request):
            return web.Response(text="hello")

        async def main():
            async with aiohttp.ClientSession(connector=InMemory(force_close=True)) as session:
                for path in ("/a", "/b"):
                    async with session.get("http://example.com" + path) as response:
                        assert await response.text() == path
                try:
                    await session.get("http://example.com/fails")
                except ZeroDivisionError as error:
                    assert str(error) == "as asked"
                else:
                    raise AssertionError
            runner = web.ServerRunner(web.Server(hello))
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            port = runner.addresses[0][1]
            for connector, count in ((Counting(), 1), (CountingTwice(), 2)):
                async with aiohttp.ClientSession(connector=connector) as session:
                    for _ in range(2):
                        async with session.get(f"http://127.0.0.1:{port}/") as response:
                            assert await response.text() == "hello"
                assert connector.count == count
            await runner.cleanup()

        asyncio.run(main())
        """
    )


def test_a_request_whose_tls_a_mock_takes_away() -> None:
    aliased(
        """
        import asyncio
        import aiohttp
        from aiohttp import web

        async def secure(request):
            return web.Response(text=request.headers["X-Secure"])

        async def main():
            runner = web.ServerRunner(web.Server(secure))
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            port = runner.addresses[0][1]
            asked = aiohttp.ClientRequest.is_ssl
            aiohttp.ClientRequest.is_ssl = lambda request: False

            class Telling(aiohttp.ClientRequest):
                def __init__(self, *args, **kwargs):
                    super().__init__(*args, **kwargs)
                    self.headers["X-Secure"] = str(asked(self))

            async with aiohttp.ClientSession(request_class=Telling) as session:
                for scheme, expected in (("https", "True"), ("http", "False")):
                    async with session.get(f"{scheme}://127.0.0.1:{port}/") as response:
                        assert await response.text() == expected
            await runner.cleanup()

        asyncio.run(main())
        """
    )


def test_a_handler_begins_when_the_application_is_awaited() -> None:
    aliased(
        """
        import asyncio
        import inspect
        from aiohttp import web
        from aiohttp.test_utils import TestClient, TestServer

        handle = web.Application._handle
        assert inspect.iscoroutinefunction(handle)
        order = []

        async def traced(app, request):
            coroutine = handle(app, request)
            order.append("transaction")
            return await coroutine

        web.Application._handle = traced

        class Handler:
            def __call__(self, request):
                order.append("handler")
                return self.respond()

            async def respond(self):
                return web.Response(text="a")

        async def hello(request):
            pass

        async def main():
            app = web.Application()
            route = app.router.add_get("/", hello)
            route._handler = Handler()
            async with TestClient(TestServer(app)) as client:
                async with client.get("/") as response:
                    assert await response.text() == "a"
            assert order == ["transaction", "handler"]

        asyncio.run(main())
        """
    )


def test_requests_that_a_program_makes_itself() -> None:
    aliased(
        """
        import asyncio
        import aiohttp
        from aiohttp import web
        from aiohttp.http_parser import RawRequestMessage
        from aiohttp.test_utils import TestClient, TestServer

        class Own(web.Request):
            pass

        def make(message, payload, protocol, writer, task, **options):
            assert isinstance(message, RawRequestMessage)
            assert isinstance(payload, aiohttp.StreamReader)
            assert isinstance(protocol, web.RequestHandler)
            assert (message.method, message.path) == ("POST", "/?a=b")
            assert asyncio.current_task() is task
            return Own(message, payload, protocol, writer, task, **options)

        class Made(web.Application):
            def _make_request(self, message, payload, protocol, writer, task):
                return make(
                    message, payload, protocol, writer, task,
                    loop=self._loop, client_max_size=self._client_max_size,
                )

        async def copy(request):
            assert type(request.clone()) is Own
            return await echo(request)

        async def echo(request):
            assert type(request) is Own
            return web.Response(text=request.query["a"] + await request.text())

        async def main():
            app = Made(client_max_size=10)
            app.router.add_post("/", copy)
            async with TestClient(TestServer(app)) as client:
                for body, status in (("c", 200), ("c" * 11, 413)):
                    async with client.post("/?a=b", data=body) as response:
                        assert response.status == status, await response.text()
                        if status == 200:
                            assert await response.text() == "bc"
            server = web.Server(echo, request_factory=lambda *message: make(*message, loop=None))
            runner = web.ServerRunner(server)
            await runner.setup()
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = "http://127.0.0.1:{}/?a=b".format(runner.addresses[0][1])
            async with aiohttp.request("POST", url, data="d") as response:
                assert await response.text() == "bd"
            await runner.cleanup()

        asyncio.run(main())
        """,
        "-W",
        "ignore::DeprecationWarning",
    )


def test_a_request_that_a_test_makes_of_mocks() -> None:
    aliased(
        """
        import asyncio
        from unittest import mock
        import yarl
        from aiohttp import web

        message = mock.Mock(
            method="PUT", path="/a/b?c=d", url=yarl.URL("https://example.com/a/b?c=d"),
            version=(1, 1), headers={"Host": "example.com", "Content-Length": 5},
        )
        protocol, writer, task = mock.Mock(), mock.Mock(), mock.Mock()
        payload = mock.AsyncMock()
        request = web.Request(
            message, payload=payload, protocol=protocol, payload_writer=writer, task=task,
            loop=mock.Mock(), client_max_size=7,
        )
        assert (request.method, request.path, request.query_string) == ("PUT", "/a/b", "c=d")
        assert (request.host, tuple(request.version)) == ("example.com", (1, 1))
        assert request.headers["content-length"] == 5
        assert request.content is payload and request._message is message
        assert request.transport is protocol.transport
        assert (request.protocol, request.writer, request.task) == (protocol, writer, task)
        assert request.client_max_size == 7
        """
    )


def test_the_writer_of_a_websocket() -> None:
    aliased(
        """
        import asyncio
        from aiohttp import WSMsgType, web
        from aiohttp.test_utils import TestClient, TestServer

        async def greet(request):
            websocket = web.WebSocketResponse()
            await websocket.prepare(request)
            await websocket._writer.send_frame(b"a", opcode=WSMsgType.TEXT)
            await websocket.close()
            return websocket

        async def main():
            app = web.Application()
            app.router.add_get("/", greet)
            async with TestClient(TestServer(app)) as client:
                async with client.ws_connect("/") as websocket:
                    assert await websocket.receive_str() == "a"
                    websocket._writer = "another"
                    assert websocket._writer == "another"

        asyncio.run(main())
        """
    )
