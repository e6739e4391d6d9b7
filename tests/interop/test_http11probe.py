"""The public Http11Probe list against a ``web.Application``, over sockets.

The list's program reads an answer, waits a little, and looks whether the connection was
closed.  Here nothing waits: an answer is read to its end as its framing says, and to the
end of the connection if it says ``Connection: close``.  After the last step the client
half-closes and reads what is left, so that an answer too many is seen, however late.
Where the list waits for a server to stay silent, the client half-closes at once: the server
knows then that nothing more comes, and must not take what came for a whole request.

``tests/engine/http1/probe_case.py`` says what a case is.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from dataclasses import replace

import pytest

import plait
from plait import web
from tests.conftest import Authority
from tests.engine.http1.probe_application import APPLICATION, OTHER_EDITION
from tests.engine.http1.probe_case import Answer, Case, Engine, Verdict
from tests.engine.http1.probe_compliance import COMPLIANCE
from tests.engine.http1.probe_malformed import MALFORMED
from tests.engine.http1.probe_smuggling import SMUGGLING
from tests.serving import ServerThread

CASES = COMPLIANCE + SMUGGLING + MALFORMED + APPLICATION
DEADLINE = 20.0
"""Seconds that one read may last; only a server that hangs takes them."""

STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9]) ")
NO_ANSWER = Answer(None, closed=True)


def make_app() -> web.Application:
    """The server that the list asks for."""

    async def hello(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            websocket = web.WebSocketResponse()
            await websocket.prepare(request)
            return websocket
        return web.Response(text="OK")

    async def post(request: web.Request) -> web.Response:
        return web.Response(body=await request.read())

    async def options(request: web.Request) -> web.Response:
        return web.Response(status=204, headers={"Allow": "GET, HEAD, POST, OPTIONS"})

    async def echo(request: web.Request) -> web.Response:
        return web.Response(text="".join(f"{k}: {v}\n" for k, v in request.headers.items()))

    async def cookies(request: web.Request) -> web.Response:
        return web.Response(text="".join(f"{k}={v}\n" for k, v in request.cookies.items()))

    app = web.Application()
    app.add_routes(
        [
            web.get("/", hello),
            web.post("/", post),
            web.options("/", options),
            web.get("/echo", echo),
            web.post("/echo", echo),
            web.get("/cookie", cookies),
        ]
    )
    return app


@pytest.fixture(scope="module")
def port(authority: Authority) -> Iterator[int]:
    context = authority.server_context("h2", "http/1.1")
    with ServerThread(plait, make_app(), context) as thread:
        yield thread.port


class Client:
    """Sends bytes and reads answers."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=DEADLINE)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._received = bytearray()
        self._half_closed = False
        self.closed = False

    def close(self) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def half_close(self) -> None:
        if not self._half_closed:
            self._half_closed = True
            self._socket.shutdown(socket.SHUT_WR)

    def read_answer(self, *, to_head: bool) -> Answer:
        """Read one answer, and the end of the connection if the answer says that it ends.

        Args:
            to_head: the request was a HEAD, so that the answer has no content.
        """
        head = self._take_through(b"\r\n\r\n")
        match = STATUS_LINE.match(head)
        if match is None:
            self.read_rest()
            return NO_ANSWER
        lines = head.decode("ascii").split("\r\n")[1:-2]
        headers = {
            name.lower(): value.strip() for name, _, value in (x.partition(":") for x in lines)
        }
        status = int(match[1])
        bodiless = to_head or status < 200 or status in (204, 304)
        body = b"" if bodiless else self._take_body(headers)
        extra = self.read_rest() if headers.get("connection") == "close" else b""
        if to_head:
            body = extra
        return Answer(status, headers, body, self.closed, count=1 + count_answers(extra))

    def read_rest(self) -> bytes:
        """Read to the end of the connection."""
        while self._read():
            pass
        rest = bytes(self._received)
        self._received.clear()
        return rest

    def _take_body(self, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            return self._take(int(headers["content-length"]))
        if headers.get("transfer-encoding") != "chunked":
            return self.read_rest()
        body = b""
        while size := int(self._take_through(b"\r\n"), 16):
            body += self._take(size)
            self._take(2)
        self._take_through(b"\r\n")
        return body

    def _take(self, size: int) -> bytes:
        while len(self._received) < size and self._read():
            pass
        taken = bytes(self._received[:size])
        del self._received[:size]
        return taken

    def _take_through(self, mark: bytes) -> bytes:
        """Return what comes up to ``mark``; if that never comes, all that does."""
        while (found := self._received.find(mark)) < 0 and self._read():
            pass
        return self._take(len(self._received) if found < 0 else found + len(mark))

    def _read(self) -> bool:
        data = self._socket.recv(65536)
        self._received += data
        self.closed = self.closed or not data
        return bool(data)


def count_answers(data: bytes) -> int:
    return len(STATUS_LINE.findall(data))


def is_whole(case: Case) -> bool:
    """False where a server rightly waits for more before it answers."""
    return case.engine is not Engine.WAITS and case.name != "MAL-H2-PREFACE"


def run(case: Case, port: int) -> list[Answer]:
    client = Client(port)
    answers: list[Answer] = []
    try:
        for step in case.steps:
            if client.closed:
                answers.append(Answer(None, closed=True, executed=False, count=0))
                continue
            client.send(step if isinstance(step, bytes) else step(answers[0]))
            if not is_whole(case):
                client.half_close()
            answers.append(client.read_answer(to_head=case.data.startswith(b"HEAD ")))
        if not client.closed:
            client.half_close()
            extra = count_answers(client.read_rest())
            last = answers.pop()
            answers.append(replace(last, count=last.count + extra))
    finally:
        client.close()
    return answers


@pytest.mark.parametrize(
    "case",
    [
        *[pytest.param(case, id=case.name) for case in CASES],
        *[pytest.param(case, id=f"{case.name}-other") for case in OTHER_EDITION],
    ],
)
def test_verdict(case: Case, port: int) -> None:
    answers = run(case, port)
    expected = Verdict.WARN if case.warned else Verdict.PASS
    assert case.judge(answers) is expected, answers


def test_the_list_is_complete() -> None:
    """The list of May 2026 has 215 cases, of which 161 are scored."""
    assert len({case.name for case in CASES}) == len(CASES) == 215
    assert sum(case.scored for case in CASES) == 161
