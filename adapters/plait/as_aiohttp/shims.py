"""Private names of aiohttp that plait has nothing of the same shape for.

Each does what aiohttp's does, by plait's own parts where there are some.  plait itself uses none.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from time import monotonic
from typing import TYPE_CHECKING, Final, TypedDict

from plait.connector import Connection
from plait.helpers import should_remove_content_length
from plait_engine.policy.digest import HASHES, PARAMETER, escape_quoted, parse_challenges

if TYPE_CHECKING:
    from plait.abc import ResolveResult

__all__ = (
    "DIGEST_FUNCTIONS",
    "HEADER_PAIR",
    "ConnectTunnelConnection",
    "DNSCacheTable",
    "DigestAuthChallenge",
    "escape_quotes",
    "must_be_empty_body",
    "parse_header_pairs",
    "unescape_quotes",
)

# -- client_middleware_digest_auth -----------------------------------------------------------


class DigestAuthChallenge(TypedDict, total=False):
    """The parameters of a challenge (RFC 7616 section 3.3)."""

    realm: str
    nonce: str
    qop: str
    algorithm: str
    opaque: str
    domain: str
    stale: str


DIGEST_FUNCTIONS: Final[dict[str, Callable[[bytes], hashlib._Hash]]] = {
    name + suffix: functools.partial(hashlib.new, its_name, usedforsecurity=False)
    for name, its_name in HASHES.items()
    for suffix in ("", "-SESS")
}
"""The algorithm of a challenge -> its hash."""

HEADER_PAIR: Final = re.compile(rf"(?<![^\s,]){PARAMETER.pattern}", re.DOTALL)
"""A parameter of a challenge: its name and, of the next two groups, its value."""


def parse_header_pairs(header: str) -> dict[str, str]:
    """Return the parameters of the first challenge, with its scheme or without."""
    for text in (header, f"Digest {header}"):
        for challenge in parse_challenges([text]):
            if challenge.parameters:  # "realm =" looks like a scheme.
                return challenge.parameters
            break
    return {}


def escape_quotes(value: str) -> str:
    """Return what stands for ``value`` between quotes (RFC 9110 section 5.6.4)."""
    return escape_quoted(value)


def unescape_quotes(value: str) -> str:
    """Return what text between quotes means."""
    return re.sub(r"\\(.)", r"\1", value, flags=re.DOTALL)


# -- connector -------------------------------------------------------------------------------


class ConnectTunnelConnection(Connection):
    """A connection through a tunnel: nobody uses it again."""

    def release(self) -> None:
        """End it."""
        self.close()


class DNSCacheTable:
    """Addresses by host and port; ``ttl`` in seconds, ``None``: for ever."""

    def __init__(self, ttl: float | None = None, max_size: int = 1000) -> None:
        self._ttl = ttl
        self._max_size = max_size
        self._found: OrderedDict[tuple[str, int], tuple[deque[ResolveResult], float]]
        self._found = OrderedDict()

    def __contains__(self, key: object) -> bool:
        return key in self._found

    def add(self, key: tuple[str, int], addrs: Iterable[ResolveResult]) -> None:
        """Remember ``addrs``; the entry that was used least recently makes room."""
        self._found.pop(key, None)
        self._found[key] = deque(addrs), monotonic()
        if len(self._found) > self._max_size:
            self._found.popitem(last=False)

    def remove(self, key: tuple[str, int]) -> None:
        """Forget ``key``."""
        self._found.pop(key, None)

    def clear(self) -> None:
        """Forget everything."""
        self._found.clear()

    def next_addrs(self, key: tuple[str, int]) -> list[ResolveResult]:
        """Return all of them, beginning with another one each time.  Raises KeyError."""
        addresses, _ = self._found[key]
        self._found.move_to_end(key)
        found = list(addresses)
        addresses.rotate(-1)
        return found

    def expired(self, key: tuple[str, int]) -> bool:
        """Tell whether the entry is older than ``ttl``.  Raises KeyError."""
        _, since = self._found[key]
        return self._ttl is not None and monotonic() - since > self._ttl


# -- helpers ---------------------------------------------------------------------------------


def must_be_empty_body(method: str, code: int) -> bool:
    """Tell whether a response has no content (RFC 9110 section 6.4.1)."""
    return method == "HEAD" or code == 304 or should_remove_content_length(method, code)
