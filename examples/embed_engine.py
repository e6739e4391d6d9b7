"""The engine without any event loop: a server on plain sockets, a thread a connection.

    python examples/embed_engine.py [PORT]
    curl http://127.0.0.1:8080/
    curl --http2-prior-knowledge http://127.0.0.1:8080/

A ``Driver`` does all that the engine asks for.  It needs three things: what carries the bytes
and what knows the time (both are ``Socket`` here), and who hears the events (``Application``).
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator

import plait_engine as engine
from plait_engine.driver import Driver

CONFIG = engine.Config(detect_http2=True, random=os.urandom)


class Application:
    """Answers every request at once."""

    driver: Driver

    def on_event(self, event: engine.Event) -> None:
        match event:
            case engine.Request():
                self.driver.send(*answer(event))
            case engine.Data():  # Nobody reads the body, so it is taken as it comes.
                self.driver.acknowledge(event.stream_id, event.credit)

    def on_batch_end(self) -> None:
        """Nothing waits for the end of a batch here."""


def answer(
    request: engine.Request,
) -> Iterator[engine.Response | engine.Data | engine.EndOfMessage]:
    text = f"{request.method} {request.target} over HTTP/{request.http_version}\n"
    yield engine.Response(request.stream_id, 200, [("content-type", "text/plain")])
    yield engine.Data(request.stream_id, text.encode())
    yield engine.EndOfMessage(request.stream_id)


class Alarm:
    """A call at a time."""

    def __init__(self, when: float, callback: Callable[[], object]) -> None:
        self.when = when
        self.callback = callback
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Socket:
    """A blocking socket, as the driver wants it."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._open = True
        self._reading = True
        self._alarms: list[Alarm] = []

    def run(self, driver: Driver) -> None:
        """Give the driver bytes, their end, and the time, until the connection is over."""
        error = None
        try:
            driver.start()
            while self._open:
                self._wait(driver)
        except OSError as exc:  # The client is gone.
            error = exc
        driver.connection_lost(error)

    def _wait(self, driver: Driver) -> None:
        self._alarms = [alarm for alarm in self._alarms if not alarm.cancelled]
        alarm = min(self._alarms, key=lambda alarm: alarm.when, default=None)
        wait = None if alarm is None else max(alarm.when - self.time(), 0.001)
        data: bytes | None = None
        if self._reading:
            self._sock.settimeout(wait)
            with contextlib.suppress(TimeoutError):
                data = self._sock.recv(65536)
            self._sock.settimeout(None)  # To send, it waits as long as it takes.
        else:
            time.sleep(wait or 1.0)
        if data:
            driver.receive_data(data)
        elif data is not None:
            self._reading = False
            driver.receive_eof()
        elif alarm is not None and alarm.when <= self.time():
            self._alarms.remove(alarm)
            alarm.callback()

    # What carries the bytes:

    def write(self, data: bytes, /) -> None:
        self._sock.sendall(data)

    def write_eof(self) -> None:
        self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        self._open = False

    abort = close

    def is_closing(self) -> bool:
        return not self._open

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True

    # What knows the time:

    def time(self) -> float:
        return time.monotonic()

    def call_at(self, when: float, callback: Callable[[], object], /) -> Alarm:
        alarm = Alarm(when, callback)
        self._alarms.append(alarm)
        return alarm

    def call_soon(self, callback: Callable[[], object], /) -> None:
        callback()


def serve_connection(sock: socket.socket) -> None:
    """Speak HTTP/1.1 or HTTP/2 on a connected socket until either side has enough."""
    with sock:
        transport, application = Socket(sock), Application()
        connection = engine.create_connection(engine.Role.SERVER, "http/1.1", CONFIG)
        driver = Driver(connection, transport, application, transport, http2="native")
        application.driver = driver
        transport.run(driver)


def main(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}/", flush=True)
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=serve_connection, args=(sock,), daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 8080)
