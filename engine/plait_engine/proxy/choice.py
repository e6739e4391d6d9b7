"""Which proxy is for a host, which hosts need none, and what a proxy is asked for.

The environment names proxies by the scheme of the URL (``http_proxy``, ``https_proxy``,
``ws_proxy``, ``wss_proxy``), and one for all others (``all_proxy``).  ``no_proxy`` lists what is
reached directly.  No standard says what it means; this is what most programs read in it:

* Members are separated by commas or spaces.  Case does not matter.
* ``*`` is every host.
* A name means that host and all below it, with or without a dot or ``*.`` before it.
* An IP address means itself, however it is spelled; ``192.168.0.0/16`` a network.
* ``:port`` at the end restricts a member to that port.  An IPv6 address with a port is in
  brackets.
* An address is never below a name, and the zone of an IPv6 address is not looked at
  (CVE-2025-22870: ``[::1%25.example.com]`` is not in ``example.com``).
"""

from __future__ import annotations

import enum
import ipaddress
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final, TypeAlias

_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

DEFAULT_PORTS: Final = {
    "http": 80,
    "https": 443,
    "socks4": 1080,
    "socks4a": 1080,
    "socks5": 1080,
    "socks5h": 1080,
}
"""The schemes of proxies, and the ports when their URLs name none."""

_REMOTE_NAMES: Final = frozenset({"socks4a", "socks5h"})
_MEMBER: Final = re.compile(r"(\[[^\]]*\]|[^:]*):([0-9]{1,5})")


class Way(enum.Enum):
    """What a proxy is asked for."""

    FORWARD = "to forward each request"
    CONNECT = "for a tunnel, by CONNECT"
    SOCKS = "for a tunnel, by SOCKS"


def choose_way(proxy_scheme: str, *, secure: bool, opaque: bool) -> Way:
    """Return what to ask a proxy for.

    ``secure``: the URL of the request is one of TLS.  ``opaque``: what follows is no HTTP/1.1
    that a proxy could forward: a WebSocket (RFC 6455 section 4.1), HTTP/2 by prior knowledge.
    """
    if proxy_scheme.startswith("socks"):
        return Way.SOCKS
    return Way.CONNECT if secure or opaque else Way.FORWARD


def resolves_names(proxy_scheme: str) -> bool:
    """Tell whether the proxy looks names up, and not this side."""
    return not proxy_scheme.startswith("socks") or proxy_scheme in _REMOTE_NAMES


def choose_addresses(proxy_scheme: str, addresses: Iterable[str]) -> list[str]:
    """Return those of ``addresses`` that a proxy can be asked for.  Raises OSError for none."""
    if proxy_scheme != "socks4":
        return list(addresses)
    found = [address for address in addresses if ":" not in address]
    if not found:
        raise OSError(None, "the host has no IPv4 address, and SOCKS 4 knows no others")
    return found


def find_proxy(proxies: Mapping[str, str], scheme: str) -> str | None:
    """Return the URL of the proxy for URLs of ``scheme``, if there is one."""
    return proxies.get(scheme) or proxies.get("all")


@lru_cache(16)
def read_no_proxy(text: str) -> NoProxy:
    """Return what the value of ``no_proxy`` means."""
    return NoProxy(text)


class NoProxy:
    """The hosts that are reached without a proxy; see the module."""

    def __init__(self, text: str) -> None:
        self._all = False
        self._names: list[tuple[str, int | None]] = []
        self._networks: list[tuple[_Network, int | None]] = []
        for member in text.lower().replace(",", " ").split():
            self._add(member)

    def covers(self, host: str, port: int | None) -> bool:
        """Tell whether ``host`` is reached without a proxy.

        ``host``: without brackets, in ASCII; ``port``: the one to connect to.
        """
        if self._all:
            return True
        host = host.lower().rstrip(".")
        address = _network(host)
        if address is not None:
            return any(
                wanted in (None, port)
                and address.version == network.version
                and network.supernet_of(address)  # type: ignore[arg-type]
                for network, wanted in self._networks
            )
        return any(
            wanted in (None, port) and (host == name or host.endswith(f".{name}"))
            for name, wanted in self._names
        )

    def _add(self, member: str) -> None:
        if member == "*":
            self._all = True
            return
        port = None
        if (match := _MEMBER.fullmatch(member)) is not None:
            member, port = match[1], int(match[2])
        network = _network(member.removeprefix("[").removesuffix("]"))
        if network is not None:
            self._networks.append((network, port))
        elif name := member.removeprefix("*").strip("."):
            self._names.append((name, port))


def _network(text: str) -> _Network | None:
    """Return the network, perhaps of one address, that ``text`` is."""
    address, slash, length = text.partition("/")
    try:
        network = ipaddress.ip_network(address.partition("%")[0] + slash + length, strict=False)
    except ValueError:
        return None
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96:
        mapped = network.network_address.ipv4_mapped
        if mapped is not None:  # ::ffff:127.0.0.1 is 127.0.0.1.
            return ipaddress.IPv4Network((mapped, network.prefixlen - 96))
    return network
