"""Hosts of URLs: literals of addresses, and text that only some resolvers take for one.

``inet_aton`` reads ``127.1``, ``2130706433``, ``0x7f.1`` and ``017700000001`` as IPv4
addresses.  A program that checks a URL before it is fetched sees no address in them, the
resolver of the operating system does; so they are refused (the URL Standard, section 3.5,
"ends in a number").

``is_host`` is asked before a name reaches a resolver: one that is written in C ends it at a
NUL, and then speaks to a host that nobody checked.
"""

from __future__ import annotations

import ipaddress
import re

_IPV4 = re.compile(r"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(?:\.(?!\Z)|\Z)){4}", re.ASCII)
# RFC 1035 section 2.3.4: labels of 1 to 63 bytes.  Of the characters, those are refused that
# the URL Standard forbids in a domain (section 3.2), for the names that people use have more
# than letters, digits and hyphens.
_LABEL = r"[^\x00-\x20#%/:<>?@\[\\\]^|.\x7f-\U0010ffff]{1,63}"
_NAME = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*+", re.DOTALL)
# RFC 6874: ZoneID = 1*( unreserved / pct-encoded )
_ZONE = re.compile(r"[A-Za-z0-9\-._~%]+")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*", re.ASCII)


_ZONE_IN_AUTHORITY = re.compile(r"%[^\]]*+(?=\])")


def unquote_zone(host: str) -> str:
    """Return ``host`` with the zone of an IPv6 address as the system knows it (RFC 6874)."""
    return host.replace("%25", "%", 1) if ":" in host else host


def without_zone(authority: str) -> str:
    """Return ``authority`` without the zone of an IPv6 address.

    It means something on this machine only, and is not sent (RFC 6874 section 4).
    """
    return _ZONE_IN_AUTHORITY.sub("", authority)


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


def is_host(host: str) -> bool:
    """Tell whether ``host``, without brackets and without a dot at its end, is an address or
    a name that can be looked up.  Names are in ASCII; so are those of other scripts."""
    if ":" in host:
        address, mark, zone = host.partition("%")
        return is_ip_literal(address) and (not mark or _ZONE.fullmatch(zone) is not None)
    return _NAME.fullmatch(host) is not None and all(
        _is_a_label(label) for label in host.split(".") if label[:4].lower() == "xn--"
    )


def _is_a_label(label: str) -> bool:
    """Tell whether an ``xn--`` label stands for another one (UTS 46 section 4): not for one
    in ASCII, which would be two spellings of one host."""
    try:
        return not label[4:].encode("ascii").decode("punycode").isascii()
    except UnicodeError:
        return False
