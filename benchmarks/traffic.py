"""The requests that clients send: one and the same, or a thousand that differ.

A server sees requests that differ: a proxy in front of it brings those of many people, and
one browser asks for another path each time.  Hello, always the same, shows what is left
when every cache is hit; the distance between the two is the height of the cliff.

Everything is made from a fixed seed, so that each run and each contender sees the same.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass

COUNT = 997
"""How many requests differ; a prime number, so that they fall into step with nothing."""

RESOURCES = 100
"""The JSON application has a static and a dynamic route for each."""

_AUTHORITY = "shop.example.com"
_ACCEPT = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "application/json, text/plain, */*",
    "text/css,*/*;q=0.1",
)
_LANGUAGES = ("en-GB,en;q=0.9", "de-DE,de;q=0.9,en;q=0.8", "fr-FR,fr;q=0.9", "pt-BR,pt;q=0.9")
_CATEGORIES = ("books", "garden", "kitchen", "music", "office", "outdoor", "toys")


@dataclass(frozen=True)
class Request:
    """A request as a client means it, before a version of HTTP encodes it.

    ``fields`` are without ``Host`` and ``Content-Length``, which follow from the rest.
    """

    method: str
    target: str
    fields: Sequence[tuple[str, str]] = ()
    body: bytes = b""

    def http1(self) -> bytes:
        """Return the message of HTTP/1.1 (RFC 9112 section 3)."""
        length = (("Content-Length", str(len(self.body))),) if self.body else ()
        lines = [f"{self.method} {self.target} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in self.all_fields() + length]
        return "\r\n".join([*lines, "", ""]).encode() + self.body

    def all_fields(self) -> tuple[tuple[str, str], ...]:
        return (("Host", _AUTHORITY), *self.fields)


HELLO = Request("GET", "/")

FILE = Request("GET", "/static/large.bin", (("Accept-Encoding", "gzip, deflate, br, zstd"),))
"""A file of 1 MiB, as a browser asks for it."""

BROWSER = Request(
    "GET",
    "/",
    (
        ("Connection", "keep-alive"),
        ("Cache-Control", "max-age=0"),
        ("sec-ch-ua", '"Chromium";v="142", "Not_A Brand";v="99"'),
        ("sec-ch-ua-mobile", "?0"),
        ("sec-ch-ua-platform", '"Linux"'),
        ("Upgrade-Insecure-Requests", "1"),
        (
            "User-Agent",
            "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Chrome/142.0.0.0 Safari/537.36",
        ),
        ("Accept", _ACCEPT[0]),
        ("Sec-Fetch-Site", "none"),
        ("Sec-Fetch-Mode", "navigate"),
        ("Sec-Fetch-User", "?1"),
        ("Sec-Fetch-Dest", "document"),
        ("Accept-Encoding", "gzip, deflate, br, zstd"),
        ("Accept-Language", _LANGUAGES[0]),
        ("Cookie", "session=0123456789abcdef0123456789abcdef; theme=dark"),
    ),
)
"""What a browser asks when somebody types the address; always the same."""


MANY = 20_011
"""So many requests that each comes once a second or less: too seldom for any cache."""


def varied(count: int = COUNT) -> list[Request]:
    """Return requests as a proxy brings them: 13 fields, of which most values differ."""
    source = random.Random(7)
    return [_item_request(source) for _ in range(count)]


def _item_request(source: random.Random) -> Request:
    category = source.choice(_CATEGORIES)
    page = source.randrange(1, 400)
    return Request(
        "GET",
        f"/item/{category}-{source.randrange(10**6)}?page={page}&sort=price&ref={_hex(source, 8)}",
        (
            ("User-Agent", _user_agent(source)),
            ("Accept", source.choice(_ACCEPT)),
            ("Accept-Language", source.choice(_LANGUAGES)),
            ("Accept-Encoding", "gzip, deflate, br, zstd"),
            ("Referer", f"https://{_AUTHORITY}/list/{category}?page={page}"),
            ("Cookie", f"session={_hex(source, 32)}; theme=dark; seen={source.randrange(10**4)}"),
            ("Cache-Control", "no-cache"),
            ("Sec-Fetch-Site", "same-origin"),
            ("Sec-Fetch-Mode", "navigate"),
            ("X-Forwarded-For", ".".join(str(source.randrange(1, 255)) for _ in range(4))),
            ("X-Forwarded-Proto", "https"),
            ("X-Request-Id", _hex(source, 32)),
        ),
    )


def orders() -> list[Request]:
    """Return POSTs of JSON over the 200 routes of the JSON application."""
    source = random.Random(11)
    return [_order(source, number) for number in range(COUNT)]


def _order(source: random.Random, number: int) -> Request:
    target = f"/api/resource{number // 2 % RESOURCES}"
    if number % 2:
        target += f"/{source.randrange(10**6)}"
    lines = [
        {"sku": _hex(source, 10), "count": source.randrange(1, 9), "note": "to be wrapped"}
        for _ in range(source.randrange(1, 5))
    ]
    order = {"id": source.randrange(10**9), "customer": _hex(source, 12), "lines": lines}
    return Request(
        "POST",
        target,
        (
            ("User-Agent", _user_agent(source)),
            ("Accept", "application/json"),
            ("Content-Type", "application/json"),
            ("Authorization", f"Bearer {_hex(source, 40)}"),
            ("X-Request-Id", _hex(source, 32)),
        ),
        json.dumps(order).encode(),
    )


def _user_agent(source: random.Random) -> str:
    version = f"{source.randrange(100, 150)}.0.{source.randrange(7000)}.{source.randrange(200)}"
    return (
        "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
        f"Chrome/{version} Safari/537.36"
    )


def _hex(source: random.Random, digits: int) -> str:
    return f"{source.getrandbits(4 * digits):0{digits}x}"
