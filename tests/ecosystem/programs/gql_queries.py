"""gql: queries, files, a batch, and subscriptions by WebSocket and by multipart response."""

from __future__ import annotations

import asyncio
import io
import json
import ssl
from collections.abc import AsyncIterator

import pytest
from aiohttp import WSMsgType, web
from gql import Client, FileVar, GraphQLRequest, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.aiohttp_websockets import AIOHTTPWebsocketsTransport
from gql.transport.exceptions import TransportQueryError
from graphql import build_schema, graphql
from program import use

SCHEMA = build_schema(
    """
    scalar Upload
    type Query { hello(name: String!): String! fail: Int }
    type Mutation { send(files: [Upload!]!): [Int!]! }
    type Subscription { count: Int! }
    """
)


class Root:
    """What the fields of the schema are."""

    def hello(self, info: object, name: str) -> str:
        return f"hello {name}"

    def fail(self, info: object) -> int:
        raise ValueError("on purpose")

    def send(self, info: object, files: list[bytes]) -> list[int]:
        return [len(file) for file in files]


# -- the server --------------------------------------------------------------------------------


async def answer(operation: dict[str, object]) -> dict[str, object]:
    result = await graphql(
        SCHEMA, operation["query"], Root(), variable_values=operation.get("variables")
    )
    return result.formatted


async def endpoint(request: web.Request) -> web.StreamResponse:
    if request.content_type == "multipart/form-data":
        return web.json_response(await answer(await form_of(request)))
    asked = await request.json()
    if isinstance(asked, list):
        return web.json_response([await answer(one) for one in asked])
    if "subscription" in asked["query"]:
        return await stream(request)
    return web.json_response(await answer(asked))


async def form_of(request: web.Request) -> dict[str, object]:
    """Put the files of a form where its map says (graphql-multipart-request-spec)."""
    form = await request.post()
    operation = json.loads(form["operations"])
    for name, paths in json.loads(form["map"]).items():
        _, variable, index = paths[0].split(".")
        operation["variables"][variable][int(index)] = form[name].file.read()
    return operation


EVENTS = [{"data": {"count": number}} for number in (1, 2, 3)]


async def stream(request: web.Request) -> web.StreamResponse:
    """Answer a subscription with one part for each event."""
    response = web.StreamResponse(
        headers={"Content-Type": "multipart/mixed;boundary=graphql;subscriptionSpec=1.0"}
    )
    await response.prepare(request)
    for event in EVENTS:
        part = json.dumps({"payload": event})
        await response.write(
            f"\r\n--graphql\r\nContent-Type: application/json\r\n\r\n{part}".encode()
        )
    await response.write(b"\r\n--graphql--\r\n")
    return response


async def socket(request: web.Request) -> web.WebSocketResponse:
    """Speak graphql-transport-ws."""
    websocket = web.WebSocketResponse(protocols=["graphql-transport-ws"])
    await websocket.prepare(request)
    async for message in websocket:
        assert message.type is WSMsgType.TEXT
        asked = message.json()
        if asked["type"] == "connection_init":
            await websocket.send_json({"type": "connection_ack"})
        elif asked["type"] == "subscribe":
            for event in EVENTS:
                await websocket.send_json({"type": "next", "id": asked["id"], "payload": event})
            await websocket.send_json({"type": "complete", "id": asked["id"]})
    return websocket


def make_app() -> web.Application:
    app = web.Application()
    app.add_routes([web.post("/graphql", endpoint), web.get("/graphql", socket)])
    return app


# -- the client --------------------------------------------------------------------------------

HELLO = "query ($name: String!) { hello(name: $name) }"
COUNT = gql("subscription { count }")


async def check(url: str, app: web.Application) -> None:
    tls: ssl.SSLContext | bool = ssl.create_default_context() if url.startswith("https") else False
    transport = AIOHTTPTransport(f"{url}/graphql", ssl=tls)
    async with Client(transport=transport, schema=SCHEMA) as session:
        found = await session.execute(gql(HELLO), variable_values={"name": "ann"})
        assert found == {"hello": "hello ann"}
        asked = [GraphQLRequest(HELLO, variable_values={"name": name}) for name in ("a", "b")]
        found = await session.execute_batch(asked)
        assert found == [{"hello": "hello a"}, {"hello": "hello b"}]
        with pytest.raises(TransportQueryError) as caught:
            await session.execute(gql("{ fail }"))
        assert caught.value.errors[0]["message"] == "on purpose"

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(3):
                await asyncio.sleep(0)
                yield b"x" * 50_000

        files = [
            FileVar(__file__, content_type="text/x-python"),
            FileVar(io.BytesIO(b"in memory"), filename="m"),
            FileVar(pieces(), filename="stream"),
        ]
        found = await session.execute(
            gql("mutation ($files: [Upload!]!) { send(files: $files) }"),
            variable_values={"files": files},
            upload_files=True,
        )
        with open(__file__, "rb") as file:
            assert found == {"send": [len(file.read()), 9, 150_000]}

    address = f"{url.replace('http', 'ws', 1)}/graphql"
    websocket = AIOHTTPWebsocketsTransport(address, ssl=tls or None)
    for other in (websocket, AIOHTTPTransport(f"{url}/graphql", ssl=tls)):
        async with Client(transport=other) as session:
            counted = [event["count"] async for event in session.subscribe(COUNT)]
        assert counted == [1, 2, 3], (other, counted)


use(make_app, check)
