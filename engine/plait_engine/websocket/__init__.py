"""WebSocket (RFC 6455) with permessage-deflate (RFC 7692), over any stream.

==============  ====================================================================
``handshake``   makes and checks the request and the answer, for HTTP/1.1 and HTTP/2
``extensions``  the negotiation of permessage-deflate
``connection``  the state machine for what follows
``events``      its vocabulary
``reader``      from bytes to messages
``writer``      from messages to bytes
``frames``      the headers of frames
``masking``     the masking of a payload
``deflate``     a message's way through zlib
==============  ====================================================================
"""

from .connection import PongTimeout, WebSocketConnection, WebSocketState
from .deflate import Deflate
from .events import BytesMessage, Ping, Pong, TextMessage, WebSocketClose, WebSocketEvent
from .frames import CloseCode
from .handshake import (
    HandshakeRefused,
    Negotiated,
    accept_key,
    accept_request,
    check_response,
    client_request,
)

__all__ = [
    "BytesMessage",
    "CloseCode",
    "Deflate",
    "HandshakeRefused",
    "Negotiated",
    "Ping",
    "Pong",
    "PongTimeout",
    "TextMessage",
    "WebSocketClose",
    "WebSocketConnection",
    "WebSocketEvent",
    "WebSocketState",
    "accept_key",
    "accept_request",
    "check_response",
    "client_request",
]
