"""opentelemetry-instrumentation-aiohttp-client: a span for each request, told to the server."""

from __future__ import annotations

import pytest
from aiohttp import ClientConnectorError, ClientSession, web
from opentelemetry.instrumentation.aiohttp_client import (
    AioHttpClientInstrumentor,
    create_trace_config,
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from program import use

exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))


async def echo(request: web.Request) -> web.Response:
    status = int(request.match_info["status"])
    return web.Response(text=request.headers.get("traceparent", ""), status=status)


def make_app() -> web.Application:
    app = web.Application()
    app.router.add_get("/{status:[0-9]+}", echo)
    return app


async def check(url: str, app: web.Application) -> None:
    # Every session, and then one alone.
    AioHttpClientInstrumentor().instrument(tracer_provider=provider)
    try:
        async with ClientSession() as session:
            await _spans(session, url)
    finally:
        AioHttpClientInstrumentor().uninstrument()
    trace = create_trace_config(tracer_provider=provider)
    async with ClientSession(trace_configs=[trace]) as session:
        await _spans(session, url)
    async with ClientSession() as session, session.get(f"{url}/200") as response:
        assert await response.text() == ""
    assert exporter.get_finished_spans() == ()


async def _spans(session: ClientSession, url: str) -> None:
    async with session.get(f"{url}/200?x=1") as response:
        parent = await response.text()
    async with session.get(f"{url}/503") as response:
        assert response.status == 503
    with pytest.raises(ClientConnectorError):
        await session.get("http://127.0.0.1:1/")
    good, bad, lost = exporter.get_finished_spans()
    exporter.clear()
    assert (good.name, good.kind) == ("GET", SpanKind.CLIENT)
    assert good.attributes["http.url"] == f"{url}/200?x=1"
    assert good.attributes["http.status_code"] == 200
    assert parent.split("-")[1:3] == [
        f"{good.context.trace_id:032x}",
        f"{good.context.span_id:016x}",
    ]
    assert bad.attributes["http.status_code"] == 503
    assert bad.status.status_code is lost.status.status_code is StatusCode.ERROR
    [event] = lost.events
    assert event.attributes["exception.type"].endswith("ClientConnectorError")


use(make_app, check)
