"""Constants, exceptions and small objects, on aiohttp and on plait."""

from __future__ import annotations

import logging
import pickle
import zlib
from typing import Any

import aiohttp
import aiohttp.hdrs
import aiohttp.http_exceptions
import aiohttp.web
import pytest
from multidict import CIMultiDict, istr
from yarl import URL

import plait.hdrs
from tests.same.conftest import Library

# -- names of fields and methods ---------------------------------------------------------------


@pytest.mark.parametrize("name", [name for name in dir(aiohttp.hdrs) if name[0].isupper()])
def test_names_of_fields(name: str) -> None:
    theirs, ours = getattr(aiohttp.hdrs, name), getattr(plait.hdrs, name)
    if isinstance(theirs, str):
        assert (ours, type(ours)) == (theirs, type(theirs))
    elif isinstance(theirs, frozenset | set):
        assert set(ours) == set(theirs)


def test_a_field_is_found_by_its_name(plain: Library) -> None:
    assert isinstance(plain.hdrs.CONTENT_TYPE, istr)
    assert CIMultiDict({"content-type": "a/b"})[plain.hdrs.CONTENT_TYPE] == "a/b"
    assert "GET" in plain.hdrs.METH_ALL
    assert plain.hdrs.METH_ANY == "*"


# -- exceptions that are responses -------------------------------------------------------------

ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "HTTPMultipleChoices": ("/a",),
    "HTTPMovedPermanently": ("/a",),
    "HTTPFound": ("/a",),
    "HTTPSeeOther": ("/a",),
    "HTTPUseProxy": ("/a",),
    "HTTPTemporaryRedirect": ("/a",),
    "HTTPPermanentRedirect": ("/a",),
    "HTTPMethodNotAllowed": ("PUT", ["GET"]),
    "HTTPRequestEntityTooLarge": (1,),
    "HTTPUnavailableForLegalReasons": (None,),
}
ERRORS = sorted(
    name
    for name in aiohttp.web.__all__
    if name.startswith("HTTP") and getattr(getattr(aiohttp.web, name), "status_code", -1) > 0
)


def test_the_errors_are_all_here() -> None:
    assert len(ERRORS) > 50


@pytest.mark.parametrize("name", ERRORS)
def test_an_error(plain: Library, name: str) -> None:
    kind = getattr(plain.web, name)
    theirs = getattr(aiohttp.web, name)
    error = kind(*ARGUMENTS.get(name, ()))
    told = theirs(*ARGUMENTS.get(name, ()))
    assert (error.status, error.reason, error.empty_body) == (
        told.status,
        told.reason,
        told.empty_body,
    )
    assert (kind.status_code, kind.empty_body) == (theirs.status_code, theirs.empty_body)
    bases = [base.__name__ for base in kind.__mro__ if base.__name__.startswith("HTTP")]
    assert bases == [base.__name__ for base in theirs.__mro__ if base.__name__.startswith("HTTP")]
    assert str(error) == str(told)
    assert error.text == told.text
    assert error.content_type == told.content_type
    with pytest.raises(plain.web.HTTPException) as caught:
        raise error
    assert caught.value is error


def test_sizes_that_are_told(plain: Library) -> None:
    error = plain.web.HTTPRequestEntityTooLarge(max_size=10, actual_size=11, reason="R")
    assert (error.status, error.reason) == (413, "R")
    assert "10" in error.text
    assert plain.web.HTTPRequestEntityTooLarge(1, text="mine").text == "mine"


# -- WebSockets --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["WSMsgType", "WSCloseCode"])
def test_numbers_of_websockets(plain: Library, name: str) -> None:
    kind = getattr(plain.top, name)
    theirs = getattr(aiohttp, name)
    assert {each.name: each.value for each in kind} == {each.name: each.value for each in theirs}
    assert kind(next(iter(theirs)).value).name == next(iter(theirs)).name


def test_old_names_of_messages(plain: Library) -> None:
    kind = plain.top.WSMsgType
    for name in ("text", "binary", "ping", "pong", "close", "closing", "closed", "error"):
        assert getattr(kind, name) is getattr(kind, name.upper())


def test_messages(plain: Library) -> None:
    message = plain.top.WSMessage(plain.top.WSMsgType.TEXT, "[1]", None)
    assert tuple(message) == (plain.top.WSMsgType.TEXT, "[1]", None)
    assert message.json() == [1]
    assert message.json(loads=len) == 3
    assert plain.http.WS_CLOSED_MESSAGE.type == plain.top.WSMsgType.CLOSED
    assert plain.http.WS_CLOSING_MESSAGE.type == plain.top.WSMsgType.CLOSING
    assert plain.http.WS_KEY == b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
    as_bytes = plain.http.WSMessageTextBytes(plain.top.WSMsgType.TEXT, b"[1]", None)
    assert as_bytes.json() == [1]
    error = plain.top.WebSocketError(1002, "why")
    assert (error.code, str(error)) == (1002, "why")


def test_whether_a_websocket_can_be(plain: Library) -> None:
    ready = plain.web.WebSocketReady(True, "chat")
    assert (bool(ready), ready.ok, ready.protocol) == (True, True, "chat")
    assert bool(plain.web.WebSocketReady(False, None)) is False
    assert ready == plain.web.WebSocketReady(True, "chat")


# -- versions, statuses, tags ------------------------------------------------------------------


def test_versions(plain: Library) -> None:
    assert plain.top.HttpVersion11 == plain.top.HttpVersion(1, 1) == (1, 1)
    assert plain.top.HttpVersion10 < plain.top.HttpVersion11
    assert plain.top.HttpVersion11.minor == 1
    assert plain.http.RESPONSES[404][0] == "Not Found"
    assert plain.http.SERVER_SOFTWARE.startswith("Python/3.")


def test_entity_tags(plain: Library) -> None:
    tag = plain.top.ETag("a")
    assert (tag.value, tag.is_weak) == ("a", False)
    assert tag == plain.top.ETag(value="a", is_weak=False)
    assert tag != plain.top.ETag("a", is_weak=True)
    assert hash(tag) == hash(plain.top.ETag("a"))
    with pytest.raises(AttributeError):
        tag.value = "b"


def test_codings_of_content(plain: Library) -> None:
    kind = plain.web.ContentCoding
    assert {each.name: each.value for each in kind} == {
        "deflate": "deflate",
        "gzip": "gzip",
        "identity": "identity",
    }


# -- keys --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["AppKey", "RequestKey", "ResponseKey"])
def test_keys(plain: Library, name: str) -> None:
    kind = getattr(plain.web, name)
    key, other = kind("a", int), kind("a", int)
    assert key != other
    assert len({key, other}) == 2
    assert repr(key).startswith(f"<{name}(")
    assert repr(key).endswith(".a, type=int)>")
    assert "b" in repr(kind("b"))
    later, earlier = kind("b"), kind("a")
    assert sorted([later, earlier]) == [earlier, later]


def test_a_chain_of_mappings(plain: Library) -> None:
    chain = plain.top.ChainMapProxy([{"a": 1}, {"a": 2, "b": 3}])
    assert (chain["a"], chain["b"], chain.get("c"), chain.get("c", 4)) == (1, 3, None, 4)
    assert "b" in chain
    assert "c" not in chain
    assert sorted(chain) == ["a", "b"]
    assert len(chain) == 2
    assert bool(chain) is True
    assert bool(plain.top.ChainMapProxy([{}])) is False
    with pytest.raises(KeyError):
        chain["c"]


def test_a_property_that_is_kept(plain: Library) -> None:
    class Has:
        calls = 0

        def __init__(self) -> None:
            self._cache: dict[str, Any] = {}

        @plain.helpers.reify  # type: ignore[untyped-decorator]
        def value(self) -> int:
            self.calls += 1
            return 5

    has = Has()
    assert (has.value, has.value, has.calls) == (5, 5, 1)
    with pytest.raises(AttributeError):
        has.value = 6


# -- credentials -------------------------------------------------------------------------------


def test_credentials(plain: Library) -> None:
    assert plain.top.encode_basic_auth("a", "b") == "Basic YTpi"
    assert plain.top.encode_basic_auth("é") == "Basic w6k6"
    with pytest.warns(DeprecationWarning, match="encode_basic_auth|deprecated"):
        auth = plain.top.BasicAuth("a", "b")
    assert (auth.login, auth.password, auth.encoding) == ("a", "b", "latin1")
    assert auth.encode() == "Basic YTpi"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_credentials_that_are_read(plain: Library) -> None:
    kind = plain.top.BasicAuth
    assert kind.decode("Basic YTpi") == kind("a", "b")
    assert kind.decode("basic YTpiOmM=") == kind("a", "b:c")
    assert kind.from_url(URL("http://a:b@x/")) == kind("a", "b")
    assert kind.from_url(URL("http://x/")) is None
    for bad in ("Digest YTpi", "Basic", "Basic ///", "Basic YQ=="):
        with pytest.raises(ValueError, match=r"."):
            kind.decode(bad)
    for wrong in ((None,), ("a", None), ("a:b",)):
        with pytest.raises(ValueError, match=r"."):
            kind(*wrong)


# -- errors of the protocol --------------------------------------------------------------------

HTTP_ERRORS = {
    "BadHttpMessage": (("why",), 400),
    "HttpBadRequest": (("why",), 400),
    "PayloadEncodingError": (("why",), 400),
    "ContentEncodingError": (("why",), 400),
    "TransferEncodingError": (("why",), 400),
    "ContentLengthError": (("why",), 400),
    "DecompressSizeError": (("why",), 400),
    "LineTooLong": (("line", "10", "11"), 400),
    "InvalidHeader": (("field",), 400),
    "BadStatusLine": (("line",), 400),
    "BadHttpMethod": (("line",), 400),
    "InvalidURLError": (("why",), 400),
}


@pytest.mark.parametrize("name", HTTP_ERRORS)
def test_errors_of_the_protocol(plain: Library, name: str) -> None:
    arguments, code = HTTP_ERRORS[name]
    kind = getattr(plain.http_exceptions, name)
    error = kind(*arguments)
    told = getattr(aiohttp.http_exceptions, name)(*arguments)
    assert error.code == code
    assert (str(error), repr(error), error.args) == (str(told), repr(told), told.args)
    bases = [base.__name__ for base in kind.__mro__]
    assert bases == [base.__name__ for base in getattr(aiohttp.http_exceptions, name).__mro__]
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.code) == (str(error), error.code)


def test_the_error_that_they_share(plain: Library) -> None:
    error = plain.http_exceptions.HttpProcessingError(
        code=418, message="tea", headers=CIMultiDict({"A": "1"})
    )
    assert (error.code, error.message, error.headers) == (418, "tea", {"A": "1"})
    assert "418" in str(error)
    assert "tea" in str(error)


# -- resources and routes ----------------------------------------------------------------------


def test_resources(plain: Library) -> None:
    web = plain.web
    dynamic = web.DynamicResource("/a/{x}/{y:\\d+}", name="n")
    assert (dynamic.name, dynamic.canonical) == ("n", "/a/{x}/{y}")
    assert dynamic.raw_match("/a/{x}/{y:\\d+}") is True
    assert str(dynamic.url_for(x="1", y="2")) == "/a/1/2"
    dynamic.add_prefix("/p")
    assert dynamic.canonical == "/p/a/{x}/{y}"
    plain_one = web.PlainResource("/a")
    assert (plain_one.canonical, plain_one.get_info()) == ("/a", {"path": "/a"})
    assert plain_one.raw_match("/a") is True
    assert plain_one.raw_match("/b") is False
    plain_one.add_prefix("/p")
    assert plain_one.canonical == "/p/a"
    plain_one.freeze()
    assert web.StaticResource.VERSION_KEY == "v"


def test_a_router_takes_and_gives_up_resources(plain: Library) -> None:
    web = plain.web
    router = web.UrlDispatcher()
    resource = web.PlainResource("/a", name="a")
    router.register_resource(resource)
    assert router["a"] is resource
    assert list(router.resources()) == [resource]
    with pytest.raises((TypeError, AssertionError)):
        router.register_resource("nothing")
    router.freeze()
    assert router.frozen is True


def test_definitions(plain: Library) -> None:
    web = plain.web

    async def handler(request: Any) -> Any:
        """Never called."""

    one = web.get("/a", handler, name="n")
    assert isinstance(one, web.AbstractRouteDef)
    assert (one.method, one.path, one.handler) == ("GET", "/a", handler)
    assert one.kwargs["name"] == "n"
    assert one == web.get("/a", handler, name="n")
    assert one != web.post("/a", handler)
    assert "GET" in repr(one)
    assert "/a" in repr(one)
    static = web.static("/s", "/tmp", show_index=True)  # nothing is read
    assert (static.prefix, static.path, static.kwargs) == ("/s", "/tmp", {"show_index": True})
    router = web.UrlDispatcher()
    (route, *_) = one.register(router)
    assert route.method in {"GET", "HEAD"}


def test_match_info(plain: Library) -> None:
    web = plain.web

    async def handler(request: Any) -> Any:
        """Never called."""

    route = web.UrlDispatcher().add_get("/{a}", handler)
    info = web.UrlMappingMatchInfo({"a": "1"}, route)
    assert dict(info) == {"a": "1"}
    assert info.route is route
    assert info.handler is handler
    assert info.http_exception is None
    assert info.apps == ()
    app = web.Application()
    info.add_app(app)
    assert info.apps == (app,)
    info.freeze()
    with pytest.raises(RuntimeError):
        info.add_app(web.Application())
    assert "MatchInfo" in repr(info)


# -- codings -----------------------------------------------------------------------------------


def test_a_backend(plain: Library) -> None:
    utils = plain.compression_utils
    wrapped = utils.ZLibBackendWrapper(zlib)
    assert wrapped.name == "zlib"
    assert wrapped.Z_BEST_COMPRESSION == zlib.Z_BEST_COMPRESSION
    assert wrapped.MAX_WBITS == zlib.MAX_WBITS
    assert wrapped.Z_FINISH == zlib.Z_FINISH
    data = wrapped.compress(b"abc")
    assert wrapped.decompress(data) == b"abc"
    assert utils.encoding_to_mode("gzip") == 16 + zlib.MAX_WBITS
    assert utils.encoding_to_mode("deflate") == zlib.MAX_WBITS
    assert utils.encoding_to_mode("deflate", True) == -zlib.MAX_WBITS


def test_a_compressor_is_flushed(plain: Library) -> None:
    made = plain.compression_utils.ZLibCompressor(encoding="deflate")
    data = made.compress_sync(b"abc") + made.flush(zlib.Z_SYNC_FLUSH) + made.flush()
    assert zlib.decompress(data) == b"abc"


# -- the access log ----------------------------------------------------------------------------


def test_formats_of_the_log(plain: Library) -> None:
    kind = plain.web_log.AccessLogger
    assert kind.LOG_FORMAT == '%a %t "%r" %s %b "%{Referer}i" "%{User-Agent}i"'
    assert kind.LOG_FORMAT_MAP["a"] == "remote_address"
    text, methods = kind(logging.getLogger("mine")).compile_format("%a %s")
    assert text.count("%s") == 2
    assert [method.key for method in methods] == ["remote_address", "response_status"]
