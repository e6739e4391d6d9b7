"""Authorities: what is a host with an optional port."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.semantics.authority import is_authority


@pytest.mark.parametrize(
    ("text", "has_port"),
    [
        ("a", False),
        ("a:80", True),
        ("a:", False),
        ("a:65535", True),
        ("A_b.c-d~!$&'()*+;=", False),
        ("%41%ff", False),
        ("127.0.0.1:8080", True),
        ("[::1]", False),
        ("[::]:1", True),
        ("[1::]", False),
        ("[1:2:3:4:5:6:7:8]", False),
        ("[::ffff:127.0.0.1]:443", True),
        ("[v1.fe80::a+en1]", False),
    ],
)
def test_authorities(text: str, has_port: bool) -> None:
    assert is_authority(text)
    assert is_authority(text, needs_port=True) is has_port


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
        "a:65536",
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
        "[:::::]",
        "[1:2:3:4:5:6:7:8:9]",
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
    assert not is_authority(text)


@given(st.ip_addresses(v=6) | st.ip_addresses(v=4))
def test_every_address_is_one(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if isinstance(address, ipaddress.IPv4Address):
        assert is_authority(f"{address}:1")
        return
    for text in (str(address), address.exploded):
        assert is_authority(f"[{text}]:1")
