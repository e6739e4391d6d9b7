"""The WebSocket machine, native and over wsproto, against itself and the other."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from plait_engine import Config, Limits, LocalProtocolError, Role
from plait_engine.reference import ReferenceWebSocketConnection
from plait_engine.testing import TEST_CONFIG, Fragmenter, counting_random, whole
from plait_engine.testing.frames import websocket_frame
from plait_engine.websocket import (
    BytesMessage,
    CloseCode,
    Deflate,
    Ping,
    Pong,
    TextMessage,
    WebSocketClose,
    WebSocketConnection,
    WebSocketEvent,
    WebSocketState,
)

MACHINES = {"native": WebSocketConnection, "reference": ReferenceWebSocketConnection}
DEFLATES = {
    "plain": None,
    "deflate": Deflate(),
    "no-takeover": Deflate(server_no_context_takeover=True, client_no_context_takeover=True),
    "small-window": Deflate(server_max_window_bits=9, client_max_window_bits=10),
}
TEXTS = ["", "hello", "grüße ✓ 𐍈" * 20, "x" * 70_000]
MANY_BYTES = 10_000


class Sockets:
    """A client and a server, coupled over cut bytes."""

    def __init__(
        self,
        client: WebSocketConnection,
        server: WebSocketConnection,
        fragment: Fragmenter,
    ) -> None:
        self.client = client
        self.server = server
        self.fragment = fragment
        self.now = 0.0

    def run(self) -> None:
        """Deliver what there is until nothing moves; events stay for ``events``."""
        moved = True
        while moved:
            moved = self._deliver(self.client, self.server)
            moved |= self._deliver(self.server, self.client)

    def _deliver(self, source: WebSocketConnection, target: WebSocketConnection) -> bool:
        data = b""
        while piece := source.data_to_send():
            data += piece
        fragment = self.fragment if len(data) < MANY_BYTES else whole
        for piece in fragment(data):
            target.receive_data(piece, self.now)
        return bool(data)

    def events(self, side: WebSocketConnection) -> list[WebSocketEvent]:
        found = []
        while (event := side.next_event()) is not None:
            found.append(event)
        return found

    def exchange(
        self, source: WebSocketConnection, events: Iterable[WebSocketEvent]
    ) -> list[WebSocketEvent]:
        """Send ``events`` and return what the other side makes of them."""
        for event in events:
            source.send(event, now=self.now)
        self.run()
        return self.events(self.server if source is self.client else self.client)


@pytest.fixture(params=DEFLATES)
def deflate(request: pytest.FixtureRequest) -> Deflate | None:
    return DEFLATES[request.param]


@pytest.fixture
def sockets(engines: tuple[str, str], deflate: Deflate | None, fragment: Fragmenter) -> Sockets:
    client, server = engines
    return Sockets(
        MACHINES[client](Role.CLIENT, TEST_CONFIG, deflate=deflate),
        MACHINES[server](Role.SERVER, TEST_CONFIG, deflate=deflate),
        fragment,
    )


@pytest.mark.parametrize("text", TEXTS, ids=len)
def test_messages_in_both_directions(sockets: Sockets, text: str) -> None:
    messages: list[WebSocketEvent] = [TextMessage(text), BytesMessage(text.encode()[::-1])]
    assert sockets.exchange(sockets.client, messages) == messages
    assert sockets.exchange(sockets.server, messages) == messages


def test_many_messages_use_one_window(sockets: Sockets) -> None:
    messages = [TextMessage(f"message number {n} of the test") for n in range(20)]
    assert sockets.exchange(sockets.client, messages) == messages
    assert sockets.exchange(sockets.server, messages) == messages


def test_a_message_in_fragments_arrives_whole(sockets: Sockets) -> None:
    parts = [
        TextMessage("one ✓ ", finished=False),
        TextMessage("", finished=False),
        TextMessage("two ", finished=False),
        TextMessage("three"),
    ]
    assert sockets.exchange(sockets.client, parts) == [TextMessage("one ✓ two three")]


def test_messages_may_be_left_uncompressed(sockets: Sockets) -> None:
    messages = [
        TextMessage("a" * 100, compress=False),
        TextMessage("a" * 100),
        BytesMessage(b"b" * 100, compress=False),
    ]
    assert sockets.exchange(sockets.server, messages) == [
        TextMessage("a" * 100),
        TextMessage("a" * 100),
        BytesMessage(b"b" * 100),
    ]


@pytest.mark.parametrize("from_client", [True, False])
def test_after_the_peers_close_messages_can_be_sent(
    engines: tuple[str, str], deflate: Deflate | None, fragment: Fragmenter, from_client: bool
) -> None:
    """RFC 6455 section 5.5.1: no data frame *after sending* a Close frame."""
    client, server = (
        MACHINES[engine](role, TEST_CONFIG, deflate=deflate, auto_close=False)
        for engine, role in zip(engines, (Role.CLIENT, Role.SERVER), strict=True)
    )
    sockets = Sockets(client, server, fragment)
    closer, other = (client, server) if from_client else (server, client)
    assert sockets.exchange(closer, [WebSocketClose(4000)]) == [WebSocketClose(4000)]
    messages: list[WebSocketEvent] = [TextMessage("last"), BytesMessage(b"words")]
    assert sockets.exchange(other, messages) == messages
    assert sockets.exchange(other, [WebSocketClose(4001)]) == [WebSocketClose(4001)]
    assert client.state is server.state is WebSocketState.CLOSED
    for side in (client, server):
        assert not side.can_send
        with pytest.raises(LocalProtocolError):
            side.send(TextMessage("more"), now=0.0)


def test_a_ping_is_answered(sockets: Sockets) -> None:
    assert sockets.exchange(sockets.client, [Ping(b"are you there")]) == []
    assert sockets.events(sockets.client) == [Pong(b"are you there")]


def test_a_pong_that_nobody_asked_for(sockets: Sockets) -> None:
    assert sockets.exchange(sockets.server, [Pong(b"still here")]) == [Pong(b"still here")]


@pytest.mark.parametrize("side", ["client", "server"])
def test_the_closing_handshake(sockets: Sockets, side: str) -> None:
    closer = getattr(sockets, side)
    other = sockets.server if side == "client" else sockets.client
    (close,) = sockets.exchange(closer, [WebSocketClose(4000, "bye ✓")])
    assert close == WebSocketClose(4000, "bye ✓")
    sockets.run()
    (answer,) = sockets.events(closer)
    assert isinstance(answer, WebSocketClose)
    assert (answer.code, answer.error) == (4000, None)
    assert other.state is WebSocketState.CLOSED
    assert closer.state is WebSocketState.CLOSED
    for machine in (closer, other):
        with pytest.raises(LocalProtocolError):
            machine.send(TextMessage("too late"), now=0.0)


def test_a_close_without_a_code(sockets: Sockets) -> None:
    close = WebSocketClose(CloseCode.NO_STATUS)
    assert sockets.exchange(sockets.client, [close]) == [close]


def test_messages_before_the_close_are_delivered(sockets: Sockets) -> None:
    events = [TextMessage("last words"), WebSocketClose(1000)]
    assert sockets.exchange(sockets.client, events) == events


BAD_COMMANDS: list[WebSocketEvent] = [
    Ping(b"x" * 126),
    Pong(b"x" * 126),
    WebSocketClose(1006),
    WebSocketClose(999),
    WebSocketClose(5000),
    WebSocketClose(1000, "x" * 124),
    TextMessage("\ud800"),
    TextMessage(b"\xff"),
]


@pytest.mark.parametrize("event", BAD_COMMANDS, ids=lambda event: repr(event)[:30])
def test_what_cannot_be_sent(sockets: Sockets, event: WebSocketEvent) -> None:
    with pytest.raises(LocalProtocolError):
        sockets.client.send(event, now=0.0)
    assert sockets.client.data_to_send() == b""
    assert sockets.exchange(sockets.client, [TextMessage("fine")]) == [TextMessage("fine")]


def test_another_message_cannot_begin_between_fragments(sockets: Sockets) -> None:
    sockets.client.send(TextMessage("one", finished=False), now=0.0)
    with pytest.raises(LocalProtocolError):
        sockets.client.send(BytesMessage(b"two"), now=0.0)
    assert sockets.exchange(sockets.client, [TextMessage("three")]) == [TextMessage("onethree")]


MASK = b"\x01\x02\x03\x04"
FAULTS = {
    "unmasked": (websocket_frame(1, b"x"), 1002),
    "reserved-opcode": (websocket_frame(3, b"x", mask=MASK), 1002),
    "reserved-control": (websocket_frame(0xB, b"x", mask=MASK), 1002),
    "reserved-bit": (websocket_frame(1, b"x", rsv=2, mask=MASK), 1002),
    "fragmented-ping": (websocket_frame(9, b"x", fin=False, mask=MASK), 1002),
    "long-ping": (websocket_frame(9, b"x" * 126, mask=MASK), 1002),
    "continuation-of-nothing": (websocket_frame(0, b"x", mask=MASK), 1002),
    "text-in-text": (
        websocket_frame(1, b"x", fin=False, mask=MASK) + websocket_frame(1, b"y", mask=MASK),
        1002,
    ),
    "not-utf-8": (websocket_frame(1, b"\xc3\x28", mask=MASK), 1007),
    "half-a-character": (websocket_frame(1, b"\xe2\x9c", mask=MASK), 1007),
    "surrogate": (websocket_frame(1, b"\xed\xa0\x80", mask=MASK), 1007),
    "close-of-one-byte": (websocket_frame(8, b"\x03", mask=MASK), 1002),
    "close-999": (websocket_frame(8, b"\x03\xe7", mask=MASK), 1002),
    "close-1005": (websocket_frame(8, b"\x03\xed", mask=MASK), 1002),
    "close-2000": (websocket_frame(8, b"\x07\xd0", mask=MASK), 1002),
    "close-not-utf-8": (websocket_frame(8, b"\x03\xe8\xff", mask=MASK), 1007),
    "two-byte-length": (b"\x82\xfe\x00\x05" + MASK + b"xxxxx", 1002),
    "eight-byte-length": (b"\x82\xff" + bytes(6) + b"\x00\x05" + MASK + b"xxxxx", 1002),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("machine", MACHINES)
def test_a_fault_fails_the_connection(machine: str, fault: str, fragment: Fragmenter) -> None:
    """Drives a server alone: the peer is answered with a Close frame, and nothing follows."""
    data, code = FAULTS[fault]
    server = MACHINES[machine](Role.SERVER, TEST_CONFIG)
    good = websocket_frame(1, b"before", mask=MASK)
    for piece in fragment(good + data + websocket_frame(1, b"after", mask=MASK)):
        server.receive_data(piece, 0.0)
    assert server.next_event() == TextMessage("before")
    close = server.next_event()
    assert isinstance(close, WebSocketClose)
    assert close.code == code
    assert close.error is not None
    assert server.next_event() is None
    assert server.data_to_send()[:4] == b"\x88" + server_close_length(close) + code.to_bytes(
        2, "big"
    )
    assert server.wants_close


def server_close_length(close: WebSocketClose) -> bytes:
    return bytes((2 + len(close.reason.encode()[:123]),))


@pytest.mark.parametrize("machine", MACHINES)
def test_a_message_that_is_too_large(machine: str, fragment: Fragmenter) -> None:
    config = Config(random=counting_random, limits=Limits(max_message_size=100))
    server = MACHINES[machine](Role.SERVER, config)
    for data in (
        websocket_frame(2, b"x" * 100, mask=MASK),
        websocket_frame(2, b"x" * 60, fin=False, mask=MASK),
        websocket_frame(0, b"x" * 60, mask=MASK),
    ):
        for piece in fragment(data):
            server.receive_data(piece, 0.0)
    assert server.next_event() == BytesMessage(b"x" * 100)
    close = server.next_event()
    assert isinstance(close, WebSocketClose)
    assert close.code == CloseCode.MESSAGE_TOO_BIG


@pytest.mark.parametrize("machine", MACHINES)
def test_the_heartbeat_finds_a_peer_that_is_gone(machine: str) -> None:
    client = MACHINES[machine](Role.CLIENT, TEST_CONFIG, ping_interval=10.0, pong_timeout=3.0)
    assert client.next_timeout() == 10.0
    client.handle_timeout(9.9)
    assert client.data_to_send() == b""
    client.handle_timeout(10.0)
    assert client.data_to_send()[0] == 0x89
    client.handle_timeout(13.1)
    close = client.next_event()
    assert isinstance(close, WebSocketClose)
    assert close.code == CloseCode.ABNORMAL_CLOSURE
    assert close.error is not None
    assert client.wants_close


@pytest.mark.parametrize("machine", MACHINES)
def test_the_stream_ends_without_a_close(machine: str) -> None:
    client = MACHINES[machine](Role.CLIENT, TEST_CONFIG)
    client.receive_eof(1.0)
    close = client.next_event()
    assert isinstance(close, WebSocketClose)
    assert close.code == CloseCode.ABNORMAL_CLOSURE
    assert client.next_event() is None


@pytest.mark.parametrize("machine", MACHINES)
def test_text_may_be_left_undecoded(machine: str, fragment: Fragmenter) -> None:
    server = MACHINES[machine](Role.SERVER, TEST_CONFIG, decode_text=False)
    for piece in fragment(websocket_frame(1, "grüße".encode(), mask=MASK)):
        server.receive_data(piece, 0.0)
    assert server.next_event() == TextMessage("grüße".encode())
