"""Authorities: what is a host with an optional port."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.authority import match_authority


@pytest.mark.parametrize(
    ("text", "port"),
    [
        ("a", None),
        ("a:80", "80"),
        ("a:", ""),
        ("A_b.c-d~!$&'()*+;=", None),
        ("%41%ff", None),
        ("127.0.0.1:8080", "8080"),
        ("[::1]", None),
        ("[::]:1", "1"),
        ("[1::]", None),
        ("[1:2:3:4:5:6:7:8]", None),
        ("[::ffff:127.0.0.1]:443", "443"),
        ("[v1.fe80::a+en1]", None),
    ],
)
def test_authorities(text: str, port: str | None) -> None:
    match = match_authority(text)
    assert match is not None
    assert match[1] == port


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":80",
        "a b",
        "a,b",
        "u@a",
        "a/b",
        "a?b",
        "a#b",
        "a\\b",
        "a:b",
        "a:123456",
        "a:80:80",
        "%4",
        "%zz",
        "::1",
        "[::1",
        "::1]",
        "[::1]x",
        "[]",
        "[.]",
        "[1]",
        "[1:2]",
        "[12345::]",
        "[::1%25lo]",
        "[::1.2.3]",
        "[v.x]",
        "[v1.]",
        "stra\xdfe",
        "a\n",
        "a\0",
    ],
)
def test_what_is_no_authority(text: str) -> None:
    assert match_authority(text) is None


@given(st.ip_addresses(v=6) | st.ip_addresses(v=4))
def test_every_address_is_one(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if isinstance(address, ipaddress.IPv4Address):
        assert match_authority(f"{address}:1")
        return
    for text in (str(address), address.exploded):
        assert match_authority(f"[{text}]:1")
