"""Real peers: programs that people use, against plait's server and client.

A peer that is not installed fails its tests in CI (where CI is set) and skips them
elsewhere; ``tests/interop/install-peers.sh`` installs them, and ``make test`` calls it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

import plait
from benchmarks.nginx import Nginx
from benchmarks.processes import MissingProgram, find_program
from tests.conftest import Authority
from tests.interop.app import Seen, make_app
from tests.serving import ServerThread


def require(program: str) -> str:
    """Return the path of ``program``; without it the test fails in CI, else is skipped."""
    try:
        return find_program(program)
    except MissingProgram as missing:
        if os.environ.get("CI"):
            pytest.fail(str(missing))
        pytest.skip(str(missing))


def run(*command: str, stdin: bytes = b"", check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, 60 seconds at most; its output is Latin-1 text."""
    result = subprocess.run(command, input=stdin, capture_output=True, timeout=60, check=False)
    output, errors = result.stdout.decode("latin-1"), result.stderr.decode("latin-1")
    if check and result.returncode:
        pytest.fail(f"{' '.join(command)}: {result.returncode}\n{output}\n{errors}")
    return subprocess.CompletedProcess(command, result.returncode, output, errors)


@dataclass(frozen=True)
class Server:
    """plait's server, running, and what it saw."""

    engine: str
    port: int
    tls_port: int
    record: list[Seen]

    def url(self, path: str, *, tls: bool) -> str:
        scheme, port = ("https", self.tls_port) if tls else ("http", self.port)
        return f"{scheme}://127.0.0.1:{port}{path}"

    @property
    def versions(self) -> set[str]:
        """The HTTP versions of the requests of this test."""
        return {seen.version for seen in self.record}

    @property
    def connections(self) -> int:
        """How many connections the requests of this test came over."""
        return len({seen.connection for seen in self.record})


@pytest.fixture(scope="session", params=["native", "reference"])
def running_server(request: pytest.FixtureRequest, authority: Authority) -> Iterator[Server]:
    """plait's server on either engine, for the whole run."""
    record: list[Seen] = []
    app = make_app(plait, record)
    context = authority.server_context("h2", "http/1.1")
    with ServerThread(plait, app, context, engine=request.param) as thread:
        yield Server(request.param, thread.port, thread.tls_port, record)


@pytest.fixture
def server(running_server: Server) -> Server:
    """plait's server with an empty record."""
    running_server.record.clear()
    return running_server


@pytest.fixture(scope="session")
def nginx(authority: Authority, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nginx]:
    """nginx as an origin."""
    require("nginx")
    folder = tmp_path_factory.mktemp("nginx")
    with Nginx(folder, authority.certificate_file, authority.key_file) as running:
        yield running


Curl = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def curl(authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Curl:
    """Runs curl with the given arguments, trusting the run's certificate authority."""
    program = require("curl")
    monkeypatch.setenv("CURL_CA_BUNDLE", str(authority.ca_file))

    def run_curl(
        *arguments: str, stdin: bytes = b"", check: bool = True
    ) -> subprocess.CompletedProcess[str]:
        return run(
            *(program, "--silent", "--show-error", "--max-time", "50", *arguments),
            stdin=stdin,
            check=check,
        )

    return run_curl
