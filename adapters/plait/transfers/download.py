"""A download to a file: ``await session.download(url, path)``.

Until it is complete, the content is in a file beside the target, ``NAME.part``; then that takes
the target's name, in one step, so that nobody ever sees a part of it under that name.
What the part is of is noted in ``NAME.part.json``: its strong entity tag, and the SHA-256 digest
of its URL, which itself may have credentials in it.  A download that is cut short, or cancelled,
leaves both, if it can be resumed; the next one of the same URL to the same target goes on there,
and the server decides by the tag whether it may (``plait_engine.content.download``).

Files are opened, written and closed in threads, so that a slow disk does not stop the loop.  One
download at a time has a target; on Windows nothing guards that.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from inspect import isawaitable
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from multidict import CIMultiDict
from yarl import URL

from plait.calls.errors import status_error
from plait.calls.fields import field_pairs
from plait.calls.timeouts import ClientTimeout
from plait.client_exceptions import ClientPayloadError
from plait_engine.content.download import ContentLengthError, Download, Part, Step

if TYPE_CHECKING:
    from plait.calls.options import RequestOptions
    from plait.client import ClientSession
    from plait.client_reqrep import ClientResponse

try:
    import fcntl
except ImportError:  # pragma: no cover: Windows
    fcntl = None  # type: ignore[assignment]

SILENCE = 60.0
"""Seconds without a byte that end a download, unless the session says otherwise."""

Progress = Callable[[int, int | None], object]
"""Told how many bytes there are, and how many there will be, if the server said so.  What it
returns is awaited, if it can be."""

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Downloaded:
    """What came of a download.

    ``size``: bytes of the file.  ``resumed_at``: how many of them were there from before.
    """

    path: Path
    size: int
    resumed_at: int


class PartFile:
    """What there is of a file, beside the target; its methods block."""

    def __init__(self, target: Path, url: str) -> None:
        self._target = target
        self._url_digest = hashlib.sha256(url.encode()).hexdigest()
        self._path = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.json")
        self._file: BinaryIO | None = None
        self._is_resumable = False

    def open(self, *, resume: bool) -> Part | None:
        """Open the file; return what there is from before, if it can be resumed.

        Raises IsADirectoryError, and BlockingIOError when another download has the target.
        """
        if self._target.is_dir():
            raise IsADirectoryError(f"{self._target} is a directory")
        file = self._open_alone()
        self._file = file
        etag = self._read_note() if resume else None
        size = file.tell()
        self._is_resumable = etag is not None and size > 0
        return Part(size, etag) if etag is not None else None

    def _open_alone(self) -> BinaryIO:
        while True:
            file = open(self._path, "ab", opener=_open_own)  # noqa: SIM115  # it is kept
            if fcntl is None:
                return file
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(file.fileno()), os.stat(self._path)):
                    return file
            except FileNotFoundError:
                pass
            except BlockingIOError as error:
                file.close()
                message = f"another download to {self._target} is under way"
                raise BlockingIOError(error.errno, message) from None
            except BaseException:  # A file system that knows no locks, for instance.
                file.close()
                raise
            file.close()  # Another download had it until now, and gave it another name.

    def begin(self, etag: str | None) -> None:
        """Drop what there is; what is written now has this strong tag, if any."""
        assert self._file is not None
        self._file.truncate(0)
        self._is_resumable = etag is not None
        if etag is None:
            self._note.unlink(missing_ok=True)
        else:
            with open(self._note, "w", encoding="utf-8", opener=_open_own) as note:
                json.dump({"url_sha256": self._url_digest, "etag": etag}, note)

    def write(self, data: bytes) -> None:
        """Append ``data``."""
        assert self._file is not None
        self._file.write(data)

    def finish(self) -> None:
        """All of it is there: give it the name of the target."""
        file, self._file = self._file, None
        assert file is not None
        with file:
            file.flush()
            os.fsync(file.fileno())
            if fcntl is None:  # Windows renames no file that is open.
                file.close()
            os.replace(self._path, self._target)
        self._note.unlink(missing_ok=True)

    def abandon(self) -> None:
        """Leave what can be resumed, and nothing else.  No-op behind ``finish``."""
        file, self._file = self._file, None
        if file is not None:
            if not self._is_resumable:
                self._note.unlink(missing_ok=True)
                with contextlib.suppress(OSError):  # Windows removes no file that is open.
                    self._path.unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # The disk is full, and was before.
                file.close()

    def _read_note(self) -> str | None:
        """Return the tag of what there is, if it is of the same URL."""
        try:
            note: Any = json.loads(self._note.read_text("utf-8"))
            return str(note["etag"]) if note["url_sha256"] == self._url_digest else None
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _open_own(path: str, flags: int) -> int:
    """Open a file for ``open``, and none that a symbolic link at ``path`` leads to.

    The names beside the target can be foreseen, and others may write into the folder.
    """
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o666)


async def download(
    session: ClientSession,
    url: URL,
    target: Path,
    options: RequestOptions,
    progress: Progress | None,
    *,
    resume: bool,
) -> Downloaded:
    """Download ``url`` to ``target``; ``options`` are those of each request.

    The other arguments, and what it raises: see ``ClientSession.download``.
    """
    if "raise_for_status" in options:
        raise TypeError("download() takes no raise_for_status: it reads the status itself")
    options["raise_for_status"] = False
    options.setdefault("timeout", _timeout(session.timeout))
    own = CIMultiDict(field_pairs(options.get("headers")))
    if params := options.pop("params", None):
        url = url.extend_query(params)
    part = PartFile(target, str(url))
    try:
        machine = Download(await _in_thread(part.open, resume=resume))
        resumed_at = machine.size
        step = Step.ASK_AGAIN
        while step is Step.ASK_AGAIN:
            headers = own.copy()
            headers.update(machine.request_fields())
            options["headers"] = headers
            response = await session.get(url, **options)
            try:
                step = machine.on_response(response.status, list(response.headers.items()))
                if step is Step.REFUSED:
                    raise status_error(response)
                if step is Step.BEGIN:
                    resumed_at = 0
                    await _in_thread(part.begin, machine.etag)
                if step in (Step.BEGIN, Step.APPEND):
                    step = await _receive(response, machine, part, progress)
            finally:
                response.release()
        await _in_thread(part.finish)
    finally:
        await _in_thread(part.abandon)
    return Downloaded(target, machine.size, resumed_at)


def _timeout(of_session: ClientTimeout) -> ClientTimeout:
    """Return the timeout of a download: it may take as long as it goes on."""
    return replace(of_session, total=None, sock_read=of_session.sock_read or SILENCE)


async def _receive(
    response: ClientResponse, machine: Download, part: PartFile, progress: Progress | None
) -> Step:
    """Write the content of a response to the file."""
    try:
        await _tell(progress, machine)
        async for data in response.content.iter_any():
            machine.receive_data(len(data))
            await _in_thread(part.write, data)
            await _tell(progress, machine)
        return machine.on_end()
    except ContentLengthError as error:
        raise ClientPayloadError(f"Response payload is not completed: {error}") from error


async def _tell(progress: Progress | None, machine: Download) -> None:
    if progress is not None:
        told = progress(machine.size, machine.total)
        if isawaitable(told):
            await told


async def _in_thread(function: Callable[..., _Result], *args: Any, **kwargs: Any) -> _Result:
    """Call ``function`` in a thread.  When this is cancelled, the call is waited for, too."""
    loop = asyncio.get_running_loop()
    call = loop.run_in_executor(None, partial(function, *args, **kwargs))
    try:
        return await asyncio.shield(call)
    except asyncio.CancelledError:
        while not call.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([call])
        call.exception()  # It has been seen.
        raise
