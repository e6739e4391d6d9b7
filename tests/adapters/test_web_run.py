"""``run_app`` and the command line, in processes of their own."""

from __future__ import annotations

import asyncio
import http.client
import os
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import plait
from plait import WSMsgType, web
from plait.serving.run import run_app

ROOT = Path(__file__).parents[2]
APP = """
import sys
from plait import web

async def hello(request):
    return web.Response(text=f"hello from {request.protocol.driver.engine_name}")

def make(argv):
    app = web.Application()
    app.router.add_get("/", hello)
    async def bye(app):
        print("cleaned up", argv, flush=True)
    app.on_cleanup.append(bye)
    return app

async def make_later():
    return make([])
"""

BUSY = """
import asyncio
from plait import web

STOP = web.AppKey("stop", asyncio.Event)
SOCKETS = web.AppKey("sockets", set)

async def wait(request):
    print("busy", flush=True)
    await request.app[STOP].wait()
    return web.Response(text="done")

async def stream(request):
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"first ")
    print("busy", flush=True)
    await request.app[STOP].wait()
    await response.write(b"last")
    return response

async def hang(request):
    print("busy", flush=True)
    await asyncio.Event().wait()

async def chat(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    request.app[SOCKETS].add(socket)
    print("busy", flush=True)
    async for message in socket:
        pass
    return socket

async def say_goodbye(app):
    print("stopping", flush=True)
    app[STOP].set()
    for socket in app[SOCKETS]:
        await socket.close(code=1001, message="bye")

async def report(app):
    print("cleaned up []", flush=True)

async def make():
    app = web.Application()
    app[STOP] = asyncio.Event()
    app[SOCKETS] = set()
    for handler in (wait, stream, hang, chat):
        app.router.add_get("/" + handler.__name__, handler)
    app.on_shutdown.append(say_goodbye)
    app.on_cleanup.append(report)
    return app
"""


@pytest.fixture
def module(tmp_path: Path) -> Path:
    (tmp_path / "served.py").write_text(APP)
    (tmp_path / "busy.py").write_text(BUSY)
    return tmp_path


@contextmanager
def running(
    folder: Path,
    *command: str,
    end: signal.Signals = signal.SIGTERM,
    says: str = "[]",
    status: int = 0,
) -> Iterator[subprocess.Popen[str]]:
    """Run a command until the block ends; the signal ``end`` must end it in good order."""
    path = os.pathsep.join([str(ROOT / "engine"), str(ROOT / "adapters")])
    process = subprocess.Popen(
        [sys.executable, "-W", "error", *command],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
        process.send_signal(end)
        output, errors = process.communicate(timeout=20)
        said = "Stopped\n" if "plait.web" in command else ""
        assert (process.returncode, errors) == (status, said)
        assert output == f"cleaned up {says}\n"
    finally:
        process.kill()
        process.communicate()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def fetch(port: int) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("GET", "/")
        return connection.getresponse().read()
    finally:
        connection.close()


def read_banner(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline() + process.stdout.readline()


@pytest.mark.parametrize("engine", ["native", "reference"])
def test_the_command_line(module: Path, engine: str) -> None:
    port = free_port()
    options = ("-H", "127.0.0.1", "-P", str(port), "--engine", engine)
    command = ("-m", "plait.web", *options, "served:make", "--own")
    with running(module, *command, end=signal.SIGINT, says="['--own']") as process:
        assert read_banner(process) == (
            f"======== Running on http://127.0.0.1:{port} ========\n(Press CTRL+C to quit)\n"
        )
        assert fetch(port) == f"hello from {engine}".encode()


def test_a_unix_socket(module: Path) -> None:
    with running(module, "-m", "plait.web", "-U", "sock", "served:make") as process:
        assert "http://unix:sock:" in read_banner(process)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(20)
            sock.connect(str(module / "sock"))
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            answer = b"".join(iter(lambda: sock.recv(4096), b""))
        assert answer.endswith(b"hello from native")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "required"),
        (["json"], "'entry-func' not in 'module:function' syntax"),
        ([":x"], "'entry-func' not in 'module:function' syntax"),
        (["x:"], "'entry-func' not in 'module:function' syntax"),
        ([".relative:x"], "relative module names"),
        (["no_such_module_here:x"], "unable to import no_such_module_here"),
        (["json:no_such_name"], "has no attribute 'no_such_name'"),
        (["--engine", "other", "json:dumps"], "invalid choice"),
    ],
)
def test_command_lines_that_are_wrong(
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "path", sys.path[:])
    with pytest.raises(SystemExit) as caught:
        web.main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], {"host": "localhost", "port": 8080, "path": None}),
        (["-P", "0"], {"host": "localhost", "port": 0, "path": None}),
        (["-U", "sock"], {"host": None, "port": None, "path": "sock"}),
        (["-U", "sock", "-H", "::1"], {"host": "::1", "port": 8080, "path": "sock"}),
        (["-U", "sock", "-P", "80"], {"host": "localhost", "port": 80, "path": "sock"}),
        (
            ["--engine", "reference"],
            {"host": "localhost", "port": 8080, "path": None, "engine": "reference"},
        ),
    ],
)
def test_what_the_command_line_asks_for(
    arguments: list[str], expected: dict[str, Any], module: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[dict[str, Any]] = []
    monkeypatch.chdir(module)
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.setattr(web, "run_app", lambda app, **options: calls.append(options))
    with pytest.raises(SystemExit) as caught:
        web.main([*arguments, "served:make"])
    assert caught.value.code == 0
    assert calls == [expected]


def test_paths_need_unix_sockets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "path", sys.path[:])
    monkeypatch.delattr(socket, "AF_UNIX")
    with pytest.raises(SystemExit):
        web.main(["-U", "sock", "json:dumps"])
    assert "paths not supported" in capsys.readouterr().err


def test_an_application_that_is_awaited(module: Path) -> None:
    port = free_port()
    code = f"import served; served.web.run_app(served.make_later(), host='127.0.0.1', port={port})"
    with running(module, "-c", code) as process:
        read_banner(process)
        assert fetch(port) == b"hello from native"


def run(app: Any, **options: Any) -> list[str]:
    """Run ``app`` until it is up; return what was printed."""
    printed: list[str] = []

    def note(text: str) -> None:
        printed.append(text)
        asyncio.get_running_loop().call_soon(stop)

    def stop() -> None:
        raise web.GracefulExit

    run_app(app, print=note, **options)
    return printed


def test_several_places(tmp_path: Path) -> None:
    sock = socket.create_server(("127.0.0.1", 0))
    sock_port = sock.getsockname()[1]
    port = free_port()
    paths = [tmp_path / "a", tmp_path / "b"]
    (text,) = run(web.Application(), host=["127.0.0.1"], port=port, path=paths, sock=[sock])
    for place in (port, sock_port):
        assert f"http://127.0.0.1:{place}" in text
    for path in paths:
        assert f"unix:{path}:" in text


def test_the_end_cancels_tasks_and_closes_the_loop() -> None:
    loop = asyncio.new_event_loop()
    ended = []

    async def forever(app: web.Application) -> None:
        async def run() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                ended.append("task")

        app[web.AppKey("task", asyncio.Task)] = asyncio.ensure_future(run())

    async def cleanup(app: web.Application) -> None:
        ended.append("cleanup")

    app = web.Application()
    app.on_startup.append(forever)
    app.on_cleanup.append(cleanup)
    run(app, host="127.0.0.1", port=free_port(), loop=loop)
    assert ended == ["cleanup", "task"]
    assert loop.is_closed()


def test_a_port_that_is_taken() -> None:
    cleaned = []

    async def cleanup(app: web.Application) -> None:
        cleaned.append(1)

    app = web.Application()
    app.on_cleanup.append(cleanup)
    with socket.create_server(("127.0.0.1", 0)) as sock, pytest.raises(OSError, match="in use"):
        run_app(app, host="127.0.0.1", port=sock.getsockname()[1], print=None)
    assert cleaned == [1]


def test_a_startup_that_fails_shows_where() -> None:
    async def fail(app: web.Application) -> None:
        raise KeyError("of the startup")

    app = web.Application()
    app.on_startup.append(fail)
    with pytest.raises(KeyError, match="of the startup") as caught:
        run_app(app, port=0, print=None)
    assert caught.traceback[-1].name == "fail"


@pytest.mark.parametrize("app", [None, "served:make", web.Application, 5])
def test_an_app_that_is_none(app: Any) -> None:
    with pytest.raises(TypeError, match=r"must be a web\.Application or an awaitable"):
        run_app(app, print=None)


def test_an_awaitable_of_something_else() -> None:
    async def make() -> Any:
        return None

    with pytest.raises(TypeError, match=r"web\.Application, not None"):
        run_app(make(), print=None)


def test_a_context_that_cannot_serve() -> None:
    app = web.Application()
    context = ssl.create_default_context()
    with pytest.raises(ValueError, match=r"create_default_context\(ssl.Purpose.CLIENT_AUTH\)"):
        run_app(app, ssl_context=context, print=None)
    with pytest.raises(TypeError, match=r"must be an ssl.SSLContext, not True"):
        run_app(app, ssl_context=True, print=None)  # type: ignore[arg-type]  # that is the point


@pytest.mark.anyio
async def test_a_site_refuses_a_context_that_cannot_serve() -> None:
    runner = web.AppRunner(web.Application())
    await runner.setup()
    with pytest.raises(ValueError, match="for clients"):
        web.TCPSite(runner, ssl_context=ssl.create_default_context())
    await runner.cleanup()


# -- signals while clients are busy -------------------------------------------------------


@contextmanager
def running_busy(
    folder: Path, timeout: float, status: int = 0
) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Serve ``busy`` with a shutdown timeout; the process must end in good order."""
    port = free_port()
    options = f"host='127.0.0.1', port={port}, shutdown_timeout={timeout}"
    code = f"import busy; busy.web.run_app(busy.make(), {options})"
    with running(folder, "-c", code, status=status) as process:
        read_banner(process)
        yield process, port


async def signal_busy(process: subprocess.Popen[str], number: signal.Signals, busy: int) -> None:
    """End ``process`` by a signal, as soon as ``busy`` handlers are at work."""
    assert process.stdout is not None
    for _ in range(busy):
        assert await asyncio.to_thread(process.stdout.readline) == "busy\n"
    process.send_signal(number)
    assert await asyncio.to_thread(process.stdout.readline) == "stopping\n"


def open_session(http2: bool) -> plait.ClientSession:
    return plait.ClientSession(connector=plait.TCPConnector(http2=http2))


@pytest.mark.anyio
@pytest.mark.parametrize("http2", [False, True])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_lets_requests_end(
    module: Path, http2: bool, number: signal.Signals
) -> None:
    async def fetch_text(path: str) -> str:
        async with session.get(url + path) as response:
            return await response.text()

    with running_busy(module, timeout=20) as (process, port):
        url = f"http://127.0.0.1:{port}"
        idle, idle_writer = await asyncio.open_connection("127.0.0.1", port)
        async with open_session(http2) as session, session.ws_connect(url + "/chat") as websocket:
            paths = ["/wait"] * 5 + ["/stream"] * 5
            answers = asyncio.gather(*(fetch_text(path) for path in paths))
            await signal_busy(process, number, busy=11)
            assert await answers == ["done"] * 5 + ["first last"] * 5
            assert await websocket.receive() == (WSMsgType.CLOSE, 1001, "bye")
        assert await idle.read() == b""
        idle_writer.close()
        await idle_writer.wait_closed()
        await asyncio.to_thread(process.wait, 20)


@pytest.mark.anyio
@pytest.mark.parametrize("http2", [False, True])
async def test_a_signal_ends_what_takes_too_long(module: Path, http2: bool) -> None:
    async def fetch_text(path: str) -> str:
        async with session.get(url + path) as response:
            return await response.text()

    with running_busy(module, timeout=0.05) as (process, port):
        url = f"http://127.0.0.1:{port}"
        async with open_session(http2) as session:
            answers = asyncio.gather(
                *(fetch_text("/hang") for _ in range(5)), return_exceptions=True
            )
            await signal_busy(process, signal.SIGTERM, busy=5)
            assert [type(answer) for answer in await answers] == [plait.ServerDisconnectedError] * 5
        await asyncio.to_thread(process.wait, 20)


@pytest.mark.anyio
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_second_signal_waits_for_nobody(module: Path, number: signal.Signals) -> None:
    with running_busy(module, timeout=60, status=1) as (process, port):
        async with open_session(http2=False) as session:
            answer = asyncio.ensure_future(session.get(f"http://127.0.0.1:{port}/hang"))
            await signal_busy(process, number, busy=1)
            process.send_signal(number)
            with pytest.raises(plait.ServerDisconnectedError):
                await answer
        await asyncio.to_thread(process.wait, 20)
