"""The default limits that the list of attacks asks for, with their precedents.

Where plait counts something else than the list, the reason stands beside it.  The limits of
HTTP/2 are in ``http2/test_floods.py``.
"""

from __future__ import annotations

import inspect

import pytest

import plait
from plait import web
from plait_engine import Limits
from plait_engine.content import codings

LIMITS = Limits()


@pytest.mark.parametrize(
    ("value", "default"),
    [
        pytest.param(LIMITS.max_line_size, 8190, id="line: aiohttp"),
        pytest.param(LIMITS.max_field_size, 8190, id="field: aiohttp"),
        pytest.param(LIMITS.max_fields, 128, id="fields: aiohttp"),
        pytest.param(LIMITS.max_header_list_size, 64 * 1024, id="header list"),
        pytest.param(LIMITS.max_chunk_overhead, 16 * 1024, id="chunk lines: Go"),
        # Not 32 requests: those behind the one that is answered are not parsed yet, so what
        # can be counted of them is bytes.
        pytest.param(LIMITS.max_pipelined, 65536, id="pipelined"),
        pytest.param(LIMITS.max_drain, 256 * 1024, id="unread content: Go"),
        pytest.param(LIMITS.max_message_size, 4 * 1024**2, id="WebSocket message: aiohttp"),
        pytest.param(LIMITS.max_frame_fragments, 1024, id="WebSocket fragments"),
        pytest.param(codings.MAX_MEMBERS, 1024, id="gzip members"),
    ],
)
def test_limits_of_the_engine(value: int, default: int) -> None:
    assert value == default


def test_limits_of_the_adapter() -> None:
    options = inspect.signature(web.Application.__init__).parameters
    assert options["client_max_size"].default == 1024**2
    options = inspect.signature(plait.ClientSession._request).parameters
    assert options["max_redirects"].default == 10
    options = inspect.signature(plait.ClientSession.__init__).parameters
    # What is decoded at once.
    assert options["read_bufsize"].default <= 256 * 1024
