"""Applications, middlewares and signals, on aiohttp and on plait."""

from __future__ import annotations

from typing import Any

import pytest

from tests.same.conftest import Library
from tests.same.tools import named, texts

pytestmark = pytest.mark.anyio


# -- applications ------------------------------------------------------------------------------


def test_an_application_is_a_mapping(plain: Library) -> None:
    web = plain.web
    key = web.AppKey("key", int)
    app = web.Application()
    app[key] = 1
    assert (app[key], app.get(key), app.get("none", 2), key in app) == (1, 1, 2, True)
    assert list(app) == [key]
    assert len(app) == 1
    assert bool(app) is True
    del app[key]
    assert len(app) == 0
    assert bool(app) is True
    assert app == app
    assert app != web.Application()
    with pytest.raises(KeyError):
        app[key]


async def test_a_served_application_is_frozen(library: Library) -> None:
    web = library.web
    app = web.Application()
    key = web.AppKey("key", int)
    async with library.serve(app):
        assert app.frozen is True
        assert app.pre_frozen is True
        assert app.router.frozen is True
        with pytest.raises(RuntimeError):
            app.router.add_get("/a", named(web, "a"))
        with pytest.raises(RuntimeError):
            app.middlewares.append(None)
        with pytest.raises(RuntimeError):
            app.on_startup.append(None)
        with pytest.raises(RuntimeError):
            app.add_subapp("/a", web.Application())
        with pytest.warns(DeprecationWarning, match="deprecated"):
            app[key] = 1


async def test_signals_in_their_order(library: Library) -> None:
    web = library.web
    seen: list[str] = []

    def note(text: str) -> Any:
        async def signal(app: Any) -> None:
            seen.append(text)

        return signal

    def context(name: str) -> Any:
        async def run(app: Any) -> Any:
            seen.append(f"{name} in")
            yield
            seen.append(f"{name} out")

        return run

    def make(name: str) -> Any:
        app = web.Application()
        app.on_startup.append(note(f"{name} startup"))
        app.on_shutdown.append(note(f"{name} shutdown"))
        app.on_cleanup.append(note(f"{name} cleanup"))
        app.cleanup_ctx.append(context(f"{name} first"))
        app.cleanup_ctx.append(context(f"{name} second"))
        return app

    app, sub = make("app"), make("sub")
    app.add_subapp("/sub", sub)
    async with library.serve(app):
        assert sorted(seen) == sorted(
            f"{name} {what}"
            for name in ("app", "sub")
            for what in ("first in", "second in", "startup")
        )
        started = list(seen)
        for name in ("app", "sub"):
            mine = [text for text in started if text.startswith(name)]
            assert mine == [f"{name} first in", f"{name} second in", f"{name} startup"]
        seen.clear()
    shutdowns = [text for text in seen if text.endswith("shutdown")]
    assert shutdowns == ["app shutdown", "sub shutdown"]
    assert seen[:2] == shutdowns
    for name in ("app", "sub"):
        mine = [text for text in seen[2:] if text.startswith(name)]
        assert mine == [f"{name} second out", f"{name} first out", f"{name} cleanup"]


async def test_contexts_that_fail_at_the_end(plain: Library) -> None:
    web = plain.web

    def context(error: Exception) -> Any:
        async def run(app: Any) -> Any:
            yield
            raise error

        return run

    one, two = ValueError("one"), KeyError("two")
    app = web.Application()
    app.cleanup_ctx.extend([context(one), context(two)])
    runner = web.AppRunner(app)
    await runner.setup()
    with pytest.raises(web.CleanupError) as caught:
        await runner.cleanup()
    assert caught.value.exceptions == [two, one]


async def test_a_context_that_fails_alone(plain: Library) -> None:
    web = plain.web

    async def run(app: Any) -> Any:
        yield
        raise KeyError("mine")

    app = web.Application()
    app.cleanup_ctx.append(run)
    runner = web.AppRunner(app)
    await runner.setup()
    with pytest.raises(KeyError, match="mine"):
        await runner.cleanup()


async def test_context_managers_as_contexts(plain: Library) -> None:
    from contextlib import asynccontextmanager

    web = plain.web
    seen: list[str] = []

    @asynccontextmanager
    async def run(app: Any) -> Any:
        seen.append("in")
        yield
        seen.append("out")

    app = web.Application()
    app.cleanup_ctx.append(run)
    runner = web.AppRunner(app)
    await runner.setup()
    assert seen == ["in"]
    await runner.cleanup()
    assert seen == ["in", "out"]


# -- sub-applications --------------------------------------------------------------------------


async def test_sub_applications(library: Library) -> None:
    web = library.web
    key, own = web.AppKey("key", str), web.AppKey("own", str)

    async def handler(request: Any) -> Any:
        assert request.app is sub
        assert request.config_dict[key] == "of the app"
        assert request.config_dict[own] == "of sub"
        assert request.config_dict.get("none") is None
        assert request.match_info.apps == (app, sub)
        return web.Response(text=str(sub.router["route"].url_for(x="1")))

    app, sub = web.Application(), web.Application()
    app[key], sub[own] = "of the app", "of sub"
    sub.router.add_get("/{x}", handler, name="route")
    resource = app.add_subapp("/sub/", sub)
    assert isinstance(resource, web.PrefixedSubAppResource)
    assert await texts(library, app, "GET /sub/a", "GET /sub", "GET /subx/a", "POST /sub/a") == [
        "/sub/1",
        "404",
        "404",
        "405",
    ]


@pytest.mark.parametrize("prefix", ["", "/"])
def test_prefixes_that_are_none(plain: Library, prefix: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        plain.web.Application().add_subapp(prefix, plain.web.Application())


def test_prefixes_that_are_no_text(plain: Library) -> None:
    with pytest.raises(TypeError):
        plain.web.Application().add_subapp(plain.web.Application(), "/a")


async def test_domains(library: Library) -> None:
    web = library.web

    def make(name: str) -> Any:
        app = web.Application()
        app.router.add_get("/", named(web, name))
        return app

    app = web.Application()
    app.add_domain("a.example", make("exact"))
    app.add_domain("*.b.example", make("mask"))
    app.add_domain("c.example:8080", make("port"))
    app.router.add_get("/", named(web, "rest"))
    found = []
    async with library.serve(app) as site:
        for host in ("a.example", "x.b.example", "b.example", "c.example:8080", "d.example"):
            client = await site.connect()
            answer = await client.fetch("GET", "/", authority=host)
            found.append(answer.body.decode())
    assert found == ["exact {}", "mask {}", "rest {}", "port {}", "rest {}"]


# -- middlewares -------------------------------------------------------------------------------


async def test_middlewares_stand_around_one_another(library: Library) -> None:
    web = library.web
    seen: list[str] = []

    def make(name: str) -> Any:
        @web.middleware
        async def around(request: Any, handler: Any) -> Any:
            seen.append(f"{name} in")
            try:
                return await handler(request)
            except web.HTTPException as error:
                seen.append(f"{name} {error.status}")
                raise
            finally:
                seen.append(f"{name} out")

        return around

    app = web.Application(middlewares=[make("a"), make("b")])
    sub = web.Application(middlewares=[make("c")])
    sub.router.add_get("/x", named(web, "x"))
    app.add_subapp("/sub", sub)
    await texts(library, app, "GET /sub/x")
    assert seen == ["a in", "b in", "c in", "c out", "b out", "a out"]
    seen.clear()
    app = web.Application(middlewares=[make("a"), make("b")])
    await texts(library, app, "GET /none")
    assert seen == ["a in", "b in", "b 404", "b out", "a 404", "a out"]


async def test_middlewares_see_what_is_not_allowed(library: Library) -> None:
    web = library.web

    @web.middleware
    async def around(request: Any, handler: Any) -> Any:
        with pytest.raises(web.HTTPMethodNotAllowed) as caught:
            await handler(request)
        assert caught.value.method == "POST"
        assert caught.value.allowed_methods == {"GET", "HEAD"}
        return web.Response(text="caught")

    app = web.Application(middlewares=[around])
    app.router.add_get("/", named(web, "a"))
    assert await texts(library, app, "POST /") == ["caught"]


async def test_middlewares_in_the_old_style(library: Library) -> None:
    web = library.web

    async def factory(app: Any, handler: Any) -> Any:
        async def around(request: Any) -> Any:
            response = await handler(request)
            response.headers["X-Old"] = "1"
            return response

        return around

    app = web.Application(middlewares=[factory])
    app.router.add_get("/", named(web, "a"))
    with pytest.warns(DeprecationWarning, match="deprecated"):
        answer = await library.fetch(app)
    assert answer.header("x-old") == "1"


@pytest.mark.parametrize(
    ("options", "target", "location"),
    [
        ({}, "/a", "/a/"),
        ({}, "/a/", None),
        ({}, "//a/", "/a/"),
        ({}, "//a", "/a/"),
        ({}, "/a?x=1&y=%26", "/a/?x=1&y=%26"),
        ({}, "/b/", "404"),
        ({"append_slash": False, "remove_slash": True}, "/b/", "/b"),
        ({"append_slash": False, "remove_slash": True}, "//b//", "/b"),
        ({"append_slash": False}, "/a", "404"),
        ({"merge_slashes": False}, "//a/", "404"),
        ({}, "//evil.example/", "404"),
    ],
)
async def test_paths_are_normalized(
    library: Library, options: dict[str, bool], target: str, location: str | None
) -> None:
    web = library.web
    app = web.Application(middlewares=[web.normalize_path_middleware(**options)])
    app.router.add_get("/a/", named(web, "a"))
    app.router.add_get("/b", named(web, "b"))
    answer = await library.fetch(app, "GET", target)
    if location == "404":
        assert answer.status == 404
    elif location is None:
        assert answer.status == 200
    else:
        assert answer.status == 308
        assert answer.header("location") == location


async def test_normalized_paths_by_another_redirection(library: Library) -> None:
    web = library.web
    middleware = web.normalize_path_middleware(redirect_class=web.HTTPFound)
    app = web.Application(middlewares=[middleware])
    app.router.add_get("/a/", named(web, "a"))
    assert (await library.fetch(app, "GET", "/a")).status == 302
