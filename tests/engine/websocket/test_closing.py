"""The closing handshake, the loss of the stream, and the heartbeat.  W12, W22, W24."""

from __future__ import annotations

from typing import Any

import pytest

from plait_engine import Config, LocalProtocolError, RemoteProtocolError, Role, Timeouts
from plait_engine.websocket import (
    BytesMessage,
    Deflate,
    Ping,
    Pong,
    PongTimeout,
    TextMessage,
    WebSocketClose,
    WebSocketConnection,
    WebSocketEvent,
    WebSocketState,
)
from tests.engine.websocket.peer import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Echo,
    Frame,
    close_frame,
    decode,
)

HELLO = Frame(TEXT, b"hello")
NORMAL = close_frame(1000)


class Clocked(Echo):
    """An ``Echo`` whose time a test moves."""

    def __init__(self, role: Role, **options: Any) -> None:
        super().__init__(role, **options)

    def wait(self, now: float) -> None:
        """Let time pass until ``now``, timers running."""
        while (due := self.connection.next_timeout()) is not None and due <= now:
            self.connection.handle_timeout(due)
            self.drain()
        self.connection.handle_timeout(now)  # nothing is due: no-op
        self.drain()

    def receive_at(self, now: float, *frames: Frame) -> None:
        self.connection.receive_data(self.encode(*frames), now)
        self.drain()

    def send(self, event: WebSocketEvent, now: float = 0.0) -> None:
        self.connection.send(event, now=now)
        self.drain()


# -- our close ------------------------------------------------------------------


def test_we_close_and_the_peer_answers(role: Role) -> None:
    echo = Clocked(role)
    connection = echo.connection
    echo.send(WebSocketClose(4001, "bye"), 5.0)
    assert echo.sent() == [close_frame(4001, b"bye")]
    assert connection.state is WebSocketState.CLOSING
    assert connection.next_timeout() == 15.0
    echo.receive_at(6.0, close_frame(4001, b"bye"))
    assert echo.events == [WebSocketClose(4001, "bye")]
    assert (connection.close_code, connection.close_reason) == (4001, "bye")
    assert connection.state is WebSocketState.CLOSED
    # The server ends the stream, the client waits for that (RFC 6455 section 7.1.1).
    assert connection.wants_close is (role is Role.SERVER)


def test_messages_still_arrive_while_we_close(role: Role) -> None:
    connection = WebSocketConnection(role, Config(random=bytes))
    connection.send(WebSocketClose(), now=0.0)
    peer = Echo(role)
    connection.receive_data(peer.encode(HELLO, Frame(PING), NORMAL), 0.0)
    assert connection.next_event() == TextMessage("hello")
    assert connection.next_event() == WebSocketClose(1000)
    # No pong behind our Close frame: it is the last frame (RFC 6455 section 5.5.1).
    frames = list(decode(connection.data_to_send(), role is Role.CLIENT))
    assert frames == [NORMAL]


@pytest.mark.parametrize("event", [TextMessage("x"), BytesMessage(b"x"), Ping(), Pong()])
def test_nothing_is_sent_behind_our_close(role: Role, event: WebSocketEvent) -> None:
    echo = Clocked(role)
    echo.send(WebSocketClose())
    with pytest.raises(LocalProtocolError, match="closing"):
        echo.send(event)
    with pytest.raises(LocalProtocolError, match="closed already"):
        echo.send(WebSocketClose())
    echo.receive_at(0.0, NORMAL)
    with pytest.raises(LocalProtocolError, match="closing"):
        echo.send(event)
    assert echo.sent() == [NORMAL]


def test_w12_a_peer_that_never_answers_the_close(role: Role) -> None:
    echo = Clocked(role)
    echo.send(WebSocketClose(), 1.0)
    echo.receive_at(2.0, HELLO)
    echo.wait(10.9)
    assert echo.connection.state is WebSocketState.CLOSING
    echo.wait(11.0)
    assert echo.closed().code == 1006
    assert isinstance(echo.closed().error, RemoteProtocolError)
    assert echo.connection.state is WebSocketState.CLOSED
    assert echo.connection.wants_close
    assert echo.connection.next_timeout() is None


def test_the_close_timeout_can_be_given() -> None:
    config = Config(random=bytes, timeouts=Timeouts(close=3.0))
    for timeout, due in ((None, 3.0), (1.5, 1.5)):
        connection = WebSocketConnection(Role.SERVER, config, close_timeout=timeout)
        connection.send(WebSocketClose(), now=0.0)
        assert connection.next_timeout() == due


def test_close_without_a_code(role: Role) -> None:
    echo = Clocked(role)
    echo.send(WebSocketClose(1005))
    assert echo.sent() == [close_frame()]


@pytest.mark.parametrize("reason", [5, None, bytearray(b"x")])
def test_w24_a_reason_that_is_no_text(role: Role, reason: object) -> None:
    echo = Clocked(role)
    with pytest.raises(TypeError):
        echo.send(WebSocketClose(1000, reason))  # type: ignore[arg-type]
    assert echo.sent() == []


# -- the peer's close -------------------------------------------------------------


@pytest.mark.parametrize("frame", [close_frame(), close_frame(3001, b"why")])
def test_the_peer_closes(role: Role, frame: Frame) -> None:
    echo = Clocked(role)
    echo.receive_at(1.0, HELLO, frame, HELLO, Frame(3))
    assert echo.sent() == [HELLO, Frame(CLOSE, frame.payload[:2])]
    assert echo.connection.state is WebSocketState.CLOSED
    assert len(echo.events) == 2
    if role is Role.SERVER:
        assert echo.connection.wants_close
        assert echo.connection.next_timeout() is None
    else:
        echo.connection.receive_eof(2.0)
        assert echo.connection.wants_close
        assert echo.connection.next_timeout() is None


def test_the_server_does_not_end_the_stream(role: Role) -> None:
    echo = Clocked(Role.CLIENT)
    echo.receive_at(1.0, NORMAL)
    echo.wait(10.9)
    assert not echo.connection.wants_close
    echo.wait(11.0)
    assert echo.connection.wants_close
    assert len(echo.events) == 1


def test_a_close_is_answered_when_it_is_taken(role: Role) -> None:
    """The application that reads late still answers what came before the Close frame."""
    connection = WebSocketConnection(role, Config(random=bytes))
    connection.receive_data(Echo(role).encode(HELLO, NORMAL), 0.0)
    assert connection.waiting_events
    assert connection.data_to_send() == b""
    assert connection.next_event() == TextMessage("hello")
    connection.send(TextMessage("late"), now=1.0)
    assert connection.next_event() == WebSocketClose(1000)
    assert not connection.waiting_events
    frames = list(decode(connection.data_to_send(), role is Role.CLIENT))
    assert frames == [Frame(TEXT, b"late"), NORMAL]


def test_without_auto_close_the_application_answers(role: Role) -> None:
    echo = Clocked(role, auto_close=False)
    echo.receive_at(0.0, close_frame(4000))
    assert echo.sent() == []
    assert echo.connection.state is WebSocketState.CLOSING
    echo.send(WebSocketClose(1001))
    assert echo.sent() == [close_frame(1001)]
    assert echo.connection.state is WebSocketState.CLOSED
    assert echo.connection.wants_close is (role is Role.SERVER)


@pytest.mark.parametrize("compress", [None, Deflate()], ids=["plain", "deflate"])
def test_after_the_peers_close_we_send_until_our_own(role: Role, compress: Deflate | None) -> None:
    """RFC 6455 section 5.5.1 forbids data only behind a Close frame that one *sent*."""
    echo = Clocked(role, auto_close=False, deflate=compress)
    echo.receive_at(0.0, close_frame(4000))
    last_words: list[WebSocketEvent] = [
        TextMessage("te", finished=False, compress=False),
        Ping(b"ping"),
        TextMessage("xt"),
        BytesMessage(b"bytes", compress=False),
        Pong(b"pong"),
    ]
    for event in last_words:
        echo.send(event)
    assert echo.connection.can_send
    echo.send(WebSocketClose(1001))
    assert not echo.connection.can_send
    for event in (*last_words, WebSocketClose()):
        with pytest.raises(LocalProtocolError):
            echo.send(event)
    assert echo.sent() == [
        Frame(TEXT, b"te", fin=False),
        Frame(PING, b"ping"),
        Frame(CONTINUATION, b"xt"),
        Frame(BINARY, b"bytes"),
        Frame(PONG, b"pong"),
        close_frame(1001),
    ]


def test_a_fault_after_our_close_needs_no_second_close(role: Role) -> None:
    echo = Clocked(role)
    echo.send(WebSocketClose(1001))
    echo.receive_at(0.0, Frame(3))
    assert echo.sent() == [close_frame(1001)]
    assert echo.closed().code == 1002
    assert echo.connection.wants_close


def test_the_reason_of_a_fault_is_told_to_the_peer(role: Role) -> None:
    echo = Clocked(role)
    echo.receive_at(0.0, Frame(3, b"secret"))
    assert echo.sent() == [close_frame(1002, b"opcode 0x3 is reserved")]


# -- the loss of the stream -------------------------------------------------------


def test_w22_the_peer_ends_the_stream_without_a_close(role: Role) -> None:
    echo = Clocked(role)
    echo.receive_at(0.0, HELLO, Frame(TEXT, b"half", fin=False))
    echo.connection.receive_eof(0.0)
    echo.drain()
    assert echo.sent() == [HELLO]
    assert echo.closed().code == 1006
    assert isinstance(echo.closed().error, RemoteProtocolError)
    assert echo.connection.wants_close


def test_w22_the_stream_is_lost(role: Role) -> None:
    lost = ConnectionResetError("reset")
    connection = WebSocketConnection(role, Config(random=bytes), ping_interval=1.0)
    connection.receive_data(Echo(role).encode(HELLO), 0.0)
    connection.send(TextMessage("unsent"), now=0.0)
    connection.connection_lost(lost, 0.0)
    connection.connection_lost(None, 0.0)
    assert connection.state is WebSocketState.CLOSED
    assert connection.data_to_send() == b""
    assert connection.next_timeout() is None
    with pytest.raises(LocalProtocolError):
        connection.send(TextMessage("x"), now=0.0)
    assert connection.next_event() == TextMessage("hello")
    assert connection.next_event() == WebSocketClose(1006, "", lost)
    assert connection.next_event() is None


def test_the_loss_after_the_closing_handshake_is_no_event(role: Role) -> None:
    echo = Clocked(role)
    echo.receive_at(0.0, NORMAL)
    echo.connection.receive_eof(0.0)
    echo.connection.connection_lost(None, 0.0)
    echo.receive_at(0.0, HELLO)
    assert echo.events == [WebSocketClose(1000)]


# -- the heartbeat -----------------------------------------------------------------


def test_a_silent_peer_is_pinged_and_lives_when_it_answers(role: Role) -> None:
    echo = Clocked(role, ping_interval=10.0)
    echo.wait(9.9)
    assert echo.sent() == []
    echo.wait(10.0)
    (ping,) = echo.sent()
    assert (ping.opcode, len(ping.payload)) == (PING, 4)
    echo.receive_at(14.0, Frame(PONG, ping.payload))
    assert echo.events == []  # the heartbeat's own pong is no event
    echo.wait(23.9)
    assert len(echo.sent()) == 1
    echo.wait(24.0)
    assert len(echo.sent()) == 2


def test_any_byte_is_life(role: Role) -> None:
    echo = Clocked(role, ping_interval=10.0, pong_timeout=3.0)
    echo.receive_at(9.0, HELLO)
    echo.wait(18.9)
    assert echo.sent() == [HELLO]
    echo.wait(19.0)
    echo.connection.receive_data(echo.encode(HELLO)[:1], 21.9)  # half a frame, no pong
    echo.wait(31.8)
    assert len(echo.sent()) == 2
    assert echo.events == [TextMessage("hello")]


def test_a_peer_that_does_not_answer_is_gone(role: Role) -> None:
    echo = Clocked(role, ping_interval=10.0)
    echo.wait(14.9)
    assert echo.events == []
    echo.wait(15.0)
    assert echo.closed().code == 1006
    assert isinstance(echo.closed().error, PongTimeout)
    assert echo.connection.wants_close
    assert echo.connection.next_timeout() is None
    assert echo.connection.close_code == 1006


def test_nobody_is_declared_dead_while_we_do_not_read(role: Role) -> None:
    connection = WebSocketConnection(role, Config(random=bytes), ping_interval=10.0)
    connection.receive_data(Echo(role).encode(HELLO), 1.0)
    for _ in range(10):
        due = connection.next_timeout()
        assert due is not None
        connection.handle_timeout(due)
    assert connection.next_event() == TextMessage("hello")
    assert connection.next_event() is None


def test_the_heartbeat_ends_with_the_close(role: Role) -> None:
    echo = Clocked(role, ping_interval=1.0)
    echo.send(WebSocketClose(), 0.5)
    assert echo.connection.next_timeout() == 10.5


@pytest.mark.parametrize(
    "frame", [Frame(3), Frame(TEXT, b"\xff"), Frame(TEXT, b"\xff", rsv=4), Frame(TEXT, fin=False)]
)
def test_a_fault_keeps_nothing_alive(role: Role, frame: Frame) -> None:
    """A traceback that is kept holds every frame of Python that the error went through."""
    echo = Clocked(role, deflate=Deflate())
    echo.receive_at(0.0, frame, frame)
    error = echo.closed().error
    assert isinstance(error, RemoteProtocolError)
    assert error.__traceback__ is error.__context__ is error.__cause__ is None
