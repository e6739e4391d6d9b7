"""What can go wrong, who did it, and how far it reaches.

Two questions decide what happens next, so every error answers both:

* **Who?**  ``LocalProtocolError`` is the caller's mistake and is raised at the caller;
  nothing changed and nothing was queued.  ``RemoteProtocolError`` is the peer's; it is
  never raised by an input, the engine has already answered the peer, and it rides on
  ``StreamReset.error`` or ``ConnectionClosed.error``.
* **How far?**  ``scope`` says whether a stream or the whole connection is lost.

``RemoteProtocolError`` carries both forms of the answer: ``status_hint`` is the HTTP
status that a server sends (or would have sent), ``code`` the HTTP/2 error code.
"""

from __future__ import annotations

import copy
import enum


class ErrorCode(enum.IntEnum):
    """HTTP/2 error codes (RFC 9113 section 7).  HTTP/1.1 streams use them too."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


class Scope(enum.Enum):
    """How far an error reaches."""

    STREAM = "stream"
    CONNECTION = "connection"


class ProtocolError(Exception):
    """The rules of the protocol were broken.  Only the two subclasses are raised."""

    def __init__(self, message: str, *, scope: Scope = Scope.CONNECTION) -> None:
        super().__init__(message)
        self.message = message
        self.scope = scope


class LocalProtocolError(ProtocolError):
    """The caller asked for something that the protocol forbids now, or ever."""

    def __init__(self, message: str, *, scope: Scope = Scope.STREAM) -> None:
        super().__init__(message, scope=scope)


class FieldTypeError(LocalProtocolError, TypeError):
    """The name or the value of a field to send is not a ``str``."""


class RemoteProtocolError(ProtocolError):
    """The peer broke the protocol, exceeded a limit, or took too long.

    ``status_hint``: the status with which a server answers it (400, 408, 414, 431, ...).
    ``code``: the HTTP/2 error code, see ``ErrorCode``.
    """

    def __init__(
        self,
        message: str,
        *,
        status_hint: int = 400,
        code: int = ErrorCode.PROTOCOL_ERROR,
        scope: Scope = Scope.CONNECTION,
    ) -> None:
        super().__init__(message, scope=scope)
        self.status_hint = status_hint
        self.code = code

    def without_frames(self) -> RemoteProtocolError:
        """Return this error without the frames that it was raised in.

        An engine keeps its errors and puts them on events.  The frames would keep the engine,
        and all that it holds, until the garbage collector finds the cycle.
        """
        self.__traceback__ = self.__context__ = self.__cause__ = None
        return self


def copy_error(error: BaseException) -> BaseException:
    """Return a copy of an error that is kept, to be raised in its place.

    What is raised gets a traceback, and the traceback holds every frame that it went
    through: an error that is kept and raised would keep alive who keeps it.  An error of a
    class that cannot be copied is returned itself.
    """
    try:
        copied = copy.copy(error)
    except Exception:  # whatever a constructor raises that wants other arguments
        return error
    copied.__cause__ = error.__cause__
    if hasattr(error, "__notes__"):
        copied.__notes__ = list(error.__notes__)  # Else a note on one would be on all.
    return copied
