"""From the path of a request to what answers it.

Strategy
--------
A ``Template`` is a parsed path such as ``/users/{id}`` or ``/files/{name:.+\\.txt}``.  A
``RouteTable`` holds templates, each with its routes by method, and finds the route of a
method and path in two ways:

* a path that is a template without variables is found by one dictionary look-up: which
  templates match it, and in which order, was worked out before the first request;
* any other path walks up its own prefixes (``/a/b/c``, ``/a/b``, ``/a``, ``/``); under
  each stand the templates whose part before the first variable is that prefix, so that
  few regular expressions are tried, however many routes there are.

Rules
-----
* The longest static prefix wins, then the order in which templates were added.
* A path is percent-decoded once, and ``%2F`` and ``%25`` are kept: an encoded slash is
  no separator of segments (RFC 3986 section 2.2), and nothing is decoded twice.  The
  values of variables are decoded completely.
* NUL, CR and LF in a decoded path are for nobody but attackers: they end strings and lines
  where the path is used next (RFC 3986 section 7.3; RFC 9110 section 5.5 has the same three
  for fields).  ``is_dangerous`` finds them; the answer is 400.
* What may name a file below a root is decided here, too, and before any file is looked at
  (``file_name``).
* A variable without a pattern matches one segment that is not empty: ``[^{}/]+``.
* The method ``*`` of a template's routes is taken for any method that has none.
* When templates match and none has the method, the answer is the methods that they have
  (405 and ``Allow``, RFC 9110 section 15.5.6); when none matches, no methods (404).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, TypeAlias, TypeVar
from urllib.parse import quote, unquote, unquote_to_bytes

R = TypeVar("R")

Params: TypeAlias = dict[str, str]

ANY_METHOD: Final = "*"
SEGMENT: Final = "[^{}/]+"
_find_variable_name = re.compile(r"[_a-zA-Z][_a-zA-Z0-9]*", re.ASCII).fullmatch
is_dangerous: Final = re.compile(r"[\0\r\n]").search
"""Tell whether a decoded path has a byte that must not go on to a handler."""
_kept_encoded = re.compile(r"(%2[Ff5])").split
# RFC 3986 section 3.3: pchar without percent-encoding, and the slash.
PATH_SAFE: Final = "/!$&'()*+,;=:@~"
"""What stands in a path as it is, for ``urllib.parse.quote``."""


def decode_path(path: str) -> str:
    """Return ``path`` percent-decoded, but for ``%2F`` and ``%25``.

    Bytes that are not UTF-8 stay encoded.
    """
    if "%" not in path:
        return path
    # The odd parts are the separators, which stay.
    return "".join(
        part.upper() if index % 2 else _decode(part)
        for index, part in enumerate(_kept_encoded(path))
    )


def decode_value(value: str) -> str:
    """Return a part of a decoded path with ``%2F`` and ``%25`` decoded too."""
    return value.replace("%2F", "/").replace("%25", "%") if "%" in value else value


def file_name(path: str, *, windows: bool = False) -> str | None:
    """Return the name, relative to some root, of the file that a decoded path means.

    ``None``: it can mean none below the root, and nobody needs to ask a file system: it goes up,
    is absolute on some system, has an encoded slash, which no name has, or NUL or a line end.
    ``windows``: nor is it a device or a stream of a file there.

    Bytes that are not UTF-8 are surrogates, as in ``os.fsdecode``.
    """
    if "%2F" in path:
        return None
    name = unquote(path, errors="surrogateescape") if "%" in path else path
    if name.startswith("/") or "\\" in name or is_dangerous(name) or _has_drive(name):
        return None
    segments = name.split("/")
    if ".." in segments or (windows and any(map(_is_reserved_on_windows, segments))):
        return None
    return name


_has_drive: Final = re.compile(r"[A-Za-z]:").match
_is_reserved_on_windows: Final = re.compile(
    # A device, whatever its suffix; a stream; what loses its end, and is another name then.
    r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9\xb9\xb2\xb3]) *(?:\..*)?|.*:.*|.*[. ]",
    re.IGNORECASE | re.DOTALL,
).fullmatch


def _decode(part: str) -> str:
    if "%" not in part:
        return part
    try:
        return unquote_to_bytes(part).decode("utf-8")
    except UnicodeDecodeError:
        return part


class Variable(NamedTuple):
    """A variable of a template: its name and the regular expression of its values."""

    name: str
    pattern: str


class Template:
    """A path with variables, as ``{name}`` or ``{name:regular expression}``.

    Raises ValueError for a path that cannot be parsed.

    ``path`` is the text as given, ``prefix`` the part that decides where it stands in a
    table, ``literal`` the decoded path if there are no variables, ``canonical`` the path
    with plain ``{name}`` in place of each variable.
    """

    __slots__ = ("_match", "_parts", "canonical", "literal", "names", "path", "pattern", "prefix")

    def __init__(self, path: str) -> None:
        self.path = path
        self._parts = _parse(path)
        self.names = tuple(part.name for part in self._parts if isinstance(part, Variable))
        self.canonical = "".join(
            f"{{{part.name}}}" if isinstance(part, Variable) else _encode(part)
            for part in self._parts
        )
        self.literal = None if self.names else decode_path(path)
        source = "".join(
            f"(?P<{part.name}>{part.pattern})"
            if isinstance(part, Variable)
            else re.escape(decode_path(part))
            for part in self._parts
        )
        try:
            self.pattern: re.Pattern[str] = re.compile(source)
        except re.error as error:
            raise ValueError(f"Bad pattern '{source}': {error}") from None
        self._match = self.pattern.fullmatch
        if self.literal is not None:
            prefix = self.literal
        else:
            first = self._parts[0]
            prefix = decode_path(first).rpartition("/")[0] if isinstance(first, str) else ""
        self.prefix = prefix.rstrip("/") or "/"

    def match(self, path: str) -> Params | None:
        """Return the variables of a decoded ``path``, or ``None`` if it does not match."""
        found = self._match(path)
        if found is None:
            return None
        params: Params = found.groupdict("")
        if "%" in path:
            for name, value in params.items():
                params[name] = decode_value(value)
        return params

    def build(self, values: Mapping[str, str]) -> str:
        """Return the encoded path for ``values``.  Raises KeyError if one is missing."""
        return "".join(
            quote(values[part.name], PATH_SAFE) if isinstance(part, Variable) else _encode(part)
            for part in self._parts
        )


class Subtree(Template):
    """Matches a path without variables and everything below it."""

    __slots__ = ()

    def __init__(self, path: str) -> None:
        super().__init__(path)
        if self.literal is None:
            raise ValueError(f"a prefix has no variables: {path!r}")
        below = "" if self.prefix == "/" else re.escape(self.prefix)
        self._match = re.compile(f"{below}(?:/.*)?", re.DOTALL).fullmatch
        self.literal = None


class FileTree(Subtree):
    """Matches a path and what below it may name a file; the variable ``filename`` is that name.

    ``windows``: the files are on Windows, where some names mean something else (``file_name``).
    """

    __slots__ = ("_windows",)

    def __init__(self, path: str, *, windows: bool = False) -> None:
        super().__init__(path)
        self._windows = windows

    def match(self, path: str) -> Params | None:
        if self._match(path) is None:
            return None
        name = file_name(path[len(self.prefix.rstrip("/")) + 1 :], windows=self._windows)
        return None if name is None else {"filename": name}


Match: TypeAlias = tuple[R, Params]
"""A route, and the values of its template's variables."""


@dataclass(frozen=True, slots=True)
class NoMatch:
    """No route.  ``allowed``: the methods that the path has, if there is such a path."""

    allowed: frozenset[str]


_NO_METHODS: Final[frozenset[str]] = frozenset()
NOT_FOUND: Final = NoMatch(_NO_METHODS)


class _Entry(NamedTuple, Generic[R]):
    template: Template
    routes: Mapping[str, R]


class RouteTable(Generic[R]):
    """Templates and their routes.  ``R`` is whatever the application calls a route."""

    def __init__(self) -> None:
        self._by_prefix: dict[str, list[_Entry[R]]] = {}
        self._longest_prefix = 0
        self._literals: dict[str, tuple[tuple[Mapping[str, R], Params], ...]] = {}
        """The candidates of each path that is a template without variables."""
        self._compiled = True

    def add(self, template: Template, routes: Mapping[str, R]) -> None:
        """Add ``template`` with its routes by method.  The mapping is kept, not copied."""
        self._by_prefix.setdefault(template.prefix, []).append(_Entry(template, routes))
        self._longest_prefix = max(self._longest_prefix, len(template.prefix))
        self._compiled = False

    def match(self, method: str, path: str) -> Match[R] | NoMatch:
        """Return the route of ``method`` and a decoded ``path``.

        Short path: what the first of ``candidates`` says that has the method.
        """
        if not self._compiled:
            self._compile()
        allowed = _NO_METHODS
        known = self._literals.get(path)
        if known is not None:
            for routes, params in known:
                route = routes.get(method) or routes.get(ANY_METHOD)
                if route is not None:
                    return route, params.copy()
                allowed = allowed.union(routes)
            return NoMatch(allowed)
        by_prefix = self._by_prefix
        prefix = self._longest_prefix_of(path)
        while prefix:
            for template, routes in by_prefix.get(prefix, ()):
                found = template.match(path)
                if found is not None:
                    route = routes.get(method) or routes.get(ANY_METHOD)
                    if route is not None:
                        return route, found
                    allowed = allowed.union(routes)
            prefix = _parent(prefix)
        return NoMatch(allowed) if allowed else NOT_FOUND

    def candidates(self, path: str) -> Iterator[tuple[Mapping[str, R], Params]]:
        """Yield the routes of every template that matches a decoded path, the best first."""
        prefix = self._longest_prefix_of(path)
        while prefix:
            for template, routes in self._by_prefix.get(prefix, ()):
                params = template.match(path)
                if params is not None:
                    yield routes, params
            prefix = _parent(prefix)

    def _longest_prefix_of(self, path: str) -> str:
        """Return the longest prefix of ``path`` under which a template may stand, if any."""
        if not path.startswith("/"):
            return ""  # ``*``, or the authority of CONNECT.
        if len(path) <= self._longest_prefix:
            return path
        # What is longer than every prefix is under none.
        return path[: path.rfind("/", 0, self._longest_prefix + 1)] or "/"

    def _compile(self) -> None:
        """Work out the answers for the paths of templates without variables."""
        self._literals.clear()
        for entries in self._by_prefix.values():
            for template, _ in entries:
                path = template.literal
                if path is not None and path not in self._literals:
                    self._literals[path] = tuple(self.candidates(path))
        self._compiled = True


def _parent(prefix: str) -> str:
    """Return the prefix above ``prefix``: ``/`` at last, and nothing above that."""
    return prefix[: prefix.rfind("/")] or ("/" if len(prefix) > 1 else "")


def _parse(path: str) -> list[str | Variable]:
    """Split a template into literal parts and variables.  Raises ValueError."""
    parts: list[str | Variable] = []
    start = 0
    while (opening := path.find("{", start)) >= 0:
        end = _closing_brace(path, opening)
        _add_literal(parts, path, path[start:opening])
        name, colon, pattern = path[opening + 1 : end].partition(":")
        if not _find_variable_name(name) or (colon and not pattern):
            raise ValueError(f"Invalid path '{path}'['{path[opening : end + 1]}']")
        parts.append(Variable(name, pattern or SEGMENT))
        start = end + 1
    _add_literal(parts, path, path[start:])
    return parts


def _closing_brace(path: str, opening: int) -> int:
    """Return where the variable ends that begins at ``opening``; patterns nest braces."""
    depth = 0
    for index in range(opening, len(path)):
        if path[index] == "{":
            depth += 1
        elif path[index] == "}":
            depth -= 1
            if not depth:
                return index
    raise ValueError(f"Invalid path '{path}'['{path[opening:]}']")


def _add_literal(parts: list[str | Variable], path: str, text: str) -> None:
    if "}" in text:
        raise ValueError(f"Invalid path '{path}'['{text}']")
    if text:
        parts.append(text)


def _encode(literal: str) -> str:
    """Return a literal part as it stands in a URL; what is encoded stays as it is."""
    return quote(decode_path(literal), PATH_SAFE + "%")
