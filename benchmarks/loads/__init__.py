"""Programs that put a server under load.  Each call returns the operations that it did."""

from .commands import Counted, Curl, H2load, Http2Proxy, Load, LoadFailed, WebSocketEcho, Wrk

__all__ = ["Counted", "Curl", "H2load", "Http2Proxy", "Load", "LoadFailed", "WebSocketEcho", "Wrk"]
