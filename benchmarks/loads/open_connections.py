"""Many connections from one process, of which one at a time asks.

``python -m benchmarks.loads.open_connections PORT`` reads commands from standard input and
answers each with a line: ``open COUNT`` opens so many connections more and does a request on
each; ``request COUNT`` does so many requests, one after the other, each on a connection that
is chosen at random.  It exits with 1 when an answer is not what it should be.
"""

from __future__ import annotations

import random
import socket
import sys

_REQUEST = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
_ANSWER = b"Hello, World!"


def _ask(connection: socket.socket) -> None:
    connection.sendall(_REQUEST)
    received = b""
    while not received.endswith(_ANSWER):
        data = connection.recv(4096)
        received += data
        if not data or not received.startswith(b"HTTP/1.1 200 "):
            raise SystemExit(f"not hello: {received!r}")


def main(port: int) -> None:
    """Serve commands until standard input ends."""
    connections: list[socket.socket] = []
    source = random.Random(5)
    for line in sys.stdin:
        command, count = line.split()
        for _ in range(int(count)):
            if command == "open":
                connections.append(socket.create_connection(("127.0.0.1", port), timeout=10))
                _ask(connections[-1])
            else:
                _ask(source.choice(connections))
        print("done", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
