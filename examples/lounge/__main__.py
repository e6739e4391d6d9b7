"""``python -m examples.lounge [PORT [CERTIFICATE KEY]]``: serve on 127.0.0.1."""

from __future__ import annotations

import ssl
import sys

from plait import web

from .app import make_app


def main() -> None:
    context = None
    match sys.argv[1:]:
        case []:
            port = 8080
        case [given]:
            port = int(given)
        case [given, certificate, key]:
            port = int(given)
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificate, key)
        case _:
            sys.exit(__doc__)
    web.run_app(make_app(), host="127.0.0.1", port=port, ssl_context=context, shutdown_timeout=5)


if __name__ == "__main__":
    main()
