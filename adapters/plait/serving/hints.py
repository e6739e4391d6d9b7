"""Type hints of the server that can be evaluated; see ``calls.hints``."""

from __future__ import annotations

from plait import (
    abc,
    client,
    typedefs,
    web_app,
    web_fileresponse,
    web_log,
    web_middlewares,
    web_protocol,
    web_request,
    web_response,
    web_routedef,
    web_server,
    web_urldispatcher,
)
from plait.calls.hints import name_types
from plait.web_exceptions import HTTPException
from plait_engine import Request as RequestEvent

from . import domain, exchange, form, resource, response_writer, route, stream_response


def give_types() -> None:
    """Give the modules of the server the types that they name."""
    name_types(
        (abc, client, route, web_middlewares, web_request, web_urldispatcher),
        Application=web_app.Application,
    )
    name_types(
        (abc, domain, resource, route, typedefs, web_middlewares, web_routedef, web_urldispatcher),
        Request=web_request.Request,
    )
    name_types(
        (abc, form, stream_response, web_fileresponse, web_log, web_response),
        BaseRequest=web_request.BaseRequest,
    )
    name_types((abc, typedefs, web_log, web_request), StreamResponse=web_response.StreamResponse)
    name_types((abc,), HTTPException=HTTPException)
    name_types((web_app,), RequestEvent=RequestEvent)
    name_types((exchange, response_writer, web_request), RequestHandler=web_protocol.RequestHandler)
    name_types(
        (response_writer, stream_response, web_app, web_request, web_response),
        ServerExchange=exchange.ServerExchange,
    )
    name_types((web_protocol,), Server=web_server.Server)
    name_types((route,), AbstractResource=resource.AbstractResource)
    name_types(
        (web_request,),
        ResourceRoute=web_urldispatcher.ResourceRoute,
        UrlMappingMatchInfo=web_urldispatcher.UrlMappingMatchInfo,
    )
    name_types(
        (web_routedef,),
        AbstractRoute=web_urldispatcher.AbstractRoute,
        UrlDispatcher=web_urldispatcher.UrlDispatcher,
    )
    name_types((web_urldispatcher,), AbstractRouteDef=web_routedef.AbstractRouteDef)
