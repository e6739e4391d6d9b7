"""What the house is made of, measured: lines of code, imports at run time, calls.

``tests/test_house.py`` holds the limits.  ``python -m tests.house`` prints the figures;
``make lint`` runs it.

A *line of code* is a line with a token on it that is neither a comment nor a docstring.

The *engine* of the ratio is ``plait_engine`` without ``reference`` (other people's machines)
and ``testing`` (tools for tests).  The *transport* is what plait needs around the engine to
carry one exchange over a socket: connecting, names and addresses, TLS, the loop's protocols
and timers, the pool's tasks, the server's sockets, and the exchanges that a request, a
response or a WebSocket stands on.  It is ``TRANSPORT`` below, without ``NOT_TRANSPORT``.
The rest of ``plait`` is the API: what a program gives and gets (requests, responses,
payloads, cookies, routes).
"""

from __future__ import annotations

import ast
import io
import tokenize
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOURCES = {
    "plait_engine": ROOT / "engine" / "plait_engine",
    "plait": ROOT / "adapters" / "plait",
    "plait_trio": ROOT / "adapters" / "plait_trio",
}
NOT_NATIVE = ("plait_engine.reference", "plait_engine.testing")
TRANSPORT = (
    "plait.transport",
    "plait.calls",
    "plait.connector",
    "plait.resolver",
    "plait.serving.exchange",
    "plait.web_protocol",
    "plait.web_server",
    "plait.web_runner",
    "plait.websocket.exchange",
)
"""Modules, and packages with all that is in them."""
NOT_TRANSPORT = (
    "plait.calls.call",
    "plait.calls.content",
    "plait.calls.context",
    "plait.calls.cookies",
    "plait.calls.environment",
    "plait.calls.errors",
    "plait.calls.fields",
    "plait.calls.hints",
    "plait.calls.links",
    "plait.calls.media",
    "plait.calls.options",
    "plait.calls.request",
    "plait.calls.response",
    "plait.calls.target",
    "plait.calls.timeouts",
    "plait.calls.upload",
    "plait.calls.verification",
    "plait.transport.body",
)
"""What a request and its response say, the stream that a body is read from, what a session decides
about them, and what the caller is told."""


def files(root: Path) -> list[Path]:
    return sorted(path for path in root.rglob("*.py") if "__pycache__" not in path.parts)


def modules() -> dict[str, Path]:
    """Return every module that ships, by its name."""
    found = {}
    for package, root in SOURCES.items():
        for path in files(root):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join((package, *parts)).removesuffix(".__init__")] = path
    return found


def is_in(module: str, places: Iterable[str]) -> bool:
    """Tell whether ``module`` is one of ``places`` or inside of one."""
    return any(module == place or module.startswith(f"{place}.") for place in places)


# -- lines of code -----------------------------------------------------------------------

_NO_CODE = frozenset(
    {
        tokenize.COMMENT,
        tokenize.NL,
        tokenize.NEWLINE,
        tokenize.INDENT,
        tokenize.DEDENT,
        tokenize.ENCODING,
        tokenize.ENDMARKER,
    }
)


def count_code(source: str) -> int:
    """Return how many lines of ``source`` have code on them."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in _NO_CODE:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and _is_text(node.value):
            # A docstring, or what is said below an attribute.
            lines.difference_update(range(node.lineno, (node.end_lineno or 0) + 1))
    return len(lines)


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def measure() -> dict[str, int]:
    """Return the lines of code of each part of the house."""
    sizes = dict.fromkeys(("engine", "reference and testing", "transport", "API", "plait_trio"), 0)
    for module, path in modules().items():
        if is_in(module, NOT_NATIVE):
            part = "reference and testing"
        elif is_in(module, ("plait_engine",)):
            part = "engine"
        elif is_in(module, ("plait_trio",)):
            part = "plait_trio"
        else:
            carries = is_in(module, TRANSPORT) and not is_in(module, NOT_TRANSPORT)
            part = "transport" if carries else "API"
        sizes[part] += count_code(path.read_text())
    return sizes


# -- imports at run time -----------------------------------------------------------------


def run_time_nodes(tree: ast.AST) -> Iterator[ast.AST]:
    """Walk what runs: all but the bodies of ``if TYPE_CHECKING:``."""
    if isinstance(tree, ast.If) and _is_type_checking(tree.test):
        children: Iterable[ast.AST] = tree.orelse
    else:
        yield tree
        children = ast.iter_child_nodes(tree)
    for child in children:
        yield from run_time_nodes(child)


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", "")
    return name == "TYPE_CHECKING"


def imports(source: str, module: str, *, is_package: bool, known: Iterable[str]) -> set[str]:
    """Return the modules of ``known`` that ``module`` imports when it is run.

    An import inside of a function counts: it runs, and it is how a ring is usually hidden.
    That a module runs its parent packages first does not count: every module does.
    """
    names = frozenset(known)
    package = module.split(".") if is_package else module.split(".")[:-1]
    found: set[str] = set()
    for node in run_time_nodes(ast.parse(source)):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *filter(None, [node.module])])
            for alias in node.names:
                inner = f"{origin}.{alias.name}"
                found.add(inner if inner in names else origin)
    return (found & names) - {module}


@cache
def import_graph() -> dict[str, set[str]]:
    """Return what each module that ships imports of the others when it is run."""
    known = modules()
    return {
        module: imports(
            path.read_text(), module, is_package=path.name == "__init__.py", known=known
        )
        for module, path in known.items()
    }


def rings(graph: Mapping[str, set[str]]) -> list[list[str]]:
    """Return the groups of modules that import one another, directly or by way of others."""
    reached = {module: _reachable(graph, module) for module in graph}
    found = {
        tuple(sorted(other for other in reached[module] if module in reached[other]))
        for module in graph
        if module in reached[module]
    }
    return sorted(map(list, found))


def _reachable(graph: Mapping[str, set[str]], start: str) -> set[str]:
    reached: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        module = waiting.pop()
        if module not in reached:
            reached.add(module)
            waiting.extend(graph.get(module, ()))
    return reached


# -- calls -------------------------------------------------------------------------------


def methods_called(source: str) -> set[str]:
    """Return the names of the methods that ``source`` calls, or passes on to be called."""
    return {
        node.attr
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load)
    }


def main() -> None:
    sizes = measure()
    for part, size in sizes.items():
        print(f"{part:24}{size:7,} lines of code")
    print(f"engine : transport      {sizes['engine'] / sizes['transport']:7.2f} : 1")


if __name__ == "__main__":
    main()
