"""elasticsearch: documents made one by one and in bulk, a search in pages, errors and retries."""

from __future__ import annotations

import gzip
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from elasticsearch import AsyncElasticsearch, NotFoundError
from elasticsearch.helpers import async_bulk, async_scan
from program import use

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
DOCUMENTS = web.AppKey("DOCUMENTS", dict[str, dict])
BUSY = web.AppKey("BUSY", list[str])


async def info(request: web.Request) -> web.Response:
    return web.json_response({"version": {"number": "9.0.0"}})


@web.middleware
async def product(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Say what the library looks for, whatever the answer is."""
    response = await handler(request)
    response.headers["X-Elastic-Product"] = "Elasticsearch"
    return response


async def put(request: web.Request) -> web.Response:
    key = request.match_info["key"]
    if key == "busy" and not request.app[BUSY]:
        request.app[BUSY].append(key)
        return web.json_response({}, status=503)
    assert request.headers["Authorization"].startswith("Basic ")
    request.app[DOCUMENTS][key] = await request.json()
    return web.json_response({"_id": key, "result": "created"}, status=201)


async def get(request: web.Request) -> web.Response:
    document = request.app[DOCUMENTS].get(request.match_info["key"])
    status = 404 if document is None else 200
    return web.json_response({"found": document is not None, "_source": document}, status=status)


async def bulk(request: web.Request) -> web.Response:
    lines = [json.loads(line) for line in (await request.text()).splitlines()]
    for action, document in zip(lines[::2], lines[1::2], strict=True):
        request.app[DOCUMENTS][action["index"]["_id"]] = document
    items = [{"index": {"_id": line["index"]["_id"], "status": 201}} for line in lines[::2]]
    return web.json_response({"errors": False, "items": items})


async def search(request: web.Request) -> web.Response:
    """Give three documents to a page, compressed."""
    asked = await request.json() if request.can_read_body else {}
    first = int(asked.get("scroll_id") or request.query.get("scroll_id") or 0)
    found = sorted(request.app[DOCUMENTS].items())[first : first + 3]
    hits = [{"_id": key, "_source": document} for key, document in found]
    shards = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
    answer = {"_scroll_id": str(first + 3), "_shards": shards, "hits": {"hits": hits}}
    return web.Response(
        body=gzip.compress(json.dumps(answer).encode()),
        content_type="application/json",
        headers={"Content-Encoding": "gzip"},
    )


async def forget(request: web.Request) -> web.Response:
    return web.json_response({"succeeded": True})


def make_app() -> web.Application:
    app = web.Application(middlewares=[product])
    app[DOCUMENTS], app[BUSY] = {}, []
    app.add_routes(
        [
            web.get("/", info),
            web.put("/things/_doc/{key}", put),
            web.get("/things/_doc/{key}", get),
            web.put("/_bulk", bulk),
            web.post("/things/_search", search),
            web.post("/_search/scroll", search),
            web.delete("/_search/scroll", forget),
        ]
    )
    return app


async def check(url: str, app: web.Application) -> None:
    async with AsyncElasticsearch(
        url,
        basic_auth=("ann", "secret"),
        http_compress=True,
        **({"ca_certs": os.environ["SSL_CERT_FILE"]} if url.startswith("https") else {}),
        retry_on_status=(503,),
        max_retries=2,
    ) as client:
        assert (await client.info())["version"]["number"] == "9.0.0"
        for key in ("one", "busy"):
            made = await client.index(index="things", id=key, document={"name": "ü" * 3_000})
            assert made["result"] == "created"
        assert app[BUSY]
        found = await client.get(index="things", id="one")
        assert found["_source"] == {"name": "ü" * 3_000}
        with pytest.raises(NotFoundError) as caught:
            await client.get(index="things", id="none")
        assert caught.value.status_code == 404

        async def actions() -> AsyncIterator[dict[str, object]]:
            for number in range(6):
                yield {"_index": "things", "_id": str(number), "number": number}

        assert await async_bulk(client, actions(), chunk_size=4) == (6, [])
        keys = [hit["_id"] async for hit in async_scan(client, index="things", size=3)]
        assert keys == [*"012345", "busy", "one"]


use(make_app, check)
