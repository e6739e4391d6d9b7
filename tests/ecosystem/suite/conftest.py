"""Fixtures of a project that tests with pytest-aiohttp."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient

COUNT = web.AppKey("COUNT", list)


async def count(request: web.Request) -> web.Response:
    request.app[COUNT].append(request.path)
    return web.json_response(len(request.app[COUNT]))


@pytest.fixture
def app() -> web.Application:
    made = web.Application()
    made[COUNT] = []
    made.router.add_get("/count", count)
    return made


@pytest_asyncio.fixture
async def client(
    aiohttp_client: Callable[..., Awaitable[TestClient]], app: web.Application
) -> TestClient:
    return await aiohttp_client(app)


@pytest_asyncio.fixture
async def cleaned(app: web.Application) -> AsyncIterator[list[str]]:
    seen: list[str] = []

    async def on_cleanup(app: web.Application) -> None:
        seen.append("cleanup")

    app.on_cleanup.append(on_cleanup)
    yield seen


class OwnClient(TestClient):
    """A client that says who it is."""

    async def _request(self, method: str, path: Any, **kwargs: Any) -> Any:
        headers = {**(kwargs.pop("headers", None) or {}), "User-Agent": "own"}
        return await super()._request(method, path, headers=headers, **kwargs)
