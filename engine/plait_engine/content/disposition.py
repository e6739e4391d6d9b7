"""Content-Disposition: what a response or a part of a form is called.

Rules
-----
* The grammar is that of RFC 6266 section 4.1: a type and parameters, each a token or a quoted
  string.  ``name*`` has an extended value, ``charset'language'percent-encoded`` (RFC 8187
  section 3.2), ``name*0``, ``name*1`` ... are a value in pieces (RFC 2231 section 3).
* A quoted string ends at the first quote that is not escaped.  Where something else than the
  next parameter follows there, the sender did not escape its quotes, and the string goes on to
  the last quote before the next semicolon.
* A field that breaks the grammar says nothing: who guesses, guesses differently from the filter
  in front.  So says one that has a parameter twice.  A single extended parameter that cannot
  be decoded is left out, and an empty parameter is (some senders end with a semicolon).
* Forms of browsers are ``form-data`` (RFC 7578 section 4.2): names in raw UTF-8, where ``%22``,
  ``%0D`` and ``%0A`` stand for the three characters that a quoted string cannot have.  They are
  kept as they came: nobody can know whether the percent sign was in the name.
* The slashes that a file name begins with are taken off.  All else is as the peer sent it: **a
  file name is not a path**, and ``../`` in it is text.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import quote, unquote

from plait_engine.headers import find_bad_value_char, is_token

# What stands between the quotes, then white space, then the next parameter or the end.
_match_quoted: Final = re.compile(r'"((?:[^"\\]|\\.)*+)"[ \t]*(?=;|\Z)').match
_unescape: Final = re.compile(r"\\(.)").sub
_escape: Final = re.compile(r'[\\"]').sub
_find_not_quotable: Final = re.compile(r"[^\t\x20-\x7e]").search
_is_piece: Final = re.compile(r"[^*]+\*[0-9]+\*?").fullmatch


class Problem(NamedTuple):
    """Something in a field that breaks the grammar.

    ``whole``: it is the field that cannot be read, not only ``text``, a parameter of it.
    """

    text: str
    whole: bool


class Disposition(NamedTuple):
    """A Content-Disposition field that was read.

    ``type`` is in lower case, ``None`` if the field says nothing; ``parameters`` by their names in
    lower case, as they were written: use ``find_parameter``.
    """

    type: str | None
    parameters: dict[str, str]
    problems: tuple[Problem, ...] = ()


def parse_disposition(field: str | None) -> Disposition:
    """Return what a Content-Disposition field says (RFC 6266 section 4.1)."""
    if not field:
        return Disposition(None, {})
    kind, mark, _ = field.partition(";")
    position = len(kind) + 1
    kind = kind.strip()
    broken = Problem(field, whole=True)
    if not is_token(kind):
        return Disposition(None, {}, (broken,))
    parameters: dict[str, str] = {}
    problems: list[Problem] = []
    has_empty = False
    while mark:
        end = _end_of_parameter(field, position)
        item, mark = field[position:end], field[end : end + 1]
        position = end + 1
        if not item:
            has_empty = True
            continue
        name, equals, value = item.partition("=")
        name = name.strip().lower()
        value = value.lstrip()
        if not equals or name in parameters:
            return Disposition(None, {}, (*problems, broken))
        if not is_token(name):
            problems.append(Problem(item, whole=False))
            continue
        if _is_piece(name):
            read = _read_value(value)
        elif name.endswith("*"):
            read = _read_extended(value)
        else:
            read = _read_value(value, is_filename=name == "filename")
            if read is None:
                return Disposition(None, {}, (*problems, broken))
        if read is None:
            problems.append(Problem(item, whole=False))
        else:
            parameters[name] = read
    if has_empty:
        problems.append(broken)
    return Disposition(kind.lower(), parameters, tuple(problems))


def _end_of_parameter(field: str, start: int) -> int:
    """Return where the parameter that begins at ``start`` ends."""
    end = field.find(";", start)
    if end < 0:
        return len(field)
    opening = field.find('"', start, end)
    if opening >= 0 and (quoted := _match_quoted(field, opening)) is not None:
        return quoted.end()
    return end


def _read_value(value: str, *, is_filename: bool = False) -> str | None:
    """Return what a token or a quoted string says, or ``None``."""
    quoted = value.rstrip()
    if len(quoted) >= 2 and quoted[0] == quoted[-1] == '"':
        content = quoted[1:-1]
        return _unescape(r"\1", content.lstrip("\\/") if is_filename else content)
    return value if is_token(value) else None


def _read_extended(value: str) -> str | None:
    """Return what an ext-value says (RFC 8187 section 3.2), or ``None``."""
    if not is_token(value) or value.count("'") != 2:
        return None
    charset, _, encoded = value.split("'")
    return _percent_decode(encoded, charset)


def _percent_decode(text: str, charset: str) -> str | None:
    try:
        return unquote(text, charset or "utf-8", "strict")
    except (LookupError, ValueError):  # The peer chose the charset, and the bytes.
        return None


def find_parameter(parameters: Mapping[str, str], name: str = "filename") -> str | None:
    """Return the value of a parameter: extended, plain, or in pieces (RFC 6266 section 4.3)."""
    extended = parameters.get(f"{name}*")
    if extended is not None:
        return extended
    plain = parameters.get(name)
    return _join_pieces(parameters, name) if plain is None else plain


def _join_pieces(parameters: Mapping[str, str], name: str) -> str | None:
    """Return a value in pieces (RFC 2231 section 3); those marked with ``*`` are encoded."""
    charset: str | None = None
    joined: list[str] = []
    while True:
        key = f"{name}*{len(joined)}"
        piece = parameters.get(key)
        if piece is None:
            piece = parameters.get(f"{key}*")
            if piece is None:
                break
            if not joined and piece.count("'") >= 2:
                charset, _, piece = piece.split("'", 2)
            if charset is not None:
                piece = _percent_decode(piece, charset)
                if piece is None:
                    return None
        joined.append(piece)
    return "".join(joined) if joined else None


def quoted_string(content: str) -> str:
    """Return ``content`` with quotes and backslashes escaped (RFC 9110 section 5.6.4).

    Raises ValueError for characters that a quoted string cannot have.
    """
    if _find_not_quotable(content):
        raise ValueError(f"{content!r} cannot be put into a quoted string")
    return _escape(r"\\\g<0>", content)


def format_disposition(
    kind: str, parameters: Mapping[str, str], *, quote_fields: bool = True, charset: str = "utf-8"
) -> str:
    """Return a Content-Disposition value (RFC 6266; for forms RFC 7578 section 4.2).

    Args:
        kind: ``inline``, ``attachment``, ``form-data`` or another token.
        parameters: their names are tokens, their values any text.
        quote_fields: percent-encode file names, and put other text that a quoted string cannot
            hold into RFC 8187's notation.  Else all text is sent raw, as browsers do.
        charset: of what is percent-encoded.

    Raises ValueError for a name that is no token, and for control characters in raw text: a
    line end there would end the field.
    """
    if not is_token(kind):
        raise ValueError(f"the disposition type {kind!r} is no token")
    parts = [kind]
    for name, value in parameters.items():
        if not is_token(name):
            raise ValueError(f"the parameter {name!r}={value!r} cannot be written")
        if not quote_fields:
            if find_bad_value_char(value):
                raise ValueError(f"control character in {name}={value!r}")
            escaped = _escape(r"\\\g<0>", value)
            parts.append(f'{name}="{escaped}"')
        elif name.lower() == "filename":
            parts.append(f'{name}="{quote(value, "", encoding=charset)}"')
        elif _find_not_quotable(value):
            parts.append(f"{name}*={charset}''{quote(value, '', encoding=charset)}")
        else:
            parts.append(f'{name}="{quoted_string(value)}"')
    return "; ".join(parts)
