"""Applications over both protocols: routing, middlewares, signals, errors, sub-applications."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote

import pytest
from yarl import URL

import plait
from plait import web
from tests.serving import serve

pytestmark = pytest.mark.anyio

NAME: web.AppKey[str] = web.AppKey("NAME", str)


@pytest.fixture(params=["http/1.1", "h2"])
def http2(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "h2")


@asynccontextmanager
async def session_of(app: web.Application, *, http2: bool) -> AsyncIterator[Any]:
    """Serve ``app``; give a session whose URLs are relative to it."""
    connector = plait.TCPConnector(http2=True if http2 else None)
    async with (
        serve(app) as served,
        plait.ClientSession(served.url, connector=connector) as session,
    ):
        yield session


async def text(session: Any, path: str | URL, **options: Any) -> tuple[int, str]:
    async with session.get(path, **options) as response:
        return response.status, await response.text()


async def test_routing(http2: bool) -> None:
    async def show(request: web.Request) -> web.Response:
        return web.json_response(dict(request.match_info))

    app = web.Application()
    app.router.add_get("/", show)
    app.router.add_get("/users/{id}", show, name="user")
    app.router.add_post(r"/numbers/{n:\d+}", show)
    app.router.add_route("*", "/any", show)
    async with session_of(app, http2=http2) as session:
        assert await text(session, "/") == (200, "{}")
        assert await text(session, "/users/a%20b%2Fc?x=1") == (200, '{"id": "a b/c"}')
        assert (await text(session, "/users/"))[0] == 404
        assert await text(session, "/nowhere") == (404, "404: Not Found")
        async with session.post("/numbers/42") as response:
            assert await response.json() == {"n": "42"}
        async with session.post("/numbers/x") as response:
            assert response.status == 404
        async with session.put("/users/1") as response:
            assert response.status == 405
            assert response.headers["Allow"] == "GET,HEAD"
        async with session.head("/users/1") as response:
            assert response.status == 200
            assert response.headers["Content-Length"] == "11"
            assert await response.read() == b""
        async with session.delete("/any") as response:
            assert response.status == 200
    assert str(app.router["user"].url_for(id="a b")) == "/users/a%20b"


@pytest.mark.parametrize("byte", ["%00", "%0A", "%0d"])
async def test_dangerous_bytes_in_a_path_are_refused(byte: str, http2: bool) -> None:
    """RFC 3986 section 7.3; below a sub-application, and with middlewares, as well."""
    seen: list[int] = []

    async def show(request: web.Request) -> web.Response:
        return web.Response(text=request.query.get("q"))

    @web.middleware
    async def watch(request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            return await handler(request)  # type: ignore[no-any-return]
        except web.HTTPException as error:
            seen.append(error.status)
            raise

    inner = web.Application()
    inner.router.add_get("/{name}", show)
    app = web.Application(middlewares=[watch])
    app.router.add_get("/files/{name:.*}", show)
    app.router.add_get("/{name}", show)
    app.add_subapp("/inner/", inner)
    async with session_of(app, http2=http2) as session:
        for path in ("/files/a", "/", "/inner/", "/nowhere/at/all"):
            assert (await text(session, URL(path + byte, encoded=True)))[0] == 400
        assert seen == [400] * 4
        assert await text(session, "/a?q=" + byte) == (200, unquote(byte))


async def test_middlewares_wrap_in_order_and_see_errors(http2: bool) -> None:
    order: list[str] = []

    def make(name: str) -> Any:
        @web.middleware
        async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
            order.append(f"{name} in")
            try:
                response: web.StreamResponse = await handler(request)
            except web.HTTPNotFound:
                response = web.Response(text=f"{name} caught", status=418)
            order.append(f"{name} out")
            return response

        return middleware

    async def handler(request: web.Request) -> web.Response:
        order.append("handler")
        return web.Response(text="done")

    app = web.Application(middlewares=[make("outer"), make("inner")])
    app.router.add_get("/", handler)
    async with session_of(app, http2=http2) as session:
        assert await text(session, "/") == (200, "done")
        assert order == ["outer in", "inner in", "handler", "inner out", "outer out"]
        assert await text(session, "/none") == (418, "inner caught")


async def test_signals_contexts_and_keys(http2: bool) -> None:
    order: list[str] = []

    async def context(app: web.Application) -> AsyncIterator[None]:
        order.append("enter")
        yield
        order.append("leave")

    async def note(what: str) -> None:
        order.append(what)

    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=request.app[NAME])

    async def on_prepare(request: web.Request, response: web.StreamResponse) -> None:
        response.headers["X-Prepared"] = request.path

    app = web.Application()
    app[NAME] = "the name"
    app.router.add_get("/", handler)
    app.on_startup.append(lambda app: note("startup"))
    app.on_shutdown.append(lambda app: note("shutdown"))
    app.on_cleanup.append(lambda app: note("cleanup"))
    app.on_response_prepare.append(on_prepare)
    app.cleanup_ctx.append(context)
    async with session_of(app, http2=http2) as session, session.get("/") as response:
        assert await response.text() == "the name"
        assert response.headers["X-Prepared"] == "/"
        assert set(order) == {"startup", "enter"}
    assert order[2:] == ["shutdown", "leave", "cleanup"]


async def test_subapplications(http2: bool) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.app[NAME]} {request.config_dict[NAME]}")

    child = web.Application()
    child[NAME] = "child"
    child.router.add_get("/page", handler)
    app = web.Application()
    app[NAME] = "parent"
    app.router.add_get("/page", handler)
    app.add_subapp("/child", child)
    async with session_of(app, http2=http2) as session:
        assert await text(session, "/page") == (200, "parent parent")
        assert await text(session, "/child/page") == (200, "child child")
        assert (await text(session, "/child/none"))[0] == 404
    with pytest.raises(RuntimeError):
        app.router.add_get("/late", handler)


@pytest.mark.parametrize(
    ("make", "status", "body"),
    [
        (lambda: web.HTTPForbidden(text="no"), 403, "no"),
        (TimeoutError, 504, ""),
        (
            lambda: RuntimeError("secret"),
            500,
            "500 Internal Server Error\n\nServer got itself in trouble",
        ),
    ],
    ids=["http", "timeout", "bug"],
)
async def test_what_handlers_raise(
    http2: bool, make: Any, status: int, body: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: web.Request) -> web.Response:
        raise make()

    app = web.Application()
    app.router.add_get("/", handler)
    caplog.set_level(logging.CRITICAL, "plait.server")
    async with session_of(app, http2=http2) as session:
        found, content = await text(session, "/")
        assert found == status
        assert content.startswith(body)
        assert "secret" not in content


async def test_a_body_that_is_too_large_is_413(http2: bool) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    app = web.Application(client_max_size=10)
    app.router.add_post("/", handler)
    async with session_of(app, http2=http2) as session:
        async with session.post("/", data=b"x" * 10) as response:
            assert response.status == 200
        async with session.post("/", data=b"x" * 11) as response:
            assert response.status == 413
        async with session.post("/", data=b"again") as response:
            assert await response.read() == b"again"


async def test_handlers_have_contexts_of_their_own(http2: bool) -> None:
    """What one request sets, the next on the same connection does not see."""
    from contextvars import ContextVar

    user: ContextVar[str] = ContextVar("user", default="nobody")

    async def handler(request: web.Request) -> web.Response:
        before = user.get()
        user.set(request.query["user"])
        await asyncio.sleep(0)
        return web.Response(text=f"{before} {user.get()}")

    app = web.Application()
    app.router.add_get("/", handler)
    async with session_of(app, http2=http2) as session:
        assert await text(session, "/?user=a") == (200, "nobody a")
        assert await text(session, "/?user=b") == (200, "nobody b")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"400"),
        (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", b"400"),
        (b"GET / HTTP/3.0\r\nHost: a\r\n\r\n", b"505"),
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", b"414"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"x" * 9000 + b"\r\n\r\n", b"431"),
        (b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: foo\r\n\r\n", b"501"),
    ],
)
async def test_refused_requests_reach_no_handler(data: bytes, status: bytes) -> None:
    called: list[str] = []

    async def handler(request: web.Request) -> web.Response:
        called.append(request.path)
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", handler)
    async with session_of(app, http2=False) as session:
        port = session._base_url.port
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        # Behind it a good request, which must not be answered.
        writer.write(data + b"GET /poison HTTP/1.1\r\nHost: a\r\n\r\n")
        writer.write_eof()
        answer = await asyncio.wait_for(reader.read(), 10)
        writer.close()
        await writer.wait_closed()
    assert answer.split()[1] == status
    assert answer.count(b"HTTP/1.1 ") == 1
    assert b"connection: close" in answer.lower()
    assert called == []


async def test_unix_sockets(tmp_path: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=request.path)

    app = web.Application()
    app.router.add_get("/here", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    path = str(tmp_path / "socket")
    await web.UnixSite(runner, path).start()
    async with plait.ClientSession(connector=plait.UnixConnector(path)) as session:
        assert await text(session, "http://localhost/here") == (200, "/here")
    await runner.cleanup()


async def test_a_socket_of_ones_own() -> None:
    app = web.Application()
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        runner = web.AppRunner(app)
        await runner.setup()
        await web.SockSite(runner, sock).start()
        async with plait.ClientSession() as session:
            url = f"http://127.0.0.1:{sock.getsockname()[1]}/"
            assert (await text(session, url))[0] == 404
        await runner.cleanup()
