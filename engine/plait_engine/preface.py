"""The preface of a client's HTTP/2 connection (RFC 9113 section 3.4).

It stands apart from ``http2`` because HTTP/1.1 servers recognise it too
(``Config.detect_http2``).
"""

from __future__ import annotations

from typing import Final

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
