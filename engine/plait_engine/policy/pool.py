"""The connection pool: which request gets which connection, as a machine without I/O.

Strategy
--------
Requests come with a *ticket* (whatever the caller knows them by) and a *key* (whatever
makes two connections interchangeable).  The machine says what to do: open a connection,
give a place on one to a ticket, close one, tell a ticket that there is none.  Connections
have ids, which the machine draws itself when it asks for one.

=============  ====================================================================
inputs         ``take acquire cancel connected connect_failed begun returned released
               changed closed handle_timeout close``
outputs        ``next_event``: ``Connect Assign Close Fail``; ``next_timeout``
=============  ====================================================================

How many requests a connection takes is the engine's knowledge, and the pool asks it each
time: ``available_streams``, less the places that were assigned and on which no request has
begun yet.  It is 1 or 0 on HTTP/1.1, and what SETTINGS_MAX_CONCURRENT_STREAMS leaves on
HTTP/2, where a connection is ``shared``.

The life of a place: ``Assign`` gives it to a ticket; ``begun`` says that the engine is about
to be given the request, and counts it from then on; ``released`` says that the request is
done.  ``returned`` gives a place back on which nothing has begun.

Rules
-----
* First come, first served (but see ``queue``); across keys too when the limit of all
  connections holds tickets back: a key gives its free connection up for an older ticket of
  another.
* The idle connection that was used last is used first: it is the least likely to be stale.
  Of shared connections the oldest with a free place is used, so that the others become idle.
* Requests of a key share one connection (RFC 9113 section 9.1).  When it is full, tickets
  wait for a place; and when none came free for ``PATIENCE`` seconds, because its requests
  are event streams, say, another connection is opened.  But one that carries no request and
  takes none (a limit of 0) is waited for: the next would hear the same.
* Whether a key is shared is learned by connecting.  Until it is known, one connection is
  opened and all tickets of the key wait for it; if it is shared, they share it, and if
  not, more are opened.  What was learned is remembered.
* A key whose peer takes no request comes after all tickets that have arrived by then: it
  gives its connection up for them, and tries again when they were served.
* A connection is opened for a ticket, but whoever is first in the queue gets it.  If it
  fails, the ticket that it was opened for fails; where all waited for the one, all fail.
* Tickets that are cancelled take the connections with them that were being opened for
  nobody else.
* Idle connections count against the limits, and make room when another key needs it: the
  one that is idle longest is closed.
* An idle connection is closed after ``keep_alive`` seconds.  ``None``: never; ``0``: a
  connection is used once.
* A connection that is ``max_age`` seconds old, or was given ``max_requests``, takes no more: it
  is closed when those are done that it has.  So a client comes to learn where a name leads
  now.  Ages differ by up to a tenth, for connections that were opened together should not all
  be opened anew together.

Every input is O(1) but for ``close``, for the number of shared connections of a key, and,
where a peer takes no request, for the number of keys that wait.
Inputs about a connection or ticket that is not known (any more) are no-ops: they crossed a
``Close`` or ``cancel``.
"""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, Generic

from plait_engine.connection import ConnectionState

from .pool_events import Assign, Close, Connect, Fail, PoolClosedError, PoolEvent
from .slots import Carrier, Host, Key, Slot, Ticket
from .stats import HostStats

PATIENCE: Final = 0.1
"""Seconds for which full connections are waited for before another one joins them."""

SPREAD: Final = 0.1
"""The part of ``max_age`` by which the ages differ at which connections end."""

MAX_REMEMBERED: Final = 1024
"""Keys without connections whose nature is remembered."""

# On CPython 3.11 a member that is asked of its Enum costs ten times a global.
_OPEN: Final = ConnectionState.OPEN


class Pool(Generic[Key, Ticket]):
    """The machine; see the module.

    Args:
        limit: connections in all, 0 for no limit.
        limit_per_host: connections for one key, 0 for no limit.
        keep_alive: seconds; ``None`` for ever, 0 for not at all.
        max_age: seconds after which a connection takes no more requests; ``None``: never.
        max_requests: how many requests a connection takes; ``None``: any number.
        random: returns any number from 0 to 1.

    Raises ValueError for a ``max_age`` or ``max_requests`` that is not above 0.
    """

    __slots__ = (
        "_arrivals",
        "_closed",
        "_connecting",
        "_full",
        "_held_back",
        "_hosts",
        "_idle",
        "_next_end",
        "_next_number",
        "_random",
        "_remembered",
        "_size",
        "_slots",
        "_tickets",
        "events",
        "keep_alive",
        "limit",
        "limit_per_host",
        "max_age",
        "max_requests",
    )

    def __init__(
        self,
        *,
        limit: int = 100,
        limit_per_host: int = 0,
        keep_alive: float | None = 15.0,
        max_age: float | None = None,
        max_requests: int | None = None,
        random: Callable[[], float] = lambda: 0.0,
    ) -> None:
        if max_age is not None and not max_age > 0:
            raise ValueError(f"the maximal age of a connection must be above 0, not {max_age}")
        if max_requests is not None and max_requests < 1:
            raise ValueError(f"a connection must take 1 request or more, not {max_requests}")
        self.limit = limit
        self.limit_per_host = limit_per_host
        self.keep_alive = keep_alive
        self.max_age = max_age
        self.max_requests = max_requests
        self._random = random
        self._next_end = math.inf
        """When the next connection is too old, or a moment before that."""
        self.events: deque[PoolEvent[Key, Ticket]] = deque()
        """What ``next_event`` is going to return."""
        self._hosts: dict[Key, Host[Key, Ticket]] = {}
        self._slots: dict[int, Slot[Key, Ticket]] = {}
        self._connecting: dict[int, Host[Key, Ticket]] = {}
        self._tickets: dict[Ticket, Host[Key, Ticket]] = {}
        """Where each waiting ticket waits."""
        self._idle: OrderedDict[int, Slot[Key, Ticket]] = OrderedDict()
        """Open connections without a request, the longest idle first."""
        self._held_back: OrderedDict[Key, None] = OrderedDict()
        """Keys that want a connection and are stopped by ``limit``."""
        self._full: OrderedDict[Key, Host[Key, Ticket]] = OrderedDict()
        """Keys whose tickets wait for a place on shared connections, in the order of
        ``served_at``."""
        self._remembered: OrderedDict[Key, bool] = OrderedDict()
        self._size = 0
        self._next_number = 1
        self._arrivals = 0
        """Tickets that had to wait, so far."""
        self._closed = False

    # -- outputs ----------------------------------------------------------------

    def next_event(self) -> PoolEvent[Key, Ticket] | None:
        """Return the next thing to do, or ``None``."""
        return self.events.popleft() if self.events else None

    def next_timeout(self) -> float | None:
        """Return when ``handle_timeout`` is wanted next, or ``None``."""
        when = self._next_end
        if self.keep_alive and self._idle:
            when = min(when, next(iter(self._idle.values())).idle_since + self.keep_alive)
        if self._full:
            when = min(when, next(iter(self._full.values())).served_at + PATIENCE)
        return None if when == math.inf else when

    # -- getters ----------------------------------------------------------------

    @property
    def connections(self) -> int:
        """How many connections there are, those being opened included."""
        return self._size

    @property
    def idle(self) -> int:
        """How many connections have no request."""
        return len(self._idle)

    def idle_connections(self) -> list[tuple[Key, int, float]]:
        """Return key, number and since when of those without a request, longest idle first."""
        return [(slot.host.key, number, slot.idle_since) for number, slot in self._idle.items()]

    @property
    def acquired(self) -> int:
        """How many places are taken."""
        return sum(slot.taken for slot in self._slots.values())

    @property
    def waiting(self) -> int:
        """How many tickets wait."""
        return len(self._tickets)

    def stats(self) -> list[tuple[Key, HostStats]]:
        """Return the figures of each key that has a connection or a ticket."""
        taken: dict[Key, list[int]] = {}
        for slot in self._slots.values():
            taken.setdefault(slot.host.key, []).append(slot.taken)
        return [
            (
                key,
                HostStats(
                    connecting=len(host.connecting),
                    open=len(places := taken.get(key, [])),
                    idle=places.count(0),
                    streams=sum(places),
                    waiting=len(host.waiting),
                ),
            )
            for key, host in self._hosts.items()
        ]

    def has_place(self, key: Key) -> bool:
        """Tell whether a request for ``key`` could begin now on a shared connection."""
        host = self._hosts.get(key)
        return (
            host is not None
            and not host.waiting
            and any(slot.free > 0 for slot in host.shared.values())
        )

    def would_open(self, key: Key) -> bool:
        """Tell whether a connection is opened at once for a ticket that has to wait."""
        host = self._hosts.get(key)
        room = not self.limit or self._size < self.limit or bool(self._idle)
        return room and (
            host is None or (not host.shared and self._wants_connection(host, coming=1))
        )

    # -- inputs of requests -----------------------------------------------------------

    def take(self, key: Key, now: float) -> tuple[int, bool] | None:
        """Return a connection on which a request has a place now, and whether it is reused.

        It is what ``Assign`` says (see there).  ``None``: there is none, ``acquire`` one.
        """
        host = self._hosts.get(key)
        if host is None or (self._tickets and host.waiting):
            return None
        slot = self._find_free(host, now)
        if slot is None:
            return None
        self._occupy(slot)
        return slot.number, slot.used

    def acquire(
        self, ticket: Ticket, key: Key, now: float, *, may_share: bool = False, again: bool = False
    ) -> None:
        """A request wants a connection: ``Assign`` or ``Fail`` will answer it.

        ``may_share``: whether a connection for this key may turn out to be shared.
        ``again``: it had a connection before, and was not processed.
        """
        if self._closed:
            self.events.append(Fail(ticket, PoolClosedError("the pool is closed")))
            return
        taken = self.take(key, now)
        if taken is not None:
            self.events.append(Assign(ticket, *taken))
            return
        host = self._hosts.get(key)
        if host is None:
            host = self._hosts[key] = Host(key, self._recall(key, may_share))
        if not host.waiting:
            host.served_at = now
        self._arrivals += 1
        host.waiting.push(ticket, self._arrivals, again=again)
        host.undialed[ticket] = None
        self._tickets[ticket] = host
        self._open_more(host, now)

    def cancel(self, ticket: Ticket, now: float) -> None:
        """The request gave up waiting."""
        host = self._tickets.get(ticket)
        if host is None:
            return
        self._dequeue(ticket, host)
        self._give_up_needless(host)
        self._make_way(host, now)
        self._forget_if_empty(host)

    def begun(self, connection: int) -> None:
        """The engine of ``connection`` is given a request now, and counts it."""
        slot = self._slots.get(connection)
        if slot is not None:
            slot.unbegun -= 1

    def returned(self, connection: int, now: float) -> None:
        """A place on ``connection`` is given back; no request has begun on it."""
        slot = self._slots.get(connection)
        if slot is not None:
            slot.taken -= 1
            slot.unbegun -= 1
            self._settle(slot, now)

    def released(self, connection: int, now: float) -> None:
        """A request that had begun on ``connection`` is done."""
        slot = self._slots.get(connection)
        if slot is None:
            return
        slot.taken -= 1
        slot.used = True
        if self.keep_alive == 0:
            self._drain(slot)
        self._settle(slot, now)

    # -- inputs of connections ----------------------------------------------------------

    def connected(
        self, connection: int, carrier: Carrier, now: float, *, shared: bool = False
    ) -> None:
        """The connection is open; ``carrier`` is its engine."""
        host = self._connecting.pop(connection, None)
        if host is None:
            return
        ticket = host.connecting.pop(connection)
        if ticket in host.waiting:  # It is not sure to be served by this one.
            host.undialed[ticket] = None
            host.undialed.move_to_end(ticket, last=False)
        slot = self._slots[connection] = Slot(connection, host, carrier, shared)
        self._limit_life(slot, now)
        host.sharing = shared
        if shared and host.shared and not host.waiting:
            self._discard(slot, now)  # Needless: the others have room for all who came.
            return
        if shared:
            host.shared[connection] = slot
        self._settle(slot, now)

    def connect_failed(self, connection: int, error: BaseException, now: float) -> None:
        """The connection could not be opened."""
        host = self._connecting.pop(connection, None)
        if host is None:
            return
        ticket = host.connecting.pop(connection)
        host.size -= 1
        self._size -= 1
        waits_for_this = host.sharing is not False and not host.shared
        failed = list(host.waiting) if waits_for_this else [ticket]
        for each in failed:
            if each in host.waiting:
                self._dequeue(each, host)
                self.events.append(Fail(each, error))
        self._note_service(host, now)
        self._fill_free_place()
        self._open_more(host, now)
        self._make_way(host, now)
        self._forget_if_empty(host)

    def changed(self, connection: int, now: float) -> None:
        """The engine's getters may answer differently now.

        The peer's SETTINGS or GOAWAY came, a stream ended, the connection is closing.
        Requests that have begun go on, whatever the limit is now (RFC 9113 section 5.1.2).
        """
        slot = self._slots.get(connection)
        if slot is not None:
            self._settle(slot, now)

    def closed(self, connection: int, now: float) -> None:
        """The connection is gone, whoever closed it."""
        slot = self._slots.get(connection)
        if slot is not None:
            host = slot.host
            self._remove(slot)
            self._fill_free_place()
            self._open_more(host, now)
            self._forget_if_empty(host)

    # -- inputs of time and the end --------------------------------------------------------

    def handle_timeout(self, now: float) -> None:
        """Close what was idle for too long or is too old; open more where all was full for long."""
        if self.keep_alive:
            for slot in list(self._idle.values()):
                if slot.idle_since + self.keep_alive > now:
                    break
                self._discard(slot, now)
        if self._next_end <= now:
            self._retire_old(now)
        for host in list(self._full.values()):
            if host.served_at + PATIENCE > now:
                break
            self._open_more(host, now)

    def close(self, now: float) -> None:
        """Close every connection and fail every ticket."""
        self._closed = True
        error = PoolClosedError("the pool was closed")
        self.events.extend(Fail(ticket, error) for ticket in self._tickets)
        self.events.extend(Close(number) for number in self._connecting)
        self.events.extend(Close(number) for number in self._slots)
        for slot in self._slots.values():
            slot.open = False
        for table in (
            self._tickets,
            self._connecting,
            self._slots,
            self._hosts,
            self._idle,
            self._held_back,
            self._full,
        ):
            table.clear()
        self._size = 0
        self._next_end = math.inf

    # -- decisions -----------------------------------------------------------------------

    def _find_free(self, host: Host[Key, Ticket], now: float) -> Slot[Key, Ticket] | None:
        """Return a connection that takes a request now."""
        # A connection may be due to be closed, should the timer be late.
        keep_alive = self.keep_alive or math.inf
        if self._next_end <= now:
            self._retire_old(now)
        for slot in host.shared.values():
            if not slot.taken and slot.idle_since + keep_alive <= now:
                self._discard(slot, now)
                return self._find_free(host, now)  # The table is another one now.
            if slot.carrier.available_streams > slot.unbegun:
                return slot
        idle = host.idle
        while idle:
            slot = idle.pop()
            if slot.open:
                if slot.carrier.available_streams and slot.idle_since + keep_alive > now:
                    return slot
                self._discard(slot, now)
        return None

    def _dequeue(self, ticket: Ticket, host: Host[Key, Ticket]) -> None:
        """``ticket`` waits no longer."""
        del self._tickets[ticket]
        host.waiting.remove(ticket)
        host.undialed.pop(ticket, None)
        if not self._wants_connection(host):
            self._held_back.pop(host.key, None)
            self._full.pop(host.key, None)

    def _occupy(self, slot: Slot[Key, Ticket]) -> None:
        """A request has a place on the connection."""
        if not slot.taken:
            self._idle.pop(slot.number, None)
        slot.taken += 1
        slot.unbegun += 1
        slot.allowance -= 1
        if not slot.allowance:
            self._drain(slot)

    def _settle(self, slot: Slot[Key, Ticket], now: float) -> None:
        """See to a connection after a change: serve who waits, let it be idle, close it."""
        host = slot.host
        if not slot.draining and slot.carrier.state is not _OPEN:
            self._drain(slot)
        if slot.draining:
            if not slot.taken:
                self._discard(slot, now)
                return
        else:
            if self._tickets and host.waiting:
                if not slot.taken and self._others_are_first(host):
                    self._discard(slot, now)
                    return
                served = host.waiting.first(slot.free)
                for ticket in served:
                    self._dequeue(ticket, host)
                    self._occupy(slot)
                    self.events.append(Assign(ticket, slot.number, slot.used))
                if served:
                    self._note_service(host, now)
                    self._make_way(host, now)
            if not slot.taken and slot.number not in self._idle:
                self._rest(slot, now)
        if self._tickets:
            self._open_more(host, now)

    def _others_are_first(self, host: Host[Key, Ticket]) -> bool:
        """Tell whether the turn of a key that ``limit`` holds back is before that of ``host``."""
        if not self._held_back:
            return False
        return self._hosts[next(iter(self._held_back))].turn < host.turn

    def _rest(self, slot: Slot[Key, Ticket], now: float) -> None:
        """Let a connection be idle, unless another key needs its place."""
        host = slot.host
        slot.idle_since = now
        self._idle[slot.number] = slot
        if not slot.shared:
            host.idle.append(slot)
        held_back = self._held_back
        if host.waiting:  # The peer takes no request.
            host.refused_at = self._arrivals
            if any(self._hosts[key].turn < host.turn for key in held_back):
                self._discard(slot, now)
            return
        slot.used = True
        if held_back:
            self._discard(slot, now)

    def _note_service(self, host: Host[Key, Ticket], now: float) -> None:
        """A waiting ticket was served."""
        host.served_at = now
        if host.key in self._full:
            self._full.move_to_end(host.key)

    def _open_more(self, host: Host[Key, Ticket], now: float) -> None:
        """Open as many connections as the waiting tickets need and the limits allow."""
        while self._wants_connection(host):
            if host.shared and host.served_at + PATIENCE > now:
                self._full[host.key] = host
                return
            if self.limit and self._size >= self.limit and not self._make_room():
                self._held_back.setdefault(host.key)
                break
            self._open(host)
        else:
            self._held_back.pop(host.key, None)
        self._full.pop(host.key, None)

    def _wants_connection(self, host: Host[Key, Ticket], coming: int = 0) -> bool:
        """Tell whether those who wait, and ``coming`` more, need another connection."""
        connecting = len(host.connecting)
        if len(host.waiting) + coming <= connecting:
            return False
        if host.sharing is not False and (
            connecting or any(not slot.taken for slot in host.shared.values())
        ):
            return False
        return not self.limit_per_host or host.size < self.limit_per_host

    def _open(self, host: Host[Key, Ticket]) -> None:
        number = self._next_number
        self._next_number += 1
        ticket, _ = host.undialed.popitem(last=False)
        host.connecting[number] = ticket
        self._connecting[number] = host
        host.size += 1
        self._size += 1
        self.events.append(Connect(number, host.key, ticket))

    def _make_room(self) -> bool:
        """Close the connection that is idle longest; tell whether there was one.

        Those come last for whose key somebody waits: the peer has set their limit to 0, and
        may raise it.
        """
        if not self._idle:
            return False
        unwanted = (slot for slot in self._idle.values() if not slot.host.waiting)
        slot = next(unwanted, None) or next(iter(self._idle.values()))
        host = slot.host
        self._remove(slot)
        self.events.append(Close(slot.number))
        if self._wants_connection(host):  # The peer had set its limit to 0.
            host.refused_at = self._arrivals
            self._held_back.setdefault(host.key)
        self._forget_if_empty(host)
        return True

    def _make_way(self, host: Host[Key, Ticket], now: float) -> None:
        """Tickets are gone: close what took no request and was kept for them, if others wait."""
        if self._held_back and not host.waiting:
            for slot in [slot for slot in host.shared.values() if not slot.taken]:
                self._discard(slot, now)

    def _fill_free_place(self) -> None:
        """There may be room below ``limit``: the keys that it held back come one after the other."""
        while self._held_back and (not self.limit or self._size < self.limit):
            key, _ = self._held_back.popitem(last=False)
            host = self._hosts.get(key)
            if host is None or not self._wants_connection(host):
                continue  # pragma: no cover: _dequeue and _open_more forget such a key
            self._open(host)
            if self._wants_connection(host):
                self._held_back[key] = None

    def _give_up_needless(self, host: Host[Key, Ticket]) -> None:
        """Give up opening connections that nobody waits for, the youngest first."""
        while len(host.connecting) > len(host.waiting):
            number, ticket = host.connecting.popitem()
            if ticket in host.waiting:
                host.undialed[ticket] = None
            del self._connecting[number]
            host.size -= 1
            self._size -= 1
            self.events.append(Close(number))
        self._fill_free_place()

    # -- the end of a connection -----------------------------------------------------------

    def _limit_life(self, slot: Slot[Key, Ticket], now: float) -> None:
        """A connection was opened: note when and after what it ends."""
        if self.max_requests is not None:
            slot.allowance = self.max_requests
        if self.max_age is not None:
            slot.end = now + self.max_age * (1 - SPREAD * self._random())
            self._next_end = min(self._next_end, slot.end)

    def _retire_old(self, now: float) -> None:
        """Let the connections take no more requests that are too old."""
        slots = [slot for slot in self._slots.values() if not slot.draining]
        self._next_end = min((slot.end for slot in slots if slot.end > now), default=math.inf)
        for slot in slots:
            if slot.end <= now and slot.open:
                self._drain(slot)
                self._settle(slot, now)

    def _drain(self, slot: Slot[Key, Ticket]) -> None:
        slot.draining = True
        slot.host.shared.pop(slot.number, None)

    def _discard(self, slot: Slot[Key, Ticket], now: float) -> None:
        """Close a connection that has no request."""
        host = slot.host
        self._remove(slot)
        self.events.append(Close(slot.number))
        self._fill_free_place()
        self._open_more(host, now)
        self._forget_if_empty(host)

    def _remove(self, slot: Slot[Key, Ticket]) -> None:
        """Forget a connection; its place is free."""
        slot.open = False
        del self._slots[slot.number]
        self._idle.pop(slot.number, None)
        host = slot.host
        host.shared.pop(slot.number, None)
        host.size -= 1
        self._size -= 1

    # -- what is known about keys -------------------------------------------------------------

    def _recall(self, key: Key, may_share: bool) -> bool | None:
        return self._remembered.pop(key, None) if may_share else False

    def _forget_if_empty(self, host: Host[Key, Ticket]) -> None:
        """Let go of a key that has nothing, but remember whether it is shared."""
        if host.size or host.waiting or self._hosts.get(host.key) is not host:
            return
        del self._hosts[host.key]
        if host.sharing is not None:
            self._remembered[host.key] = host.sharing
            if len(self._remembered) > MAX_REMEMBERED:
                self._remembered.popitem(last=False)
