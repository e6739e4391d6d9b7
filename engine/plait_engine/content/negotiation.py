"""Which content coding a client prefers: Accept-Encoding (RFC 9110 section 12.5.3).

Rules
-----
* A coding is acceptable if it is listed with a weight above 0, or is not listed and ``*`` is.
* ``identity`` (no coding) is acceptable unless it is listed with weight 0, or ``*`` is and
  ``identity`` is not listed.
* The highest weight wins; of equal ones the first that the server has.  ``identity`` wins over
  a coding only if the client gives it a higher weight.
* Without the field any coding would do, but such a client seldom decodes: it gets ``identity``.
  So does a client that accepts nothing that there is: the RFC prefers that to an error.
* Names are case-insensitive, ``x-gzip`` is ``gzip`` (section 8.4.1.3).  A member with a weight
  that is none, or with other parameters, is left out.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

IDENTITY: Final = "identity"

# RFC 9110 sections 5.6.2 and 12.4.2: a token and perhaps its weight.
_match_member: Final = re.compile(
    r"[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)"
    r"(?:[ \t]*;[ \t]*[qQ]=(0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?))?[ \t]*"
).fullmatch
_ALIASES: Final = {"x-gzip": "gzip", "x-compress": "compress"}


def parse_accept_encoding(fields: Iterable[str]) -> dict[str, float]:
    """Return the weight, from 0 to 1, of each coding that is listed; names in lower case.

    ``fields``: the values of all the Accept-Encoding fields.  Of a coding that is listed twice
    the first weight counts.
    """
    weights: dict[str, float] = {}
    for field in fields:
        for member in field.split(","):
            match = _match_member(member)
            if match is not None:
                name, weight = match.groups()
                name = name.lower()
                name = _ALIASES.get(name, name)
                weights.setdefault(name, 1.0 if weight is None else float(weight))
    return weights


def choose_coding(fields: Iterable[str], available: Sequence[str]) -> str:
    """Return the coding to send: one of ``available``, or ``"identity"``.

    Args:
        fields: the values of all the Accept-Encoding fields; none if there is no field.
        available: codings that can be made, the best first, in lower case.
    """
    weights = parse_accept_encoding(fields)
    others = weights.get("*", 0.0)
    best = IDENTITY
    # Without a weight of its own, identity is what is left when no coding is acceptable.
    best_weight = weights.get(IDENTITY, 0.0)
    for name in available:
        weight = weights.get(name, others)
        if weight > best_weight or (weight == best_weight > 0 and best == IDENTITY):
            best, best_weight = name, weight
    return best
