"""The table of what is compared, with whom, and which ratio is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from . import subjects, traffic
from .loads import Curl, H2load, Http2Proxy, Load, WebSocketEcho, Wrk
from .subjects import Command, Start


@dataclass(frozen=True)
class Scenario:
    """One comparison.

    Args:
        name: for ``--only``.
        title: what is measured, for the reader of the table.
        contenders: names, and what starts them; the first is plait's.
        asked: for a contender, what the ratio of plait's figure to its figure may be at most.
        hello: the name of the scenario that is the same but for what makes this one harder;
            the report says how many times its figure this one takes.
        starts: of how many starts of a peer the fastest is measured.
        unit: of the figures.
        scale: what the subject measures (microseconds, bytes) is divided by it.
    """

    name: str
    title: str
    contenders: Mapping[str, Start]
    asked: Mapping[str, float] = field(default_factory=dict)
    hello: str | None = None
    starts: int = 3
    unit: str = "µs"
    scale: float = 1.0


_PLAIT = subjects.web_server("plait")
_AIOHTTP = subjects.web_server("aiohttp")
_GRANIAN = subjects.granian()
_PLAIT_TLS = subjects.web_server("plait", tls=True)
_AIOHTTP_TLS = subjects.web_server("aiohttp", tls=True)
_GRANIAN_TLS = subjects.granian(tls=True)


def _under(load: Load, **commands: Command) -> dict[str, Start]:
    """Return the contenders by name, all under the same load."""
    return {name: subjects.server(command, load) for name, command in commands.items()}


def _websocket(
    name: str, title: str, load: WebSocketEcho, asked: float | None, hello: str | None
) -> Scenario:
    contenders = _under(load, plait=_PLAIT, aiohttp=_AIOHTTP, picows=subjects.picows)
    title = f"Server, WebSocket, echo of {title} on {load.connections} connections"
    return Scenario(name, title, contenders, {"aiohttp": asked} if asked else {}, hello)


def _bodies(
    name: str,
    title: str,
    contenders: Mapping[str, Start],
    asked: Mapping[str, float] | None = None,
) -> Scenario:
    return Scenario(
        name, f"Server, {title}, with curl", contenders, asked or {}, unit="ms", scale=1000.0
    )


def _form(name: str, title: str, path: str) -> Scenario:
    load = Curl("--http1.1", upload=True, form=path, size=100_000_000)
    return _bodies(
        name,
        f"HTTP/1.1, a multipart form with a file of 100 MB, {title}",
        _under(load, plait=_PLAIT, aiohttp=_AIOHTTP),
        {"aiohttp": 0.9},
    )


def _clients(requests: str, *peers: str, tls: bool) -> dict[str, Start]:
    return {
        library: subjects.client(library, requests, concurrency=32, tls=tls)
        for library in ("plait", "aiohttp", *peers)
    }


_HTTP1_SERVERS = (
    Scenario(
        "h1-hello",
        "Server, HTTP/1.1, hello through web.Application and its router, wrk -c 64",
        _under(Wrk([traffic.HELLO]), plait=_PLAIT, aiohttp=_AIOHTTP),
        {"aiohttp": 0.55},
    ),
    Scenario(
        "h1-browser",
        "Server, HTTP/1.1, hello to a browser's head, always the same, wrk -c 64",
        _under(Wrk([traffic.BROWSER]), plait=_PLAIT, aiohttp=_AIOHTTP),
        {"aiohttp": 0.50},
        hello="h1-hello",
    ),
    Scenario(
        "h1-varied",
        f"Server, HTTP/1.1, {traffic.COUNT} different requests of 13 fields; the handler reads "
        "a field, a query parameter and a cookie and sets a field; wrk -c 64",
        _under(Wrk(traffic.varied()), plait=_PLAIT, aiohttp=_AIOHTTP),
        {"aiohttp": 1.00},
        hello="h1-hello",
    ),
    Scenario(
        "h1-unique",
        f"As h1-varied with {traffic.MANY:,} different requests: what is left without caches",
        _under(Wrk(traffic.varied(traffic.MANY)), plait=_PLAIT, aiohttp=_AIOHTTP),
        {"aiohttp": 1.00},
        hello="h1-hello",
    ),
    Scenario(
        "h1-json",
        f"Server, HTTP/1.1, {traffic.COUNT} different POSTs of JSON over 200 routes, "
        "3 middlewares that each set a field, wrk -c 64",
        _under(
            Wrk(traffic.orders()),
            plait=subjects.web_server("plait", "json"),
            aiohttp=subjects.web_server("aiohttp", "json"),
        ),
        {"aiohttp": 0.85},
        hello="h1-hello",
    ),
    Scenario(
        "h1-trickle",
        "Server, HTTP/1.1, hello, 10 open connections of which one at a time asks",
        {
            "plait": subjects.trickle(_PLAIT, connections=10),
            "aiohttp": subjects.trickle(_AIOHTTP, connections=10),
        },
    ),
    Scenario(
        "h1-10k",
        "Server, HTTP/1.1, hello, 10,000 open connections of which one at a time asks",
        {
            "plait": subjects.trickle(_PLAIT, connections=10_000),
            "aiohttp": subjects.trickle(_AIOHTTP, connections=10_000),
        },
        hello="h1-trickle",
    ),
    Scenario(
        "h1-memory",
        "Server, HTTP/1.1, memory of an idle connection after a request, of "
        f"{subjects.IdleConnections.connections}",
        {
            "plait": subjects.idle_connections(_PLAIT),
            "aiohttp": subjects.idle_connections(_AIOHTTP),
        },
        {"aiohttp": 0.65},
        starts=1,  # It starts a server for each figure.
        unit="B",
    ),
)

_HTTP2_ITEMS = {
    "plait": _PLAIT,
    "granian": _GRANIAN,
    "granian-items": subjects.granian("items"),
}

_HTTP2_SERVERS = (
    Scenario(
        "h2-hello",
        "Server, HTTP/2, hello, h2load with 8 connections of 16 streams (peers: bare ASGI)",
        _under(
            H2load([traffic.HELLO]), plait=_PLAIT, granian=_GRANIAN, hypercorn=subjects.hypercorn
        ),
        {"granian": 0.65, "hypercorn": 0.06},
    ),
    Scenario(
        "h2-varied",
        f"Server, HTTP/2, {traffic.COUNT} different targets, 13 fields, the handler of h1-varied "
        "(granian: bare ASGI, hello to all; granian-items: what the handler does, by hand), "
        "h2load with 8 connections of 16 streams",
        _under(H2load(traffic.varied()), **_HTTP2_ITEMS),
        {"granian": 1.4},
        hello="h2-hello",
    ),
    Scenario(
        "h2-proxy",
        "Server, HTTP/2, as h2-varied with requests that differ in every field, as those of many "
        "people through a proxy, 8 connections of 16 streams",
        _under(Http2Proxy(), **_HTTP2_ITEMS),
        hello="h2-hello",
    ),
)

_WEBSOCKET_SERVERS = (
    _websocket("ws-20", "20 bytes", WebSocketEcho(20), 0.95, None),
    _websocket("ws-1k", "1 KiB", WebSocketEcho(1024), 0.90, "ws-20"),
    _websocket("ws-64k", "64 KiB", WebSocketEcho(65536), 0.75, "ws-20"),
    _websocket("ws-batch", "50 at once of 20 bytes", WebSocketEcho(20, 50), None, "ws-20"),
    Scenario(
        "ws-1k-python",
        "As ws-1k, with the mask in plain Python (aiohttp: in C)",
        _under(
            WebSocketEcho(1024),
            plait=subjects.web_server("plait", python_mask=True),
            aiohttp=_AIOHTTP,
        ),
        {"aiohttp": 1.10},
    ),
)

_H1_UP = Curl("--http1.1", upload=True)
_H2_DOWN = Curl("--http2-prior-knowledge", upload=False)
_H2_UP = Curl("--http2-prior-knowledge", upload=True)

_BODIES = (
    _bodies(
        "h1-down",
        "HTTP/1.1, 256 MiB down",
        _under(Curl("--http1.1", upload=False), plait=_PLAIT, aiohttp=_AIOHTTP),
        {"aiohttp": 1.0},
    ),
    _bodies(
        "h1-up",
        "HTTP/1.1, 256 MiB up",
        _under(_H1_UP, plait=_PLAIT, aiohttp=_AIOHTTP),
        {"aiohttp": 1.0},
    ),
    _bodies(
        "h1-up-chunked",
        "HTTP/1.1, 256 MiB up, chunked",
        _under(Curl("--http1.1", upload=True, chunked=True), plait=_PLAIT, aiohttp=_AIOHTTP),
    ),
    _form("h1-form", "read by read_chunk()", "/form"),
    _form("h1-form-post", "read by request.post()", "/save"),
    _bodies(
        "h1-tls-down",
        "HTTP/1.1 over TLS, 256 MiB down",
        _under(Curl("--http1.1", upload=False, tls=True), plait=_PLAIT_TLS, aiohttp=_AIOHTTP_TLS),
    ),
    _bodies(
        "h1-tls-up",
        "HTTP/1.1 over TLS, 256 MiB up",
        _under(Curl("--http1.1", upload=True, tls=True), plait=_PLAIT_TLS, aiohttp=_AIOHTTP_TLS),
    ),
    _bodies(
        "h2-down",
        "HTTP/2, 256 MiB down",
        _under(_H2_DOWN, plait=_PLAIT, granian=_GRANIAN),
        {"granian": 0.85},
    ),
    _bodies(
        "h2-up",
        "HTTP/2, 256 MiB up",
        {
            **_under(_H2_UP, plait=_PLAIT, granian=_GRANIAN),
            "plait-h1": subjects.server(_PLAIT, _H1_UP),
        },
        {"plait-h1": 1.6},
    ),
    _bodies(
        "h2-tls-down",
        "HTTP/2 over TLS, 256 MiB down",
        _under(Curl("--http2", upload=False, tls=True), plait=_PLAIT_TLS, granian=_GRANIAN_TLS),
    ),
    _bodies(
        "h2-tls-up",
        "HTTP/2 over TLS, 256 MiB up",
        _under(Curl("--http2", upload=True, tls=True), plait=_PLAIT_TLS, granian=_GRANIAN_TLS),
    ),
)

_FILE = [traffic.FILE]

_FILES = (
    Scenario(
        "h1-file",
        "Server, HTTP/1.1, a static file of 1 MiB (sendfile), wrk -c 8",
        _under(Wrk(_FILE, connections=8), plait=_PLAIT, aiohttp=_AIOHTTP),
        {"aiohttp": 0.90},
    ),
    Scenario(
        "h2-file",
        "Server, HTTP/2, a static file of 1 MiB, h2load with 4 connections of 4 streams "
        "(aiohttp: HTTP/1.1, sendfile)",
        {
            "plait": subjects.server(_PLAIT, H2load(_FILE, connections=4, streams=4)),
            "aiohttp": subjects.server(_AIOHTTP, Wrk(_FILE, connections=8)),
        },
    ),
    Scenario(
        "h2-tls-file",
        "As h2-file over TLS, where there is no sendfile (aiohttp: HTTP/1.1)",
        {
            "plait": subjects.server(_PLAIT_TLS, H2load(_FILE, connections=4, streams=4, tls=True)),
            "aiohttp": subjects.server(_AIOHTTP_TLS, Wrk(_FILE, connections=8, tls=True)),
        },
        {"aiohttp": 0.90},
    ),
)

_HTTP2_TITLE = "Client, HTTP/2 over TLS, 32 at once against nginx (aiohttp: HTTP/1.1 over TLS)"
_WATCHED = "the request of {} with tracing, a middleware, and cookies in both directions"

_CLIENTS = (
    Scenario(
        "h1-client",
        "Client, HTTP/1.1, 32 at once against nginx, always the same request",
        _clients("hello", "pyreqwest", tls=False),
        {"aiohttp": 0.58, "pyreqwest": 1.00},
    ),
    Scenario(
        "h1-client-varied",
        f"Client, HTTP/1.1, 32 at once against nginx, {traffic.COUNT} different requests "
        "with parameters and fields of their own",
        _clients("varied", "pyreqwest", tls=False),
        {"aiohttp": 0.62},
        hello="h1-client",
    ),
    Scenario(
        "h1-client-watched",
        f"Client, HTTP/1.1, 32 at once against nginx, {_WATCHED.format('h1-client')}",
        _clients("watched", tls=False),
        {"aiohttp": 0.70},
        hello="h1-client",
    ),
    Scenario(
        "h2-client",
        f"{_HTTP2_TITLE}, always the same request",
        _clients("hello", "httpx", tls=True),
        {"aiohttp": 0.50, "httpx": 0.06},
    ),
    Scenario(
        "h2-client-varied",
        f"{_HTTP2_TITLE}, the requests of h1-client-varied",
        _clients("varied", "httpx", tls=True),
        {"aiohttp": 0.52},
        hello="h2-client",
    ),
    Scenario(
        "h2-client-watched",
        f"{_HTTP2_TITLE}, {_WATCHED.format('h2-client')}",
        _clients("watched", tls=True),
        {"aiohttp": 0.70},
        hello="h2-client",
    ),
)

_ENGINES = (
    Scenario(
        "h1-engine",
        "Engine alone, server, HTTP/1.1, hello",
        {
            "native": subjects.engine("http/1.1", "native"),
            "reference": subjects.engine("http/1.1", "reference"),
        },
        starts=1,
    ),
    Scenario(
        "h2-engine",
        "Engine alone, server, HTTP/2, hello, 16 streams at once",
        {
            "native": subjects.engine("h2", "native"),
            "reference": subjects.engine("h2", "reference"),
        },
        starts=1,
    ),
)

# A hello comes before the scenarios that are compared with it.
SCENARIOS = (
    *_HTTP1_SERVERS,
    *_HTTP2_SERVERS,
    *_WEBSOCKET_SERVERS,
    *_BODIES,
    *_FILES,
    *_CLIENTS,
    *_ENGINES,
)
