"""What a client's program sees of a response, on aiohttp and on plait; the server is plait's."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from yarl import URL

from tests.same.conftest import Library
from tests.same.recorder import Recorder, recording

pytestmark = pytest.mark.anyio


def get(recorder: Recorder, path: str, query: Any = None, **options: Any) -> Any:
    """Return what ``session.get`` does."""
    return recorder.session.get(recorder.url.with_path(path).with_query(query), **options)


# -- the head ----------------------------------------------------------------------------------


async def test_what_a_response_tells(library: Library) -> None:
    async with recording(library) as recorder:
        query = {"X-A": "1", "X-B": "é"}
        async with get(recorder, "/headers", query) as response:
            assert (response.status, response.reason, response.ok) == (200, "OK", True)
            assert response.method == "GET"
            assert response.url == recorder.url.with_path("/headers").with_query(query)
            assert response.real_url == response.url
            assert response.host == "127.0.0.1"
            assert response.headers["x-a"] == "1"
            assert response.headers["X-B"] == "é"
            raw = {name.lower(): value for name, value in response.raw_headers}
            assert raw[b"x-a"] == b"1"
            assert response.content_type == "text/plain"
            assert response.charset == "utf-8"
            assert response.content_length == 1
            assert response.history == ()
            assert response.cookies == {}
            assert response.request_info.method == "GET"
            assert response.request_info.headers["Accept"] == "*/*"
            assert response.version == ((2, 0) if library.is_h2 else (1, 1))
            assert response.get_encoding() == "utf-8"
            with pytest.raises(TypeError):
                response.headers["X"] = "1"
            assert f"<ClientResponse({response.url}) [200 OK]>" in repr(response)


async def test_a_status(library: Library) -> None:
    async with recording(library) as recorder:
        for code, reason in ((201, "Created"), (404, "Not Found"), (503, "Service Unavailable")):
            async with get(recorder, "/status", {"code": str(code)}) as response:
                assert (response.status, response.reason) == (code, reason)
                assert response.ok is (code < 400)


async def test_cookies(library: Library) -> None:
    query = {"a": "1", "b": "x"}
    async with recording(library) as recorder, get(recorder, "/cookie", query) as response:
        assert {name: m.value for name, m in response.cookies.items()} == query
        assert response.cookies["a"]["path"] == "/"


async def test_links(library: Library) -> None:
    field = '<https://a.example/1>; rel="next"; title="T", </2>; rel=prev'
    async with recording(library) as recorder:
        async with get(recorder, "/headers", {"Link": field}) as response:
            assert response.links["next"]["url"] == URL("https://a.example/1")
            assert response.links["next"]["title"] == "T"
            assert response.links["prev"]["url"] == recorder.url.with_path("/2")
        async with get(recorder, "/") as response:
            assert len(response.links) == 0


async def test_the_disposition_of_content(library: Library) -> None:
    field = 'attachment; filename="a.txt"; x=y'
    async with recording(library) as recorder:
        async with get(recorder, "/headers", {"Content-Disposition": field}) as response:
            found = response.content_disposition
            assert (found.type, found.filename) == ("attachment", "a.txt")
            assert found.parameters["x"] == "y"
        async with get(recorder, "/") as response:
            assert response.content_disposition is None


# -- content -----------------------------------------------------------------------------------


async def test_ways_to_read(library: Library) -> None:
    async with recording(library) as recorder:
        async with get(recorder, "/body", {"size": "100000"}) as response:
            assert await response.read() == b"x" * 100_000
            assert await response.read() == b"x" * 100_000
            assert await response.text() == "x" * 100_000
        async with get(recorder, "/body", {"size": "100000"}) as response:
            pieces = [piece async for piece in response.content.iter_chunked(1000)]
            assert {len(piece) for piece in pieces[:-1]} <= set(range(1, 1001))
            assert b"".join(pieces) == b"x" * 100_000
            assert response.content.at_eof()
        async with get(recorder, "/body", {"size": "10"}) as response:
            assert await response.content.readexactly(4) == b"xxxx"
            assert await response.content.read() == b"xxxxxx"


async def test_content_that_a_program_replaced(library: Library) -> None:
    """A listener, for example, reads the content, and puts back what can be read once."""
    async with recording(library) as recorder, get(recorder, "/headers") as response:
        content = await response.content.read()
        queue = library.streams.DataQueue(asyncio.get_running_loop())
        queue.feed_data(content + b"!")
        queue.feed_eof()
        response.content = queue
        assert await response.read() == content + b"!"
        assert await response.text() == content.decode() + "!"


async def test_json(library: Library) -> None:
    async with recording(library) as recorder:
        async with get(recorder, "/json") as response:
            assert await response.json() == {"a": "é"}
            assert await response.json(loads=len) == 10
        async with get(recorder, "/json", {"type": "application/problem+json"}) as response:
            assert await response.json() == {"a": "é"}
        async with get(recorder, "/json", {"type": "text/html"}) as response:
            with pytest.raises(library.top.ContentTypeError) as caught:
                await response.json()
            assert isinstance(caught.value, library.top.ClientResponseError)
            assert caught.value.status == 200
            assert await response.json(content_type=None) == {"a": "é"}
            assert await response.json(content_type="text/html") == {"a": "é"}
        async with get(recorder, "/json", {"body": " "}) as response:
            assert await response.json() is None
        async with get(recorder, "/json", {"body": "{"}) as response:
            with pytest.raises(ValueError, match=r"."):
                await response.json()
        kind = {"type": "application/json; charset=latin-1", "encoding": "latin-1"}
        async with get(recorder, "/json", kind) as response:
            assert await response.json() == {"a": "é"}
        async with get(recorder, "/json", {"encoding": "latin-1"}) as response:
            assert await response.json(encoding="latin-1") == {"a": "é"}


async def test_text(library: Library) -> None:
    kind = {"type": "text/plain; charset=latin-1", "encoding": "latin-1", "body": "é"}
    async with recording(library) as recorder:
        async with get(recorder, "/json", kind) as response:
            assert response.get_encoding() == "iso8859-1"
            assert await response.text() == "é"
            assert await response.text(encoding="koi8-r") != "é"
        async with get(recorder, "/json", {**kind, "type": "text/plain"}) as response:
            with pytest.raises(UnicodeDecodeError):
                await response.text()
            assert await response.text(errors="replace") == "\ufffd"
        async with get(recorder, "/json", {**kind, "type": "a/b; charset=nothing"}) as response:
            await response.read()
            assert response.get_encoding() == "utf-8"


async def test_a_charset_by_guess(library: Library) -> None:
    kind = {"type": "text/plain", "encoding": "latin-1", "body": "é"}
    async with (
        recording(library, fallback_charset_resolver=lambda response, body: "latin-1") as recorder,
        get(recorder, "/json", kind) as response,
    ):
        with pytest.raises(RuntimeError):
            response.get_encoding()
        assert await response.text() == "é"
        assert response.get_encoding() == "latin-1"


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
async def test_codings(library: Library, coding: str) -> None:
    async with recording(library) as recorder:
        async with get(recorder, "/packed", {"coding": coding}) as response:
            assert await response.read() == b"abc"
            assert response.headers["Content-Encoding"] == coding
        async with get(recorder, "/packed", {"coding": coding}, auto_decompress=False) as response:
            assert await response.read() != b"abc"
    async with recording(library, auto_decompress=False) as recorder:
        assert recorder.session.auto_decompress is False
        async with get(recorder, "/packed", {"coding": coding}) as response:
            assert await response.read() != b"abc"


async def test_no_content(library: Library) -> None:
    async with recording(library) as recorder:
        async with recorder.session.head(recorder.url / "a") as response:
            assert await response.read() == b""
        async with get(recorder, "/status", {"code": "204"}) as response:
            assert (response.status, await response.read()) == (204, b"")


# -- the end -----------------------------------------------------------------------------------


async def test_the_end(library: Library) -> None:
    async with recording(library) as recorder:
        response = await get(recorder, "/body", {"size": "3"})
        assert await response.read() == b"xxx"
        assert response.connection is None
        response.close()
        assert response.closed is True
        response = await get(recorder, "/never", {"head": "1"})
        assert response.closed is False
        assert response.connection is not None
        response.close()
        assert response.closed is True
        assert response.connection is None
        with pytest.raises(library.top.ClientConnectionError):
            await response.read()


async def test_release(library: Library) -> None:
    async with recording(library) as recorder:
        response = await get(recorder, "/never", {"head": "1"})
        response.release()
        assert response.closed is True
        response = await get(recorder, "/body", {"size": "3"})
        await response.release()
        assert response.connection is None
        async with get(recorder, "/") as response:
            assert await response.text() == "seen"


async def test_a_block_that_is_left(library: Library) -> None:
    async with recording(library) as recorder:
        async with get(recorder, "/never", {"head": "1"}) as response:
            pass
        assert response.closed is True
        with pytest.raises(KeyError):
            async with get(recorder, "/never", {"head": "1"}) as response:
                raise KeyError
        assert response.closed is True


async def test_a_task_that_is_cancelled(library: Library) -> None:
    async with recording(library) as recorder:
        asking = asyncio.ensure_future(recorder.session.request("GET", recorder.url / "never"))
        for _ in range(5):
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        async with get(recorder, "/") as response:
            assert await response.text() == "seen"


# -- statuses that raise -----------------------------------------------------------------------


async def test_raise_for_status(library: Library) -> None:
    query = {"code": "404", "text": "x"}
    async with recording(library) as recorder:
        response = await get(recorder, "/status", query)
        with pytest.raises(library.top.ClientResponseError) as caught:
            response.raise_for_status()
        error = caught.value
        assert (error.status, error.message) == (404, "Not Found")
        assert error.request_info is response.request_info
        assert error.history == ()
        assert error.headers == response.headers
        assert str(error) == f"404, message='Not Found', url='{response.url}'"
        with pytest.warns(DeprecationWarning, match="deprecated"):
            assert error.code == 404
        (await get(recorder, "/")).raise_for_status()
        with pytest.raises(library.top.ClientResponseError):
            await get(recorder, "/status", query, raise_for_status=True)


async def test_a_session_that_raises(library: Library) -> None:
    query = {"code": "500"}
    async with recording(library, raise_for_status=True) as recorder:
        assert recorder.session.raise_for_status is True
        with pytest.raises(library.top.ClientResponseError):
            await get(recorder, "/status", query)
        async with get(recorder, "/status", query, raise_for_status=False) as response:
            assert response.status == 500


async def test_what_raises_is_a_function(library: Library) -> None:
    seen: list[int] = []

    async def check(response: Any) -> None:
        seen.append(response.status)
        if response.status == 418:
            raise KeyError("tea")

    async with recording(library, raise_for_status=check) as recorder:
        async with get(recorder, "/status", {"code": "404"}) as response:
            assert response.status == 404
        with pytest.raises(KeyError, match="tea"):
            await get(recorder, "/status", {"code": "418"})
    assert seen == [404, 418]


# -- traces ------------------------------------------------------------------------------------


async def test_traces(library: Library) -> None:
    seen: list[str] = []
    trace = library.top.TraceConfig()
    names = [
        "on_request_start", "on_connection_queued_start", "on_connection_create_start",
        "on_connection_create_end", "on_connection_reuseconn", "on_request_headers_sent",
        "on_request_chunk_sent", "on_request_redirect", "on_response_chunk_received",
        "on_request_end", "on_request_exception",
    ]  # fmt: skip

    def note(name: str) -> Any:
        async def signal(session: Any, context: Any, params: Any) -> None:
            assert context.trace_request_ctx == {"a": 1}
            seen.append(name.removeprefix("on_"))

        return signal

    for name in names:
        getattr(trace, name).append(note(name))
    context = {"a": 1}
    async with recording(library, trace_configs=[trace]) as recorder:
        assert recorder.session.trace_configs == [trace]
        await recorder.send("POST", "/x", data=b"abc", trace_request_ctx=context)
        assert seen == [
            "request_start",
            "connection_create_start",
            "connection_create_end",
            "request_headers_sent",
            "request_chunk_sent",
            "request_end",
            "response_chunk_received",
        ]
        seen.clear()
        await recorder.send("GET", "/moved/302", trace_request_ctx=context)
        assert seen == [
            "request_start",
            "connection_reuseconn",
            "request_headers_sent",
            "request_redirect",
            "connection_reuseconn",
            "request_headers_sent",
            "request_end",
            "response_chunk_received",
        ]
