"""Regular files, opened for a response: the one that is asked for, or a sibling that is encoded.

Opening and reading blocks, and belongs into an executor.

Rules
-----
* Only a regular file is opened.  Opening a pipe would wait for whoever writes into it, and
  opening a device may do something.
* ``file.br`` and ``file.gz`` beside the file are taken in its place when the client prefers their
  coding (RFC 9110 section 12.5.3).  Such a sibling is never a link: a link may lead to what
  nobody meant to publish.
* A file is closed when it is done with, and at the latest when nobody has it any more: a handler
  may be cancelled while an executor opens one for it.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from plait_engine.content.negotiation import IDENTITY, choose_coding

SIBLINGS: Final = {"br": ".br", "gzip": ".gz"}
"""The suffix of a sibling by its coding, the best first."""

# O_NONBLOCK: nobody waits when a pipe takes the place of the file after it was looked at.
_FLAGS: Final = os.O_RDONLY | sum(
    getattr(os, name, 0) for name in ("O_NONBLOCK", "O_CLOEXEC", "O_BINARY")
)
_NO_LINK: Final = getattr(os, "O_NOFOLLOW", 0)
_NO_WAIT: Final = getattr(os, "RWF_NOWAIT", 0)


class OpenFile:
    """A regular file that is open.

    ``file``: the descriptor.  ``size``, ``modified_ns``: when it was opened.  ``coding``: the
    content coding of a sibling, else ``"identity"``.  ``varies``: there is a sibling, so that
    another client may get another file.

    Raises PermissionError for what must not be read or is no regular file, ValueError for NUL in
    the path, and OSError.
    """

    __slots__ = ("coding", "file", "modified_ns", "size", "varies")

    def __init__(self, path: str, *, follow: bool = True) -> None:
        self.file = -1
        self.coding = IDENTITY
        self.varies = False
        status = os.stat(path, follow_symlinks=follow)
        if not stat.S_ISREG(status.st_mode):
            raise PermissionError(errno.EACCES, "not a regular file", path)
        self.file = os.open(path, _FLAGS if follow else _FLAGS | _NO_LINK)
        status = os.fstat(self.file)
        if not stat.S_ISREG(status.st_mode):
            raise PermissionError(errno.EACCES, "not a regular file", path)
        self.size = status.st_size
        self.modified_ns = status.st_mtime_ns

    def read(self, offset: int, size: int) -> bytes:
        """Return some of the ``size`` bytes from ``offset`` on, one at least.

        Raises EOFError when there are none, OSError when they cannot be read.
        """
        if hasattr(os, "pread"):
            data = os.pread(self.file, size, offset)
        else:
            os.lseek(self.file, offset, os.SEEK_SET)
            data = os.read(self.file, size)
        if not data:
            raise EOFError(f"the file ends {size} bytes early")
        return data

    def read_cached(self, buffer: memoryview, offset: int) -> int:
        """Short path of ``read``: read what the system has in memory, without waiting.

        Returns how many bytes it put into ``buffer``.  0: ``read`` is the way.
        """
        if not _NO_WAIT:
            return 0
        try:
            return os.preadv(self.file, [buffer], offset, _NO_WAIT)
        except OSError:
            return 0

    def close(self) -> None:
        """Close it.  Later calls do nothing."""
        file, self.file = self.file, -1
        if file >= 0:
            os.close(file)

    __del__ = close


def open_file(path: str, accept_encoding: Sequence[str], *, follow: bool = True) -> OpenFile:
    """Open ``path`` or a sibling, whichever a client with these fields Accept-Encoding prefers.

    ``follow``: ``path`` may be a link.  Raises what ``OpenFile`` does.
    """
    codings = [name for name in SIBLINGS if accept_encoding and _is_sibling(path, name)]
    coding = choose_coding(accept_encoding, codings)
    opened: OpenFile | None = None
    if coding != IDENTITY:
        with suppress(OSError):  # It is gone, or must not be read: the file itself may be there.
            opened = OpenFile(path + SIBLINGS[coding], follow=False)
            opened.coding = coding
    if opened is None:
        opened = OpenFile(path, follow=follow)
    opened.varies = bool(codings)
    return opened


def _is_sibling(path: str, coding: str) -> bool:
    try:
        return stat.S_ISREG(os.lstat(path + SIBLINGS[coding]).st_mode)
    except (OSError, ValueError):
        return False
