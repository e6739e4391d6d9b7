"""The cases of the public Http11Probe list on the engine, at every cut.

``probe_case`` says what a case is; ``tests/interop/test_http11probe.py`` tries them on a
server, over sockets.  Here the bytes come in pieces, and it shows what the application
gets to see: nothing of a request that is refused, and nothing behind it.
"""

from __future__ import annotations

import pytest

from plait_engine import CloseAction, Data, EndOfMessage, InformationalResponse, Response
from plait_engine.testing import Fragmenter
from tests.engine.chops import CHOPS
from tests.engine.http1.helpers import (
    GET,
    POISON,
    answer,
    body_of,
    ended,
    requests,
    server,
    statuses,
)
from tests.engine.http1.probe_application import APPLICATION, OTHER_EDITION
from tests.engine.http1.probe_case import Answer, Case, Engine, Verdict, get, head
from tests.engine.http1.probe_compliance import COMPLIANCE
from tests.engine.http1.probe_malformed import MALFORMED
from tests.engine.http1.probe_smuggling import SMUGGLING

CASES = {case.name: case for case in COMPLIANCE + SMUGGLING + MALFORMED + APPLICATION}


def bytes_of(name: str) -> bytes:
    return CASES[name].data


def cases_that(engine: Engine) -> pytest.MarkDecorator:
    """Run a test for each case of which the engine does the same."""
    cases = [case for case in (*CASES.values(), *OTHER_EDITION) if case.engine is engine]
    return pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in cases])


each_chop = pytest.mark.parametrize("chop", CHOPS)


@each_chop
@cases_that(Engine.REFUSES)
def test_refused(case: Case, chop: Fragmenter) -> None:
    endpoint = server(chop)
    endpoint.receive(case.data)
    endpoint.receive(POISON)
    (status,) = statuses(endpoint.take_sent())
    assert case.judge([Answer(status)]) is Verdict.PASS
    assert requests(endpoint) == []
    assert endpoint.connection.wants_close


@each_chop
@cases_that(Engine.REFUSES_BODY)
def test_refused_body(case: Case, chop: Fragmenter) -> None:
    endpoint = server(chop)
    endpoint.receive(case.data)
    endpoint.receive(POISON)
    assert statuses(endpoint.take_sent()) == [400]
    assert len(requests(endpoint)) == 1
    assert not ended(endpoint)


@each_chop
@cases_that(Engine.ACCEPTS)
def test_accepted(case: Case, chop: Fragmenter) -> None:
    endpoint = server(chop)
    endpoint.receive(case.data + GET)
    (request,) = requests(endpoint)
    assert request.protocol is None
    assert body_of(endpoint) == case.content
    assert ended(endpoint)
    assert statuses(answer(endpoint)) == [200]
    stays = request.http_version != "1.0" and ("Connection", "close") not in request.headers
    assert len(requests(endpoint)) == (2 if stays else 1)


@each_chop
@pytest.mark.parametrize(
    "name",
    [
        "SMUG-GET-CL-BODY-DESYNC",
        "SMUG-OPTIONS-CL-BODY-DESYNC",
        "SMUG-EXPECT-100-CL-DESYNC",
        "SMUG-GET-CL-PREFIX-DESYNC",
        "SMUG-PIPELINE-SAFE",
    ],
)
def test_the_next_request_is_the_next_request(name: str, chop: Fragmenter) -> None:
    endpoint = server(chop)
    first, second = CASES[name].steps
    assert isinstance(first, bytes)
    assert isinstance(second, bytes)
    endpoint.receive(first)
    assert statuses(answer(endpoint)) == [200]
    endpoint.receive(second)
    assert statuses(answer(endpoint, 3)) == [200]
    assert len(requests(endpoint)) == 2


def test_a_byte_behind_content_length_0_is_the_next_request() -> None:
    """The "X" that was sent too much makes "XGET", another method, of what follows."""
    endpoint = server()
    for step in CASES["SMUG-CL0-BODY-POISON"].steps:
        assert isinstance(step, bytes)
        endpoint.receive(step)
    assert statuses(answer(endpoint)) == [200]
    assert [request.method for request in requests(endpoint)] == ["POST", "XGET"]


def test_an_unframed_body_is_the_next_request() -> None:
    """Transfer_Encoding frames nothing."""
    endpoint = server()
    endpoint.receive(OTHER_EDITION[0].data)
    assert statuses(answer(endpoint)) == [200, 400]
    assert len(requests(endpoint)) == 1


@cases_that(Engine.WAITS)
def test_incomplete(case: Case) -> None:
    endpoint = server()
    endpoint.receive(case.data)
    assert not ended(endpoint)
    assert endpoint.take_sent() == b""
    endpoint.clock.now += 60
    endpoint.handle_timeout()
    assert statuses(endpoint.take_sent()) == ([408] if case.data else [])
    assert endpoint.connection.wants_close


@pytest.mark.parametrize("name", ["COMP-CONNECTION-CLOSE", "COMP-HTTP10-DEFAULT-CLOSE"])
def test_the_connection_closes(name: str) -> None:
    endpoint = server()
    endpoint.receive(bytes_of(name))
    answer(endpoint)
    assert endpoint.connection.wants_close is CloseAction.WRITE_EOF


def test_head_is_answered_without_content() -> None:
    endpoint = server()
    endpoint.receive(bytes_of("COMP-HEAD-NO-BODY"))
    assert answer(endpoint).endswith(b"\r\n\r\n")


def test_204_has_no_length() -> None:
    endpoint = server()
    endpoint.receive(bytes_of("COMP-NO-CL-IN-204"))
    endpoint.send(Response(1, 204, [("Content-Length", "0")]), EndOfMessage(1))
    assert b"Content-Length" not in endpoint.take_sent()


def test_http_1_0_gets_no_1xx() -> None:
    endpoint = server()
    endpoint.receive(bytes_of("COMP-NO-1XX-HTTP10"))
    endpoint.send(InformationalResponse(1, 100))
    assert endpoint.take_sent() == b""
    endpoint.send(Response(1, 200), Data(1, b"x"), EndOfMessage(1))
    assert statuses(endpoint.take_sent()) == [200]


@pytest.mark.parametrize(
    ("name", "protocol"),
    [
        ("COMP-METHOD-CONNECT", None),
        ("WS-UPGRADE-POST", "websocket"),
        ("WS-UPGRADE-INVALID-VER", "websocket"),
    ],
)
def test_what_the_application_decides_reaches_it(name: str, protocol: str | None) -> None:
    endpoint = server()
    endpoint.receive(bytes_of(name))
    assert requests(endpoint)[0].protocol == protocol
    assert statuses(answer(endpoint, status=400)) == [400]


@each_chop
def test_a_backslash_in_a_query_is_data(chop: Fragmenter) -> None:
    """MAL-URL-BACKSLASH is about paths; browsers send it in queries as it is."""
    endpoint = server(chop)
    endpoint.receive(get(target=b"/path?a\\b"))
    assert requests(endpoint)[0].target == "/path?a\\b"


@each_chop
@pytest.mark.parametrize("target", [b"http://a\\b/", b"http://a/b\\c", b"?", b"?a", b""])
def test_no_target(target: bytes, chop: Fragmenter) -> None:
    endpoint = server(chop)
    endpoint.receive(head(b"GET " + target + b" HTTP/1.1") + POISON)
    assert statuses(endpoint.take_sent()) == [400]
    assert requests(endpoint) == []
