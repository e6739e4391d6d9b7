"""A proxy for tests, written plainly: HTTP and HTTPS, SOCKS 4, 4a and 5, with and without a login.

It decides by the first byte what the client speaks, and notes what it was asked.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import ipaddress
import re
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias
from urllib.parse import urlsplit

NONCE = "a-nonce"

Connect: TypeAlias = Callable[
    [str, int], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]
]


@dataclass
class ProxyPeer:
    """What the proxy is to do, and what it saw.

    ``login``: user and password that it wants.  ``scheme``: how it asks for them.  ``answer``:
    what it says to any request, instead of doing it.  ``surplus``: bytes that it sends behind
    the head of its answer to CONNECT.
    """

    login: tuple[str, str] | None = None
    scheme: str = "Basic"
    answer: bytes | None = None
    surplus: bytes = b""
    connect: Connect = asyncio.open_connection
    """The way to a server."""
    port: int = 0
    heads: list[str] = field(default_factory=list)
    """The first head of each connection that speaks HTTP."""
    hosts: list[str] = field(default_factory=list)
    """The hosts that SOCKS asked for."""
    forwarded: bytearray = field(default_factory=bytearray)
    """All that clients sent, but for the tunnels."""
    connections: int = 0
    open: int = 0
    tunnels: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            first = await reader.readexactly(1)
            if first == b"\x04":
                await self._serve_socks4(reader, writer)
            elif first == b"\x05":
                await self._serve_socks5(reader, writer)
            else:
                await self._serve_http(first, reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self.open -= 1
            writer.transport.abort()

    # -- HTTP -----------------------------------------------------------------------------

    async def _serve_http(
        self, first: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = first + await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head.decode())
        if self.answer is not None:
            writer.write(self.answer)
            await writer.drain()
            await reader.read()
            return
        method, target = head.decode().split(" ")[:2]
        while not self._admits(head.decode(), method, target):
            writer.write(self._challenge())
            head = await self._next_head(head, reader)
            self.heads.append(head.decode())
            method, target = head.decode().split(" ")[:2]
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            server = await self.connect(host.strip("[]"), int(port))
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n" + self.surplus)
            await self._relay(reader, writer, *server)
        else:
            parts = urlsplit(target)
            server = await self.connect(parts.hostname or "", parts.port or 80)
            self.forwarded += head
            server[1].write(head)
            await self._relay(reader, writer, *server, forwards=True)

    async def _next_head(self, head: bytes, reader: asyncio.StreamReader) -> bytes:
        """Return the head behind that of a request that was refused."""
        match = re.search(rb"\r\nContent-Length: (\d+)", head)
        await reader.readexactly(0 if match is None else int(match[1]))
        if b"\r\nTransfer-Encoding: chunked" in head:
            await reader.readuntil(b"0\r\n\r\n")  # Nobody here sends trailers.
        return await reader.readuntil(b"\r\n\r\n")

    def _admits(self, head: str, method: str, target: str) -> bool:
        if self.login is None:
            return True
        match = re.search(r"\r\nproxy-authorization: (\w+) (.*)\r\n", head, re.IGNORECASE)
        if match is None or match[1] != self.scheme:
            return False
        user, password = self.login
        if self.scheme == "Basic":
            return base64.b64decode(match[2]).decode("latin1") == f"{user}:{password}"
        given = dict(re.findall(r'(\w+)="?([^",]*)"?', match[2]))
        secret = _md5(f"{user}:proxy:{password}")
        request = _md5(f"{method}:{target}")
        middle = f"{NONCE}:{given['nc']}:{given['cnonce']}:auth"
        return given["response"] == _md5(f"{secret}:{middle}:{request}")

    def _challenge(self) -> bytes:
        what = 'Basic realm="proxy"'
        if self.scheme == "Digest":
            what = f'Digest realm="proxy", nonce="{NONCE}", qop="auth", algorithm=MD5'
        return (
            "HTTP/1.1 407 Proxy Authentication Required\r\n"
            f"Proxy-Authenticate: {what}\r\nContent-Length: 6\r\n\r\nsecret"
        ).encode()

    # -- SOCKS ----------------------------------------------------------------------------

    async def _serve_socks4(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        request = await reader.readexactly(7)
        port, address = int.from_bytes(request[1:3]), request[3:]
        user = (await reader.readuntil(b"\x00"))[:-1].decode()
        host = str(ipaddress.ip_address(address))
        if address[:3] == b"\x00\x00\x00" and address[3]:
            host = (await reader.readuntil(b"\x00"))[:-1].decode()
        self.hosts.append(host)
        if self.login is not None and user != self.login[0]:
            writer.write(b"\x00\x5d" + bytes(6))
            await writer.drain()
            return
        server = await self.connect(host, port)
        writer.write(b"\x00\x5a" + bytes(6) + self.surplus)
        await self._relay(reader, writer, *server)

    async def _serve_socks5(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        methods = await reader.readexactly((await reader.readexactly(1))[0])
        wanted = 0 if self.login is None else 2
        if wanted not in methods:
            writer.write(b"\x05\xff")
            await writer.drain()
            return
        writer.write(bytes([5, wanted]))
        if self.login is not None:
            await reader.readexactly(1)
            user = await reader.readexactly((await reader.readexactly(1))[0])
            password = await reader.readexactly((await reader.readexactly(1))[0])
            if (user.decode(), password.decode()) != self.login:
                writer.write(b"\x01\x01")
                await writer.drain()
                return
            writer.write(b"\x01\x00")
        kind = (await reader.readexactly(4))[3]
        if kind == 3:
            host = (await reader.readexactly((await reader.readexactly(1))[0])).decode()
        else:
            host = str(ipaddress.ip_address(await reader.readexactly(4 if kind == 1 else 16)))
        port = int.from_bytes(await reader.readexactly(2))
        self.hosts.append(host)
        try:
            server = await self.connect(host, port)
        except OSError:
            writer.write(b"\x05\x05\x00\x01" + bytes(6))
            await writer.drain()
            return
        writer.write(b"\x05\x00\x00\x03\x01x\x00\x00" + self.surplus)
        await self._relay(reader, writer, *server)

    # -- carrying ---------------------------------------------------------------------------

    async def _relay(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        server_reader: asyncio.StreamReader,
        server_writer: asyncio.StreamWriter,
        *,
        forwards: bool = False,
    ) -> None:
        self.tunnels += not forwards

        async def carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
            while data := await source.read(65536):
                if forwards and source is reader:
                    self.forwarded += data
                sink.write(data)
                await sink.drain()

        ways = [
            asyncio.create_task(carry(reader, server_writer)),
            asyncio.create_task(carry(server_reader, writer)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            server_writer.transport.abort()
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


@asynccontextmanager
async def serve_proxy(
    peer: ProxyPeer | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[ProxyPeer]:
    """Run ``peer`` on a port of its own, behind TLS if told so; at the end nothing is left."""
    peer = peer or ProxyPeer()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        await peer.serve(reader, writer)

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    peer.port = server.sockets[0].getsockname()[1]
    try:
        yield peer
    finally:
        server.close()
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
