"""The driver against transports that behave as only some do."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from plait.transport.driver import Driver
from plait_engine import Config, Event, Role

pytestmark = pytest.mark.anyio


class Owner:
    """The server's side of a connection that hears nothing but refused requests."""

    def __init__(self, transport: asyncio.Transport, config: Config) -> None:
        loop = asyncio.get_running_loop()
        self.driver = Driver(Role.SERVER, config, transport, self, loop=loop)

    def on_event(self, event: Event) -> None:
        pass

    def on_batch_end(self) -> None:
        pass

    def on_eof(self) -> None:
        pass

    def on_lost(self, error: Exception | None) -> None:
        pass


class Transport(asyncio.Transport):
    """Takes everything and counts how often it is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = 0
        self.aborted = 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def is_closing(self) -> bool:
        return self.closed + self.aborted > 0

    def write(self, data: Any) -> None:
        self.written += data

    def write_eof(self) -> None:
        raise OSError("the peer reset the connection")

    def close(self) -> None:
        self.closed += 1

    def abort(self) -> None:
        self.aborted += 1


def refuse(transport: Transport, config: Config) -> Driver:
    """Return a server's driver that has just answered a request that it refuses."""
    driver = Owner(transport, config).driver
    driver.start()
    driver.receive_data(b"no request\r\n\r\n")
    assert transport.written.startswith(b"HTTP/1.1 400 ")
    return driver


async def test_a_transport_is_closed_once() -> None:
    # asyncio's transport of TLS has no get_extra_info any more when it is closed twice.
    transport = Transport()
    driver = refuse(transport, Config(half_close=False))
    driver.receive_data(b"more")
    driver.resume_writing()
    driver.close()
    assert (transport.closed, transport.aborted) == (1, 0)
    driver.connection_lost(None)


async def test_a_transport_that_cannot_be_half_closed_any_more_is_dropped() -> None:
    transport = Transport()
    driver = refuse(transport, Config())
    assert (transport.closed, transport.aborted) == (0, 1)
    driver.connection_lost(None)
