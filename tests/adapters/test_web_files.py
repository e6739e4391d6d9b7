"""FileResponse: what is sent of a file, over both versions and both engines."""

from __future__ import annotations

import gzip
import logging
import os
import socket
import zlib
from collections.abc import Callable, Iterator
from email.utils import formatdate
from pathlib import Path
from typing import Any

import pytest

from plait import web
from plait.serving import files
from plait.transport import sendfile
from plait_engine import Config, Limits
from tests.adapters.web_handlers import answer_of
from tests.adapters.web_peer import Setup, app_of

pytestmark = pytest.mark.anyio

SMALL = b"Hello, files!\n"
LARGE = bytes(range(256)) * 4096  # 1 MiB: more than is read at once, or fits into any buffer.
MODIFIED = 784111777
DATE = formatdate(MODIFIED, usegmt=True)


def descriptors() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


@pytest.fixture(autouse=True)
def nothing_stays_open() -> Iterator[None]:
    """No test leaves a descriptor behind, nor does a refused or broken response."""
    before = len(descriptors())
    yield
    assert len(descriptors()) <= before + 1  # what listing takes


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return make(tmp_path / "small.txt", SMALL)


@pytest.fixture(params=[SMALL, LARGE], ids=["small", "large"])
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return make(tmp_path / "file.txt", request.param)


@pytest.fixture
def large(tmp_path: Path) -> Path:
    return make(tmp_path / "large.bin", LARGE)


def make(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    os.utime(path, (MODIFIED + 0.5, MODIFIED + 0.5))
    return path


def tag_of(path: Path) -> str:
    status = path.stat()
    return f'"{status.st_mtime_ns:x}-{status.st_size:x}"'


def content_of(path: Path) -> bytes:
    return path.read_bytes()


def size_of(path: Path) -> int:
    return path.stat().st_size


def sends(path: Path, **options: Any) -> Callable[[web.Request], Any]:
    async def handler(request: web.Request) -> web.StreamResponse:
        return web.FileResponse(path, **options)

    return handler


# -- what is sent -----------------------------------------------------------------------------


async def test_a_file(setup: Setup, path: Path) -> None:
    answer = await answer_of(setup, sends(path))
    assert answer.status == 200
    assert answer.body == content_of(path)
    assert answer.header("content-length") == str(size_of(path))
    assert answer.header("content-type") == "text/plain"
    assert answer.header("etag") == tag_of(path)
    assert answer.header("last-modified") == DATE
    assert answer.header("accept-ranges") == "bytes"
    assert answer.header("content-encoding") is None
    assert answer.header("vary") is None


async def test_head(setup: Setup, path: Path) -> None:
    answer = await answer_of(setup, sends(path), "HEAD", headers=(("Range", "bytes=1-2"),))
    assert answer.status == 200  # RFC 9110 section 14.2: only GET has ranges.
    assert answer.body == b""
    assert answer.header("content-length") == str(size_of(path))
    assert answer.header("etag") == tag_of(path)


async def test_an_empty_file(setup: Setup, tmp_path: Path) -> None:
    empty = make(tmp_path / "empty", b"")
    answer = await answer_of(setup, sends(empty))
    assert (answer.status, answer.body) == (200, b"")
    assert answer.header("content-length") == "0"
    assert answer.header("content-type") == "application/octet-stream"


async def test_many_files_on_a_connection(setup: Setup, small: Path, large: Path) -> None:
    app = web.Application()
    app.router.add_get("/small", sends(small))
    app.router.add_get("/large", sends(large))
    async with setup.serve(app) as site:
        client = await site.connect()
        for _ in range(3):
            assert (await client.fetch(target="/large")).body == LARGE
            assert (await client.fetch(target="/small")).body == SMALL


async def test_status_reason_and_headers_are_the_handlers(setup: Setup, small: Path) -> None:
    headers = {"X-A": "b", "Content-Type": "text/x-mine", "Vary": "Origin"}
    answer = await answer_of(
        setup,
        sends(small, status=203, reason="Mine", headers=headers),
        headers=(("Range", "bytes=0-1"),),
    )
    assert (answer.status, answer.body) == (203, SMALL)
    assert answer.header("x-a") == "b"
    assert answer.header("content-type") == "text/x-mine"
    assert answer.header("vary") == "Origin"


async def test_an_error_page_has_no_conditions(setup: Setup, small: Path) -> None:
    answer = await answer_of(setup, sends(small, status=404), headers=(("If-None-Match", "*"),))
    assert (answer.status, answer.body) == (404, SMALL)


@pytest.mark.parametrize(
    ("name", "content_type"),
    [
        ("a.html", "text/html"),
        ("a.css", "text/css"),
        ("a.tar.gz", "application/gzip"),
        ("a.txt.br", "application/x-brotli"),
        ("a.bz2", "application/x-bzip2"),
        ("a.xz", "application/x-xz"),
        ("a.Z", "application/x-compress"),
        ("a.unknown", "application/octet-stream"),
        ("a", "application/octet-stream"),
    ],
)
async def test_the_type_is_that_of_the_name(tmp_path: Path, name: str, content_type: str) -> None:
    path = make(tmp_path / name, SMALL)
    answer = await answer_of(H1, sends(path))
    assert answer.header("content-type") == content_type
    assert answer.header("content-encoding") is None


H1 = Setup("http/1.1", "native")
H2 = Setup("h2", "native")


async def test_the_head_is_complete_for_signals(setup: Setup, large: Path) -> None:
    seen: list[tuple[int, int | None, str]] = []

    async def look(request: web.Request, response: web.StreamResponse) -> None:
        seen.append((response.status, response.content_length, response.content_type))
        response.headers["X-Seen"] = "yes"

    app = app_of(sends(large))
    app.on_response_prepare.append(look)
    async with setup.serve(app) as site:
        client = await site.connect()
        answer = await client.fetch(headers=(("Range", "bytes=5-9"),))
        assert (answer.status, answer.body) == (206, LARGE[5:10])
        assert answer.header("x-seen") == "yes"
    assert seen == [(206, 5, "application/octet-stream")]


async def test_prepare_sends_it_and_what_follows_does_nothing(setup: Setup, path: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.FileResponse(path)
        await response.prepare(request)
        assert response.prepared
        assert response.body_length == size_of(path)
        await response.prepare(request)
        await response.write_eof()
        return response

    answer = await answer_of(setup, handler)
    assert answer.body == content_of(path)


async def test_http_1_0(large: Path) -> None:
    async with H1.serve(app_of(sends(large))) as site:
        head, _, body = (await site.send_raw(b"GET / HTTP/1.0\r\n\r\n")).partition(b"\r\n\r\n")
        assert b"200 OK" in head
        assert body == LARGE


async def test_chunked(setup: Setup, large: Path) -> None:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.FileResponse(large)
        response.enable_chunked_encoding()
        return response

    answer = await answer_of(setup, handler)
    assert answer.body == LARGE
    assert answer.header("content-length") is None


# -- ranges and conditions ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("field", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=5-", 5, None),
        ("bytes=-5", -5, None),
        ("bytes=2-9999999", 2, None),
        ("bytes=-9999999", 0, None),
    ],
)
async def test_a_range(setup: Setup, path: Path, field: str, start: int, end: int | None) -> None:
    content = content_of(path)
    answer = await answer_of(setup, sends(path), headers=(("Range", field),))
    assert answer.status == 206
    assert answer.body == content[start:end]
    first = start % len(content)
    last = first + len(answer.body) - 1
    assert answer.header("content-range") == f"bytes {first}-{last}/{len(content)}"
    assert answer.header("content-length") == str(len(answer.body))
    assert answer.header("etag") == tag_of(path)


@pytest.mark.parametrize("field", ["bytes=9999999-", "bytes=-0", "bytes=9-8", "bytes=x"])
async def test_a_range_that_cannot_be_satisfied(setup: Setup, path: Path, field: str) -> None:
    answer = await answer_of(setup, sends(path), headers=(("Range", field),))
    assert (answer.status, answer.body) == (416, b"")
    assert answer.header("content-range") == f"bytes */{size_of(path)}"
    assert answer.header("content-length") == "0"


@pytest.mark.parametrize("field", ["items=0-1", "bytes=0-1,3-4", "bytes=" + "0-," * 1000])
async def test_what_is_no_single_range_of_bytes_is_ignored(small: Path, field: str) -> None:
    answer = await answer_of(H1, sends(small), headers=(("Range", field),))
    assert (answer.status, answer.body) == (200, SMALL)


async def test_a_download_is_resumed(setup: Setup, large: Path) -> None:
    async with setup.serve(app_of(sends(large))) as site:
        client = await site.connect()
        tag = (await client.fetch("HEAD")).header("etag")
        assert tag is not None
        resume = (("Range", "bytes=1000-"), ("If-Range", tag))
        assert (await client.fetch(headers=resume)).body == LARGE[1000:]
        make(large, b"x" * 2000)
        answer = await client.fetch(headers=resume)
        assert (answer.status, answer.body) == (200, b"x" * 2000)
        resume = (("Range", "bytes=1000-"), ("If-Range", DATE))
        assert (await client.fetch(headers=resume)).status == 206


async def test_not_modified(setup: Setup, path: Path) -> None:
    async with setup.serve(app_of(sends(path))) as site:
        client = await site.connect()
        for headers in (
            (("If-None-Match", tag_of(path)),),
            (("If-None-Match", "W/" + tag_of(path)),),
            (("If-None-Match", '"x", ' + tag_of(path)),),
            (("If-None-Match", "*"),),
            (("If-Modified-Since", DATE),),
        ):
            for method in ("GET", "HEAD"):
                answer = await client.fetch(method, headers=headers)
                assert (answer.status, answer.body) == (304, b"")
                assert answer.header("etag") == tag_of(path)
                assert answer.header("last-modified") == DATE
                assert answer.header("content-length") is None
        assert (await client.fetch()).body == content_of(path)


async def test_preconditions(setup: Setup, small: Path) -> None:
    async with setup.serve(app_of(sends(small))) as site:
        client = await site.connect()
        for headers in (
            (("If-Match", '"x"'),),
            (("If-Match", "W/" + tag_of(small)),),
            (("If-Unmodified-Since", formatdate(MODIFIED - 1, usegmt=True)),),
            (("If-Match", '"x"'), ("Range", "bytes=99999-")),
        ):
            answer = await client.fetch(headers=headers)
            assert (answer.status, answer.body) == (412, b"")
            assert answer.header("content-length") == "0"
        answer = await client.fetch(headers=(("If-Match", tag_of(small)),))
        assert answer.status == 200


async def test_a_time_in_the_future_is_now(small: Path) -> None:
    os.utime(small, (2**33, 2**33))
    answer = await answer_of(H1, sends(small))
    assert answer.header("last-modified") == answer.header("date")


# -- siblings and compression ---------------------------------------------------------------------


@pytest.fixture
def siblings(tmp_path: Path, path: Path) -> Path:
    path.with_name("file.txt.gz").write_bytes(gzip.compress(content_of(path)))
    path.with_name("file.txt.br").write_bytes(b"brotli")
    return path


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [
        (None, None),
        ("", None),
        ("deflate, zstd", None),
        ("gzip", "gzip"),
        ("GZip, deflate", "gzip"),
        ("gzip, br", "br"),
        ("br;q=0.5, gzip", "gzip"),
        ("br;q=0, gzip;q=0", None),
        ("br;q=0, *", "gzip"),
        ("gzip;q=0.5, identity", None),
        ("identity;q=0, gzip", "gzip"),
        ("identity;q=0", None),  # Nothing that it accepts is there.
        ("bright, gzipped", None),
    ],
)
async def test_a_sibling(siblings: Path, accepted: str | None, coding: str | None) -> None:
    headers = () if accepted is None else (("Accept-Encoding", accepted),)
    answer = await answer_of(H1, sends(siblings), headers=headers)
    suffix = {None: "", "br": ".br", "gzip": ".gz"}[coding]
    sent = siblings.with_name(f"file.txt{suffix}")
    assert answer.status == 200
    assert answer.header("content-encoding") == coding
    assert answer.header("content-type") == "text/plain"
    assert answer.header("etag") == tag_of(sent)
    assert answer.header("vary") == (None if accepted is None else "Accept-Encoding")


def siblings_gz(path: Path) -> Path:
    return path.with_name("file.txt.gz")


async def test_a_sibling_has_ranges_and_conditions_of_its_own(setup: Setup, siblings: Path) -> None:
    sibling = siblings_gz(siblings)
    accepts = ("Accept-Encoding", "gzip")
    async with setup.serve(app_of(sends(siblings))) as site:
        client = await site.connect()
        answer = await client.fetch(headers=(accepts, ("Range", "bytes=0-1")))
        assert (answer.status, answer.body) == (206, content_of(sibling)[:2])
        assert answer.header("vary") == "Accept-Encoding"
        answer = await client.fetch(headers=(accepts, ("If-None-Match", tag_of(sibling))))
        assert answer.status == 304
        assert answer.header("vary") == "Accept-Encoding"
        answer = await client.fetch(headers=(accepts, ("If-None-Match", tag_of(siblings))))
        assert answer.status == 200
        assert gzip.decompress(answer.body) == content_of(siblings)


@pytest.mark.parametrize("kind", ["link", "directory", "pipe"])
async def test_a_sibling_must_be_a_regular_file(tmp_path: Path, small: Path, kind: str) -> None:
    secret = make(tmp_path / "secret", b"secret")
    sibling = small.with_name("small.txt.gz")
    {
        "link": lambda: sibling.symlink_to(secret),
        "directory": sibling.mkdir,
        "pipe": lambda: os.mkfifo(sibling),
    }[kind]()
    answer = await answer_of(H1, sends(small), headers=(("Accept-Encoding", "gzip"),))
    assert (answer.status, answer.body) == (200, SMALL)
    assert answer.header("content-encoding") is None


async def test_a_sibling_that_is_gone_when_it_is_opened(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "_is_sibling", lambda path, coding: coding == "gzip")
    answer = await answer_of(H1, sends(small), headers=(("Accept-Encoding", "gzip"),))
    assert (answer.status, answer.body) == (200, SMALL)
    assert answer.header("content-encoding") is None


async def test_what_is_encoded_already_has_no_siblings(small: Path) -> None:
    small.with_name("small.txt.gz").write_bytes(b"no")

    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.FileResponse(small, headers={"Content-Encoding": "gzip"})
        response.enable_compression()
        return response

    answer = await answer_of(H1, handler, headers=(("Accept-Encoding", "gzip"),))
    assert (answer.status, answer.body) == (200, SMALL)
    assert answer.header("content-encoding") == "gzip"


def compressed(path: Path) -> Callable[[web.Request], Any]:
    async def handler(request: web.Request) -> web.StreamResponse:
        response = web.FileResponse(path)
        response.enable_compression()
        return response

    return handler


async def test_compression(setup: Setup, path: Path) -> None:
    headers = (("Accept-Encoding", "gzip"), ("Range", "bytes=0-1"))
    answer = await answer_of(setup, compressed(path), headers=headers)
    assert answer.status == 200
    assert answer.header("content-encoding") == "gzip"
    assert answer.header("content-length") in (None, str(len(answer.body)))
    assert answer.header("accept-ranges") is None
    assert answer.header("etag") == "W/" + tag_of(path)
    assert zlib.decompress(answer.body, 31) == content_of(path)


async def test_compression_that_the_client_does_not_want(setup: Setup, path: Path) -> None:
    answer = await answer_of(setup, compressed(path), headers=(("Range", "bytes=0-1"),))
    assert (answer.status, answer.body) == (206, content_of(path)[:2])
    assert answer.header("content-encoding") is None


async def test_a_sibling_is_not_compressed_again(siblings: Path) -> None:
    answer = await answer_of(H1, compressed(siblings), headers=(("Accept-Encoding", "gzip"),))
    assert answer.body == content_of(siblings_gz(siblings))
    assert answer.header("etag") == tag_of(siblings_gz(siblings))


async def test_an_error_is_not_compressed(tmp_path: Path, small: Path) -> None:
    accepts = ("Accept-Encoding", "gzip")
    answer = await answer_of(H1, compressed(tmp_path / "none"), headers=(accepts,))
    assert (answer.status, answer.header("content-encoding")) == (404, None)
    tag = ("If-None-Match", tag_of(small))
    answer = await answer_of(H1, compressed(small), headers=(accepts, tag))
    assert (answer.status, answer.header("content-encoding")) == (304, None)


# -- what cannot be sent --------------------------------------------------------------------------


def make_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        ("nothing", 404),
        ("nul", 404),
        ("long", 404),
        ("below a file", 404),
        ("loop", 404),
        ("directory", 403),
        ("pipe", 403),
        ("socket", 403),
        ("device", 403),
    ],
)
async def test_what_is_no_file(setup: Setup, tmp_path: Path, kind: str, status: int) -> None:
    path = tmp_path / "path"
    if kind == "nul":
        path = tmp_path / "a\0b"
    elif kind == "long":
        path = tmp_path / ("x" * 5000)
    elif kind == "below a file":
        path = make(tmp_path / "file", b"") / "path"
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "directory":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        make_socket(path)
    elif kind == "device":
        path = Path("/dev/zero")
    answer = await answer_of(setup, sends(path), headers=(("Accept-Encoding", "gzip"),))
    assert (answer.status, answer.body) == (status, b"")
    assert answer.header("content-length") == "0"
    assert answer.header("content-type") is None


async def test_what_must_not_be_read(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "open", refuse)  # The tests may run as root, who may read all.
    answer = await answer_of(H1, sends(small))
    assert (answer.status, answer.body) == (403, b"")


async def test_a_pipe_that_takes_the_place_of_the_file_makes_nobody_wait(
    small: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open = os.open

    def swap(path: str, flags: int) -> int:
        os.unlink(path)
        os.mkfifo(path)
        return real_open(path, flags)

    monkeypatch.setattr(os, "open", swap)
    answer = await answer_of(H1, sends(small))
    assert answer.status == 403


async def test_a_file_that_becomes_shorter_before_it_is_read(
    small: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(files.OpenFile, "read_cached", lambda *args: 0)
    monkeypatch.setattr(os, "pread", lambda *args: b"")
    with caplog.at_level(logging.ERROR):
        answer = await answer_of(H1, sends(small))
    assert answer.status == 500
    assert "the file ends 14 bytes early" in caplog.text


@pytest.mark.parametrize("kernel", [True, False])
async def test_a_file_that_becomes_shorter_while_it_is_sent(
    setup: Setup,
    tmp_path: Path,
    kernel: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(sendfile, "AVAILABLE", kernel)
    path = tmp_path / "huge"
    with path.open("wb") as file:
        file.truncate(1 << 26)
    with caplog.at_level(logging.ERROR):
        async with setup.serve(app_of(sends(path))) as site:
            client = await site.connect(SLOW)
            answer = client.request(hold=True)
            await answer.head_came.wait()
            os.truncate(path, 1000)
            answer.hold = False
            answer.acknowledge(len(answer.body))
            await answer.broken()
            assert len(answer.body) < 1 << 26
    assert "bytes early" in caplog.text


SLOW = Config(limits=Limits(read_high_water=65536, stream_window=65535, connection_window=65535))
