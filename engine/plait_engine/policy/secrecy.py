"""What may stand in a log: messages and reprs of errors end up there.

Credentials are in the userinfo of a URL and in some fields.  Whoever shows a URL or fields in an
error shows them by these functions.  Bytes of a peer that are no UTF-8 are surrogates in both
(``headers.decode``), and no file takes those: they are shown as ``\\udcff``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

SECRET_FIELDS: Final = frozenset(
    {"authorization", "proxy-authorization", "cookie", "set-cookie", "authentication-info"}
)
"""Names of fields whose values are not shown, in lower case."""

_USERINFO: Final = re.compile(r"(?<=//)[^/?#]*@")


def without_credentials(url: str) -> str:
    """Return ``url`` without userinfo, whether it is a valid URL or not."""
    return _writable(_USERINFO.sub("", url))


def show_fields(fields: object) -> str:
    """Return the ``repr`` of a mapping of fields, with ``***`` for what is secret."""
    if not isinstance(fields, Mapping) or SECRET_FIELDS.isdisjoint(str(n).lower() for n in fields):
        return _writable(repr(fields))
    shown = (
        f"{name!r}: {'***' if str(name).lower() in SECRET_FIELDS else repr(value)}"
        for name, value in fields.items()
    )
    return f"<{type(fields).__name__}({', '.join(shown)})>"


def _writable(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()
