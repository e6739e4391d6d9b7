"""Responses whose body is a payload: a file, a generator, what a program registered."""

from __future__ import annotations

import asyncio
import gzip
import io
import zlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import plait
from plait import payload, web
from plait.abc import AbstractStreamWriter
from plait.helpers import DEFAULT_CHUNK_SIZE
from tests.adapters.web_handlers import always, answer_of, names
from tests.adapters.web_peer import Setup, app_of

pytestmark = pytest.mark.anyio


async def numbers() -> AsyncIterator[bytes]:
    for number in range(3):
        yield f"{number};".encode()


class Closing(plait.Payload):
    """A payload that knows whether it was written and closed."""

    def __init__(self, data: bytes = b"data", error: Exception | None = None) -> None:
        super().__init__(data, content_type="text/closing")
        self.error = error
        self.written = 0
        self.closed = 0
        self.gone = asyncio.Event()

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
        return str(self._value, encoding)

    async def write(self, writer: AbstractStreamWriter) -> None:
        self.written += 1
        await writer.write(self._value)
        if self.error is not None:
            raise self.error

    async def close(self) -> None:
        self.closed += 1
        self.gone.set()


def text_file(tmp_path: Path) -> Any:
    path = tmp_path / "a.txt"
    path.write_text("é" * 1000, encoding="utf-8")
    return path.open(encoding="utf-8")


def other_text_file(tmp_path: Path) -> Any:
    path = tmp_path / "a.txt"
    path.write_text("é" * 1000, encoding="latin-1")
    return path.open(encoding="latin-1")


def bytes_file(tmp_path: Path) -> Any:
    path = tmp_path / "a.png"
    path.write_bytes(bytes(range(256)) * 4000)
    file = path.open("rb")
    file.seek(24)
    return file


@pytest.mark.parametrize(
    ("make", "body", "length", "kind"),
    [
        (lambda _: numbers(), b"0;1;2;", None, "application/octet-stream"),
        (lambda _: io.BytesIO(b"file"), b"file", "4", "application/octet-stream"),
        (lambda _: io.StringIO("tëxt"), "tëxt".encode(), "5", "text/plain; charset=utf-8"),
        (bytes_file, (bytes(range(256)) * 4000)[24:], "1023976", "image/png"),
        (text_file, ("é" * 1000).encode(), "2000", "text/plain; charset=utf-8"),
        (other_text_file, ("é" * 1000).encode(), None, "text/plain; charset=utf-8"),
        (lambda _: plait.JsonPayload({"a": 1}), b'{"a": 1}', "8", "application/json"),
        (lambda _: Closing(), b"data", None, "text/closing"),
    ],
)
async def test_bodies(
    setup: Setup,
    tmp_path: Path,
    make: Callable[[Path], Any],
    body: bytes,
    length: str | None,
    kind: str,
) -> None:
    answer = await answer_of(setup, always(lambda: web.Response(body=make(tmp_path))))
    assert answer.body == body
    assert answer.header("content-length") == length
    assert answer.header("content-type") == kind
    if length is None and not setup.is_h2:
        assert answer.header("transfer-encoding") == "chunked"


async def test_fields_of_the_payload(setup: Setup) -> None:
    def make() -> web.Response:
        made = plait.BytesPayload(b"x", headers={"X-A": "payload", "X-B": "payload"})
        return web.Response(body=made, headers={"X-A": "own", "Content-Type": "a/b"})

    answer = await answer_of(setup, always(make))
    assert (answer.header("x-a"), answer.header("x-b")) == ("own", "payload")
    assert answer.header("content-type") == "a/b"


async def test_a_file_has_a_name(setup: Setup, tmp_path: Path) -> None:
    answer = await answer_of(setup, always(lambda: web.Response(body=bytes_file(tmp_path))))
    assert answer.header("content-disposition") == 'attachment; filename="a.png"'


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_it_is_not_written_where_nobody_reads(setup: Setup, method: str, status: int) -> None:
    body = Closing()
    answer = await answer_of(setup, always(lambda: web.Response(body=body, status=status)), method)
    assert (answer.status, answer.body) == (status, b"")
    assert (body.written, body.closed) == (0, 1)


async def test_head_tells_the_length_of_a_file(setup: Setup) -> None:
    make = always(lambda: web.Response(body=io.BytesIO(b"file")))
    answer = await answer_of(setup, make, "HEAD")
    assert (answer.body, answer.header("content-length")) == (b"", "4")


async def test_it_is_closed_once(setup: Setup) -> None:
    body = Closing()

    async def handler(request: web.Request) -> web.Response:
        response = web.Response(body=body)
        await response.prepare(request)
        await response.write_eof()
        await response.write_eof()
        return response

    assert (await answer_of(setup, handler)).body == b"data"
    assert (body.written, body.closed) == (1, 1)


async def test_it_is_closed_when_it_fails(setup: Setup, caplog: pytest.LogCaptureFixture) -> None:
    body = Closing(error=ValueError("broken file"))
    async with setup.serve(app_of(always(lambda: web.Response(body=body)))) as site:
        client = await site.connect()
        await client.request().broken()
    assert (body.written, body.closed) == (1, 1)
    assert "broken file" in caplog.text


async def test_it_is_closed_when_its_head_cannot_be_made(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    body = Closing()

    async def fail(request: web.Request, response: web.StreamResponse) -> None:
        if isinstance(response.body, Closing) if isinstance(response, web.Response) else False:
            raise ValueError("no")

    app = app_of(always(lambda: web.Response(body=body)))
    app.on_response_prepare.append(fail)
    async with setup.serve(app) as site:
        client = await site.connect()
        assert (await client.fetch()).status == 500
    assert (body.written, body.closed) == (0, 1)


async def test_it_is_closed_when_the_client_leaves(setup: Setup) -> None:
    body = Closing(b"x" * 2**20)
    async with setup.serve(app_of(always(lambda: web.Response(body=body)))) as site:
        client = await site.connect()
        answer = client.request(hold=True)
        await answer.head_came.wait()
        await site.close(client)
        await asyncio.wait_for(body.gone.wait(), 20)
    assert body.closed == 1


async def test_it_is_sent_in_pieces(setup: Setup) -> None:
    """What is read of a file follows the client's reading."""
    size = 64 * DEFAULT_CHUNK_SIZE
    file = io.BytesIO(bytes(size))
    async with setup.serve(app_of(always(lambda: web.Response(body=file)))) as site:
        client = await site.connect()
        answer = client.request(hold=True)
        await answer.head_came.wait()
        await asyncio.wait_for(_settled(file), 20)
        assert file.tell() < size
        answer.hold = False
        answer.acknowledge(len(answer.body))
        await answer.complete()
        assert len(answer.body) == size


async def _settled(file: io.BytesIO) -> None:
    """Wait until nothing more is read of ``file``."""
    turns, last = 0, -1
    while turns < 1000:
        turns, last = (turns + 1, last) if file.tell() == last else (0, file.tell())
        await asyncio.sleep(0)


async def test_a_file_that_grows_is_cut(setup: Setup) -> None:
    class Growing(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            at = self.tell()
            self.seek(0, io.SEEK_END)
            self.write(b"more")
            self.seek(at)
            return super().read(size)

    answer = await answer_of(setup, always(lambda: web.Response(body=Growing(b"file"))))
    assert (answer.body, answer.header("content-length")) == (b"file", "4")


@pytest.mark.parametrize("coding", ["gzip", "deflate"])
@pytest.mark.parametrize("make", [numbers, lambda: io.BytesIO(b"0;1;2;")])
async def test_compression(setup: Setup, coding: str, make: Any) -> None:
    async def handler(request: web.Request) -> web.Response:
        response = web.Response(body=make())
        response.enable_compression()
        return response

    answer = await answer_of(setup, handler, headers=(("Accept-Encoding", coding),))
    assert answer.header("content-encoding") == coding
    assert "content-length" not in names(answer)
    undo = gzip.decompress if coding == "gzip" else zlib.decompress
    assert undo(answer.body) == b"0;1;2;"


async def test_a_long_piece_is_compressed_in_slices(setup: Setup) -> None:
    turns = 0
    data = bytes(range(256)) * 4096

    async def handler(request: web.Request) -> web.StreamResponse:
        async def count() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        response = web.StreamResponse()
        response.enable_compression(web.ContentCoding.gzip)
        await response.prepare(request)
        task = asyncio.ensure_future(count())
        await response.write(data)
        await response.write_eof(data)
        task.cancel()
        return response

    answer = await answer_of(setup, handler)
    assert gzip.decompress(answer.body) == data * 2
    assert turns >= 30


async def test_the_body_stays_what_it_was(setup: Setup) -> None:
    """A response with compression can be sent again."""
    response = web.Response(text="Hello" * 100)
    response.enable_compression(web.ContentCoding.gzip)
    seen: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        await response.prepare(request)
        seen.append((response.text, response.content_length))
        return response

    answer = await answer_of(setup, handler)
    assert gzip.decompress(answer.body) == b"Hello" * 100
    assert seen == [("Hello" * 100, len(answer.body))]


def test_text_of_a_payload(tmp_path: Path) -> None:
    assert web.Response(body=io.BytesIO(b"file")).text == "file"
    with text_file(tmp_path) as file:
        assert web.Response(body=file).text == "é" * 1000
    response = web.Response(body=numbers())
    with pytest.raises(TypeError, match="not there yet"):
        _ = response.text
    assert response.content_length is None
    response.body = b"x"
    assert (response.body, response.text, response.content_length) == (b"x", "x", 1)


async def test_a_type_of_ones_own(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        pass

    registry = payload.PayloadRegistry()
    registry.register(lambda value: Closing(b"point"), Point)  # type: ignore[arg-type]  # a factory
    monkeypatch.setattr(payload, "PAYLOAD_REGISTRY", registry)
    answer = await answer_of(setup, always(lambda: web.Response(body=Point())))
    assert answer.body == b"point"


@pytest.mark.parametrize("call", [True, False])
async def test_streamer(setup: Setup, call: bool) -> None:
    with pytest.warns(DeprecationWarning, match="async generators"):

        @plait.streamer
        async def count(writer: AbstractStreamWriter, last: int = 3) -> None:
            for number in range(last):
                await writer.write(f"{number};".encode())

    answer = await answer_of(setup, always(lambda: web.Response(body=count(2) if call else count)))
    assert answer.body == (b"0;1;" if call else b"0;1;2;")
    with pytest.raises(TypeError, match="not there yet"):
        _ = web.Response(body=count).text
