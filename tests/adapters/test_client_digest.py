"""DigestAuthMiddleware against a server that computes RFC 7616 by itself."""

from __future__ import annotations

import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

import plait
from plait import web
from tests.conftest import Authority
from tests.serving import serve
from tests.sessions import H1, H2C, Way

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[H1, H2C], ids=str)
def way(request: pytest.FixtureRequest) -> Way:
    chosen: Way = request.param
    return chosen


def md5(text: str | bytes) -> str:
    return hashlib.md5(text.encode() if isinstance(text, str) else text).hexdigest()


class Server:
    """Asks for a password; a nonce is good for ``uses`` requests, and ``tells`` when it was."""

    def __init__(self, qop: str = "auth", uses: int = 1000, *, tells: bool = True) -> None:
        self.qop = qop
        self.uses = uses
        self.tells = tells
        self.nonces = 0
        self.left = uses
        self.statuses: list[int] = []

    async def answer(self, request: web.Request) -> web.Response:
        content = await request.read()
        stale = self.left == 0
        if stale:
            self.nonces += 1
            self.left = self.uses
        if stale or not self._is_authorized(request, content):
            self.statuses.append(401)
            challenge = (
                f'Digest realm="a realm", nonce="{self.nonces}", qop="{self.qop}", opaque="o"'
            )
            if stale and self.tells:
                challenge += ", stale=true"
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        self.left -= 1
        self.statuses.append(200)
        return web.Response(body=content)

    def _is_authorized(self, request: web.Request, content: bytes) -> bool:
        value = request.headers.get("Authorization", "")
        fields = dict(re.findall(r'(\w+)="?([^",]*)', value))
        if fields.get("nonce") != str(self.nonces) or fields["uri"] != request.raw_path:
            return False
        assert fields["opaque"] == "o"
        assert value.startswith("Digest ")
        request_hash = f"{request.method}:{request.raw_path}"
        if fields["qop"] == "auth-int":
            request_hash += f":{md5(content)}"
        middle = ":".join([fields["nonce"], fields["nc"], fields["cnonce"], fields["qop"]])
        user_hash = md5("user:a realm:password")
        return fields["response"] == md5(f"{user_hash}:{middle}:{md5(request_hash)}")


@asynccontextmanager
async def session_of(
    way: Way, authority: Authority, server: Server, password: str = "password", **options: bool
) -> AsyncIterator[tuple[plait.ClientSession, str]]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    digest = plait.DigestAuthMiddleware("user", password, **options)
    async with (
        serve(app) as site,
        way.open_session(authority, middlewares=[digest]) as session,
    ):
        yield session, site.url


@pytest.mark.parametrize("qop", ["auth", "auth-int", "auth-int, auth"])
async def test_a_challenge_is_answered(way: Way, authority: Authority, qop: str) -> None:
    server = Server(qop)
    async with session_of(way, authority, server) as (session, url):
        async with session.post(f"{url}/a?b=c%20d", data=b"content") as response:
            assert (response.status, await response.read()) == (200, b"content")
        async with session.get(f"{url}/other") as response:
            assert response.status == 200
        assert server.statuses == [401, 200, 200]


async def test_each_request_may_be_asked(way: Way, authority: Authority) -> None:
    server = Server()
    async with session_of(way, authority, server, preemptive=False) as (session, url):
        for _ in range(2):
            async with session.get(url) as response:
                assert response.status == 200
        assert server.statuses == [401, 200, 401, 200]


async def test_a_wrong_password_is_tried_once(way: Way, authority: Authority) -> None:
    server = Server()
    async with session_of(way, authority, server, "wrong") as (session, url):
        for _ in range(2):
            async with session.get(url) as response:
                assert response.status == 401
        assert server.statuses == [401, 401, 401]


@pytest.mark.parametrize("tells", [True, False])
async def test_a_nonce_that_is_too_old(way: Way, authority: Authority, tells: bool) -> None:
    server = Server(uses=2, tells=tells)
    async with session_of(way, authority, server) as (session, url):
        for _ in range(4):
            async with session.get(url) as response:
                assert response.status == 200
        assert server.statuses == [401, 200, 200, 401, 200, 200]


async def test_other_origins_are_not_told(way: Way, authority: Authority) -> None:
    """Not before they ask, and not when they do."""
    seen: list[str | None] = []

    async def ask(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Authorization"))
        challenge = 'Digest realm="another", nonce="n"'
        return web.Response(status=401, headers={"WWW-Authenticate": challenge})

    app = web.Application()
    app.router.add_get("/", ask)
    async with session_of(way, authority, Server()) as (session, url), serve(app) as other:
        async with session.get(url):
            pass
        async with session.get(other.url) as response:
            assert response.status == 401
    assert seen == [None]


async def test_content_that_cannot_be_sent_twice(way: Way, authority: Authority) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"a"

    async with session_of(way, authority, Server()) as (session, url):
        with pytest.raises(plait.ClientPayloadError, match="cannot be sent twice"):
            await session.post(url, data=pieces())


@pytest.mark.parametrize(("login", "password"), [("a:b", ""), (None, ""), ("a", None)])
def test_bad_credentials(login: str, password: str) -> None:
    with pytest.raises(ValueError, match=r"username|login|password"):
        plait.DigestAuthMiddleware(login, password)
