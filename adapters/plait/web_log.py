"""The access log.

The format is a text with atoms such as ``%a``; it is compiled once, into the functions that
its atoms need.

What a client wrote is escaped: a quote in it would end the field that the format puts in
quotes, and bytes that no terminal should see, or no file can take, may be in it.
"""

from __future__ import annotations

import datetime
import functools
import logging
import os
import re
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, TypeAlias

from .abc import AbstractAccessLogger
from .helpers import printable

if TYPE_CHECKING:
    from .web_request import BaseRequest
    from .web_response import StreamResponse


class KeyMethod(NamedTuple):
    """The key of an atom in the record's ``extra``, and what makes its value."""

    key: str | tuple[str, str]
    method: Callable[[BaseRequest | None, StreamResponse, float], object]


_Format: TypeAlias = Callable[["BaseRequest | None", "StreamResponse", float], str | int]


def _remote_address(request: BaseRequest | None, response: StreamResponse, time: float) -> str:
    remote = None if request is None else request.remote
    return "-" if remote is None else remote


def _start_time(request: BaseRequest | None, response: StreamResponse, time: float) -> str:
    start = datetime.datetime.now().astimezone() - datetime.timedelta(seconds=time)
    return start.strftime("[%d/%b/%Y:%H:%M:%S %z]")


def _escape(text: str) -> str:
    if text.isprintable() and '"' not in text and "\\" not in text:
        return text
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return "".join(char if char.isprintable() else printable(char) for char in text)


def _request_line(request: BaseRequest | None, response: StreamResponse, time: float) -> str:
    if request is None:
        return "-"
    version = request.version
    return _escape(f"{request.method} {request.path_qs} HTTP/{version.major}.{version.minor}")


_FORMATS: Final[Mapping[str, _Format]] = {
    "a": _remote_address,
    "t": _start_time,
    "P": lambda request, response, time: f"<{os.getpid()}>",
    "r": _request_line,
    "s": lambda request, response, time: response.status,
    "b": lambda request, response, time: response.body_length,
    "T": lambda request, response, time: str(round(time)),
    "Tf": lambda request, response, time: f"{time:06f}",
    "D": lambda request, response, time: str(round(time * 1000000)),
}


def _request_header(
    name: str, request: BaseRequest | None, response: StreamResponse, time: float
) -> str:
    if request is None:
        return "(no headers)"
    return _escape(request.headers.get(name, "-"))


def _response_header(
    name: str, request: BaseRequest | None, response: StreamResponse, time: float
) -> object:
    value: object = response.headers.get(name, "-")
    return _escape(value) if isinstance(value, str) else value  # a number of the program's


def _environment(
    name: str, request: BaseRequest | None, response: StreamResponse, time: float
) -> str:
    return os.environ.get(name, "-")


_NAMED_FORMATS: Final = {"i": _request_header, "o": _response_header, "e": _environment}


class AccessLogger(AbstractAccessLogger):
    """Logs a line for each request, at level INFO.

    Atoms: ``%%``, ``%a`` remote address, ``%t`` time of the request, ``%P`` process id,
    ``%r`` request line, ``%s`` status, ``%b`` bytes of body, ``%T`` ``%Tf`` ``%D`` the
    duration in seconds, with fraction, in microseconds, ``%{X}i`` ``%{X}o`` ``%{X}e`` the
    request header, response header or environment variable X.

    Another atom stays as it is written.  An error while a line is made is logged, too, and
    goes no further.  A request that is ``None`` has ``-`` for what would come from it.
    """

    LOG_FORMAT: ClassVar[str] = '%a %t "%r" %s %b "%{Referer}i" "%{User-Agent}i"'
    LOG_FORMAT_MAP: ClassVar[Mapping[str, str]] = {
        "a": "remote_address",
        "t": "request_start_time",
        "P": "process_id",
        "r": "first_request_line",
        "s": "response_status",
        "b": "response_size",
        "T": "request_time",
        "Tf": "request_time_frac",
        "D": "request_time_micro",
        "i": "request_header",
        "o": "response_header",
        "e": "environ",
    }
    FORMAT_RE: ClassVar[re.Pattern[str]] = re.compile(
        r"%(?:\{([A-Za-z0-9\-_]+)\}([ioe])|(%|Tf?|.?))", re.DOTALL
    )

    def __init__(self, logger: logging.Logger, log_format: str = LOG_FORMAT) -> None:
        super().__init__(logger, log_format)
        self._format, self._methods = self.compile_format(log_format)

    @property
    def enabled(self) -> bool:
        """False when the logger drops what would be logged."""
        return self.logger.isEnabledFor(logging.INFO)

    @classmethod
    def compile_format(cls, log_format: str) -> tuple[str, list[KeyMethod]]:
        """Return a format for ``%``, and what makes its values."""
        methods: list[KeyMethod] = []

        def replace(match: re.Match[str]) -> str:
            name, kind, atom = match.groups()
            if atom == "%":
                return "%%"
            if name is not None:
                methods.append(
                    KeyMethod(
                        (cls.LOG_FORMAT_MAP[kind], name),
                        functools.partial(_NAMED_FORMATS[kind], name),
                    )
                )
            elif atom in _FORMATS:
                methods.append(KeyMethod(cls.LOG_FORMAT_MAP[atom], _FORMATS[atom]))
            else:
                return f"%%{atom}"
            return "%s"

        return cls.FORMAT_RE.sub(replace, log_format), methods

    def log(self, request: BaseRequest | None, response: StreamResponse, time: float) -> None:
        """Log one request; ``time`` is its duration in seconds."""
        try:
            self._log(request, response, time)
        except Exception:
            self.logger.exception("Error in logging")

    def _log(self, request: BaseRequest | None, response: StreamResponse, time: float) -> None:
        values: list[object] = []
        extra: dict[str, object] = {}
        for key, method in self._methods:
            value = method(request, response, time)
            values.append(value)
            if isinstance(key, str):
                extra[key] = value
            else:
                group, name = key
                named = extra.setdefault(group, {})
                assert isinstance(named, dict)
                named[name] = value
        self.logger.info(self._format % tuple(values), extra=extra)
