"""Chromium loads the demo's page, and its WebSocket, over HTTP/2 and over HTTP/1.1."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import plait
from examples.demo.server import COUNTS, StepCounts, make_app
from tests.conftest import Authority
from tests.interop.app import digest
from tests.interop.app import make_app as make_peers_app
from tests.interop.chromium import Browser, browser
from tests.interop.conftest import require
from tests.serving import ServerThread

# Resolves when the page has heard over which protocol its WebSocket came.
_SOCKET_READY = """
    for (let i = 0; i < 1000 && document.querySelector("button").disabled; i++)
        await new Promise(done => setTimeout(done, 10));
    return document.querySelector("#socket b").textContent;
"""
_FIRST_ECHO = """
    for (let i = 0; i < 1000 && !document.querySelector("li"); i++)
        await new Promise(done => setTimeout(done, 10));
    return document.querySelector("li").firstChild.textContent;
"""

_CLOSE = """
    socket.close(4001, "enough");
    for (let i = 0; i < 1000 && !document.querySelector("button").disabled; i++)
        await new Promise(done => setTimeout(done, 10));
    return document.querySelector("#socket").lastElementChild.textContent;
"""


_SEND_FORM = """
    const form = new FormData();
    form.append('t\u00e9 "x"', "one\\ntwo \u00e9");
    form.append("f", new File([new Uint8Array(arguments[0])], '\u00e9 "q".txt', {type: "text/x"}));
    const response = await fetch("/form", {method: "POST", body: form});
    return await response.json();
"""


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    programs = require("chromedriver"), require("chromium")
    with browser(*programs, tmp_path_factory.mktemp("chromium")) as started:
        yield started


@pytest.mark.parametrize(("tls", "protocol"), [(True, "HTTP/2"), (False, "HTTP/1.1")])
@pytest.mark.parametrize("engine", ["native", "reference"])
def test_page_and_its_websocket(
    chrome: Browser, authority: Authority, tls: bool, protocol: str, engine: str
) -> None:
    app = make_app()
    with ServerThread(plait, app, authority.server_context(), engine=engine) as server:
        port = server.tls_port if tls else server.port
        chrome.open(f"{'https' if tls else 'http'}://localhost:{port}/")
        assert chrome.evaluate("return document.querySelector('#page b').textContent") == protocol
        # What the browser itself says about the page.
        used = chrome.evaluate(
            "return performance.getEntriesByType('navigation')[0].nextHopProtocol"
        )
        assert used == {"HTTP/2": "h2", "HTTP/1.1": "http/1.1"}[protocol]
        assert chrome.evaluate(_SOCKET_READY) == protocol
        chrome.type("input", "plait \N{GREEK SMALL LETTER PI}\n")
        assert chrome.evaluate(_FIRST_ECHO) == "plait \N{GREEK SMALL LETTER PI}"
        # RFC 6455 section 5.5.1: the answer typically has the same code; it need not.
        assert chrome.evaluate(_CLOSE) in {"code 4001", "code 1000"}
    seen: StepCounts = app[COUNTS]["page"]
    assert seen.protocols == {protocol}
    assert seen.requests >= 2
    if protocol == "HTTP/2":
        assert len(seen.connections) == 1, "the WebSocket had a connection of its own"


@pytest.mark.parametrize("tls", [True, False], ids=["h2", "h1"])
def test_a_form_with_a_file(chrome: Browser, authority: Authority, tls: bool) -> None:
    with ServerThread(plait, make_peers_app(plait, []), authority.server_context()) as server:
        port = server.tls_port if tls else server.port
        chrome.open(f"{'https' if tls else 'http'}://localhost:{port}/")
        # Names come in UTF-8, with %22 for a quote; line ends of text are CRLF.
        assert chrome.evaluate(_SEND_FORM, 3_000_000) == [
            ["t\u00e9 %22x%22", "one\r\ntwo \u00e9"],
            ["f", "\u00e9 %22q%22.txt", "text/x", digest(bytes(3_000_000))],
        ]
