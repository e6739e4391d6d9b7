"""The authority of a request: a host and an optional port, the same in every version.

RFC 9110 section 7.2: Host = uri-host [ ":" port ].  RFC 9112 section 3.2 and RFC 9113
section 8.3.1: no user information.  RFC 3986 section 3.2.2: host = IP-literal / IPv4address
/ reg-name; the schemes "http" and "https" need one (RFC 9110 section 4.2.1).

A name has no comma, although RFC 3986 lets it have one: in a Host it means that two were
joined, and nobody shall take it for two.
"""

from __future__ import annotations

import re
from typing import Final

_REG_NAME = r"(?:[A-Za-z0-9\-._~!$&'()*+;=]|%[0-9A-Fa-f]{2})++"
# Not all of the grammar, whose nine lines count the groups: what reads it later does that.
_IPV6 = r"(?:[0-9A-Fa-f]{0,4}:){2,8}(?:[0-9A-Fa-f]{0,4}|[0-9]{1,3}(?:\.[0-9]{1,3}){3})"
_IP_FUTURE = r"[vV][0-9A-Fa-f]++\.[A-Za-z0-9\-._~!$&'()*+,;=:]++"

match_authority: Final = re.compile(
    rf"(?:{_REG_NAME}|\[(?:{_IPV6}|{_IP_FUTURE})\])(?::([0-9]{{0,5}}))?"
).fullmatch
"""Match if the whole string is a host and perhaps a port, which is group 1.  The port may be
empty, and may be more than 65535."""
