"""Requests whose content is encoded (RFC 9110 section 8.4)."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plait import web
from plait.compression_utils import DECODERS
from plait.web_protocol import RequestPayloadError
from plait_engine import Headers
from tests.adapters.web_peer import Setup, app_of

pytestmark = pytest.mark.anyio

DATA = json.dumps({"numbers": list(range(2000))}).encode()
FORM = b"a=1&b=" + b"2" * 5000


def raw_deflate(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-15)


def brotli(data: bytes) -> bytes:
    return bytes(pytest.importorskip("brotli").compress(data))


def zstd(data: bytes) -> bytes:
    return bytes(pytest.importorskip("backports.zstd").compress(data))


CODINGS: list[Any] = [
    pytest.param("gzip", gzip.compress, id="gzip"),
    pytest.param("X-GZip", gzip.compress, id="x-gzip"),
    pytest.param("deflate", zlib.compress, id="deflate"),
    pytest.param("deflate", raw_deflate, id="bare deflate"),
    pytest.param("br", brotli, id="br"),
    pytest.param("zstd", zstd, id="zstd"),
]

Read = Callable[[web.Request], Awaitable[Any]]


async def lines(request: web.Request) -> list[str]:
    return [line.decode() async for line in request.content]


async def form(request: web.Request) -> list[str]:
    return list((await request.post()).values())


async def chunks(request: web.Request) -> str:
    return b"".join([piece async for piece in request.content.iter_chunked(100)]).decode()


def fields(coding: str, kind: str = "application/json", *, length: int | None = None) -> Headers:
    made = (("Content-Type", kind), ("Content-Encoding", coding))
    return made if length is None else (*made, ("Content-Length", str(length)))


async def reads(setup: Setup, read: Read, data: bytes, headers: Headers, **options: Any) -> Any:
    """Return what ``read`` gives for a request with ``data``."""

    async def handler(request: web.Request) -> web.Response:
        return web.json_response(await read(request))

    async with setup.serve(app_of(handler, **options)) as site:
        client = await site.connect()
        answer = await client.fetch("POST", "/", headers, data)
        again = await client.fetch("POST", "/", headers, data)
        assert (answer.status, again.status) == (200, 200)
        return json.loads(answer.body)


@pytest.mark.parametrize(("coding", "encode"), CODINGS)
async def test_every_way_to_read(
    setup: Setup, coding: str, encode: Callable[[bytes], bytes]
) -> None:
    headers, data = fields(coding), encode(DATA)
    assert await reads(setup, web.Request.json, data, headers) == json.loads(DATA)
    assert await reads(setup, web.Request.text, data, headers) == DATA.decode()
    assert await reads(setup, lines, data, headers) == [DATA.decode()]
    assert await reads(setup, chunks, data, headers) == DATA.decode()
    headers = fields(coding, "application/x-www-form-urlencoded")
    assert await reads(setup, form, encode(FORM), headers) == ["1", "2" * 5000]


async def test_the_fields_stay_as_they_came(setup: Setup) -> None:
    data = gzip.compress(DATA)

    async def told(request: web.Request) -> list[Any]:
        await request.read()
        content = request.content
        return [
            request.content_length,
            request.headers["Content-Encoding"],
            content.total_bytes,
            content.total_raw_bytes,
            request.can_read_body,
            request.body_exists,
        ]

    answer = await reads(setup, told, data, fields("gzip", length=len(data)))
    assert answer == [len(data), "gzip", len(DATA), len(data), False, True]


@pytest.mark.parametrize(
    "coding", ["identity", "compress", "gzip, gzip", "snappy", "", "gzip\u00e9", "*"]
)
async def test_other_codings_are_left_alone(setup: Setup, coding: str) -> None:
    async def raw(request: web.Request) -> str:
        return (await request.read()).hex()

    data = gzip.compress(DATA)
    assert await reads(setup, raw, data, fields(coding)) == data.hex()


async def test_two_fields_are_one_list(setup: Setup) -> None:
    async def raw(request: web.Request) -> str:
        return (await request.read()).hex()

    data = gzip.compress(gzip.compress(DATA))
    headers = (*fields("gzip"), ("Content-Encoding", "gzip"))
    assert await reads(setup, raw, data, headers) == data.hex()


async def test_it_can_be_switched_off(setup: Setup) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    data = gzip.compress(DATA)
    async with setup.serve(app_of(handler), auto_decompress=False) as site:
        client = await site.connect()
        assert (await client.fetch("POST", "/", fields("gzip"), data)).body == data


async def test_no_content_is_not_encoded(setup: Setup) -> None:
    async def told(request: web.Request) -> list[Any]:
        return [(await request.read()).decode(), await request.text()]

    assert await reads(setup, told, b"", fields("gzip")) == ["", ""]
    assert await reads(setup, told, b"", fields("gzip", length=0)) == ["", ""]


@pytest.mark.parametrize("read", [web.Request.read, web.Request.text, web.Request.post, chunks])
@pytest.mark.parametrize(
    "data",
    [
        b"this is not gzip",
        gzip.compress(DATA, mtime=0)[:-5],
        gzip.compress(DATA, mtime=0) + b"more",
    ],
)
async def test_what_cannot_be_decoded_is_400(
    setup: Setup, read: Read, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: web.Request) -> web.Response:
        await read(request)
        return web.Response(text="not reached")

    headers = fields("gzip", "application/x-www-form-urlencoded")
    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        answer = await client.fetch("POST", "/", headers, data)
        assert answer.status == 400
        assert answer.body.startswith(b"the content is not in its Content-Encoding, gzip: ")
    assert not caplog.records


async def test_a_handler_may_go_on_without_it(setup: Setup) -> None:
    async def handler(request: web.Request) -> web.Response:
        for _ in range(2):
            with pytest.raises(RequestPayloadError):
                await request.read()
        return web.Response(text="so what")

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        for _ in range(2):
            answer = await client.fetch("POST", "/", fields("gzip"), b"no gzip")
            assert (answer.status, answer.body) == (200, b"so what")


@cache
def bomb_of(encode: Callable[[bytes], bytes]) -> bytes:
    return encode(bytes(2**24))


@pytest.mark.parametrize("read", [web.Request.read, web.Request.text, web.Request.json, form])
@pytest.mark.parametrize(("coding", "encode"), CODINGS)
async def test_a_bomb_is_413(
    setup: Setup, read: Read, coding: str, encode: Callable[[bytes], bytes]
) -> None:
    """The answer reaches the client; no more is decoded than it takes to know."""
    bomb = bomb_of(encode)
    content: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        content.append(request.content)
        await read(request)
        return web.Response(text="not reached")

    async with setup.serve(app_of(handler, client_max_size=100_000)) as site:
        client = await site.connect()
        headers = fields(coding, "application/x-www-form-urlencoded")
        answer = await client.fetch("POST", "/", headers, bomb)
        assert answer.status == 413
        assert answer.body == b"Maximum request body size 100000 exceeded."
    assert content[0].total_bytes < 2**22


async def test_the_limit_is_on_the_decoded_bytes(setup: Setup) -> None:
    """Not on the encoded ones, which may be more."""
    data = bytes(range(256))
    encoded = gzip.compress(data)
    assert len(encoded) > len(data)

    async def size(request: web.Request) -> int:
        return len(await request.read())

    headers = fields("gzip", length=len(encoded))
    assert await reads(setup, size, encoded, headers, client_max_size=256) == 256


async def test_a_slow_reader_holds_the_client_up(setup: Setup) -> None:
    """What is decoded and not read is bounded, and so is what is not decoded yet."""
    started, go_on = asyncio.Event(), asyncio.Event()
    seen: list[web.Request] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(request)
        first = await request.content.readany()
        started.set()
        await go_on.wait()
        rest = await request.content.read()
        return web.Response(text=str(len(first) + len(rest)))

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        data = gzip.compress(bytes(2**26))
        answer = client.request("POST", "/", fields("gzip"), data)
        await asyncio.wait_for(started.wait(), 20)
        for _ in range(100):
            await turn()
        assert seen[0].content.total_bytes < 2**22
        go_on.set()
        assert (await answer.complete()).body == str(2**26).encode()


async def turn() -> None:
    await asyncio.sleep(0)


async def test_a_reader_of_very_much_holds_up_nobody(setup: Setup) -> None:
    turns = 0

    async def handler(request: web.Request) -> web.Response:
        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await turn()

        task = asyncio.ensure_future(count())
        size = sum([len(piece) async for piece in request.content.iter_any()])
        task.cancel()
        return web.Response(text=str(size))

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        answer = await client.fetch("POST", "/", fields("gzip"), bomb_of(gzip.compress))
        assert answer.body == str(2**24).encode()
    assert turns >= 16


async def test_what_is_not_read_is_not_decoded(setup: Setup) -> None:
    content: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        content.append(request.content)
        await request.content.readany()
        return web.Response()

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        await client.fetch("POST", "/", fields("gzip"), bomb_of(gzip.compress))
        await client.fetch("POST", "/", fields("gzip"), bomb_of(gzip.compress))
    assert all(reader.total_bytes < 2**21 for reader in content)


async def test_what_nobody_reads_gives_its_credit_back(setup: Setup) -> None:
    """A handler that reads a part of the content leaves the connection as it was."""

    async def handler(request: web.Request) -> web.Response:
        await request.content.readany()
        return web.Response(text="enough")

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        data = gzip.compress(bytes(2**24))
        for _ in range(100):
            answer = await client.fetch("POST", "/", fields("gzip"), data)
            assert (answer.status, answer.body) == (200, b"enough")


async def test_the_client_is_asked_for_it(setup: Setup) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        headers = (*fields("gzip"), ("Expect", "100-continue"))
        answer = client.request("POST", "/", headers, end=False)
        await asyncio.wait_for(answer.informed.wait(), 20)
        answer.send_body(gzip.compress(DATA))
        assert (await answer.complete()).body == DATA
        assert [event.status for event in answer.informational] == [100]


async def test_a_client_that_leaves(setup: Setup) -> None:
    failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
    started = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        try:
            await request.content.readany()
            started.set()
            await request.read()
        except Exception as error:
            failed.set_result(error)
        return web.Response()

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        answer = client.request("POST", "/", fields("gzip"), end=False)
        answer.send_body(gzip.compress(DATA)[:200], end=False)
        await asyncio.wait_for(started.wait(), 20)
        await site.close(client)
        assert isinstance(await failed, RequestPayloadError | ConnectionResetError)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    cuts=st.lists(st.integers(1, 60), min_size=1, max_size=8),
    coding=st.sampled_from(["gzip", "deflate"]),
)
def test_any_cuts(cuts: list[int], coding: str) -> None:
    async def check(setup: Setup) -> None:
        data = {"gzip": gzip.compress, "deflate": raw_deflate}[coding](b"hello" * 20)

        async def handler(request: web.Request) -> web.Response:
            return web.Response(body=await request.read())

        async with setup.serve(app_of(handler)) as site:
            client = await site.connect()
            answer = client.request("POST", "/", fields(coding), end=False)
            left = data
            for cut in cuts:
                answer.send_body(left[:cut], end=False)
                left = left[cut:]
                await turn()
            answer.send_body(left)
            assert (await answer.complete()).body == b"hello" * 20

    for protocol in ("http/1.1", "h2"):
        asyncio.run(check(Setup(protocol, "native")))


def test_all_codings_of_the_client_are_here() -> None:
    tried = {param.values[0].lower() for param in CODINGS}
    assert set(DECODERS) <= tried
