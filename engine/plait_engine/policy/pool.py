"""The connection pool: which request gets which connection, as a machine without I/O.

Strategy
--------
Requests come with a *ticket* (whatever the caller knows them by) and a *key* (whatever
makes two connections interchangeable).  The machine says what to do: open a connection,
give one to a ticket, close one, tell a ticket that there is none.  Connections have ids,
which the machine draws itself when it asks for one.

=============  ====================================================================
inputs         ``acquire connected connect_failed capacity_changed draining
               released closed cancel handle_timeout close``
outputs        ``next_event``: ``Connect Assign Close Fail``; ``next_timeout``
=============  ====================================================================

A connection *takes* as many requests at once as its capacity says: 1 on HTTP/1.1, the
peer's SETTINGS_MAX_CONCURRENT_STREAMS on HTTP/2 (where it is ``shared``).

Rules
-----
* First come, first served (but see ``line``); across keys too when the limit of all
  connections holds tickets back: a key gives its free connection up for an older ticket of
  another.
* The idle connection that was used last is used first: it is the least likely to be stale.
* One shared connection a key (RFC 9113 section 9.1): while it is full, tickets wait.
* Whether a key is shared is learned by connecting.  Until it is known, one connection is
  opened and all tickets of the key wait for it; if it is shared, they share it, and if
  not, more are opened.  What was learned is remembered.
* A connection is opened for a ticket, but whoever is first in the line gets it.  If it
  fails, the ticket that it was opened for fails; where all waited for the one, all fail.
* Tickets that are cancelled take the connections with them that were being opened for
  nobody else.
* Idle connections count against the limits, and make room when another key needs it: the
  one that is idle longest is closed.
* An idle connection is closed after ``keep_alive`` seconds.  ``None``: never; ``0``: a
  connection is used once.

Every input is O(1) but for ``close``.  Inputs about a connection or ticket that is not
known (any more) are no-ops: they crossed a ``Close`` or ``cancel``.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeAlias, TypeVar

from .line import Line

Key = TypeVar("Key", bound=Hashable)
Ticket = TypeVar("Ticket", bound=Hashable)

MAX_REMEMBERED: Final = 1024
"""Keys without connections whose nature is remembered."""


@dataclass(slots=True)
class Connect(Generic[Key, Ticket]):
    """Open a connection for ``key``; report ``connected`` or ``connect_failed``."""

    connection: int
    key: Key
    ticket: Ticket


@dataclass(slots=True)
class Assign(Generic[Ticket]):
    """``ticket`` may use ``connection`` for one request; then report ``released``.

    ``reused``: a request was done on it before, so it may be stale.
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


class _Host(Generic[Key, Ticket]):
    """What there is for one key."""

    __slots__ = (
        "connecting",
        "idle",
        "key",
        "shared",
        "sharing",
        "size",
        "unattended",
        "waiting",
    )

    def __init__(self, key: Key, sharing: bool | None) -> None:
        self.key = key
        self.sharing = sharing
        """Whether connections are shared; ``None``: not known yet."""
        self.waiting: Line[Ticket] = Line()
        """Tickets in order."""
        self.unattended: OrderedDict[Ticket, None] = OrderedDict()
        """Those of them for which no connection is being opened."""
        self.connecting: dict[int, Ticket] = {}
        """Connections that are being opened, and for whom; who may have got another."""
        self.idle: list[_Slot[Key, Ticket]] = []
        """Connections of capacity 1 without a request, the last used last.  May hold some
        that were closed: they are skipped."""
        self.shared: _Slot[Key, Ticket] | None = None
        self.size = 0
        """Connections, those being opened included."""


class _Slot(Generic[Key, Ticket]):
    """One open connection."""

    __slots__ = ("active", "capacity", "draining", "host", "idle_since", "number", "open", "used")

    def __init__(self, number: int, host: _Host[Key, Ticket], capacity: int) -> None:
        self.number = number
        self.host = host
        self.capacity = capacity
        self.active = 0
        self.used = False
        self.draining = False
        self.open = True
        self.idle_since = 0.0


class Pool(Generic[Key, Ticket]):
    """The machine; see the module.

    Args:
        limit: connections in all, 0 for no limit.
        limit_per_host: connections for one key, 0 for no limit.
        keep_alive: seconds; ``None`` for ever, 0 for not at all.
    """

    __slots__ = (
        "_closed",
        "_connecting",
        "_events",
        "_held_back",
        "_hosts",
        "_idle",
        "_next_number",
        "_next_turn",
        "_remembered",
        "_size",
        "_slots",
        "_tickets",
        "keep_alive",
        "limit",
        "limit_per_host",
    )

    def __init__(
        self, *, limit: int = 100, limit_per_host: int = 0, keep_alive: float | None = 15.0
    ) -> None:
        self.limit = limit
        self.limit_per_host = limit_per_host
        self.keep_alive = keep_alive
        self._events: deque[PoolEvent[Key, Ticket]] = deque()
        self._hosts: dict[Key, _Host[Key, Ticket]] = {}
        self._slots: dict[int, _Slot[Key, Ticket]] = {}
        self._connecting: dict[int, _Host[Key, Ticket]] = {}
        self._tickets: dict[Ticket, _Host[Key, Ticket]] = {}
        """Where each waiting ticket waits."""
        self._idle: OrderedDict[int, _Slot[Key, Ticket]] = OrderedDict()
        """Open connections without a request, the longest idle first."""
        self._held_back: OrderedDict[Key, None] = OrderedDict()
        """Keys that want a connection and are stopped by ``limit``."""
        self._remembered: OrderedDict[Key, bool] = OrderedDict()
        self._size = 0
        self._next_number = 1
        self._next_turn = 0
        self._closed = False

    # -- outputs ----------------------------------------------------------------

    def next_event(self) -> PoolEvent[Key, Ticket] | None:
        """Return the next thing to do, or ``None``."""
        return self._events.popleft() if self._events else None

    def next_timeout(self) -> float | None:
        """Return when ``handle_timeout`` is wanted next, or ``None``."""
        if not self.keep_alive or not self._idle:
            return None
        return next(iter(self._idle.values())).idle_since + self.keep_alive

    # -- getters ----------------------------------------------------------------

    @property
    def connections(self) -> int:
        """How many connections there are, those being opened included."""
        return self._size

    @property
    def idle(self) -> int:
        """How many connections have no request."""
        return len(self._idle)

    @property
    def acquired(self) -> int:
        """How many requests have a connection."""
        return sum(slot.active for slot in self._slots.values())

    @property
    def waiting(self) -> int:
        """How many tickets wait."""
        return len(self._tickets)

    def is_shared(self, key: Key) -> bool:
        """Tell whether there is an open shared connection for ``key``."""
        host = self._hosts.get(key)
        return host is not None and host.shared is not None

    # -- inputs of requests -----------------------------------------------------------

    def acquire(
        self, ticket: Ticket, key: Key, now: float, *, may_share: bool = False, again: bool = False
    ) -> None:
        """A request wants a connection: ``Assign`` or ``Fail`` will answer it.

        ``may_share``: whether a connection for this key may turn out to be shared.
        ``again``: it had a connection before, and was not processed.
        """
        if self._closed:
            self._events.append(Fail(ticket, PoolClosedError("the pool is closed")))
            return
        host = self._hosts.get(key)
        if host is None:
            host = self._hosts[key] = _Host(key, self._recall(key, may_share))
        if not host.waiting:
            slot = self._find_free(host, now)
            if slot is not None:
                self._assign(ticket, slot)
                return
        self._hosts[key] = host
        self._next_turn += 1
        host.waiting.join(ticket, self._next_turn, again=again)
        host.unattended[ticket] = None
        self._tickets[ticket] = host
        self._open_more(host)

    def cancel(self, ticket: Ticket, now: float) -> None:
        """The request gave up waiting."""
        host = self._tickets.get(ticket)
        if host is None:
            return
        self._leave_line(ticket, host)
        self._give_up_needless(host)
        self._forget_if_empty(host)

    def released(self, connection: int, now: float, *, reusable: bool = True) -> None:
        """A request on ``connection`` is done.

        ``reusable``: false when the connection takes no further one; it is closed when its
        last request is done.
        """
        slot = self._slots.get(connection)
        if slot is None:
            return
        slot.active -= 1
        slot.used = True
        if not reusable or self.keep_alive == 0:
            self._drain(slot)
        self._settle(slot, now)

    # -- inputs of connections ----------------------------------------------------------

    def connected(
        self, connection: int, now: float, *, capacity: int = 1, shared: bool = False
    ) -> None:
        """The connection is open and takes ``capacity`` requests at once."""
        host = self._connecting.pop(connection, None)
        if host is None:
            return
        ticket = host.connecting.pop(connection)
        if ticket in host.waiting:  # It is not sure to be served by this one.
            host.unattended[ticket] = None
            host.unattended.move_to_end(ticket, last=False)
        slot = self._slots[connection] = _Slot(connection, host, capacity)
        host.sharing = shared
        if shared and host.shared is not None:
            # Two were opened before one was known to be shared: this one is needless.
            self._discard(slot)
        else:
            if shared:
                host.shared = slot
            self._settle(slot, now)
        self._open_more(host)

    def connect_failed(self, connection: int, error: BaseException, now: float) -> None:
        """The connection could not be opened."""
        host = self._connecting.pop(connection, None)
        if host is None:
            return
        ticket = host.connecting.pop(connection)
        host.size -= 1
        self._size -= 1
        failed = [ticket] if host.sharing is False else list(host.waiting)
        for each in failed:
            if each in host.waiting:
                self._leave_line(each, host)
                self._events.append(Fail(each, error))
        self._fill_free_place()
        self._open_more(host)
        self._forget_if_empty(host)

    def capacity_changed(self, connection: int, capacity: int, now: float) -> None:
        """The connection takes another number of requests at once.

        Requests that it has beyond that go on (RFC 9113 section 5.1.2).
        """
        slot = self._slots.get(connection)
        if slot is not None:
            slot.capacity = capacity
            self._settle(slot, now)

    def draining(self, connection: int, now: float) -> None:
        """The connection takes no further request; those that it has go on."""
        slot = self._slots.get(connection)
        if slot is not None:
            self._drain(slot)
            self._settle(slot, now)

    def closed(self, connection: int, now: float) -> None:
        """The connection is gone, whoever closed it."""
        slot = self._slots.get(connection)
        if slot is not None:
            host = slot.host
            self._remove(slot)
            self._fill_free_place()
            self._open_more(host)
            self._forget_if_empty(host)

    # -- inputs of time and the end --------------------------------------------------------

    def handle_timeout(self, now: float) -> None:
        """Close what was idle for too long."""
        if not self.keep_alive:
            return
        for slot in list(self._idle.values()):
            if slot.idle_since + self.keep_alive > now:
                break
            self._discard(slot)

    def close(self, now: float) -> None:
        """Close every connection and fail every ticket."""
        self._closed = True
        error = PoolClosedError("the pool was closed")
        self._events.extend(Fail(ticket, error) for ticket in self._tickets)
        self._events.extend(Close(number) for number in self._connecting)
        self._events.extend(Close(number) for number in self._slots)
        for slot in self._slots.values():
            slot.open = False
        for table in (
            self._tickets,
            self._connecting,
            self._slots,
            self._hosts,
            self._idle,
            self._held_back,
        ):
            table.clear()
        self._size = 0

    # -- decisions -----------------------------------------------------------------------

    def _find_free(self, host: _Host[Key, Ticket], now: float) -> _Slot[Key, Ticket] | None:
        """Return a connection that takes a request now."""
        shared = host.shared
        if shared is not None:
            if shared.active:
                return shared if shared.active < shared.capacity else None
            if not self._has_expired(shared, now):
                return shared if shared.capacity > 0 else None
            self._discard(shared)
        idle = host.idle
        while idle:
            slot = idle.pop()
            if slot.open:
                if not self._has_expired(slot, now):
                    return slot
                self._discard(slot)
        return None

    def _has_expired(self, slot: _Slot[Key, Ticket], now: float) -> bool:
        """Tell whether an idle connection is due to be closed, should the timer be late."""
        return bool(self.keep_alive) and slot.idle_since + (self.keep_alive or 0.0) <= now

    def _leave_line(self, ticket: Ticket, host: _Host[Key, Ticket]) -> None:
        """``ticket`` waits no longer."""
        del self._tickets[ticket]
        host.waiting.leave(ticket)
        host.unattended.pop(ticket, None)
        if not self._wants_connection(host):
            self._held_back.pop(host.key, None)

    def _assign(self, ticket: Ticket, slot: _Slot[Key, Ticket]) -> None:
        if not slot.active:
            self._idle.pop(slot.number, None)
        slot.active += 1
        self._events.append(Assign(ticket, slot.number, slot.used))

    def _settle(self, slot: _Slot[Key, Ticket], now: float) -> None:
        """See to a connection after a change: serve who waits, let it be idle, close it."""
        host = slot.host
        if not slot.draining:
            waiting = host.waiting
            if waiting and not slot.active and self._others_are_first(host):
                self._discard(slot)
                return
            while waiting and slot.active < slot.capacity:
                ticket = next(iter(waiting))
                self._leave_line(ticket, host)
                self._assign(ticket, slot)
            if not slot.active and slot.number not in self._idle:
                self._rest(slot, now)
        elif not slot.active:
            self._discard(slot)
        else:
            self._open_more(host)

    def _others_are_first(self, host: _Host[Key, Ticket]) -> bool:
        """Tell whether a ticket that ``limit`` holds back is older than those of ``host``."""
        if not self._held_back:
            return False
        other = self._hosts[next(iter(self._held_back))]
        return other.waiting.turn < host.waiting.turn

    def _rest(self, slot: _Slot[Key, Ticket], now: float) -> None:
        """Let a connection be idle, unless another key needs its place."""
        slot.idle_since = now
        self._idle[slot.number] = slot
        if slot is not slot.host.shared:
            slot.host.idle.append(slot)
        if self._held_back:
            self._discard(slot)

    def _open_more(self, host: _Host[Key, Ticket]) -> None:
        """Open as many connections as the waiting tickets need and the limits allow."""
        while self._wants_connection(host):
            if self.limit and self._size >= self.limit and not self._make_room():
                self._held_back.setdefault(host.key)
                return
            self._open(host)
        self._held_back.pop(host.key, None)

    def _wants_connection(self, host: _Host[Key, Ticket]) -> bool:
        connecting = len(host.connecting)
        if len(host.waiting) <= connecting:
            return False
        if host.sharing is not False and (connecting or host.shared is not None):
            return False
        return not self.limit_per_host or host.size < self.limit_per_host

    def _open(self, host: _Host[Key, Ticket]) -> None:
        number = self._next_number
        self._next_number += 1
        ticket, _ = host.unattended.popitem(last=False)
        host.connecting[number] = ticket
        self._connecting[number] = host
        host.size += 1
        self._size += 1
        self._events.append(Connect(number, host.key, ticket))

    def _make_room(self) -> bool:
        """Close the connection that is idle longest; tell whether there was one.

        Those come last for whose key somebody waits: they have a capacity of 0 until the peer
        changes it.
        """
        if not self._idle:
            return False
        unwanted = (slot for slot in self._idle.values() if not slot.host.waiting)
        slot = next(unwanted, None) or next(iter(self._idle.values()))
        host = slot.host
        self._remove(slot)
        self._events.append(Close(slot.number))
        if self._wants_connection(host):  # It had one whose capacity the peer set to 0.
            self._held_back.setdefault(host.key)
        self._forget_if_empty(host)
        return True

    def _fill_free_place(self) -> None:
        """There may be room below ``limit``: the keys that it held back take turns."""
        while self._held_back and (not self.limit or self._size < self.limit):
            key, _ = self._held_back.popitem(last=False)
            host = self._hosts.get(key)
            if host is None or not self._wants_connection(host):
                continue
            self._open(host)
            if self._wants_connection(host):
                self._held_back[key] = None

    def _give_up_needless(self, host: _Host[Key, Ticket]) -> None:
        """Give up opening connections that nobody waits for, the youngest first."""
        while len(host.connecting) > len(host.waiting):
            number, ticket = host.connecting.popitem()
            if ticket in host.waiting:
                host.unattended[ticket] = None
            del self._connecting[number]
            host.size -= 1
            self._size -= 1
            self._events.append(Close(number))
        self._fill_free_place()

    # -- the end of a connection -----------------------------------------------------------

    def _drain(self, slot: _Slot[Key, Ticket]) -> None:
        slot.draining = True
        if slot.host.shared is slot:
            slot.host.shared = None

    def _discard(self, slot: _Slot[Key, Ticket]) -> None:
        """Close a connection that has no request."""
        host = slot.host
        self._remove(slot)
        self._events.append(Close(slot.number))
        self._fill_free_place()
        self._open_more(host)
        self._forget_if_empty(host)

    def _remove(self, slot: _Slot[Key, Ticket]) -> None:
        """Forget a connection; its place is free."""
        slot.open = False
        del self._slots[slot.number]
        self._idle.pop(slot.number, None)
        host = slot.host
        if host.shared is slot:
            host.shared = None
        host.size -= 1
        self._size -= 1

    # -- what is known about keys -------------------------------------------------------------

    def _recall(self, key: Key, may_share: bool) -> bool | None:
        return self._remembered.pop(key, None) if may_share else False

    def _forget_if_empty(self, host: _Host[Key, Ticket]) -> None:
        """Let go of a key that has nothing, but remember whether it is shared."""
        if host.size or host.waiting or self._hosts.get(host.key) is not host:
            return
        del self._hosts[host.key]
        if host.sharing is not None:
            self._remembered[host.key] = host.sharing
            if len(self._remembered) > MAX_REMEMBERED:
                self._remembered.popitem(last=False)
