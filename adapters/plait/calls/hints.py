"""Type hints that can be evaluated.

Modules name types of one another in their annotations and cannot import them, for that would be a
ring.  ``typing.get_type_hints``, which frameworks call, looks for the names in the module of a
function.  So the modules get the types here, when all of them are there.  ``serving.hints`` does
it for the server.
"""

from __future__ import annotations

from types import ModuleType

from plait import (
    client,
    client_exceptions,
    client_reqrep,
    client_ws,
    connector,
    multipart,
    tracing,
)
from plait.middlewares import retry
from plait.transfers import download, events

from . import base_connector, context, options, request, response


def name_types(modules: tuple[ModuleType, ...], **types: object) -> None:
    """Give ``modules`` the ``types`` by their names."""
    for module in modules:
        vars(module).update(types)


def give_types() -> None:
    """Give the modules of the client the types that they name."""
    name_types(
        (client_ws, context, download, events, request, response, retry, tracing),
        ClientSession=client.ClientSession,
    )
    name_types((base_connector, connector, request, response), Trace=tracing.Trace)
    name_types((request, response), Connection=connector.Connection)
    name_types((base_connector,), ClientRequest=client_reqrep.ClientRequest)
    name_types(
        (client_exceptions, client_ws, download, events, multipart, tracing),
        ClientResponse=client_reqrep.ClientResponse,
    )
    name_types(
        (client_exceptions,),
        ConnectionKey=client_reqrep.ConnectionKey,
        Fingerprint=client_reqrep.Fingerprint,
        RequestInfo=client_reqrep.RequestInfo,
    )
    name_types((download, events), RequestOptions=options.RequestOptions)
    # Until plait.web is there, which a client does not load.
    name_types((client,), Application=object)
