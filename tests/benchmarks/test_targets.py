"""The processes under test: plait and its peer do the same work, and it is done."""

from __future__ import annotations

import socket
import sys
from dataclasses import replace
from http.client import HTTPResponse
from typing import Any

import pytest

from benchmarks import traffic
from benchmarks.nginx import Nginx
from benchmarks.subjects import Worker, Workplace, client
from benchmarks.targets import asgi
from benchmarks.targets.web_server import FILE_SIZE
from benchmarks.traffic import Request
from tests.benchmarks.conftest import Serve

_DIFFERENT = frozenset({"date", "server", "server-timing"})
"""Fields that are about the moment or about who answers."""


def answers(port: int, requests: list[Request]) -> list[tuple[int, dict[str, str], bytes]]:
    """Return status, fields and content of the answers to ``requests``, of one connection."""
    result = []
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        for request in requests:
            connection.sendall(request.http1())
            response = HTTPResponse(connection, method=request.method)
            response.begin()
            fields = {name.lower(): value for name, value in response.getheaders()}
            content = response.read()
            kept = {name: value for name, value in fields.items() if name not in _DIFFERENT}
            result.append((response.status, kept, content))
    return result


@pytest.mark.parametrize(
    ("app", "requests"),
    [
        ("pages", [traffic.HELLO, traffic.BROWSER, *traffic.varied()]),
        ("json", traffic.orders()),
    ],
    ids=["pages", "json"],
)
def test_both_libraries_give_the_same_answers(
    serve: Serve, app: str, requests: list[Request]
) -> None:
    ours = answers(serve("plait", app), requests)
    theirs = answers(serve("aiohttp", app), requests)
    assert ours == theirs
    assert {status for status, _, _ in ours} == {200}


@pytest.mark.parametrize("library", ["plait", "aiohttp"])
def test_the_file_is_sent(serve: Serve, library: str) -> None:
    [(status, fields, content)] = answers(serve(library), [traffic.FILE])
    assert status == 200
    assert content == bytes(FILE_SIZE)
    assert fields["content-type"] == "application/octet-stream"


def test_the_handler_reads_field_parameter_and_cookie(serve: Serve) -> None:
    request = traffic.varied()[0]
    [(_, fields, content)] = answers(serve("plait"), [request])
    sent = dict(request.fields)
    session = sent["Cookie"].partition(";")[0].removeprefix("session=")
    item, _, query = request.target.removeprefix("/item/").partition("?")
    page = query.partition("&")[0].removeprefix("page=")
    assert content.decode() == f"{item}, page {page}, {session}"
    assert fields["x-request-id"] == sent["X-Request-Id"]


@pytest.mark.anyio
async def test_the_asgi_application_does_what_the_handler_does(serve: Serve) -> None:
    request = traffic.varied()[0]
    [(status, fields, content)] = answers(serve("plait"), [request])
    path, _, query = request.target.partition("?")
    scope = {
        "type": "http",
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in request.fields],
    }
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await asgi.items(scope, None, send)
    start, body = sent
    assert (start["status"], body["body"]) == (status, content)
    assert {name.decode(): value.decode() for name, value in start["headers"]} == fields


def test_three_middlewares_set_a_field_each(serve: Serve) -> None:
    port = serve("plait", "json")
    request = traffic.orders()[0]
    with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
        connection.sendall(request.http1())
        response = HTTPResponse(connection)
        response.begin()
        fields = response.headers
        assert response.read().startswith(b'{"id": ')
    assert fields["X-Request-Id"] == dict(request.fields)["X-Request-Id"]
    assert fields["X-Content-Type-Options"] == "nosniff"
    assert fields["Server-Timing"].startswith("app;dur=")


@pytest.mark.parametrize("name", ["native", "reference"])
@pytest.mark.parametrize("protocol", ["http/1.1", "h2"])
def test_an_engine_alone_answers_every_exchange(
    workplace: Workplace, protocol: str, name: str
) -> None:
    module = "benchmarks.targets.engine"
    child = workplace.start([sys.executable, "-m", module, protocol, name], interactive=True)
    assert float(child.request("10")) > 0


@pytest.mark.parametrize(
    ("library", "requests"),
    [
        *(("plait", requests) for requests in ("hello", "varied", "watched")),
        *(("aiohttp", requests) for requests in ("hello", "varied", "watched")),
        *(("httpx", requests) for requests in ("hello", "varied")),
        *(("pyreqwest", requests) for requests in ("hello", "varied")),
    ],
)
@pytest.mark.parametrize("tls", [False, True])
def test_clients_do_their_requests(
    workplace: Workplace,
    nginx: Nginx,
    library: str,
    requests: str,
    tls: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A client looks at each answer itself, and ends when one is wrong."""
    pytest.importorskip(library)
    monkeypatch.setattr(Worker, "least", 100)
    start = client(library, requests, concurrency=4, tls=tls)
    assert start(replace(workplace, nginx=lambda: nginx), 0.01).measure(0.01) > 0
