"""Programs that put a server under load.  Each call returns the operations that it did."""

from .commands import Curl, H2load, WebSocketEcho, Wrk

__all__ = ["Curl", "H2load", "WebSocketEcho", "Wrk"]
