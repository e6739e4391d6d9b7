"""A shutdown while wrk and h2load have a few hundred requests on their way.

Every request that a handler has seen is answered, and each answer arrives: what the clients
count is what the server counts.  What the server has not seen it leaves to the client to send
again: over HTTP/2 a GOAWAY says so (RFC 9113 section 6.8), over HTTP/1.1 the last response of a
connection says ``Connection: close`` (RFC 9112 section 9.6).
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.processes import Child, free_port
from tests.interop.conftest import require

_ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_shutdown_under_load(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wrk, h2load = require("wrk"), require("h2load")
    monkeypatch.chdir(_ROOT)
    monkeypatch.setenv("PYTHONPATH", "engine:adapters")
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    server = [sys.executable, "-m", "tests.interop.shutdown_server", str(port), "1000", engine]
    with Child(server, tmp_path / "server.log") as child:
        child.wait_for_port(port)
        with (
            _start(wrk, "-t1", "-c200", "-d60s", url) as http1_load,
            _start(h2load, "-c10", "-m20", "-n1000000", url) as http2_load,
        ):
            assert child.process.wait(30) == 0
            http1_load.send_signal(signal.SIGINT)  # It would connect again and again.
            http1, http2 = (load.communicate(timeout=60)[0] for load in (http1_load, http2_load))
        log = child.log.read_text()
    counted = json.loads(log.splitlines()[-1])
    assert len(log.splitlines()) == 1, log
    assert counted["took"] < 5.0
    assert int(_find(r"(\d+) requests in", http1)) == counted["answered"]["1"]
    assert int(_find(r"(\d+) succeeded", http2)) == counted["answered"]["2"]


def _start(*command: str) -> subprocess.Popen[str]:
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def _find(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    assert found is not None, text
    return found[1]
