"""A client's connection that a program takes over behind a 101, as it does in aiohttp.

There ``response.connection.protocol`` is the protocol on the transport, and ``set_parser`` gives
what comes to an object of the program's own.  Here it is a ``ClientConnection``.  These are the
methods of aiohttp's protocol that such programs call; what they do, plait's own parts do.

``pause_reading``: what comes meanwhile is still given to the parser, up to the engine's
``read_high_water``.  Then the server is stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol

from plait.calls.connection import ClientConnection
from plait.calls.exchange import ClientExchange
from plait.client_exceptions import ClientConnectionResetError

__all__ = ("METHODS",)


class Parser(Protocol):
    """What a program gives to ``set_parser``."""

    def feed_data(self, data: bytes, /) -> tuple[bool, bytes]:
        """Take bytes; say whether they are wrong, and what was not taken."""

    def feed_eof(self) -> None:
        """Nothing more comes."""


class ParserSink:
    """Gives a parser what comes on an exchange (``plait.calls.body.BodySink``)."""

    def __init__(
        self,
        exchange: ClientExchange,
        parser: Parser,
        payload: Any,
        on_data: Callable[[], None] | None,
    ) -> None:
        self.paused = False
        self._exchange = exchange
        self._parser: Parser | None = parser
        self._payload = payload  # Any: aiohttp sets an exception on it, if it can.
        self._on_data = on_data
        self._kept = 0
        """The credit of what came while the reading is paused."""

    def feed_data(self, data: bytes, size: int) -> None:
        parser = self._parser
        if parser is not None:
            if self._on_data is not None:
                self._on_data()
            failed, _ = parser.feed_data(data)
            if failed:
                self._parser = None
        if self.paused:
            self._kept += size
        else:
            self._exchange.acknowledge(size)

    def feed_eof(self) -> None:
        parser, self._parser = self._parser, None
        if parser is not None:
            try:
                parser.feed_eof()
            except Exception as error:  # Nobody else is there to hear of it.
                message = f"{parser!r} failed at the end of its connection"
                loop = self._exchange.driver.loop
                loop.call_exception_handler({"message": message, "exception": error})

    def set_exception(self, exc: BaseException) -> None:
        self._parser = None
        if self._payload is not None:
            self._payload.set_exception(exc)

    def resume(self) -> None:
        """Let the server send again."""
        self.paused = False
        credit, self._kept = self._kept, 0
        self._exchange.acknowledge(credit)


def _sink(client: ClientConnection) -> ParserSink | None:
    sink: ParserSink | None = vars(client).get("taken_over_by")
    return sink


def _set_parser(
    client: ClientConnection,
    parser: Parser,
    payload: Any,
    data_received_cb: Callable[[], None] | None = None,
) -> None:
    """Give ``parser`` what came behind the 101, and what will come.

    Raises RuntimeError when there was no 101.
    """
    for exchange in client.driver.exchanges.values():
        if isinstance(exchange, ClientExchange) and exchange.has_switched:
            sink = ParserSink(exchange, parser, payload, data_received_cb)
            vars(client)["taken_over_by"] = sink
            exchange.pour_into(sink)
            return
    raise RuntimeError("the server did not switch protocols")


def _force_close(client: ClientConnection) -> None:
    """Nothing to do: a connection whose server switched is never used again."""


def _pause_reading(client: ClientConnection) -> None:
    sink = _sink(client)
    if sink is not None:
        sink.paused = True


def _resume_reading(client: ClientConnection) -> None:
    sink = _sink(client)
    if sink is not None:
        sink.resume()


def _is_paused(client: ClientConnection) -> bool:
    sink = _sink(client)
    return sink is not None and sink.paused


async def _drain(client: ClientConnection) -> None:
    """Wait until the transport takes bytes.  Raises ClientConnectionResetError without one."""
    await client.driver.wait_writable()
    if client.transport is None:
        raise ClientConnectionResetError("Connection lost")


METHODS: Final[dict[str, object]] = {
    "_drain_helper": _drain,
    "_reading_paused": property(_is_paused),
    "force_close": _force_close,
    "pause_reading": _pause_reading,
    "resume_reading": _resume_reading,
    "set_parser": _set_parser,
}
"""The methods of ``ClientConnection`` by name."""
