"""plait under aiohttp's name: what a program sees that imports aiohttp, and what others see.

Each program runs in an interpreter of its own, since the alias cannot be undone.  aiohttp itself
is installed here (it is a peer of other tests), so that a leak would show.
"""

from __future__ import annotations

import ast
import sys
import textwrap
from pathlib import Path

import pytest

from plait.as_aiohttp.children import FOLDER
from tests.adapters.aliased import INSTALL, ROOT, aliased, check, run

# -- the same objects ----------------------------------------------------------------------


def test_names_are_plaits_objects() -> None:
    aliased(
        """
        import aiohttp
        for name in plait.__all__:
            assert getattr(aiohttp, name) is getattr(plait, name), name
        assert set(aiohttp.__all__) == set(plait.__all__)
        """
    )


def test_modules_are_plaits_modules() -> None:
    aliased(
        """
        import importlib, pkgutil
        import aiohttp
        for info in pkgutil.iter_modules(plait.__path__):
            if info.ispkg or info.name == "worker":
                continue
            theirs = importlib.import_module(f"aiohttp.{info.name}")
            assert theirs is importlib.import_module(f"plait.{info.name}"), info.name
            assert getattr(aiohttp, info.name) is theirs, info.name
        """
    )


def test_every_way_to_import() -> None:
    aliased(
        """
        import aiohttp.web
        import aiohttp.client_exceptions as errors
        from aiohttp import hdrs, web, web_request
        from aiohttp.typedefs import LooseHeaders
        from aiohttp.web_request import Request
        import plait.web
        assert aiohttp.web is web is plait.web
        assert web_request.Request is Request is plait.web.Request
        assert errors.ClientError is plait.ClientError
        """
    )


def test_a_program_that_patches_a_module_patches_plait() -> None:
    aliased(
        """
        from unittest import mock
        from plait import helpers
        with mock.patch("aiohttp.helpers.is_ip_address") as patched:
            assert helpers.is_ip_address is patched
        """
    )


def test_what_is_plaits_own_has_no_name_in_aiohttp() -> None:
    aliased(
        """
        import importlib
        for name in ("calls", "transport", "as_aiohttp", "no_such_module", "_http_parser"):
            try:
                importlib.import_module(f"aiohttp.{name}")
            except ModuleNotFoundError as error:
                assert str(error) == f"No module named 'aiohttp.{name}'", error
            else:
                raise AssertionError(name)
        """
    )


# -- modules that only other libraries use ----------------------------------------------------


def test_a_mock_reads_from_a_stream_of_its_own() -> None:
    aliased(
        """
        import asyncio
        from unittest.mock import Mock
        from aiohttp import StreamReader
        from aiohttp.base_protocol import BaseProtocol
        from aiohttp.client_proto import ResponseHandler
        assert ResponseHandler.__module__ == "aiohttp.client_proto"

        async def main():
            protocol = ResponseHandler(asyncio.get_running_loop())
            transport = Mock(spec=asyncio.Transport)
            transport.is_closing.return_value = False
            protocol.connection_made(transport)
            assert protocol.is_connected() and isinstance(protocol, BaseProtocol)
            stream = StreamReader(protocol, limit=2)
            stream.feed_data(b"abcdef")
            assert transport.pause_reading.called
            stream.feed_eof()
            assert await stream.read() == b"abcdef"
            assert transport.resume_reading.called
            protocol.connection_lost(None)
            await protocol.closed
            assert protocol.should_close and not protocol.is_connected()

        asyncio.run(main())
        """
    )


def test_modules_that_plait_has_no_use_for() -> None:
    aliased(
        """
        import importlib
        for name in ("base_protocol", "client_proto", "http_parser", "tcp_helpers"):
            assert importlib.import_module(f"aiohttp.{name}").__name__ == f"aiohttp.{name}"
        """
    )


def test_fields_that_came_in_a_datagram() -> None:
    aliased(
        """
        from aiohttp.http_exceptions import InvalidHeader, LineTooLong
        from aiohttp.http_parser import HeadersParser

        lines = [b"USN: uuid:1::a", b"Empty:", b"X:  \\xc3\\xa9 ", b"", b"no field"]
        headers, raw = HeadersParser().parse_headers(lines)
        assert list(headers.items()) == [("USN", "uuid:1::a"), ("Empty", ""), ("X", "\\xe9")]
        assert headers["usn"] == "uuid:1::a"
        assert raw == ((b"USN", b"uuid:1::a"), (b"Empty", b""), (b"X", b"\\xc3\\xa9"))
        assert HeadersParser().parse_headers([b"A: 1"])[1] == ((b"A", b"1"),)
        assert HeadersParser(lax=True).parse_headers([b"A: 1", b" 2", b""])[0]["a"] == "1 2"

        wrong = {
            InvalidHeader: [b"no field", b": 1", b"A : 1", b" A: 1", b"A: \\0", b"A: 1\\nB: 2"],
            LineTooLong: [b"A: " + b"1" * 8190],
        }
        for error, lines in wrong.items():
            for line in lines:
                try:
                    HeadersParser().parse_headers([b"A: 1", line, b""])
                except error:
                    pass
                else:
                    raise AssertionError(line)
        try:
            HeadersParser(max_headers=1).parse_headers([b"A: 1", b"B: 2", b""])
        except InvalidHeader as error:
            assert "more than 1 fields" in str(error)
        else:
            raise AssertionError
        """
    )


def test_a_protocol_waits_for_a_full_transport_and_stops_its_parser() -> None:
    aliased(
        """
        import asyncio
        from unittest.mock import Mock, create_autospec
        from aiohttp.base_protocol import BaseProtocol
        from aiohttp.http_parser import HttpParser

        async def main():
            parser = create_autospec(HttpParser, instance=True)
            protocol = BaseProtocol(asyncio.get_running_loop(), parser)
            transport = Mock(spec=asyncio.Transport)
            protocol.connection_made(transport)
            protocol.pause_reading()
            parser.pause_reading.assert_called_once_with()
            transport.pause_reading.assert_called_once_with()

            await protocol._drain_helper()
            for end in (protocol.resume_writing, lambda: protocol.connection_lost(None)):
                protocol.pause_writing()
                waiters = [asyncio.ensure_future(protocol._drain_helper()) for _ in range(2)]
                await asyncio.sleep(0)
                assert not any(waiter.done() for waiter in waiters)
                end()
                await asyncio.gather(*waiters)
            try:
                await protocol._drain_helper()
            except ConnectionResetError:
                pass
            else:
                raise AssertionError

            protocol.connection_made(transport)
            waiter = asyncio.ensure_future(protocol._drain_helper())
            await asyncio.sleep(0)
            why = OSError("gone")
            protocol.connection_lost(why)
            try:
                await waiter
            except ConnectionError as error:
                assert error.__cause__ is why
            else:
                raise AssertionError

        asyncio.run(main())
        """
    )


def test_frames_are_written_and_read_with_a_transport_of_ones_own() -> None:
    aliased(
        """
        import asyncio
        from unittest.mock import Mock
        from aiohttp import WSMessage, WSMsgType, WebSocketError
        from aiohttp._websocket.reader import WebSocketDataQueue
        from aiohttp.base_protocol import BaseProtocol
        from aiohttp.http import WebSocketReader, WebSocketWriter

        async def main():
            loop = asyncio.get_running_loop()
            for masked in (False, True):
                for compress in (0, 15):
                    sent = bytearray()
                    transport = Mock(spec=asyncio.Transport)
                    transport.is_closing.return_value = False
                    transport.write.side_effect = sent.extend
                    protocol = BaseProtocol(loop)
                    protocol.connection_made(transport)
                    writer = WebSocketWriter(
                        protocol, transport, use_mask=masked, compress=compress
                    )
                    long = b"a" * 70000
                    await writer.send_frame("ä".encode(), WSMsgType.TEXT)
                    await writer.send_frame(long, WSMsgType.BINARY)
                    await writer.send_frame(b"?", WSMsgType.PING)
                    await writer.close(1001, "bye")
                    assert (len(sent) < 1000) == bool(compress)

                    protocol = BaseProtocol(loop)
                    queue = WebSocketDataQueue(protocol, 2**16, loop=loop)
                    reader = WebSocketReader(queue, 2**20, compress=bool(compress))
                    for position in range(len(sent)):
                        assert reader.feed_data(sent[position : position + 1]) == (False, b"")
                    assert [await queue.read() for _ in range(4)] == [
                        WSMessage(WSMsgType.TEXT, "ä", ""),
                        WSMessage(WSMsgType.BINARY, long, ""),
                        WSMessage(WSMsgType.PING, b"?", ""),
                        WSMessage(WSMsgType.CLOSE, 1001, "bye"),
                    ]
                    try:
                        await writer.send_frame(b"late", WSMsgType.TEXT)
                    except ConnectionResetError:
                        pass
                    else:
                        raise AssertionError

            queue = WebSocketDataQueue(BaseProtocol(loop), 10, loop=loop)
            reader = WebSocketReader(queue, 5)
            assert reader.feed_data(b"\\x81\\x02ab\\x82\\x06abcdef") == (True, b"")
            assert queue._protocol._reading_paused
            assert await queue.read() == WSMessage(WSMsgType.TEXT, "ab", "")
            assert not queue._protocol._reading_paused
            try:
                await queue.read()
            except WebSocketError as error:
                assert error.code == 1009
            else:
                raise AssertionError

        asyncio.run(main())
        """
    )


def test_methods_that_mocks_call() -> None:
    aliased(
        """
        import asyncio
        import aiohttp
        from multidict import CIMultiDict

        async def main():
            async with aiohttp.ClientSession(headers={"A": "1", "B": "1"}) as session:
                fields = session._prepare_headers({"b": "2"})
                assert fields == CIMultiDict({"A": "1", "B": "2"})
                fields["A"] = "3"
                assert session._prepare_headers(None)["a"] == "1"

        asyncio.run(main())
        """
    )


def test_fields_that_attrs_asks_for() -> None:
    aliased(
        """
        import aiohttp
        from aiohttp import web

        # As attrs.evolve does.
        timeout = aiohttp.ClientTimeout(total=5, sock_read=1)
        changes = {field.alias: getattr(timeout, field.name)
                   for field in type(timeout).__attrs_attrs__ if field.init}
        assert type(timeout)(**{**changes, "total": None}) == aiohttp.ClientTimeout(sock_read=1)
        names = [field.name for field in web.FileField.__attrs_attrs__]
        assert names == ["name", "filename", "file", "content_type", "headers"]
        assert aiohttp.TraceRequestStartParams.__attrs_attrs__
        """
    )
    check("import plait\nassert not hasattr(plait.ClientTimeout, '__attrs_attrs__')")


def test_names_of_test_suites_are_what_they_say() -> None:
    aliased(
        """
        import hashlib, ssl
        import aiohttp
        from aiohttp.client_middleware_digest_auth import (
            DigestFunctions, escape_quotes, parse_header_pairs, unescape_quotes,
        )
        from aiohttp.client_reqrep import _gen_default_accept_encoding, _merge_ssl_params
        from aiohttp.connector import (
            _DNSCacheTable, _SSL_CONTEXT_UNVERIFIED, _SSL_CONTEXT_VERIFIED,
        )
        from aiohttp.cookiejar import _MAX_COOKIES_PER_REQUEST
        from aiohttp.helpers import EMPTY_BODY_METHODS, must_be_empty_body
        from aiohttp.http import RawRequestMessage, RawResponseMessage
        from aiohttp.http_writer import _serialize_headers
        from aiohttp.web_fileresponse import FALLBACK_CONTENT_TYPE
        from aiohttp.web_request import _FORWARDED_PAIR_RE

        assert FALLBACK_CONTENT_TYPE == "application/octet-stream"
        assert DigestFunctions["SHA-256-SESS"](b"a").digest() == hashlib.sha256(b"a").digest()
        assert escape_quotes('a"\\\\b') == 'a\\\\"\\\\\\\\b'
        assert unescape_quotes(escape_quotes('a"\\\\b')) == 'a"\\\\b'
        for text in (
            'realm="a b", qop=auth, Basic realm="c"',
            'Digest realm="a b", qop=auth',
            'realm  =  "a b"  ,  qop = auth',
        ):
            assert parse_header_pairs(text) == {"realm": "a b", "qop": "auth"}
        assert parse_header_pairs("") == {}
        assert "gzip" in _gen_default_accept_encoding()
        assert _merge_ssl_params(False, None, None, None) is False
        assert _SSL_CONTEXT_VERIFIED.verify_mode is ssl.CERT_REQUIRED
        assert _SSL_CONTEXT_UNVERIFIED.verify_mode is ssl.CERT_NONE
        assert _MAX_COOKIES_PER_REQUEST == 150
        assert "HEAD" in EMPTY_BODY_METHODS
        empty = [("HEAD", 200), ("GET", 204), ("GET", 304), ("CONNECT", 200), ("GET", 103)]
        assert all(must_be_empty_body(*each) for each in empty)
        assert not must_be_empty_body("CONNECT", 400)
        assert RawRequestMessage._fields[:2] == ("method", "path")
        assert RawResponseMessage._fields[:2] == ("version", "code")
        head = _serialize_headers("HTTP/1.1 200 OK", {"A": "b"})
        assert head == b"HTTP/1.1 200 OK\\r\\nA: b\\r\\n\\r\\n"
        try:
            _serialize_headers("HTTP/1.1 200 OK", {"A": "b\\r\\nC: d"})
        except ValueError:
            pass
        else:
            raise AssertionError
        assert _FORWARDED_PAIR_RE.match("for=a")

        table = _DNSCacheTable(ttl=1000, max_size=2)
        for host in "abc":
            table.add((host, 80), [1, 2])
        assert ("a", 80) not in table and not table.expired(("b", 80))
        assert table.next_addrs(("b", 80)) == [1, 2]
        assert table.next_addrs(("b", 80)) == [2, 1]
        table.add(("d", 80), [1])
        assert ("c", 80) not in table
        """
    )


def test_names_that_only_other_libraries_use() -> None:
    aliased(
        """
        import asyncio
        from aiohttp.abc import StreamResponse
        from aiohttp.client import DEFAULT_TIMEOUT, _RequestContextManager
        from aiohttp.client import _WSRequestContextManager
        from aiohttp.helpers import DEBUG, TimerNoop, ceil_timeout
        from aiohttp.web import StreamResponse as Public
        assert StreamResponse is Public and DEFAULT_TIMEOUT.total == 300
        with TimerNoop() as timer:
            assert isinstance(timer, TimerNoop)

        async def main():
            assert DEBUG is asyncio.get_running_loop().get_debug()
            for endless in (None, 0, -1):
                async with ceil_timeout(endless) as timeout:
                    assert timeout.when() is None
            try:
                async with ceil_timeout(0.001):
                    await asyncio.Event().wait()
            except TimeoutError:
                return
            raise AssertionError

        asyncio.run(main())
        """
    )


def test_the_package_tells_where_it_is() -> None:
    aliased(
        """
        import os
        import aiohttp
        assert os.path.samefile(aiohttp.__file__, plait.__file__)
        assert os.path.isdir(aiohttp.__path__[0])
        """
    )


# -- versions ------------------------------------------------------------------------------

_VERSION = """
import importlib.metadata
import aiohttp
major, minor, _ = aiohttp.__version__.split(".")
assert (int(major), int(minor)) == (3, 14)
assert importlib.metadata.version("aiohttp") == aiohttp.__version__
assert importlib.metadata.distribution("aiohttp").metadata["Name"] == "aiohttp"
found = next(d for d in importlib.metadata.distributions() if d.name == "aiohttp")
assert found.version == aiohttp.__version__
importlib.metadata.entry_points()
assert plait.__version__ != aiohttp.__version__
"""


def test_the_version_when_aiohttp_is_installed() -> None:
    aliased(_VERSION)


def test_the_version_when_aiohttp_is_not_installed(tmp_path: Path) -> None:
    """An isolated interpreter without site-packages, and with what plait needs alone."""
    needed = ("aiohappyeyeballs", "aiosignal", "frozenlist", "idna", "multidict", "propcache")
    needed += ("attr", "attrs", "h11", "h2", "hpack", "hyperframe", "wsproto", "yarl")
    needed += ("typing_extensions.py",)
    installed = [Path(path) for path in sys.path if path.endswith("site-packages")]
    for name in needed:
        for folder in installed:
            if (folder / name).exists():
                (tmp_path / name).symlink_to(folder / name)
    path = [str(ROOT / "engine"), str(ROOT / "adapters"), str(tmp_path)]
    absent = """
        import importlib.metadata, sys
        sys.path[:0] = {path}
        try:
            importlib.metadata.version("aiohttp")
        except importlib.metadata.PackageNotFoundError:
            pass
        else:
            raise AssertionError("aiohttp is installed")
        """
    check(textwrap.dedent(absent).format(path=path) + INSTALL + _VERSION, "-I", "-S")


# -- names of classes and loggers ----------------------------------------------------------


def test_classes_are_named_after_aiohttps_modules() -> None:
    aliased(
        """
        import aiohttp
        from aiohttp import web
        names = {
            web.HTTPNotFound: "aiohttp.web_exceptions",
            web.Application: "aiohttp.web_app",
            web.UrlMappingMatchInfo: "aiohttp.web_urldispatcher",
            aiohttp.ClientSession: "aiohttp.client",
            aiohttp.ClientTimeout: "aiohttp.client",
            aiohttp.ClientConnectorError: "aiohttp.client_exceptions",
            aiohttp.RequestInfo: "aiohttp.client_reqrep",
        }
        for cls, module in names.items():
            assert cls.__module__ == module, cls
        # Python names it when somebody awaits one.
        from aiohttp.client import _SessionRequestContextManager as private
        assert (private.__module__, private.__name__) == (
            "aiohttp.client", "_SessionRequestContextManager"
        )
        """
    )


def test_a_name_that_a_module_of_aiohttp_only_imports() -> None:
    aliased(
        """
        import yarl
        from aiohttp.client_reqrep import URL
        assert URL is yarl.URL
        """
    )


def test_annotations_of_classes_can_be_read() -> None:
    aliased(
        """
        import dataclasses, typing
        import aiohttp
        from aiohttp import web
        from multidict import CIMultiDictProxy

        hints = typing.get_type_hints(web.FileField)
        assert hints["file"] == typing.IO[bytes]
        assert hints["headers"] == CIMultiDictProxy[str]
        types = {field.name: field.type for field in dataclasses.fields(web.FileField)}
        assert types == hints
        assert typing.get_type_hints(aiohttp.ClientTimeout)["total"] == float | None
        """
    )


def test_instances_can_be_pickled() -> None:
    aliased(
        """
        import pickle
        import aiohttp
        values = [
            aiohttp.ClientTimeout(total=1),
            aiohttp.ClientPayloadError("a"),
            aiohttp.ETag("a"),
            aiohttp.WSMessage(aiohttp.WSMsgType.TEXT, "a", None),
            aiohttp.HttpVersion(1, 1),
        ]
        for value in values:
            data = pickle.dumps(value)
            assert b"plait" not in data
            copy = pickle.loads(data)
            assert type(copy) is type(value) and repr(copy) == repr(value)
        """
    )


def test_loggers_are_those_that_programs_configure() -> None:
    aliased(
        """
        import logging, logging.config
        from aiohttp.log import access_logger
        assert access_logger.name == "aiohttp.access"
        assert logging.getLogger("aiohttp.access") is access_logger
        logging.config.dictConfig({
            "version": 1, "disable_existing_loggers": True,
            "loggers": {"aiohttp.access": {"level": "ERROR"}},
        })
        assert not access_logger.disabled
        assert access_logger.level == logging.ERROR
        """
    )


def test_a_logger_that_was_configured_before() -> None:
    check(
        """
        import logging, io
        stream = io.StringIO()
        early = logging.getLogger("aiohttp.access")
        early.addHandler(logging.StreamHandler(stream))
        early.propagate = False
        import plait
        plait.install_as_aiohttp()
        from plait.log import access_logger
        access_logger.error("seen")
        assert stream.getvalue() == "seen\\n"
        early.setLevel(logging.CRITICAL)
        assert not access_logger.isEnabledFor(logging.ERROR)
        """
    )


# -- when it is asked for, and when not ----------------------------------------------------


def test_nothing_happens_unless_it_is_asked_for() -> None:
    check(
        """
        import importlib.metadata, sys
        finders = list(sys.meta_path)
        import plait, plait.log, plait.web, plait.as_aiohttp
        assert sys.meta_path == finders
        assert not [name for name in sys.modules if name.partition(".")[0] == "aiohttp"]
        assert "plait.as_aiohttp.finder" not in sys.modules
        assert plait.web.HTTPNotFound.__module__ == "plait.web_exceptions"
        assert plait.log.access_logger.name == "plait.access"
        import aiohttp
        assert aiohttp.ClientSession is not plait.ClientSession
        """
    )


def test_it_can_be_asked_for_twice() -> None:
    aliased(
        """
        import sys
        finders = list(sys.meta_path)
        import aiohttp
        plait.install_as_aiohttp()
        assert sys.meta_path == finders
        import aiohttp.web
        assert aiohttp.web is plait.web
        """
    )


def test_it_is_too_late_when_aiohttp_was_imported() -> None:
    check(
        """
        import sys
        import aiohttp, plait
        finders = list(sys.meta_path)
        try:
            plait.install_as_aiohttp()
        except RuntimeError as error:
            assert "aiohttp has been imported already" in str(error), error
        else:
            raise AssertionError
        assert sys.meta_path == finders
        assert plait.ClientSession.__module__ == "plait.client"
        """
    )


# -- python -m plait.as_aiohttp ------------------------------------------------------------

_PROGRAM = """
import sys
import aiohttp, plait
import beside
assert aiohttp.ClientSession is plait.ClientSession
print(__name__, sys.argv[1:])
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    (tmp_path / "beside.py").touch()
    path = tmp_path / "program.py"
    path.write_text(_PROGRAM)
    return path


def test_a_script(program: Path) -> None:
    result = run("-m", "plait.as_aiohttp", str(program), "-x", "y")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "__main__ ['-x', 'y']\n"


def test_a_script_without_the_folder_of_it(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text("import sys; print(sys.path)")
    as_it_is = run("-P", str(path))
    result = run("-P", "-m", "plait.as_aiohttp", str(path))
    assert (result.returncode, result.stderr) == (0, "")
    assert ast.literal_eval(result.stdout) == [FOLDER, *ast.literal_eval(as_it_is.stdout)]


def test_a_module(program: Path) -> None:
    result = run("-m", "plait.as_aiohttp", "-m", "program", "-x", "y", cwd=program.parent)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "__main__ ['-x', 'y']\n"


def test_the_command_line_of_the_server() -> None:
    result = run("-m", "plait.as_aiohttp", "-m", "aiohttp.web", "--help")
    assert (result.returncode, result.stderr) == (0, "")
    assert "module:function" in result.stdout


def test_how_a_program_ends(tmp_path: Path) -> None:
    path = tmp_path / "program.py"
    path.write_text("raise SystemExit(7)")
    assert run("-m", "plait.as_aiohttp", str(path)).returncode == 7


@pytest.mark.parametrize("arguments", [(), ("-m",), ("-x",)])
def test_a_wrong_command_line(arguments: tuple[str, ...]) -> None:
    result = run("-m", "plait.as_aiohttp", *arguments)
    assert result.returncode == 2
    assert "python -m plait.as_aiohttp SCRIPT.py" in result.stderr


_SUITE = """
import aiohttp, plait
from aiohttp import web

def test_names():
    assert aiohttp.ClientSession is plait.ClientSession
    assert web is plait.web
"""


@pytest.mark.parametrize(
    "command",
    [
        ("-m", "plait.as_aiohttp", "pytest"),
        ("-m", "plait.as_aiohttp", "-m", "pytest"),
        ("-m", "pytest", "-p", "plait.as_aiohttp.pytest"),
    ],
)
def test_a_suite(tmp_path: Path, command: tuple[str, ...]) -> None:
    (tmp_path / "test_names.py").write_text(_SUITE)
    result = run(*command, "-q", "-p", "no:cacheprovider", str(tmp_path), cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 passed" in result.stdout


def test_pytest_loads_no_second_copy_of_a_module(tmp_path: Path) -> None:
    """Its import hook rewrites modules with names like test_utils, and plugins."""
    (tmp_path / "pytest.ini").write_text("[pytest]\npython_files = *.py\n")
    (tmp_path / "conftest.py").write_text("import plait\nplait.install_as_aiohttp()\n")
    (tmp_path / "test_names.py").write_text(_SUITE)
    result = run("-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path), cwd=tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "1 passed" in result.stdout
