"""Masking (RFC 6455 section 5.3): the one step that touches every byte of a message.

Strategy
--------
Masking decides the speed of a server, since each frame of a client is masked (section 5.1).
``websockets.speedups`` masks in C.  It is used where it can be imported (the extra
``plait[speedups]`` installs it), and plain Python otherwise: ``apply_mask`` is one of the
two, and nobody sees a difference but in time.

Plain Python has two ways, measured on CPython 3.11 to 3.13.  One exclusive-or of two big
integers wins for short payloads, because it has few steps.  For long ones its conversions
cost more than four passes of ``bytes.translate``, one for each byte of the key over every
fourth byte of the payload.  They cross near 400 bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Mask: TypeAlias = Callable[[bytes | bytearray | memoryview, bytes], bytes]
"""Mask or unmask a payload with a key of 4 bytes."""

_TRANSLATE_FROM = 400
_XOR_TABLES = [bytes(byte ^ key for byte in range(256)) for key in range(256)]
# Made once: a slice made anew is a twentieth of the whole for a payload of 1 KiB.
_EVERY_FOURTH, _FROM_SECOND, _FROM_THIRD, _FROM_FOURTH = (slice(i, None, 4) for i in range(4))


def mask_in_python(payload: bytes | bytearray | memoryview, key: bytes) -> bytes:
    """Mask or unmask ``payload`` with a key of 4 bytes."""
    size = len(payload)
    if size < _TRANSLATE_FROM:
        keys = (key * (size // 4 + 1))[:size]
        data = int.from_bytes(payload, "little") ^ int.from_bytes(keys, "little")
        return data.to_bytes(size, "little")
    out = bytearray(payload)
    key0, key1, key2, key3 = key
    out[_EVERY_FOURTH] = out[_EVERY_FOURTH].translate(_XOR_TABLES[key0])
    out[_FROM_SECOND] = out[_FROM_SECOND].translate(_XOR_TABLES[key1])
    out[_FROM_THIRD] = out[_FROM_THIRD].translate(_XOR_TABLES[key2])
    out[_FROM_FOURTH] = out[_FROM_FOURTH].translate(_XOR_TABLES[key3])
    return bytes(out)


MASKS: dict[str, Mask] = {"python": mask_in_python}
"""Those that there are, the fastest last: ``"python"``, and ``"c"`` where it is installed."""

try:
    from websockets.speedups import apply_mask as _mask_in_c
except ImportError:  # pragma: no cover: the tests install it
    pass
else:
    MASKS["c"] = _mask_in_c

apply_mask: Mask = MASKS.get("c", mask_in_python)
"""The fastest of ``MASKS``."""
