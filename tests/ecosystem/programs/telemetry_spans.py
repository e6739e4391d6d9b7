"""opentelemetry-instrumentation-aiohttp-server: a span for each request, and what it says."""

from __future__ import annotations

from opentelemetry.instrumentation.aiohttp_server import AioHttpServerInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode, get_current_span

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
AioHttpServerInstrumentor().instrument(tracer_provider=provider)

# It puts its own class in the place of web.Application.
from aiohttp import web  # noqa: E402
from aiohttp.test_utils import TestClient  # noqa: E402
from program import run  # noqa: E402

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


async def hello(request: web.Request) -> web.Response:
    get_current_span().add_event("seen")
    return web.Response(text=request.match_info["name"])


async def refuse(request: web.Request) -> web.Response:
    raise web.HTTPForbidden


async def fail(request: web.Request) -> web.Response:
    raise ValueError("wrong")


async def version(request: web.Request) -> web.Response:
    return web.Response()


def make_app() -> web.Application:
    app = web.Application()
    app.add_routes(
        [
            web.get("/version", version),
            web.get("/hello/{name}", hello),
            web.get("/refuse", refuse),
            web.get("/fail", fail),
        ]
    )
    return app


async def check(client: TestClient) -> None:
    async def span_of(path: str, status: int) -> object:
        exporter.clear()
        async with client.get(path, headers={"traceparent": PARENT}) as response:
            assert response.status == status, response.status
            await response.read()
        [span] = exporter.get_finished_spans()
        assert f"{span.context.trace_id:032x}" == PARENT.split("-")[1]
        return span

    span = await span_of("/hello/ann?x=1", 200)
    assert span.name == "GET /hello/{name}", span.name
    assert span.attributes["http.method"] == "GET"
    assert span.attributes["http.route"] == "/hello/{name}"
    assert span.attributes["http.target"] == "/hello/ann?x=1"
    assert span.attributes["http.status_code"] == 200
    assert [event.name for event in span.events] == ["seen"]
    span = await span_of("/refuse", 403)
    assert span.attributes["http.status_code"] == 403
    span = await span_of("/fail", 500)
    assert span.status.status_code is StatusCode.ERROR
    assert [event.name for event in span.events] == ["exception"]
    span = await span_of("/none", 404)
    assert span.attributes["http.status_code"] == 404


run(make_app, check)
