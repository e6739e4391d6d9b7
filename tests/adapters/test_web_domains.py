"""Applications for hosts: ``add_domain``, and the rules behind it."""

from __future__ import annotations

from typing import Any

import pytest

from plait import web
from plait.web_urldispatcher import (
    AbstractRuleMatching,
    Domain,
    MaskDomain,
    MatchedSubAppResource,
)
from tests.adapters.web_handlers import named
from tests.adapters.web_peer import Setup, app_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("rule", "host", "matches"),
    [
        ("example.com", "example.com", True),
        ("EXAMPLE.com.", "example.COM", True),
        ("example.com", "example.com.", True),
        ("example.com", "example.com:8080", True),
        ("example.com", "example.com.:8080", True),
        ("example.com", "www.example.com", False),
        ("example.com", "example.org", False),
        ("example.com", "", False),
        ("example.com:80", "example.com", True),
        ("example.com:81", "example.com:81", True),
        ("example.com:81", "example.com", False),
        ("example.com:81", "example.com:8181", False),
        ("b\u00fccher.example", "xn--bcher-kva.example", True),
        ("*.example.com", "a.example.com", True),
        ("*.example.com", "a.b.example.com:8080", True),
        ("*.example.com", "A.EXAMPLE.COM.", True),
        ("*.example.com", "example.com", False),
        ("*.example.com", "a.example.com.evil.org", False),
        ("*.example.com", "a-example.com", False),
        ("*.example.com:81", "a.example.com:81", True),
        ("*.example.com:81", "a.example.com", False),
        ("a*b.example.com", "axxb.example.com", True),
        ("a*b.example.com", "ab.example.com", True),
        ("a*b.example.com", "axxc.example.com", False),
        ("*", "[::1]:8080", True),
    ],
)
def test_hosts(rule: str, host: str, matches: bool) -> None:
    made = MaskDomain(rule) if "*" in rule else Domain(rule)
    assert made.match_domain(host) is matches


@pytest.mark.parametrize(
    "domain",
    ["", ".", "http://a", "*.a", "a$b", "-a", "a-", "a..b", "a/b", "a?b", "a@b", "[::1]", "a:x"],
)
def test_no_hosts(domain: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        Domain(domain)


def test_what_is_no_text() -> None:
    bad: Any = 1
    with pytest.raises(TypeError, match="domain must be a str, not"):
        Domain(bad)
    with pytest.raises(TypeError, match="domain must be a str, not"):
        web.Application().add_domain(bad, web.Application())


def test_rules_as_text() -> None:
    assert Domain("Example.com:81").canonical == "example.com:81"
    assert Domain("b\u00fccher.example").canonical == "xn--bcher-kva.example"
    assert MaskDomain("*.example.com").canonical == r"[^:]*\.example\.com(:.*)?"
    assert Domain("example.com").get_info() == {"domain": "example.com"}


async def test_applications_by_host(setup: Setup) -> None:
    app = web.Application()
    app.router.add_get("/", named("main"))
    app.router.add_get("/only", named("only"))
    for host in ("a.example", "*.b.example", "*.example"):
        inner = app_of(named(host))
        inner.router.add_get("/own", named("own"))
        app.add_domain(host, inner)
    async with setup.serve(app) as site:
        client = await site.connect()

        async def ask(host: str, target: str = "/") -> tuple[int, bytes]:
            answer = await client.fetch(target=target, authority=host)
            return answer.status, answer.body

        assert await ask("a.example") == (200, b"a.example")
        assert await ask("a.example:8080") == (200, b"a.example")
        assert await ask("x.b.example") == (200, b"*.b.example")
        assert await ask("c.example") == (200, b"*.example")
        assert await ask("elsewhere") == (200, b"main")
        assert await ask("elsewhere", "/only") == (200, b"only")
        assert await ask("a.example", "/own") == (200, b"own")
        # A host has what its application has, and nothing else.
        assert (await ask("a.example", "/only"))[0] == 404


async def test_middlewares_signals_and_states(setup: Setup) -> None:
    told: list[str] = []

    @web.middleware
    async def note(request: web.Request, handler: Any) -> web.StreamResponse:
        told.append(f"middleware {len(request.match_info.apps)}")
        response: web.StreamResponse = await handler(request)
        return response

    async def start(app: web.Application) -> None:
        told.append("started")

    app, inner = web.Application(middlewares=[note]), app_of(named("inner"))
    inner.on_startup.append(start)
    app.add_domain("test", inner)
    async with setup.serve(app) as site:
        assert (await (await site.connect()).fetch()).body == b"inner"
    assert told == ["started", "middleware 2"]
    assert inner.frozen


async def test_below_a_prefix() -> None:
    app, middle, inner = web.Application(), web.Application(), app_of(named("inner"), "/x")
    middle.add_domain("test", inner)
    app.add_subapp("/sub", middle)
    async with Setup("http/1.1", "native").serve(app) as site:
        client = await site.connect()
        assert (await client.fetch(target="/sub/x")).body == b"inner"
        assert (await client.fetch(target="/x")).status == 404


async def test_a_rule_of_ones_own() -> None:
    class Mobile(AbstractRuleMatching):
        async def match(self, request: web.Request) -> bool:
            return "Mobile" in request.headers.get("User-Agent", "")

        def get_info(self) -> dict[str, Any]:
            return {"mobile": True}

        @property
        def canonical(self) -> str:
            return "mobile"

    app, inner = app_of(named("main")), app_of(named("mobile"))
    app.router.register_resource(MatchedSubAppResource(Mobile(), inner))
    async with Setup("http/1.1", "native").serve(app) as site:
        client = await site.connect()
        assert (await client.fetch()).body == b"main"
        answer = await client.fetch(headers=(("User-Agent", "Mobile/1"),))
        assert answer.body == b"mobile"


def test_what_a_resource_tells() -> None:
    app, inner = web.Application(), app_of(named("inner"))
    resource = app.add_domain("example.com", inner)
    assert resource.canonical == "example.com"
    assert resource.get_info() == {"app": inner, "rule": resource._rule}
    assert len(resource) == 1
    assert list(resource)
    assert repr(resource).startswith("<MatchedSubAppResource -> <Application")
    with pytest.raises(RuntimeError, match="no URL of its own"):
        resource.url_for()
    frozen = web.Application()
    frozen.freeze()
    with pytest.raises(RuntimeError, match="is frozen"):
        app.add_domain("other.example", frozen)
    with pytest.raises(RuntimeError, match="is frozen"):
        frozen.add_domain("other.example", web.Application())
