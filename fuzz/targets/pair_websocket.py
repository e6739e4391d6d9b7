"""WebSocket, a client and a server that talk to each other.

Invariants:

* whatever both sides are willing to do, their handshake succeeds, and they agree on it;
* every message arrives whole, once, in order and as it was sent, whatever its fragments,
  its compression, the pings in between and the cuts on the way, and whether both sides take
  the short paths;
* at the end one side closes, and both report its code, with no fault.

Input: options (a byte), the parameters of permessage-deflate of both sides, cuts, then
what is sent: side and kind (a byte), size (a byte), and a byte that is repeated.
"""

from __future__ import annotations

from fuzz.choices import Choices, Cuts
from fuzz.harness import START, check, config
from fuzz.targets.websocket_handshake import SUBPROTOCOLS, read_deflate
from plait_engine.connection import Role
from plait_engine.errors import LocalProtocolError
from plait_engine.events import Accept
from plait_engine.websocket import (
    BytesMessage,
    Negotiated,
    Ping,
    TextMessage,
    WebSocketClose,
    WebSocketConnection,
    accept_request,
    check_response,
    client_request,
)

HTTP2 = 0x01
CLIENT_DEFLATES = 0x02
SERVER_DEFLATES = 0x04
CLIENT_CLOSES = 0x08
SHORT_PATHS = 0x10

FROM_CLIENT = 0x01
TEXT = 0x02
UNFINISHED = 0x04
PLAIN = 0x08
LARGE = 0x10
PING = 0x20
DELIVER = 0x40

MAX_CUT = 2048

Message = tuple[type, str | bytes]


class Side:
    """One end of the WebSocket, with what it has sent and received."""

    def __init__(self, role: Role, negotiated: Negotiated, *, takes_short_paths: bool) -> None:
        self.connection = WebSocketConnection(role, config(), deflate=negotiated.deflate)
        self.takes_short_paths = takes_short_paths
        self.wire = bytearray()
        """Sent by a short path."""
        self.sent: list[Message] = []
        self.received: list[Message] = []
        self.close: WebSocketClose | None = None
        self._fragments: list[bytes] = []
        self._kind: type[TextMessage | BytesMessage] = BytesMessage

    def send(self, options: int, size: int, byte: int) -> None:
        """Send a message or a fragment; the first fragment of a message says its kind."""
        if not self._fragments:
            self._kind = TextMessage if options & TEXT else BytesMessage
        unit = chr(byte).encode() if self._kind is TextMessage else bytes((byte,))
        data = unit * size * (300 if options & LARGE else 1)
        finished = not options & UNFINISHED
        if not (finished and self._send_shortly(data, options)):
            compress = False if options & PLAIN else None
            self.connection.send(self._kind(data, finished, compress), now=START)
        self._fragments.append(data)
        if finished:
            whole = b"".join(self._fragments)
            self.sent.append((self._kind, whole.decode() if self._kind is TextMessage else whole))
            self._fragments = []

    def _send_shortly(self, data: bytes, options: int) -> bool:
        if not self.takes_short_paths or options & PLAIN:
            return False
        frame = self.connection.whole_frame(
            data.decode() if self._kind is TextMessage else data,
        )
        self.wire += frame or b""
        return frame is not None

    def output(self) -> bytes:
        """Return what there is to send."""
        output = bytes(self.wire) + b"".join(iter(self.connection.data_to_send, b""))
        self.wire.clear()
        return output

    def receive(self, data: bytes) -> None:
        """Take bytes, and the events that they bring."""
        message = self.connection.receive_whole(data, START) if self.takes_short_paths else None
        if message is None:
            self.connection.receive_data(data, START)
        else:
            kind = TextMessage if isinstance(message, str) else BytesMessage
            self.received.append((kind, message))
        self.take()

    def take(self) -> None:
        """Take the events."""
        while (event := self.connection.next_event()) is not None:
            if isinstance(event, TextMessage | BytesMessage):
                self.received.append((type(event), event.data))
            elif isinstance(event, WebSocketClose):
                self.close = event


def run(data: bytes) -> None:
    """Run one input."""
    choices = Choices(data)
    options = choices.byte()
    client, server = _shake_hands(choices, options)
    cuts = Cuts(choices)
    while not choices.exhausted:
        kind, size, byte = choices.byte(), choices.byte(), choices.byte()
        side = client if kind & FROM_CLIENT else server
        if kind & DELIVER:
            _deliver(client, server, cuts)
        elif kind & PING:
            side.connection.send(Ping(bytes((byte,)) * (size % 126)), now=START)
        else:
            side.send(kind, size, byte)
    closing, other = (client, server) if options & CLIENT_CLOSES else (server, client)
    closing.connection.send(WebSocketClose(4000, "bye"), now=START)
    _deliver(client, server, cuts)
    _deliver(client, server, cuts)
    check(server.received == client.sent, "the client's messages arrive")
    check(client.received == server.sent, "the server's messages arrive")
    for side in (closing, other):
        close = side.close
        check(close is not None, "both sides report the end")
        assert close is not None
        check(close.code == 4000 and close.error is None, "it is a clean end", close, close.error)
    try:
        closing.connection.send(BytesMessage(b""), now=START)
    except LocalProtocolError:
        return
    check(False, "a closed WebSocket sends nothing")


def _shake_hands(choices: Choices, options: int) -> tuple[Side, Side]:
    http2 = bool(options & HTTP2)
    offered = read_deflate(choices) if options & CLIENT_DEFLATES else None
    willing = read_deflate(choices) if options & SERVER_DEFLATES else None
    request = client_request(
        1,
        scheme="http",
        authority="a",
        target="/",
        random=config().random,
        http2=http2,
        subprotocols=SUBPROTOCOLS,
        deflate=offered,
    )
    accept, servers = accept_request(request, subprotocols=SUBPROTOCOLS[1:], deflate=willing)
    switch = [] if http2 else [("Upgrade", "websocket"), ("Connection", "Upgrade")]
    clients = check_response(request, Accept(1, [*switch, *accept.headers]), deflate=offered)
    check(clients.subprotocol == servers.subprotocol, "both have one subprotocol")
    check((clients.deflate is None) == (servers.deflate is None), "both compress, or neither")
    short = bool(options & SHORT_PATHS)
    return (
        Side(Role.CLIENT, clients, takes_short_paths=short),
        Side(Role.SERVER, servers, takes_short_paths=short),
    )


def _deliver(client: Side, server: Side, cuts: Cuts) -> None:
    """Let everything that was sent arrive."""
    for source, target in ((client, server), (server, client)):
        wire = source.output()
        # Cutting all of a large message to pieces would take the time of many inputs.
        for piece in (*cuts(wire[:MAX_CUT]), wire[MAX_CUT:]):
            target.receive(piece)
