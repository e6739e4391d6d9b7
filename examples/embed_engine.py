"""The engine without any event loop: a server on plain sockets, a thread a connection.

    python examples/embed_engine.py [PORT]
    curl http://127.0.0.1:8080/
    curl --http2-prior-knowledge http://127.0.0.1:8080/

All that it takes is the law of ``plait_engine.connection``: after each input or command,
write what there is to send, handle the events, obey ``wants_close``, and come back in time
for ``next_timeout``.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Iterator

import plait_engine as engine

CONFIG = engine.Config(detect_http2=True, random=os.urandom)


def serve_connection(sock: socket.socket) -> None:
    """Speak HTTP/1.1 or HTTP/2 on a connected socket until either side has enough."""
    connection = engine.create_connection(engine.Role.SERVER, "http/1.1", CONFIG)
    connection.connection_made(time.monotonic())
    with sock, contextlib.suppress(OSError):  # An OSError: the client is gone.
        while True:
            wait_for_input(connection, sock)
            connection = handle_events(connection)
            while data := connection.data_to_send():
                sock.sendall(data)
            if connection.wants_close >= engine.CloseAction.CLOSE:
                return
            if connection.wants_close is engine.CloseAction.WRITE_EOF:
                sock.shutdown(socket.SHUT_WR)


def wait_for_input(connection: engine.Connection, sock: socket.socket) -> None:
    """Give the connection what comes next: bytes, their end, or the time."""
    deadline = connection.next_timeout()
    sock.settimeout(None if deadline is None else max(deadline - time.monotonic(), 0.001))
    try:
        data = sock.recv(65536)
    except TimeoutError:
        connection.handle_timeout(time.monotonic())
        return
    if data:
        connection.receive_data(data, time.monotonic())
    else:
        connection.receive_eof(time.monotonic())


def handle_events(connection: engine.Connection) -> engine.Connection:
    """Answer every request; return the connection to go on with."""
    now = time.monotonic()
    while (event := connection.next_event()) is not None:
        match event:
            case engine.Request():
                connection.send(*answer(event), now=now)
            case engine.Data():  # Nobody reads the body, so it is taken as it comes.
                connection.acknowledge(event.stream_id, event.credit, now)
            case engine.PriorKnowledge():  # The client speaks HTTP/2: so do we from here on.
                connection = engine.create_connection(engine.Role.SERVER, "h2", CONFIG)
                connection.connection_made(now)
                connection.receive_data(event.data, now)
    return connection


def answer(
    request: engine.Request,
) -> Iterator[engine.Response | engine.Data | engine.EndOfMessage]:
    text = f"{request.method} {request.target} over HTTP/{request.http_version}\n"
    yield engine.Response(request.stream_id, 200, [("content-type", "text/plain")])
    yield engine.Data(request.stream_id, text.encode())
    yield engine.EndOfMessage(request.stream_id)


def main(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=serve_connection, args=(sock,), daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 8080)
