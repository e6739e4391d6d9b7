"""clickhouse-connect: rows inserted and selected, whole and as a stream, in a database's own format.

The server has one table, and knows the queries that are asked here.
"""

from __future__ import annotations

import gzip
import os
import struct

import pytest
from aiohttp import web
from clickhouse_connect import get_async_client
from clickhouse_connect.driver.exceptions import DatabaseError
from program import use
from yarl import URL

COLUMNS = [("number", "UInt32"), ("name", "String")]
ROWS = web.AppKey("ROWS", list)
BLOCK = 1000
"""Rows in a block of an answer."""

# -- the format Native ----------------------------------------------------------------------------


def number(value: int) -> bytes:
    """Return ``value`` in seven bits a byte, the lowest first."""
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])


def text(value: str) -> bytes:
    encoded = value.encode()
    return number(len(encoded)) + encoded


WRITERS = {
    "UInt8": lambda value: struct.pack("<B", value),
    "UInt32": lambda value: struct.pack("<I", value),
    "String": text,
}


def block(columns: list[tuple[str, str]], rows: list[tuple]) -> bytes:
    out = number(len(columns)) + number(len(rows))
    for place, (name, kind) in enumerate(columns):
        out += text(name) + text(kind)
        out += b"".join(WRITERS[kind](row[place]) for row in rows)
    return out


class Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def take(self, size: int) -> bytes:
        self.place += size
        return self.data[self.place - size : self.place]

    def number(self) -> int:
        value = shift = 0
        while True:
            (byte,) = self.take(1)
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7

    def text(self) -> str:
        return self.take(self.number()).decode()

    def rows(self) -> list[tuple]:
        found = []
        while self.place < len(self.data):
            columns = []
            width, height = self.number(), self.number()
            for _ in range(width):
                self.text()
                if self.text() == "String":
                    columns.append([self.text() for _ in range(height)])
                else:
                    columns.append(list(struct.unpack(f"<{height}I", self.take(4 * height))))
            found += zip(*columns, strict=True)
        return found


# -- the server -----------------------------------------------------------------------------------


async def answer(request: web.Request) -> web.StreamResponse:
    assert request.headers["Authorization"] == "Basic dXNlcjpzZWNyZXQ="
    content = await request.read()
    if request.headers.get("Content-Encoding") == "gzip" and content[:2] == b"\x1f\x8b":
        content = gzip.decompress(content)
    query = request.query.get("query", "").encode()
    if not query:
        query, _, content = content.partition(b"\n")
    sql = query.decode()
    if "version()" in sql:
        return web.Response(text="24.8.1.1\tUTC\n")
    if "system.settings" in sql:
        names = ["enable_http_compression", "wait_end_of_query", "send_progress_in_http_headers"]
        columns = [("name", "String"), ("value", "String"), ("readonly", "UInt8")]
        return native(request, block(columns, [(name, "0", 0) for name in names]))
    if "AS check" in sql:
        return native(request, block([("check", "UInt8")], [(1,)]))
    if sql.startswith("DESCRIBE TABLE"):
        more = ["default_type", "default_expression", "comment", "codec_expression"]
        fields = [(name, "String") for name in ["name", "type", *more, "ttl_expression"]]
        rows = [(name, kind, "", "", "", "", "") for name, kind in COLUMNS]
        return native(request, block(fields, rows))
    if sql.startswith("INSERT INTO"):
        rows = Reader(content).rows()
        request.app[ROWS].extend(rows)
        summary = f'{{"written_rows":"{len(rows)}"}}'
        return web.Response(headers={"X-ClickHouse-Summary": summary})
    if sql.startswith("SELECT number, name FROM things"):
        return await stream(request, request.app[ROWS])
    if sql.startswith("TRUNCATE"):
        request.app[ROWS].clear()
        return web.Response()
    return web.Response(
        status=404,
        text="Code: 47. DB::Exception: Unknown identifier. (UNKNOWN_IDENTIFIER)",
        headers={"X-ClickHouse-Exception-Code": "47"},
    )


def native(request: web.Request, data: bytes) -> web.Response:
    headers = {"Content-Type": "application/octet-stream", "X-ClickHouse-Format": "Native"}
    if "gzip" in request.headers.get("Accept-Encoding", ""):
        data = gzip.compress(data)
        headers["Content-Encoding"] = "gzip"
    return web.Response(body=data, headers=headers)


async def stream(request: web.Request, rows: list[tuple]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"X-ClickHouse-Format": "Native"})
    await response.prepare(request)
    for start in range(0, len(rows), BLOCK):
        await response.write(block(COLUMNS, rows[start : start + BLOCK]))
    return response


async def ping(request: web.Request) -> web.Response:
    return web.Response(text="Ok.\n")


def make_app() -> web.Application:
    app = web.Application(client_max_size=2**26)
    app[ROWS] = []
    app.add_routes([web.post("/", answer), web.get("/", answer), web.get("/ping", ping)])
    return app


# -- what the library does ------------------------------------------------------------------------


async def check(url: str, app: web.Application) -> None:
    place = URL(url)
    client = await get_async_client(
        interface=place.scheme,
        host="localhost",
        port=place.port,
        username="user",
        password="secret",
        compress="gzip",
        ca_cert=os.environ.get("SSL_CERT_FILE"),
    )
    async with client:
        assert await client.ping()
        assert client.server_version == "24.8.1.1"
        rows = [[n, f"thing {n}"] for n in range(5 * BLOCK)]
        summary = await client.insert("things", rows, column_names=["number", "name"])
        assert summary.written_rows == len(rows)
        result = await client.query("SELECT number, name FROM things")
        assert result.column_names == ("number", "name")
        assert [list(row) for row in result.result_rows] == rows
        seen = 0
        async with await client.query_row_block_stream("SELECT number, name FROM things") as blocks:
            async for found in blocks:
                assert [list(row) for row in found] == rows[seen : seen + len(found)]
                seen += len(found)
        assert seen == len(rows)
        # A stream that is left in the middle.
        async with await client.query_rows_stream("SELECT number, name FROM things") as left:
            async for row in left:
                assert list(row) == rows[0]
                break
        raw = await client.raw_query("SELECT number, name FROM things", fmt="Native")
        assert [list(row) for row in Reader(raw).rows()] == rows
        with pytest.raises(DatabaseError, match="Unknown identifier"):
            await client.query("SELECT nothing FROM things")
        await client.command("TRUNCATE TABLE things")
        assert (await client.query("SELECT number, name FROM things")).result_rows == []


use(make_app, check)
