"""Downloads to a file: complete or not there, and resumed where the server allows it."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import gzip
import hashlib
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import plait
from plait import web
from tests.conftest import Authority
from tests.serving import serve
from tests.sessions import H1, H2C, Way

pytestmark = pytest.mark.anyio

CONTENT = bytes(range(256)) * 4000
ETAG = '"v1"'

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Site = Callable[[Handler], AbstractAsyncContextManager[tuple[plait.ClientSession, str]]]


@pytest.fixture(params=[H1, H2C], ids=str)
def site(request: pytest.FixtureRequest, authority: Authority) -> Site:
    """Return what serves a handler, with a session of one version beside it."""
    way: Way = request.param

    @asynccontextmanager
    async def open_site(handler: Handler) -> AsyncIterator[tuple[plait.ClientSession, str]]:
        app = web.Application()
        app.router.add_get("/{tail:.*}", handler)
        async with (
            serve(app, shutdown_timeout=0.1) as served,
            way.open_session(authority) as session,
        ):
            yield session, f"{served.url}/"
            connector = session.connector
            assert connector is not None
            assert connector.stats().streams == 0

    return open_site


class Origin:
    """Serves ``CONTENT``, and breaks off after ``cuts`` bytes of a response, if there are any."""

    def __init__(self, *cuts: int | None, etag: str | None = ETAG, ranges: bool = True) -> None:
        self.cuts = list(cuts)
        self.etag = etag
        self.ranges = ranges
        self.content = CONTENT
        self.asked: list[tuple[str | None, str | None]] = []
        self.paused = asyncio.Event()

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        asked = request.headers.get("Range")
        self.asked.append((asked, request.headers.get("If-Range")))
        assert request.headers["Accept-Encoding"] == "identity"
        start = 0
        headers = {} if self.etag is None else {"ETag": self.etag}
        if self.ranges and asked and request.headers.get("If-Range") == self.etag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            total = len(self.content)
            if start >= total:
                headers["Content-Range"] = f"bytes */{total}"
                return web.Response(status=416, headers=headers)
            headers["Content-Range"] = f"bytes {start}-{total - 1}/{total}"
        response = web.StreamResponse(status=206 if start else 200, headers=headers)
        response.content_length = len(self.content) - start
        await response.prepare(request)
        cut = self.cuts.pop(0) if self.cuts else None
        if cut is None:
            await response.write(self.content[start:])
            return response
        await response.write(self.content[start : start + cut])
        await self.pause(request)
        return response

    async def pause(self, request: web.Request) -> None:
        await asyncio.sleep(0.05)  # What was written leaves, then the connection breaks.
        assert request.transport is not None
        request.transport.abort()


class Stalling(Origin):
    """Falls silent where ``Origin`` breaks off."""

    async def pause(self, request: web.Request) -> None:
        self.paused.set()
        await asyncio.sleep(60)


def note_of(url: str) -> str:
    """Return what is noted beside a part of what ``url`` names."""
    digest = hashlib.sha256(url.encode()).hexdigest()
    return json.dumps({"url_sha256": digest, "etag": ETAG})


def beside(path: Path) -> list[str]:
    """Return what lies beside ``path``."""
    return sorted(found.name for found in path.parent.iterdir() if found != path)


async def test_a_file(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    seen: list[tuple[int, int | None]] = []
    async with site(Origin()) as (session, url):
        done = await session.download(
            url, str(path), progress=lambda size, total: seen.append((size, total))
        )
    assert (done.path, done.size, done.resumed_at) == (path, len(CONTENT), 0)
    assert path.read_bytes() == CONTENT
    assert beside(path) == []
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert seen == sorted(seen)


async def test_a_file_that_was_cut_short_goes_on(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "file"
    origin = Origin(300_000, 100_000)
    async with site(origin) as (session, url):
        for expected in (300_000, 400_000):
            with pytest.raises(plait.ClientPayloadError):
                await session.download(url, path)
            assert not path.exists()
            assert beside(path) == ["file.part", "file.part.json"]
            assert (tmp_path / "file.part").read_bytes() == CONTENT[:expected]
        seen: list[int] = []
        done = await session.download(url, path, progress=lambda size, total: seen.append(size))
    assert (done.size, done.resumed_at, seen[0]) == (len(CONTENT), 400_000, 400_000)
    assert path.read_bytes() == CONTENT
    assert beside(path) == []
    assert origin.asked == [
        (None, None),
        ("bytes=300000-", ETAG),
        ("bytes=400000-", ETAG),
    ]


async def test_the_credentials_of_a_url_are_not_noted(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "file"
    async with site(Origin(300_000)) as (session, url):
        url = url.replace("://", "://user:secret@") + "?token=secret"
        with pytest.raises(plait.ClientPayloadError):
            await session.download(url, path)
        assert "secret" not in (tmp_path / "file.part.json").read_text()
        done = await session.download(url, path)
    assert done.resumed_at == 300_000


@pytest.mark.skipif(not hasattr(os, "O_NOFOLLOW"), reason="links are followed there")
@pytest.mark.parametrize("name", ["file.part", "file.part.json"])
async def test_no_link_beside_the_target_is_followed(site: Site, tmp_path: Path, name: str) -> None:
    """Whoever may write into the folder could have put it there."""
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / name).symlink_to(victim)
    async with site(Origin(None)) as (session, url):
        with pytest.raises(OSError, match="symbolic") as caught:
            await session.download(url, tmp_path / "file")
    assert caught.value.errno == errno.ELOOP
    assert victim.read_text() == "precious"


async def test_a_file_system_without_locks(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is an error, and no file stays open (which would be a warning)."""

    def refuse(file: object, how: int) -> None:
        raise OSError(errno.ENOLCK, "no locks available")

    monkeypatch.setattr("fcntl.flock", refuse)
    async with site(Origin()) as (session, url):
        with pytest.raises(OSError, match="no locks"):
            await session.download(url, tmp_path / "file")
    gc.collect()


async def test_a_file_that_changed_begins_anew(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "file"
    origin = Origin(300_000)
    async with site(origin) as (session, url):
        with pytest.raises(plait.ClientPayloadError):
            await session.download(url, path)
        origin.etag, origin.content = '"v2"', b"new" * 1000
        done = await session.download(url, path)
    assert (done.size, done.resumed_at) == (3000, 0)
    assert path.read_bytes() == origin.content
    assert len(origin.asked) == 2


@pytest.mark.parametrize("etag", [None, 'W/"v1"'])
async def test_without_a_strong_tag_nothing_is_left(
    site: Site, tmp_path: Path, etag: str | None
) -> None:
    path = tmp_path / "file"
    origin = Origin(300_000, etag=etag)
    async with site(origin) as (session, url):
        with pytest.raises(plait.ClientPayloadError):
            await session.download(url, path)
        assert beside(path) == []
        await session.download(url, path)
    assert path.read_bytes() == CONTENT
    assert origin.asked == [(None, None)] * 2


async def test_what_is_complete_is_not_fetched_again(site: Site, tmp_path: Path) -> None:
    """A program that ended before the file got its name."""
    path = tmp_path / "file"
    origin = Origin(300_000)
    async with site(origin) as (session, url):
        with pytest.raises(plait.ClientPayloadError):
            await session.download(url, path)
        (tmp_path / "file.part").write_bytes(CONTENT)
        done = await session.download(url, path)
        assert (done.size, done.resumed_at) == (len(CONTENT), len(CONTENT))
        (tmp_path / "file.part").write_bytes(CONTENT + b"more")
        (tmp_path / "file.part.json").write_text(note_of(url))
        done = await session.download(url, path)
        assert (done.size, done.resumed_at) == (len(CONTENT), 0)
    assert path.read_bytes() == CONTENT
    assert [asked for asked, _ in origin.asked] == [
        None,
        f"bytes={len(CONTENT)}-",
        f"bytes={len(CONTENT) + 4}-",
        None,
    ]


@pytest.mark.parametrize(
    "note",
    [
        None,
        "",
        "no JSON",
        "[]",
        '{"url_sha256": 1}',
        b"\xff",
        note_of("http://other/"),
    ],
)
async def test_a_part_of_something_else(
    site: Site, tmp_path: Path, note: str | bytes | None
) -> None:
    path = tmp_path / "file"
    (tmp_path / "file.part").write_bytes(b"whatever")
    if note is not None:
        (tmp_path / "file.part.json").write_bytes(
            note if isinstance(note, bytes) else note.encode()
        )
    origin = Origin()
    async with site(origin) as (session, url):
        await session.download(url, path)
    assert path.read_bytes() == CONTENT
    assert beside(path) == []
    assert origin.asked == [(None, None)]


async def test_going_on_is_an_option(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "file"
    origin = Origin(300_000)
    async with site(origin) as (session, url):
        with pytest.raises(plait.ClientPayloadError):
            await session.download(url, path)
        done = await session.download(url, path, resume=False)
    assert (done.resumed_at, path.read_bytes()) == (0, CONTENT)
    assert origin.asked == [(None, None)] * 2


async def test_the_status_is_its_own_matter(site: Site, tmp_path: Path) -> None:
    async with site(Origin()) as (session, url):
        with pytest.raises(TypeError, match="raise_for_status"):
            await session.download(url, tmp_path / "file", raise_for_status=True)
    assert beside(tmp_path / "file") == []


async def test_a_cancelled_download_keeps_its_part(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "file"
    begun = asyncio.Event()
    async with site(Stalling(300_000)) as (session, url):
        task = asyncio.ensure_future(
            session.download(url, path, progress=lambda size, total: size and begun.set())
        )
        await begun.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        size = (tmp_path / "file.part").stat().st_size
        done = await session.download(url, path)
    assert done.resumed_at == size
    assert path.read_bytes() == CONTENT


async def test_a_download_may_be_cancelled_at_any_point(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "file"
    async with site(Origin()) as (session, url):
        for turns in range(40):
            task = asyncio.ensure_future(session.download(url, path))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            assert not path.exists() or path.read_bytes() == CONTENT
            await session.download(url, path)
            assert path.read_bytes() == CONTENT
            assert beside(path) == []
            path.unlink()


async def test_one_download_at_a_time_has_a_target(site: Site, tmp_path: Path) -> None:
    path = tmp_path / "file"
    origin = Stalling(300_000)
    async with site(origin) as (session, url):
        task = asyncio.ensure_future(session.download(url, path))
        await origin.paused.wait()
        with pytest.raises(BlockingIOError, match=r"another download to .*file is under way"):
            await session.download(url, path)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await session.download(url, path)
    assert path.read_bytes() == CONTENT


async def test_an_error_leaves_what_is_there(site: Site, tmp_path: Path) -> None:
    async def fail(request: web.Request) -> web.StreamResponse:
        raise web.HTTPNotFound

    path = tmp_path / "file"
    path.write_bytes(b"old")
    part, note = tmp_path / "file.part", tmp_path / "file.part.json"
    part.write_bytes(b"part")
    async with site(fail) as (session, url):
        note.write_text(note_of(url))
        with pytest.raises(plait.ClientResponseError, match="404"):
            await session.download(url, path)
        assert (path.read_bytes(), part.read_bytes()) == (b"old", b"part")
        note.unlink()
        with pytest.raises(plait.ClientResponseError, match="404"):
            await session.download(url, path)
        assert path.read_bytes() == b"old"
        assert beside(path) == []


async def test_content_that_is_encoded_all_the_same(site: Site, tmp_path: Path) -> None:
    async def encoded(request: web.Request) -> web.Response:
        headers = {"Content-Encoding": "gzip", "ETag": ETAG}
        return web.Response(body=gzip.compress(CONTENT), headers=headers)

    async with site(encoded) as (session, url):
        done = await session.download(url, tmp_path / "file")
    assert done.size == len(CONTENT)
    assert done.path.read_bytes() == CONTENT


async def test_progress_may_be_awaited(site: Site, tmp_path: Path) -> None:
    seen: list[int] = []

    async def progress(size: int, total: int | None) -> None:
        await asyncio.sleep(0)
        seen.append(size)

    async with site(Origin()) as (session, url):
        await session.download(url, tmp_path / "file", progress=progress)
    assert (seen[0], seen[-1]) == (0, len(CONTENT))


async def test_what_progress_raises_ends_the_download(site: Site, tmp_path: Path) -> None:
    def refuse(size: int, total: int | None) -> None:
        if size:
            raise KeyError("enough")

    async with site(Origin()) as (session, url):
        with pytest.raises(KeyError, match="enough"):
            await session.download(url, tmp_path / "file", progress=refuse)
        assert beside(tmp_path / "file") == ["file.part", "file.part.json"]


async def test_a_file_of_plait_s_own_server(site: Site, tmp_path: Path) -> None:
    served = tmp_path / "served"
    content = CONTENT * 16  # More than comes before the reader reads.
    served.write_bytes(content)
    seen: list[Any] = []

    async def send(request: web.Request) -> web.FileResponse:
        seen.append((request.query_string, request.headers.get("Range")))
        return web.FileResponse(served)

    path = tmp_path / "file"

    class Enough(Exception):
        pass

    def stop(size: int, total: int | None) -> None:
        if size > 100_000:
            raise Enough

    async with site(send) as (session, url):
        with pytest.raises(Enough):
            await session.download(url, path, params={"a": "b"}, progress=stop)
        size = (tmp_path / "file.part").stat().st_size
        done = await session.download(f"{url}?a=b", path)
    assert (done.resumed_at, done.size) == (size, len(content))
    assert path.read_bytes() == content
    assert seen == [("a=b", None), ("a=b", f"bytes={size}-")]


async def test_a_whole_file_that_had_no_time_for_its_name(site: Site, tmp_path: Path) -> None:
    served = tmp_path / "served"
    served.write_bytes(CONTENT)
    seen: list[Any] = []

    async def send(request: web.Request) -> web.FileResponse:
        seen.append(request.headers.get("Range"))
        return web.FileResponse(served)

    path = tmp_path / "file"

    def stop(size: int, total: int | None) -> None:
        if size == total:
            raise TimeoutError

    async with site(send) as (session, url):
        with pytest.raises(TimeoutError):
            await session.download(url, path, progress=stop)
        done = await session.download(url, path)
    assert (done.resumed_at, done.size) == (len(CONTENT), len(CONTENT))
    assert path.read_bytes() == CONTENT
    assert seen == [None, f"bytes={len(CONTENT)}-"]


async def test_where_no_file_can_be(site: Site, tmp_path: Path) -> None:
    origin = Origin()
    async with site(origin) as (session, url):
        with pytest.raises(IsADirectoryError):
            await session.download(url, tmp_path)
        with pytest.raises(FileNotFoundError):
            await session.download(url, tmp_path / "nowhere" / "file")
    assert origin.asked == []


async def test_silence_ends_a_download(site: Site, tmp_path: Path) -> None:
    timeout = plait.ClientTimeout(sock_read=0.5)
    async with site(Stalling(300_000)) as (session, url):
        with pytest.raises(plait.SocketTimeoutError):
            await session.download(url, tmp_path / "file", timeout=timeout)
        assert beside(tmp_path / "file") == ["file.part", "file.part.json"]
