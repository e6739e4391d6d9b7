"""plait's protocol engine: HTTP/1.1, HTTP/2 and WebSocket as state machines without I/O.

Start with ``connection`` (the contract), ``events`` (the vocabulary) and
``create_connection``.  ``docs/architecture.md`` draws the picture.
"""

__version__ = "0.1.0"

from .config import Config, Limits, Timeouts
from .connection import CloseAction, Connection, ConnectionState, Role
from .engines import create_connection
from .errors import (
    ErrorCode,
    FieldTypeError,
    LocalProtocolError,
    ProtocolError,
    RemoteProtocolError,
    Scope,
)
from .events import (
    Accept,
    CloseReason,
    ConnectionClosed,
    Data,
    Draining,
    EndOfMessage,
    Event,
    InformationalResponse,
    Initiator,
    PingAcknowledged,
    PriorityUpdated,
    PriorKnowledge,
    Request,
    Response,
    SettingsChanged,
    StreamReset,
    StreamsAvailable,
    Writable,
)
from .headers import Headers

__all__ = [
    "Accept",
    "CloseAction",
    "CloseReason",
    "Config",
    "Connection",
    "ConnectionClosed",
    "ConnectionState",
    "Data",
    "Draining",
    "EndOfMessage",
    "ErrorCode",
    "Event",
    "FieldTypeError",
    "Headers",
    "InformationalResponse",
    "Initiator",
    "Limits",
    "LocalProtocolError",
    "PingAcknowledged",
    "PriorKnowledge",
    "PriorityUpdated",
    "ProtocolError",
    "RemoteProtocolError",
    "Request",
    "Response",
    "Role",
    "Scope",
    "SettingsChanged",
    "StreamReset",
    "StreamsAvailable",
    "Timeouts",
    "Writable",
    "create_connection",
]
