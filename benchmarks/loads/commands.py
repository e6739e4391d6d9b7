"""Loads as commands: wrk, h2load, curl, and a WebSocket client of our own.

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
TIMEOUT = 120.0
"""Seconds after which a load that is not done has failed."""
_WRK_SCRIPT = Path(__file__).with_name("requests.lua")


class LoadFailed(Exception):
    """The program reported failed operations, or something that is not understood."""


class Load(Protocol):
    """What a subject under load needs to know."""

    def __call__(self, port: int, seconds: float) -> int:
        """Put the server on ``port`` under load for about ``seconds``; return operations."""


def _run(*command: str, stdin: IO[bytes] | None = None) -> str:
    words = " ".join(command)
    try:
        result = subprocess.run(
            command, stdin=stdin, capture_output=True, text=True, check=False, timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired:
        raise LoadFailed(f"{words}: not done after {TIMEOUT} s") from None
    if result.returncode:
        raise LoadFailed(f"{words}: {result.stdout}{result.stderr}")
    return result.stdout


def _number(pattern: str, output: str) -> int:
    match = re.search(pattern, output)
    if match is None:
        raise LoadFailed(f"no {pattern!r} in: {output}")
    return int(match.group(1))


def _scheme(tls: bool) -> str:
    return "https" if tls else "http"


@dataclass(frozen=True)
class Wrk:
    """HTTP/1.1 with ``connections`` connections that each send request after request.

    ``requests`` are sent in random order.  ``tls``: over https, whoever the server may be.
    """

    requests: Sequence[Request]
    connections: int = 64
    tls: bool = False

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
                *(f"{_scheme(self.tls)}://{_HOST}:{port}/", "--", file.name),
            )
        if "Non-2xx" in output or "Socket errors" in output:
            raise LoadFailed(output)
        return _number(r"(\d+) requests in", output)


class Counted:
    """A load that is told how many operations to do: the number follows from the rate."""

    CALIBRATION = 1000
    """Operations of the first run, and the fewest of any other."""

    def __init__(self, unit: int = 1) -> None:
        self.unit = unit
        """It does a multiple of so many."""
        self._rate: dict[int, float] = {}  # Operations per second, by port.

    def __call__(self, port: int, seconds: float) -> int:
        wanted = max(self.CALIBRATION, int(self._rate.get(port, 0) * seconds))
        count = -(-wanted // self.unit) * self.unit
        start = time.monotonic()
        self.run(port, count)
        self._rate[port] = count / (time.monotonic() - start)
        return count

    def run(self, port: int, count: int) -> None:
        """Do ``count`` operations.  Raises LoadFailed unless all succeed."""
        raise NotImplementedError


class H2load(Counted):
    """HTTP/2: ``connections``, each with ``streams`` at once.

    ``tls``: over https, whoever the server may be; else with prior knowledge.  The targets of ``requests`` are asked for in turn, all with the fields of the first: so
    does a browser, whose fields stay in the table of HPACK.
    """

    def __init__(
        self,
        requests: Sequence[Request],
        connections: int = 8,
        streams: int = 16,
        *,
        tls: bool = False,
    ) -> None:
        super().__init__()
        self.tls = tls
        self.targets = [request.target for request in requests]
        self.fields = requests[0].fields
        self.connections = connections
        self.streams = streams

    def run(self, port: int, count: int) -> None:
        with tempfile.NamedTemporaryFile("w", prefix="plait-bench-") as file:
            base = f"{_scheme(self.tls)}://{_HOST}:{port}"
            file.writelines(f"{base}{target}\n" for target in self.targets)
            file.flush()
            output = _run(
                *(find_program("h2load"), "-t", "1", "-n", str(count), "-i", file.name),
                *("-c", str(self.connections), "-m", str(self.streams)),
                *(f"--header={name.lower()}: {value}" for name, value in self.fields),
            )
        # "status codes" too: an error page is a success to h2load.
        if _number(r"status codes: (\d+) 2xx", output) != count:
            raise LoadFailed(output)


class Http2Proxy(Counted):
    """HTTP/2 with requests that differ in every field: ``loads/http2.py``.

    It encodes everything before it sends, which takes its part of the seconds.
    """

    def __init__(self, connections: int = 8, streams: int = 16) -> None:
        super().__init__(unit=connections)
        self.connections = connections
        self.streams = streams

    def run(self, port: int, count: int) -> None:
        _run(
            *(sys.executable, "-m", "benchmarks.loads.http2", str(port)),
            *(str(self.connections), str(self.streams), str(count)),
        )


class WebSocketEcho(Counted):
    """Messages of ``size`` bytes over ``connections`` WebSockets, with their echoes.

    Each connection sends ``batch`` messages at once and waits for their echoes.  The client
    is ``loads/websocket.py``, in a process of its own.
    """

    def __init__(self, size: int, batch: int = 1, connections: int = 32) -> None:
        super().__init__(unit=batch * connections)
        self.size = size
        self.batch = batch
        self.connections = connections

    def run(self, port: int, count: int) -> None:
        _run(
            *(sys.executable, "-m", "benchmarks.loads.websocket", str(port)),
            *(str(self.connections), str(count), str(self.size), str(self.batch)),
        )


@dataclass(frozen=True)
class Curl:
    """Transfers of one large body of zeros; an operation is a transfer.

    Args:
        options: for curl; which version of HTTP to speak.
        upload: send the body to ``/upload``; else get ``/download``.
        tls: over https, whoever the server may be.
        chunked: do not say the length of an upload beforehand.
        form: upload the body as the file of a multipart form, to this path.
        size: of the body in bytes.
    """

    options: str
    upload: bool
    tls: bool = False
    chunked: bool = False
    form: str | None = None
    size: int = 256 * 2**20

    def __call__(self, port: int, seconds: float) -> int:
        end = time.monotonic() + seconds
        transfers = 0
        while transfers == 0 or time.monotonic() < end:
            if self.upload:
                self._upload(port)
            else:
                self._download(port)
            transfers += 1
        return transfers

    def _curl(self, port: int, path: str, *options: str, stdin: IO[bytes] | None = None) -> None:
        """Run curl, which must print the size of the body."""
        output = _run(
            *(find_program("curl"), "--silent", "--show-error", "--fail", "--insecure"),
            *(self.options, *options, f"{_scheme(self.tls)}://{_HOST}:{port}{path}"),
            stdin=stdin,
        )
        if output != str(self.size):
            raise LoadFailed(f"{output} bytes arrived of {self.size}")

    def _download(self, port: int) -> None:
        options = ("--output", "/dev/null", "--write-out", "%{size_download}")
        self._curl(port, f"/download?size={self.size}", *options)

    def _upload(self, port: int) -> None:
        with tempfile.NamedTemporaryFile(prefix="plait-bench-") as zeros:
            zeros.truncate(self.size)  # A hole, which takes no space.
            if self.form:
                self._curl(port, self.form, "--form", f"file=@{zeros.name}")
            elif self.chunked:
                # From a pipe, of which curl does not know the length.
                with subprocess.Popen(["cat", zeros.name], stdout=subprocess.PIPE) as pipe:
                    self._curl(port, "/upload", "--upload-file", "-", stdin=pipe.stdout)
            else:
                self._curl(port, "/upload", "--upload-file", zeros.name)
