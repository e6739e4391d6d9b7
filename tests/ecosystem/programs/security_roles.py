"""aiohttp-security: who is asking, and may they?  The identity is in a session of aiohttp-session."""

from __future__ import annotations

from aiohttp import web
from aiohttp.test_utils import TestClient
from aiohttp_security import (
    AbstractAuthorizationPolicy,
    SessionIdentityPolicy,
    authorized_userid,
    check_authorized,
    check_permission,
    forget,
    is_anonymous,
    permits,
    remember,
    setup,
)
from aiohttp_session import SimpleCookieStorage
from aiohttp_session import setup as setup_session
from program import run


class Policy(AbstractAuthorizationPolicy):
    """Ann may edit; Bob may look."""

    async def authorized_userid(self, identity: str) -> str | None:
        return identity if identity in {"ann", "bob"} else None

    async def permits(self, identity: str | None, permission: str, context: object = None) -> bool:
        return permission == "look" or (identity == "ann" and permission == "edit")


async def who(request: web.Request) -> web.Response:
    return web.json_response(
        {
            "user": await authorized_userid(request),
            "anonymous": await is_anonymous(request),
            "edits": await permits(request, "edit"),
        }
    )


async def login(request: web.Request) -> web.Response:
    response = web.HTTPFound("/who")
    await remember(request, response, request.match_info["user"])
    raise response


async def logout(request: web.Request) -> web.Response:
    await check_authorized(request)
    response = web.Response(text="bye")
    await forget(request, response)
    return response


async def edit(request: web.Request) -> web.Response:
    await check_permission(request, "edit")
    return web.Response(text="edited")


def make_app() -> web.Application:
    app = web.Application()
    setup_session(app, SimpleCookieStorage())
    setup(app, SessionIdentityPolicy(), Policy())
    app.add_routes(
        [
            web.get("/version", who),
            web.get("/who", who),
            web.get("/login/{user}", login),
            web.get("/logout", logout),
            web.get("/edit", edit),
        ]
    )
    return app


async def check(client: TestClient) -> None:
    async def status(path: str) -> int:
        async with client.get(path) as response:
            return response.status

    assert await status("/edit") == 401
    assert await status("/logout") == 401
    for user, edits in (("bob", 403), ("ann", 200)):
        async with client.get(f"/login/{user}") as response:
            assert await response.json() == {
                "user": user,
                "anonymous": False,
                "edits": edits == 200,
            }
            assert [old.status for old in response.history] == [302]
        assert await status("/edit") == edits
    assert await status("/logout") == 200
    assert await status("/edit") == 401


run(make_app, check)
