"""What handlers raise and return, and expectations, on aiohttp and on plait."""

from __future__ import annotations

from typing import Any

import pytest
from yarl import URL

from tests.adapters.web_peer import Answer
from tests.same.conftest import Library
from tests.same.tools import named

pytestmark = pytest.mark.anyio


# -- what handlers raise and return ------------------------------------------------------------


async def failing(library: Library, error: Any, *args: Any, **options: Any) -> Answer:
    async def handler(request: Any) -> Any:
        raise error

    return await library.fetch(handler, *args, **options)


async def test_an_error_of_the_handler(library: Library) -> None:
    answer = await failing(library, KeyError("secret"))
    assert answer.status == 500
    assert answer.body == b"500 Internal Server Error\n\nServer got itself in trouble"
    assert answer.header("content-type") == "text/plain; charset=utf-8"


async def test_an_error_for_a_browser(library: Library) -> None:
    answer = await failing(library, KeyError("secret"), "GET", "/", [("Accept", "text/html")])
    assert answer.status == 500
    assert answer.header("content-type") == "text/html; charset=utf-8"
    assert b"<h1>500 Internal Server Error</h1>" in answer.body
    assert b"secret" not in answer.body


async def test_a_timeout_of_the_handler(library: Library) -> None:
    answer = await failing(library, TimeoutError())
    assert answer.status == 504


async def test_nothing_returned(library: Library) -> None:
    async def handler(request: Any) -> None:
        return None

    answer = await library.fetch(handler)
    assert answer.status == 500


async def test_responses_that_are_raised(library: Library) -> None:
    web = library.web
    answer = await failing(library, web.HTTPForbidden(text="no", headers={"X": "1"}))
    assert (answer.status, answer.body, answer.header("x")) == (403, b"no", "1")
    answer = await failing(library, web.HTTPOk())
    assert (answer.status, answer.body) == (200, b"200: OK")
    answer = await failing(library, web.HTTPNoContent())
    assert (answer.status, answer.body) == (204, b"")
    answer = await failing(library, web.HTTPFound("/a b"))
    assert (answer.status, answer.header("location")) == (302, "/a%20b")


async def test_exceptions_that_are_returned(library: Library) -> None:
    web = library.web

    async def handler(request: Any) -> Any:
        return web.HTTPForbidden()

    with pytest.warns(DeprecationWarning, match="deprecated"):
        answer = await library.fetch(handler)
    assert (answer.status, answer.body) == (403, b"403: Forbidden")


async def test_cookies_of_what_is_raised(library: Library) -> None:
    error = library.web.HTTPFound("/")
    error.set_cookie("a", "1")
    answer = await failing(library, error)
    assert answer.header("set-cookie") == "a=1; Path=/"


def test_exceptions(plain: Library) -> None:
    web = plain.web
    error = web.HTTPNotFound()
    assert (error.status, error.status_code, error.reason) == (404, 404, "Not Found")
    assert error.text == "404: Not Found"
    assert str(error) == "Not Found"
    assert isinstance(error, web.Response)
    assert isinstance(error, web.HTTPClientError)
    assert isinstance(error, web.HTTPError)
    assert bool(error) is True
    assert error.empty_body is False
    assert web.HTTPNotFound(reason="Gone").reason == "Gone"
    assert web.HTTPNotFound(text="x").text == "x"
    assert web.HTTPNotFound(content_type="text/html").content_type == "text/html"
    assert web.HTTPNoContent().empty_body is True
    assert web.HTTPNoContent().body is None
    with pytest.warns(DeprecationWarning, match="deprecated"):
        assert web.HTTPNotFound(body=b"x").body == b"x"
    for bad in (None, ""):
        with pytest.raises(ValueError, match=r"."):
            web.HTTPFound(bad)
    assert web.HTTPFound(URL("/a")).location == URL("/a")
    error = web.HTTPMethodNotAllowed("POST", ["PUT", "GET"])
    assert (error.method, error.allowed_methods) == ("POST", {"GET", "PUT"})
    assert error.headers["Allow"] == "GET,PUT"
    error = web.HTTPRequestEntityTooLarge(10, 11)
    assert error.text is not None
    assert error.text.startswith("Maximum request body size 10 exceeded")
    error = web.HTTPUnavailableForLegalReasons("https://a.example")
    assert str(error.link) == "https://a.example"
    assert "blocked-by" in error.headers["Link"]


@pytest.mark.parametrize(
    "name",
    [
        "HTTPMultipleChoices", "HTTPMovedPermanently", "HTTPFound", "HTTPSeeOther", "HTTPUseProxy",
        "HTTPTemporaryRedirect", "HTTPPermanentRedirect",
    ],
)  # fmt: skip
def test_redirections(plain: Library, name: str) -> None:
    kind = getattr(plain.web, name)
    error = kind("/a", headers={"X": "1"}, reason="R", text="t")
    assert error.headers["Location"] == "/a"
    assert str(error.location) == "/a"
    assert (error.headers["X"], error.reason, error.text) == ("1", "R", "t")
    assert isinstance(error, plain.web.HTTPRedirection)


# -- expectations ------------------------------------------------------------------------------


async def test_an_expectation_that_is_unknown(library: Library) -> None:
    async def handler(request: Any) -> Any:
        return library.web.Response()

    answer = await library.fetch(handler, "GET", "/", [("Expect", "foo")])
    assert (answer.status, answer.body) == (417, b"Unknown Expect: foo")


async def test_an_expect_handler(library: Library) -> None:
    web = library.web
    seen = []

    async def expect(request: Any) -> Any:
        seen.append(request.headers["Expect"])
        if request.path == "/no":
            raise web.HTTPExpectationFailed(text="mine")
        return None

    app = web.Application()
    for path in ("/no", "/yes"):
        app.router.add_route("*", path, named(web, "a"), expect_handler=expect)
    fields = [("Expect", "foo")]
    assert (await library.fetch(app, "GET", "/no", fields)).body == b"mine"
    assert (await library.fetch(app, "GET", "/yes", fields)).body == b"a {}"
    assert (await library.fetch(app, "GET", "/yes")).body == b"a {}"
    assert seen == ["foo", "foo"]


async def test_the_expectation_of_a_route(plain: Library) -> None:
    web = plain.web
    seen = []

    async def expect(request: Any) -> Any:
        seen.append(request.path)

    router = web.UrlDispatcher()
    route = router.add_get("/a", named(web, "a"), expect_handler=expect)
    await route.handle_expect_header(plain.test_utils.make_mocked_request("GET", "/a"))
    assert seen == ["/a"]
    usual = router.add_get("/b", named(web, "b"))
    request = plain.test_utils.make_mocked_request("GET", "/b", {"Expect": "foo"})
    with pytest.raises(web.HTTPExpectationFailed):
        await usual.handle_expect_header(request)


@pytest.mark.parametrize("handler", [5, len, lambda request: None])
def test_expect_handlers_that_are_none(plain: Library, handler: Any) -> None:
    with pytest.raises((TypeError, AssertionError)):
        plain.web.UrlDispatcher().add_get("/a", named(plain.web, "a"), expect_handler=handler)


# -- the low-level server ----------------------------------------------------------------------


async def test_a_server_without_an_application(library: Library) -> None:
    web = library.web

    async def handler(request: Any) -> Any:
        assert type(request) is web.BaseRequest
        return web.Response(text=f"{request.method} {request.path}")

    answer = await library.fetch(web.Server(handler), "PUT", "/a")
    assert answer.body == b"PUT /a"
