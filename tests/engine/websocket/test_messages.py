"""What is sent and what is received: messages, fragments, masks, limits.  W1 to W11, W13, W20."""

from __future__ import annotations

import os
import tracemalloc

import pytest

from plait_engine import Config, Limits, LocalProtocolError, Role
from plait_engine.websocket import (
    BytesMessage,
    Ping,
    Pong,
    TextMessage,
    WebSocketClose,
    WebSocketConnection,
    WebSocketEvent,
)
from tests.engine.chops import CHOPS, Chop, bytewise
from tests.engine.websocket.peer import (
    BINARY,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    Echo,
    Frame,
    close_frame,
    decode,
)

pytestmark = pytest.mark.usefixtures("each_mask")


def connect(role: Role, **options: bool) -> WebSocketConnection:
    return WebSocketConnection(role, Config(random=os.urandom), **options)


def sent_by(role: Role, *events: WebSocketEvent) -> list[Frame]:
    connection = connect(role)
    for event in events:
        connection.send(event, now=0.0)
    wire = b""
    while data := connection.data_to_send():
        wire += data
    return list(decode(wire, role is Role.CLIENT))


# -- sending --------------------------------------------------------------------


@pytest.mark.parametrize("size", [0, 1, 125, 126, 399, 400, 65535, 65536, 200_000])
def test_a_message_is_sent_as_one_frame(role: Role, size: int) -> None:
    payload = os.urandom(size)
    assert sent_by(role, BytesMessage(payload)) == [Frame(BINARY, payload)]
    assert sent_by(role, TextMessage("x" * size)) == [Frame(TEXT, b"x" * size)]


def test_fragments_with_control_frames_between(role: Role) -> None:
    sent = sent_by(
        role,
        TextMessage("ä", finished=False),
        Ping(b"1"),
        TextMessage("ö", finished=False),
        Pong(b"2"),
        TextMessage(""),
        BytesMessage(b"next"),
    )
    assert sent == [
        Frame(TEXT, "ä".encode(), fin=False),
        Frame(PING, b"1"),
        Frame(CONTINUATION, "ö".encode(), fin=False),
        Frame(PONG, b"2"),
        Frame(CONTINUATION),
        Frame(BINARY, b"next"),
    ]


@pytest.mark.parametrize(
    "event",
    [
        TextMessage("\ud800"),
        TextMessage(b"\xff"),
        Ping(b"x" * 126),
        Pong(b"x" * 126),
        WebSocketClose(999),
        WebSocketClose(1006),
        WebSocketClose(1015),
        WebSocketClose(2999),
        WebSocketClose(5000),
        WebSocketClose(1000, "x" * 124),
        WebSocketClose(1000, "ä" * 62),
        WebSocketClose(1000, "\udcff"),
    ],
)
def test_what_must_not_be_sent_is_refused_and_changes_nothing(
    role: Role, event: WebSocketEvent
) -> None:
    connection = connect(role)
    with pytest.raises(LocalProtocolError):
        connection.send(event, now=0.0)
    assert connection.data_to_send() == b""
    connection.send(BytesMessage(b"still open"), now=0.0)


def test_messages_in_fragments_do_not_mix(role: Role) -> None:
    connection = connect(role)
    connection.send(TextMessage("begun", finished=False), now=0.0)
    with pytest.raises(LocalProtocolError, match="has not ended"):
        connection.send(BytesMessage(b"other"), now=0.0)
    connection.send(TextMessage("ended"), now=0.0)


def test_w20_masks_are_fresh_and_come_from_the_config() -> None:
    drawn: list[bytes] = []

    def random(size: int) -> bytes:
        drawn.append(os.urandom(size))
        return drawn[-1]

    connection = WebSocketConnection(Role.CLIENT, Config(random=random))
    keys = []
    for _ in range(600):
        connection.send(BytesMessage(b""), now=0.0)
        keys.append(connection.data_to_send()[2:6])
    assert b"".join(keys) == b"".join(drawn)[: 4 * 600]
    assert len(set(keys)) > 590


def test_large_payloads_are_handed_out_uncopied() -> None:
    payload = bytes(200_000)
    connection = connect(Role.SERVER)
    connection.send(BytesMessage(payload), now=0.0)
    assert len(connection.data_to_send()) == 10
    assert connection.data_to_send() is payload
    assert connection.data_to_send() == b""


def test_there_is_output_until_it_is_taken(role: Role) -> None:
    connection = connect(role)
    assert not connection.waiting_output
    connection.send(BytesMessage(b"x"), now=0.0)
    assert connection.waiting_output
    connection.data_to_send()
    assert not connection.waiting_output


@pytest.mark.parametrize("text", [5, None, ["a"], bytearray(b"a")])
def test_text_of_another_type(role: Role, text: object) -> None:
    connection = connect(role)
    with pytest.raises(TypeError, match=f"str or bytes, not {type(text).__name__}"):
        connection.send(TextMessage(text), now=0.0)  # type: ignore[arg-type]
    assert not connection.waiting_output


def test_small_frames_leave_together() -> None:
    connection = connect(Role.SERVER)
    for _ in range(100):
        connection.send(BytesMessage(b"x" * 10), now=0.0)
    assert len(connection.data_to_send()) == 1200
    assert connection.data_to_send() == b""


# -- receiving --------------------------------------------------------------------


@pytest.mark.parametrize("chop", CHOPS)
def test_every_opcode_arrives_as_its_event(role: Role, chop: Chop) -> None:
    echo = Echo(role, auto_pong=False)
    echo.receive(
        Frame(TEXT, "grüße".encode()),
        Frame(BINARY, b"\x00\xff"),
        Frame(PING, b"ping"),
        Frame(PONG, b"pong"),
        close_frame(4000, "tschüß".encode()),
        chop=chop,
    )
    assert echo.events == [
        TextMessage("grüße"),
        BytesMessage(b"\x00\xff"),
        Ping(b"ping"),
        Pong(b"pong"),
        WebSocketClose(4000, "tschüß"),
    ]
    assert not any(frame.opcode == PONG for frame in echo.sent())


@pytest.mark.parametrize("chop", CHOPS)
def test_text_can_be_had_as_bytes(role: Role, chop: Chop) -> None:
    echo = Echo(role, decode_text=False)
    data = "grüße".encode()
    echo.receive(Frame(TEXT, data), Frame(TEXT, data[:3], fin=False), Frame(0, data[3:]), chop=chop)
    assert echo.events == [TextMessage(data), TextMessage(data)]
    assert type(echo.events[1].data) is bytes  # type: ignore[union-attr]
    assert echo.sent() == [Frame(TEXT, data)] * 2


def test_binary_arrives_as_bytes_however_it_was_cut(role: Role) -> None:
    echo = Echo(role)
    echo.receive(Frame(BINARY, b"x" * 500), Frame(BINARY, b"y" * 500), chop=bytewise)
    assert [type(event.data) for event in echo.events] == [bytes, bytes]  # type: ignore[union-attr]


@pytest.mark.parametrize("chop", CHOPS)
def test_w7_masks_are_demanded_of_clients_and_refused_of_servers(role: Role, chop: Chop) -> None:
    echo = Echo(role)
    wrong = Frame(TEXT, b"hello").encode(masked=role is Role.CLIENT)
    echo.receive(Frame(TEXT, b"good"), wrong, chop=chop)
    assert [frame.opcode for frame in echo.sent()][:1] == [TEXT]
    assert echo.close_code() == 1002


@pytest.mark.parametrize("opcode", [TEXT, BINARY, CONTINUATION])
@pytest.mark.parametrize(
    ("length", "size"), [(0, 2), (125, 2), (0, 8), (126, 8), (65535, 8), (1 << 63, 8)]
)
def test_w8_lengths_that_are_not_minimal_or_negative(
    role: Role, opcode: int, length: int, size: int
) -> None:
    """W2 and W8: refused as soon as the length is there, before the mask."""
    echo = Echo(role)
    if opcode == CONTINUATION:
        echo.receive(Frame(TEXT, fin=False))
    head = Frame(opcode, length=length, length_size=size).encode(role is Role.SERVER)
    echo.receive(head[: 2 + size])
    assert echo.close_code() == 1002


@pytest.mark.parametrize("size", [2, 8])
def test_w8_control_frames_have_no_extended_length(role: Role, size: int) -> None:
    echo = Echo(role)
    echo.receive(Frame(PING, length=5, length_size=size).encode(role is Role.SERVER)[:2])
    assert echo.close_code() == 1002


@pytest.mark.parametrize("opcode", [PING, PONG])
@pytest.mark.parametrize("chop", CHOPS)
def test_w9_control_frames_do_not_break_a_message(role: Role, opcode: int, chop: Chop) -> None:
    echo = Echo(role, auto_pong=False)
    echo.receive(
        Frame(opcode, b"before"),
        Frame(BINARY, b"a" * 300, fin=False),
        Frame(opcode, b"between"),
        Frame(CONTINUATION, fin=False),
        Frame(opcode),
        Frame(CONTINUATION, b"b" * 300),
        chop=chop,
    )
    assert [event for event in echo.events if isinstance(event, BytesMessage)] == [
        BytesMessage(b"a" * 300 + b"b" * 300)
    ]
    assert len(echo.events) == 4


@pytest.mark.parametrize("code", [999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])
def test_w10_close_codes_that_are_not_for_the_wire(role: Role, code: int) -> None:
    echo = Echo(role)
    echo.receive(close_frame(code, b"reason"))
    assert echo.close_code() == 1002


# -- limits -----------------------------------------------------------------------

LIMITS = Limits(max_message_size=256)


@pytest.mark.parametrize("fin", [True, False])
@pytest.mark.parametrize("length", [257, 1 << 20, 1 << 62, (1 << 63) - 1])
def test_w1_w2_a_frame_too_large_is_refused_at_its_header(
    role: Role, length: int, fin: bool
) -> None:
    echo = Echo(role, limits=LIMITS)
    head = Frame(BINARY, fin=fin, length=length).encode(role is Role.SERVER)
    tracemalloc.start()
    echo.receive(head if length < 65536 else head[:10])
    assert tracemalloc.get_traced_memory()[1] < 65536
    tracemalloc.stop()
    assert echo.close_code() == 1009
    assert "256" in echo.closed().reason


@pytest.mark.parametrize("chop", CHOPS)
def test_w1_fragments_add_up(role: Role, chop: Chop) -> None:
    echo = Echo(role, limits=LIMITS)
    hundred = b"x" * 100
    echo.receive(
        Frame(BINARY, hundred, fin=False),
        Frame(CONTINUATION, b"y" * 156),
        Frame(BINARY, hundred, fin=False),
        Frame(CONTINUATION, hundred, fin=False),
        Frame(CONTINUATION, hundred),
        chop=chop,
    )
    assert echo.sent()[0] == Frame(BINARY, hundred + b"y" * 156)
    assert echo.close_code() == 1009


def test_zero_means_no_limit(role: Role) -> None:
    echo = Echo(role, limits=Limits(max_message_size=0, max_frame_fragments=1))
    payload = bytes(5 << 20)
    echo.receive(Frame(BINARY, payload, fin=False), *[Frame(CONTINUATION, fin=False)] * 2000)
    echo.receive(Frame(CONTINUATION))
    assert echo.sent() == [Frame(BINARY, payload)]


def test_max_message_size_can_be_given_to_the_connection(role: Role) -> None:
    echo = Echo(role, limits=LIMITS, max_message_size=10)
    echo.receive(Frame(BINARY, b"x" * 11))
    assert echo.close_code() == 1009


@pytest.mark.parametrize("count", [1024, 1025])
def test_w3_fragments_are_counted(role: Role, count: int) -> None:
    echo = Echo(role, limits=LIMITS)
    echo.receive(Frame(BINARY, b"x", fin=False), *[Frame(CONTINUATION, fin=False)] * (count - 2))
    echo.receive(Frame(CONTINUATION))
    if count == 1024:
        assert echo.sent() == [Frame(BINARY, b"x")]
    else:
        assert echo.close_code() == 1009


def test_w3_the_limit_of_fragments_grows_with_that_of_the_message(role: Role) -> None:
    echo = Echo(role, limits=Limits(max_message_size=256 * 3000))
    echo.receive(Frame(BINARY, b"x", fin=False), *[Frame(CONTINUATION, fin=False)] * 2998)
    echo.receive(Frame(CONTINUATION))
    assert echo.sent() == [Frame(BINARY, b"x")]


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_w3_memory_is_that_of_the_payload(opcode: int) -> None:
    """A frame of 100,000 bytes, two at a time, and as many fragments of one byte."""
    one = Frame(opcode, b"x" * 100_000).encode(masked=True)
    fragment = Frame(CONTINUATION, b"x", fin=False).encode(masked=True)
    many = Frame(opcode, fin=False).encode(masked=True) + fragment * 16_000
    for wire in (one, many):
        pieces = [wire[at : at + 2] for at in range(0, len(wire), 2)]
        connection = connect(Role.SERVER)
        tracemalloc.start()
        for piece in pieces:
            connection.receive_data(piece, 0.0)
        assert tracemalloc.get_traced_memory()[1] < 250_000
        tracemalloc.stop()
    assert connection.next_event() is None


def test_w13_a_flood_of_pings_is_answered_once_in_a_while(role: Role) -> None:
    """100,000 pings while the peer reads nothing: 32 pongs, and the latest."""
    echo = Echo(role)
    connection = echo.connection
    for number in range(1000):
        connection.receive_data(
            echo.encode(*[Frame(PING, b"%d %d" % (number, n)) for n in range(100)]), 0.0
        )
    assert connection.next_event() is None
    echo.drain()
    payloads = [frame.payload for frame in echo.sent()]
    assert payloads == [b"0 %d" % n for n in range(32)] + [b"999 99"]
    echo.receive(Frame(PING, b"again"))
    assert echo.sent()[-1] == Frame(PONG, b"again")
