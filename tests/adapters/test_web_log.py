"""The access log."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from plait import web
from plait.log import access_logger
from plait.web_log import AccessLogger
from tests.adapters.web_peer import Setup, app_of

pytestmark = pytest.mark.anyio


async def handler(request: web.Request) -> web.Response:
    if "fail" in request.query:
        raise web.HTTPForbidden
    return web.Response(text="x", headers={"X-Out": "out"})


async def records_of(
    setup: Setup, caplog: pytest.LogCaptureFixture, *targets: str, **options: Any
) -> list[logging.LogRecord]:
    caplog.set_level(logging.INFO, logger=access_logger.name)
    async with setup.serve(app_of(handler), access_log=access_logger, **options) as site:
        client = await site.connect()
        for target in targets:
            await client.fetch("GET", target, [("user-agent", "test"), ("x-in", "in")])
    return [record for record in caplog.records if record.name == access_logger.name]


async def test_the_default_format(setup: Setup, caplog: pytest.LogCaptureFixture) -> None:
    records = await records_of(setup, caplog, "/?a=b", "/?fail", "/nothing")
    version = "2.0" if setup.is_h2 else "1.1"
    lines = [record.getMessage() for record in records]
    when = r"\[\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]"
    for line, target, status, size in zip(
        lines, ["/?a=b", "/?fail", "/nothing"], [200, 403, 404], [1, 14, 14], strict=True
    ):
        expected = re.escape(f'"GET {target} HTTP/{version}" {status} {size} "-" "test"')
        assert re.fullmatch(rf"127\.0\.0\.1 {when} {expected}", line), line


async def test_every_atom(setup: Setup, caplog: pytest.LogCaptureFixture) -> None:
    atoms = "%% %a %P %r %s %b %T %Tf %D %{X-In}i %{X-Out}o %{X-None}o %{HOME}e"
    (record,) = await records_of(setup, caplog, "/", access_log_format=atoms)
    version = "2.0" if setup.is_h2 else "1.1"
    home = os.environ.get("HOME", "-")
    pattern = (
        rf"% 127\.0\.0\.1 <{os.getpid()}> GET / HTTP/{version} 200 1"
        rf" 0 0\.\d+ \d+ in out - {re.escape(home)}"
    )
    assert re.fullmatch(pattern, record.getMessage()), record.getMessage()
    fields = vars(record)
    assert fields["remote_address"] == "127.0.0.1"
    assert fields["first_request_line"] == f"GET / HTTP/{version}"
    assert (fields["response_status"], fields["response_size"]) == (200, 1)
    assert fields["request_header"] == {"X-In": "in"}
    assert fields["response_header"] == {"X-Out": "out", "X-None": "-"}


def test_a_response_header_that_is_a_number(caplog: pytest.LogCaptureFixture) -> None:
    """Other programs call the logger with messages of their own."""
    caplog.set_level(logging.INFO, logger=access_logger.name)
    response: Any = SimpleNamespace(headers={"X-Out": 12})
    AccessLogger(access_logger, "<%{X-Out}o>").log(None, response, 0.0)
    assert caplog.messages == ["<12>"]
    assert vars(caplog.records[0])["response_header"] == {"X-Out": 12}


async def test_a_client_on_a_unix_socket_has_no_address(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, logger=access_logger.name)
    runner = web.AppRunner(app_of(handler), access_log=access_logger, access_log_format="<%a>")
    await runner.setup()
    path = tmp_path / "socket"
    await web.UnixSite(runner, path).start()
    reader, writer = await asyncio.open_unix_connection(path)
    writer.write(b"GET / HTTP/1.0\r\n\r\n")
    assert (await reader.read()).startswith(b"HTTP/1.1 200 OK")
    writer.close()
    await runner.cleanup()
    assert caplog.messages == ["<>"]


def test_a_line_without_a_request(caplog: pytest.LogCaptureFixture) -> None:
    """Of what was refused before it was one, by somebody who logs that too."""
    caplog.set_level(logging.INFO, logger=access_logger.name)
    log = AccessLogger(access_logger, "%a %r %{X}i %s")
    log.log(None, web.Response(status=400), 0.0)
    assert caplog.messages == ["- - (no headers) 400"]


async def test_refused_requests_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=access_logger.name)
    setup = Setup("http/1.1", "native")
    async with setup.serve(app_of(handler), access_log=access_logger) as site:
        await site.send_raw(b"GET / HTTP/1.1\r\n\r\n")
    (record,) = [record for record in caplog.records if record.name == access_logger.name]
    assert '"UNKNOWN / HTTP/1.0" 400' in record.getMessage()


async def test_unknown_atoms_stay_as_they_are(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    """Of formats that were written for other servers, say."""
    text = "%h %l %x %{a b}i %{a}x 100% %"
    (record,) = await records_of(setup, caplog, "/", access_log_format=f"%s {text}")
    assert record.getMessage() == f"200 {text}"


async def test_an_error_in_the_log_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, logger=access_logger.name)
    request: Any = None  # The atom looks at neither.
    AccessLogger(access_logger, "%D").log(request, request, float("nan"))
    (record,) = caplog.records
    assert (record.getMessage(), record.levelname) == ("Error in logging", "ERROR")
    assert record.exc_info is not None


async def test_no_log_costs_nothing(setup: Setup) -> None:
    class Logger(web.AbstractAccessLogger):
        def log(self, request: Any, response: Any, time: float) -> None:
            raise AssertionError

        @property
        def enabled(self) -> bool:
            return False

    app = app_of(handler)
    async with setup.serve(app, access_log=access_logger, access_log_class=Logger) as site:
        client = await site.connect()
        assert (await client.fetch()).status == 200
        assert site.server.connections[0].access_logger is None
    async with setup.serve(app_of(handler), access_log=None) as site:
        await site.connect()
        assert site.server.access_logger is None


async def test_a_logger_of_ones_own(setup: Setup) -> None:
    logged = []

    class Logger(web.AbstractAccessLogger):
        def log(self, request: Any, response: Any, time: float) -> None:
            logged.append((request.path, response.status, time >= 0))

    app = app_of(handler)
    async with setup.serve(app, access_log=access_logger, access_log_class=Logger) as site:
        await (await site.connect()).fetch("GET", "/?fail")
    assert logged == [("/", 403, True)]


async def test_a_logger_that_fails(setup: Setup, caplog: pytest.LogCaptureFixture) -> None:
    class Logger(web.AbstractAccessLogger):
        def log(self, request: Any, response: Any, time: float) -> None:
            raise ZeroDivisionError

    app = app_of(handler)
    async with setup.serve(app, access_log=access_logger, access_log_class=Logger) as site:
        client = await site.connect()
        for _ in range(2):
            assert (await client.fetch()).status == 200
    assert [record.getMessage() for record in caplog.records] == ["Error in the access logger"] * 2


def test_the_logger_stands_where_programs_look_for_it() -> None:
    assert web.access_logger is logging.getLogger("plait.access")
