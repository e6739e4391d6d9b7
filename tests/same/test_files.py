"""FileResponse and static files, on aiohttp and on plait."""

from __future__ import annotations

import gzip
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.adapters.web_peer import Answer
from tests.same.conftest import Library
from tests.same.tools import fields

pytestmark = pytest.mark.anyio

TEXT = b"0123456789" * 10
MODIFIED = 1577934245
DATE = "Thu, 02 Jan 2020 03:04:05 GMT"
BEFORE = "Thu, 02 Jan 2020 03:04:04 GMT"
AFTER = "Thu, 02 Jan 2020 03:04:06 GMT"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with some files."""
    root = tmp_path / "root"
    (root / "below").mkdir(parents=True)
    (tmp_path / "secret.txt").write_bytes(b"secret")
    for name in ("a.txt", "below/b.html", "c.tar.gz", "plain", "sp ace.css", "with.js"):
        (root / name).write_bytes(TEXT)
    (root / "with.js.gz").write_bytes(gzip.compress(TEXT))
    (root / "empty.txt").write_bytes(b"")
    for path in root.rglob("*"):
        os.utime(path, (MODIFIED, MODIFIED))
    return root


async def file_of(
    library: Library, path: Path, asked: Any = (), method: str = "GET", **options: Any
) -> Answer:
    async def handler(request: Any) -> Any:
        return library.web.FileResponse(path, **options)

    return await library.fetch(handler, method, "/", asked)


def tag_of(path: Path) -> str:
    stat = path.stat()
    return f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'


# -- FileResponse ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content_type", "coding"),
    [
        ("a.txt", "text/plain", None),
        ("below/b.html", "text/html", None),
        ("plain", "application/octet-stream", None),
        ("empty.txt", "text/plain", None),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_a_file(
    library: Library, folder: Path, name: str, content_type: str, coding: str | None, method: str
) -> None:
    path = folder / name
    answer = await file_of(library, path, method=method)
    data = path.read_bytes()
    assert answer.status == 200
    assert answer.body == (data if method == "GET" else b"")
    assert fields(answer) == {
        "accept-ranges": "bytes",
        "content-length": str(len(data)),
        "content-type": content_type,
        "etag": tag_of(path),
        "last-modified": DATE,
    }


async def test_headers_and_status(library: Library, folder: Path) -> None:
    answer = await file_of(
        library,
        folder / "a.txt",
        status=201,
        headers={"Content-Type": "a/b", "Content-Disposition": "attachment", "X": "1"},
        chunk_size=7,
    )
    assert (answer.status, answer.body) == (201, TEXT)
    assert answer.header("content-type") == "a/b"
    assert answer.header("content-disposition") == "attachment"
    assert answer.header("x") == "1"


@pytest.mark.parametrize(
    ("field", "start", "stop"),
    [
        ("bytes=0-9", 0, 10),
        ("bytes=90-", 90, 100),
        ("bytes=-5", 95, 100),
        ("bytes=95-1000", 95, 100),
        ("bytes=0-0", 0, 1),
        ("bytes=-1000", 0, 100),
    ],
)
async def test_ranges(library: Library, folder: Path, field: str, start: int, stop: int) -> None:
    answer = await file_of(library, folder / "a.txt", [("Range", field)])
    assert (answer.status, answer.body) == (206, TEXT[start:stop])
    assert answer.header("content-range") == f"bytes {start}-{stop - 1}/100"
    assert answer.header("content-length") == str(stop - start)
    assert answer.header("accept-ranges") == "bytes"


@pytest.mark.parametrize("field", ["bytes=100-", "bytes=1000-2000"])
async def test_ranges_that_are_not_there(library: Library, folder: Path, field: str) -> None:
    answer = await file_of(library, folder / "a.txt", [("Range", field)])
    assert answer.status == 416
    assert answer.header("content-range") == "bytes */100"


@pytest.mark.parametrize(
    ("conditions", "status"),
    [
        ([("If-Modified-Since", DATE)], 304),
        ([("If-Modified-Since", AFTER)], 304),
        ([("If-Modified-Since", BEFORE)], 200),
        ([("If-Modified-Since", "nonsense")], 200),
        ([("If-Unmodified-Since", DATE)], 200),
        ([("If-Unmodified-Since", BEFORE)], 412),
        ([("If-None-Match", "TAG")], 304),
        ([("If-None-Match", "W/TAG")], 304),
        ([("If-None-Match", "*")], 304),
        ([("If-None-Match", '"other"')], 200),
        ([("If-None-Match", '"other"'), ("If-Modified-Since", AFTER)], 200),
        ([("If-Match", "TAG")], 200),
        ([("If-Match", "*")], 200),
        ([("If-Match", '"other"')], 412),
        ([("If-Match", "TAG"), ("If-Unmodified-Since", BEFORE)], 200),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_conditions(
    library: Library, folder: Path, conditions: list[tuple[str, str]], status: int, method: str
) -> None:
    path = folder / "a.txt"
    asked = [(name, value.replace("TAG", tag_of(path))) for name, value in conditions]
    answer = await file_of(library, path, asked, method)
    assert answer.status == status
    assert answer.body == (TEXT if status == 200 and method == "GET" else b"")
    if status == 304:
        assert answer.header("etag") == tag_of(path)
        assert answer.header("last-modified") == DATE


@pytest.mark.parametrize(("if_range", "status"), [(DATE, 206), (BEFORE, 200)])
async def test_if_range(library: Library, folder: Path, if_range: str, status: int) -> None:
    answer = await file_of(
        library, folder / "a.txt", [("Range", "bytes=0-4"), ("If-Range", if_range)]
    )
    assert answer.status == status


@pytest.mark.parametrize(("accept", "coding"), [("gzip", "gzip"), ("identity", None), (None, None)])
async def test_a_compressed_sibling(
    library: Library, folder: Path, accept: str | None, coding: str | None
) -> None:
    asked = [("Accept-Encoding", accept)] if accept else []
    answer = await file_of(library, folder / "with.js", asked)
    assert answer.header("content-encoding") == coding
    body = gzip.decompress(answer.body) if coding else answer.body
    assert body == TEXT
    kinds = {"text/javascript", "application/javascript"}
    assert answer.header("content-type") in kinds
    if coding:
        assert answer.header("vary") == "Accept-Encoding"


async def test_a_file_that_is_compressed_on_the_way(library: Library, folder: Path) -> None:
    async def handler(request: Any) -> Any:
        response = library.web.FileResponse(folder / "a.txt")
        response.enable_compression()
        return response

    answer = await library.fetch(handler, "GET", "/", [("Accept-Encoding", "gzip")])
    assert answer.header("content-encoding") == "gzip"
    assert gzip.decompress(answer.body) == TEXT


async def test_a_compressed_file_by_its_name(library: Library, folder: Path) -> None:
    answer = await file_of(library, folder / "c.tar.gz")
    assert answer.body == TEXT
    assert answer.header("content-encoding") is None
    assert answer.header("content-type") in {"application/gzip", "application/x-tar"}


async def test_what_is_not_there(library: Library, folder: Path) -> None:
    assert (await file_of(library, folder / "none")).status == 404


async def test_what_is_no_file(library: Library, folder: Path) -> None:
    assert (await file_of(library, folder / "below")).status == 403


# -- static files ------------------------------------------------------------------------------


async def static_of(library: Library, folder: Path, *requests: str, **options: Any) -> list[Any]:
    """Return the body of each answer to requests like ``"GET /s/a.txt"``, or its status."""
    app = library.web.Application()
    app.router.add_static("/s", folder, **options)
    found: list[Any] = []
    async with library.serve(app) as site:
        for request in requests:
            method, _, target = request.partition(" ")
            answer = await (await site.connect()).fetch(method, target)
            found.append(answer.body if answer.status == 200 else answer.status)
    return found


async def test_static_files(library: Library, folder: Path) -> None:
    assert await static_of(
        library,
        folder,
        "GET /s/a.txt",
        "GET /s/below/b.html",
        "GET /s/sp%20ace.css",
        "HEAD /s/a.txt",
        "POST /s/a.txt",
        "GET /s/none",
        "GET /s/below",
        "GET /s",
        "GET /s/",
        "GET /sa.txt",
    ) == [TEXT, TEXT, TEXT, b"", 405, 404, 403, 403, 403, 404]


async def test_static_files_have_ranges_and_conditions(library: Library, folder: Path) -> None:
    app = library.web.Application()
    app.router.add_static("/", folder)
    asked = [("Range", "bytes=0-4")]
    assert (await library.fetch(app, "GET", "/a.txt", asked)).body == TEXT[:5]
    asked = [("If-Modified-Since", DATE)]
    assert (await library.fetch(app, "GET", "/a.txt", asked)).status == 304


@pytest.mark.parametrize(
    "target",
    [
        "/s/../secret.txt",
        "/s/%2e%2e/secret.txt",
        "/s/..%2fsecret.txt",
        "/s/below/../../secret.txt",
        "/s//etc/passwd",
        "/s/%2fetc%2fpasswd",
    ],
)
async def test_no_way_out(library: Library, folder: Path, target: str) -> None:
    (found,) = await static_of(library, folder, f"GET {target}")
    assert found in {403, 404}


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
@pytest.mark.parametrize("follow", [False, True])
async def test_links(library: Library, folder: Path, follow: bool) -> None:
    (folder / "inside").symlink_to(folder / "a.txt")
    (folder / "outside").symlink_to(folder.parent / "secret.txt")
    found = await static_of(
        library, folder, "GET /s/inside", "GET /s/outside", follow_symlinks=follow
    )
    assert found == [TEXT, b"secret" if follow else 404]


async def test_an_index(library: Library, folder: Path) -> None:
    found = await static_of(library, folder, "GET /s", "GET /s/below", show_index=True)
    assert b'href="/s/a.txt"' in found[0]
    assert b"sp ace.css" in found[0] or b"sp%20ace.css" in found[0]
    assert b"b.html" in found[1]


def test_what_a_resource_tells(plain: Library, folder: Path) -> None:
    router = plain.web.Application().router
    resource = router.add_static("/s/", folder, name="static")
    assert isinstance(resource, plain.web.StaticResource)
    assert router["static"] is resource
    assert resource.canonical == "/s"
    assert resource.get_info()["prefix"] == "/s"
    assert resource.get_info()["directory"] == folder
    assert sorted(route.method for route in resource) == ["GET", "HEAD"]
    assert len(resource) == 2
    assert str(resource.url_for(filename="a.txt")) == "/s/a.txt"
    assert str(resource.url_for(filename="sp ace.css")) == "/s/sp%20ace.css"
    assert str(resource.url_for(filename=Path("below/b.html"))) == "/s/below/b.html"
    versioned = resource.url_for(filename="a.txt", append_version=True)
    assert versioned.path == "/s/a.txt"
    assert len(versioned.query["v"]) >= 43
    assert str(resource.url_for(filename="none", append_version=True)) == "/s/none"


@pytest.mark.parametrize("make", [lambda folder: folder / "none", lambda folder: folder / "a.txt"])
def test_the_directory_must_be_there(
    plain: Library, folder: Path, make: Callable[[Path], Path]
) -> None:
    with pytest.raises(ValueError, match=r"."):
        plain.web.Application().router.add_static("/s", make(folder))


async def test_a_definition(library: Library, folder: Path) -> None:
    web = library.web
    routes = web.RouteTableDef()
    routes.static("/t", folder)
    app = web.Application()
    app.add_routes([web.static("/s", folder, name="static")])
    app.add_routes(routes)
    assert (await library.fetch(app, "GET", "/s/a.txt")).body == TEXT
    assert (await library.fetch(app, "GET", "/t/a.txt")).body == TEXT
