"""strawberry: a GraphQL server with queries, a file upload and subscriptions."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator

import strawberry
from aiohttp import FormData, WSMsgType, web
from aiohttp.test_utils import TestClient
from program import run
from strawberry.aiohttp.views import GraphQLView
from strawberry.file_uploads import Upload


@strawberry.type
class Query:
    @strawberry.field
    def hello(self, info: strawberry.Info, name: str) -> str:
        info.context["response"].headers["X-Name"] = name
        info.context["response"].set_cookie("name", name)
        return f"{info.context['request'].method} {name}"


@strawberry.type
class Mutation:
    @strawberry.mutation
    async def read(self, file: Upload) -> str:
        return file.read().decode()


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def count(self, until: int) -> AsyncIterator[int]:
        for number in range(until):
            yield number


SCHEMA = strawberry.Schema(Query, Mutation, Subscription)


async def version(request: web.Request) -> web.Response:
    return web.Response()


def make_app() -> web.Application:
    app = web.Application()
    view = GraphQLView(schema=SCHEMA, multipart_uploads_enabled=True)
    app.router.add_route("*", "/graphql", view)
    app.router.add_get("/version", version)
    return app


async def check(client: TestClient) -> None:
    query = {"query": '{hello(name: "ann")}'}
    async with client.post("/graphql", json=query) as response:
        assert await response.json() == {"data": {"hello": "POST ann"}}
        assert response.headers["X-Name"] == response.cookies["name"].value == "ann"
    async with client.get("/graphql", params=query) as response:
        assert await response.json() == {"data": {"hello": "GET ann"}}
    async with client.get("/graphql", headers={"Accept": "text/html"}) as response:
        assert response.content_type == "text/html"
    for body in (b"{bad", b"{}"):
        headers = {"Content-Type": "application/json"}
        async with client.post("/graphql", data=body, headers=headers) as response:
            assert response.status == 400
    form = FormData()
    mutation = {"query": "mutation($file: Upload!) {read(file: $file)}"}
    form.add_field("operations", json.dumps({**mutation, "variables": {"file": None}}))
    form.add_field("map", json.dumps({"0": ["variables.file"]}))
    form.add_field("0", io.BytesIO("ü".encode() * 50_000), filename="ü.txt")
    async with client.post("/graphql", data=form) as response:
        assert await response.json() == {"data": {"read": "ü" * 50_000}}
    subscription = {"query": "subscription {count(until: 3)}"}
    async with client.ws_connect("/graphql", protocols=["graphql-transport-ws"]) as websocket:
        assert websocket.protocol == "graphql-transport-ws"
        await websocket.send_json({"type": "connection_init"})
        assert (await websocket.receive_json())["type"] == "connection_ack"
        await websocket.send_json({"id": "1", "type": "subscribe", "payload": subscription})
        for number in range(3):
            assert (await websocket.receive_json())["payload"] == {"data": {"count": number}}
        assert await websocket.receive_json() == {"id": "1", "type": "complete"}
        await websocket.send_str("nonsense")
        closed = await websocket.receive()
        assert (closed.type, closed.data) == (WSMsgType.CLOSE, 4400)


run(make_app, check)
