"""The cookies of a session on their way: from a response into the jar, and into requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from http.cookies import SimpleCookie
from typing import Any

import pytest
from yarl import URL

import plait
from plait import web
from tests.conftest import Authority
from tests.serving import serve
from tests.sessions import H1, H2, Way

pytestmark = pytest.mark.anyio


async def shown(request: web.Request) -> web.Response:
    """Answer with the Cookie field; set the cookies of the query."""
    response = web.Response(text=request.headers.get("Cookie", "-"))
    for field in request.query.getall("set", []):
        response.headers.add("Set-Cookie", field)
    return response


async def moved(request: web.Request) -> web.Response:
    raise web.HTTPFound("/shown", headers={"Set-Cookie": "hop=1; Path=/"})


@pytest.fixture(params=[H1, H2], ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


@pytest.fixture
async def site(way: Way, authority: Authority) -> AsyncIterator[URL]:
    app = web.Application()
    app.router.add_get("/shown", shown)
    app.router.add_get("/moved", moved)
    context = authority.server_context("h2", "http/1.1") if way.tls else None
    async with serve(app, context) as served:
        yield URL(served.url.replace("127.0.0.1", "localhost"))


@pytest.fixture
async def session(way: Way, authority: Authority) -> AsyncIterator[plait.ClientSession]:
    async with way.open_session(authority) as made:
        yield made


async def get(session: plait.ClientSession, url: URL, **options: Any) -> str:
    async with session.get(url, **options) as response:
        return await response.text()


async def test_what_a_response_sets_is_sent_until_it_is_taken_back(
    site: URL, session: plait.ClientSession
) -> None:
    url = site / "shown"
    query = {"set": 'a="x\\054y"; Path=/'}
    assert await get(session, url.with_query(query)) == "-"
    assert await get(session, url) == await get(session, url) == 'a="x\\054y"'
    assert await get(session, url.with_query(set="b={1}; Path=/")) == 'a="x\\054y"'
    assert await get(session, url) == 'a="x\\054y"; b={1}'
    assert await get(session, url.with_query(set="a=; Path=/; Max-Age=0")) != "b={1}"
    assert await get(session, url) == "b={1}"
    session.cookie_jar.clear()
    assert await get(session, url) == "-"


async def test_cookies_of_every_hop(site: URL, session: plait.ClientSession) -> None:
    assert await get(session, site / "moved") == "hop=1"
    assert [morsel.key for morsel in session.cookie_jar] == ["hop"]


async def test_cookies_of_a_request_go_over_those_of_the_jar(
    site: URL, session: plait.ClientSession
) -> None:
    url = site / "shown"
    session.cookie_jar.update_cookies({"jar": "1", "both": "jar"})
    own = {"both": "own", "x": SimpleCookie("held=2")}
    assert await get(session, url, cookies=own) == "jar=1; both=own; held=2"
    assert await get(session, url) == "jar=1; both=jar", "they are not kept"
    field = await get(session, url, cookies={f"c{number}": "1" for number in range(160)})
    assert field.count("=") == 162, "nor have they limits"


async def test_a_jar_that_keeps_nothing(site: URL, way: Way, authority: Authority) -> None:
    async with way.open_session(authority, cookie_jar=plait.DummyCookieJar()) as session:
        await get(session, (site / "shown").with_query(set="a=1; Path=/"))
        assert await get(session, site / "shown") == "-"
        assert await get(session, site / "shown", cookies={"b": "2"}) == "b=2"
