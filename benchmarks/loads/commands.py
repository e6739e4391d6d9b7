"""Loads as commands: wrk, h2load, curl, and plait's peers' common WebSocket client.

A load is a callable ``load(port, seconds) -> operations``.  It raises ``LoadFailed`` when
a single operation failed: a fast wrong answer must not win.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

from benchmarks.processes import find_program
from benchmarks.traffic import Request

_HOST = "127.0.0.1"
_WRK_SCRIPT = Path(__file__).with_name("requests.lua")
_CALIBRATION = 1000
"""Operations of the first run of a load that is told a number and not a time."""


class LoadFailed(Exception):
    """The program reported failed operations, or something that is not understood."""


class Load(Protocol):
    """What a subject under load needs to know."""

    def __call__(self, port: int, seconds: float) -> int:
        """Put the server on ``port`` under load for about ``seconds``; return operations."""


def _run(*command: str, stdin: IO[bytes] | None = None) -> str:
    result = subprocess.run(command, stdin=stdin, capture_output=True, text=True, check=False)
    if result.returncode:
        raise LoadFailed(f"{' '.join(command)}: {result.stdout}{result.stderr}")
    return result.stdout


def _number(pattern: str, output: str) -> int:
    match = re.search(pattern, output)
    if match is None:
        raise LoadFailed(f"no {pattern!r} in: {output}")
    return int(match.group(1))


@dataclass(frozen=True)
class Wrk:
    """HTTP/1.1 with ``connections`` connections that each send request after request.

    ``requests`` are sent in random order.
    """

    requests: Sequence[Request]
    connections: int = 64

    def __call__(self, port: int, seconds: float) -> int:
        duration = max(1, round(seconds))
        with tempfile.NamedTemporaryFile(prefix="plait-bench-") as file:
            for request in self.requests:
                message = request.http1()
                file.write(b"%d\n%b" % (len(message), message))
            file.flush()
            output = _run(
                *(find_program("wrk"), "--threads", "1", "--connections", str(self.connections)),
                *("--duration", f"{duration}s", "--script", str(_WRK_SCRIPT)),
                *(f"http://{_HOST}:{port}/", "--", file.name),
            )
        if "Non-2xx" in output or "Socket errors" in output:
            raise LoadFailed(output)
        return _number(r"(\d+) requests in", output)


class _Counted:
    """A load that is told how many operations to do: the number follows from the rate."""

    def __init__(self) -> None:
        self._rate: dict[int, float] = {}  # Operations per second, by port.

    def __call__(self, port: int, seconds: float) -> int:
        count = max(_CALIBRATION, int(self._rate.get(port, 0) * seconds))
        start = time.monotonic()
        self.run(port, count)
        self._rate[port] = count / (time.monotonic() - start)
        return count

    def run(self, port: int, count: int) -> None:
        """Do ``count`` operations.  Raises LoadFailed unless all succeed."""
        raise NotImplementedError


class H2load(_Counted):
    """HTTP/2 with prior knowledge: ``connections``, each with ``streams`` at once."""

    def __init__(self, connections: int = 8, streams: int = 16) -> None:
        super().__init__()
        self.connections = connections
        self.streams = streams

    def run(self, port: int, count: int) -> None:
        output = _run(
            *(find_program("h2load"), "-t", "1", "-n", str(count)),
            *("-c", str(self.connections), "-m", str(self.streams), f"http://{_HOST}:{port}/"),
        )
        # "status codes" too: an error page is a success to h2load.
        if _number(r"status codes: (\d+) 2xx", output) != count:
            raise LoadFailed(output)


class WebSocketEcho(_Counted):
    """Messages of ``size`` bytes over ``connections`` WebSockets, each waiting for its echo.

    The client is ``loads/websocket.py``, in a process of its own.
    """

    def __init__(self, connections: int = 32, size: int = 1024) -> None:
        super().__init__()
        self.connections = connections
        self.size = size

    def run(self, port: int, count: int) -> None:
        _run(
            *(sys.executable, "-m", "benchmarks.loads.websocket", str(port)),
            *(str(self.connections), str(count), str(self.size)),
        )


@dataclass(frozen=True)
class Curl:
    """Transfers of one large body; an operation is a megabyte (10 ** 6 bytes).

    Args:
        version: ``"--http1.1"`` or ``"--http2-prior-knowledge"``.
        upload: send the body to ``/upload``; else get ``/download``.
        megabytes: of one transfer.
    """

    version: str
    upload: bool
    megabytes: int = 100

    def __call__(self, port: int, seconds: float) -> int:
        end = time.monotonic() + seconds
        megabytes = 0
        while megabytes == 0 or time.monotonic() < end:
            transfer = self._upload if self.upload else self._download
            transfer(port, self.megabytes * 1_000_000)
            megabytes += self.megabytes
        return megabytes

    def _command(self) -> list[str]:
        return [find_program("curl"), "--silent", "--show-error", "--fail", self.version]

    def _download(self, port: int, size: int) -> None:
        output = _run(
            *self._command(),
            *("--output", "/dev/null", "--write-out", "%{size_download}"),
            f"http://{_HOST}:{port}/download?size={size}",
        )
        if output != str(size):
            raise LoadFailed(f"{output} bytes came of {size}")

    def _upload(self, port: int, size: int) -> None:
        # From a pipe: a body whose length curl does not know, streamed as it comes.
        zeros = subprocess.Popen(["head", "-c", str(size), "/dev/zero"], stdout=subprocess.PIPE)
        with zeros:
            output = _run(
                *self._command(),
                *("--upload-file", "-", f"http://{_HOST}:{port}/upload"),
                stdin=zeros.stdout,
            )
        if output != str(size):
            raise LoadFailed(f"{output} bytes arrived of {size}")
