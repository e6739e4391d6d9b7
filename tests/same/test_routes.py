"""Routes: which one answers, and what they tell, on aiohttp and on plait."""

from __future__ import annotations

from typing import Any

import pytest
from yarl import URL

from tests.same.conftest import Library
from tests.same.tools import named, texts

pytestmark = pytest.mark.anyio


# -- routes ------------------------------------------------------------------------------------


async def test_which_route(library: Library) -> None:
    web = library.web
    app = web.Application()
    add = app.router.add_get
    add("/", named(web, "root"))
    add("/plain", named(web, "plain"))
    add("/{any}", named(web, "any"))
    add("/a/{x}/b", named(web, "between"))
    add("/n/{x:[0-9]+}", named(web, "number"))
    add("/n/{x}", named(web, "text"))
    add("/r/{tail:.*}", named(web, "rest"))
    add("/d/{x}.{y}", named(web, "dot"))
    add("/caf\u00e9", named(web, "letters"))
    add("/sp ace", named(web, "space"))
    assert await texts(
        library,
        app,
        "GET /",
        "GET /plain",
        "GET /other",
        "GET /a/1/b",
        "GET /a/1/c",
        "GET /n/12",
        "GET /n/ab",
        "GET /r/",
        "GET /r/a/b",
        "GET /r/a%2Fb",
        "GET /d/a.b",
        "GET /caf%C3%A9",
        "GET /sp%20ace",
        "GET /plain/",
        "GET /a%2Fb",
        "GET /x%20y",
        "GET /x+y",
    ) == [
        "root {}",
        "plain {}",
        "any {'any': 'other'}",
        "between {'x': '1'}",
        "404",
        "number {'x': '12'}",
        "text {'x': 'ab'}",
        "rest {'tail': ''}",
        "rest {'tail': 'a/b'}",
        "rest {'tail': 'a/b'}",
        "dot {'x': 'a', 'y': 'b'}",
        "letters {}",
        "space {}",
        "404",
        "any {'any': 'a/b'}",
        "any {'any': 'x y'}",
        "any {'any': 'x+y'}",
    ]


async def test_registration_order_decides(library: Library) -> None:
    web = library.web
    app = web.Application()
    app.router.add_get("/a/{x}", named(web, "first"))
    app.router.add_get("/a/{y}", named(web, "second"))
    app.router.add_get("/{x}/b", named(web, "third"))
    app.router.add_get("/{y}/b", named(web, "fourth"))
    assert await texts(library, app, "GET /a/b", "GET /c/b") == [
        "first {'x': 'b'}",
        "third {'x': 'c'}",
    ]


async def test_a_longer_prefix_goes_first(library: Library) -> None:
    web = library.web
    app = web.Application()
    app.router.add_get("/{x}/b", named(web, "general"))
    app.router.add_get("/a/{x}", named(web, "special"))
    assert await texts(library, app, "GET /a/b") == ["special {'x': 'b'}"]


async def test_methods(library: Library) -> None:
    web = library.web
    app = web.Application()
    router = app.router
    for method in ("get", "post", "put", "patch", "delete", "options"):
        getattr(router, f"add_{method}")(f"/{method}", named(web, method))
    router.add_get("/no-head", named(web, "no head"), allow_head=False)
    router.add_route("*", "/any", named(web, "any"))
    router.add_route("POST", "/two", named(web, "post"))
    router.add_route("GET", "/two", named(web, "get"))
    router.add_route("report", "/own", named(web, "own"))
    assert await texts(
        library,
        app,
        *(f"{m.upper()} /{m}" for m in ("get", "post", "put", "patch", "delete", "options")),
        "HEAD /get",
        "HEAD /no-head",
        "GET /post",
        "POST /any",
        "REPORT /any",
        "POST /two",
        "GET /two",
        "REPORT /own",
    ) == [
        "get {}",
        "post {}",
        "put {}",
        "patch {}",
        "delete {}",
        "options {}",
        "",
        "405",
        "405",
        "any {}",
        "any {}",
        "post {}",
        "get {}",
        "own {}",
    ]


async def test_a_method_that_is_not_allowed(library: Library) -> None:
    web = library.web
    app = web.Application()
    app.router.add_get("/a", named(web, "a"))
    app.router.add_delete("/a", named(web, "b"))
    answer = await library.fetch(app, "POST", "/a")
    assert (answer.status, answer.body) == (405, b"405: Method Not Allowed")
    assert answer.header("allow") == "DELETE,GET,HEAD"
    assert answer.header("content-type") == "text/plain; charset=utf-8"


async def test_what_is_not_found(library: Library) -> None:
    answer = await library.fetch(library.web.Application(), "GET", "/a")
    assert (answer.status, answer.body) == (404, b"404: Not Found")
    assert answer.header("content-type") == "text/plain; charset=utf-8"


async def test_a_view_that_gives_its_methods_arguments(library: Library) -> None:
    web = library.web

    class View(web.View):  # type: ignore[misc, name-defined]
        async def _iter(self) -> Any:
            method = getattr(self, self.request.method.lower(), None)
            if method is None:
                self._raise_allowed_methods()
            return await method(self.request.query["a"])

        async def get(self, value: str) -> Any:
            return web.Response(text=value)

    assert (await library.fetch(app_of_view(web, View), "GET", "/a?a=1")).body == b"1"
    answer = await library.fetch(app_of_view(web, View), "PUT", "/a?a=1")
    assert (answer.status, answer.header("allow")) == (405, "GET")


async def test_views(library: Library) -> None:
    web = library.web

    class View(web.View):  # type: ignore[misc, name-defined]
        async def get(self) -> Any:
            return web.Response(text=f"get {self.request.path}")

        async def post(self) -> Any:
            return web.Response(text="post")

    app = web.Application()
    app.router.add_view("/a", View)
    app.router.add_route("*", "/b", View)
    found = await texts(library, app, "GET /a", "POST /a", "PUT /a", "GET /b", "HEAD /a")
    assert found == ["get /a", "post", "405", "get /b", "405"]
    answer = await library.fetch(app_of_view(web, View), "PUT", "/a")
    assert answer.header("allow") == "GET,POST"


def app_of_view(web: Any, view: Any) -> Any:
    app = web.Application()
    app.router.add_view("/a", view)
    return app


async def test_a_table_of_routes(library: Library) -> None:
    web = library.web
    routes = web.RouteTableDef()

    @routes.get("/get", name="name")
    async def get(request: Any) -> Any:
        return web.Response(text="get")

    @routes.head("/head")
    @routes.post("/post")
    @routes.put("/put")
    @routes.patch("/patch")
    @routes.delete("/delete")
    @routes.options("/options")
    @routes.route("*", "/any")
    async def many(request: Any) -> Any:
        return web.Response(text=request.method)

    @routes.view("/view")
    class View(web.View):  # type: ignore[misc, name-defined]
        async def get(self) -> Any:
            return web.Response(text="view")

    assert len(routes) == 9
    assert routes[0].path == "/get"
    assert routes[0] in routes
    assert [type(route).__name__ for route in routes[:2]] == ["RouteDef", "RouteDef"]
    app = web.Application()
    added = app.add_routes(routes)
    assert len(added) >= 9
    assert app.router["name"].url_for() == URL("/get")
    assert await texts(
        library, app, "GET /get", "POST /post", "PUT /put", "PATCH /patch", "DELETE /delete",
        "OPTIONS /options", "PROPFIND /any", "GET /view", "HEAD /get", "HEAD /head",
    ) == ["get", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "view", "", ""]  # fmt: skip


async def test_a_list_of_routes(library: Library) -> None:
    web = library.web

    class View(web.View):  # type: ignore[misc, name-defined]
        async def get(self) -> Any:
            return web.Response(text="view")

    app = web.Application()
    app.add_routes(
        [
            web.get("/get", named(web, "get")),
            web.head("/head", named(web, "head")),
            web.post("/post", named(web, "post")),
            web.put("/put", named(web, "put")),
            web.patch("/patch", named(web, "patch")),
            web.delete("/delete", named(web, "delete")),
            web.options("/options", named(web, "options")),
            web.route("LINK", "/link", named(web, "link")),
            web.view("/view", View),
        ]
    )
    assert await texts(
        library, app, "GET /get", "POST /post", "PUT /put", "PATCH /patch", "DELETE /delete",
        "OPTIONS /options", "LINK /link", "GET /view", "HEAD /get", "HEAD /head",
    ) == [
        "get {}", "post {}", "put {}", "patch {}", "delete {}", "options {}", "link {}", "view",
        "", "",
    ]  # fmt: skip


@pytest.mark.parametrize("path", ["a", "a/b", "/a{", "/a}", "/{a", "/{}", "/{1a}", "/{a:[}"])
def test_paths_that_are_none(plain: Library, path: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        plain.web.Application().router.add_get(path, named(plain.web, "a"))


@pytest.mark.parametrize("method", ["", "A B", "/"])
def test_methods_that_are_none(plain: Library, method: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        plain.web.Application().router.add_route(method, "/a", named(plain.web, "a"))


def test_a_route_twice(plain: Library) -> None:
    router = plain.web.Application().router
    router.add_get("/a", named(plain.web, "a"))
    with pytest.raises(RuntimeError):
        router.add_get("/a", named(plain.web, "b"))
    router.add_post("/a", named(plain.web, "b"))
    router.add_route("*", "/b", named(plain.web, "b"))
    with pytest.raises(RuntimeError):
        router.add_get("/b", named(plain.web, "b"))


@pytest.mark.parametrize("handler", [None, "text", 5])
def test_what_is_no_handler(plain: Library, handler: Any) -> None:
    with pytest.raises((TypeError, AssertionError)):
        plain.web.Application().router.add_get("/a", handler)


# -- names and URLs ----------------------------------------------------------------------------


def test_names(plain: Library) -> None:
    router = plain.web.Application().router
    route = router.add_get("/a/{x}", named(plain.web, "a"), name="one")
    router.add_post("/a/{x}", named(plain.web, "a"), name="one")
    router.add_get("/b", named(plain.web, "b"), name="two.three-four:five")
    assert route.name == "one"
    assert list(router) == ["one", "two.three-four:five"]
    assert len(router) == 2
    assert "one" in router
    assert "three" not in router
    assert list(router.named_resources()) == ["one", "two.three-four:five"]
    assert router["one"].url_for(x="y z") == URL("/a/y%20z", encoded=True)
    assert router["one"].url_for(x="y").with_query(q="1") == URL("/a/y?q=1")
    assert router["two.three-four:five"].url_for() == URL("/b")
    with pytest.raises(KeyError):
        router["three"]
    with pytest.raises(ValueError, match="one"):
        router.add_get("/c", named(plain.web, "c"), name="one")


@pytest.mark.parametrize("name", ["1a", "a b", "a..b", "", "class", "a/b", "a."])
def test_names_that_are_none(plain: Library, name: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        plain.web.Application().router.add_get("/a", named(plain.web, "a"), name=name)


def test_what_resources_and_routes_tell(plain: Library) -> None:
    router = plain.web.Application().router
    handler = named(plain.web, "a")
    plain_route = router.add_get("/a", handler, allow_head=False)
    dynamic_route = router.add_post("/b/{x}", handler)
    resources = list(router.resources())
    assert len(router.resources()) == 2
    assert [resource.canonical for resource in resources] == ["/a", "/b/{x}"]
    assert resources[0] in router.resources()
    assert list(router.routes()) == [plain_route, dynamic_route]
    assert len(router.routes()) == 2
    assert plain_route in router.routes()
    assert (plain_route.method, plain_route.handler) == ("GET", handler)
    assert plain_route.resource is resources[0]
    assert plain_route.get_info() == {"path": "/a"}
    assert dynamic_route.get_info()["formatter"] == "/b/{x}"
    assert dynamic_route.get_info()["pattern"].fullmatch("/b/c").groupdict() == {"x": "c"}
    assert len(resources[0]) == 1
    assert list(resources[0]) == [plain_route]
    assert "/a" in repr(resources[0])
    assert "GET" in repr(plain_route)


def test_a_resource_with_many_methods(plain: Library) -> None:
    router = plain.web.Application().router
    resource = router.add_resource("/a", name="a")
    one = resource.add_route("GET", named(plain.web, "a"))
    two = resource.add_route("POST", named(plain.web, "b"))
    assert list(resource) == [one, two]
    assert router["a"] is resource
    assert router.add_resource("/a", name="a") is resource
    with pytest.raises(RuntimeError):
        resource.add_route("GET", named(plain.web, "c"))
