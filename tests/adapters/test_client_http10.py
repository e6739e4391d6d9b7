"""The client's requests in HTTP/1.0, and what it says about the connection."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from yarl import URL

import plait
from plait import HttpVersion, HttpVersion10, HttpVersion11, web
from plait_engine.engines import EngineName
from tests.adapters.raw_server import OK, RawConnection, always, raw_server
from tests.conftest import Authority
from tests.serving import serve

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["native", "reference"])
def engine(request: pytest.FixtureRequest) -> EngineName:
    name: EngineName = request.param
    return name


@pytest.mark.parametrize(
    ("version", "force_close", "said"),
    [
        (HttpVersion11, False, None),
        (HttpVersion11, True, "close"),
        (HttpVersion10, False, "keep-alive"),
        (HttpVersion10, True, None),
    ],
)
@pytest.mark.parametrize("own", [{}, {"X-Own": "1"}])
async def test_what_a_request_says_about_its_connection(
    engine: EngineName,
    version: HttpVersion,
    force_close: bool,
    said: str | None,
    own: dict[str, str],
) -> None:
    heads = []

    async def script(connection: RawConnection) -> None:
        while head := await connection.read_head():
            heads.append(head.decode())
            connection.send(OK)

    connector = plait.TCPConnector(force_close=force_close, engine=engine)
    async with (
        raw_server(script) as server,
        plait.ClientSession(connector=connector, version=version) as session,
    ):
        for _ in range(2):
            async with session.get(server.url, headers=own) as response:
                assert await response.read() == b"ok"
            assert response.request_info.headers.get("Connection") == said
        assert server.connections == (2 if force_close else 1)
    for head in heads:
        lines = head.split("\r\n")
        assert lines[0] == f"GET / HTTP/1.{version.minor}"
        assert [line for line in lines if line.startswith("Connection")] == (
            [f"Connection: {said}"] if said else []
        )


async def test_a_servers_answer_to_http10(engine: EngineName) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        assert request.version == HttpVersion10
        if request.method == "POST":
            return web.Response(text=await request.text())
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"no length")
        return response

    app = web.Application()
    app.router.add_route("*", "/", handler)
    async with (
        serve(app, engine=engine) as served,
        plait.ClientSession(version=HttpVersion10, engine=engine) as session,
    ):
        async with session.get(served.url) as response:
            assert await response.text() == "no length"
            assert response.headers["Connection"] == "close"
        async with session.post(served.url, data="content") as response:
            assert await response.text() == "content"
            # RFC 9110 section 2.5: the version of a response is the server's own.
            assert response.version == HttpVersion11


async def test_http10_takes_no_connection_of_http2(authority: Authority) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=f"{request.version.major}.{request.version.minor}")

    app = web.Application()
    app.router.add_get("/", handler)
    connector = plait.TCPConnector(ssl=authority.client_context())
    async with serve(app, authority.server_context("h2", "http/1.1")) as served:
        url = served.url.replace("127.0.0.1", "localhost")
        async with (
            plait.ClientSession(connector=connector, connector_owner=False) as new,
            plait.ClientSession(connector=connector, version=HttpVersion10) as old,
        ):
            assert await (await new.get(url)).text() == "2.0"
            assert await (await old.get(url)).text() == "1.0"
            assert await (await new.get(url)).text() == "2.0"


async def test_http10_and_http2_only() -> None:
    with pytest.raises(ValueError, match="contradict"):
        plait.ClientSession(version=HttpVersion10, http2=True)


async def test_a_version_that_no_request_has() -> None:
    async with plait.ClientSession(version=HttpVersion(0, 9)) as session:
        with pytest.raises(ValueError, match=r"HTTP/1\.1"):
            await session.get("http://localhost/")


@pytest.mark.parametrize("version", ["1.0", HttpVersion10, HttpVersion(1, 0)])
def test_a_version_that_is_set_later(version: HttpVersion | str) -> None:
    request = plait.ClientRequest("GET", URL("http://localhost/"))
    request.update_version(version)
    assert request.version == HttpVersion10
    assert request.head_event(1).http_version == "1.0"
    with pytest.raises(ValueError, match=r"0\.9"):
        request.update_version("0.9")


async def test_content_without_a_length(engine: EngineName) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"piece"

    async with (
        raw_server(always(OK)) as server,
        plait.ClientSession(version=HttpVersion10, engine=engine) as session,
    ):
        with pytest.raises(ValueError, match="chunks"):
            await session.post(server.url, data=pieces())
        assert await (await session.get(server.url)).read() == b"ok"


async def test_one_request_in_http10() -> None:
    heads = []

    async def script(connection: RawConnection) -> None:
        heads.append(await connection.read_head())
        connection.send(b"HTTP/1.0 200 OK\r\n\r\nuntil the end")

    async with (
        raw_server(script) as server,
        plait.request("GET", server.url, version=HttpVersion10) as response,
    ):
        assert await response.text() == "until the end"
        assert response.version == HttpVersion10
    assert heads[0].startswith(b"GET / HTTP/1.0\r\n")
