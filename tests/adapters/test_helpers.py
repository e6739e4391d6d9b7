"""What packages that build on aiohttp import from its helpers."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from typing import Any
from unittest import mock

import pytest

from plait.helpers import (
    BasicAuth,
    ChainMapProxy,
    TimerNoop,
    _basic_auth_no_warn,
    ceil_timeout,
    is_ip_address,
)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("delay", "threshold", "when"),
    [(0.25, 5, 100.5), (5, 5, 105.25), (5.5, 5, 106), (1.5, 1, 102), (None, 5, None), (0, 5, None)],
)
async def test_when_a_timeout_ends(
    delay: float | None, threshold: float, when: float | None
) -> None:
    with mock.patch.object(asyncio.get_running_loop(), "time", return_value=100.25):
        assert ceil_timeout(delay, threshold).when() == when


@pytest.mark.anyio
async def test_a_timeout() -> None:
    with pytest.raises(TimeoutError):
        async with ceil_timeout(0.001):
            await asyncio.Event().wait()
    async with ceil_timeout(None):
        await asyncio.sleep(0)


def test_a_timer_that_never_fires() -> None:
    with TimerNoop() as timer:
        timer.assert_timeout()
    with pytest.raises(KeyError), TimerNoop():
        raise KeyError


@pytest.mark.parametrize(
    ("options", "variable", "debug"),
    [
        ([], "", False),
        ([], "1", True),
        (["-X", "dev"], "", True),
        (["-E"], "1", False),
    ],
)
def test_whether_python_debugs(options: list[str], variable: str, debug: bool) -> None:
    paths = [os.path.abspath(path) for path in sys.path if path.endswith(("engine", "adapters"))]
    program = f"import sys; sys.path[:0] = {paths!r}; import plait.helpers as h; print(h.DEBUG)"
    environment = {**os.environ, "PYTHONASYNCIODEBUG": variable}
    environment.pop("PYTHONDEVMODE", None)
    result = subprocess.run(
        [sys.executable, *options, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == f"{debug}\n"


def test_credentials_without_a_warning() -> None:
    made = _basic_auth_no_warn("user", "pass")
    assert type(made) is BasicAuth
    assert made == ("user", "pass", "latin1")
    with pytest.raises(ValueError, match="colon"):
        _basic_auth_no_warn("us:er")


@pytest.mark.parametrize("arguments", [(None,), ("a", None), ("a:b", "c")])
def test_credentials_that_cannot_be(arguments: tuple[Any, ...]) -> None:
    """They are an error, and not a deprecation."""
    with pytest.raises(ValueError):  # noqa: PT011  # the messages differ
        BasicAuth(*arguments)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        ("Basic ???", r"^Invalid base64 encoding"),
        ("Basic  ", r"^Invalid base64 encoding"),
        ("Basic YQ==", r"^Invalid credentials"),
    ],
)
def test_credentials_that_cannot_be_read(field: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        BasicAuth.decode(field)


def test_what_is_no_host() -> None:
    assert is_ip_address("::1")
    assert not is_ip_address(None)
    assert not is_ip_address("")
    for host in (123, b"127.0.0.1", object()):
        with pytest.raises(TypeError):
            is_ip_address(host)  # type: ignore[arg-type]  # that is the point


def test_a_chain_of_mappings_is_not_extended() -> None:
    with pytest.raises(TypeError, match="final"):
        type("More", (ChainMapProxy,), {})
