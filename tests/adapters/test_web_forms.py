"""Multipart requests at a handler: ``request.multipart()``, ``request.post()``, files."""

from __future__ import annotations

import asyncio
import base64
import gzip
import io
import logging
from collections.abc import Callable
from typing import Any

import pytest

from plait import BodyPartReader, MultipartReader, web
from plait.serving.form import MAX_IN_MEMORY
from plait_engine.content.multipart import MultipartError
from tests.adapters.web_peer import Answer, Setup, app_of

pytestmark = pytest.mark.anyio

FORM = [("content-type", "multipart/form-data; boundary=b")]
Part = tuple[str, bytes]


def body_of(*parts: Part) -> bytes:
    """Return a form: the Content-Disposition (and more fields) and the content of each part."""
    pieces = [
        f"--b\r\nContent-Disposition: form-data; {head}\r\n\r\n".encode() + content + b"\r\n"
        for head, content in parts
    ]
    return b"".join(pieces) + b"--b--\r\n"


async def answer_to(
    setup: Setup, handler: Any, body: bytes, headers: Any = FORM, **options: Any
) -> Answer:
    """Return the answer to a POST, and see that the connection is fit for more."""
    async with setup.serve(app_of(handler, **options)) as site:
        client = await site.connect()
        return await client.fetch("POST", "/", headers, body)


async def read_form(request: web.Request) -> web.Response:
    await request.post()
    return web.Response()


async def read_parts(request: web.Request) -> web.Response:
    await (await request.multipart()).release()
    return web.Response()


async def fields_of(setup: Setup, body: bytes, **options: Any) -> list[tuple[str, Any]]:
    """Return what ``post`` makes of ``body``: files as their names and bytes."""
    seen: list[tuple[str, Any]] = []

    async def handler(request: web.Request) -> web.Response:
        form = await request.post()
        assert await request.post() is form
        for name, value in form.items():
            if isinstance(value, web.FileField):
                assert value.name == name
                seen.append((name, (value.filename, value.content_type, value.file.read())))
            else:
                seen.append((name, value))
        return web.Response()

    answer = await answer_to(setup, handler, body, **options)
    assert answer.status == 200, answer.body
    return seen


# -- post() --------------------------------------------------------------------------------------


async def test_fields_and_files(setup: Setup) -> None:
    body = body_of(
        ('name="a"', b"one"),
        ('name="a"', "\u00e9".encode()),
        ('name="t"\r\nContent-Type: text/plain; charset=latin-1', b"\xe9"),
        ('name="j"\r\nContent-Type: application/json', b"{}"),
        ('name="f"; filename="x.txt"', b"file"),
        ('name="f"; filename="../y"\r\nContent-Type: text/html', b""),
        ('name="e"; filename=""', b""),
        ('name="b"\r\nContent-Transfer-Encoding: base64', b"b25l"),
    )
    assert await fields_of(setup, body) == [
        ("a", "one"),
        ("a", "\u00e9"),
        ("t", "\u00e9"),
        ("j", b"{}"),
        ("f", ("x.txt", "application/octet-stream", b"file")),
        ("f", ("../y", "text/html", b"")),
        ("e", ""),
        ("b", "one"),
    ]


async def test_names_as_browsers_send_them(setup: Setup) -> None:
    body = body_of(('name="\u00e9"; filename="%22\u65e5.txt"', b"x"))
    fields = await fields_of(setup, body)
    assert fields == [("\u00e9", ("%22\u65e5.txt", "application/octet-stream", b"x"))]


async def test_the_charset_of_the_form(setup: Setup) -> None:
    body = body_of(('name="_charset_"', b"latin-1"), ('name="a"', b"\xe9"))
    assert await fields_of(setup, body) == [("a", "\u00e9")]


async def test_an_empty_form(setup: Setup) -> None:
    assert await fields_of(setup, b"--b--\r\n") == []


async def test_other_methods_and_types(setup: Setup) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(text=str(len(await request.post())))

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        body = body_of(('name="a"', b"one"))
        for method in ("POST", "PUT", "PATCH", "DELETE"):
            assert (await client.fetch(method, "/", FORM, body)).body == b"1"
        assert (await client.fetch("QUERY", "/", FORM, body)).body == b"0"
        mixed = [("content-type", "multipart/mixed; boundary=b")]
        assert (await client.fetch("POST", "/", mixed, body)).body == b"0"


async def test_a_form_that_is_compressed(setup: Setup) -> None:
    body = body_of(('name="a"', b"one"), ('name="f"; filename="x"', bytes(600_000)))
    headers = [*FORM, ("content-encoding", "gzip")]

    async def handler(request: web.Request) -> web.Response:
        form = await request.post()
        field = form["f"]
        assert isinstance(field, web.FileField)
        return web.Response(text=f"{form['a']} {len(field.file.read())}")

    answer = await answer_to(setup, handler, gzip.compress(body), headers)
    assert answer.body == b"one 600000"
    large = gzip.compress(body_of(('name="f"; filename="x"', bytes(20_000_000))))
    assert (await answer_to(setup, handler, large, headers)).status == 413


async def test_what_was_read_can_be_parsed(setup: Setup) -> None:
    body = body_of(('name="a"', b"one"), ('name="f"; filename="x"', b"two"))

    async def handler(request: web.Request) -> web.Response:
        assert await request.read() == body
        form = await request.post()
        reader = await request.multipart()
        part = await reader.next()
        assert isinstance(part, BodyPartReader)
        assert await part.read() == b"one"
        return web.Response(text=str(list(form)))

    assert (await answer_to(setup, handler, body)).body == b"['a', 'f']"


@pytest.mark.parametrize("size", [0, 1, MAX_IN_MEMORY, MAX_IN_MEMORY + 1, 3 * MAX_IN_MEMORY])
async def test_files_of_any_size_are_closed_in_the_end(size: int) -> None:
    files: list[Any] = []
    content = (bytes(range(256)) * (size // 256 + 1))[:size]

    async def handler(request: web.Request) -> web.Response:
        field = (await request.post())["f"]
        assert isinstance(field, web.FileField)
        files.append(field.file)
        assert field.file.read() == content
        field.file.seek(0)
        assert not field.file.closed
        return web.Response()

    body = body_of(('name="f"; filename="x"', content))
    assert (await answer_to(H1, handler, body, client_max_size=0)).status == 200
    await asyncio.get_running_loop().shutdown_default_executor()  # where large files are closed
    assert files[0].closed


async def test_files_of_a_form_that_fails_are_closed(setup: Setup) -> None:
    seen: list[Any] = []

    async def handler(request: web.Request) -> web.Response:
        try:
            await request.post()
        except MultipartError:
            seen.append(request)
            raise
        return web.Response()

    body = body_of(('name="f"; filename="x"', bytes(2 * MAX_IN_MEMORY)), ("x=y", b""))
    answer = await answer_to(setup, handler, body, client_max_size=0)
    assert answer.status == 400
    assert seen  # That nothing is left open, the warnings would tell.


# -- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "no boundary"),
        (b"junk", "no boundary"),
        (b'--b\r\nContent-Disposition: form-data; name="a"\r\n\r\none', "ends before"),
        (b"--b\r\nA\r\n\r\n\r\n--b--", "malformed header field"),
        (b"--b\r\nA: " + b"x" * 9000 + b"\r\n\r\n\r\n--b--", "more than 8190 bytes"),
        (b"--b\r\n" + b"A: 1\r\n" * 200 + b"\r\n\r\n--b--", "more than 128 header fields"),
        (b"--b\r\n" + b"x" * 100_000, "more than 16384 bytes"),
        (body_of(("x=y", b"one")), "missing name"),
        (b"--b\r\n\r\none\r\n--b--", "missing name"),
        (body_of(('name="a"\r\nContent-Type: text/plain; charset=x-y', b"")), "unknown charset"),
        (body_of(('name="a"', b"\xff")), "can't decode byte 0xff"),
        (body_of(('name="a"\r\nContent-Transfer-Encoding: x', b"x")), "transfer encoding: x"),
        (body_of(('name="a"\r\nContent-Transfer-Encoding: base64', b"xxx")), "invalid base64"),
        (body_of(('name="a"\r\nContent-Type: multipart/mixed; boundary=c', b"--c--")), "multipart"),
        (body_of(('name="a"\r\nContent-Type: multipart/mixed', b"--c--")), "names no boundary"),
    ],
)
async def test_what_is_no_form(
    setup: Setup, body: bytes, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer = await answer_to(setup, read_form, body)
    assert answer.status == 400
    assert text in answer.body.decode()
    assert answer.header("content-type") == "text/plain; charset=utf-8"
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


@pytest.mark.parametrize(
    ("media_type", "status"),
    [
        ("multipart/form-data", 400),
        ("multipart/form-data; boundary=" + "b" * 71, 400),
        ("multipart/form-data; boundary=\u00e9", 400),
        ("text/plain", 415),
    ],
)
async def test_media_types_that_are_refused(setup: Setup, media_type: str, status: int) -> None:
    headers = [("content-type", media_type)]
    answer = await answer_to(setup, read_parts, b"--b--", headers)
    assert answer.status == status


async def test_an_error_of_somebody_elses_multipart_is_ours(
    setup: Setup, caplog: pytest.LogCaptureFixture
) -> None:
    async def handler(request: web.Request) -> web.Response:
        raise MultipartError("of another server")

    answer = await answer_to(setup, handler, b"", [("content-type", "text/plain")])
    assert answer.status == 500
    assert len(caplog.records) == 1


FIELDS: dict[str, Callable[[int], bytes]] = {
    "field": lambda size: body_of(('name="a"', b"x" * size)),
    "file": lambda size: body_of(('name="a"; filename="x"', b"x" * size)),
    "base64": lambda size: body_of(
        ('name="a"\r\nContent-Transfer-Encoding: base64', base64.b64encode(b"x" * size))
    ),
    "small fields": lambda size: body_of(*[('name="a"', b"")] * (size // 60 + 1)),
    "preamble": lambda size: b"x" * size + b"\r\n" + body_of(),
    "header fields": lambda size: body_of(*[('name="a"\r\nA: ' + "x" * 1000, b"")] * (size // 1000)),
}  # fmt: skip


@pytest.mark.parametrize("kind", FIELDS)
@pytest.mark.parametrize("known", [True, False])
async def test_forms_that_are_too_large(setup: Setup, kind: str, known: bool) -> None:
    body = FIELDS[kind](1_000_000)
    headers = [*FORM, ("content-length", str(len(body)))] if known else FORM
    async with setup.serve(app_of(read_form, client_max_size=50_000)) as site:
        client = await site.connect()
        answer = client.request("POST", "/", headers, end=False)
        if not known:
            for start in range(0, 200_000, 10_000):
                answer.send_body(body[start : start + 10_000], end=False)
        await asyncio.wait_for(answer.head_came.wait(), 20)
        assert answer.status == 413


async def test_the_limit_on_size_is_exact(setup: Setup) -> None:
    body = body_of(('name="a"', b"x" * 100), ('name="f"; filename="f"', b"x" * 100))
    answer = await answer_to(setup, read_form, body, client_max_size=len(body) - 1)
    assert answer.status == 413
    assert len(await fields_of(setup, body, client_max_size=len(body))) == 2


async def test_the_limit_on_fields(setup: Setup) -> None:
    parts = [('name="a"', b"x"), ('name="f"; filename="f"', b"x"), ('name="c"', b"x")]
    assert len(await fields_of(setup, body_of(*parts), client_max_fields=3)) == 3
    parts.append(('name="d"', b"x"))
    answer = await answer_to(setup, read_form, body_of(*parts), client_max_fields=3)
    assert answer.status == 413
    assert b"form fields 3" in answer.body
    assert len(await fields_of(setup, body_of(*parts), client_max_fields=0)) == 4


async def test_expect_is_answered_before_the_content(setup: Setup) -> None:
    async with setup.serve(app_of(read_form, client_max_size=100)) as site:
        client = await site.connect()
        fields = [*FORM, ("content-length", "1000"), ("expect", "100-continue")]
        answer = await client.request("POST", "/", fields, end=False).complete()
        assert answer.status == 413
        assert answer.informational == []


# -- multipart() -----------------------------------------------------------------------------------


async def test_the_limit_on_parts(setup: Setup) -> None:
    async def handler(request: web.Request) -> web.Response:
        count = 0
        async for _ in await request.multipart():
            count += 1
        return web.Response(text=str(count))

    parts = [('name="a"', b"x")] * 3
    for limit, status, text in ((3, 200, b"3"), (2, 413, b"more than 2 parts"), (0, 200, b"3")):
        answer = await answer_to(setup, handler, body_of(*parts), client_max_fields=limit)
        assert (answer.status, answer.body) == (status, text)


async def test_parts_as_they_come(setup: Setup) -> None:
    sizes: list[int] = []
    seen = asyncio.Event()

    async def handler(request: web.Request) -> web.Response:
        reader = await request.multipart()
        assert isinstance(reader, MultipartReader)
        async for part in reader:
            assert isinstance(part, BodyPartReader)
            while chunk := await part.read_chunk(1000):
                assert len(chunk) <= 1000
                sizes.append(len(chunk))
                seen.set()
        return web.Response(text=str(sum(sizes)))

    async with setup.serve(app_of(handler, client_max_size=10)) as site:
        client = await site.connect()
        answer = client.request("POST", "/", FORM, end=False)
        body = body_of(('name="a"', b"x" * 50_000), ('name="b"', b"y" * 50_000))
        answer.send_body(body[:5000], end=False)
        await asyncio.wait_for(seen.wait(), 20)  # before the rest was sent
        answer.send_body(body[5000:])
        assert (await answer.complete()).body == b"100000"


@pytest.mark.parametrize("read", ["read", "text", "json", "form"])
async def test_a_part_is_read_within_the_limit(setup: Setup, read: str) -> None:
    async def handler(request: web.Request) -> web.Response:
        part = await (await request.multipart()).next()
        assert isinstance(part, BodyPartReader)
        await getattr(part, read)()
        return web.Response()

    body = body_of(('name="a"', b"1" * 1001))
    assert (await answer_to(setup, handler, body, client_max_size=1000)).status == 413
    assert (await answer_to(setup, handler, body, client_max_size=1001)).status == 200
    assert (await answer_to(setup, handler, body, client_max_size=0)).status == 200


async def test_bombs_are_refused(setup: Setup) -> None:
    async def handler(request: web.Request) -> web.Response:
        part = await (await request.multipart()).next()
        assert isinstance(part, BodyPartReader)
        await part.read(decode=True)
        return web.Response()

    body = (
        b"--b\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(bytes(10_000_000)) + b"\r\n--b--"
    )
    mixed = [("content-type", "multipart/mixed; boundary=b")]
    assert (await answer_to(setup, handler, body, mixed)).status == 413


async def test_a_handler_that_reads_half(setup: Setup) -> None:
    async def handler(request: web.Request) -> web.Response:
        part = await (await request.multipart()).next()
        assert isinstance(part, BodyPartReader)
        return web.Response(body=await part.read_chunk(3))

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        for _ in range(2):
            body = body_of(('name="a"', b"one" * 1000), ('name="b"', b"two"))
            assert (await client.fetch("POST", "/", FORM, body)).body == b"one"


async def test_a_client_that_leaves(setup: Setup) -> None:
    begun = asyncio.Event()
    caught: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()

    async def handler(request: web.Request) -> web.Response:
        part = await (await request.multipart()).next()
        assert isinstance(part, BodyPartReader)
        begun.set()
        try:
            await part.read()
        except BaseException as error:
            caught.set_result(error)
            raise
        return web.Response()

    async with setup.serve(app_of(handler)) as site:
        client = await site.connect()
        answer = client.request("POST", "/", FORM, end=False)
        answer.send_body(body_of(('name="f"; filename="x"', b"x" * 5000))[:4000], end=False)
        await asyncio.wait_for(begun.wait(), 20)
        client.abort()
        assert isinstance(
            await asyncio.wait_for(caught, 20), ConnectionResetError | web.RequestPayloadError
        )


async def test_a_part_as_a_response(setup: Setup) -> None:
    async def handler(request: web.Request) -> web.Response:
        return web.Response(body=await (await request.multipart()).next())

    body = body_of(('name="a"; filename="b"', b"one" * 1000))
    answer = await answer_to(setup, handler, body)
    assert answer.body == b"one" * 1000
    assert answer.header("content-disposition") == 'attachment; name="a"; filename="b"'


H1 = Setup("http/1.1", "native")


async def test_a_large_file_is_written_by_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    async def handler(request: web.Request) -> web.Response:
        loop = asyncio.get_running_loop()
        run, names = loop.run_in_executor, []

        def noted(executor: Any, function: Any, *args: Any) -> Any:
            names.append(function.__name__)
            return run(executor, function, *args)

        monkeypatch.setattr(loop, "run_in_executor", noted)
        await request.post()
        return web.Response(text=" ".join(sorted(set(names))))

    for size, expected in ((MAX_IN_MEMORY, b""), (MAX_IN_MEMORY + 1, b"_finish")):
        body = body_of(('name="f"; filename="x"', io.BytesIO(bytes(size)).read()))
        assert (await answer_to(H1, handler, body, client_max_size=0)).body == expected
