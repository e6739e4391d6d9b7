"""Static files: a resource that serves what is below a directory.

Rules
-----
* Which paths may name a file is decided before any file is looked at
  (``plait_engine.routing.file_name``); others are no paths of the resource: 404.
* A link may lead to another place below the directory, and out of it only with
  ``follow_symlinks``.
* What does not exist is 404; what must not be read, and a directory without an index, 403.
* Looking at files blocks, and is done in an executor.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import html
import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from yarl import URL

from plait import hdrs
from plait.typedefs import Handler, PathLike
from plait.web_exceptions import HTTPForbidden, HTTPNotFound
from plait.web_fileresponse import FileResponse
from plait.web_request import Request
from plait.web_response import Response, StreamResponse
from plait_engine.routing import PATH_SAFE, FileTree

from .files import open_file
from .resource import PrefixResource, Resolved, find_route
from .route import AbstractRoute, ExpectHandler, ResourceRoute

_WINDOWS: Final = os.name == "nt"


class StaticResource(PrefixResource):
    """The files below a directory, for GET and HEAD.

    Args:
        prefix: of the paths.
        directory: where the files are.  Raises ValueError when there is none.
        name: for ``router[name]``.
        expect_handler: what answers to ``Expect``.
        chunk_size: see ``FileResponse``.
        show_index: list the files of a directory.
        follow_symlinks: follow links that lead out of the directory.
        append_version: ``url_for`` adds a hash of the file's content to the URL.
    """

    VERSION_KEY = "v"

    def __init__(
        self,
        prefix: str,
        directory: PathLike,
        *,
        name: str | None = None,
        expect_handler: ExpectHandler | None = None,
        chunk_size: int = 262144,
        show_index: bool = False,
        follow_symlinks: bool = False,
        append_version: bool = False,
    ) -> None:
        super().__init__(prefix.removesuffix("/"), name=name)
        try:
            self._directory = Path(directory).expanduser().resolve(strict=True)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ValueError(f"'{directory}' does not exist") from error
        if not self._directory.is_dir():
            raise ValueError(f"'{directory}' is not a directory")
        self._show_index = show_index
        self._chunk_size = chunk_size
        self._follow_symlinks = follow_symlinks
        self._append_version = append_version
        self._expect_handler = expect_handler
        self._routes: dict[str, ResourceRoute] = {}
        for method in (hdrs.METH_GET, hdrs.METH_HEAD):
            self._add_route(method, self._handle)
        self._versions: dict[Path, tuple[int, int, str]] = {}
        """Of each file: when it was changed, its size, and the hash of its content."""

    def _add_route(self, method: str, handler: Handler) -> None:
        self._routes[method] = ResourceRoute(
            method, handler, self, expect_handler=self._expect_handler
        )

    def _make_subtree(self, prefix: str) -> FileTree:
        return FileTree(prefix, windows=_WINDOWS)

    def url_for(  # type: ignore[override]  # aiohttp's signature
        self, *, filename: PathLike, append_version: bool | None = None
    ) -> URL:
        """Return the URL of a file.

        ``append_version``: with a hash of its content, if there is such a file below the
        directory; by default as the resource says.
        """
        name = os.fspath(filename)
        name = (name.replace("\\", "/") if _WINDOWS else name).lstrip("/")
        url = URL.build(path=f"{self.canonical}/{_quote(name)}", encoded=True)
        if append_version if append_version is not None else self._append_version:
            version = self._version_of(name)
            if version is not None:
                return url.with_query({self.VERSION_KEY: version})
        return url

    def _version_of(self, name: str) -> str | None:
        path = self._locate(name)
        if path is None:
            return None
        try:
            status = path.stat()
            if not stat.S_ISREG(status.st_mode):
                return None  # A pipe would wait for whoever writes into it.
            state = status.st_mtime_ns, status.st_size
            known = self._versions.get(path)
            if known is None or known[:2] != state:
                with path.open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").digest()
                known = (*state, base64.urlsafe_b64encode(digest).decode())
                self._versions[path] = known
        except (OSError, ValueError):
            return None  # No such file, or none that can be served.
        return known[2]

    def _locate(self, name: str) -> Path | None:
        """Return the path of a file, without links; ``None`` if it is not to be served."""
        places = name.split("/")
        if ".." in places:
            return None
        path = self._directory.joinpath(name)
        if not _WINDOWS and not self._has_link(places):
            return path
        try:
            path = path.resolve(strict=True)
        except (OSError, RuntimeError, ValueError):
            return None  # Nothing is there, links go in a ring, NUL.
        if self._follow_symlinks or path.is_relative_to(self._directory):
            return path
        return None

    def _has_link(self, places: list[str]) -> bool:
        """Tell whether there is a link on the way from the directory to a file."""
        path = str(self._directory)
        for place in places:
            path = f"{path}/{place}"
            if os.path.islink(path):
                return True
        return False

    def get_info(self) -> dict[str, Any]:
        """Return directory, prefix and routes by method."""
        return {"directory": self._directory, "prefix": self.canonical, "routes": self._routes}

    def set_options_route(self, handler: Handler) -> None:
        """Add a handler for OPTIONS.  Raises RuntimeError when there is one."""
        if hdrs.METH_OPTIONS in self._routes:
            raise RuntimeError("this static resource has an OPTIONS route already")
        self._add_route(hdrs.METH_OPTIONS, handler)

    async def resolve(self, request: Request) -> Resolved:
        """Return what matches ``request``, and the methods that the path has."""
        return find_route(self._subtree, self._routes, request)

    def __len__(self) -> int:
        return len(self._routes)

    def __iter__(self) -> Iterator[AbstractRoute]:
        return iter(self._routes.values())

    def __repr__(self) -> str:
        name = f"'{self.name}'" if self.name is not None else ""
        return f"<StaticResource {name} {self.canonical} -> {self._directory!r}>"

    # -- answering --------------------------------------------------------------------------

    async def _handle(self, request: Request) -> StreamResponse:
        loop = asyncio.get_running_loop()
        accepted = request.headers.getall(hdrs.ACCEPT_ENCODING, ())
        return await loop.run_in_executor(
            None, self._answer, request.match_info["filename"], accepted
        )

    def _answer(self, name: str, accept_encoding: Sequence[str]) -> StreamResponse:
        path = self._locate(name)
        if path is None:
            raise HTTPNotFound
        try:
            if not path.is_dir():
                response = FileResponse(path, chunk_size=self._chunk_size)
                # ``_locate`` followed the links: what is a link now took the place of a file.
                response._file = open_file(str(path), accept_encoding, follow=False)
                return response
            if not self._show_index:
                raise HTTPForbidden
            page = self._directory_as_html(path, name)
            return Response(text=page, content_type="text/html")
        except PermissionError:
            raise HTTPForbidden from None
        except (OSError, ValueError):
            raise HTTPNotFound from None

    def _directory_as_html(self, path: Path, name: str) -> str:
        """Return the index of the directory ``path``, which was asked for as ``name``."""
        places = [place for place in name.split("/") if place not in ("", ".")]
        title = f"Index of /{_show('/'.join(places) or '.')}"
        base = "/".join([self.canonical, *map(_quote, places)])
        entries = "\n".join(_entry_as_html(base, entry) for entry in sorted(path.iterdir()))
        return (
            f"<html>\n<head>\n<title>{title}</title>\n</head>\n"
            f"<body>\n<h1>{title}</h1>\n<ul>\n{entries}\n</ul>\n</body>\n</html>"
        )


def _entry_as_html(base: str, entry: Path) -> str:
    name = f"{entry.name}/" if entry.is_dir() else entry.name
    url = f"{base}/{_quote(entry.name)}"
    return f'<li><a href="{html.escape(url)}">{_show(name)}</a></li>'


def _quote(name: str) -> str:
    return quote(os.fsencode(name), PATH_SAFE)


def _show(name: str) -> str:
    """Return ``name`` for a page, without what could make it look like another one."""
    return html.escape("".join(char if char.isprintable() else "\ufffd" for char in name))
