"""kubernetes-asyncio: pods listed, made and watched, a log that is followed, a command in a pod."""

from __future__ import annotations

import asyncio
import json
import os

import pytest
from aiohttp import WSMsgType, web
from kubernetes_asyncio import client, watch
from kubernetes_asyncio.stream import WsApiClient
from program import use

PODS = "/api/v1/namespaces/default/pods"


def pod(name: str, phase: str = "Running") -> dict[str, object]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default", "resourceVersion": "7"},
        "spec": {"containers": [{"name": "main", "image": "none"}]},
        "status": {"phase": phase},
    }


async def pods(request: web.Request) -> web.StreamResponse:
    assert request.headers["Authorization"] == "Bearer secret"
    if "watch" not in request.query:
        items = [pod("a"), pod("b", "Pending")]
        return web.json_response(
            {"kind": "PodList", "apiVersion": "v1", "items": items, "metadata": {}}
        )
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    await response.prepare(request)
    for kind, one in (("ADDED", pod("c", "Pending")), ("MODIFIED", pod("c"))):
        line = json.dumps({"type": kind, "object": one}).encode() + b"\n"
        # A line comes in pieces.
        await response.write(line[:50])
        await asyncio.sleep(0)
        await response.write(line[50:])
    return response


async def create(request: web.Request) -> web.Response:
    asked = await request.json()
    if asked["metadata"]["name"] == "a":
        status = {"kind": "Status", "reason": "AlreadyExists", "code": 409}
        return web.json_response(status, status=409)
    return web.json_response({**pod(asked["metadata"]["name"]), **asked}, status=201)


async def log(request: web.Request) -> web.StreamResponse:
    assert request.query["follow"] == "True"
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    await response.prepare(request)
    for number in range(3):
        await response.write(f"line {number}\n".encode())
    return response


async def execute(request: web.Request) -> web.WebSocketResponse:
    """Echo the standard input; the first byte of a message is the number of a stream."""
    websocket = web.WebSocketResponse(protocols=["v4.channel.k8s.io"])
    await websocket.prepare(request)
    assert request.query.getall("command") == ["sh", "-c", "cat"]
    await websocket.send_bytes(b"\x01ready\n")
    heard = await websocket.receive()
    assert heard.type in (WSMsgType.BINARY, WSMsgType.TEXT)
    content = heard.data if isinstance(heard.data, bytes) else heard.data.encode()
    assert content[:1] == b"\x00"
    await websocket.send_bytes(b"\x01" + content[1:])
    await websocket.send_bytes(b"\x02warning\n")
    await websocket.send_bytes(b"\x03" + json.dumps({"status": "Success"}).encode())
    await websocket.close()
    return websocket


def make_app() -> web.Application:
    app = web.Application()
    app.add_routes(
        [
            web.get(PODS, pods),
            web.post(PODS, create),
            web.get(f"{PODS}/a/log", log),
            web.get(f"{PODS}/a/exec", execute),
        ]
    )
    return app


async def check(url: str, app: web.Application) -> None:
    configuration = client.Configuration(host=url)
    configuration.api_key = {"BearerToken": "Bearer secret"}
    configuration.ssl_ca_cert = os.environ.get("SSL_CERT_FILE")
    async with client.ApiClient(configuration) as api:
        core = client.CoreV1Api(api)
        found = await core.list_namespaced_pod("default")
        assert [(one.metadata.name, one.status.phase) for one in found.items] == [
            ("a", "Running"),
            ("b", "Pending"),
        ]
        made = await core.create_namespaced_pod(
            "default", client.V1Pod(metadata=client.V1ObjectMeta(name="d"))
        )
        assert made.metadata.name == "d"
        with pytest.raises(client.ApiException) as caught:
            await core.create_namespaced_pod(
                "default", client.V1Pod(metadata=client.V1ObjectMeta(name="a"))
            )
        assert (caught.value.status, json.loads(caught.value.body)["reason"]) == (
            409,
            "AlreadyExists",
        )

        seen = []
        async with watch.Watch().stream(
            core.list_namespaced_pod, "default", timeout_seconds=5
        ) as events:
            async for event in events:
                seen.append((event["type"], event["object"].status.phase))
                if len(seen) == 2:
                    break
        assert seen == [("ADDED", "Pending"), ("MODIFIED", "Running")], seen
        response = await core.read_namespaced_pod_log(
            "a", "default", follow=True, _preload_content=False
        )
        lines = [line async for line in response.content]
        assert lines == [b"line 0\n", b"line 1\n", b"line 2\n"]

    async with WsApiClient(configuration) as api:
        core = client.CoreV1Api(api)
        options = {"command": ["sh", "-c", "cat"], "stdin": True, "stdout": True, "stderr": True}
        websocket = await core.connect_get_namespaced_pod_exec(
            "a", "default", **options, _preload_content=False
        )
        async with websocket as running:
            assert (await running.receive()).data == b"\x01ready\n"
            await running.send_bytes(b"\x00typed\n")
            heard = [message.data async for message in running]
        assert heard[:2] == [b"\x01typed\n", b"\x02warning\n"]
        assert api.parse_error_data(heard[2].decode()[1:]) == 0


use(make_app, check)
