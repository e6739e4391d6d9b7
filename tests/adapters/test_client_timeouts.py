"""What a session is told about timeouts, and what its caller gets when one passes."""

from __future__ import annotations

from typing import Any

import pytest

import plait
from plait.calls.timeouts import ClientClock, ClientTimeout, error_of_deadline
from plait_engine.policy.deadlines import Deadline, Deadlines
from plait_engine.testing.pair import Clock

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"read_timeout": 5}, plait.ClientTimeout(total=5, sock_connect=30)),
        ({"read_timeout": None}, plait.ClientTimeout(total=None, sock_connect=30)),
        ({"conn_timeout": 5}, plait.ClientTimeout(total=300, connect=5, sock_connect=30)),
    ],
)
async def test_old_names_of_timeouts(
    options: dict[str, Any], expected: plait.ClientTimeout
) -> None:
    with pytest.warns(DeprecationWarning, match="use timeout"):
        session = plait.ClientSession(**options)
    assert session.timeout == expected
    await session.close()
    with pytest.raises(ValueError, match="give timeout only"):
        plait.ClientSession(timeout=plait.ClientTimeout(total=9), **options)


async def test_timeouts_of_other_types() -> None:
    with pytest.raises(ValueError, match="timeout"):
        plait.ClientSession(timeout=5)  # type: ignore[arg-type]
    async with plait.ClientSession(timeout=None) as session:
        with pytest.raises(ValueError, match="timeout"):
            await session.get("http://localhost/", timeout="5")


async def test_the_timeout_of_closing_tls_is_deprecated() -> None:
    with pytest.warns(DeprecationWarning, match="ssl_shutdown_timeout parameter"):
        session = plait.ClientSession(ssl_shutdown_timeout=1)
    await session.close()


def test_timeouts_are_immutable() -> None:
    with pytest.raises(AttributeError):
        ClientTimeout().total = 5  # type: ignore[misc]  # the point


@pytest.mark.parametrize(
    ("passed", "kind", "message"),
    [
        (Deadline.TOTAL, TimeoutError, r"the request to a:80 took more than 9 s \(total\)"),
        (
            Deadline.POOL,
            plait.ConnectionTimeoutError,
            r"Connection timeout to host a:80: .* free within 1 s \(pool\)",
        ),
        (
            Deadline.CONNECT,
            plait.ConnectionTimeoutError,
            "Connection timeout to host a:80: .* within 2 s",
        ),
        (Deadline.READ, plait.SocketTimeoutError, r"nothing came from a:80 for 3 s \(sock_read\)"),
        (Deadline.WRITE, plait.SocketTimeoutError, r"a:80 took nothing .* for 4 s \(write\)"),
    ],
)
def test_what_a_caller_gets(passed: Deadline, kind: type[Exception], message: str) -> None:
    clock: ClientClock = ClientClock(
        Deadlines(Clock()),
        ClientTimeout(total=9, sock_read=3, pool=1, write=4),
        0.0,
        error_of_deadline,
    )
    clock.waits, clock.host = 2, "a:80"
    with pytest.raises(kind, match=message) as caught:
        raise error_of_deadline(clock, passed)
    assert type(caught.value) is kind
