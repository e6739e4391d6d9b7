"""A program that aiohttp's types accept, with what its users say in types.

The test checks it as it stands, and with plait in aiohttp's place.  It is never run.
"""

from __future__ import annotations

import asyncio
import io
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from http.cookies import Morsel, SimpleCookie
from pathlib import Path
from types import SimpleNamespace
from typing import Any, assert_type

import aiohttp
from aiohttp import (
    ClientSession,
    ClientTimeout,
    CookieJar,
    FormData,
    TCPConnector,
    TraceConfig,
    hdrs,
    web,
)
from aiohttp.abc import AbstractCookieJar, AbstractResolver, ResolveResult
from aiohttp.client_middlewares import ClientHandlerType
from aiohttp.test_utils import TestClient, TestServer, make_mocked_request
from aiohttp.typedefs import Handler, LooseHeaders
from multidict import CIMultiDict, CIMultiDictProxy, MultiDict
from yarl import URL

# -- the client ------------------------------------------------------------------------------


async def requests(session: ClientSession, context: ssl.SSLContext) -> None:
    async with session.get("http://example.org/") as response:
        assert_type(response, aiohttp.ClientResponse)
        assert_type(response.status, int)
        assert_type(response.ok, bool)
        assert_type(response.reason, str | None)
        assert_type(response.url, URL)
        assert_type(response.headers, CIMultiDictProxy[str])
        assert_type(response.cookies, SimpleCookie)
        assert_type(response.content_type, str)
        assert_type(response.charset, str | None)
        assert_type(response.content_length, int | None)
        assert_type(response.history, tuple[aiohttp.ClientResponse, ...])
        assert_type(response.request_info, aiohttp.RequestInfo)
        assert_type(response.content, aiohttp.StreamReader)
        assert_type(await response.read(), bytes)
        assert_type(await response.text(encoding="utf-8", errors="replace"), str)
        assert_type(await response.json(), Any)
        await response.json(content_type=None, loads=json.loads)
        response.raise_for_status()
        assert_type(await response.content.readexactly(5), bytes)
        assert_type(await response.content.readline(), bytes)
        async for line in response.content:
            assert_type(line, bytes)
        async for chunk in response.content.iter_chunked(1024):
            assert_type(chunk, bytes)
        async for data, ends in response.content.iter_chunks():
            assert_type(data, bytes)
            assert_type(ends, bool)
        response.release()
        response.close()
        if response.method == hdrs.METH_GET and hdrs.CONTENT_TYPE in response.headers:
            print(response.real_url, response.host, response.links, response.connection)
    awaited = await session.request("QUERY", URL("http://example.org/"), json={"a": [1, None]})
    assert_type(awaited, aiohttp.ClientResponse)
    await session.post("/", data={"a": "b"}, headers={"X-A": "1"}, cookies={"c": "d"})
    await session.put("/", data=b"bytes", headers=[("X-A", "1")], params=[("a", "1")])
    await session.patch("/", data="text", headers=CIMultiDict(a="b"), params={"a": 1, "b": 2.5})
    await session.delete("/", data=io.BytesIO(b"x"), params="a=1", compress="gzip", chunked=True)
    await session.options("/", allow_redirects=False, max_redirects=3, expect100=True)
    await session.head("/", timeout=ClientTimeout(total=5, connect=1, sock_read=None))
    await session.get("/", ssl=context, server_hostname="example.org", raise_for_status=True)
    await session.get("/", ssl=False, proxy="http://proxy:3128", proxy_headers={"A": "b"})
    await session.get("/", ssl=aiohttp.Fingerprint(bytes(32)), read_bufsize=2**16)
    await session.get("/", auth=aiohttp.BasicAuth("login", "password"), auto_decompress=False)
    await session.get("/", trace_request_ctx={"name": 1}, max_line_size=1, max_headers=5)
    await session.get("/", skip_auto_headers=["User-Agent"], read_until_eof=True)
    options: LooseHeaders = {"A": "b"}
    await session.get("/", headers=options)


async def check(response: aiohttp.ClientResponse) -> None:
    if response.status == 404:
        raise LookupError(response.url)


async def sessions(jar: AbstractCookieJar) -> None:
    async with ClientSession(
        "http://example.org/api/",
        connector=TCPConnector(limit=10, limit_per_host=0, ttl_dns_cache=None, force_close=True),
        headers={"A": "b"},
        cookies={"a": "b"},
        cookie_jar=jar,
        timeout=ClientTimeout(10),
        raise_for_status=check,
        json_serialize=json.dumps,
        trust_env=False,
        auto_decompress=True,
        middlewares=[retry, Signer()],
        trace_configs=[tracing()],
        version=aiohttp.HttpVersion11,
    ) as session:
        assert_type(session, ClientSession)
        assert_type(session.closed, bool)
        assert_type(session.headers, CIMultiDict[str])
        for morsel in session.cookie_jar:
            assert_type(morsel, Morsel[str])
        session.cookie_jar.update_cookies({"a": "b"}, URL("http://example.org/"))
        connector = session.connector
        assert_type(connector, aiohttp.BaseConnector | None)
        await session.close()
    async with aiohttp.request("GET", "http://example.org/", params={"a": "b"}) as response:
        assert_type(response, aiohttp.ClientResponse)
    CookieJar(unsafe=True, quote_cookie=False).save(Path("cookies"))
    aiohttp.UnixConnector(path="/run/socket")
    aiohttp.DummyCookieJar()


class Api:
    """As programs wrap a session."""

    session: ClientSession | None = None

    async def fetch(self, *parts: str, **params: str | int) -> Mapping[str, Any]:
        if self.session is None:
            self.session = ClientSession(base_url=URL("http://example.org/"))
        async with self.session.get("/".join(parts), params=params) as response:
            found: dict[str, Any] = await response.json()
            return found


async def errors(session: ClientSession) -> str:
    try:
        await session.get("/")
    except aiohttp.ClientConnectorError as error:
        return f"{error.host} {error.port} {error.os_error.errno} {error.ssl}"
    except aiohttp.ClientResponseError as error:
        headers = error.headers
        return f"{error.status} {error.message} {headers} {error.request_info.real_url}"
    except aiohttp.InvalidURL as error:
        return f"{error.url} {error.description}"
    except (TimeoutError, aiohttp.ServerTimeoutError, aiohttp.ClientPayloadError):
        return "late"
    except aiohttp.ClientError as error:
        return str(error)
    return ""


async def content() -> AsyncIterator[bytes]:
    yield b"piece"


async def uploads(session: ClientSession, path: Path) -> None:
    form = FormData({"a": "b"}, quote_fields=False)
    form.add_field("file", path.open("rb"), filename="x.txt", content_type="text/plain")
    form.add_fields(("c", "d"))
    tracker = aiohttp.UploadTracker()
    await session.post("/", data=form, upload_tracker=tracker)
    assert_type(tracker.bytes_written, int)
    await tracker.upload_complete
    await session.post("/", data=content())
    with aiohttp.MultipartWriter("mixed") as writer:
        part = writer.append("text", {"X-A": "1"})
        part.set_content_disposition("attachment", filename="a.txt")
        writer.append_json({"a": 1})
        writer.append_form([("a", "b")])
    async with session.post("/", data=writer) as response:
        reader = aiohttp.MultipartReader.from_response(response)
        while (found := await reader.next()) is not None:
            if isinstance(found, aiohttp.BodyPartReader):
                assert_type(found.filename, str | None)
                assert_type(await found.text(), str)
                await found.read(decode=True)


async def sockets(session: ClientSession) -> None:
    async with session.ws_connect(
        "ws://example.org/", protocols=["chat"], heartbeat=30, max_msg_size=0, autoping=True
    ) as ws:
        assert_type(ws.closed, bool)
        assert_type(ws.protocol, str | None)
        await ws.send_str("text", compress=None)
        await ws.send_bytes(b"bytes")
        await ws.send_json({"a": 1}, dumps=json.dumps)
        await ws.ping(b"")
        assert_type(await ws.receive_str(timeout=1.0), str)
        assert_type(await ws.receive_bytes(), bytes)
        assert_type(await ws.receive_json(), Any)
        message = await ws.receive()
        if message.type is aiohttp.WSMsgType.TEXT:
            print(message.data, message.json(), message.extra)
        async for message in ws:
            if message.type in (aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR):
                break
        assert_type(await ws.close(code=aiohttp.WSCloseCode.GOING_AWAY, message=b"bye"), bool)
        assert_type(ws.close_code, int | None)
        print(ws.exception(), ws.get_extra_info("peername"))
    async with session.ws_connect("ws://example.org/", decode_text=False) as raw:
        assert_type(await raw.receive_str(), bytes)
    kept: aiohttp.ClientWebSocketResponse = await session.ws_connect("ws://example.org/")
    await consume(kept)


async def consume(ws: aiohttp.ClientWebSocketResponse) -> str:
    return await ws.receive_str()


async def retry(
    request: aiohttp.ClientRequest, handler: ClientHandlerType
) -> aiohttp.ClientResponse:
    request.headers["X-Attempt"] = "1"
    response = await handler(request)
    if response.status == 503:
        response.release()
        await request.update_body(b"again")
        response = await handler(request)
    print(request.url, request.method, request.session)
    return response


class Signer:
    async def __call__(
        self, request: aiohttp.ClientRequest, handler: ClientHandlerType
    ) -> aiohttp.ClientResponse:
        return await handler(request)


async def on_start(
    session: ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestStartParams
) -> None:
    print(session, context.trace_request_ctx, params.method, params.url, params.headers)


async def on_end(
    session: ClientSession, context: SimpleNamespace, params: aiohttp.TraceRequestEndParams
) -> None:
    assert_type(params.response, aiohttp.ClientResponse)


def tracing() -> TraceConfig:
    config = aiohttp.TraceConfig()
    config.on_request_start.append(on_start)
    config.on_request_end.append(on_end)
    return config


class Resolver(AbstractResolver):
    async def resolve(self, host: str, port: int = 0, family: Any = 0) -> list[ResolveResult]:
        return []

    async def close(self) -> None:
        pass


# -- the server ------------------------------------------------------------------------------

routes = web.RouteTableDef()
DATABASE = web.AppKey("DATABASE", dict[str, int])


@routes.get("/{name}", name="item")
async def item(request: web.Request) -> web.Response:
    assert_type(request.match_info["name"], str)
    assert_type(request.query.get("a"), str | None)
    assert_type(request.app[DATABASE], dict[str, int])
    assert_type(request.path, str)
    assert_type(request.remote, str | None)
    assert_type(request.cookies.get("a"), str | None)
    assert_type(await request.read(), bytes)
    assert_type(await request.json(), Any)
    request["user"] = "me"
    form = await request.post()
    field = form["file"]
    if isinstance(field, web.FileField):
        print(field.filename, field.file.read())
    if request.method == "DELETE":
        raise web.HTTPForbidden(reason="no", headers={"A": "b"})
    response = web.json_response({"a": 1}, status=201, headers={"A": "b"}, dumps=json.dumps)
    response.set_cookie("a", "b", max_age=5, httponly=True, samesite="Lax")
    response.enable_compression()
    return response


@routes.view("/view")
class View(web.View):
    async def get(self) -> web.StreamResponse:
        response = web.StreamResponse(status=200, headers=MultiDict(a="b"))
        response.content_type = "text/plain"
        await response.prepare(self.request)
        await response.write(b"data")
        await response.write_eof()
        return response


@routes.get("/ws")
async def socket(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(heartbeat=20, protocols=("chat",), compress=False)
    if ws.can_prepare(request):
        await ws.prepare(request)
    async for message in ws:
        if message.type == web.WSMsgType.TEXT:
            await ws.send_str(message.data)
    assert_type(await ws.receive_str(), str)
    await ws.close(code=aiohttp.WSCloseCode.OK, message=b"")
    return ws


@web.middleware
async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        return web.Response(text=error.reason, status=error.status)


async def database(app: web.Application) -> AsyncIterator[None]:
    app[DATABASE] = {}
    yield


async def on_startup(app: web.Application) -> None:
    app["task"] = asyncio.create_task(asyncio.sleep(1))


def make_app(middlewares: Sequence[Any] = ()) -> web.Application:
    app = web.Application(middlewares=[middleware], client_max_size=2**20)
    app.add_routes(routes)
    app.add_routes([web.get("/a", item), web.post("/b", item), web.static("/static", "static")])
    app.router.add_get("/c", item, allow_head=False)
    app.router.add_route("*", "/d", View)
    app.cleanup_ctx.append(database)
    app.on_startup.append(on_startup)
    app.add_subapp("/sub/", web.Application())
    print(app.router["item"].url_for(name="a").with_query(a=1))
    return app


async def serve() -> None:
    runner = web.AppRunner(make_app(), access_log=None, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "localhost", 8080, ssl_context=None, reuse_port=True).start()
    await web.UnixSite(runner, "/run/socket").start()
    print(runner.addresses)
    await runner.cleanup()


async def tests() -> None:
    async with TestClient(TestServer(make_app())) as client:
        response = await client.get("/", params={"a": "b"})
        assert response.status == 200
        assert_type(await response.text(), str)
    make_mocked_request("GET", "/", headers={"A": "b"})


def decorated(handler: Callable[[web.Request], Awaitable[web.Response]]) -> Handler:
    async def wrapped(request: web.Request) -> web.StreamResponse:
        return await handler(request)

    return wrapped


def main() -> None:
    web.run_app(make_app(), host="127.0.0.1", port=8080, print=None, access_log_format="%a")
