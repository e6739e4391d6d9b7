"""A first guide to aiohttp, with plait's name in the place of aiohttp's.

``samples/`` has the guide's samples as programs; what they talk to and listen on comes on
the command line.  Each runs over HTTP/1.1 and over HTTP/2, as a user would run it.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmarks.processes import free_port, wait_for_port
from tests.conftest import Authority

SAMPLES = Path(__file__).parent / "samples"
_ROOT = Path(__file__).parents[2]

RunSample = Callable[..., list[str]]
ServeSample = Callable[[str], str]
RunSuite = Callable[..., dict[str, int]]


def _command(name: str, *arguments: str) -> list[str]:
    return [sys.executable, "-W", "error", str(SAMPLES / f"{name}.py"), *arguments]


@pytest.fixture
def environment(authority: Authority) -> dict[str, str]:
    """plait without being installed, and the run's authority where OpenSSL looks for it."""
    path = os.pathsep.join(str(_ROOT / folder) for folder in ("engine", "adapters"))
    return {**os.environ, "PYTHONPATH": path, "SSL_CERT_FILE": str(authority.ca_file)}


@pytest.fixture
def run_sample(environment: dict[str, str]) -> RunSample:
    """Runs a sample to its end and returns the lines that it printed."""

    def run(name: str, *arguments: str) -> list[str]:
        result = subprocess.run(
            _command(name, *arguments),
            env=environment,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (result.returncode, result.stderr) == (0, "")
        return result.stdout.splitlines()

    return run


@pytest.fixture
def run_suite(environment: dict[str, str], tmp_path: Path) -> RunSuite:
    """Runs a user's test file with pytest and returns how many tests came to which end."""

    options = ("-p", "no:cacheprovider", "--rootdir", str(tmp_path))

    def run(file: Path, *arguments: str) -> dict[str, int]:
        result = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-W", "error", *options, *arguments, str(file)],
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        counts = re.findall(r"(\d+) (\w+)", result.stdout.splitlines()[-1].partition(" in ")[0])
        assert counts, result.stdout + result.stderr
        return {outcome: int(number) for number, outcome in counts}

    return run


@pytest.fixture
def serve_sample(environment: dict[str, str]) -> Iterator[ServeSample]:
    """Starts a sample that serves and returns its URL.

    When the test is over the sample is stopped with Ctrl-C, which must end it well.
    """
    processes: list[subprocess.Popen[str]] = []

    def serve(name: str) -> str:
        port = free_port()
        process = subprocess.Popen(
            _command(name, str(port)),
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        wait_for_port(port, process)
        return f"http://127.0.0.1:{port}"

    yield serve
    for process in processes:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (0, "")
