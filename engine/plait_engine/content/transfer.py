"""Content-Transfer-Encoding of the parts of a multipart body: base64 and quoted-printable.

HTTP has no use for these codings (RFC 9110 appendix B.5), and forms should not have them (RFC
7578 section 4.7), but senders of mail do.

A piece of encoded text can be decoded by itself if it ends where a unit does: four characters of
base64 (RFC 2045 section 6.8), an escape of quoted-printable (section 6.7).  ``split_units`` says
where.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol

from .codings import CodingError

_NOT_BASE64: Final = bytes(
    sorted(
        set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
    )
)
IDENTITIES: Final = frozenset({"", "7bit", "8bit", "binary"})
"""The codings that encode nothing (RFC 2045 section 6.2)."""


def decode_transfer(coding: str, data: bytes) -> bytes:
    """Return what ``data`` says, in a coding by its name in lower case.

    Raises CodingError for data that is not in that coding, and for an unknown coding.
    """
    if coding == "base64":
        try:
            return base64.b64decode(data)
        except binascii.Error as error:
            raise CodingError(f"invalid base64: {error}") from error
    if coding == "quoted-printable":
        return binascii.a2b_qp(data)
    if coding in IDENTITIES:
        return data
    raise CodingError("unknown content transfer encoding")


def split_units(coding: str, data: bytes) -> tuple[bytes, bytes]:
    """Return the whole units that ``data`` begins with, and the beginning of the next one.

    What a decoder skips is left out of the latter, so it has no more than three bytes.
    """
    if coding == "base64":
        extra = len(data.translate(None, _NOT_BASE64)) % 4
        cut = len(data)
        for _ in range(extra):
            cut -= 1
            while data[cut] in _NOT_BASE64:
                cut -= 1
        return data[:cut], data[cut:].translate(None, _NOT_BASE64)
    if coding == "quoted-printable":
        cut = data.rfind(b"=", max(0, len(data) - 2))
        # "=" and a line end, or "=" and two digits.
        if cut >= 0 and not data.endswith(b"\n"):
            return data[:cut], data[cut:]
    return data, b""


class TransferEncoder(Protocol):
    """Encodes the content of one part."""

    def encode(self, data: bytes) -> bytes:
        """Return ``data`` encoded, perhaps without its last bytes."""

    def finish(self) -> bytes:
        """Return what was kept."""


class Base64Encoder:
    """base64, without line breaks."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def encode(self, data: bytes) -> bytes:
        """Return whole groups of three bytes encoded."""
        data = self._rest + data
        whole = len(data) - len(data) % 3
        self._rest = data[whole:]
        return base64.b64encode(data[:whole])

    def finish(self) -> bytes:
        """Return the last group, padded."""
        return base64.b64encode(self._rest)


class QuotedPrintableEncoder:
    """quoted-printable; line ends are data like any other and are escaped."""

    __slots__ = ("_has_begun",)

    def __init__(self) -> None:
        self._has_begun = False

    def encode(self, data: bytes) -> bytes:
        """Return ``data`` encoded, in lines of 76 characters at most (RFC 2045 section 6.7)."""
        encoded = binascii.b2a_qp(data, istext=False).replace(b"\n", b"\r\n")
        if self._has_begun:
            encoded = b"=\r\n" + encoded
        self._has_begun = True
        return encoded

    def finish(self) -> bytes:
        """Return nothing: nothing was kept."""
        return b""


ENCODERS: Final[Mapping[str, Callable[[], TransferEncoder]]] = MappingProxyType(
    {"base64": Base64Encoder, "quoted-printable": QuotedPrintableEncoder}
)
"""Encoders by the name of the coding, in lower case."""
