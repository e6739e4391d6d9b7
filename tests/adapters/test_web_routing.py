"""Routes: which handler answers a request, and the URL of a route."""

from __future__ import annotations

import gc
from typing import Any
from urllib.parse import unquote

import pytest
from yarl import URL

from plait import web
from plait.web_urldispatcher import AbstractResource
from tests.adapters.web_handlers import ask, named, say, serve_once
from tests.adapters.web_peer import Setup

pytestmark = pytest.mark.anyio


async def test_routes(setup: Setup) -> None:
    routes = web.RouteTableDef()

    @routes.get("/")
    async def root(request: web.Request) -> web.Response:
        return web.Response(text="root")

    @routes.view("/view")
    class Things(web.View):
        async def get(self) -> web.Response:
            assert self.request.method == "GET"
            return web.Response(text="got")

        async def post(self) -> web.Response:
            return web.Response(text="posted")

        async def _private(self) -> web.Response:
            return web.Response(text="never")

    app = web.Application()
    app.add_routes(routes)
    app.add_routes(
        [
            web.post("/p", named("post")),
            web.put("/p", named("put")),
            web.patch("/p", named("patch")),
            web.delete("/p", named("delete")),
            web.options("/p", named("options")),
            web.head("/h", named("head")),
            web.get("/g", named("get"), allow_head=False),
            web.route("*", "/any", named("any")),
            web.route("foo", "/foo", named("foo")),
            web.get("/users/{id}", say),
            web.get(r"/files/{name:.+\.txt}", say),
            web.get("/ü/{x}", say),
        ]
    )
    async with setup.serve(app) as site:
        client = await site.connect()
        for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
            assert await ask(client, method, "/p") == (200, method.lower())
        assert await ask(client, "GET", "/?x=1") == (200, "root")
        assert await ask(client, "HEAD", "/") == (200, "")
        assert await ask(client, "HEAD", "/h") == (200, "")
        assert (await ask(client, "HEAD", "/g"))[0] == 405
        assert await ask(client, "BREW", "/any") == (200, "any")
        assert await ask(client, "FOO", "/foo") == (200, "foo")
        assert await ask(client, "GET", "/view") == (200, "got")
        assert await ask(client, "POST", "/view") == (200, "posted")
        assert await ask(client, "GET", "/users/7") == (200, '["/users/{id}", {"id": "7"}]')
        assert await ask(client, "GET", "/users/a%2Fb%25?q") == (
            200,
            '["/users/{id}", {"id": "a/b%"}]',
        )
        assert await ask(client, "GET", "/files/a/b.txt") == (
            200,
            '["/files/{name}", {"name": "a/b.txt"}]',
        )
        assert await ask(client, "GET", "/%C3%BC/y") == (200, '["/%C3%BC/{x}", {"x": "y"}]')
        for target in ("/users/", "/users/7/", "/P", "//", "/files/a.pdf"):
            assert await ask(client, "GET", target) == (404, "404: Not Found")
        answer = await client.fetch("BREW", "/view")
        assert (answer.status, answer.header("allow")) == (405, "GET,POST")
        answer = await client.fetch("GET", "/p")
        assert (answer.status, answer.header("allow")) == (405, "DELETE,OPTIONS,PATCH,POST,PUT")
        # No way to a method that is no HTTP method (attack A72).
        assert (await ask(client, "_PRIVATE", "/view"))[0] == 405


async def test_options_asterisk() -> None:
    """RFC 9110 section 9.3.7: it asks for no resource, and whether the server is there."""
    app = web.Application()
    app.router.add_route("*", "/{all:.*}", named("all"))
    assert (await serve_once(app, ("OPTIONS", "*")))[0][0] == 204


async def test_connect_is_declined() -> None:
    """Attack S85; RFC 9110 section 15.6.2: there is nothing here that could do it."""
    app = web.Application()
    app.router.add_route("*", "/{all:.*}", named("all"))
    async with Setup("http/1.1", "native").serve(app) as site:
        data = b"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\nConnection: close\r\n\r\n"
        assert (await site.send_raw(data)).startswith(b"HTTP/1.1 501 ")


async def test_the_empty_path_is_a_slash(setup: Setup) -> None:
    """But for a sub-application, where it is the prefix."""
    app, sub = web.Application(), web.Application()
    app.router.add_get("", say)
    sub.router.add_get("", say)
    app.add_subapp("/sub", sub)
    async with setup.serve(app) as site:
        client = await site.connect()
        assert await ask(client, "GET", "/") == (200, '["/", {}]')
        assert await ask(client, "GET", "/sub") == (200, '["/sub", {}]')
        assert (await ask(client, "GET", "/sub/"))[0] == 404


async def test_names_and_urls() -> None:
    app = web.Application()
    router = app.router
    router.add_get("/plain path", say, name="plain")
    router.add_get(r"/users/{id:\d+}/{tail:.*}", say, name="app.user-1:x")
    assert router["plain"].url_for() == URL("/plain%20path", encoded=True)
    assert router["app.user-1:x"].url_for(id="7", tail="a b/c").raw_path == "/users/7/a%20b/c"
    assert router["plain"].canonical == "/plain%20path"
    assert set(router) == set(router.named_resources()) == {"plain", "app.user-1:x"}
    assert len(router) == 2
    assert "plain" in router
    assert len(router.resources()) == 2
    assert [route.method for route in router.routes()] == ["HEAD", "GET", "HEAD", "GET"]
    route = next(iter(router.routes()))
    assert route.name == "plain"
    assert route.url_for() == router["plain"].url_for()
    assert route.resource is router["plain"]
    assert router["plain"].add_route("POST", say).method == "POST"  # type: ignore[attr-defined]  # a Resource
    with pytest.raises(KeyError):
        router["app.user-1:x"].url_for(id="7")


@pytest.mark.parametrize(
    ("add", "error"),
    [
        (lambda router: router.add_get("no-slash", say), ValueError),
        (lambda router: router.add_get("/{bad", say), ValueError),
        (lambda router: router.add_get("/x", say, name="not valid"), ValueError),
        (lambda router: router.add_get("/x", say, name="a.class"), ValueError),
        (lambda router: router.add_get("/x", say, name="taken"), ValueError),
        (lambda router: router.add_route("BAD METHOD", "/x", say), ValueError),
        (lambda router: router.add_get("/taken", say), RuntimeError),
        (lambda router: router.add_get("/x", 7), TypeError),
        (lambda router: router.add_get("/x", 7), AssertionError),
        (lambda router: router.add_get("/x", say, expect_handler=named), TypeError),
        (lambda router: router.add_get("/x", say, expect_handler=named), AssertionError),
        (lambda router: router.register_resource(7), AssertionError),
    ],
)
def test_routes_that_cannot_be_added(add: Any, error: type[Exception]) -> None:
    app = web.Application()
    app.router.add_get("/other", say, name="taken")
    app.router.add_get("/taken", say)
    with pytest.raises(error):
        add(app.router)


def test_a_frozen_router_takes_no_routes() -> None:
    app = web.Application()
    app.freeze()
    with pytest.raises(RuntimeError, match="frozen"):
        app.router.add_get("/", say)


def test_bare_functions_are_deprecated() -> None:
    def bare(request: web.Request) -> web.Response:
        return web.Response()

    with pytest.warns(DeprecationWarning, match="async"):
        route = web.Application().router.add_get("/", bare)  # type: ignore[arg-type]  # that is the point
    assert route.handler.__name__ == "bare"


def test_the_handler_of_a_view_is_its_class() -> None:
    route = web.Application().router.add_view("/", web.View)
    assert route.handler is web.View


def test_route_definitions() -> None:
    definition = web.get("/", say, name="x")
    assert (definition.method, definition.path, definition.handler) == ("GET", "/", say)
    assert definition.kwargs == {"name": "x", "allow_head": True}
    assert repr(definition) == "<RouteDef GET / -> 'say', allow_head=True, name='x'>"
    routes = web.RouteTableDef()
    for method in ("get", "head", "post", "put", "patch", "delete", "options"):
        getattr(routes, method)("/")(say)
    assert [route.method for route in routes] == [  # type: ignore[attr-defined]  # RouteDefs
        *("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
    ]
    assert len(routes) == 7
    assert routes[0] in routes
    assert routes[:2] == [routes[0], routes[1]]
    assert repr(routes) == "<RouteTableDef count=7>"


class EverySecond(AbstractResource):
    """A resource of the application's own: takes every second request."""

    def __init__(self) -> None:
        super().__init__(name="second")
        self.turn = 0

    @property
    def canonical(self) -> str:
        return "/own/{x}"

    async def resolve(self, request: web.Request) -> tuple[Any, set[str]]:
        self.turn += 1
        if self.turn % 2:
            return None, {"BREW"}
        route = web.ResourceRoute("*", named("own"), self)
        return web.UrlMappingMatchInfo({}, route), set()

    def url_for(self, **kwargs: str) -> URL:
        return URL("/own")

    def add_prefix(self, prefix: str) -> None:
        raise NotImplementedError

    def get_info(self) -> dict[str, Any]:
        return {}

    def raw_match(self, path: str) -> bool:
        return False

    def __len__(self) -> int:
        return 0

    def __iter__(self) -> Any:
        return iter(())


async def test_a_resource_of_ones_own() -> None:
    app = web.Application()
    app.router.register_resource(EverySecond())
    app.router.add_get("/own/x", named("fallback"))
    app.router.add_get("/plain", named("plain"))
    found = await serve_once(
        app, *[("GET", "/own/x")] * 4, ("GET", "/own/y"), ("GET", "/own/y"), ("GET", "/plain")
    )
    assert [status for status, _ in found] == [200] * 4 + [405, 200, 200]
    assert [body for _, body in found[:4]] == ["fallback"] * 4
    assert [body for _, body in found[5:]] == ["own", "plain"]


async def test_a_resolve_that_was_replaced(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """As packages do that report what an application does: they are asked each time."""
    resolve = web.UrlDispatcher.resolve
    seen = []

    async def watch(router: web.UrlDispatcher, request: web.Request) -> web.UrlMappingMatchInfo:
        match_info = await resolve(router, request)
        seen.append(match_info.route.method)
        return match_info

    monkeypatch.setattr(web.UrlDispatcher, "resolve", watch)
    app, sub = web.Application(), web.Application()
    app.router.add_get("/", say)
    sub.router.add_post("/x", say)
    app.add_subapp("/sub", sub)
    async with setup.serve(app) as site:
        client = await site.connect()
        for method, target in (("GET", "/"), ("GET", "/"), ("POST", "/sub/x")):
            assert (await client.fetch(method, target)).status == 200
    assert seen == ["GET", "GET", "POST", "POST"]


async def test_a_router_of_ones_own() -> None:
    class Router(web.UrlDispatcher):
        async def resolve(self, request: web.Request) -> Any:
            if request.path == "/own":
                return web.UrlMappingMatchInfo(
                    {"a": "b"}, web.ResourceRoute("*", named("own"), None)
                )  # type: ignore[arg-type]  # it has no resource
            return await super().resolve(request)

    with pytest.warns(DeprecationWarning, match="router"):
        app = web.Application(router=Router())
    app.router.add_get("/x", named("x"))
    found = await serve_once(app, ("GET", "/own"), ("GET", "/x"), ("GET", "/y"))
    assert found == [(200, "own"), (200, "x"), (404, "404: Not Found")]


async def test_variables_and_methods(setup: Setup) -> None:
    async def show(request: web.Request) -> web.Response:
        return web.json_response(dict(request.match_info))

    app = web.Application()
    app.router.add_get("/", show)
    app.router.add_get("/users/{id}", show, name="user")
    app.router.add_post(r"/numbers/{n:\d+}", show)
    app.router.add_route("*", "/any", show)
    async with setup.serve(app) as site:
        client = await site.connect()
        assert await ask(client, "GET", "/") == (200, "{}")
        assert await ask(client, "GET", "/users/a%20b%2Fc?x=1") == (200, '{"id": "a b/c"}')
        assert (await ask(client, "GET", "/users/"))[0] == 404
        assert await ask(client, "GET", "/nowhere") == (404, "404: Not Found")
        assert await ask(client, "POST", "/numbers/42") == (200, '{"n": "42"}')
        assert (await ask(client, "POST", "/numbers/x"))[0] == 404
        put = await client.fetch("PUT", "/users/1")
        assert (put.status, put.header("allow")) == (405, "GET,HEAD")
        head = await client.fetch("HEAD", "/users/1")
        assert (head.status, head.header("content-length"), head.body) == (200, "11", b"")
        assert (await ask(client, "DELETE", "/any"))[0] == 200
    assert str(app.router["user"].url_for(id="a b")) == "/users/a%20b"


@pytest.mark.parametrize("byte", ["%00", "%0A", "%0d"])
async def test_dangerous_bytes_in_a_path_are_refused(byte: str, setup: Setup) -> None:
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
    async with setup.serve(app) as site:
        client = await site.connect()
        for path in ("/files/a", "/", "/inner/", "/nowhere/at/all"):
            assert (await ask(client, "GET", path + byte))[0] == 400
        assert seen == [400] * 4
        assert await ask(client, "GET", "/a?q=" + byte) == (200, unquote(byte))


async def test_memory_does_not_grow_with_paths() -> None:
    """Attack S80: 404s with a middleware leave nothing behind."""

    @web.middleware
    async def through(request: web.Request, handler: Any) -> web.StreamResponse:
        return await handler(request)  # type: ignore[no-any-return]  # likewise

    app = web.Application(middlewares=[through])
    app.router.add_get("/{x}", named("x"))
    targets = [("GET", f"/{number}/nothing") for number in range(300)]
    async with Setup("http/1.1", "native").serve(app) as site:
        client = await site.connect()
        counts = []
        for _ in range(3):
            for method, target in targets:
                await ask(client, method, target)
            gc.collect()
            counts.append(len(gc.get_objects()))
        assert counts[2] - counts[1] < 100
