"""An exchange without a client: what ``make_mocked_request`` puts under a request.

A real engine reads a small request that says what decides about the answer: the method, the
version, whether the connection goes on, and whether a tunnel is asked for.  So a response can
be prepared and written, and its bytes go to the transport, which may be a mock.  What the
request shows is what the test gave: content and fields need not be what a client could send.

Nothing is served: no handler is started, and no deadline ends the exchange.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace
from typing import Any, Final
from unittest import mock

from multidict import CIMultiDict
from yarl import URL

from plait import hdrs
from plait.http_writer import HttpVersion, HttpVersion10, HttpVersion20
from plait.serving.exchange import ServerExchange
from plait.serving.response_writer import ResponseWriter
from plait.streams import StreamReader
from plait.web_protocol import RequestHandler
from plait.web_request import BaseRequest
from plait.web_response import StreamResponse
from plait.web_server import Server
from plait_engine import Config, EndOfMessage, Event, Limits, Role, Timeouts, create_connection
from plait_engine import Request as RequestEvent

_TIMELESS: Final = Timeouts(head=None, body=None, write=None)

_WRITER_METHODS: Final = (
    "drain",
    "enable_chunking",
    "enable_compression",
    "send_headers",
    "write",
    "write_eof",
    "write_headers",
)

_WIDE: Final = Limits(stream_window=2**31 - 1, connection_window=2**31 - 1)
"""Nobody opens the windows of HTTP/2 again: they take all that a test writes."""


def make_exchange(
    method: str,
    target: str,
    headers: CIMultiDict[str],
    version: HttpVersion,
    *,
    closing: bool,
    payload: StreamReader,
    transport: asyncio.Transport,
    sslcontext: Any,
    loop: asyncio.AbstractEventLoop,
) -> MockedExchange:
    """Return the exchange of a request that a client seems to have sent.

    ``closing``: the connection ends behind it.  ``loop`` and ``transport`` may be mocks.
    Raises LocalProtocolError for what is no method.
    """
    server = Server(
        _serve_nothing,
        loop=mock_loop() if isinstance(loop, mock.NonCallableMock) else loop,
        timeouts=_TIMELESS,
        keepalive_timeout=None,
    )
    client = _Client({"ssl_object": sslcontext})
    connection = _MockedHandler(server, client, "h2" if version >= HttpVersion20 else "http/1.1")
    driver = connection.driver
    driver.start()
    upgrade = headers.get(hdrs.UPGRADE, "").lower()
    protocol = "websocket" if upgrade == "websocket" and method == hdrs.METH_GET else None
    persistence = "close" if closing else headers.get(hdrs.CONNECTION, "")
    driver.receive_data(client.write_request(method, version, protocol, persistence, upgrade))
    driver.transport = transport
    driver.loop = loop
    authority = headers.get(hdrs.HOST, "")
    url = URL(target)
    if url.absolute:  # As an engine takes the absolute form apart (RFC 9112 section 3.2.2).
        authority, target = url.host_port_subcomponent or "", str(url.relative())
    exchange = connection.exchange
    exchange.payload = payload
    exchange.event = replace(
        exchange.event,
        authority=authority,
        target=target,
        headers=tuple(headers.items()),
        expect=headers.get(hdrs.EXPECT),
        content_encoding=headers.get(hdrs.CONTENT_ENCODING),
    )
    return exchange


class MockedExchange(ServerExchange):
    """The exchange; its ``payload`` is the content, whatever that is."""

    __slots__ = ("payload",)

    payload: StreamReader

    def __init__(self, handler: RequestHandler, event: RequestEvent) -> None:
        super().__init__(handler, event)
        self.task = mock.Mock(spec=asyncio.Task)

    @property
    def content(self) -> StreamReader:
        return self.payload

    def take_content(self, limit: int) -> None:
        """The content is a stream that anybody may have made: it is read as one."""


class MockedWriter(ResponseWriter):
    """Writes to the transport, and tells how it was called: its methods are mocks around those."""

    def __init__(self, exchange: ServerExchange) -> None:
        super().__init__(exchange)
        for name in _WRITER_METHODS:
            setattr(self, name, mock.Mock(wraps=getattr(self, name)))

    def __getattr__(self, name: str) -> Any:  # a mock has whatever it is asked for
        if name.startswith("__"):
            raise AttributeError(name)
        made = mock.Mock()
        setattr(self, name, made)
        return made


class _MockedHandler(RequestHandler):
    """The connection: it starts no handler."""

    __slots__ = ("exchange",)

    exchange: MockedExchange

    def __init__(self, server: Server, client: _Client, protocol: str) -> None:
        loop = server._loop
        assert loop is not None
        super().__init__(server, client, loop=loop, protocol=protocol)

    def on_event(self, event: Event) -> None:
        if type(event) is RequestEvent:
            self.exchange = MockedExchange(self, event)
            self.driver.exchanges[event.stream_id] = self.exchange
        else:
            super().on_event(event)

    def on_batch_end(self) -> None:
        pass

    # A mock of a transport may answer to the name alone.

    @property
    def peername(self) -> Any:
        transport = self.driver.transport
        return None if transport is None else transport.get_extra_info("peername")

    @property
    def sockname(self) -> Any:
        transport = self.driver.transport
        return None if transport is None else transport.get_extra_info("sockname")


class _Client(asyncio.Transport):
    """What the engine takes for its client until the request was read."""

    def __init__(self, extra: dict[str, Any]) -> None:
        super().__init__(extra)
        self._written: list[bytes] = []

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self._written.append(bytes(data))

    def is_closing(self) -> bool:
        return False

    def can_write_eof(self) -> bool:
        return True

    def write_request(
        self,
        method: str,
        version: HttpVersion,
        protocol: str | None,
        persistence: str,
        upgrade: str,
    ) -> bytes:
        """Return the bytes of the request; ``persistence`` and ``upgrade`` are fields of it."""
        shared = version >= HttpVersion20
        config = Config(limits=_WIDE, random=os.urandom)
        engine = create_connection(Role.CLIENT, "h2" if shared else "http/1.1", config)
        engine.connection_made(0.0)
        for data in self._written:  # An HTTP/2 server says that it takes WebSockets.
            engine.receive_data(data, 0.0)
        fields = []
        if shared:
            method = hdrs.METH_CONNECT if protocol else method
        elif persistence and not protocol:
            fields.append(("Connection", persistence))
            if upgrade:
                fields.append(("Upgrade", upgrade))
        target = "localhost:80" if method == hdrs.METH_CONNECT and not protocol else "/"
        number = engine.next_stream_id()
        request = RequestEvent(number, method, "http", "localhost", target, fields, protocol)
        if protocol or method == hdrs.METH_CONNECT:
            engine.send(request, now=0.0)
        else:
            engine.send(request, EndOfMessage(number), now=0.0)
        data = engine.data_to_send()
        if version == HttpVersion10:  # plait's client does not speak it.
            data = data.replace(b" HTTP/1.1\r\n", b" HTTP/1.0\r\n", 1)
        return data


def mock_loop() -> mock.Mock:
    """Return what stands for a loop where none runs: no time passes on it."""
    loop = mock.Mock(spec=asyncio.AbstractEventLoop)
    loop.time.return_value = 0.0
    loop.get_debug.return_value = False
    loop.get_task_factory.return_value = None
    loop.call_soon.side_effect = lambda callback, *args: callback(*args)
    return loop


async def _serve_nothing(request: BaseRequest) -> StreamResponse:
    raise RuntimeError("a mocked request is not served")
