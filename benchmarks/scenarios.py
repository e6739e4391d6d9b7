"""The table of what is compared, with whom, and which ratio is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from . import subjects, traffic
from .loads import Curl, H2load, WebSocketEcho, Wrk
from .subjects import Start


@dataclass(frozen=True)
class Scenario:
    """One comparison.

    ``contenders`` maps names to what starts them; the first is plait's.  ``asked`` says,
    for a contender, what the ratio of plait's figure to its figure may be at most.
    """

    name: str
    title: str
    contenders: Mapping[str, Start]
    asked: Mapping[str, float] = field(default_factory=dict)
    unit: str = "µs"


_PLAIT = subjects.web_server("plait")
_AIOHTTP = subjects.web_server("aiohttp")


def _bulk(name: str, title: str, load: Curl, peers: Mapping[str, str]) -> Scenario:
    commands = {
        "plait": _PLAIT,
        "aiohttp": _AIOHTTP,
        "granian": subjects.granian,
        "hypercorn": subjects.hypercorn,
    }
    return Scenario(
        name,
        title,
        {label: subjects.server(commands[peer], load) for label, peer in peers.items()},
        unit="µs/MB",
    )


SCENARIOS = (
    Scenario(
        "h1-server",
        "Server, HTTP/1.1, hello through web.Application and its router, wrk -c 64",
        {
            "plait": subjects.server(_PLAIT, Wrk([traffic.HELLO])),
            "aiohttp": subjects.server(_AIOHTTP, Wrk([traffic.HELLO])),
        },
        {"aiohttp": 0.55},
    ),
    Scenario(
        "h1-varied",
        f"Server, HTTP/1.1, {traffic.COUNT} different requests of 13 fields; the handler reads "
        "a field, a query parameter and a cookie and sets a field",
        {
            "plait": subjects.server(_PLAIT, Wrk(traffic.varied())),
            "aiohttp": subjects.server(_AIOHTTP, Wrk(traffic.varied())),
        },
        {"aiohttp": 1.00},
    ),
    Scenario(
        "h1-json",
        "Server, HTTP/1.1, POST of JSON, 200 routes, 3 middlewares that each set a field",
        {
            "plait": subjects.server(subjects.web_server("plait", "json"), Wrk(traffic.orders())),
            "aiohttp": subjects.server(
                subjects.web_server("aiohttp", "json"), Wrk(traffic.orders())
            ),
        },
        {"aiohttp": 0.85},
    ),
    Scenario(
        "h2-server",
        "Server, HTTP/2, hello, h2load with 8 connections of 16 streams",
        {
            "plait": subjects.server(_PLAIT, H2load()),
            "granian": subjects.server(subjects.granian, H2load()),
            "hypercorn": subjects.server(subjects.hypercorn, H2load()),
        },
        {"granian": 0.80, "hypercorn": 0.06},
    ),
    Scenario(
        "h1-client",
        "Client, HTTP/1.1, 32 at once against nginx",
        {
            "plait": subjects.client("plait", concurrency=32, tls=False),
            "aiohttp": subjects.client("aiohttp", concurrency=32, tls=False),
        },
        {"aiohttp": 0.75},
    ),
    Scenario(
        "h2-client",
        "Client, HTTP/2 over TLS, 32 at once against nginx (aiohttp: HTTP/1.1 over TLS)",
        {
            "plait": subjects.client("plait", concurrency=32, tls=True),
            "aiohttp": subjects.client("aiohttp", concurrency=32, tls=True),
        },
        {"aiohttp": 0.60},
    ),
    Scenario(
        "websocket",
        "Server, WebSocket, echo of 1 KiB on 32 connections",
        {
            "plait": subjects.server(_PLAIT, WebSocketEcho()),
            "aiohttp": subjects.server(_AIOHTTP, WebSocketEcho()),
        },
        {"aiohttp": 1.0},
    ),
    Scenario(
        "h1-engine",
        "Engine alone, server, HTTP/1.1, hello",
        {
            "native": subjects.engine("http/1.1", "native"),
            "reference": subjects.engine("http/1.1", "reference"),
        },
    ),
    Scenario(
        "h2-engine",
        "Engine alone, server, HTTP/2, hello, 16 streams at once",
        {
            "native": subjects.engine("h2", "native"),
            "reference": subjects.engine("h2", "reference"),
        },
    ),
    _bulk(
        "h1-download",
        "Server, HTTP/1.1, 100 MB down to curl",
        Curl("--http1.1", upload=False),
        {"plait": "plait", "aiohttp": "aiohttp"},
    ),
    _bulk(
        "h1-upload",
        "Server, HTTP/1.1, 100 MB up from curl, chunked",
        Curl("--http1.1", upload=True),
        {"plait": "plait", "aiohttp": "aiohttp"},
    ),
    _bulk(
        "h2-download",
        "Server, HTTP/2, 100 MB down to curl",
        Curl("--http2-prior-knowledge", upload=False),
        {"plait": "plait", "granian": "granian", "hypercorn": "hypercorn"},
    ),
    _bulk(
        "h2-upload",
        "Server, HTTP/2, 100 MB up from curl",
        Curl("--http2-prior-knowledge", upload=True),
        {"plait": "plait", "granian": "granian", "hypercorn": "hypercorn"},
    ),
    Scenario(
        "memory",
        "Server, HTTP/1.1, memory of an idle connection",
        {
            "plait": subjects.idle_connections(_PLAIT),
            "aiohttp": subjects.idle_connections(_AIOHTTP),
            "granian": subjects.idle_connections(subjects.granian),
        },
        unit="bytes",
    ),
)
