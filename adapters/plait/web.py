"""The web server: ``from plait import web``.

``python -m plait.web -H HOST -P PORT module:function`` runs what ``function(argv)``
returns, an ``Application``.
"""

from __future__ import annotations

import socket
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from importlib import import_module
from warnings import filterwarnings

from .abc import AbstractAccessLogger
from .helpers import AppKey, RequestKey, ResponseKey
from .http_websocket import WSMsgType
from .log import access_logger as access_logger
from .serving.hints import give_types as _give_types
from .serving.run import run_app
from .typedefs import Handler, Middleware
from .web_app import Application, CleanupError
from .web_exceptions import *  # noqa: F403  # the classes of __all__, one for each status
from .web_exceptions import __all__ as _exceptions
from .web_fileresponse import FileResponse
from .web_log import AccessLogger
from .web_middlewares import middleware, normalize_path_middleware
from .web_protocol import PayloadAccessError, RequestHandler, RequestPayloadError
from .web_request import BaseRequest, FileField, Request
from .web_response import (
    ContentCoding,
    Response,
    StreamResponse,
    json_bytes_response,
    json_response,
)
from .web_routedef import (
    AbstractRouteDef,
    RouteDef,
    RouteTableDef,
    StaticDef,
    delete,
    get,
    head,
    options,
    patch,
    post,
    put,
    route,
    static,
    view,
)
from .web_runner import (
    AppRunner,
    BaseRunner,
    BaseSite,
    GracefulExit,
    NamedPipeSite,
    ServerRunner,
    SockSite,
    TCPSite,
    UnixSite,
)
from .web_server import Server
from .web_urldispatcher import (
    AbstractResource,
    AbstractRoute,
    DynamicResource,
    PlainResource,
    PrefixedSubAppResource,
    Resource,
    ResourceRoute,
    StaticResource,
    UrlDispatcher,
    UrlMappingMatchInfo,
    View,
)
from .web_ws import WebSocketReady, WebSocketResponse

__all__ = (
    "AbstractAccessLogger",
    "AbstractResource",
    "AbstractRoute",
    "AbstractRouteDef",
    "AccessLogger",
    "AppKey",
    "AppRunner",
    "Application",
    "BaseRequest",
    "FileField",
    "BaseRunner",
    "BaseSite",
    "CleanupError",
    "ContentCoding",
    "DynamicResource",
    "FileResponse",
    "GracefulExit",
    "Handler",
    "Middleware",
    "NamedPipeSite",
    "PayloadAccessError",
    "PlainResource",
    "PrefixedSubAppResource",
    "Request",
    "RequestHandler",
    "RequestKey",
    "RequestPayloadError",
    "Resource",
    "ResourceRoute",
    "Response",
    "ResponseKey",
    "RouteDef",
    "RouteTableDef",
    "Server",
    "ServerRunner",
    "SockSite",
    "StaticDef",
    "StaticResource",
    "StreamResponse",
    "TCPSite",
    "UnixSite",
    "UrlDispatcher",
    "UrlMappingMatchInfo",
    "View",
    "WSMsgType",
    "WebSocketReady",
    "WebSocketResponse",
    "delete",
    "get",
    "head",
    "json_bytes_response",
    "json_response",
    "middleware",
    "normalize_path_middleware",
    "options",
    "patch",
    "post",
    "put",
    "route",
    "run_app",
    "static",
    "view",
    *_exceptions,
)

# String keys of applications are no mistake, only less safe than an AppKey.
filterwarnings("ignore", category=NotAppKeyWarning, append=True)  # noqa: F405  # of web_exceptions


def main(argv: Sequence[str]) -> None:
    """Run an application from the command line, and exit with status 0 when it has ended."""
    parser = ArgumentParser(description="plait.web server", prog="python -m plait.web")
    parser.add_argument(
        "entry_func",
        metavar="module:function",
        help="what makes the application; it gets the arguments that are left over",
    )
    parser.add_argument(
        "-H", "--hostname", default=None, help="address to listen on (default: localhost)"
    )
    parser.add_argument(
        "-P", "--port", type=int, default=None, help="TCP port to listen on (default: 8080)"
    )
    parser.add_argument("-U", "--path", default=None, help="Unix socket to listen on")
    parser.add_argument(
        "--engine",
        choices=("native", "reference"),
        default=None,
        help="the protocol engine (default: native)",
    )
    arguments, rest = parser.parse_known_args(argv)

    module_name, _, function_name = arguments.entry_func.partition(":")
    if not module_name or not function_name:
        parser.error("'entry-func' not in 'module:function' syntax")
    if module_name.startswith("."):
        parser.error("relative module names not supported")
    sys.path.insert(0, "")
    try:
        module = import_module(module_name)
    except ImportError as error:
        parser.error(f"unable to import {module_name}: {error}")
    try:
        function = getattr(module, function_name)
    except AttributeError:
        parser.error(f"module {module_name!r} has no attribute {function_name!r}")
    host, port = arguments.hostname, arguments.port
    if arguments.path is not None and not hasattr(socket, "AF_UNIX"):
        parser.error("file system paths not supported by your operating environment")
    if arguments.path is None or host is not None or port is not None:
        host, port = host or "localhost", 8080 if port is None else port
    options = {} if arguments.engine is None else {"engine": arguments.engine}
    run_app(function(rest), host=host, port=port, path=arguments.path, **options)
    parser.exit(message="Stopped\n")


_give_types()

if __name__ == "__main__":
    main(sys.argv[1:])
