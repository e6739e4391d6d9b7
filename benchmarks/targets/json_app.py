"""An application as services have them: 200 routes, three middlewares, JSON in and out."""

from __future__ import annotations

import time
from typing import Any

from benchmarks.traffic import RESOURCES


def make_app(web: Any) -> Any:  # Any: plait.web or aiohttp.web
    """Return the application for a library's ``web`` module."""

    async def request_id(request: Any, handler: Any) -> Any:
        response = await handler(request)
        response.headers["X-Request-Id"] = request.headers["X-Request-Id"]
        return response

    async def timing(request: Any, handler: Any) -> Any:
        start = time.perf_counter()
        response = await handler(request)
        duration = (time.perf_counter() - start) * 1000
        response.headers["Server-Timing"] = f"app;dur={duration:.3f}"
        return response

    async def security(request: Any, handler: Any) -> Any:
        response = await handler(request)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    async def create(request: Any) -> Any:
        order = await request.json()
        return web.json_response({"id": order["id"], "lines": len(order["lines"])})

    async def change(request: Any) -> Any:
        order = await request.json()
        key = int(request.match_info["key"])
        return web.json_response({"key": key, "id": order["id"], "lines": len(order["lines"])})

    middlewares = [web.middleware(each) for each in (request_id, timing, security)]
    app = web.Application(middlewares=middlewares)
    for number in range(RESOURCES):
        app.router.add_post(f"/api/resource{number}", create)
        app.router.add_post(f"/api/resource{number}/{{key}}", change)
    return app
