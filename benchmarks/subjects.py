"""Processes under test and how each is measured.

A subject is started once, warmed up, and then measured once a round; ``measure`` returns
the scenario's figure (microseconds of CPU per operation, or bytes per connection).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from .loads import Counted, Load
from .nginx import Nginx
from .processes import Child, allow_open_files, free_port


@dataclass(frozen=True)
class Workplace:
    """What the subjects of a run share."""

    folder: Path
    """For logs and generated files."""
    stack: ExitStack
    """Ends the children when they are no longer needed."""
    nginx: Callable[[], Nginx]
    """Returns the run's nginx, which is started when it is first asked for."""
    ca_file: Path
    """The certificate authority of the servers."""
    certificate: Path
    key: Path

    def start(self, command: Sequence[str], *, interactive: bool = False) -> Child:
        """Start a child that ends with the stack."""
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

Command = Callable[[Workplace, int], Sequence[str]]
"""Returns the command line of a server that listens on a port of 127.0.0.1."""


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

    least = 500
    """Operations of a measurement, at least."""

    def __init__(self, child: Child) -> None:
        self.child = child
        self.pid: int | None = child.pid
        self._seconds_per_operation = self._work(self.least)

    def measure(self, seconds: float) -> float:
        count = max(self.least, int(seconds / self._seconds_per_operation))
        self._seconds_per_operation = self._work(count)
        return self._seconds_per_operation * 1e6

    def _work(self, count: int) -> float:
        return float(self.child.request(str(count))) / count


class IdleConnections:
    """A server with idle connections that each did one request: bytes for each.

    The server is started anew for each measurement, since memory that was once used
    would be used again.
    """

    connections = 2000
    first_connections = 100
    """They make the server allocate what it allocates once and for all."""

    def __init__(self, workplace: Workplace, command: Command) -> None:
        self.workplace = workplace
        self.command = command
        self.pid: int | None = None

    def measure(self, seconds: float) -> float:
        with ExitStack() as stack:
            workplace = replace(self.workplace, stack=stack)
            child, port = _start_server(workplace, self.command)
            clients = _Clients(workplace, port)
            clients.open(self.first_connections)
            before = child.memory_bytes()
            clients.open(self.connections)
            return (child.memory_bytes() - before) / self.connections


class _Clients:
    """The process that holds many connections open (``loads/open_connections.py``)."""

    def __init__(self, workplace: Workplace, port: int) -> None:
        command = [sys.executable, "-m", "benchmarks.loads.open_connections", str(port)]
        self._child = workplace.start(command, interactive=True)

    def open(self, count: int) -> None:
        """Open so many more, each with one request."""
        self._child.request(f"open {count}")

    def request(self, count: int) -> None:
        """Do so many requests, one after the other, each on a connection chosen at random."""
        self._child.request(f"request {count}")


class _Trickle(Counted):
    """The load of ``_Clients``."""

    def __init__(self, clients: _Clients) -> None:
        super().__init__()
        self.clients = clients

    def run(self, port: int, count: int) -> None:
        self.clients.request(count)


# -- how to start them ------------------------------------------------------------


def web_server(
    library: str, app: str = "pages", *, tls: bool = False, python_mask: bool = False
) -> Command:
    """Return the command line of ``web.Application`` of a library.

    Args:
        library: ``"plait"`` or ``"aiohttp"``.
        app: ``"pages"`` or ``"json"``.
        tls: serve https, and HTTP/2 where ALPN chooses it.
        python_mask: mask WebSocket messages in plain Python.
    """

    def command(workplace: Workplace, port: int) -> Sequence[str]:
        options = []
        if tls:
            options += ["--certificate", str(workplace.certificate), "--key", str(workplace.key)]
        if python_mask:
            options.append("--python-mask")
        module = "benchmarks.targets.web_server"
        return [sys.executable, "-m", module, library, app, str(port), *options]

    return command


def granian(app: str = "app", *, tls: bool = False) -> Command:
    """Return the command line of granian: HTTP/2 or HTTP/1.1, one worker, plain asyncio.

    ``app``: one of ``targets/asgi.py``.
    """

    def command(workplace: Workplace, port: int) -> Sequence[str]:
        options = []
        if tls:
            options += ["--ssl-certificate", str(workplace.certificate)]
            options += ["--ssl-keyfile", str(workplace.key)]
        return [
            *(sys.executable, "-m", "granian", "--interface", "asgi", "--loop", "asyncio"),
            *("--host", "127.0.0.1", "--port", str(port), "--workers", "1", "--http", "auto"),
            *("--no-log", *options, f"benchmarks.targets.asgi:{app}"),
        ]

    return command


def hypercorn(workplace: Workplace, port: int) -> Sequence[str]:
    """The command line of hypercorn with plain asyncio."""
    return [
        *(sys.executable, "-m", "hypercorn", "--worker-class", "asyncio", "--workers", "0"),
        *("--bind", f"127.0.0.1:{port}", "benchmarks.targets.asgi:app"),
    ]


def picows(workplace: Workplace, port: int) -> Sequence[str]:
    """The command line of picows' WebSocket server, with plain asyncio."""
    return [sys.executable, "-m", "benchmarks.targets.picows_echo", str(port)]


def server(command: Command, load: Load) -> Start:
    """Return what starts a server and warms it up with its own load."""

    def start(workplace: Workplace, warm_up: float) -> Subject:
        child, port = _start_server(workplace, command)
        subject = Server(child, port, load)
        subject.measure(warm_up)
        return subject

    return start


def trickle(command: Command, *, connections: int) -> Start:
    """Return what starts a server with open connections on which now and then one asks."""

    def start(workplace: Workplace, warm_up: float) -> Subject:
        allow_open_files(connections + 100)
        child, port = _start_server(workplace, command)
        clients = _Clients(workplace, port)
        clients.open(connections)
        subject = Server(child, port, _Trickle(clients))
        subject.measure(warm_up)
        return subject

    return start


def idle_connections(command: Command) -> Start:
    """Return what measures the memory of idle connections of a server."""

    def start(workplace: Workplace, warm_up: float) -> Subject:
        allow_open_files(IdleConnections.connections + 200)
        return IdleConnections(workplace, command)

    return start


def client(library: str, requests: str, *, concurrency: int, tls: bool) -> Start:
    """Return what starts a client of nginx; over TLS it speaks what ALPN chooses.

    ``library``, ``requests``: see ``targets/client.py``.
    """

    def start(workplace: Workplace, warm_up: float) -> Subject:
        nginx = workplace.nginx()
        base = f"https://localhost:{nginx.tls}" if tls else f"http://127.0.0.1:{nginx.plain}"
        arguments = [library, requests, base, str(concurrency)]
        if tls:
            arguments.append(str(workplace.ca_file))
        return _worker(workplace, "benchmarks.targets.client", arguments, warm_up)

    return start


def engine(protocol: str, name: str) -> Start:
    """Return what starts an engine alone, server role, without any input or output."""

    def start(workplace: Workplace, warm_up: float) -> Subject:
        return _worker(workplace, "benchmarks.targets.engine", [protocol, name], warm_up)

    return start


def _start_server(workplace: Workplace, command: Command) -> tuple[Child, int]:
    port = free_port()
    child = workplace.start(command(workplace, port))
    child.wait_for_port(port)
    return child, port


def _worker(workplace: Workplace, module: str, arguments: Sequence[str], warm_up: float) -> Subject:
    command = [sys.executable, "-m", module, *arguments]
    subject = Worker(workplace.start(command, interactive=True))
    subject.measure(warm_up)
    return subject
