"""HTTP/1.1, the server's side of the wire.

Invariants, besides those of ``fuzz.harness``:

* whatever a client sends, in whatever pieces, the server reports the same requests and
  errors and answers with the same bytes;
* every request that is complete gets exactly one answer.

With ``SWITCH_PROTOCOLS`` it answers a complete request by a switch to the first protocol that
the request offers.

Input: options (a byte), cuts, then what the client sends.
"""

from __future__ import annotations

from fuzz.choices import Choices, Cuts
from fuzz.harness import App, Transport, check, check_split_invariance, config, wants_tunnel
from plait_engine.events import Accept, Data, EndOfMessage, Event, Request, Response
from plait_engine.http1 import HTTP1Server
from plait_engine.semantics.fields import offered_upgrades

DETECT_HTTP2 = 0x01
ACCEPT_TUNNELS = 0x02
TLS = 0x04
SWITCH_PROTOCOLS = 0x08


class Server(App):
    """Answers each request when it is complete."""

    def __init__(self, *, accepts: bool, switches: bool) -> None:
        self._accepts = accepts
        self._switches = switches
        self._offered: dict[int, list[str]] = {}
        self._tunnels: set[int] = set()
        self._declined: set[int] = set()
        self._answers = 0

    def handle(self, transport: Transport, event: Event) -> None:
        if isinstance(event, Request) and wants_tunnel(event):
            if self._accepts:
                check(transport.send(Accept(event.stream_id)), "a tunnel can be accepted", event)
                self._tunnels.add(event.stream_id)
                self._answers += event.method == "CONNECT"  # which 200 answers too
            else:
                self._declined.add(event.stream_id)
                transport.send(Response(event.stream_id, 403), EndOfMessage(event.stream_id))
        elif isinstance(event, Request):
            if self._switches and event.http_version != "1.0":
                self._offered[event.stream_id] = sorted(offered_upgrades(event.headers))
        elif isinstance(event, Data):
            transport.acknowledge(event)
        elif isinstance(event, EndOfMessage):
            if event.stream_id in self._tunnels:
                transport.send(EndOfMessage(event.stream_id))
            elif self._offered.get(event.stream_id):
                protocol = self._offered[event.stream_id][0]
                accepted = transport.send(Accept(event.stream_id, protocol=protocol))
                check(accepted or not protocol.isascii(), "a protocol can be switched", protocol)
                self._tunnels.add(event.stream_id)
            elif event.stream_id not in self._declined:
                answered = transport.send(
                    Response(event.stream_id, 200),
                    Data(event.stream_id, b"hello"),
                    EndOfMessage(event.stream_id),
                )
                check(answered, "a request that is complete can be answered", event)
                self._answers += 1

    def finish(self, transport: Transport) -> None:
        answers = transport.output.count(b"HTTP/1.1 200 OK\r\n")
        check(answers == self._answers, "one answer for each request", answers, self._answers)


def run(data: bytes) -> None:
    """Run one input."""
    choices = Choices(data)
    options = choices.byte()
    cuts = Cuts(choices)
    wire = choices.rest()
    settings = config(
        detect_http2=bool(options & DETECT_HTTP2), scheme="https" if options & TLS else "http"
    )

    def make_connection() -> HTTP1Server:
        return HTTP1Server(settings)

    check_split_invariance(
        make_connection,
        lambda: Server(
            accepts=bool(options & ACCEPT_TUNNELS), switches=bool(options & SWITCH_PROTOCOLS)
        ),
        wire,
        cuts(wire),
    )
