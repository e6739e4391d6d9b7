"""The programs of ``examples/`` do what they say."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

import plait
from benchmarks.processes import Child, free_port
from plait import web
from tests.conftest import Authority
from tests.interop.conftest import Curl
from tests.serving import ServerThread

_ROOT = Path(__file__).parents[2]

Serve = Callable[..., str]


@pytest.fixture(autouse=True)
def _plait_without_being_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    path = os.pathsep.join(str(_ROOT / folder) for folder in ("engine", "adapters"))
    monkeypatch.setenv("PYTHONPATH", path)


def command(name: str, *arguments: str) -> list[str]:
    return [sys.executable, str(_ROOT / "examples" / f"{name}.py"), *arguments]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts an example that serves on the port that ``{port}`` stands for."""
    with ExitStack() as stack:

        def start(name: str, *arguments: str) -> str:
            port = free_port()
            given = [argument.format(port=port) for argument in arguments]
            child = stack.enter_context(Child(command(name, *given), tmp_path / f"{name}.log"))
            child.wait_for_port(port)
            return f"http://127.0.0.1:{port}"

        yield start


def _run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(name, *arguments), capture_output=True, text=True, timeout=60, check=False
    )


def run_example(name: str, *arguments: str) -> str:
    result = _run(name, *arguments)
    assert (result.returncode, result.stderr) == (0, "")
    return result.stdout


@pytest.mark.parametrize("option", ["--http1.1", "--http2-prior-knowledge"])
def test_server(serve: Serve, curl: Curl, option: str) -> None:
    url = serve("server", "{port}")
    assert curl(option, f"{url}/greet/you").stdout == "Hello, you!\n"
    posted = curl(
        *(option, "--header", "Content-Type: application/json", "--data", "[3, 1, 2]"),
        f"{url}/sorted",
    )
    assert posted.stdout == "[1, 2, 3]"


@pytest.mark.parametrize(
    ("option", "version"), [("--http1.1", "1.1"), ("--http2-prior-knowledge", "2")]
)
def test_embed_engine(serve: Serve, curl: Curl, option: str, version: str) -> None:
    url = serve("embed_engine", "{port}")
    for path in ("/path", "/again"):
        posted = curl(option, "--data", "anything", url + path)
        assert posted.stdout == f"POST {path} over HTTP/{version}\n"


@pytest.mark.parametrize("option", ["--http1.1", "--http2-prior-knowledge"])
def test_trio_upload(serve: Serve, curl: Curl, option: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(bytes(5_000_000))
    url = serve("trio_upload", "{port}")
    sent = curl(option, "--form", "text=hello", "--form", f"file=@{file}", url)
    assert sent.stdout == "text: 5 bytes\nfile: 5,000,000 bytes\n"
    assert curl(option, "--data", "a=1", url).stdout == "send a multipart form\n"
    kind = "Content-Type: multipart/form-data; boundary=b"
    assert "no boundary" in curl(option, "--header", kind, "--data", "x", url).stdout


@pytest.mark.parametrize("name", ["client", "trio_fetch"])
def test_clients(serve: Serve, name: str) -> None:
    url = serve("server", "{port}")
    output = run_example(name, f"{url}/greet/a", f"{url}/greet/you")
    assert sorted(output.splitlines()) == [
        f"{url}/greet/a: 200 over HTTP/1.1, 10 bytes",
        f"{url}/greet/you: 200 over HTTP/1.1, 12 bytes",
    ]


CONTENT = bytes(1_000_000)


@pytest.fixture
def origin(authority: Authority) -> Iterator[str]:
    """Has a file, and events that break off before the last one."""

    async def send_file(request: web.Request) -> web.Response:
        headers = {"ETag": '"v1"'}
        start = 0
        if request.headers.get("If-Range") == '"v1"':
            start = int(request.headers["Range"].removeprefix("bytes=").removesuffix("-"))
            headers["Content-Range"] = f"bytes {start}-{len(CONTENT) - 1}/{len(CONTENT)}"
        return web.Response(status=206 if start else 200, body=CONTENT[start:], headers=headers)

    async def send_events(request: web.Request) -> web.StreamResponse:
        last = request.headers.get("Last-Event-ID")
        if last == "2":
            return web.Response(status=204)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        response.content_length = 1000
        await response.prepare(request)
        if last == "1":
            await response.write(b"id: 2\nevent: end\ndata: bye\n\n")
        else:
            await response.write(b"retry: 10\nid: 1\ndata: hello\n\nid: 2\ndata: lo")
        await asyncio.sleep(0.1)  # It leaves, then the connection breaks.
        assert request.transport is not None
        request.transport.abort()
        return response

    app = web.Application()
    app.add_routes([web.get("/file", send_file), web.get("/events", send_events)])
    with ServerThread(plait, app, authority.server_context()) as server:
        yield f"http://127.0.0.1:{server.port}"


def test_download(origin: str, tmp_path: Path) -> None:
    file = tmp_path / "file"
    result = _run("download", f"{origin}/file", str(file))
    assert (result.returncode, result.stdout) == (0, f"\n{file}: 1,000,000 bytes\n")
    assert result.stderr.endswith("\n1,000,000 of 1,000,000 bytes, 100 %")
    assert file.read_bytes() == CONTENT
    (tmp_path / "file.part").write_bytes(bytes(400_000))
    digest = hashlib.sha256(f"{origin}/file".encode()).hexdigest()
    note = {"url_sha256": digest, "etag": '"v1"'}
    (tmp_path / "file.part.json").write_text(json.dumps(note))
    result = _run("download", f"{origin}/file", str(file))
    assert result.stdout == f"\n{file}: 1,000,000 bytes, 400,000 of them from before\n"
    assert file.read_bytes() == CONTENT
    result = _run("download", f"{origin}/nothing", str(file))
    assert result.returncode == 1
    assert "404" in result.stderr


def test_trio_follow(origin: str) -> None:
    result = _run("trio_follow", f"{origin}/events")
    assert (result.returncode, result.stdout) == (0, "message: hello\nend: bye\n")
    *failures, end = result.stderr.splitlines()
    assert len(failures) == 2
    assert end == "the server wants no more requests"
    result = _run("trio_follow", f"{origin}/nothing")
    assert result.stderr == "the status is not 200\n"
    result = _run("trio_follow", f"http://127.0.0.1:{free_port()}/")
    assert result.stderr.startswith("no connection to 127.0.0.1:")


def test_chat(serve: Serve) -> None:
    url = serve("chat", "serve", "{port}")
    port = url.rpartition(":")[2]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command("chat", "join", port, "Ada"), **pipes) as guest:
        assert guest.stdout.readline() == "* Ada comes in\n"
        guest.stdin.write("Good morning\n")
        guest.stdin.flush()
        assert guest.stdout.readline() == "Ada: Good morning\n"
        guest.stdin.close()
        assert guest.wait(30) == 0


def test_chat_ends_when_the_room_closes(tmp_path: Path) -> None:
    """Nobody has to press Return."""
    port = free_port()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with ExitStack() as stack:
        room = stack.enter_context(Child(command("chat", "serve", str(port)), tmp_path / "log"))
        room.wait_for_port(port)
        guest = stack.enter_context(
            subprocess.Popen(command("chat", "join", str(port), "Ada"), text=True, **pipes)
        )
        assert guest.stdout.readline() == "* Ada comes in\n"
        room.process.send_signal(signal.SIGINT)
        assert guest.stdout.read() == "* the room is closed\n"
        assert guest.wait(30) == 0
        assert guest.stderr.read() == ""


@pytest.mark.parametrize("name", ["client", "download", "trio_fetch", "trio_follow"])
def test_clients_without_a_url_say_how_they_are_used(name: str) -> None:
    result = _run(name)
    assert (result.returncode, result.stdout) == (1, "")
    assert f"python examples/{name}.py URL" in result.stderr


def test_the_demo_says_that_its_port_is_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = subprocess.run(
            [sys.executable, "-m", "examples.demo", "--once", "--port", str(port)],
            cwd=_ROOT,
            capture_output=True,
            text=True,
            timeout=110,
        )
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == f"the server did not start: port {port} of 127.0.0.1 is in use\n"


def test_demo() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "examples.demo", "--once"],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "WebSocket, HTTP/2, TLS" in result.stdout
    # One connection for a thousand requests: what HTTP/2 is for.
    row = next(
        line for line in result.stdout.splitlines() if line.lstrip().startswith("HTTP/2, TLS")
    )
    *_, requests, _, _, connections, data = row.split()
    assert (requests, connections, data) == ("1,000", "1", "13,000")
