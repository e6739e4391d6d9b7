"""The coding in which a response is sent: what the handler asked for, and the client accepts."""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from plait_engine.content.negotiation import choose_coding

__all__ = ("Compression", "ContentCoding")


class ContentCoding(enum.Enum):
    """The codings that a response can be compressed with, in the order of preference."""

    deflate = "deflate"
    gzip = "gzip"
    identity = "identity"


_CODINGS: Final = tuple(coding.value for coding in ContentCoding if coding.value != "identity")


@dataclass(frozen=True, slots=True)
class Compression:
    """What ``StreamResponse.enable_compression`` asked for.

    ``force``: the coding, whatever the client accepts; ``None``: the best that it accepts.
    ``strategy``: zlib's, its default for ``None``.
    """

    force: ContentCoding | None
    strategy: int | None

    def choose(self, accepted: Iterable[str]) -> str | None:
        """Return the coding to send; ``None``: the body as it is.

        ``accepted``: the values of the client's Accept-Encoding fields.
        """
        coding = choose_coding(accepted, _CODINGS) if self.force is None else self.force.value
        return None if coding == ContentCoding.identity.value else coding
