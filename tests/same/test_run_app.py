"""``run_app``: what it asks of the loop, what it prints, and how it ends; on aiohttp and on plait.

Nothing listens: the loop only notes what it is asked for.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from tests.same.conftest import Library

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="loops have no signal handlers")


@pytest.fixture
def loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that opens no sockets to listen on and sets no signal handlers."""
    made = asyncio.new_event_loop()
    listening = mock.Mock(spec=asyncio.Server, sockets=[])
    listening.wait_closed = mock.AsyncMock()
    fakes = {
        "create_server": mock.AsyncMock(return_value=listening),
        "create_unix_server": mock.AsyncMock(return_value=listening),
        "add_signal_handler": mock.Mock(),
        "remove_signal_handler": mock.Mock(),
    }
    with mock.patch.multiple(made, **fakes):
        yield made
    made.close()


def run(library: Library, loop: Any, app: Any = None, **options: Any) -> str:
    """Run until the places are printed; return that."""
    printed: list[str] = []

    def stop(text: str) -> None:
        printed.append(text)
        loop.call_soon(_exit, library)

    app = library.web.Application() if app is None else app
    library.web.run_app(app, loop=loop, print=stop, **options)
    return printed[0]


def _exit(library: Library) -> None:
    raise library.web.GracefulExit


DEFAULTS = {"ssl": None, "backlog": 128, "reuse_address": None, "reuse_port": None}


def test_by_default(plain: Library, loop: Any) -> None:
    assert run(plain, loop) == (
        "======== Running on http://0.0.0.0:8080 ========\n(Press CTRL+C to quit)"
    )
    loop.create_server.assert_awaited_once_with(mock.ANY, None, 8080, **DEFAULTS)
    assert callable(loop.create_server.call_args.args[0])
    assert loop.is_closed()


def test_over_tls(plain: Library, loop: Any) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    assert "https://0.0.0.0:8443" in run(plain, loop, ssl_context=context)
    wanted = {**DEFAULTS, "ssl": context}
    loop.create_server.assert_awaited_once_with(mock.ANY, None, 8443, **wanted)


@pytest.mark.parametrize(
    ("options", "calls", "places"),
    [
        ({"host": "127.0.0.1"}, [("127.0.0.1", 8080)], ["http://127.0.0.1:8080"]),
        ({"port": 81}, [(None, 81)], ["http://0.0.0.0:81"]),
        (
            {"host": ["127.0.0.1", "192.0.2.1"], "port": 81},
            [("127.0.0.1", 81), ("192.0.2.1", 81)],
            ["http://127.0.0.1:81", "http://192.0.2.1:81"],
        ),
        ({"host": ("a.example",)}, [("a.example", 8080)], ["http://a.example:8080"]),
    ],
)
def test_hosts_and_ports(
    plain: Library, loop: Any, options: Any, calls: list[Any], places: list[str]
) -> None:
    assert run(plain, loop, **options).split("\n")[0] == (
        f"======== Running on {', '.join(places)} ========"
    )
    assert loop.create_server.await_args_list == [
        mock.call(mock.ANY, host, port, **DEFAULTS) for host, port in calls
    ]


def test_options_of_sockets(plain: Library, loop: Any) -> None:
    run(plain, loop, backlog=5, reuse_address=True, reuse_port=True)
    wanted = {"ssl": None, "backlog": 5, "reuse_address": True, "reuse_port": True}
    loop.create_server.assert_awaited_once_with(mock.ANY, None, 8080, **wanted)


@pytest.mark.parametrize("several", [False, True])
def test_unix_sockets(plain: Library, loop: Any, several: bool) -> None:
    path = "/run/a"
    assert "http://unix:/run/a:" in run(plain, loop, path=[path] if several else path)
    loop.create_unix_server.assert_awaited_once_with(mock.ANY, path, ssl=None, backlog=128)
    loop.create_server.assert_not_awaited()


def test_a_path_object(plain: Library, loop: Any) -> None:
    assert "http://unix:/run/a:" in run(plain, loop, path=Path("/run/a"))


def test_a_unix_socket_and_a_port(plain: Library, loop: Any) -> None:
    printed = run(plain, loop, path="/run/a", port=81)
    assert "http://0.0.0.0:81, http://unix:/run/a:" in printed
    assert loop.create_unix_server.await_count == loop.create_server.await_count == 1


@pytest.mark.parametrize("several", [False, True])
def test_sockets_of_ones_own(plain: Library, loop: Any, several: bool) -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        printed = run(plain, loop, sock=[sock] if several else sock)
        assert f"http://127.0.0.1:{sock.getsockname()[1]}" in printed
        loop.create_server.assert_awaited_once_with(mock.ANY, sock=sock, ssl=None, backlog=128)


@pytest.mark.parametrize("wanted", [True, False])
def test_signals(plain: Library, loop: Any, wanted: bool) -> None:
    run(plain, loop, handle_signals=wanted)
    numbers = {call.args[0] for call in loop.add_signal_handler.call_args_list}
    assert numbers == ({signal.SIGINT, signal.SIGTERM} if wanted else set())


def test_the_life_of_the_application(plain: Library, loop: Any) -> None:
    seen: list[str] = []

    def note(text: str) -> Any:
        async def call(app: Any) -> None:
            seen.append(text)

        return call

    app = plain.web.Application()
    app.on_startup.append(note("startup"))
    app.on_shutdown.append(note("shutdown"))
    app.on_cleanup.append(note("cleanup"))
    run(plain, loop, app)
    assert seen == ["startup", "shutdown", "cleanup"]


def test_an_application_that_is_awaited(plain: Library, loop: Any) -> None:
    async def make() -> Any:
        return plain.web.Application()

    assert "Running" in run(plain, loop, make())


def test_tasks_that_are_left(plain: Library, loop: Any) -> None:
    seen: list[str] = []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def start(app: Any) -> None:
        app[key] = asyncio.ensure_future(forever())

    key = plain.web.AppKey("key", asyncio.Task)
    app = plain.web.Application()
    app.on_startup.append(start)
    run(plain, loop, app)
    assert seen == ["cancelled"]


def test_tasks_that_fail_in_the_end(plain: Library, loop: Any) -> None:
    told: list[Any] = []
    loop.set_exception_handler(lambda loop, context: told.append(context["exception"]))
    error = KeyError("mine")

    async def failing() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise error from None

    async def start(app: Any) -> None:
        app[key] = asyncio.ensure_future(failing())

    key = plain.web.AppKey("key", asyncio.Task)
    app = plain.web.Application()
    app.on_startup.append(start)
    run(plain, loop, app)
    assert told == [error]


def test_an_error_at_the_start(plain: Library, loop: Any) -> None:
    async def start(app: Any) -> None:
        raise KeyError("mine")

    app = plain.web.Application()
    app.on_startup.append(start)
    with pytest.raises(KeyError, match="mine"):
        run(plain, loop, app)
    assert loop.is_closed()


def test_nothing_printed(plain: Library, loop: Any) -> None:
    async def start(app: Any) -> None:
        loop.call_later(0, loop.call_soon, _exit, plain)

    app = plain.web.Application()
    app.on_startup.append(start)
    plain.web.run_app(app, loop=loop, print=None)
    assert loop.is_closed()


def test_the_access_log_in_debug_mode(plain: Library, loop: Any) -> None:
    logger = plain.log.access_logger
    loop.set_debug(True)
    with (
        mock.patch.object(logger, "handlers", []),
        mock.patch.object(logger, "level", logging.NOTSET),
        mock.patch.object(logger, "hasHandlers", return_value=False),
    ):
        run(plain, loop)
        assert logger.level == logging.DEBUG
        assert [type(handler) for handler in logger.handlers] == [logging.StreamHandler]


@pytest.mark.parametrize("what", ["another logger", "no debugging"])
def test_the_access_log_is_left_alone(plain: Library, loop: Any, what: str) -> None:
    logger = plain.log.access_logger
    given = logging.getLogger("mine") if what == "another logger" else logger
    loop.set_debug(what == "another logger")
    with mock.patch.object(given, "addHandler") as add:
        run(plain, loop, access_log=given)
    assert not add.called
