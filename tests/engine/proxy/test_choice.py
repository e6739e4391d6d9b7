"""Which hosts need no proxy, and what a proxy is asked for."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.proxy.choice import (
    NoProxy,
    Way,
    choose_addresses,
    choose_way,
    find_proxy,
    read_no_proxy,
    resolves_names,
)


@pytest.mark.parametrize(
    ("text", "host", "port", "covered"),
    [
        ("", "example.com", 80, False),
        ("*", "example.com", 80, True),
        ("*", "::1", 80, True),
        ("example.com", "example.com", 80, True),
        ("example.com", "EXAMPLE.com.", 80, True),
        ("Example.Com", "example.com", 80, True),
        ("example.com", "www.example.com", 80, True),
        (".example.com", "www.example.com", 80, True),
        (".example.com", "example.com", 80, True),
        ("*.example.com", "www.example.com", 80, True),
        ("example.com", "notexample.com", 80, False),
        ("example.com", "example.com.evil.test", 80, False),
        ("a, b ,,c  d", "d", 80, True),
        ("a, b ,,c  d", "e", 80, False),
        ("example.com:8080", "example.com", 8080, True),
        ("example.com:8080", "example.com", 80, False),
        ("example.com:8080", "www.example.com", 8080, True),
        ("127.0.0.1", "127.0.0.1", 80, True),
        ("127.0.0.1", "127.0.0.2", 80, False),
        ("127.0.0.1:81", "127.0.0.1", 81, True),
        ("127.0.0.1:81", "127.0.0.1", 80, False),
        ("192.168.0.0/16", "192.168.77.1", 80, True),
        ("192.168.0.1/16", "192.168.77.1", 80, True),
        ("192.168.0.0/16", "192.169.0.1", 80, False),
        ("192.168.0.0/16", "192.168.0.0.example.com", 80, False),
        ("::1", "::1", 80, True),
        ("[::1]", "0:0:0:0:0:0:0:1", 80, True),
        ("[::1]:81", "::1", 81, True),
        ("[::1]:81", "::1", 80, False),
        ("fe80::/10", "fe80::1%eth0", 80, True),
        ("fe80::1%eth0", "fe80::1", 80, True),
        ("::ffff:127.0.0.1", "127.0.0.1", 80, True),
        ("127.0.0.0/8", "::ffff:127.0.0.1", 80, True),
        # An address is below no name, whatever its zone is called (CVE-2025-22870).
        ("*.example.com", "::1%25.example.com", 80, False),
        ("example.com", "::1%.example.com", 80, False),
        ("1", "127.0.0.1", 80, False),
        (".", "example.com", 80, False),
        ("1.2.3.4/99", "1.2.3.4", 80, False),
    ],
)
def test_no_proxy(text: str, host: str, port: int, covered: bool) -> None:
    assert NoProxy(text).covers(host, port) is covered


names = st.from_regex(r"[a-z0-9]{1,5}(\.[a-z0-9]{1,5}){0,2}\.[a-z]{2,4}", fullmatch=True)


@given(names, names, st.sampled_from(["", ".", "*."]))
def test_a_name_covers_itself_and_all_below(name: str, other: str, before: str) -> None:
    no_proxy = NoProxy(before + name)
    assert no_proxy.covers(name, 443)
    assert no_proxy.covers(f"{other}.{name}", 443)
    assert no_proxy.covers(other, 443) is (f".{other}".endswith(f".{name}"))


@given(st.ip_addresses(v=4), st.integers(0, 32), st.ip_addresses(v=4))
def test_a_network_covers_its_addresses(
    address: ipaddress.IPv4Address, length: int, other: ipaddress.IPv4Address
) -> None:
    network = ipaddress.ip_network((address, length), strict=False)
    no_proxy = NoProxy(f"{address}/{length}")
    assert no_proxy.covers(str(address), 80)
    assert no_proxy.covers(str(other), 80) is (other in network)


@given(st.ip_addresses(v=6), st.ip_addresses(v=6))
def test_an_address_covers_itself_however_it_is_spelled(
    address: ipaddress.IPv6Address, other: ipaddress.IPv6Address
) -> None:
    no_proxy = NoProxy(f"[{address.exploded}]")
    assert no_proxy.covers(address.compressed, 80)
    assert no_proxy.covers(str(other), 80) is (address == other)


@given(st.text(), st.text(), st.integers(0, 70000))
def test_anything_can_be_asked(text: str, host: str, port: int) -> None:
    assert NoProxy(text).covers(host, port) in (True, False)


def test_a_list_is_read_once() -> None:
    no_proxy = read_no_proxy("a.test, 10.0.0.0/8")
    assert no_proxy.covers("www.a.test", 80)
    assert no_proxy.covers("10.1.2.3", 80)
    assert not no_proxy.covers("b.test", 80)
    assert read_no_proxy("a.test, 10.0.0.0/8") is no_proxy
    assert not read_no_proxy("").covers("a.test", 80)


def test_the_proxy_for_a_scheme() -> None:
    proxies = {"http": "http://one", "all": "socks5://two", "no": "x"}
    assert find_proxy(proxies, "http") == "http://one"
    assert find_proxy(proxies, "https") == "socks5://two"
    assert find_proxy({"http": ""}, "http") is None


def test_what_a_proxy_is_asked_for() -> None:
    assert choose_way("http", secure=False, opaque=False) is Way.FORWARD
    assert choose_way("https", secure=False, opaque=False) is Way.FORWARD
    assert choose_way("http", secure=True, opaque=False) is Way.CONNECT
    assert choose_way("http", secure=False, opaque=True) is Way.CONNECT
    assert choose_way("socks4", secure=False, opaque=False) is Way.SOCKS
    assert [
        scheme
        for scheme in ("http", "https", "socks4", "socks4a", "socks5", "socks5h")
        if not resolves_names(scheme)
    ] == ["socks4", "socks5"]


def test_addresses_that_socks_4_knows() -> None:
    assert choose_addresses("socks4", ["::1", "127.0.0.1"]) == ["127.0.0.1"]
    assert choose_addresses("socks5", ["::1", "127.0.0.1"]) == ["::1", "127.0.0.1"]
    with pytest.raises(OSError, match="no IPv4 address"):
        choose_addresses("socks4", ["::1"])
