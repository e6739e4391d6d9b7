"""Who is who: names with passwords, and the signed cookie that says who has logged in.

* A name belongs to whoever used it first.  Passwords are kept as scrypt hashes (RFC 7914).
* The cookie is ``name.expiry.signature``; all workers have the key, so none asks another.
* A request that changes something, and every WebSocket, must come from a page of this server:
  browsers say so in ``Origin`` (RFC 6454 section 7), and the cookie is ``SameSite=Lax``.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import os
import re
import secrets
import sqlite3
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path

from yarl import URL

from plait import web

COOKIE = "lounge"
LIFETIME = 7 * 24 * 3600
OPEN_PATHS = {"/", "/login"}
"""What one may see without having logged in, beside the static files."""

_NAME = re.compile(r"[\w-]{1,20}")


class Accounts:
    """The accounts of all workers, in one folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._database = folder / "accounts.sqlite"
        with closing(sqlite3.connect(self._database)) as database, database:
            database.execute(
                "CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, salt BLOB, hash BLOB)"
            )
        self._key = _shared_key(folder / "key")

    async def log_in(self, name: str, password: str) -> bool:
        """Say whether the password is that of the name; a new name gets it."""
        if not _NAME.fullmatch(name) or not password:
            return False
        # A hash takes a while on purpose: not in the loop.
        return await asyncio.to_thread(self._check, name, password)

    def _check(self, name: str, password: str) -> bool:
        salt = secrets.token_bytes(16)
        with closing(sqlite3.connect(self._database)) as database, database:
            database.execute(
                "INSERT OR IGNORE INTO accounts VALUES (?, ?, ?)",
                (name, salt, _hash(password, salt)),
            )
            row = database.execute("SELECT salt, hash FROM accounts WHERE name = ?", (name,))
            salt, expected = row.fetchone()
        return hmac.compare_digest(_hash(password, salt), expected)

    def make_cookie(self, name: str) -> str:
        content = f"{name}.{int(time.time()) + LIFETIME}"
        return f"{content}.{self._sign(content)}"

    def read_cookie(self, cookie: str) -> str | None:
        """Return the name in a cookie that this server made and that has not expired."""
        content, _, signature = cookie.rpartition(".")
        name, _, expiry = content.rpartition(".")
        genuine = hmac.compare_digest(signature.encode(), self._sign(content).encode())
        return name if genuine and int(expiry) > time.time() else None

    def _sign(self, content: str) -> str:
        return hmac.new(self._key, content.encode(), hashlib.sha256).hexdigest()


def _hash(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=2**14, r=8, p=1)


def _shared_key(path: Path) -> bytes:
    """Return the key of the folder; the first worker makes it."""
    own = path.with_suffix(f".{os.getpid()}")
    own.write_bytes(secrets.token_bytes(32))
    own.chmod(0o600)
    try:
        os.link(own, path)  # Whole, or not there at all.
    except FileExistsError:
        pass
    finally:
        own.unlink()
    return path.read_bytes()


ACCOUNTS = web.AppKey("accounts", Accounts)
NAME = web.RequestKey("name", str)
"""Under which name the sender of a request has logged in."""


@web.middleware
async def know_the_guest(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Let through what is open to all, and those who have logged in."""
    if request.method not in {"GET", "HEAD"}:
        refuse_other_origins(request)
    name = request.app[ACCOUNTS].read_cookie(request.cookies.get(COOKIE, ""))
    if name is not None:
        request[NAME] = name
    elif request.path not in OPEN_PATHS and not request.path.startswith("/static/"):
        raise web.HTTPUnauthorized(
            text="Log in first.\n", headers={"WWW-Authenticate": 'Form realm="lounge"'}
        )
    return await handler(request)


def refuse_other_origins(request: web.Request) -> None:
    """Raise HTTPForbidden when the page that sent this request is not one of ours."""
    origin = request.headers.get("Origin")
    if origin is not None and URL(origin).authority != request.host:
        raise web.HTTPForbidden(text="This request comes from a page of somebody else.\n")


async def log_in(request: web.Request) -> web.Response:
    form = await request.post()
    name, password = form.get("name"), form.get("password")
    if not isinstance(name, str) or not isinstance(password, str):
        raise web.HTTPBadRequest(text="A name and a password are needed.\n")
    accounts = request.app[ACCOUNTS]
    if not await accounts.log_in(name, password):
        raise web.HTTPForbidden(text="This name has another password.\n")
    response = web.json_response({"name": name})
    response.set_cookie(
        COOKIE,
        accounts.make_cookie(name),
        max_age=LIFETIME,
        httponly=True,
        samesite="Lax",
        secure=request.headers.get("X-Forwarded-Proto", request.scheme) == "https",
    )
    return response


async def log_out(request: web.Request) -> web.Response:
    response = web.Response(status=204)
    response.del_cookie(COOKIE)
    return response


async def who_am_i(request: web.Request) -> web.Response:
    return web.json_response({"name": request[NAME]})
