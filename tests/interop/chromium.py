"""Chromium without a window, steered through chromedriver's HTTP interface (W3C WebDriver)."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.processes import Child, free_port

_ARGUMENTS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--ignore-certificate-errors",
]


class Browser:
    """One browser session.  Its methods return what the page answered."""

    def __init__(self, session_url: str) -> None:
        self._url = session_url

    def open(self, url: str) -> None:
        """Load a page and wait until it is loaded."""
        _command(f"{self._url}/url", {"url": url})

    def evaluate(self, script: str, *arguments: object) -> Any:
        """Run the body of an async function of the page; return what it returns."""
        return _command(
            f"{self._url}/execute/sync",
            {"script": f"return (async () => {{{script}}})()", "args": arguments},
        )

    def type(self, selector: str, text: str) -> None:
        """Type text into the element that a CSS selector finds; ``\\n`` is Enter."""
        found = _command(f"{self._url}/element", {"using": "css selector", "value": selector})
        element = next(iter(found.values()))
        _command(f"{self._url}/element/{element}/value", {"text": text.replace("\n", "\ue007")})


@contextmanager
def browser(chromedriver: str, chromium: str, folder: Path) -> Iterator[Browser]:
    """Start a browser with a new profile in ``folder``; it ends with the block."""
    port = free_port()
    with Child([chromedriver, f"--port={port}"], folder / "chromedriver.log") as driver:
        driver.wait_for_port(port)
        options = {
            "binary": chromium,
            "args": [*_ARGUMENTS, f"--user-data-dir={folder / 'profile'}"],
        }
        session = _command(
            f"http://127.0.0.1:{port}/session",
            {"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}},
        )
        url = f"http://127.0.0.1:{port}/session/{session['sessionId']}"
        try:
            yield Browser(url)
        finally:
            _call(urllib.request.Request(url, method="DELETE"))


def _command(url: str, body: object) -> Any:
    data = json.dumps(body).encode()
    return _call(urllib.request.Request(url, data, {"Content-Type": "application/json"}))


def _call(request: urllib.request.Request) -> Any:
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)["value"]
    except urllib.error.HTTPError as error:
        with error:
            value = json.load(error)["value"]
        raise RuntimeError(f"{value['error']}: {value['message']}") from None
