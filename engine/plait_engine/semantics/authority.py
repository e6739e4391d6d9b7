"""The authority of a request: a host and an optional port, the same in every version.

RFC 9110 section 7.2: Host = uri-host [ ":" port ].  RFC 9112 section 3.2 and RFC 9113
section 8.3.1: no user information.  RFC 3986 section 3.2.2: host = IP-literal / IPv4address
/ reg-name; the schemes "http" and "https" need one (RFC 9110 section 4.2.1).

A name has no comma, although RFC 3986 allows one: in a Host field a comma means that two
fields were joined, and a recipient might read the first or the second.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Final

MAX_PORT = 65535
DEFAULT_PORTS: Final = {"http": ":80", "https": ":443"}
"""What an authority means that names no port, by the schemes that HTTP has."""

_REG_NAME = r"(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})++"
_IP_FUTURE = r"[vV][0-9A-Fa-f]++\.[A-Za-z0-9\-._~!$&'()*+,;=:]++"
_match = re.compile(
    rf"(?:{_REG_NAME}|\[(?:([0-9A-Fa-f:.]++)|{_IP_FUTURE})\])(?::([0-9]{{0,5}}))?"
).fullmatch


def is_authority(text: str, *, needs_port: bool = False) -> bool:
    """Tell whether ``text`` is a host with an optional port, or with ``needs_port`` one."""
    match = _match(text)
    if match is None:
        return False
    ipv6, port = match.groups()
    if ipv6 is not None and not _is_ipv6(ipv6):
        return False
    return int(port) <= MAX_PORT if port else not needs_port


def same_authority(one: str, other: str, scheme: str) -> bool:
    """Compare without case and default port (RFC 9110 section 4.2.3)."""
    if one == other:
        return True
    port = DEFAULT_PORTS.get(scheme, "")
    return one.lower().removesuffix(port) == other.lower().removesuffix(port)


def _is_ipv6(text: str) -> bool:
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return False
    return True
