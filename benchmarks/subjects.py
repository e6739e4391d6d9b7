"""Processes under test and how each is measured.

A subject is started once, warmed up, and then measured once a round; ``measure`` returns
the scenario's figure (microseconds of CPU per operation, or bytes per connection).
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from .loads.commands import Load
from .nginx import Nginx
from .processes import Child, free_port


@dataclass
class Workplace:
    """What the subjects of a run share."""

    folder: Path
    """For logs and generated files."""
    stack: ExitStack
    """Ends the children when the scenario is over."""
    nginx: Callable[[], Nginx]
    """Returns the run's nginx, which is started when it is first asked for."""
    ca_file: Path
    """The certificate authority of nginx."""

    def start(self, command: Sequence[str], *, interactive: bool = False) -> Child:
        """Start a child that ends with the scenario."""
        log = self.folder / f"{len(list(self.folder.glob('*.log')))}.log"
        return self.stack.enter_context(Child(command, log, interactive=interactive))


class Subject(Protocol):
    """A process under test, running and warm."""

    @property
    def pid(self) -> int | None:
        """To be profiled; None where there is no process between the measurements."""

    def measure(self, seconds: float) -> float:
        """Work for about ``seconds`` and return the figure."""


Start = Callable[[Workplace, float], Subject]
"""Starts a subject and warms it up for so many seconds."""


class Server:
    """A server under a load: microseconds of CPU per operation."""

    def __init__(self, child: Child, port: int, load: Load) -> None:
        self.child = child
        self.pid: int | None = child.pid
        self.port = port
        self.load = load

    def measure(self, seconds: float) -> float:
        before = self.child.cpu_seconds()
        operations = self.load(self.port, seconds)
        return (self.child.cpu_seconds() - before) / operations * 1e6


class Worker:
    """A client or an engine, which measures itself: microseconds of CPU per operation."""

    _CALIBRATION = 500

    def __init__(self, child: Child) -> None:
        self.child = child
        self.pid: int | None = child.pid
        self._seconds_per_operation = self._work(self._CALIBRATION)

    def measure(self, seconds: float) -> float:
        count = max(self._CALIBRATION, int(seconds / self._seconds_per_operation))
        self._seconds_per_operation = self._work(count)
        return self._seconds_per_operation * 1e6

    def _work(self, count: int) -> float:
        return float(self.child.request(str(count))) / count


class IdleConnections:
    """A server with idle connections that each did one request: bytes for each.

    The server is started anew for each measurement, since memory that was once used
    would be used again.
    """

    connections = 500
    _REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"

    def __init__(self, workplace: Workplace, command: Callable[[int], Sequence[str]]) -> None:
        self.workplace = workplace
        self.command = command
        self.pid: int | None = None

    def measure(self, seconds: float) -> float:
        port = free_port()
        with ExitStack() as stack:
            child = stack.enter_context(
                Child(self.command(port), self.workplace.folder / f"idle-{port}.log")
            )
            child.wait_for_port(port)
            self._open(stack, port, 50)  # What is allocated once and for all.
            before = child.memory_bytes()
            self._open(stack, port, self.connections)
            return (child.memory_bytes() - before) / self.connections

    def _open(self, stack: ExitStack, port: int, count: int) -> None:
        for _ in range(count):
            sock = stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10))
            sock.sendall(self._REQUEST)
            received = b""
            while not received.endswith(b"Hello, World!"):
                received += sock.recv(4096) or _closed()


def _closed() -> bytes:
    raise RuntimeError("the server closed a connection that should have stayed open")


# -- how to start them ------------------------------------------------------------


def web_server(library: str, app: str = "pages") -> Callable[[int], Sequence[str]]:
    """Return the command line, for a port, of an application (``pages`` or ``json``)."""
    module = "benchmarks.targets.web_server"
    return lambda port: [sys.executable, "-m", module, library, str(port), app]


def granian(port: int) -> Sequence[str]:
    """The command line of granian: HTTP/2 or HTTP/1.1, one worker, plain asyncio."""
    return [
        *(sys.executable, "-m", "granian", "--interface", "asgi", "--loop", "asyncio"),
        *("--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--http", "auto"),
        *("--no-log", "benchmarks.targets.asgi:app"),
    ]


def hypercorn(port: int) -> Sequence[str]:
    """The command line of hypercorn with plain asyncio."""
    return [
        *(sys.executable, "-m", "hypercorn", "--worker-class", "asyncio", "--workers", "0"),
        *("--bind", f"127.0.0.1:{port}", "benchmarks.targets.asgi:app"),
    ]


def server(command: Callable[[int], Sequence[str]], load: Load) -> Start:
    """Return what starts a server and warms it up with its own load."""

    def start(workplace: Workplace, warm_up: float) -> Subject:
        port = free_port()
        child = workplace.start(command(port))
        child.wait_for_port(port)
        subject = Server(child, port, load)
        subject.measure(warm_up)
        return subject

    return start


def client(library: str, *, concurrency: int, tls: bool) -> Start:
    """Return what starts a client of nginx; over TLS it speaks what ALPN chooses."""

    def start(workplace: Workplace, warm_up: float) -> Subject:
        nginx = workplace.nginx()
        url = f"https://localhost:{nginx.tls}/" if tls else f"http://127.0.0.1:{nginx.plain}/"
        arguments = [library, url, str(concurrency), *([str(workplace.ca_file)] if tls else [])]
        return _worker(workplace, "benchmarks.targets.client", arguments, warm_up)

    return start


def engine(protocol: str, name: str) -> Start:
    """Return what starts an engine alone, server role, without any input or output."""

    def start(workplace: Workplace, warm_up: float) -> Subject:
        return _worker(workplace, "benchmarks.targets.engine", [protocol, name], warm_up)

    return start


def idle_connections(command: Callable[[int], Sequence[str]]) -> Start:
    """Return what measures the memory of idle connections of a server."""

    def start(workplace: Workplace, warm_up: float) -> Subject:
        return IdleConnections(workplace, command)

    return start


def _worker(workplace: Workplace, module: str, arguments: Sequence[str], warm_up: float) -> Subject:
    command = [sys.executable, "-m", module, *arguments]
    subject = Worker(workplace.start(command, interactive=True))
    subject.measure(warm_up)
    return subject
