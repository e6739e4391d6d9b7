"""The configuration of a client's connections."""

from __future__ import annotations

import math

import pytest

from plait_engine.policy.client_config import (
    CLIENT_LIMITS,
    CLIENT_TIMEOUTS,
    DEFAULT_HEADS,
    PING_INTERVAL,
    PROBE,
    client_config,
    client_timeouts,
    head_limits,
)


def test_limits_of_heads_that_are_those_by_default_are_none() -> None:
    line, field, fields = DEFAULT_HEADS
    assert head_limits(line, field, fields) is None
    assert head_limits(line + 1, field, fields) == (line + 1, field, fields)


def test_a_connection_has_no_deadlines_but_that_of_its_end() -> None:
    timeouts = client_timeouts(None)
    assert timeouts == CLIENT_TIMEOUTS
    assert (timeouts.head, timeouts.body, timeouts.keep_alive, timeouts.write) == (None,) * 4
    assert timeouts.close == 2.0
    assert timeouts.ping_interval is None
    assert timeouts.probe is None


@pytest.mark.parametrize(
    ("interval", "probe", "pong"),
    [
        (PING_INTERVAL, PROBE, CLIENT_TIMEOUTS.pong),
        (PROBE, PROBE, min(CLIENT_TIMEOUTS.pong, PROBE)),
        (0.5, 0.5, 0.5),
    ],
)
def test_a_server_is_asked_whether_it_lives(interval: float, probe: float, pong: float) -> None:
    """RFC 9113 section 6.7; a short interval is the longest that anything else takes."""
    timeouts = client_timeouts(interval)
    assert (timeouts.ping_interval, timeouts.probe, timeouts.pong) == (interval, probe, pong)
    assert timeouts.close == CLIENT_TIMEOUTS.close


@pytest.mark.parametrize("interval", [0, 0.0, -1.0, math.nan])
def test_intervals_that_are_none(interval: float) -> None:
    with pytest.raises(ValueError, match="must be above 0"):
        client_timeouts(interval)


@pytest.mark.parametrize(
    ("secure", "tls_close", "scheme", "close"),
    [
        (False, None, "http", 2.0),
        (False, 0.25, "http", 2.0),  # Without TLS there is no alert to wait for.
        (True, None, "https", 2.0),
        (True, 0.25, "https", 0.25),
        (True, 0.0, "https", 0.0),
    ],
)
def test_the_scheme_and_the_end(
    secure: bool, tls_close: float | None, scheme: str, close: float
) -> None:
    config = client_config(
        secure=secure, half_close=not secure, limits=None, tls_close=tls_close, random=bytes
    )
    assert config.scheme == scheme
    assert config.timeouts.close == close
    assert config.half_close is not secure
    assert config.random is bytes
    assert config.limits == CLIENT_LIMITS


def test_the_timeouts_of_the_pool() -> None:
    config = client_config(
        secure=True,
        half_close=True,
        limits=None,
        tls_close=1.0,
        random=bytes,
        timeouts=client_timeouts(7.0),
    )
    assert (config.timeouts.ping_interval, config.timeouts.close) == (7.0, 1.0)


@pytest.mark.parametrize(
    ("limits", "list_size"),
    [
        ((100, 200, 3), CLIENT_LIMITS.max_header_list_size),
        # A line and a field that are allowed fit into a field section of HTTP/2, too.
        ((1 << 20, 1 << 21, 5), (1 << 20) + (1 << 21)),
    ],
)
def test_limits_of_a_head(limits: tuple[int, int, int], list_size: int) -> None:
    found = client_config(
        secure=False, half_close=True, limits=limits, tls_close=None, random=bytes
    ).limits
    assert (found.max_line_size, found.max_field_size, found.max_fields) == limits
    assert found.max_header_list_size == list_size
    assert found.stream_window == CLIENT_LIMITS.stream_window
    assert found.max_connection_window == CLIENT_LIMITS.max_connection_window


def test_connections_of_one_kind_share_their_configuration() -> None:
    one, same, other = (
        client_config(secure=secure, half_close=True, limits=None, tls_close=None, random=bytes)
        for secure in (True, True, False)
    )
    assert one is same
    assert one is not other
