"""What the environment says about a request: a proxy, and a login of a netrc file.

Each hop of a call is asked for by itself: after a redirect another proxy, or none, may be the
right one.  What it means is decided by ``plait_engine``; files are read in a thread.
"""

from __future__ import annotations

import logging
import netrc
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple
from urllib.request import getproxies_environment

import trio
import yarl

from plait_engine.policy.auth import NetrcEntry, choose_netrc_login, find_netrc_login
from plait_engine.policy.redirect import Origin
from plait_engine.proxy.choice import find_proxy, read_no_proxy

from .dialing import Proxy, read_proxy

_logger: Final = logging.getLogger("plait_trio")


class Environment(NamedTuple):
    """What it says about one hop."""

    proxy: Proxy | None = None
    login: tuple[str, str] | None = None
    """The login and the password for the server."""


NOTHING_SAID: Final = Environment()


async def ask_environment(url: yarl.URL, first: yarl.URL) -> Environment:
    """Return what the environment says about a request for ``url``.

    ``first``: the URL of the call, from which redirects may have led to ``url``.  Raises
    ValueError when what it names is no proxy.
    """
    return await trio.to_thread.run_sync(_ask, url, first, abandon_on_cancel=True)


def origin_of(url: yarl.URL) -> Origin:
    """Return who answers for ``url``."""
    return Origin(url.scheme, url.raw_host or "", url.port)


def _ask(url: yarl.URL, first: yarl.URL) -> Environment:
    hosts = _read_netrc()
    proxy = _find_proxy(url)
    if proxy is not None and proxy.login is None:
        proxy = replace(proxy, login=find_netrc_login(hosts, proxy.host))
    login = choose_netrc_login(hosts, url.host or "", origin_of(url), origin_of(first))
    return Environment(proxy, login)


def _find_proxy(url: yarl.URL) -> Proxy | None:
    """Return the proxy that is named for ``url`` (``plait_engine.proxy.choice``)."""
    named = getproxies_environment()
    text = find_proxy(named, url.scheme)
    host = (url.raw_host or "").partition("%")[0]
    if text is None or read_no_proxy(named.get("no", "")).covers(host, url.port):
        return None
    return read_proxy(text)


def _read_netrc() -> Mapping[str, NetrcEntry]:
    """Return the entries of the file that ``NETRC`` names, or of the one in the home directory.

    Without any, and with a warning in the log, if it cannot be read.
    """
    named = os.environ.get("NETRC")
    try:
        home = "_netrc" if sys.platform == "win32" else ".netrc"
        return netrc.netrc(named if named is not None else str(Path.home() / home)).hosts
    except netrc.NetrcParseError as error:
        # Its message may quote a password.
        _logger.warning("the netrc file %s has an error in line %s", error.filename, error.lineno)
    except (OSError, UnicodeError, RuntimeError) as error:  # RuntimeError: there is no home.
        if named is not None or not isinstance(error, (FileNotFoundError, RuntimeError)):
            _logger.warning("a netrc file cannot be read: %s", error)
    return {}
