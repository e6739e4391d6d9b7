"""aiohttp-retry: pauses that grow, other servers, and who hears of each attempt."""

from __future__ import annotations

from types import SimpleNamespace

from aiohttp import (
    ClientConnectorError,
    ClientResponse,
    ClientSession,
    TraceConfig,
    TraceRequestStartParams,
    web,
)
from aiohttp_retry import ExponentialRetry, ListRetry, RequestParams, RetryClient, RetryOptionsBase
from program import use

FAILURES = web.AppKey("FAILURES", dict[str, int])


async def flaky(request: web.Request) -> web.Response:
    """Fail as often as the path says, then echo the content."""
    name, failures = request.match_info["name"], int(request.match_info["failures"])
    seen = request.app[FAILURES].get(name, 0)
    request.app[FAILURES][name] = seen + 1
    if seen < failures:
        raise web.HTTPServiceUnavailable
    return web.Response(text=f"{seen} failures: {await request.text()}")


def make_app() -> web.Application:
    app = web.Application()
    app[FAILURES] = {}
    app.router.add_route("*", "/{name}/{failures}", flaky)
    return app


async def check(url: str, app: web.Application) -> None:
    attempts: list[int] = []

    async def note(
        session: ClientSession, context: SimpleNamespace, params: TraceRequestStartParams
    ) -> None:
        attempts.append(context.trace_request_ctx["current_attempt"])

    trace = TraceConfig()
    trace.on_request_start.append(note)
    options = ExponentialRetry(attempts=4, start_timeout=0.001)
    async with RetryClient(retry_options=options, trace_configs=[trace]) as client:
        async with client.post(f"{url}/post/2", data=b"content") as response:
            assert (response.status, await response.text()) == (200, "2 failures: content")
        assert attempts == [1, 2, 3]
        async with client.get(f"{url}/never/9") as response:
            assert response.status == 503
        assert attempts[3:] == [1, 2, 3, 4]

    class Slowly(RetryOptionsBase):
        def get_timeout(self, attempt: int, response: ClientResponse | None = None) -> float:
            return 0

    async def accept(response: ClientResponse) -> bool:
        return (await response.text()).startswith("1 ")

    async with ClientSession(raise_for_status=True) as session:
        # Answers that are not errors, and yet not what is wanted; URLs that are tried in turn.
        client = RetryClient(
            session, retry_options=Slowly(attempts=2, evaluate_response_callback=accept)
        )
        async with client.requests(
            [
                RequestParams("PUT", f"{url}/first/0", kwargs={"data": "one"}),
                RequestParams("PUT", f"{url}/first/0", kwargs={"data": "two"}),
            ]
        ) as response:
            assert await response.text() == "1 failures: two"
        options = ListRetry([0, 0], exceptions={ClientConnectorError})
        client = RetryClient(session, retry_options=options)
        nobody = "http://127.0.0.1:1/"
        async with client.get([nobody, f"{url}/second/0"]) as response:
            assert await response.text() == "0 failures: "


use(make_app, check)
