"""A bounded memory of single fields, for what one field alone decides.

Heads differ from request to request, but most of their fields do not: the same field comes
from many clients and on many connections.  So what a field means is kept by its raw form,
one field at a time, for all connections.

Rules
-----
* Bounded in count and in bytes, since a peer chooses what comes: a full cache is emptied.
  One that is flooded costs a look-up and an insertion a field, and no more memory.
* Fields that are long are not kept.  Whoever inserts leaves out those whose name
  ``names_credentials``: the memory is shared by all connections.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

CREDENTIALS: Final = frozenset({"cookie", "authorization", "proxy-authorization", "set-cookie"})
"""Fields whose values authenticate somebody, in lower case, as the RFCs name them."""

# What applications call theirs: X-Api-Key, X-Auth-Token, X-Amz-Security-Token, X-CSRF-Token ...
_find_credential = re.compile(
    r"auth|cookie|credential|key|passw|secret|session|signature|token", re.IGNORECASE
).search

MAX_FIELD: Final = 256
"""Bytes of the longest field that is kept."""
MAX_FIELDS: Final = 2048
MAX_BYTES: Final = 131072
"""Bytes of all fields that are kept (twice that with what they became)."""


def names_credentials(name: str) -> bool:
    """Tell whether a field of this name may carry what authenticates somebody."""
    return _find_credential(name) is not None


Key = TypeVar("Key", bound=Hashable)
Meaning = TypeVar("Meaning")


def keep(entries: dict[Key, Meaning], key: Key, meaning: Meaning, most: int) -> None:
    """Add to a memory of ``most`` entries, which is emptied when it is full.

    For what one connection keeps, whose size the caller limits.
    """
    if len(entries) >= most:
        entries.clear()
    entries[key] = meaning


class FieldCache(Generic[Key, Meaning]):
    """What fields mean, by their raw form: look up in ``entries``, insert with ``add``."""

    __slots__ = ("entries", "size")

    def __init__(self) -> None:
        self.entries: dict[Key, Meaning] = {}
        self.size = 0
        """Bytes of the fields in ``entries``."""

    def add(self, key: Key, meaning: Meaning, size: int) -> None:
        """Keep the meaning of a field of ``size`` bytes, unless it is long."""
        if size > MAX_FIELD or key in self.entries:
            return
        if len(self.entries) >= MAX_FIELDS or self.size + size > MAX_BYTES:
            self.entries.clear()
            self.size = 0
        self.entries[key] = meaning
        self.size += size
