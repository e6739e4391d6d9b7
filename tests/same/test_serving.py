"""Runners, sites, servers, what they log, and what is deprecated, on aiohttp and on plait."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.same.conftest import Library
from tests.same.tools import named

pytestmark = pytest.mark.anyio

GET = b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


@asynccontextmanager
async def running(runner: Any) -> AsyncIterator[Any]:
    await runner.setup()
    try:
        yield runner
    finally:
        await runner.cleanup()


def app_of(library: Library, handler: Any = None) -> Any:
    app = library.web.Application()
    app.router.add_get("/", handler or named(library.web, "a"))
    return app


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(GET)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer


# -- runners and sites -------------------------------------------------------------------------


async def test_a_tcp_site(plain: Library) -> None:
    web = plain.web
    runner = web.AppRunner(app_of(plain))
    assert (runner.server, runner.addresses, runner.sites) == (None, [], set())
    async with running(runner):
        assert isinstance(runner.server, web.Server)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        assert runner.sites == {site}
        assert site.name.startswith("http://127.0.0.1:")
        ((host, port),) = runner.addresses
        assert host == "127.0.0.1"
        answer = await ask(*await asyncio.open_connection(host, port))
        assert answer.startswith(b"HTTP/1.1 200 OK\r\n")
        with pytest.raises(RuntimeError):
            await site.start()
        await site.stop()
        assert runner.sites == set()
        with pytest.raises(RuntimeError):
            await site.stop()
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection(host, port)
    assert runner.server is None


async def test_many_sites(plain: Library, tmp_path: Path) -> None:
    web = plain.web
    async with running(web.AppRunner(app_of(plain))) as runner:
        path = str(tmp_path / "socket")
        unix = web.UnixSite(runner, path)
        await unix.start()
        assert unix.name == f"http://unix:{path}:"
        assert (await ask(*await asyncio.open_unix_connection(path))).endswith(b"\r\n\r\na {}")
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            own = web.SockSite(runner, sock)
            await own.start()
            port = sock.getsockname()[1]
            assert own.name == f"http://127.0.0.1:{port}"
            answer = await ask(*await asyncio.open_connection("127.0.0.1", port))
            assert answer.endswith(b"\r\n\r\na {}")
            assert runner.sites == {unix, own}
            assert len(runner.addresses) == 2
            await runner.cleanup()


async def test_a_site_needs_a_runner_that_is_set_up(plain: Library) -> None:
    web = plain.web
    runner = web.AppRunner(app_of(plain))
    with pytest.raises(RuntimeError):
        await web.TCPSite(runner, "127.0.0.1", 0).start()


async def test_what_is_no_application(plain: Library) -> None:
    with pytest.raises(TypeError):
        plain.web.AppRunner(named(plain.web, "a"))


async def test_a_port_that_is_taken(plain: Library) -> None:
    web = plain.web
    async with running(web.AppRunner(app_of(plain))) as runner:
        with socket.socket() as sock:
            sock.bind(("127.0.0.1", 0))
            sock.listen()
            with pytest.raises(OSError, match="in use"):
                await web.TCPSite(runner, "127.0.0.1", sock.getsockname()[1]).start()
        assert runner.addresses == []


async def test_names_of_sites(plain: Library) -> None:
    web = plain.web
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    runner = web.AppRunner(app_of(plain))
    async with running(runner):
        assert web.TCPSite(runner).name == "http://0.0.0.0:8080"
        assert web.TCPSite(runner, ssl_context=context).name == "https://0.0.0.0:8443"
        assert web.TCPSite(runner, "a.example", 81).name == "http://a.example:81"


async def test_a_runner_of_a_server(plain: Library) -> None:
    web = plain.web

    async def handler(request: Any) -> Any:
        return web.Response(text="low")

    server = web.Server(handler)
    assert (server.connections, server.requests_count) == ([], 0)
    async with running(web.ServerRunner(server)) as runner:
        assert runner.server is server
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        assert (await ask(*await asyncio.open_connection(*runner.addresses[0]))).endswith(b"low")
        assert server.requests_count == 1


async def test_a_server_is_a_factory_of_protocols(plain: Library) -> None:
    web = plain.web

    async def handler(request: Any) -> Any:
        return web.Response(text="low")

    server = web.Server(handler)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(server, "127.0.0.1", 0)
    port = listening.sockets[0].getsockname()[1]
    assert (await ask(*await asyncio.open_connection("127.0.0.1", port))).endswith(b"low")
    listening.close()
    await listening.wait_closed()
    await server.shutdown(1.0)


async def test_a_protocol_in_front_of_that_of_a_server(plain: Library) -> None:
    web = plain.web
    first: list[bytes] = []

    async def handler(request: Any) -> Any:
        return web.Response(text=f"{len(await request.read())} low")

    class Front(asyncio.Protocol):
        def __init__(self) -> None:
            self.server = server()

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.server.connection_made(transport)

        def connection_lost(self, exc: Exception | None) -> None:
            self.server.connection_lost(exc)

        def data_received(self, data: bytes) -> None:
            first.append(data[:1])
            self.server.data_received(data)

    server = web.Server(handler)
    loop = asyncio.get_running_loop()
    listening = await loop.create_server(Front, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
    writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n")
    writer.write(b"Content-Length: 300000\r\n\r\n" + b"." * 300_000)
    assert (await reader.read()).endswith(b"300000 low")
    assert first[0] == b"P"
    writer.close()
    await writer.wait_closed()
    listening.close()
    await listening.wait_closed()
    await server.shutdown(1.0)


async def test_a_server_is_told_of_its_connections(library: Library) -> None:
    web = library.web
    told: list[Any] = []

    class Counting(web.Server):
        def connection_made(self, handler: Any, transport: Any) -> None:
            super().connection_made(handler, transport)
            told.append((handler, transport.get_extra_info("sockname")))

        def connection_lost(self, handler: Any, exc: BaseException | None = None) -> None:
            super().connection_lost(handler, exc)
            told.append(handler)

    async def handler(request: Any) -> Any:
        assert server.connections == [request.protocol]
        return web.Response(text="low")

    server = Counting(handler)
    assert (await library.fetch(server, "GET", "/")).body == b"low"
    (connection, address), lost = told
    assert isinstance(connection, web.RequestHandler)
    assert address[0] == "127.0.0.1"
    assert lost is connection
    assert server.connections == []


async def test_open_connections_are_known(plain: Library) -> None:
    web = plain.web
    async with running(web.AppRunner(app_of(plain))) as runner:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        reader, writer = await asyncio.open_connection(*runner.addresses[0])
        writer.write(GET.replace(b"Connection: close\r\n", b""))
        await reader.readuntil(b"a {}")
        (connection,) = runner.server.connections
        assert isinstance(connection, web.RequestHandler)
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("wanted", [True, False])
async def test_keepalive_of_tcp(library: Library, wanted: bool) -> None:
    async def handler(request: Any) -> Any:
        sock = request.get_extra_info("socket")
        return library.web.Response(
            text=str(bool(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)))
        )

    async with library.serve(handler, tcp_keepalive=wanted) as site:
        assert (await (await site.connect()).fetch()).body == str(wanted).encode()


async def test_shutdown_waits_for_a_handler(plain: Library) -> None:
    web = plain.web
    started, go_on = asyncio.Event(), asyncio.Event()

    async def handler(request: Any) -> Any:
        started.set()
        await go_on.wait()
        return web.Response(text="done")

    async def shutdown(app: Any) -> None:
        go_on.set()

    app = app_of(plain, handler)
    app.on_shutdown.append(shutdown)
    async with running(web.AppRunner(app)) as runner:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        asking = asyncio.ensure_future(ask(*await asyncio.open_connection(*runner.addresses[0])))
        await started.wait()
    assert (await asking).endswith(b"done")


async def test_shutdown_cancels_in_the_end(plain: Library) -> None:
    web = plain.web
    started = asyncio.Event()
    seen: list[str] = []

    async def handler(request: Any) -> Any:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    runner = web.AppRunner(app_of(plain, handler), shutdown_timeout=0.1)
    async with running(runner):
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        asking = asyncio.ensure_future(ask(*await asyncio.open_connection(*runner.addresses[0])))
        await started.wait()
    await asyncio.gather(asking, return_exceptions=True)
    assert seen == ["cancelled"]


async def test_a_client_that_leaves_cancels_where_that_is_wanted(library: Library) -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    async def handler(request: Any) -> Any:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with library.serve(handler, handler_cancellation=True) as site:
        client = await site.connect()
        client.request()
        await started.wait()
        await site.close(client)
        await asyncio.wait_for(cancelled.wait(), 20)


# -- the log -----------------------------------------------------------------------------------


async def test_the_access_log(plain: Library, caplog: pytest.LogCaptureFixture) -> None:
    web = plain.web
    logger = logging.getLogger("mine")
    with caplog.at_level(logging.INFO, "mine"):
        async with running(
            web.AppRunner(
                app_of(plain),
                access_log=logger,
                access_log_format="%a %r %s %b %{X-A}i %{Content-Type}o %{NONE}i",
            )
        ) as runner:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            reader, writer = await asyncio.open_connection(*runner.addresses[0])
            writer.write(GET.replace(b"\r\n\r\n", b"\r\nX-A: 1\r\n\r\n"))
            answer = await reader.read()
            writer.close()
            await writer.wait_closed()
    assert answer.endswith(b"a {}")
    (record,) = [record for record in caplog.records if record.name == "mine"]
    text = record.getMessage()
    assert re.fullmatch(
        r"127\.0\.0\.1 GET / HTTP/1\.1 200 \d+ 1 text/plain; charset=utf-8 -", text
    ), text
    assert vars(record)["remote_address"] == "127.0.0.1"
    assert vars(record)["response_status"] == 200
    assert vars(record)["first_request_line"] == "GET / HTTP/1.1"
    assert vars(record)["request_header"]["X-A"] == "1"


@pytest.mark.parametrize("atom", ["%t", "%P", "%T", "%Tf", "%D"])
async def test_atoms_of_time(plain: Library, caplog: pytest.LogCaptureFixture, atom: str) -> None:
    web = plain.web
    with caplog.at_level(logging.INFO, "mine"):
        runner = web.AppRunner(
            app_of(plain), access_log=logging.getLogger("mine"), access_log_format=atom
        )
        async with running(runner):
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            await ask(*await asyncio.open_connection(*runner.addresses[0]))
    (record,) = [record for record in caplog.records if record.name == "mine"]
    patterns = {
        "%t": r"\[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]",
        "%P": r"<?\d+>?",
        "%T": r"\d+",
        "%Tf": r"\d+\.\d{6}",
        "%D": r"\d+",
    }
    assert re.fullmatch(patterns[atom], record.getMessage())


async def test_a_logger_of_ones_own(plain: Library) -> None:
    web = plain.web
    seen: list[Any] = []

    class Logger(plain.abc.AbstractAccessLogger):  # type: ignore[misc, name-defined]
        def log(self, request: Any, response: Any, time: float) -> None:
            seen.append((request.path, response.status, type(time), self.log_format))
            assert self.logger is logging.getLogger("mine")

    runner = web.AppRunner(
        app_of(plain),
        access_log_class=Logger,
        access_log=logging.getLogger("mine"),
        access_log_format="format",
    )
    async with running(runner):
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        await ask(*await asyncio.open_connection(*runner.addresses[0]))
    assert seen == [("/", 200, float, "format")]


async def test_no_log(plain: Library, caplog: pytest.LogCaptureFixture) -> None:
    web = plain.web
    with caplog.at_level(logging.DEBUG):
        async with running(web.AppRunner(app_of(plain), access_log=None)) as runner:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            await ask(*await asyncio.open_connection(*runner.addresses[0]))
    assert [record for record in caplog.records if "access" in record.name] == []


def test_the_format(plain: Library) -> None:
    logger = plain.web_log.AccessLogger(logging.getLogger("mine"), "%s")
    assert logger.log_format == "%s"


# -- errors of requests ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"G T / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nA : b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nA: b\x00\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"nonsense\r\n\r\n",
    ],
)
async def test_requests_that_are_refused(plain: Library, request_bytes: bytes) -> None:
    async with plain.serve(named(plain.web, "a")) as site:
        answer = await site.send_raw(request_bytes)
    assert re.match(rb"HTTP/1\.[01] 400 Bad Request\r\n", answer)
    assert b"a {}" not in answer


async def test_pipelined_requests(plain: Library) -> None:
    async with plain.serve(named(plain.web, "a")) as site:
        answer = await site.send_raw(GET.replace(b"Connection: close\r\n", b"") * 20 + GET)
    assert answer.count(b"HTTP/1.1 200 OK\r\n") == 21


async def test_a_target_in_absolute_form(plain: Library) -> None:
    async def handler(request: Any) -> Any:
        return plain.web.Response(text=f"{request.path} {request.scheme}")

    async with plain.serve(handler) as site:
        request = GET.replace(b"GET / ", b"GET http://a/b ")
        assert (await site.send_raw(request)).endswith(b"\r\n\r\n/b http")


# -- what is deprecated ------------------------------------------------------------------------


async def test_deprecated_arguments_of_an_application(plain: Library) -> None:
    web = plain.web
    loop = asyncio.get_running_loop()
    router = web.UrlDispatcher()
    for options in ({"router": router}, {"loop": loop}, {"debug": True}):
        with pytest.warns(DeprecationWarning, match="deprecated"):
            app = web.Application(**options)
    with pytest.warns(DeprecationWarning, match="deprecated"):
        assert web.Application(loop=loop).loop is loop
    with pytest.warns(DeprecationWarning, match="deprecated"):
        assert web.Application(router=router).router is router
    with pytest.warns(DeprecationWarning, match="deprecated"):
        assert app.debug is True


async def test_the_timeout_of_a_site(plain: Library) -> None:
    web = plain.web
    async with running(web.AppRunner(app_of(plain))) as runner:
        with pytest.warns(DeprecationWarning, match="shutdown_timeout"):
            web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=5.0)
        web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=60.0)


def test_subclasses_of_an_application(plain: Library) -> None:
    with pytest.warns(DeprecationWarning, match="discouraged"):
        type("Mine", (plain.web.Application,), {})


# -- extension points --------------------------------------------------------------------------


async def test_a_router_of_ones_own(library: Library) -> None:
    web = library.web

    class Router(library.abc.AbstractRouter):  # type: ignore[misc, name-defined]
        async def resolve(self, request: Any) -> Any:
            async def handler(request: Any) -> Any:
                return web.Response(text=f"mine {request.path}")

            return web.UrlMappingMatchInfo({}, Route(request.method, handler))

    class Route(web.AbstractRoute):  # type: ignore[misc, name-defined]
        name = "mine"

        def url_for(self, *args: str, **kwargs: str) -> Any:
            raise NotImplementedError

        def get_info(self) -> Any:
            return {}

    with pytest.warns(DeprecationWarning, match="deprecated"):
        app = web.Application(router=Router())
    assert (await library.fetch(app, "GET", "/a")).body == b"mine /a"


async def test_a_resource_of_ones_own(library: Library) -> None:
    web = library.web

    class Anything(web.PlainResource):  # type: ignore[misc, name-defined]
        async def resolve(self, request: Any) -> Any:
            return web.UrlMappingMatchInfo({"all": request.path}, next(iter(self))), {"GET"}

    app = web.Application()
    resource = Anything("/x")
    resource.add_route("*", named(web, "any"))
    app.router.register_resource(resource)
    assert (await library.fetch(app, "GET", "/x")).body == b"any {'all': '/x'}"


async def test_a_view_of_ones_own(library: Library) -> None:
    web = library.web

    class Mine(library.abc.AbstractView):  # type: ignore[misc, name-defined]
        def __await__(self) -> Any:
            return self._answer().__await__()

        async def _answer(self) -> Any:
            return web.Response(text=f"view {self.request.path}")

    app = web.Application()
    app.router.add_route("*", "/{x}", Mine)
    assert (await library.fetch(app, "GET", "/a")).body == b"view /a"


async def test_a_response_of_ones_own(library: Library) -> None:
    web = library.web

    class Mine(web.StreamResponse):  # type: ignore[misc, name-defined]
        async def prepare(self, request: Any) -> Any:
            self.headers["X-Mine"] = "1"
            writer = await super().prepare(request)
            await self.write(b"mine")
            return writer

    async def handler(request: Any) -> Any:
        return Mine(status=201)

    answer = await library.fetch(handler)
    assert (answer.status, answer.body, answer.header("x-mine")) == (201, b"mine", "1")


async def test_a_request_of_ones_own(plain: Library) -> None:
    web = plain.web

    async def handler(request: Any) -> Any:
        return web.Response(text="low")

    server = web.Server(handler, request_factory=None)
    assert server.request_factory is not None
    assert server.request_handler is handler
    assert server.handler_cancellation is False


async def test_the_writer_of_a_response(library: Library) -> None:
    async def handler(request: Any) -> Any:
        response = library.web.StreamResponse()
        writer = await response.prepare(request)
        assert isinstance(writer, library.abc.AbstractStreamWriter)
        await writer.write(b"ab")
        await writer.drain()
        await writer.write_eof(b"c")
        assert writer.output_size > 0
        return response

    assert (await library.fetch(handler)).body == b"abc"


async def test_what_a_mapping_of_keys_refuses(plain: Library) -> None:
    web = plain.web
    key, other = web.AppKey("a", int), web.AppKey("a", int)
    assert key != other
    assert repr(key).startswith("<AppKey(")
    assert "a" in repr(key)
    assert sorted([key, other]) in ([key, other], [other, key])
