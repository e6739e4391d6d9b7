"""Chromium in ``examples/lounge``: log-in, rooms, uploads with progress, files, events.

Twice: the program as ``python -m examples.lounge`` over HTTP/2, and under gunicorn with several
workers behind nginx, as one would deploy it.  The browser's guest is Ada; Bob is a program that
uses plait's client.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

import plait
from benchmarks.nginx import Proxy
from benchmarks.processes import Child, free_port
from tests.conftest import Authority
from tests.interop.app import payload
from tests.interop.chromium import Browser, browser
from tests.interop.conftest import require

pytestmark = pytest.mark.anyio

_ROOT = Path(__file__).parents[2]
WORKERS = 3


@pytest.fixture(scope="module")
def chrome(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    programs = require("chromedriver"), require("chromium")
    with browser(*programs, tmp_path_factory.mktemp("chromium")) as started:
        yield started


@dataclass(frozen=True)
class Lounge:
    """The lounge, running."""

    url: str
    """Of its root, without the slash."""
    files: Path
    """Where what was shared is."""


@pytest.fixture(scope="module", params=["alone", "gunicorn"])
def lounge(
    request: pytest.FixtureRequest, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Lounge]:
    folder = tmp_path_factory.mktemp(f"lounge-{request.param}")
    certificate, key = authority.certificate_file, authority.key_file
    port = free_port()
    with pytest.MonkeyPatch.context() as patch, ExitStack() as stack:
        patch.setenv("LOUNGE", str(folder / "data"))
        patch.setenv("PYTHONPATH", os.pathsep.join(["engine", "adapters"]))
        patch.chdir(_ROOT)
        if request.param == "alone":
            command = ["-m", "examples.lounge", str(port), str(certificate), str(key)]
            outside = port
        else:
            command = [
                *("-m", "gunicorn", "examples.lounge.app:make_app"),
                *("--worker-class", "plait.worker.GunicornWebWorker", "--workers", str(WORKERS)),
                *("--bind", f"127.0.0.1:{port}", "--graceful-timeout", "5"),
            ]
            require("nginx")
            upstream = f"127.0.0.1:{port}"
            outside = stack.enter_context(Proxy(folder, certificate, key, upstream)).port
        child = stack.enter_context(Child([sys.executable, *command], folder / "lounge.log"))
        child.wait_for_port(port)
        yield Lounge(f"https://localhost:{outside}", folder / "data" / "files")
        child.close()
        log = child.log.read_text()
    assert "Traceback" not in log, log


class Page:
    """The page of the lounge in the browser."""

    def __init__(self, chrome: Browser) -> None:
        self._chrome = chrome

    async def open(self, url: str) -> None:
        await asyncio.to_thread(self._chrome.open, url)

    async def type(self, selector: str, text: str) -> None:
        await asyncio.to_thread(self._chrome.type, selector, text)

    async def run(self, script: str) -> object:
        """Run the body of an async function; return what it returns."""
        result: object = await asyncio.to_thread(self._chrome.evaluate, script)
        return result

    async def wait(self, expression: str) -> object:
        """Wait until the expression is true in the page; return its value."""
        value = await self.run(
            f"let value; for (let i = 0; i < 1500 && !(value = {expression}); i++)"
            " await new Promise(done => setTimeout(done, 10)); return value;"
        )
        assert value, (expression, await self.run("return document.body.innerText"))
        return value


@pytest.fixture
async def page(chrome: Browser, lounge: Lounge) -> Page:
    """The page, with Ada logged in."""
    page = Page(chrome)
    await page.open(f"{lounge.url}/")
    await page.run("await fetch('/logout', {method: 'POST'}); location.reload()")
    await page.wait("!$('#login').hidden")
    await page.type("#login [name=name]", "Ada")
    await page.type("#login [name=password]", "secret\n")
    await page.wait("!$('main').hidden")
    await page.wait("[...$('#said').children].some(item => item.textContent === 'Ada comes in')")
    return page


@pytest.fixture
async def bob(lounge: Lounge, authority: Authority) -> AsyncIterator[plait.ClientSession]:
    connector = plait.TCPConnector(ssl=authority.client_context())
    async with plait.ClientSession(lounge.url, connector=connector) as session:
        form = {"name": "Bob", "password": "hidden"}
        async with session.post("/login", data=form) as response:
            assert response.status == 200
        yield session


async def test_the_page_came_over_http2(page: Page) -> None:
    assert await page.run("return $('#protocol').textContent") == "over h2"


async def test_a_name_belongs_to_its_password(
    page: Page, lounge: Lounge, authority: Authority
) -> None:
    connector = plait.TCPConnector(ssl=authority.client_context())
    async with plait.ClientSession(lounge.url, connector=connector) as session:
        async with session.get("/me") as response:
            assert response.status == 401
        async with session.post("/login", data={"name": "Ada", "password": "x"}) as response:
            assert (response.status, response.cookies) == (403, {})
        forged = f"Ada.9999999999.{sha256().hexdigest()}"
        async with session.get("/me", cookies={"lounge": forged}) as response:
            assert response.status == 401
        elsewhere = {"Origin": "https://evil.test"}
        async with session.post("/login", data={}, headers=elsewhere) as response:
            assert response.status == 403


async def test_all_hear_what_one_says(page: Page, bob: plait.ClientSession) -> None:
    """Wherever they came in: six WebSockets of Bob are spread over the workers."""
    async with AsyncExitStack() as stack:
        sockets = [await stack.enter_async_context(bob.ws_connect("/rooms/hall")) for _ in range(6)]
        await page.wait(
            "[...document.querySelectorAll('#said .note')]"
            ".filter(item => item.textContent === 'Bob comes in').length === 6"
        )
        await page.type("#say input", "Good \N{GREEK SMALL LETTER MU}orning\n")
        for socket in sockets:
            while (message := await socket.receive_json(timeout=20))["kind"] != "said":
                pass
            assert (message["name"], message["text"]) == (
                "Ada",
                "Good \N{GREEK SMALL LETTER MU}orning",
            )
        markup = "<img src=x onerror=document.title='broken'>"
        await sockets[0].send_str(markup)
        assert (
            await page.wait(
                "[...document.querySelectorAll('#said li')].at(-1).lastChild.textContent"
                ".includes('onerror') && $('#said li:last-child').innerText"
            )
            == f"Bob{markup}"
        )
        assert await page.run("return document.title") == "The lounge"
        async with bob.ws_connect("/rooms/library") as elsewhere:
            await elsewhere.send_str("Hush")
            await page.wait("$('[data-room=library].news')")


async def test_upload_from_the_page(page: Page, bob: plait.ClientSession, tmp_path: Path) -> None:
    file = tmp_path / "na\N{LATIN SMALL LETTER I WITH DIAERESIS}ve name.bin"
    file.write_bytes(payload(3_000_000))
    await page.type("#upload [type=file]", str(file))
    await page.run("$('#upload').requestSubmit()")
    assert await page.wait("$('#files a')?.textContent") == file.name
    href = await page.run("return $('#files a').getAttribute('href')")
    async with bob.get(str(href)) as response:
        assert await response.read() == payload(3_000_000)
        assert response.content_disposition is not None
        assert response.content_disposition.filename == file.name
    async with bob.get(str(href), headers={"Range": "bytes=-5"}) as response:
        assert (response.status, await response.read()) == (206, payload(3_000_000)[-5:])


async def test_the_page_shows_the_progress_of_others(page: Page, bob: plait.ClientSession) -> None:
    half_shown = asyncio.Event()

    async def content() -> AsyncIterator[bytes]:
        yield payload(2_000_000)
        await half_shown.wait()
        yield payload(2_000_000)

    form = plait.FormData()
    form.add_field("file", content(), filename="slow.bin", content_type="text/plain")
    sending = asyncio.ensure_future(_status(bob.post("/files", data=form)))
    await page.wait("/^slow.bin, by Bob: .* [KM]B$/.test($('#uploads li')?.innerText)")
    half_shown.set()
    assert await sending == 201
    await page.wait("!$('#uploads li')")
    assert "4.0 MB, by Bob" in str(await page.run("return $('#files').innerText"))


async def test_an_upload_that_breaks_off_leaves_nothing(
    page: Page, bob: plait.ClientSession, lounge: Lounge
) -> None:
    before = set(lounge.files.iterdir())
    shown = asyncio.Event()

    async def content() -> AsyncIterator[bytes]:
        yield payload(2_000_000)
        await shown.wait()
        raise ConnectionError("the guest is gone")

    form = plait.FormData()
    form.add_field("file", content(), filename="half.bin")
    sending = asyncio.ensure_future(_status(bob.post("/files", data=form)))
    await page.wait("$('#uploads progress')")
    shown.set()
    with pytest.raises(plait.ClientError):
        await sending
    await page.wait("!$('#uploads li')")
    assert set(lounge.files.iterdir()) == before


async def _status(request: Awaitable[plait.ClientResponse]) -> int:
    response = await request
    await response.read()
    return response.status
