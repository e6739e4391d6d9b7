"""Multipart bodies: RFC 2046 section 5.1 at every cut; limits; how much work a byte makes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Self, SupportsIndex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine.content.multipart import (
    PART_TAIL,
    MultipartEnd,
    MultipartError,
    MultipartEvent,
    MultipartLimitError,
    MultipartLimits,
    MultipartParser,
    PartBegin,
    PartData,
    PartEnd,
    TooManyPartsError,
    boundary_parameter,
    encode_end,
    encode_part_head,
)
from plait_engine.headers import Headers
from tests.engine.chops import CHOPS, Chop, cut_at

Part = tuple[Headers, bytes]


def events_of(parser: MultipartParser, pieces: Iterable[bytes]) -> list[MultipartEvent]:
    """Feed ``pieces`` and the end, and return the events."""
    events = []
    for piece in pieces:
        parser.receive_data(piece)
        while (event := parser.next_event()) is not None:
            events.append(event)
    parser.receive_eof()
    while (event := parser.next_event()) is not None:
        events.append(event)
    return events


def parse(pieces: Iterable[bytes], boundary: str = "b", **options: object) -> list[Part]:
    """Return the parts; checks the order of the events on the way."""
    parser = MultipartParser(boundary, **options)  # type: ignore[arg-type]
    parts: list[Part] = []
    content: bytes | None = None
    events = events_of(parser, pieces)
    assert isinstance(events.pop(), MultipartEnd)
    for event in events:
        if isinstance(event, PartBegin):
            assert content is None
            parts.append((event.headers, b""))
            content = b""
        elif isinstance(event, PartData):
            assert content is not None
            assert event.data
            content += event.data
        else:
            assert isinstance(event, PartEnd)
            assert content is not None
            parts[-1] = (parts[-1][0], content)
            content = None
    return parts


def encode(parts: Iterable[Part], boundary: str = "b") -> bytes:
    body = [encode_part_head(boundary, head) + data + PART_TAIL for head, data in parts]
    return b"".join(body) + encode_end(boundary)


# -- what is a part ------------------------------------------------------------------------------


BODIES: list[tuple[str, bytes, list[Part]]] = [
    ("two parts", b"--b\r\nA: 1\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n", [
        ((("A", "1"),), b"one"), ((), b"two")]),
    ("no line end behind the last", b"--b\r\n\r\none\r\n--b--", [((), b"one")]),
    ("more on the last line", b"--b\r\n\r\none\r\n--b--bye", [((), b"one")]),
    ("preamble and epilogue", b"hello\r\n--b\r\n\r\none\r\n--b--\r\nbye\r\n--b\r\n\r\nx", [
        ((), b"one")]),
    ("preamble of empty lines", b"\r\n\r\n--b\r\n\r\none\r\n--b--", [((), b"one")]),
    ("padding", b"--b \t\r\n\r\none\r\n--b\t\r\n\r\ntwo\r\n--b--  \r\n", [
        ((), b"one"), ((), b"two")]),
    ("no part", b"--b--\r\n", []),
    ("no part, preamble", b"x\r\n--b--", []),
    ("empty content", b"--b\r\n\r\n\r\n--b--", [((), b"")]),
    ("no content, one line end", b"--b\r\n\r\n--b\r\nA: 1\r\n\r\n--b--", [
        ((), b""), ((("A", "1"),), b"")]),
    ("line ends in content", b"--b\r\n\r\n\r\none\r\n\r\n--b--", [((), b"\r\none\r\n")]),
    ("bare line ends are content", b"--b\r\n\r\n\n--b\n\r--b\r\r\n--b--", [
        ((), b"\n--b\n\r--b\r")]),
    ("a boundary in the middle of a line", b"--b\r\n\r\nx--b\r\n--b--", [((), b"x--b")]),
    ("a line that begins like a delimiter", b"--b\r\n\r\nx\r\n--bc\r\n--b-\r\n--b-c\r\n--b x\r\n--b--", [
        ((), b"x\r\n--bc\r\n--b-\r\n--b-c\r\n--b x")]),
    ("a delimiter begins in a false one", b"--b\r\n\r\n\r\n--b\r\r\n--b--", [((), b"\r\n--b\r")]),
    ("folded field", b"--b\r\nA: 1\r\n 2\r\n\t3\r\nB:\r\n\r\n\r\n--b--", [
        ((("A", "1 2\t3"), ("B", "")), b"")]),
    ("raw names", "--b\r\nA: ä\r\n\r\n\r\n--b--".encode() , [((("A", "ä"),), b"")]),
    ("length", b"--b\r\ncontent-length: 3\r\n\r\none\r\n--b--", [
        ((("content-length", "3"),), b"one")]),
]  # fmt: skip


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize(("body", "parts"), [pytest.param(*b[1:], id=b[0]) for b in BODIES])
def test_bodies(body: bytes, parts: list[Part], chop: Chop) -> None:
    assert parse(chop(body)) == parts


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"", "no boundary"),
        (b"--a\r\n\r\none\r\n--a--", "no boundary"),
        (b"x--b\r\n\r\none", "no boundary"),
        (b"--b\n\none\n--b--\n", "no boundary"),
        (b"--b", "ends before its last boundary"),
        (b"--b\r\nA: 1", "header section"),
        (b"--b\r\n\r\none", "ends before its last boundary"),
        (b"--b\r\n\r\none\r\n--b", "ends before its last boundary"),
        (b"--b\r\n\r\none\r\n--b-", "ends before its last boundary"),
        (b"--b\r\n\r\none\r\n--b\r\n", "header section"),
        (b"--b\r\nA\r\n\r\n\r\n--b--", "malformed header"),
        (b"--b\r\n: x\r\n\r\n\r\n--b--", "malformed header"),
        (b"--b\r\nA : x\r\n\r\n\r\n--b--", "malformed header"),
        (b"--b\r\n A: x\r\n\r\n\r\n--b--", "malformed header"),
        (b"--b\r\nA: x\nB: y\r\n\r\n\r\n--b--", "malformed header"),
        (b"--b\r\nA: x\rB: y\r\n\r\n\r\n--b--", "malformed header"),
        (b"--b\r\nA: x\0\r\n\r\n\r\n--b--", "malformed header"),
        (b"--b\r\nA\xff: x\r\n\r\n\r\n--b--", "malformed header"),
        (b"--b\r\nContent-Length: +3\r\n\r\none\r\n--b--", "invalid Content-Length"),
        (b"--b\r\nContent-Length: 2\r\n\r\none\r\n--b--", "not as long as"),
        (b"--b\r\nContent-Length: 4\r\n\r\none\r\n--b--", "not as long as"),
        (b"--b\r\nContent-Length: 0\r\n\r\none\r\n--b--", "not as long as"),
    ],
)
def test_what_is_no_multipart(body: bytes, problem: str, chop: Chop) -> None:
    with pytest.raises(MultipartError, match=problem):
        parse(chop(body))


def test_content_that_came_is_given_before_the_error() -> None:
    parser = MultipartParser("b")
    parser.receive_data(b"--b\r\n\r\none\r\n--")
    parser.receive_eof()
    assert [parser.next_event() for _ in range(2)] == [PartBegin(()), PartData(b"one\r\n--")]
    with pytest.raises(MultipartError):
        parser.next_event()


def test_a_form_ignores_lengths() -> None:
    body = b"--b\r\nContent-Length: x\r\n\r\none\r\n--b--"
    assert parse([body], is_form=True) == [((("Content-Length", "x"),), b"one")]


def test_content_is_given_as_it_comes() -> None:
    parser = MultipartParser("boundary")
    parser.receive_data(b"--boundary\r\n\r\none\r\n--bound")
    assert parser.next_event() == PartBegin(())
    assert parser.next_event() == PartData(b"one")
    assert parser.next_event() is None
    parser.receive_data(b"less")
    assert parser.next_event() == PartData(b"\r\n--boundless")
    parser.receive_data(b"\r\n--boundary--")
    assert parser.next_event() == PartEnd()
    assert parser.next_event() == MultipartEnd()


def test_what_follows_the_end_is_not_kept() -> None:
    parser = MultipartParser("b")
    parser.receive_data(b"--b--\r\nepi")
    assert parser.next_event() == MultipartEnd()
    for _ in range(3):
        parser.receive_data(b"logue")
        assert parser.next_event() is None
    assert parser.take_rest() == b""


def test_inside_of_a_part() -> None:
    parser = MultipartParser.inside_part("b", (("Content-Length", "3"),))
    parser.receive_data(b"one\r\n--b\r\nA: 1")
    assert parser.next_event() == PartData(b"one")
    assert parser.next_event() == PartEnd()
    assert parser.take_rest() == b"--b\r\nA: 1"


def test_inside_of_an_empty_part() -> None:
    parser = MultipartParser.inside_part("b")
    parser.receive_data(b"--b--")
    parser.receive_eof()
    assert parser.next_event() == PartEnd()
    assert parser.take_rest() == b"--b--"


@pytest.mark.parametrize("chop", CHOPS)
def test_nested(chop: Chop) -> None:
    inner = encode([((), b"deep")], "bb")
    [(_, content)] = parse(chop(encode([((), inner)])))
    parser = MultipartParser("b").nested("bb")
    events = events_of(parser, chop(content))
    assert events[0] == PartBegin(())
    assert b"".join(e.data for e in events if isinstance(e, PartData)) == b"deep"
    assert events[-1] == MultipartEnd()


# -- limits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("boundary", ["", "b ", "a\n", "ä", "a\x7f", "a\tb"])
def test_what_cannot_be_a_boundary(boundary: str) -> None:
    with pytest.raises(MultipartError, match="cannot be a boundary"):
        MultipartParser(boundary)


@pytest.mark.parametrize("boundary", ["b", "--", "'()+_,-./:=? b", '\\"<>', "b" * 70])
def test_boundaries(boundary: str) -> None:
    assert parse([encode([((), b"x")], boundary)], boundary) == [((), b"x")]


def test_a_long_boundary() -> None:
    with pytest.raises(MultipartLimitError, match="too long"):
        MultipartParser("b" * 71)


def test_nesting() -> None:
    parser = MultipartParser("b", limits=MultipartLimits(nesting=3)).nested("c").nested("d")
    with pytest.raises(MultipartLimitError, match="more than 3 multiparts"):
        parser.nested("e")


def test_nested_parts_count() -> None:
    parser = MultipartParser("b", limits=MultipartLimits(parts=3))
    parser.receive_data(b"--b\r\n\r\n")
    assert isinstance(parser.next_event(), PartBegin)
    inner = parser.nested("c")
    inner.receive_data(b"--c\r\n\r\n\r\n--c\r\n\r\n\r\n--c\r\n")
    kinds = [type(inner.next_event()) for _ in range(4)]
    assert kinds == [PartBegin, PartEnd, PartBegin, PartEnd]
    with pytest.raises(TooManyPartsError, match="more than 3 parts"):
        inner.next_event()
    parser.receive_data(b"\r\n--b\r\n")
    assert isinstance(parser.next_event(), PartEnd)
    with pytest.raises(TooManyPartsError, match="more than 3 parts"):
        parser.next_event()


@pytest.mark.parametrize("chop", CHOPS)
@pytest.mark.parametrize(
    ("limits", "body", "problem"),
    [
        (
            MultipartLimits(parts=2),
            lambda n: encode([((), b"x")] * (2 + n)),
            "more than 2 parts",
        ),
        (
            MultipartLimits(fields=3),
            lambda n: encode([((("A", "1"),) * (3 + n), b"")]),
            "more than 3 header fields",
        ),
        (
            MultipartLimits(field_line=10),
            lambda n: encode([((("A", "1" * (7 + n)),), b"")]),
            "more than 10 bytes",
        ),
        (
            MultipartLimits(header_section=20),
            lambda n: encode([((("A", "1" * (17 + n)),), b"")]),
            "more than 20 bytes",
        ),
    ],
)
def test_limits(limits: MultipartLimits, body: object, problem: str, chop: Chop) -> None:
    assert callable(body)
    parse(chop(body(0)), limits=limits)
    with pytest.raises(MultipartLimitError, match=problem):
        parse(chop(body(1)), limits=limits)


def test_a_header_section_that_never_ends() -> None:
    parser = MultipartParser("b", limits=MultipartLimits(header_section=100))
    parser.receive_data(b"--b\r\n" + b"a" * 103)
    assert parser.next_event() is None  # The section may end with the last three.
    parser.receive_data(b"a")
    with pytest.raises(MultipartLimitError):
        parser.next_event()


# -- work -----------------------------------------------------------------------------------------


class Counted(bytes):
    """Bytes that count how many of them are searched and copied, wherever they go."""

    work: ClassVar[int] = 0

    def find(self, sub: object, start: int = 0, end: int | None = None) -> int:  # type: ignore[override]
        index = super().find(sub, start)  # type: ignore[arg-type]
        Counted.work += (len(self) if index < 0 else index) - start
        return index

    def rfind(self, sub: object, start: int = 0, end: int | None = None) -> int:  # type: ignore[override]
        Counted.work += len(self) - start
        return super().rfind(sub, start)  # type: ignore[arg-type]

    def __getitem__(self, key: SupportsIndex | slice) -> Self:  # type: ignore[override]
        found = super().__getitem__(key)  # type: ignore[index]
        assert isinstance(found, bytes)
        if len(found) < len(self):
            Counted.work += len(found)
        return type(self)(found)

    def __radd__(self, other: bytes) -> Self:
        Counted.work += len(other) + len(self)
        return type(self)(bytes.__add__(other, self))

    def __add__(self, other: object) -> Self:  # type: ignore[override]
        assert isinstance(other, bytes)
        Counted.work += len(other) + len(self)
        return type(self)(super().__add__(other))


SIZE = 2**17
HARD: dict[str, bytes] = {
    "long line": b"--b\r\n\r\n" + b"x" * SIZE,
    "long preamble": b"x" * SIZE,
    "preamble of line ends": b"\r\n" * (SIZE // 2),
    "long epilogue": b"--b--\r\n" + b"x" * SIZE,
    "begins with a line end": b"--b\r\n\r\n\r\n" + b"x" * SIZE,
    "carriage returns": b"--b\r\n\r\n" + b"\r" * SIZE,
    "line feeds": b"--b\r\n\r\n" + b"\n" * SIZE,
    "line ends": b"--b\r\n\r\n" + b"\r\n" * (SIZE // 2),
    "false delimiters": b"--b\r\n\r\n" + b"\r\n--bx" * (SIZE // 6),
    "almost delimiters": b"--b\r\n\r\n" + b"\r\n--" * (SIZE // 4),
    "padding": b"--b\r\n\r\n" + (b"\r\n--b" + b" " * 128 + b"x") * (SIZE // 134),
    "parts": b"--b\r\n\r\n" * (SIZE // 7),
    "parts with a field": b"--b\r\nA: 1\r\n\r\nx\r\n" * (SIZE // 16),
    "empty lines": b"--b\r\n" + b"\r\n" * (SIZE // 2),
}


@pytest.mark.parametrize("piece", [2 * SIZE, 4096, 100])
@pytest.mark.parametrize("name", HARD)
def test_work_is_linear(name: str, piece: int) -> None:
    body = HARD[name]
    parser = MultipartParser("b", limits=MultipartLimits(parts=None))
    Counted.work = 0
    steps = 0
    for start in range(0, len(body), piece):
        parser.receive_data(Counted(body[start : start + piece]))
        while parser.next_event() is not None:
            steps += 1
    assert Counted.work <= 12 * len(body)
    assert steps <= len(body)


def test_the_count_sees_work() -> None:
    Counted.work = 0
    data = Counted(b"abcdef")
    rest = b"x" + data[2:]
    assert rest.find(b"zz") == -1
    assert Counted.work == 4 + 5 + 5


# -- the way out, and both ways ----------------------------------------------------------------------


def test_encoding() -> None:
    assert encode([((("A", "1"), ("B", "ä")), b"one"), ((), b"")]) == (
        b"--b\r\nA: 1\r\nB: \xc3\xa4\r\n\r\none\r\n--b\r\n\r\n\r\n--b--\r\n"
    )


@pytest.mark.parametrize(
    "field", [("A", "1\r\nB: 2"), ("A", "\0"), ("A\n", "1"), ("", "1"), ("A:", "")]
)
def test_what_cannot_be_sent(field: tuple[str, str]) -> None:
    with pytest.raises(ValueError, match="not a header field"):
        encode_part_head("b", [field])


def test_the_boundary_as_a_parameter() -> None:
    assert boundary_parameter("abc") == "abc"
    assert boundary_parameter(":") == '":"'
    assert boundary_parameter('\\"') == '"\\\\\\""'
    with pytest.raises(MultipartError):
        boundary_parameter("a\n")


names = st.from_regex(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,10}", fullmatch=True)
values = st.text(
    st.characters(exclude_categories=["Cc", "Cs"]), max_size=20
).map(lambda text: text.strip(" \t"))  # fmt: skip
contents = st.one_of(
    st.binary(max_size=50),
    st.lists(st.sampled_from([b"\r", b"\n", b"\r\n", b"-", b"--", b"--c", b"x"])).map(b"".join),
)
part_lists = st.lists(st.tuples(st.lists(st.tuples(names, values)).map(tuple), contents))


@given(part_lists, st.lists(st.integers(0, 500)), st.binary(max_size=20))
def test_what_was_encoded_is_what_is_parsed(
    parts: list[Part], cuts: list[int], epilogue: bytes
) -> None:
    body = encode(parts, "boundary")
    pieces = cut_at(body + epilogue, [cut % (len(body) + 1) for cut in cuts])
    assert parse(pieces, "boundary", is_form=True) == parts
