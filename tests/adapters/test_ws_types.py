"""What mypy, in its strict mode, says of programs with WebSockets."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

GOOD = """
from typing import assert_type

import plait
from plait import web

SOCKETS = web.AppKey("sockets", set[web.WebSocketResponse])


class Chat(web.WebSocketResponse):
    pass


async def handler(request: web.Request) -> web.WebSocketResponse:
    ws = web.WebSocketResponse(heartbeat=30)
    await ws.prepare(request)
    request.app[SOCKETS].add(ws)
    async for message in ws:
        assert_type(message, plait.WSMessage)
        if message.type == plait.WSMsgType.TEXT:
            await ws.send_str(message.data + "/answer")
    assert_type(await ws.receive(), plait.WSMessage)
    assert_type(await ws.receive_str(), str)
    return ws


async def in_bytes(request: web.Request) -> web.StreamResponse:
    ws = web.WebSocketResponse(decode_text=False)
    await ws.prepare(request)
    assert_type(await ws.receive_str(), bytes)
    return ws


async def ask(ws: plait.ClientWebSocketResponse) -> str:
    return await ws.receive_str()


async def client(session: plait.ClientSession) -> None:
    async with session.ws_connect("http://localhost/", heartbeat=3.0) as ws:
        assert_type(await ask(ws), str)
        assert_type(await ws.receive(), plait.WSMessage)
    raw = await session.ws_connect("http://localhost/", decode_text=False)
    assert_type(await raw.receive_str(), bytes)
"""

BAD = """
import plait


async def client(session: plait.ClientSession) -> None:
    await session.ws_connect("http://localhost/", hartbeat=3.0)
    await session.ws_connect("http://localhost/", timeout="x")
    ws = await session.ws_connect("http://localhost/")
    await ws.send_str(b"bytes")
"""


def check(program: str, directory: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the errors that mypy finds."""
    api = pytest.importorskip("mypy.api")
    path = directory / "program.py"
    path.write_text(program)
    monkeypatch.setenv("MYPYPATH", f"{ROOT / 'engine'}:{ROOT / 'adapters'}")
    cache = ROOT / ".mypy_cache" / "programs"
    out, errors, _ = api.run(["--strict", "--cache-dir", str(cache), str(path)])
    assert errors == ""
    return [line for line in out.splitlines() if ": error: " in line]


def test_typical_programs_need_no_type_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert check(GOOD, tmp_path, monkeypatch) == []


def test_wrong_arguments_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = {int(error.split(":")[1]) for error in check(BAD, tmp_path, monkeypatch)}
    assert lines == {6, 7, 9}
