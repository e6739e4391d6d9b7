"""The field Sec-WebSocket-Extensions, and the negotiation of permessage-deflate.

A client's offers, a server's answer and a client's check of it (RFC 7692 sections 5 and
7.1).  Parameters that this side does not understand, or that have no valid value, make it
decline an offer or fail an answer; the next offer of the list may still do.  A field that
is not even well-formed fails the handshake (RFC 6455 section 9.1).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from plait_engine.headers import is_token

from .deflate import MAX_WINDOW_BITS, Deflate

PERMESSAGE_DEFLATE = "permessage-deflate"

Extension: TypeAlias = tuple[str, list[tuple[str, str | None]]]
"""A name and its parameters, in order; a parameter without a value has ``None``."""

# RFC 7692 section 7.1.2.1: a decimal integer from 8 to 15 without leading zeros.
_is_window_bits = re.compile(r"[89]|1[0-5]", re.ASCII).fullmatch
_unescape = re.compile(r"\\(.)", re.DOTALL).sub


class _Declined(Exception):
    """The parameters of an extension are not acceptable."""


def parse_extensions(values: Sequence[str]) -> list[Extension]:
    """Return the members of the field's lines (RFC 6455 section 9.1).

    Raises ValueError when one is not well-formed.
    """
    extensions: list[Extension] = []
    for member in ",".join(values).split(","):
        # A quoted value must be a token once unquoted (9.1), so no comma or semicolon
        # stands in one, and splitting at them is safe.
        name, *parameters = (part.strip(" \t") for part in member.split(";"))
        if not name and not parameters:
            continue  # RFC 9110 section 5.6.1: empty members are ignored
        if not is_token(name):
            raise ValueError("Sec-WebSocket-Extensions has a name that is not a token")
        extensions.append((name, [_parse_parameter(parameter) for parameter in parameters]))
    return extensions


def _parse_parameter(parameter: str) -> tuple[str, str | None]:
    name, equals, value = parameter.partition("=")
    name, value = name.rstrip(" \t"), value.lstrip(" \t")
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = _unescape(r"\1", value[1:-1])
    if not is_token(name) or (equals and not is_token(value)):
        raise ValueError("Sec-WebSocket-Extensions has a parameter that is not well-formed")
    return name, value if equals else None


def offer(deflate: Deflate) -> str:
    """Return the field value with which a client offers ``deflate``."""
    parts = [PERMESSAGE_DEFLATE]
    if deflate.client_max_window_bits < MAX_WINDOW_BITS:
        parts.append(f"client_max_window_bits={deflate.client_max_window_bits}")
    else:
        parts.append("client_max_window_bits")
    if deflate.server_max_window_bits < MAX_WINDOW_BITS:
        parts.append(f"server_max_window_bits={deflate.server_max_window_bits}")
    if deflate.server_no_context_takeover:
        parts.append("server_no_context_takeover")
    if deflate.client_no_context_takeover:
        parts.append("client_no_context_takeover")
    return "; ".join(parts)


def answer(offers: Sequence[Extension], willing: Deflate) -> tuple[Deflate, str] | None:
    """Choose among a client's offers what a server of the kind ``willing`` can do.

    Returns the negotiated parameters and the field value that says so; ``None`` when no offer of
    permessage-deflate is acceptable.
    """
    for name, parameters in offers:
        if name == PERMESSAGE_DEFLATE:
            try:
                return _answer_offer(_read_parameters(parameters), willing)
            except _Declined:
                continue
    return None


def _answer_offer(offered: dict[str, int | None], willing: Deflate) -> tuple[Deflate, str]:
    agreed = replace(
        willing,
        server_no_context_takeover=willing.server_no_context_takeover
        or "server_no_context_takeover" in offered,
        client_no_context_takeover=willing.client_no_context_takeover
        or "client_no_context_takeover" in offered,
        server_max_window_bits=min(
            willing.server_max_window_bits, _bits(offered, "server_max_window_bits")
        ),
        # A client that does not say so cannot limit its window (section 7.1.2.2).
        client_max_window_bits=min(
            willing.client_max_window_bits, _bits(offered, "client_max_window_bits")
        )
        if "client_max_window_bits" in offered
        else MAX_WINDOW_BITS,
    )
    if "server_max_window_bits" in offered and offered["server_max_window_bits"] is None:
        raise _Declined("server_max_window_bits has no value")
    parts = [PERMESSAGE_DEFLATE]
    if agreed.server_no_context_takeover:
        parts.append("server_no_context_takeover")
    if agreed.client_no_context_takeover:
        parts.append("client_no_context_takeover")
    if agreed.server_max_window_bits < MAX_WINDOW_BITS or "server_max_window_bits" in offered:
        parts.append(f"server_max_window_bits={agreed.server_max_window_bits}")
    if agreed.client_max_window_bits < MAX_WINDOW_BITS or offered.get("client_max_window_bits"):
        parts.append(f"client_max_window_bits={agreed.client_max_window_bits}")
    return agreed, "; ".join(parts)


def check_answer(extensions: Sequence[Extension], offered: Deflate | None) -> Deflate | None:
    """Return what a server's answer makes of the client's offer; ``None``: no compression.

    Raises ValueError when the answer is none to that offer (RFC 7692 section 5.1).
    """
    if not extensions:
        return None
    if offered is None or len(extensions) > 1 or extensions[0][0] != PERMESSAGE_DEFLATE:
        raise ValueError("the server chose an extension that was not offered")
    try:
        chosen = _read_parameters(extensions[0][1])
    except _Declined as error:
        raise ValueError(f"the server's answer to {PERMESSAGE_DEFLATE}: {error}") from None
    for name in ("server_max_window_bits", "client_max_window_bits"):
        if name in chosen and chosen[name] is None:
            raise ValueError(f"the server gave {name} no value")
    server_bits = _bits(chosen, "server_max_window_bits")
    client_bits = _bits(chosen, "client_max_window_bits")
    if server_bits > offered.server_max_window_bits:
        raise ValueError("the server did not agree to server_max_window_bits")
    if "client_max_window_bits" in chosen and client_bits > offered.client_max_window_bits:
        raise ValueError("the server raised client_max_window_bits")
    if offered.server_no_context_takeover and "server_no_context_takeover" not in chosen:
        raise ValueError("the server did not agree to server_no_context_takeover")
    return replace(
        offered,
        server_no_context_takeover="server_no_context_takeover" in chosen,
        client_no_context_takeover=offered.client_no_context_takeover
        or "client_no_context_takeover" in chosen,
        server_max_window_bits=server_bits,
        client_max_window_bits=min(client_bits, offered.client_max_window_bits),
    )


def _bits(parameters: dict[str, int | None], name: str) -> int:
    return parameters.get(name) or MAX_WINDOW_BITS


def _no_value(value: str | None) -> None:
    if value is not None:
        raise _Declined("a parameter has a value that must have none")


def _window_bits(value: str | None) -> int | None:
    if value is None:
        return None
    if not _is_window_bits(value):
        raise _Declined("window bits are not 8 to 15")
    return int(value)


_PARAMETERS: dict[str, Callable[[str | None], int | None]] = {
    "server_no_context_takeover": _no_value,
    "client_no_context_takeover": _no_value,
    "server_max_window_bits": _window_bits,
    "client_max_window_bits": _window_bits,
}


def _read_parameters(parameters: list[tuple[str, str | None]]) -> dict[str, int | None]:
    """Return the parameters by name, checked (RFC 7692 section 7.1)."""
    read: dict[str, int | None] = {}
    for name, value in parameters:
        if name not in _PARAMETERS or name in read:
            raise _Declined(f"the parameter {name} is unknown or given twice")
        read[name] = _PARAMETERS[name](value)
    return read
