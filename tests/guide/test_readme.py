"""Every program in README.md runs as it stands there, but for addresses."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import plait
from benchmarks.processes import free_port, wait_for_port
from plait import web
from tests.conftest import Authority
from tests.guide.conftest import RunSuite
from tests.serving import ServerThread

README = (Path(__file__).parents[2] / "README.md").read_text()


def programs() -> dict[str, list[str]]:
    """Return the Python blocks of the README under each of its headings."""
    found: dict[str, list[str]] = {}
    heading = ""
    for match in re.finditer(
        r"^#+ ([^\n]+)$|^```python\n(.*?)^```$", README, re.DOTALL | re.MULTILINE
    ):
        if match[1]:
            heading = match[1]
        else:
            found.setdefault(heading, []).append(match[2])
    return found


PROGRAMS = programs()

Start = Callable[[str], subprocess.Popen[str]]


@pytest.fixture
def start(environment: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Starts a program; one that still runs when the test is over is stopped with Ctrl-C."""
    started: list[subprocess.Popen[str]] = []

    def run(source: str) -> subprocess.Popen[str]:
        file = tmp_path / f"program{len(started)}.py"
        file.write_text(source)
        process = subprocess.Popen(
            [sys.executable, "-W", "error", str(file)],
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield run
    for process in started:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (0, "")


def output(process: subprocess.Popen[str]) -> list[str]:
    """Return what a program prints until it ends, well."""
    text, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    return text.splitlines()


def serving(source: str, start: Start) -> int:
    """Start a program that serves; return its port."""
    port = free_port()
    assert source.count("port=8080") == 1
    wait_for_port(port, start(source.replace("port=8080", f'host="127.0.0.1", port={port}')))
    return port


@pytest.fixture
def example_com(authority: Authority) -> Iterator[str]:
    """What stands for ``https://example.com/``."""

    async def hello(request: web.Request) -> web.Response:
        return web.Response(text="An example.")

    async def events(request: web.Request) -> web.Response:
        if request.headers.get("Last-Event-ID") == "2":
            return web.Response(status=204)
        text = "retry: 0\nid: 1\nevent: greet\ndata: hello\n\nid: 2\ndata: bye\n\n"
        return web.Response(text=text, content_type="text/event-stream")

    asked = 0

    async def busy(request: web.Request) -> web.Response:
        nonlocal asked
        asked += 1
        if asked < 3:
            raise web.HTTPServiceUnavailable(headers={"Retry-After": "0"})
        return web.Response(text=f"answer {asked}")

    app = web.Application()
    app.add_routes([web.get("/", hello), web.get("/file", hello), web.get("/events", events)])
    app.add_routes([web.get("/busy", busy)])
    with ServerThread(plait, app, authority.server_context("h2", "http/1.1")) as server:
        yield f"https://localhost:{server.tls_port}/"


def test_every_program_is_run_here() -> None:
    assert {heading: len(found) for heading, found in PROGRAMS.items()} == {
        "A client": 1,
        "Timeouts and retries": 1,
        "Server-sent events": 1,
        "A download": 1,
        "A server": 1,
        "A WebSocket": 2,
        "An application without sockets": 1,
        "A test": 1,
        "The engine alone": 1,
        "trio": 1,
    }


def test_a_client(start: Start, example_com: str) -> None:
    (source,) = PROGRAMS["A client"]
    assert "https://example.com/" in source
    (line,) = output(start(source.replace("https://example.com/", example_com)))
    assert line == "200 HttpVersion(major=2, minor=0) An example."


def test_timeouts_and_retries(start: Start, example_com: str) -> None:
    (source,) = PROGRAMS["Timeouts and retries"]
    assert "https://example.com/" in source
    lines = output(start(source.replace("https://example.com/", example_com)))
    assert lines == ["200 answer 3"]


def test_server_sent_events(start: Start, example_com: str) -> None:
    (source,) = PROGRAMS["Server-sent events"]
    assert "https://example.com/" in source
    lines = output(start(source.replace("https://example.com/", example_com)))
    assert lines == ["greet 1 hello", "message 2 bye"]


def test_a_download(start: Start, example_com: str, tmp_path: Path) -> None:
    (source,) = PROGRAMS["A download"]
    assert source.count('"file"') == 1
    source = source.replace('"file"', repr(str(tmp_path / "file")))
    lines = output(start(source.replace("https://example.com/", example_com)))
    assert lines == ["0 11", "11 11", "complete: 11 bytes, 0 of them from before"]
    assert (tmp_path / "file").read_text() == "An example."


async def fetch(url: str) -> str:
    async with plait.request("GET", url) as response:
        return await response.text()


@pytest.mark.anyio
async def test_a_server(start: Start) -> None:
    (source,) = PROGRAMS["A server"]
    port = serving(source, start)
    assert await fetch(f"http://127.0.0.1:{port}/greet/you") == "Hello, you!"


def test_a_websocket(start: Start) -> None:
    server, client = PROGRAMS["A WebSocket"]
    port = serving(server, start)
    assert "//localhost:8080/" in client
    lines = output(start(client.replace("//localhost:8080/", f"//127.0.0.1:{port}/")))
    assert lines == ["over HTTP/1.1 or HTTP/2, whichever is there"]


def test_an_application_without_sockets(start: Start) -> None:
    (source,) = PROGRAMS["An application without sockets"]
    assert output(start(source)) == ["200 HttpVersion(major=2, minor=0) Hello!"]


def test_a_test(run_suite: RunSuite, tmp_path: Path) -> None:
    (source,) = PROGRAMS["A test"]
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["plait.pytest_plugin"]\n')
    file = tmp_path / "test_greet.py"
    file.write_text(source)
    assert run_suite(file) == {"passed": 1}


def test_the_engine_alone(start: Start) -> None:
    (source,) = PROGRAMS["The engine alone"]
    _, head, data, end = output(start(source))
    assert head.startswith("Response(stream_id=1, status=200")
    assert "b'You asked for /hello'" in data
    assert end.startswith("EndOfMessage(stream_id=1")


def test_trio(start: Start, example_com: str) -> None:
    (source,) = PROGRAMS["trio"]
    assert "https://example.com/" in source
    assert output(start(source.replace("https://example.com/", example_com))) == ["200 2"]
