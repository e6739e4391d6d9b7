"""Hosts of URLs: literals of addresses, and text that only some resolvers take for one.

``inet_aton`` reads ``127.1``, ``2130706433``, ``0x7f.1`` and ``017700000001`` as IPv4
addresses.  A program that checks a URL before it is fetched sees no address in them, the
resolver of the operating system does; so they are refused (the URL Standard, section 3.5,
"ends in a number").
"""

from __future__ import annotations

import ipaddress
import re

_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!\Z)|\Z)){4}", re.ASCII)
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*", re.ASCII)


def is_canonical_ipv4(host: str) -> bool:
    """Tell whether ``host`` is four decimal numbers without leading zeros."""
    return _IPV4.fullmatch(host) is not None


def is_ip_literal(host: str) -> bool:
    """Tell whether ``host`` is an IPv4 or IPv6 address, the latter without brackets."""
    if ":" not in host:
        return is_canonical_ipv4(host)
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True


def is_legacy_ipv4(host: str) -> bool:
    """Tell whether ``host`` is a number to ``inet_aton`` without being an IPv4 address."""
    last = host.rstrip(".").rpartition(".")[2]
    return _NUMBER.fullmatch(last) is not None and not is_canonical_ipv4(host)
