"""Attacks by forms: multipart requests that break parsers, memory, descriptors or logs.

A row is an id of the list of attacks, and what makes the row.
"""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from plait import FormData, MultipartWriter, web
from plait_engine.content.disposition import find_parameter, parse_disposition
from tests.adapters.web_peer import Setup, app_of

pytestmark = pytest.mark.anyio

H1 = Setup("http/1.1", "native")
H2 = Setup("h2", "native")
both_versions = pytest.mark.parametrize("setup", [H1, H2], ids=["h1", "h2"])

FORM = [("content-type", "multipart/form-data; boundary=b")]
FIELD = b'--b\r\nContent-Disposition: form-data; name="a"\r\n'
FILE = b'--b\r\nContent-Disposition: form-data; name="a"; filename="x"\r\n'
END = b"\r\n--b--\r\n"
LIMIT = 2**20
MEGABYTES = 3 * LIMIT


async def read_form(request: web.Request) -> web.Response:
    return web.Response(text=str(len(await request.post())))


async def status_of(
    setup: Setup, body: bytes, caplog: pytest.LogCaptureFixture, headers: Any = FORM
) -> int:
    """Return the status that a form gets; nothing is logged."""
    async with setup.serve(app_of(read_form)) as site:
        client = await site.connect()
        answer = client.request("POST", "/", headers, body)
        await asyncio.wait_for(answer.head_came.wait(), 20)
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []
    return answer.status


BAD = {
    "A60-length-and-early-end": FIELD + b"Content-Length: 100\r\n\r\none",
    "A60-no-end": FIELD + b"\r\none\r\n--b\r\n",
    "A60-no-last-boundary": FIELD + b"\r\none\r\n",
    "A60-nothing": b"",
    "A62-endless-field": FIELD + b"X: " + b"x" * 500_000,
    "A62-endless-line": b"--b\r\n" + b"x" * 500_000,
    "A62-many-fields": FIELD + b"X: 1\r\n" * 2000 + b"\r\none" + END,
    "A62-cr-in-field": FIELD + b"X: a\rY: b\r\n\r\none" + END,
    "A62-lf-in-field": FIELD + b"X: a\nY: b\r\n\r\none" + END,
    "A70-boundary-in-the-middle": b"x--b\r\n\r\none" + END[2:],
    "A70-nested": FIELD + b"Content-Type: multipart/mixed; boundary=c\r\n\r\n--c--" + END,
    "A70-charset": (
        b'--b\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\n' + b"x" * 1000 + END
    ),
    "A70-transfer-coding": FIELD + b"Content-Transfer-Encoding: x\r\n\r\none" + END,
    "A70-half-a-quartet": FIELD + b"Content-Transfer-Encoding: base64\r\n\r\none" + END,
    "A65-every-part-is-bad": (FIELD + b"X\r\n\r\none\r\n") * 100 + END[2:],
}


@both_versions
@pytest.mark.parametrize("name", BAD)
async def test_forms_that_are_none(
    setup: Setup, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert await status_of(setup, BAD[name], caplog) == 400


LARGE = {
    "A61-text": FIELD + b"\r\n" + b"x" * MEGABYTES + END,
    "A61-file": FILE + b"\r\n" + b"x" * MEGABYTES + END,
    "A61-line-without-end": FIELD + b"\r\n" + b"x" * MEGABYTES,
    "A61-many-fields": (FIELD + b"\r\n\r\n") * (MEGABYTES // 51) + END[2:],
    "A63-many-parts": b"--b\r\n" * 10_000 + FIELD * 10 + (FIELD + b"\r\n\r\n") * 2000,
    "A64-line-end-first": FIELD + b"\r\n\r\n" + b"x" * MEGABYTES,
    "A64-line-ends": FIELD + b"\r\n" + b"\r\n" * (MEGABYTES // 2),
    "A64-carriage-returns": FIELD + b"\r\n" + b"\r" * MEGABYTES,
    "A64-false-boundaries": FIELD + b"\r\n" + b"\r\n--bx" * (MEGABYTES // 6),
    "A64-preamble": b"x" * MEGABYTES,
    "A64-preamble-of-line-ends": b"\r\n" * (MEGABYTES // 2),
}


@pytest.mark.parametrize("name", LARGE)
async def test_forms_that_are_too_large(name: str, caplog: pytest.LogCaptureFixture) -> None:
    """The work is linear: ``tests/engine/content/test_multipart.py`` counts it."""
    status = await status_of(H1, LARGE[name], caplog)
    assert status == (400 if name == "A63-many-parts" else 413)


@both_versions
async def test_a63_more_fields_than_allowed(setup: Setup, caplog: pytest.LogCaptureFixture) -> None:
    assert await status_of(setup, (FIELD + b"\r\n\r\n") * 1000 + END[2:], caplog) == 200
    assert await status_of(setup, (FIELD + b"\r\n\r\n") * 1001 + END[2:], caplog) == 413


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="counts descriptors by /proc")
async def test_a66_small_files_take_no_descriptors() -> None:
    async def handler(request: web.Request) -> web.Response:
        before = len(os.listdir("/proc/self/fd"))
        form = await request.post()
        return web.Response(text=f"{len(form)} {len(os.listdir('/proc/self/fd')) - before}")

    async with H1.serve(app_of(handler)) as site:
        client = await site.connect()
        body = (FILE + b"\r\nsmall\r\n") * 1000 + END[2:]
        assert (await client.fetch("POST", "/", FORM, body)).body == b"1000 0"


@pytest.mark.parametrize(
    ("field", "filename"),
    [
        ('filename="../../x"', "../../x"),
        ('filename="/etc/x"', "etc/x"),
        ('filename="C:\\\\x"', "C:\\x"),
        ("filename*=UTF-8''%00", "\0"),
        ("filename=a; filename*=UTF-8''b", "b"),
        ("filename*=UTF-8''b; filename=a", "b"),
        ("filename=a; filename=b", None),
    ],
)
def test_a68_file_names_are_text(field: str, filename: str | None) -> None:
    """What a client calls a file is told as it is, and never used as a path."""
    assert find_parameter(parse_disposition(f"form-data; {field}").parameters) == filename


INJECTIONS = ["x\r\nX-Evil: 1", "x\r\n\r\nevil", "x\nY: 1", "x\rY: 1", "x\0"]


@pytest.mark.parametrize("text", INJECTIONS)
@pytest.mark.parametrize("quote_fields", [True, False])
def test_a69_forms_with_line_ends_are_not_sent(text: str, quote_fields: bool) -> None:
    form = FormData(quote_fields=quote_fields)
    for options in ({"name": text}, {"filename": text}, {"content_type": text}):
        with pytest.raises(ValueError, match="control character"):
            form.add_field(**{"name": "a", "value": "x", **options})


@pytest.mark.parametrize("text", INJECTIONS)
def test_a69_parts_with_line_ends_are_not_sent(text: str) -> None:
    writer = MultipartWriter()
    for headers in ({"X-A": text}, {text: "x"}):
        with pytest.raises(ValueError, match="header field"):
            writer.append("x", headers)
    part = writer.append("x")
    with pytest.raises(ValueError, match="control character"):
        part.set_content_disposition("form-data", False, name=text)


def test_a69_quotes_do_not_end_a_name() -> None:
    for quote_fields in (True, False):
        writer = MultipartWriter()
        part = writer.append("x")
        part.set_content_disposition("form-data", quote_fields, name='a"; filename="b')
        read = parse_disposition(part.headers["Content-Disposition"])
        assert read.parameters == {"name": 'a"; filename="b'}


@both_versions
@pytest.mark.parametrize(
    "media_type",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=" + "b" * 71,
        "multipart/form-data; boundary=\u00e9",
        'multipart/form-data; boundary="b',
        "multipart/form-data; boundary*=b",
    ],
)
async def test_a70_boundaries(
    setup: Setup, media_type: str, caplog: pytest.LogCaptureFixture
) -> None:
    headers = [("content-type", media_type)]
    assert await status_of(setup, FIELD + b"\r\none" + END, caplog, headers) == 400


async def test_a70_nested_a_thousand_times(caplog: pytest.LogCaptureFixture) -> None:
    async def handler(request: web.Request) -> web.Response:
        await (await request.multipart()).release()
        return web.Response()

    head = b"".join(
        b"--b%d\r\nContent-Type: multipart/mixed; boundary=b%d\r\n\r\n" % (n, n + 1)
        for n in range(1000)
    )
    async with H1.serve(app_of(handler)) as site:
        client = await site.connect()
        headers = [("content-type", "multipart/mixed; boundary=b0")]
        answer = await client.fetch("POST", "/", headers, head)
        assert answer.status == 400
        assert b"more than 10 multiparts" in answer.body
    assert caplog.records == []
