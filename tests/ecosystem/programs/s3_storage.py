"""aiobotocore: objects of a local S3 server, whole, in parts, as a stream, by a signed URL."""

from __future__ import annotations

import os
from hashlib import md5
from xml.sax.saxutils import escape

import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from aiohttp import ClientSession, web
from botocore.exceptions import ClientError
from program import use

OBJECTS = web.AppKey("OBJECTS", dict[str, bytes])
PARTS = web.AppKey("PARTS", dict[int, bytes])
LARGE = bytes(range(256)) * 24_000  # more than one part may have at least


# -- the server: what a client asks for below, and no more -------------------------------------


async def content_of(request: web.Request) -> bytes:
    """Return the content of an upload, without the frames of ``aws-chunked``."""
    content = await request.read()
    if "aws-chunked" not in request.headers.get("Content-Encoding", ""):
        return content
    found = b""
    while True:
        head, _, content = content.partition(b"\r\n")
        size = int(head.split(b";")[0], 16)
        if not size:
            assert len(found) == int(request.headers["X-Amz-Decoded-Content-Length"])
            return found
        found, content = found + content[:size], content[size + 2 :]


def document(name: str, **fields: object) -> web.Response:
    text = "".join(f"<{key}>{escape(str(value))}</{key}>" for key, value in fields.items())
    return xml(f"<{name}>{text}</{name}>")


def xml(text: str, status: int = 200) -> web.Response:
    return web.Response(text=f'<?xml version="1.0"?>{text}', content_type="text/xml", status=status)


def tag(content: bytes) -> str:
    return f'"{md5(content).hexdigest()}"'


async def put(request: web.Request) -> web.Response:
    content = await content_of(request)
    if "partNumber" in request.query:
        request.app[PARTS][int(request.query["partNumber"])] = content
    else:
        request.app[OBJECTS][request.match_info["key"]] = content
    return web.Response(headers={"ETag": tag(content)})


async def post(request: web.Request) -> web.Response:
    key = request.match_info["key"]
    if "uploads" in request.query:
        return document("InitiateMultipartUploadResult", Bucket="box", Key=key, UploadId="u1")
    assert request.query["uploadId"] == "u1"
    numbers = sorted(request.app[PARTS])
    assert (await request.text()).count("<Part>") == len(numbers)
    request.app[OBJECTS][key] = b"".join(request.app[PARTS][number] for number in numbers)
    return document("CompleteMultipartUploadResult", Key=key, ETag='"whole"')


async def get(request: web.Request) -> web.StreamResponse:
    signed = request.query.get("X-Amz-Signature") or request.headers.get("Authorization", "")
    assert signed, "not signed"
    content = request.app[OBJECTS].get(request.match_info["key"])
    if content is None:
        return xml("<Error><Code>NoSuchKey</Code><Message>None</Message></Error>", 404)
    headers = {"ETag": tag(content), "Last-Modified": "Sat, 28 Nov 2026 12:00:00 GMT"}
    if "Range" not in request.headers:
        return web.Response(body=content, headers=headers)
    piece = content[request.http_range]
    return web.Response(body=piece, status=206, headers=headers)


async def listing(request: web.Request) -> web.Response:
    """Two objects to a page."""
    keys = sorted(
        key for key in request.app[OBJECTS] if key > request.query.get("continuation-token", "")
    )
    contents = "".join(
        f"<Contents><Key>{escape(key)}</Key><Size>{len(request.app[OBJECTS][key])}</Size></Contents>"
        for key in keys[:2]
    )
    more = f"<NextContinuationToken>{escape(keys[1])}</NextContinuationToken>" if keys[2:] else ""
    truncated = "true" if more else "false"
    return xml(
        f"<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{more}{contents}</ListBucketResult>"
    )


async def delete(request: web.Request) -> web.Response:
    del request.app[OBJECTS][request.match_info["key"]]
    return web.Response(status=204)


def make_app() -> web.Application:
    app = web.Application(client_max_size=0)
    app[OBJECTS] = {}
    app[PARTS] = {}
    app.add_routes(
        [
            web.get("/box", listing),
            web.get("/box/{key:.+}", get),
            web.put("/box/{key:.+}", put),
            web.post("/box/{key:.+}", post),
            web.delete("/box/{key:.+}", delete),
        ]
    )
    return app


# -- the client --------------------------------------------------------------------------------


async def check(url: str, app: web.Application) -> None:
    async with get_session().create_client(
        "s3",
        region_name="eu-central-1",
        endpoint_url=url,
        aws_access_key_id="key",
        aws_secret_access_key="secret",
        verify=os.environ.get("SSL_CERT_FILE"),
        config=AioConfig(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    ) as client:
        await _objects(client)
        await _parts(client)
        signed = await client.generate_presigned_url(
            "get_object", Params={"Bucket": "box", "Key": "a b/ü.txt"}, ExpiresIn=60
        )
    async with ClientSession() as session, session.get(signed) as response:
        assert (response.status, await response.read()) == (200, b"small")


async def _objects(client: object) -> None:
    await client.put_object(Bucket="box", Key="a b/ü.txt", Body=b"small")
    with open(__file__, "rb") as file:
        await client.put_object(Bucket="box", Key="file", Body=file, ContentType="text/x-python")
    await client.put_object(Bucket="box", Key="last", Body=b"")
    found = await client.get_object(Bucket="box", Key="file")
    async with found["Body"] as stream:
        lines = [line async for line in stream.iter_lines()]
    with open(__file__, "rb") as file:
        assert lines == file.read().splitlines()
    head = await client.head_object(Bucket="box", Key="a b/ü.txt")
    assert (head["ContentLength"], head["LastModified"].year) == (5, 2026)
    part = await client.get_object(Bucket="box", Key="a b/ü.txt", Range="bytes=1-3")
    assert await part["Body"].read() == b"mal"
    pages = client.get_paginator("list_objects_v2").paginate(Bucket="box")
    keys = [entry["Key"] async for page in pages for entry in page["Contents"]]
    assert keys == ["a b/ü.txt", "file", "last"], keys
    await client.delete_object(Bucket="box", Key="last")
    with pytest.raises(ClientError) as caught:
        await client.get_object(Bucket="box", Key="last")
    assert caught.value.response["Error"]["Code"] == "NoSuchKey"


async def _parts(client: object) -> None:
    where = {"Bucket": "box", "Key": "large"}
    upload = (await client.create_multipart_upload(**where))["UploadId"]
    parts = []
    for number, first in enumerate(range(0, len(LARGE), 5_500_000), 1):
        part = await client.upload_part(
            **where, UploadId=upload, PartNumber=number, Body=LARGE[first : first + 5_500_000]
        )
        parts.append({"PartNumber": number, "ETag": part["ETag"]})
    await client.complete_multipart_upload(
        **where, UploadId=upload, MultipartUpload={"Parts": parts}
    )
    found = await client.get_object(**where)
    pieces = [piece async for piece in found["Body"].iter_chunks(100_000)]
    assert len(pieces) > 10
    assert b"".join(pieces) == LARGE


use(make_app, check)
