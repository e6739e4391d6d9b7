"""The Huffman code of HPACK (RFC 7541 section 5.2 and appendix B).

Strategy
--------
*The code.*  It is canonical: the codes of one length are consecutive and in the order of
their symbols, and a shorter code sorts before a longer one.  So the lengths alone define
it, and appendix B shrinks to the table below.

*Encoding* joins one string of binary digits for each byte and converts the whole once;
``int(digits, 2)`` is linear.

*Decoding* is a state machine over whole bytes.  A state is an inner node of the code tree,
that is, the bits of an unfinished code; a byte leads from it to the next state and emits
nothing to two symbols.  All transitions would be 256 states by 256 bytes; each is computed
the first time that it is taken, so that importing costs little and the table holds what
the traffic uses (65,536 small tuples at most, shared by all connections).  A state *is* the
list of its transitions: what costs is the look-up, once for each byte.  Whether there is one is
not asked: where nobody has gone, there is nothing to unpack.

Limits: a byte of input never becomes more than two bytes of output (the shortest code
has 5 bits), and both directions are linear.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, TypeAlias

from .errors import HPACKError

_SYMBOLS_BY_LENGTH: dict[int, bytes] = {
    5: b"012aceiost",
    6: b" %-./3456789=A_bdfghlmnpru",
    7: b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz",
    8: b"&*,;XZ",
    10: b'!"()?',
    11: b"'+|",
    12: b"#>",
    13: b"\x00$@[]~",
    14: b"^}",
    15: b"<`{",
    19: b"\\\xc3\xd0",
    20: b"\x80\x82\x83\xa2\xb8\xc2\xe0\xe2",
    21: b"\x99\xa1\xa7\xac\xb0\xb1\xb3\xd1\xd8\xd9\xe3\xe5\xe6",
    22: (
        b"\x81\x84\x85\x86\x88\x92\x9a\x9c\xa0\xa3\xa4\xa9\xaa"
        b"\xad\xb2\xb5\xb9\xba\xbb\xbd\xbe\xc4\xc6\xe4\xe8\xe9"
    ),
    23: (
        b"\x01\x87\x89\x8a\x8b\x8c\x8d\x8f\x93\x95\x96\x97\x98\x9b\x9d"
        b"\x9e\xa5\xa6\xa8\xae\xaf\xb4\xb6\xb7\xbc\xbf\xc5\xe7\xef"
    ),
    24: b"\x09\x8e\x90\x91\x94\x9f\xab\xce\xd7\xe1\xec\xed",
    25: b"\xc7\xcf\xea\xeb",
    26: b"\xc0\xc1\xc8\xc9\xca\xcd\xd2\xd5\xda\xdb\xee\xf0\xf2\xf3\xff",
    27: b"\xcb\xcc\xd3\xd4\xd6\xdd\xde\xdf\xf1\xf4\xf5\xf6\xf7\xf8\xfa\xfb\xfc\xfd\xfe",
    28: (
        b"\x02\x03\x04\x05\x06\x07\x08\x0b\x0c\x0e\x0f\x10\x11\x12\x13"
        b"\x14\x15\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f\x7f\xdc\xf9"
    ),
    30: b"\x0a\x0d\x16",
}
"""The bytes by the length of their code in bits.  The last code, thirty 1s, is EOS."""

_EOS = 256
_PADDING = "1111111"  # RFC 7541 section 5.2: the most significant bits of EOS, at most 7


class HuffmanError(HPACKError):
    """The bytes are not the Huffman code of any string."""


_Steps: TypeAlias = list[Any]
_STATE: Final = 256


class _State:
    """An inner node of the code tree.

    ``steps``: by byte, the next state's steps and the symbols emitted, or ``None`` where nobody
    has gone; behind them, at ``_STATE``, the state itself.
    ``branches``: where a 0 bit and a 1 bit lead, to another node or to a symbol.
    ``may_end``: whether the bits so far are valid padding.
    """

    __slots__ = ("branches", "may_end", "steps")

    def __init__(self, may_end: bool) -> None:
        self.steps: _Steps = []
        self.branches: list[_State | int | None] = [None, None]
        self.may_end = may_end

    def step(self, byte: int) -> tuple[_Steps, str]:
        """Find out where ``byte`` leads.  Raises HuffmanError."""
        state = self
        symbols = bytearray()
        for shift in range(7, -1, -1):
            branch = state.branches[byte >> shift & 1]
            if isinstance(branch, _State):
                state = branch
            elif branch is None or branch == _EOS:
                # RFC 7541 section 5.2: EOS inside a string is a decoding error.  The code
                # is complete, so None, a path to no symbol, cannot be reached.
                raise HuffmanError("EOS in a Huffman-coded string")
            else:
                symbols.append(branch)
                state = _ROOT
        if not state.steps:
            state.begin()
        step = self.steps[byte] = (state.steps, symbols.decode("latin-1"))
        return step

    def begin(self) -> None:
        """Make room for steps."""
        self.steps = [*[None] * _STATE, self]


def _codes() -> Iterator[tuple[int, str]]:
    """Yield each symbol with its code in binary digits, EOS last."""
    code = previous = 0
    for length, symbols in _SYMBOLS_BY_LENGTH.items():
        code <<= length - previous
        previous = length
        for symbol in symbols:
            yield symbol, f"{code:0{length}b}"
            code += 1
    yield _EOS, f"{code:0{previous}b}"


def _build_tree() -> _State:
    root = _State(may_end=True)
    for symbol, code in _codes():
        node = root
        for depth in range(1, len(code)):
            bit = int(code[depth - 1])
            child = node.branches[bit]
            if not isinstance(child, _State):
                child = node.branches[bit] = _State(may_end=_PADDING.startswith(code[:depth]))
            node = child
        node.branches[int(code[-1])] = symbol
    return root


_ROOT = _build_tree()
_ROOT.begin()
_CODES = [code for symbol, code in sorted(_codes()) if symbol != _EOS]


def encode(data: bytes) -> bytes:
    """Return the Huffman code of ``bytes``, padded to whole bytes with 1s."""
    digits = "".join([_CODES[byte] for byte in data])
    if not digits:
        return b""
    digits += _PADDING[: -len(digits) % 8]
    return int(digits, 2).to_bytes(len(digits) // 8, "big")


def decode(data: bytes) -> str:
    """Return the string whose Huffman code is ``bytes``, a character for each byte of it.

    Raises HuffmanError for EOS in it, and for padding that is longer than 7 bits or not
    all 1s (RFC 7541 section 5.2).
    """
    steps = _ROOT.steps
    # Joined as text, a byte a character: joining bytes takes 80 bytes of memory a part.
    parts: list[str] = []
    append = parts.append
    for byte in data:
        try:
            steps, symbols = steps[byte]
        except TypeError:
            steps, symbols = steps[_STATE].step(byte)
        append(symbols)
    if not steps[_STATE].may_end:
        raise HuffmanError("the padding of a Huffman-coded string is not 1 to 7 bits of EOS")
    return "".join(parts)
