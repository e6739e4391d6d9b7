"""Both masks, in Python and in C, to RFC 6455 section 5.3 and to each other."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plait_engine import Role
from plait_engine.websocket import masking
from tests.engine.websocket.conftest import MASKS, use_mask
from tests.engine.websocket.peer import BINARY, Echo, Frame, xor

KEYS = [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\xa7\x01\x5c\xf0"]


@pytest.fixture(params=MASKS, autouse=True)
def mask(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> masking.Mask:
    return use_mask(request.param, monkeypatch)


@pytest.mark.parametrize("key", KEYS)
def test_all_short_payloads(mask: masking.Mask, key: bytes) -> None:
    payload = random.Random(1).randbytes(300)
    for size in range(301):
        masked = mask(payload[:size], key)
        assert type(masked) is bytes
        assert masked == xor(payload[:size], key)
        assert mask(masked, key) == payload[:size]


@pytest.mark.parametrize("size", [399, 400, 401, 402, 403, 65_535, 65_536, 1_000_003])
def test_large_payloads(mask: masking.Mask, size: int) -> None:
    payload = random.Random(size).randbytes(size)
    for key in KEYS:
        assert mask(payload, key) == xor(payload, key)


@given(st.binary(max_size=2000), st.binary(min_size=4, max_size=4), st.data())
def test_any_part_of_any_buffer(payload: bytes, key: bytes, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(payload)))
    stop = data.draw(st.integers(start, len(payload)))
    expected = xor(payload[start:stop], key)
    for mask in masking.MASKS.values():
        assert mask(payload[start:stop], key) == expected
        assert mask(bytearray(payload)[start:stop], key) == expected
        assert mask(memoryview(payload)[start:stop], key) == expected


@pytest.mark.parametrize("role", list(Role))
def test_both_directions_of_a_connection_use_it(role: Role) -> None:
    echo = Echo(role)
    payloads = [bytes(range(256)) * size for size in (0, 1, 3, 300)]
    echo.receive(*(Frame(BINARY, payload) for payload in payloads))
    assert echo.sent() == [Frame(BINARY, payload) for payload in payloads]
