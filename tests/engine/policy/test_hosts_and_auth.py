"""Hosts that look like addresses, and Basic authentication."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.policy.auth import (
    choose_netrc_login,
    decode_basic_credentials,
    encode_basic_credentials,
    may_use_netrc,
)
from plait_engine.policy.hosts import (
    is_canonical_ipv4,
    is_host,
    is_ip_literal,
    is_legacy_ipv4,
    unquote_zone,
    without_zone,
)
from plait_engine.policy.redirect import Origin


@pytest.mark.parametrize(
    ("host", "known"),
    [
        ("fe80::1%25eth0", "fe80::1%eth0"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("::1", "::1"),
        ("a%25b", "a%25b"),
    ],
)
def test_a_zone_is_known_to_the_system_unquoted(host: str, known: str) -> None:
    assert unquote_zone(host) == known


@pytest.mark.parametrize(
    ("authority", "sent"),
    [
        ("[fe80::1%25eth0]:8080", "[fe80::1]:8080"),
        ("[fe80::1%eth0]", "[fe80::1]"),
        ("[::1]:80", "[::1]:80"),
        ("a%25b", "a%25b"),
    ],
)
def test_a_zone_is_not_sent(authority: str, sent: str) -> None:
    assert without_zone(authority) == sent


@pytest.mark.parametrize(
    "host", ["2130706433", "017700000001", "127.1", "0x7f.1", "0x7F000001", "127.0.0.01", "1.2.3"]
)
def test_legacy_numeric_hosts(host: str) -> None:
    assert is_legacy_ipv4(host)
    assert not is_ip_literal(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "255.255.255.255"])
def test_canonical_addresses(host: str) -> None:
    assert is_canonical_ipv4(host)
    assert is_ip_literal(host)
    assert not is_legacy_ipv4(host)


@pytest.mark.parametrize("host", ["example.org", "1.example", "x1", "a.b1", "::1", "xn--1"])
def test_names_are_not_numbers(host: str) -> None:
    assert not is_legacy_ipv4(host)


def test_ipv6_literals() -> None:
    assert is_ip_literal("::ffff:127.0.0.1")
    assert is_ip_literal("fe80::1%eth0")
    assert not is_ip_literal("a:b")


@pytest.mark.parametrize(
    "host", ["a", "a_b.example", "x" * 63, "xn--zca.example", "127.0.0.1", "::1", "fe80::1%eth0"]
)
def test_hosts(host: str) -> None:
    assert is_host(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        "a..b",
        "a.",
        "a b",
        "localhost\0",
        "localhost\0.example",
        "a\n",
        "a/b",
        "a@b",
        "a%00",
        "x" * 64,
        ".".join(["x" * 60] * 5),
        "stra\xdfe.example",
        "xn--example-.com",
        "xn--.com",
        "xn--99999999999.example",
        "XN--example-.com",
        "a:b",
        "::1%",
        "::1%a b",
        "::1%a\0",
    ],
)
def test_what_no_resolver_is_asked_for(host: str) -> None:
    assert not is_host(host)


@given(st.text().filter(lambda login: ":" not in login), st.text())
def test_basic_credentials_round_trip(login: str, password: str) -> None:
    value = encode_basic_credentials(login, password)
    assert decode_basic_credentials(value) == (login, password)


def test_a_login_has_no_colon() -> None:
    with pytest.raises(ValueError, match="colon"):
        encode_basic_credentials("a:b")


@pytest.mark.parametrize(
    "value",
    ["", "Basic", "Basic ", "Basic   ", "Bearer eDp5", "Basic !!!", "Basic eA==", "Basic é"],
)
def test_malformed_credentials(value: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # the five messages differ
        decode_basic_credentials(value)


FIRST = Origin("https", "a", 443)


@pytest.mark.parametrize(
    ("there", "first", "named", "default"),
    [
        (FIRST, FIRST, True, True),
        (Origin("http", "a", 80), Origin("http", "a", 80), True, True),
        (Origin("https", "b", 443), FIRST, True, False),
        (Origin("https", "a", 8443), FIRST, True, False),
        (Origin("http", "b", 80), Origin("http", "a", 80), True, False),
        (Origin("https", "b", 443), Origin("http", "a", 80), True, False),
        # The redirect leaves TLS: everybody on the way could read the password.
        (Origin("http", "b", 80), FIRST, False, False),
        (Origin("http", "a", 80), FIRST, False, False),
    ],
)
def test_who_gets_an_entry_of_netrc(
    there: Origin, first: Origin, named: bool, default: bool
) -> None:
    assert may_use_netrc(there, first, is_named=True) is named
    assert may_use_netrc(there, first, is_named=False) is default
    of_host = {there.host: ("me", None, "1"), "default": ("any", "", "2")}
    login = choose_netrc_login(of_host, there.host, there, first)
    assert login == (("me", "1") if named else None)
    login = choose_netrc_login({"default": ("", "account", None)}, there.host, there, first)
    assert login == (("account", "") if default else None)
    assert choose_netrc_login({}, there.host, there, first) is None
