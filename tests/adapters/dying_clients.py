"""Clients that die: ``python -m tests.adapters.dying_clients PORT CLIENTS SEED [CA ALPN]``.

Reads one line of JSON: kinds of exchanges, each ``[bytes that the client sends, in hex; how many
bytes surely come back when all of them were sent]``.  Each client picks a kind, sends a random
part of it or all, reads a random part of what comes back, and goes: with RST, with FIN, or by
closing its sending side first.  It is a program of its own, since what it does must happen in the
middle of what the server does.
"""

from __future__ import annotations

import json
import random
import socket
import ssl
import struct
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

_AT_ONCE = 24
_RST = struct.pack("ii", 1, 0)


def die(
    port: int, kinds: list[tuple[bytes, int]], dice: random.Random, tls: ssl.SSLContext | None
) -> None:
    """Be one client."""
    request, comes_back = dice.choice(kinds)
    whole = dice.random() < 0.5
    reads = dice.randint(0, comes_back) if whole else 0
    sock = socket.create_connection(("127.0.0.1", port), timeout=60)
    end = dice.choice(["rst", "fin", "half"])
    if end == "rst":
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
    # A server that answers early may close: what cannot be sent then need not be.
    with suppress(ConnectionError, ssl.SSLError):
        if tls is not None:
            if dice.random() < 0.1:
                sock.sendall(b"\x16\x03\x01\x02\x00\x01")  # Some of a ClientHello.
                sock.close()
                return
            sock = tls.wrap_socket(sock, server_hostname="localhost")
        sock.sendall(request if whole else request[: dice.randrange(len(request))])
        while reads > 0:
            data = sock.recv(min(reads, 65536))
            if not data:
                raise RuntimeError(f"{reads} bytes of an answer are missing")
            reads -= len(data)
        if end == "half" and tls is None:
            sock.shutdown(socket.SHUT_WR)
    sock.close()


def main() -> None:
    port, clients, seed, *secure = sys.argv[1:]
    kinds = [(bytes.fromhex(request), size) for request, size in json.loads(input())]
    tls = None
    if secure:
        tls = ssl.create_default_context(cafile=secure[0])
        tls.set_alpn_protocols(secure[1:])
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        tasks = [
            pool.submit(die, int(port), kinds, random.Random(int(seed) + number), tls)
            for number in range(int(clients))
        ]
    for task in tasks:
        task.result()


if __name__ == "__main__":
    main()
