"""The guide's samples of the client, against plait's server."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

import plait
from plait import web
from tests.conftest import Authority
from tests.guide.conftest import RunSample
from tests.serving import ServerThread


@dataclass(frozen=True)
class Origin:
    """A server that speaks one version with the samples, and the versions that it saw."""

    url: str
    version: str
    seen: list[str]


def _make_app(seen: list[str]) -> web.Application:
    @web.middleware
    async def note_version(request, handler):
        seen.append(f"{request.version.major}.{request.version.minor}")
        return await handler(request)

    async def name(request):
        return web.Response(text=request.match_info["name"])

    async def create_user(request):
        return web.json_response({"user": await request.json()}, status=201)

    async def busy(request):
        """Answers the third request, and says "not now" before."""
        if len(seen) < 3:
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "0"})
        return web.Response(text=f"after {len(seen)}")

    async def never(request):
        await asyncio.Event().wait()

    app = web.Application(middlewares=[note_version])
    app.add_routes(
        [
            web.get("/page/{name}", name),
            web.post("/users", create_user),
            web.get("/busy", busy),
            web.get("/never", never),
        ]
    )
    return app


# On TLS ALPN chooses HTTP/2; on cleartext a client without prior knowledge speaks HTTP/1.1.
@pytest.fixture(params=["1.1", "2.0"])
def origin(request: pytest.FixtureRequest, authority: Authority) -> Iterator[Origin]:
    seen: list[str] = []
    with ServerThread(
        plait, _make_app(seen), authority.server_context(), shutdown_timeout=0.1
    ) as server:
        urls = {
            "1.1": f"http://localhost:{server.port}",
            "2.0": f"https://localhost:{server.tls_port}",
        }
        yield Origin(urls[request.param], request.param, seen)
    assert set(seen) == {request.param}


def test_fetch(origin: Origin, run_sample: RunSample) -> None:
    assert run_sample("fetch", f"{origin.url}/page/one") == ["one"]


def test_fetch_all(origin: Origin, run_sample: RunSample) -> None:
    names = [f"page-{number}" for number in range(20)]
    assert run_sample("fetch_all", *(f"{origin.url}/page/{name}" for name in names)) == names


def test_post_data(origin: Origin, run_sample: RunSample) -> None:
    assert run_sample("post_data", f"{origin.url}/users") == ["value"]


def test_timeout(origin: Origin, run_sample: RunSample) -> None:
    assert run_sample("timeout", f"{origin.url}/page/quick", "30") == ["quick"]
    assert run_sample("timeout", f"{origin.url}/never", "0.2") == ["timeout"]


def test_session_reuse(origin: Origin, run_sample: RunSample) -> None:
    urls = [f"{origin.url}/page/{number}" for number in range(3)]
    assert run_sample("session_reuse", *urls) == ["0", "1", "2", "0", "1", "2"]


def test_retries(origin: Origin, run_sample: RunSample) -> None:
    assert run_sample("retries", f"{origin.url}/busy", "30") == ["200 after 3"]
    assert len(origin.seen) == 3
