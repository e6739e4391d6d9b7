"""The cases of the public Autobahn suite, sections 1 to 7 and 10, as facts.

A case is what the peer sends and what an echoing application's side must answer, strictly:
what came before a fault is still echoed, and the fault is answered at once.  Names are
those of the suite's cases.
"""

from __future__ import annotations

import pytest

from plait_engine import Role
from tests.engine.chops import CHOPS, Chop, bytewise, whole
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
)

pytestmark = pytest.mark.usefixtures("each_mask")

HELLO = Frame(TEXT, b"Hello, world!")
NORMAL = close_frame(1000)
KOSME = bytes.fromhex("cebae1bdb9cf83cebcceb5")  # the Greek word of the stress test
ODD = bytes.fromhex("00fffefdfcfb00ff")


def text(*fragments: bytes) -> list[Frame]:
    """A text message in fragments."""
    last = len(fragments) - 1
    return [
        Frame(CONTINUATION if index else TEXT, fragment, fin=index == last)
        for index, fragment in enumerate(fragments)
    ]


SIZES = [0, 125, 126, 127, 128, 65535, 65536]

LEGAL: dict[str, tuple[list[Frame], list[Frame]]] = {
    **{f"1.1 {n}": ([Frame(TEXT, b"*" * n)], [Frame(TEXT, b"*" * n)]) for n in SIZES},
    **{f"1.2 {n}": ([Frame(BINARY, b"\xfe" * n)], [Frame(BINARY, b"\xfe" * n)]) for n in SIZES},
    "2.1": ([Frame(PING)], [Frame(PONG)]),
    "2.2": ([Frame(PING, b"Hello, world!")], [Frame(PONG, b"Hello, world!")]),
    "2.3": ([Frame(PING, ODD)], [Frame(PONG, ODD)]),
    "2.4, 2.6": ([Frame(PING, b"\xfe" * 125)], [Frame(PONG, b"\xfe" * 125)]),
    "2.7": ([Frame(PONG)], []),
    "2.8": ([Frame(PONG, b"unsolicited")], []),
    "2.9": ([Frame(PONG, b"unsolicited"), Frame(PING, b"answer")], [Frame(PONG, b"answer")]),
    "2.10, 2.11": (
        [Frame(PING, b"payload %d" % n) for n in range(10)],
        [Frame(PONG, b"payload %d" % n) for n in range(10)],
    ),
    "5.3 to 5.5": (text(b"one", b"two"), [Frame(TEXT, b"onetwo")]),
    "5.6 to 5.8": (
        [Frame(TEXT, b"one", fin=False), Frame(PING, b"between"), Frame(CONTINUATION, b"two")],
        [Frame(PONG, b"between"), Frame(TEXT, b"onetwo")],
    ),
    "5.19, 5.20": (
        [
            Frame(TEXT, b"1", fin=False),
            Frame(CONTINUATION, b"2", fin=False),
            Frame(PING, b"first"),
            Frame(CONTINUATION, b"3", fin=False),
            Frame(CONTINUATION, b"4", fin=False),
            Frame(PING, b"second"),
            Frame(CONTINUATION, b"5"),
        ],
        [Frame(PONG, b"first"), Frame(PONG, b"second"), Frame(TEXT, b"12345")],
    ),
    "6.1.1": ([Frame(TEXT)], [Frame(TEXT)]),
    "6.1.2": (text(b"", b"", b""), [Frame(TEXT)]),
    "6.1.3": (text(b"", b"middle", b""), [Frame(TEXT, b"middle")]),
    "6.2.2": (
        text("Hello-µ@ßöä".encode(), "üàá-UTF-8!!".encode()),
        [Frame(TEXT, "Hello-µ@ßöäüàá-UTF-8!!".encode())],
    ),
    "6.2.3": (
        text(*bytewise("Hello-µ@ßöäüàá-UTF-8!!".encode())),
        [Frame(TEXT, "Hello-µ@ßöäüàá-UTF-8!!".encode())],
    ),
    "6.2.4": (text(*bytewise(KOSME)), [Frame(TEXT, KOSME)]),
    "7.1.1": ([HELLO], [HELLO]),
    "10.1.1": (
        text(*(b"*" * min(1300, 65536 - start) for start in range(0, 65536, 1300))),
        [Frame(TEXT, b"*" * 65536)],
    ),
}


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize("case", LEGAL)
def test_legal_frames_are_answered(role: Role, case: str, chop: Chop) -> None:
    frames, answers = LEGAL[case]
    echo = Echo(role)
    echo.receive(*frames, NORMAL, chop=chop)
    assert echo.sent() == [*answers, NORMAL]
    assert echo.closed().code == 1000
    assert echo.closed().error is None


PROTOCOL_ERRORS: dict[str, tuple[list[Frame], list[Frame]]] = {
    "2.5": ([Frame(PING, b"\xfe" * 126)], []),
    "3.1": ([Frame(TEXT, b"x", rsv=1)], []),
    "3.2": ([HELLO, Frame(TEXT, b"x", rsv=2), Frame(PING)], [HELLO]),
    "3.3": ([HELLO, Frame(TEXT, b"x", rsv=3), Frame(PING)], [HELLO]),
    "3.4": ([HELLO, Frame(TEXT, b"x", rsv=4), Frame(PING)], [HELLO]),
    "3.5": ([Frame(BINARY, ODD, rsv=5)], []),
    "3.6": ([Frame(PING, b"x", rsv=6)], []),
    "3.7": ([Frame(CLOSE, rsv=7)], []),
    "4.1.1": ([Frame(3)], []),
    "4.1.2": ([Frame(4, b"reserved")], []),
    "4.1.3": ([HELLO, Frame(5), Frame(PING)], [HELLO]),
    "4.1.4": ([HELLO, Frame(6, b"reserved"), Frame(PING)], [HELLO]),
    "4.1.5": ([HELLO, Frame(7, b"reserved"), Frame(PING)], [HELLO]),
    "4.2.1": ([Frame(11)], []),
    "4.2.2": ([Frame(12, b"reserved")], []),
    "4.2.3": ([HELLO, Frame(13), Frame(PING)], [HELLO]),
    "4.2.4": ([HELLO, Frame(14, b"reserved"), Frame(PING)], [HELLO]),
    "4.2.5": ([HELLO, Frame(15, b"reserved"), Frame(PING)], [HELLO]),
    "5.1": ([Frame(PING, b"one", fin=False), Frame(CONTINUATION, b"two")], []),
    "5.2": ([Frame(PONG, b"one", fin=False), Frame(CONTINUATION, b"two")], []),
    "5.9 to 5.11": ([Frame(CONTINUATION, b"nothing to continue"), HELLO], []),
    "5.12 to 5.14": ([Frame(CONTINUATION, b"nothing to continue", fin=False), HELLO], []),
    "5.15": (
        [*text(b"one", b"two"), Frame(CONTINUATION, b"three", fin=False), HELLO],
        [Frame(TEXT, b"onetwo")],
    ),
    "5.16": ([Frame(CONTINUATION, b"one", fin=False), *text(b"two", b"three")], []),
    "5.17": ([Frame(CONTINUATION, b"one"), *text(b"two", b"three")], []),
    "5.18": ([Frame(TEXT, b"one", fin=False), Frame(TEXT, b"two")], []),
    "7.3.2": ([Frame(CLOSE, b"a")], []),
    "7.3.6": ([close_frame(1000, b"*" * 124)], []),
    **{
        f"7.9 {code}": ([close_frame(code)], [])
        for code in (0, 999, 1004, 1005, 1006, 1016, 1100, 2000, 2999)
    },
    "7.13.1": ([close_frame(5000)], []),
    "7.13.2": ([close_frame(65535)], []),
}


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize("case", PROTOCOL_ERRORS)
def test_protocol_errors_fail_the_connection(role: Role, case: str, chop: Chop) -> None:
    frames, answers = PROTOCOL_ERRORS[case]
    echo = Echo(role)
    echo.receive(*frames, chop=chop)
    assert echo.sent()[:-1] == answers
    assert echo.close_code() == 1002
    assert echo.closed().code == 1002
    assert echo.closed().error is not None
    assert echo.connection.wants_close


CLOSES: dict[str, list[Frame]] = {
    "7.1.2": [NORMAL, Frame(CLOSE)],
    "7.1.3": [NORMAL, Frame(PING)],
    "7.1.4": [NORMAL, HELLO],
    "7.1.5": [Frame(TEXT, b"one", fin=False), NORMAL, Frame(CONTINUATION, b"two")],
    "7.3.1": [close_frame()],
    "7.3.3": [NORMAL],
    "7.3.4": [close_frame(1000, b"Hello World!")],
    "7.3.5": [close_frame(1000, b"*" * 123)],
    **{
        f"7.7 {code}": [close_frame(code)]
        for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
    },
}


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize("case", CLOSES)
def test_close_is_echoed_and_what_follows_is_dropped(role: Role, case: str, chop: Chop) -> None:
    frames = CLOSES[case]
    received = next(frame for frame in frames if frame.opcode == CLOSE)
    echo = Echo(role)
    echo.receive(*frames, chop=chop)
    assert echo.sent() == [Frame(CLOSE, received.payload[:2])]
    assert len(echo.events) == 1
    assert echo.closed().code == int.from_bytes(received.payload[:2] or b"\x03\xed", "big")
    assert echo.closed().reason.encode() == received.payload[2:]


@pytest.mark.parametrize("chop", CHOPS)
def test_7_1_6_messages_before_the_close_are_echoed_before_it(role: Role, chop: Chop) -> None:
    large = Frame(TEXT, b"BAsd7&jh23" * 2621)
    echo = Echo(role)
    echo.receive(large, HELLO, NORMAL, Frame(PING), chop=chop)
    assert echo.sent() == [large, HELLO, NORMAL]


def test_7_5_1_close_reason_that_is_not_utf8(role: Role) -> None:
    echo = Echo(role)
    echo.receive(close_frame(1000, KOSME + b"\xed\xa0\x80edited"))
    assert echo.close_code() == 1007


# Section 6.5 to 6.23: the sequences of Markus Kuhn's UTF-8 stress test.
VALID_TEXT: dict[str, list[str]] = {
    "6.5": [
        "68656c6c6f24776f726c64",
        "68656c6c6fc2a2776f726c64",
        "68656c6c6fe282ac776f726c64",
        "68656c6c6ff0a4ada2776f726c64",
        "cebae1bdb9cf83cebcceb5",
    ],
    "6.6": ["ceba", "cebae1bdb9", "cebae1bdb9cf83", "cebae1bdb9cf83cebc"],
    "6.7": ["00", "c280", "e0a080", "f0908080"],
    "6.9": ["7f", "dfbf", "efbfbf", "f48fbfbf"],
    "6.11": ["ed9fbf", "ee8080", "efbfbd", "f48fbfbf"],
    "6.22": [
        "efbfbe",
        "efbfbf",
        *(
            f"{lead}{second}bf{last}"
            for lead in ("f0", "f1", "f2", "f3", "f4")
            for second in ("8f", "9f", "af", "bf")
            for last in ("be", "bf")
            if (lead, second) != ("f0", "8f") and (lead != "f4" or second == "8f")
        ),
    ],
    "6.23": ["efbfb9", "efbfba", "efbfbb", "efbfbc", "efbfbd"],
}

MISSING_LAST = "c0 e080 f08080 f8808080 fc80808080 df efbf f7bfbf fbbfbfbf fdbfbfbfbf"

INVALID_TEXT: dict[str, list[str]] = {
    "6.3": ["cebae1bdb9cf83cebcceb5eda080656469746564"],
    "6.4": ["cebae1bdb9cf83cebcceb5f4908080656469746564"],
    "6.6": ["ce", "cebae1", "cebae1bd", "cebae1bdb9cf", "cebae1bdb9cf83ce"],
    "6.8": ["f888808080", "fc8480808080"],
    "6.10": ["f7bfbfbf", "fbbfbfbfbf", "fdbfbfbfbfbf"],
    "6.11": ["f4908080"],
    "6.12": [
        "80",
        "bf",
        *("80bf80bf80bf"[:n] for n in (4, 6, 8, 10, 12)),
        "".join(f"{byte:02x}" for byte in range(0x80, 0xBF)),
    ],
    "6.13": [
        "".join(f"{byte:02x}20" for byte in range(first, last))
        for first, last in [(0xC0, 0xDF), (0xE0, 0xEF), (0xF0, 0xF7), (0xF8, 0xFB), (0xFC, 0xFD)]
    ],
    "6.14": MISSING_LAST.split(),
    "6.15": [MISSING_LAST.replace(" ", "")],
    "6.16": ["fe", "ff", "fefeffff"],
    "6.17": ["c0af", "e080af", "f08080af", "f8808080af", "fc80808080af"],
    "6.18": ["c1bf", "e09fbf", "f08fbfbf", "f887bfbfbf", "fc83bfbfbfbf"],
    "6.19": ["c080", "e08080", "f0808080", "f880808080", "fc8080808080"],
    "6.20": ["eda080", "edadbf", "edae80", "edafbf", "edb080", "edbe80", "edbfbf"],
    "6.21": [
        high + low
        for high in ("eda080", "edadbf", "edae80", "edafbf")
        for low in ("edb080", "edbfbf")
    ],
}


def flat(table: dict[str, list[str]]) -> list[tuple[str, bytes]]:
    return [(case, bytes.fromhex(data)) for case, rows in table.items() for data in rows]


@pytest.mark.parametrize("chop", [whole, bytewise])
@pytest.mark.parametrize(("case", "data"), flat(VALID_TEXT))
def test_valid_text_is_echoed(role: Role, case: str, data: bytes, chop: Chop) -> None:
    echo = Echo(role)
    echo.receive(Frame(TEXT, data), *text(*bytewise(data)), NORMAL, chop=chop)
    assert echo.sent() == [Frame(TEXT, data), Frame(TEXT, data), NORMAL]


@pytest.mark.parametrize("decode_text", [True, False])
@pytest.mark.parametrize("chop", [whole, bytewise])
@pytest.mark.parametrize(("case", "data"), flat(INVALID_TEXT))
def test_w11_invalid_text_fails_the_connection(
    role: Role, case: str, data: bytes, chop: Chop, decode_text: bool
) -> None:
    for frames in ([Frame(TEXT, data)], text(*bytewise(data))):
        echo = Echo(role, decode_text=decode_text)
        echo.receive(*frames, Frame(PING), chop=chop)
        assert echo.close_code() == 1007
        assert [frame.opcode for frame in echo.sent()] == [CLOSE]
        assert echo.closed().code == 1007


@pytest.mark.parametrize(
    ("bad", "at"), [("eda080", 12), ("f4908080", 12), ("ff", 11), ("c080", 11), ("f888", 11)]
)
@pytest.mark.parametrize("fragments", [True, False], ids=["6.4.1, 6.4.2", "6.4.3, 6.4.4"])
def test_text_fails_at_the_first_byte_that_cannot_be_utf8(
    role: Role, bad: str, at: int, fragments: bool
) -> None:
    data = KOSME + bytes.fromhex(bad) + b"edited"
    echo = Echo(role)
    if fragments:
        pieces = [echo.encode(frame) for frame in text(*bytewise(data))]
    else:
        wire = echo.encode(Frame(TEXT, data))
        head = len(wire) - len(data)
        pieces = [wire[: head + 1], *bytewise(wire[head + 1 :])]
    for piece in pieces[:at]:
        echo.receive(piece)
    assert echo.events == []
    echo.receive(pieces[at])
    assert echo.close_code() == 1007
