"""Static files: which paths are which files, and which are none."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from plait import web
from plait.serving import files
from plait.web_urldispatcher import AbstractResource
from tests.adapters.web_handlers import named
from tests.adapters.web_peer import Answer, Setup

pytestmark = pytest.mark.anyio

H1 = Setup("http/1.1", "native")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A directory with files and links, and what is outside."""
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "root1.txt").write_text("secret sibling")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file.txt").write_text("outside")
    root = tmp_path / "root"
    (root / "folder").mkdir(parents=True)
    (root / "file.txt").write_text("a file")
    (root / "folder" / "inner.html").write_text("inner")
    (root / "with space \u00e9 100%.txt").write_text("odd")
    (root / "link.txt").symlink_to(root / "file.txt")
    (root / "out.txt").symlink_to(tmp_path / "secret.txt")
    (root / "out").symlink_to(tmp_path / "outside")
    (root / "ring").symlink_to(root / "ring")
    return root


def app_with(root: Path, prefix: str = "/static", **options: Any) -> web.Application:
    app = web.Application()
    app.router.add_static(prefix, root, **options)
    return app


async def get(app: web.Application, target: str, method: str = "GET", **options: Any) -> Answer:
    async with H1.serve(app) as site:
        return await (await site.connect()).fetch(method, target, **options)


# -- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "body", "content_type"),
    [
        ("/static/file.txt", b"a file", "text/plain"),
        ("/static/file.txt?v=1", b"a file", "text/plain"),
        ("/static/file%2Etxt", b"a file", "text/plain"),
        ("/static/./file.txt", b"a file", "text/plain"),
        ("/static/folder/inner.html", b"inner", "text/html"),
        ("/static/folder//inner.html", b"inner", "text/html"),
        ("/static/with%20space%20%C3%A9%20100%25.txt", b"odd", "text/plain"),
        ("/static/link.txt", b"a file", "text/plain"),
    ],
)
async def test_files(setup: Setup, root: Path, target: str, body: bytes, content_type: str) -> None:
    async with setup.serve(app_with(root)) as site:
        client = await site.connect()
        answer = await client.fetch(target=target)
        assert (answer.status, answer.body) == (200, body)
        assert answer.header("content-type") == content_type
        tag = answer.header("etag")
        assert tag is not None
        answer = await client.fetch("HEAD", target)
        assert (answer.status, answer.body) == (200, b"")
        assert answer.header("content-length") == str(len(body))
        answer = await client.fetch(target=target, headers=(("If-None-Match", tag),))
        assert answer.status == 304
        answer = await client.fetch(target=target, headers=(("Range", "bytes=1-2"),))
        assert (answer.status, answer.body) == (206, body[1:3])


async def test_a_name_that_is_not_utf_8(root: Path) -> None:
    (root / os.fsdecode(b"\xff.txt")).write_text("odd")
    async with H1.serve(app_with(root, show_index=True)) as site:
        client = await site.connect()
        assert (await client.fetch(target="/static/%FF.txt")).body == b"odd"
        index = (await client.fetch(target="/static/")).body.decode()
        assert '<a href="/static/%FF.txt">\ufffd.txt</a>' in index


async def test_other_methods(setup: Setup, root: Path) -> None:
    async with setup.serve(app_with(root)) as site:
        client = await site.connect()
        answer = await client.fetch("POST", "/static/file.txt")
        assert answer.status == 405
        assert answer.header("allow") == "GET,HEAD"


async def test_the_files_of_the_root(root: Path) -> None:
    app = app_with(root, "/")
    app.router.add_get("/api", named("api"))
    async with H1.serve(app) as site:
        client = await site.connect()
        assert (await client.fetch(target="/file.txt")).body == b"a file"
        assert (await client.fetch(target="/folder/inner.html")).body == b"inner"
        assert (await client.fetch(target="/api")).body == b"api"
        assert (await client.fetch(target="/")).status == 403
        assert (await client.fetch(target="//file.txt")).status == 404


async def test_in_a_sub_application(root: Path) -> None:
    inner, app = app_with(root, name="files"), web.Application()
    app.add_subapp("/sub", inner)
    assert inner.router["files"].url_for(filename="file.txt") == URL("/sub/static/file.txt")
    assert (await get(app, "/sub/static/file.txt")).body == b"a file"
    assert (await get(app, "/static/file.txt")).status == 404


async def test_siblings(root: Path) -> None:
    (root / "file.txt.gz").write_bytes(gzip.compress(b"packed"))
    (root / "only.txt.gz").write_bytes(gzip.compress(b"packed"))
    (root / "link.txt.gz").write_bytes(gzip.compress(b"beside the link"))
    app = app_with(root)
    accepts = {"headers": (("Accept-Encoding", "gzip"),)}
    for name in ("file.txt", "only.txt", "link.txt"):  # A link is what it leads to.
        answer = await get(app, f"/static/{name}", **accepts)
        assert gzip.decompress(answer.body) == b"packed"
        assert answer.header("content-type") == "text/plain"
    assert (await get(app, "/static/only.txt")).status == 404


async def test_a_sibling_that_leads_out(root: Path) -> None:
    """Attack A5."""
    (root / "file.txt.gz").symlink_to(root.parent / "secret.txt")
    accepts = {"headers": (("Accept-Encoding", "gzip"),)}
    for options in ({}, {"follow_symlinks": True}):
        answer = await get(app_with(root, **options), "/static/file.txt", **accepts)
        assert (answer.status, answer.body) == (200, b"a file")


async def test_what_comes_of_a_middleware(root: Path) -> None:
    @web.middleware
    async def cache(request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            response: web.StreamResponse = await handler(request)
        except web.HTTPNotFound:
            return web.Response(text="not here", status=404)
        response.headers["Cache-Control"] = "max-age=60"
        return response

    app = app_with(root)
    app.middlewares.append(cache)
    assert (await get(app, "/static/file.txt")).header("cache-control") == "max-age=60"
    assert (await get(app, "/static/out.txt")).body == b"not here"


# -- no files -----------------------------------------------------------------------------------

ESCAPES = [
    # A1: up
    "/static/../secret.txt",
    "/static/%2e%2e/secret.txt",
    "/static/%2E%2E/secret.txt",
    "/static/.%2e/secret.txt",
    "/static/..%2fsecret.txt",
    "/static/..%2Fsecret.txt",
    "/static/%2e%2e%2fsecret.txt",
    "/static/..%5csecret.txt",
    "/static/%2e%2e%5csecret.txt",
    "/static/%252e%252e/secret.txt",
    "/static/%252e%252e%252fsecret.txt",
    "/static/%%32%65%%32%65/secret.txt",
    "/static/....//secret.txt",
    "/static/.../secret.txt",
    "/static/folder/../../secret.txt",
    "/static/folder/..%2f..%2fsecret.txt",
    "/static/%c0%ae%c0%ae/secret.txt",
    "/static/..%c0%afsecret.txt",
    "/static/%ff/%2e%2e/%2e%2e/secret.txt",
    "/static/..;/secret.txt",
    "/static/link.txt/../../secret.txt",
    # A4: what only begins like the directory
    "/static/../root1.txt",
    "/static1.txt",
    "/static/../root/../root1.txt",
    # out by links
    "/static/out.txt",
    "/static/out/file.txt",
    "/static/out/../../secret.txt",
    "/static/ring",
    "/static/ring/file.txt",
]


@pytest.mark.parametrize("target", ESCAPES)
async def test_no_way_out(setup: Setup, root: Path, target: str) -> None:
    """Attacks A1 and A4."""
    async with setup.serve(app_with(root)) as site:
        answer = await (await site.connect()).fetch(target=target)
        assert answer.status == 404
        assert b"secret" not in answer.body


@pytest.mark.parametrize("target", [target for target in ESCAPES if "/out" not in target])
async def test_no_way_out_where_links_are_followed(root: Path, target: str) -> None:
    answer = await get(app_with(root, follow_symlinks=True), target)
    assert answer.status == 404


async def test_ways_out_that_are_meant(root: Path) -> None:
    app = app_with(root, follow_symlinks=True)
    assert (await get(app, "/static/out.txt")).body == b"secret"
    assert (await get(app, "/static/out/file.txt")).body == b"outside"
    assert (await get(app, "/static/out/../secret.txt")).status == 404


@pytest.mark.parametrize("place", ["root/file.txt", "secret.txt", "nothing.txt"])
async def test_what_exists_elsewhere_cannot_be_found_out(root: Path, place: str) -> None:
    """Attack A2: a path that leaves the prefix and comes back."""
    path = root.parent / place
    up = "/.." * 20
    for target in (f"/static{up}{path}", f"/static/{up}{path}", f"/static/{path}"):
        answer = await get(app_with(root), target)
        assert (answer.status, answer.body) == (404, b"404: Not Found")


@pytest.mark.parametrize(
    "target",
    [
        "/static//etc/passwd",
        "/static///etc/passwd",
        "/static/%2Fetc%2Fpasswd",
        "/static//server/share/x",
        "/static/%5C%5Cserver%5Cshare",
        "/static/C:/x",
        "/static/c%3a/x",
        "/static/c%3Ax",
        "/static/..%5Cx",
        "/static/../x",
    ],
)
async def test_no_file_is_looked_at_for_what_is_no_name(
    root: Path, target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack A3: a path that another system takes for absolute must not even be looked up."""

    def refuse(*args: Any) -> None:
        raise AssertionError("a file was looked at")

    app = app_with(root)
    monkeypatch.setattr(web.StaticResource, "_locate", refuse)
    assert (await get(app, target)).status == 404


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("/static/a%00b", 400),
        ("/static/file.txt%00", 400),
        ("/static/a%0d%0aSet-Cookie:x", 400),
        ("/static/" + "x" * 5000, 404),
        ("/static/" + "x/" * 2500, 404),
        ("/static/file.txt/more", 404),
        ("/static/nothing", 404),
        ("/static/nothing/", 404),
        ("/static/folder", 403),
        ("/static/folder/", 403),
        ("/static/", 403),
        ("/static", 403),
        ("/static/pipe", 403),
        ("/static/socket", 403),
    ],
)
async def test_what_is_no_file(setup: Setup, root: Path, target: str, status: int) -> None:
    """Attack A9."""
    os.mkfifo(root / "pipe")
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(root / "socket"))
    async with setup.serve(app_with(root)) as site:
        answer = await (await site.connect()).fetch(target=target)
        assert answer.status == status


async def test_what_must_not_be_read(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **options: Any) -> Any:
        raise PermissionError

    app = app_with(root, show_index=True)
    monkeypatch.setattr(Path, "iterdir", refuse)  # The tests may run as root, who may read all.
    assert (await get(app, "/static/folder")).status == 403
    monkeypatch.setattr(Path, "is_dir", refuse)
    assert (await get(app, "/static/folder/inner.html")).status == 403


@pytest.mark.parametrize("moment", ["stat", "open"])
async def test_a_link_that_takes_the_place_of_a_file(
    root: Path, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Attack A10: between two looks at it."""
    real = getattr(os, moment)

    def swap(path: Any, *args: Any, **options: Any) -> Any:
        if path == str(root / "file.txt") and not os.path.islink(path):
            os.unlink(path)
            os.symlink(root.parent / "secret.txt", path)
        return real(path, *args, **options)

    app = app_with(root)
    monkeypatch.setattr(files.os, moment, swap)
    found = await get(app, "/static/file.txt")
    assert found.status in (403, 404)
    assert b"secret" not in found.body


def open_files() -> list[str]:
    """Return the paths of what this process has open."""
    paths = []
    for descriptor in os.listdir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):  # That of the listing itself.
            paths.append(os.readlink(f"/proc/self/fd/{descriptor}"))
    return paths


async def test_a_file_that_a_middleware_does_not_send_is_closed(root: Path) -> None:
    @web.middleware
    async def refuse(request: web.Request, handler: Any) -> web.StreamResponse:
        await handler(request)
        raise web.HTTPUnauthorized

    app = app_with(root)
    app.middlewares.append(refuse)
    async with H1.serve(app) as site:
        client = await site.connect()
        for _ in range(5):
            assert (await client.fetch(target="/static/file.txt")).status == 401
        # The threads that opened the file have forgotten it, too.
        await asyncio.get_running_loop().shutdown_default_executor()
        assert str(root / "file.txt") not in open_files()


@pytest.mark.parametrize(
    "field", ["bytes=" + "0-," * 1000, "bytes=" + "0-1," * 1000, "bytes=4-\u096b"]
)
async def test_ranges_that_are_an_attack(root: Path, field: str) -> None:
    """Attack A8."""
    answer = await get(app_with(root), "/static/file.txt", headers=(("Range", field),))
    assert answer.status in (200, 416)
    assert len(answer.body) <= len(b"a file")


async def test_many_entity_tags(root: Path) -> None:
    """Attack A11."""
    field = ",".join(f'W/"{number}"' for number in range(900))
    answer = await get(app_with(root), "/static/file.txt", headers=(("If-None-Match", field),))
    assert answer.status == 200


# -- the index ------------------------------------------------------------------------------------


async def test_an_index(setup: Setup, root: Path) -> None:
    (root / "out.txt").unlink()
    (root / "ring").unlink()
    async with setup.serve(app_with(root, show_index=True)) as site:
        client = await site.connect()
        for target in ("/static", "/static/"):
            answer = await client.fetch(target=target)
            assert answer.status == 200
            assert answer.header("content-type") == "text/html; charset=utf-8"
            assert answer.body.decode() == (
                "<html>\n<head>\n<title>Index of /.</title>\n</head>\n"
                "<body>\n<h1>Index of /.</h1>\n<ul>\n"
                '<li><a href="/static/file.txt">file.txt</a></li>\n'
                '<li><a href="/static/folder">folder/</a></li>\n'
                '<li><a href="/static/link.txt">link.txt</a></li>\n'
                '<li><a href="/static/out">out/</a></li>\n'
                '<li><a href="/static/with%20space%20%C3%A9%20100%25.txt">'
                "with space \u00e9 100%.txt</a></li>\n"
                "</ul>\n</body>\n</html>"
            )
        answer = await client.fetch("HEAD", "/static")
        assert (answer.status, answer.body) == (200, b"")
        answer = await client.fetch(target="/static/folder/")
        assert b"Index of /folder" in answer.body
        assert b'<a href="/static/folder/inner.html">inner.html</a>' in answer.body
        assert (await client.fetch(target="/static/out")).status == 404


async def test_an_index_outside(root: Path) -> None:
    """A link was followed: the index is that of the place it leads to."""
    answer = await get(app_with(root, show_index=True, follow_symlinks=True), "/static/out")
    assert answer.status == 200
    assert b'<a href="/static/out/file.txt">file.txt</a>' in answer.body


async def test_names_that_are_an_attack(root: Path) -> None:
    """Attack A6."""
    folder = root / "<b>"
    folder.mkdir()
    for name in ("<img src=x onerror=alert(1)>", "\"'&lt;.txt", "a\u202etxt.exe", "tab\tline"):
        (folder / name).write_text("x")
    app = app_with(root, show_index=True)
    page = (await get(app, "/static/%3Cb%3E")).body.decode()
    assert "<h1>Index of /&lt;b&gt;</h1>" in page
    assert "<img" not in page
    assert '<a href="/static/%3Cb%3E/%3Cimg%20src=x%20onerror=alert(1)%3E">' in page
    assert ">&lt;img src=x onerror=alert(1)&gt;</a>" in page
    assert ">&quot;&#x27;&amp;lt;.txt</a>" in page
    assert '&#x27;&amp;lt;.txt">' in page
    assert "\u202e" not in page
    assert "\t" not in page
    links = [part.partition('"')[0] for part in page.split('href="')[1:]]
    async with H1.serve(app) as site:
        client = await site.connect()
        for link in links:
            target = link.replace("&#x27;", "'").replace("&amp;", "&")
            assert (await client.fetch(target=target)).body == b"x"


# -- the resource ---------------------------------------------------------------------------------


def resource_of(root: Path, prefix: str = "/static", **options: Any) -> Any:
    return web.UrlDispatcher().add_static(prefix, root, **options)


def test_the_directory_must_be_there(root: Path) -> None:
    with pytest.raises(ValueError, match="does not exist"):
        resource_of(root / "nothing")
    with pytest.raises(ValueError, match="does not exist"):
        resource_of(root / "file.txt" / "x")
    with pytest.raises(ValueError, match="is not a directory"):
        resource_of(root / "file.txt")
    with pytest.raises(ValueError, match="must start with '/'"):
        resource_of(root, "static")


def test_the_directory_is_absolute(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(root.parent))
    assert resource_of(Path("~/root")).get_info()["directory"] == root.resolve()


def test_what_a_resource_tells(root: Path) -> None:
    router = web.UrlDispatcher()
    resource = router.add_static("/static/", root, name="files")
    assert isinstance(resource, web.StaticResource)
    assert router["files"] is resource
    assert resource.canonical == "/static"
    assert len(resource) == 2
    assert {route.method for route in resource} == {"GET", "HEAD"}
    assert resource.get_info() == {
        "directory": root.resolve(),
        "prefix": "/static",
        "routes": {route.method: route for route in resource},
    }
    assert not resource.raw_match("/static")
    assert repr(resource).startswith("<StaticResource 'files' /static -> ")
    assert repr(resource_of(root)).startswith("<StaticResource  /static -> ")


@pytest.mark.parametrize(
    ("filename", "url"),
    [
        ("file.txt", "/static/file.txt"),
        ("/file.txt", "/static/file.txt"),
        (Path("folder/inner.html"), "/static/folder/inner.html"),
        ("a b/\u00e9%2F?#.txt", "/static/a%20b/%C3%A9%252F%3F%23.txt"),
    ],
)
def test_url_for(root: Path, filename: Any, url: str) -> None:
    assert resource_of(root).url_for(filename=filename) == URL(url, encoded=True)


def test_url_for_with_a_version(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    resource = resource_of(root)
    digest = "vIJF7YdcOoGd2M_9m_l9CFQwbfxAdLmXo1z6NSDSgIQ="
    url = resource.url_for(filename="file.txt", append_version=True)
    assert url.path == "/static/file.txt"
    assert len(url.query["v"]) == len(digest)
    assert resource.url_for(filename="link.txt", append_version=True).query == url.query
    assert resource_of(root, append_version=True).url_for(filename="file.txt") == url
    other = resource_of(root, append_version=True)
    assert not other.url_for(filename="file.txt", append_version=False).query
    # It is read again only when it has changed.
    with monkeypatch.context() as patched:
        patched.setattr(Path, "open", None)
        assert resource.url_for(filename="file.txt", append_version=True) == url
    (root / "file.txt").write_text("changed")
    assert resource.url_for(filename="file.txt", append_version=True) != url


@pytest.mark.parametrize(
    "filename",
    ["nothing", "folder", "../secret.txt", "ring", "a\0b", "x" * 5000, "pipe"],
)
@pytest.mark.parametrize("follow", [False, True])
def test_url_for_what_has_no_version(root: Path, filename: str, follow: bool) -> None:
    os.mkfifo(root / "pipe")
    resource = resource_of(root, append_version=True, follow_symlinks=follow)
    assert not resource.url_for(filename=filename).query


def test_url_for_a_version_by_a_link(root: Path) -> None:
    resource = resource_of(root, append_version=True, follow_symlinks=True)
    assert "v" in resource.url_for(filename="out.txt").query
    resource = resource_of(root, append_version=True)
    assert not resource.url_for(filename="out.txt").query


async def test_a_handler_of_options(root: Path) -> None:
    app = web.Application()
    resource = app.router.add_static("/static", root)
    assert isinstance(resource, web.StaticResource)
    resource.set_options_route(named("options"))
    with pytest.raises(RuntimeError, match="has an OPTIONS route already"):
        resource.set_options_route(named("options"))
    answer = await get(app, "/static/file.txt", "OPTIONS")
    assert answer.body == b"options"


async def test_expect(root: Path) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=418)

    app = app_with(root, expect_handler=refuse)
    answer = await get(app, "/static/file.txt", headers=(("Expect", "something"),))
    assert answer.status == 418


async def test_a_subclass_decides(root: Path) -> None:
    class Mine(web.StaticResource):
        async def resolve(self, request: web.Request) -> Any:
            if request.path.endswith(".txt"):
                return None, set()
            return await super().resolve(request)

    app = web.Application()
    app.router.register_resource(Mine("/static", root))
    assert (await get(app, "/static/file.txt")).status == 404
    assert (await get(app, "/static/folder/inner.html")).body == b"inner"


def _by_function(root: Path) -> web.Application:
    app = web.Application()
    app.add_routes([web.static("/static", root, name="files")])
    return app


def _by_table(root: Path) -> web.Application:
    routes = web.RouteTableDef()
    routes.static("/static", root, name="files")
    app = web.Application()
    app.add_routes(routes)
    return app


@pytest.mark.parametrize("make", [_by_function, _by_table])
async def test_definitions(root: Path, make: Callable[[Path], web.Application]) -> None:
    app = make(root)
    assert isinstance(app.router["files"], AbstractResource)
    assert (await get(app, "/static/file.txt")).body == b"a file"


def test_a_definition_is_a_value(root: Path) -> None:
    definition = web.static("/prefix", "/path", name="name")
    assert definition == web.StaticDef("/prefix", "/path", {"name": "name"})
    assert repr(definition) == "<StaticDef /prefix -> /path, name='name'>"
    router = web.UrlDispatcher()
    routes = web.StaticDef("/static", root).register(router)
    assert sorted(route.method for route in routes) == ["GET", "HEAD"]
