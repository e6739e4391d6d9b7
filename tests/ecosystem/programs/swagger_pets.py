"""aiohttp-swagger3: requests validated by the OpenAPI texts of their handlers, and the page of it."""

from __future__ import annotations

from aiohttp import web
from aiohttp.test_utils import TestClient
from aiohttp_swagger3 import SwaggerDocs, SwaggerInfo, SwaggerUiSettings
from program import run


async def get_pet(request: web.Request, pet_id: int) -> web.Response:
    """
    ---
    summary: Info for a pet
    parameters:
      - name: pet_id
        in: path
        required: true
        schema:
          type: integer
          minimum: 1
    responses:
      '200':
        description: The pet
    """
    return web.json_response({"id": pet_id})


async def add_pet(request: web.Request, body: dict[str, object]) -> web.Response:
    """
    ---
    summary: Add a pet
    requestBody:
      required: true
      content:
        application/json:
          schema:
            type: object
            required: [name]
            properties:
              name: {type: string, minLength: 2}
    responses:
      '201':
        description: Added
    """
    return web.json_response(body, status=201)


async def version(request: web.Request) -> web.Response:
    return web.Response()


def make_app() -> web.Application:
    app = web.Application()
    app.router.add_get("/version", version)
    docs = SwaggerDocs(
        app,
        info=SwaggerInfo(title="Pets", version="1.0"),
        swagger_ui_settings=SwaggerUiSettings(path="/docs"),
    )
    docs.add_routes([web.get("/pets/{pet_id}", get_pet), web.post("/pets", add_pet)])
    return app


async def check(client: TestClient) -> None:
    async with client.get("/pets/7") as response:
        assert await response.json() == {"id": 7}
    for wrong, message in {
        "0": "value should be more than or equal to 1",
        "x": "value should be type of int",
    }.items():
        async with client.get(f"/pets/{wrong}") as response:
            assert response.status == 400
            assert await response.text() == f'400: {{"pet_id": "{message}"}}'
    async with client.post("/pets", json={"name": "Rex"}) as response:
        assert (response.status, await response.json()) == (201, {"name": "Rex"})
    async with client.post("/pets", json={"name": "R"}) as response:
        assert response.status == 400
    async with client.get("/docs/") as response:
        assert response.status == 200
        assert response.content_type == "text/html"
    async with client.get("/docs/swagger.json") as response:
        spec = await response.json()
        assert set(spec["paths"]) == {"/pets/{pet_id}", "/pets"}
    async with client.get("/docs/swagger_ui_static/swagger-ui.css") as response:
        assert response.content_type == "text/css"
        assert len(await response.read()) > 10_000


run(make_app, check)
