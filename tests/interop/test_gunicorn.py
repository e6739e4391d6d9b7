"""plait's workers under gunicorn, for real: processes, sockets, signals; and nginx before them."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pytest

import plait
from benchmarks.nginx import Proxy
from benchmarks.processes import Child, free_port
from tests.conftest import Authority
from tests.interop.conftest import require
from tests.sessions import H1, H1_TLS, H2, H2C, Way

pytest.importorskip("gunicorn")
pytestmark = pytest.mark.anyio

_ROOT = Path(__file__).parents[2]
_WORKERS = {"asyncio": "GunicornWebWorker", "uvloop": "GunicornUVLoopWebWorker"}


class Gunicorn:
    """A running gunicorn with plait's workers, on a TCP port and a Unix socket.

    ``options``: more of gunicorn's, as on its command line.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        app: str = "app",
        worker: str = "plait.worker.GunicornWebWorker",
        launcher: tuple[str, ...] = (),
    ) -> None:
        self.port = free_port()
        self.socket = folder / "socket"
        log = folder / "gunicorn.log"
        command = [
            *(sys.executable, *launcher, "-m", "gunicorn", "--no-control-socket"),
            *("--worker-class", worker, "--bind", f"127.0.0.1:{self.port}"),
            *("--bind", f"unix:{self.socket}", "--pythonpath", str(_ROOT), *options),
            f"tests.interop.gunicorn_app:{app}",
        ]
        path = os.pathsep.join(str(_ROOT / name) for name in ("engine", "adapters", "."))
        environment = {"PYTHONPATH": path, "HOME": str(folder), "PATH": os.environ["PATH"]}
        assignments = [f"{name}={value}" for name, value in environment.items()]
        self.child = Child(["env", *assignments, *command], log)

    def url(self, way: Way, path: str = "/") -> str:
        return f"{'https' if way.tls else 'http'}://127.0.0.1:{self.port}{path}"

    def wait_for_workers(self, count: int = 1) -> list[int]:
        """Return the processes of the workers, once there are so many."""
        return [int(pid) for pid in self.wait_for_log(r"Booting worker with pid: (\d+)", count)]

    def wait_for_log(self, pattern: str, count: int = 1) -> list[str]:
        """Return what ``pattern`` found in the log, once it was found so often."""
        deadline = time.monotonic() + 30
        while len(found := re.findall(pattern, self.child.log.read_text())) < count:
            assert time.monotonic() < deadline, self.child.log_tail()
            time.sleep(0.02)  # Another process writes the log.
        return found

    def wait(self) -> int:
        """Return the exit status."""
        return self.child.process.wait(30)


@contextmanager
def running(folder: Path, *options: str, **kwargs: str) -> Iterator[Gunicorn]:
    gunicorn = Gunicorn(folder, *options, **kwargs)  # type: ignore[arg-type]
    with gunicorn.child:
        gunicorn.child.wait_for_port(gunicorn.port)
        yield gunicorn


@pytest.fixture(scope="module", params=[*_WORKERS])
def loop_name(request: pytest.FixtureRequest) -> str:
    if request.param == "uvloop":
        pytest.importorskip("uvloop")
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def plain(loop_name: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gunicorn]:
    """Two workers in cleartext."""
    folder = tmp_path_factory.mktemp("gunicorn")
    worker = f"plait.worker.{_WORKERS[loop_name]}"
    with running(folder, "--workers", "2", worker=worker) as gunicorn:
        yield gunicorn


@pytest.fixture(scope="module")
def secure(
    loop_name: str, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gunicorn]:
    """Two workers over TLS."""
    folder = tmp_path_factory.mktemp("gunicorn")
    files = (
        f"--certfile={authority.certificate_file}",
        f"--keyfile={authority.key_file}",
    )
    worker = f"plait.worker.{_WORKERS[loop_name]}"
    with running(folder, "--workers", "2", *files, worker=worker) as gunicorn:
        yield gunicorn


# -- requests ------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [H1, H2C, H1_TLS, H2], ids=str)
async def test_two_workers(
    request: pytest.FixtureRequest, authority: Authority, loop_name: str, way: Way
) -> None:
    gunicorn: Gunicorn = request.getfixturevalue("secure" if way.tls else "plain")
    workers = set(gunicorn.wait_for_workers(2))
    seen = set()
    deadline = time.monotonic() + 30
    while seen != workers:  # Whoever accepts first answers.
        assert time.monotonic() < deadline
        async with (
            way.open_session(authority) as session,
            session.get(gunicorn.url(way)) as response,
        ):
            answer = await response.json()
        assert answer["version"] == way.version
        assert answer["scheme"] == ("https" if way.tls else "http")
        assert answer["loop"] == loop_name
        seen.add(answer["pid"])
        assert seen <= workers


@pytest.mark.parametrize("http2", [False, True], ids=["h1", "h2"])
async def test_a_unix_socket(plain: Gunicorn, http2: bool) -> None:
    connector = plait.UnixConnector(str(plain.socket), http2=http2)
    async with (
        plait.ClientSession(connector=connector) as session,
        session.get("http://localhost/") as response,
    ):
        answer = await response.json()
    assert answer["version"] == ("2.0" if http2 else "1.1")
    assert answer["pid"] in plain.wait_for_workers(2)


async def test_a_websocket(secure: Gunicorn, authority: Authority) -> None:
    async with (
        H2.open_session(authority) as session,
        session.ws_connect(secure.url(H2, "/echo")) as websocket,
    ):
        await websocket.send_str("hello")
        pid, text = (await websocket.receive_str()).split()
    assert text == "hello"
    assert int(pid) in secure.wait_for_workers(2)


# -- what is served ------------------------------------------------------------------------


async def test_a_factory(tmp_path: Path, authority: Authority) -> None:
    with running(tmp_path, app="make_app") as gunicorn:
        async with (
            H2C.open_session(authority) as session,
            session.get(gunicorn.url(H2C)) as response,
        ):
            assert response.status == 200


async def test_a_factory_of_a_runner(tmp_path: Path, authority: Authority) -> None:
    """Its options count, not gunicorn's."""
    with running(tmp_path, app="make_runner") as gunicorn:
        async with (
            H1.open_session(authority) as session,
            session.get(gunicorn.url(H1)) as response,
        ):
            assert response.status == 200
        async with H2C.open_session(authority) as session:
            with pytest.raises(plait.ClientError):
                await session.get(gunicorn.url(H2C))


async def test_under_aiohttps_name(tmp_path: Path, authority: Authority) -> None:
    """The workers are forked, and have what the arbiter has."""
    options = {"worker": "aiohttp.worker.GunicornWebWorker", "app": "app"}
    with running(tmp_path, launcher=("-m", "plait.as_aiohttp"), **options) as gunicorn:  # type: ignore[arg-type]
        async with (
            H2C.open_session(authority) as session,
            session.get(gunicorn.url(H2C)) as response,
        ):
            assert (await response.json())["version"] == "2.0"


@pytest.mark.parametrize(
    ("app", "options", "words"),
    [
        ("fail", (), "no database"),
        ("wsgi_app", (), "wsgi app should be"),
        ("app", ("--access-logformat", "%(h)s %s"), "in gunicorn's style"),
        ("app", ("--certfile", "/dev/null"), "SSLError"),
    ],
    ids=["factory fails", "no application", "log format", "certificate"],
)
def test_what_cannot_start(tmp_path: Path, app: str, options: tuple[str, ...], words: str) -> None:
    """gunicorn gives up with its status 3 for that, and does not try again for ever."""
    gunicorn = Gunicorn(tmp_path, *options, app=app)
    with gunicorn.child:
        status = gunicorn.wait()
        assert words in gunicorn.child.log.read_text()
        assert status == 3


# -- the access log ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ((), r'127\.0\.0\.1 \[[^]]+\] "GET / HTTP/1\.1" 200 \d+ "-" "Python/'),
        (("--access-logformat", "asked %r, said %s"), r"asked GET / HTTP/1\.1, said 200\n"),
    ],
    ids=["default", "own"],
)
async def test_access_log(
    tmp_path: Path, authority: Authority, options: tuple[str, ...], line: str
) -> None:
    with running(tmp_path, "--access-logfile", "-", *options) as gunicorn:
        async with H1.open_session(authority) as session:
            async with session.get(gunicorn.url(H1)) as response:
                await response.read()
            gunicorn.wait_for_log(line)


# -- how a worker ends ---------------------------------------------------------------------


@pytest.mark.parametrize("way", [H1, H2C], ids=str)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda n: n.name)
async def test_a_request_is_answered_before_the_end(
    tmp_path: Path, authority: Authority, way: Way, number: signal.Signals
) -> None:
    with running(tmp_path) as gunicorn:
        async with (
            way.open_session(authority) as session,
            session.get(gunicorn.url(way, "/until-the-end")) as response,
        ):
            await response.content.readline()
            os.kill(gunicorn.child.pid, number)
            assert await response.content.readline() == b"complete\n"
        assert await asyncio.to_thread(gunicorn.wait) == 0
        assert "Traceback" not in gunicorn.child.log.read_text()


async def test_as_many_requests_as_it_may(tmp_path: Path, authority: Authority) -> None:
    with running(tmp_path, "--max-requests", "3") as gunicorn:
        [first] = gunicorn.wait_for_workers()
        async with H1.open_session(authority) as session:
            for _ in range(3):
                async with session.get(gunicorn.url(H1)) as response:
                    assert (await response.json())["pid"] == first
        workers = await asyncio.to_thread(gunicorn.wait_for_workers, 2)
        async with (
            H1.open_session(authority) as session,
            session.get(gunicorn.url(H1)) as response,
        ):
            assert (await response.json())["pid"] == workers[1]


async def test_a_worker_that_hangs_is_replaced(tmp_path: Path, authority: Authority) -> None:
    config = tmp_path / "gunicorn.conf.py"
    config.write_text("def worker_abort(worker): worker.log.error('aborted %s', worker.pid)\n")
    with running(tmp_path, "--timeout", "2", "--config", str(config)) as gunicorn:
        [first] = gunicorn.wait_for_workers()
        async with H1.open_session(authority) as session:
            with pytest.raises(plait.ClientError):
                await session.get(gunicorn.url(H1, "/block"))
        workers = await asyncio.to_thread(gunicorn.wait_for_workers, 2)
        gunicorn.wait_for_log(f"aborted {first}")
        async with (
            H1.open_session(authority) as session,
            session.get(gunicorn.url(H1)) as response,
        ):
            assert (await response.json())["pid"] == workers[1]


def test_workers_end_without_an_arbiter(tmp_path: Path) -> None:
    with running(tmp_path) as gunicorn:
        [worker] = gunicorn.wait_for_workers()
        gunicorn.child.process.kill()
        gunicorn.wait_for_log("The arbiter is gone")
        deadline = time.monotonic() + 30
        while Path(f"/proc/{worker}").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)


# -- behind nginx --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def proxy(
    plain: Gunicorn, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The URL of an nginx that hands all requests on to gunicorn's Unix socket."""
    require("nginx")
    folder = tmp_path_factory.mktemp("nginx")
    files = authority.certificate_file, authority.key_file
    with Proxy(folder, *files, f"unix:{plain.socket}") as nginx:
        yield f"https://127.0.0.1:{nginx.port}"


@pytest.mark.parametrize("way", [H1_TLS, H2], ids=str)
async def test_behind_nginx(proxy: str, plain: Gunicorn, authority: Authority, way: Way) -> None:
    workers = set(plain.wait_for_workers(2))
    async with way.open_session(authority) as session:
        for _ in range(50):
            async with session.get(f"{proxy}/") as response:
                assert (await response.json())["pid"] in workers
        async with session.post(f"{proxy}/receive", data=BytesIO(bytes(3_000_000))) as response:
            assert await response.text() == "3000000"


async def test_a_websocket_behind_nginx(proxy: str, authority: Authority) -> None:
    async with (
        H1_TLS.open_session(authority) as session,
        session.ws_connect(f"{proxy}/echo") as websocket,
    ):
        await websocket.send_str("hello")
        assert (await websocket.receive_str()).endswith(" hello")
