"""What the connection pool says is to be done; see ``pool``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Generic, TypeAlias

from .slots import Key, Ticket


@dataclass(slots=True)
class Connect(Generic[Key, Ticket]):
    """Open a connection for ``key``; report ``connected`` or ``connect_failed``."""

    connection: int
    key: Key
    ticket: Ticket


@dataclass(slots=True)
class Assign(Generic[Ticket]):
    """``ticket`` has a place on ``connection`` for one request.

    Report ``begun`` and then ``released``, or ``returned``.

    ``reused``: a request was done on it before, or it was idle, so it may be stale.
    """

    ticket: Ticket
    connection: int
    reused: bool


@dataclass(slots=True)
class Close:
    """Close the connection, or give up opening it.  The machine has forgotten it."""

    connection: int


@dataclass(slots=True)
class Fail(Generic[Ticket]):
    """There is no connection for ``ticket``."""

    ticket: Ticket
    error: BaseException


PoolEvent: TypeAlias = Connect[Key, Ticket] | Assign[Ticket] | Close | Fail[Ticket]


class PoolClosedError(Exception):
    """The pool was closed while a ticket waited."""
