"""Header fields of requests that say more than a text: what is read, what is left out."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from yarl import URL

from plait import ETag, web
from plait.serving.fields import (
    parse_cookies,
    parse_etags,
    parse_query,
    parse_range,
)
from tests.adapters.web_peer import Setup, app_of


@pytest.mark.parametrize(
    ("field", "tags"),
    [
        ('"a"', [ETag("a")]),
        ('W/"a" ,"b,c",, ""', [ETag("a", is_weak=True), ETag("b,c"), ETag("")]),
        (" * ", [ETag("*")]),
        ('"a", b, "c"', [ETag("a")]),
        ('"a" "b"', []),
        ('"a", "b', [ETag("a")]),
        ('w/"a"', []),
        ("", []),
    ],
)
def test_entity_tags(field: str, tags: list[ETag]) -> None:
    """RFC 9110 section 8.8.3."""
    assert parse_etags(field) == tuple(tags)


@pytest.mark.parametrize(
    ("field", "data"),
    [
        ("bytes=0-0", "a"),
        ("bytes=2-4", "cde"),
        ("BYTES=7-", "hij"),
        ("bytes=-3", "hij"),
        ("bytes=-30", "abcdefghij"),
        ("bytes=8-99", "ij"),
    ],
)
def test_ranges(field: str, data: str) -> None:
    """RFC 9110 section 14.1.2."""
    assert "abcdefghij"[parse_range(field)] == data


@pytest.mark.parametrize(
    "field",
    [
        "",
        "bytes=",
        "bytes=-",
        "bytes=-0",
        "bytes=2-1",
        "bytes=0-1,3-4",
        "lines=0-1",
        "bytes=\u0661-",
        "bytes 0-1",
    ],
)
def test_ranges_that_cannot_be_read(field: str) -> None:
    with pytest.raises(ValueError, match=r"range|start"):
        parse_range(field)


@given(st.text("ab&&==;+ %%fF0ü#?") | st.text())
def test_a_query_is_what_yarl_reads(query: str) -> None:
    url = URL.build(path="/", query_string=query, encoded=True)
    assert parse_query(query) == list(url.query.items())


@pytest.mark.parametrize(
    ("field", "cookies"),
    [
        ("", {}),
        ("a=1; b=2;c=3", {"a": "1", "b": "2", "c": "3"}),
        ("a=1; a=2", {"a": "1"}),
        ("a=; b", {"a": "", "b": ""}),
        ("b; a; b=1; a", {"b": "1", "a": ""}),
        ('a="x;b=1"; c=2', {"a": '"x', "b": '1"', "c": "2"}),
        ("=x; ;; \t a \t=\t 1 \t", {"a": "1"}),
        ('a="x y"; b="\\073"; c="', {"a": "x y", "b": ";", "c": '"'}),
        ("a=b=c", {"a": "b=c"}),
    ],
)
def test_cookies(field: str, cookies: dict[str, str]) -> None:
    assert parse_cookies(field) == cookies


@pytest.mark.anyio
async def test_requests_have_them(setup: Setup) -> None:
    seen: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        seen.append(
            (request.if_match, request.if_none_match, request.http_range, request.forwarded)
        )
        return web.Response()

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        await client.fetch()
        await client.fetch(
            headers=[
                ("if-match", '"a"'),
                ("if-match", '"b"'),
                ("if-none-match", "*"),
                ("range", "bytes=1-2"),
                ("forwarded", "for=a"),
                ("forwarded", "for=b"),
            ]
        )
    assert seen == [
        (None, None, slice(None, None, 1), ()),
        ((ETag("a"), ETag("b")), (ETag("*"),), slice(1, 3, 1), ({"for": "a"}, {"for": "b"})),
    ]
