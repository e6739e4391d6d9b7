"""nginx as an origin: a configuration made for the run, a child process that ends with it."""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

from .processes import Child, find_program, free_port

_CONFIG = """\
daemon off;
{user_directive}
pid {folder}/nginx.pid;
error_log stderr warn;
worker_processes 1;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    client_max_body_size 0;
    keepalive_requests {keepalive_requests};
    keepalive_timeout 300s;
    types {{ text/plain txt; }}
    default_type application/octet-stream;
    gzip on;
    gzip_types text/plain;
    gzip_http_version 1.1;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    server {{
        listen 127.0.0.1:{plain};
        listen 127.0.0.1:{tls} ssl{http2_option};
        listen 127.0.0.1:{h2c}{http2_option};
        {http2_directive}
        root {root};
        location = / {{
            default_type text/plain;
            return 200 "Hello, World!";
        }}
        location /item/ {{
            default_type text/plain;
            add_header X-Request-Id $http_x_request_id;
            return 200 "Hello, World!";
        }}
        location = /protocol {{
            default_type text/plain;
            return 200 "$server_protocol";
        }}
        location = /connection {{
            default_type text/plain;
            return 200 "$connection";
        }}
        location = /redirect {{
            return 302 /protocol;
        }}
        location = /upload {{
            # nginx answers by itself only after it has read the body: so let it proxy.
            proxy_pass http://127.0.0.1:{sink};
            proxy_request_buffering on;
        }}
    }}
    server {{
        listen 127.0.0.1:{sink};
        location = /upload {{
            default_type text/plain;
            return 200 "$http_content_length";
        }}
    }}
}}
"""


class Nginx:
    """A running nginx.  ``plain``, ``tls`` and ``h2c`` are its ports on 127.0.0.1.

    ``plain`` speaks HTTP/1.1, ``tls`` what ALPN chooses, ``h2c`` cleartext HTTP/2 for
    clients with prior knowledge.  Paths: ``/`` (13 bytes), ``/item/...`` (the same 13, with
    the request's ``X-Request-Id``), ``/protocol`` (the version that nginx saw),
    ``/connection`` (the serial number of the connection), ``/redirect``, ``/upload``
    (answers with the length of the body), and the files of ``root``.

    Args:
        folder: where its files go; ``folder / "root"`` is the document root.
        certificate, key: PEM files for TLS.
        keepalive_requests: after so many requests it ends a connection.

    Raises MissingProgram when nginx is not installed.
    """

    def __init__(
        self,
        folder: Path,
        certificate: Path,
        key: Path,
        *,
        keepalive_requests: int = 100_000_000,
    ) -> None:
        program = find_program("nginx")
        self.root = folder / "root"
        self.root.mkdir()
        self.plain, self.tls, self.h2c, sink = (free_port() for _ in range(4))
        # From 1.25.1 on HTTP/2 is a directive; before, an option of listen.
        directive = _version(program) >= (1, 25, 1)
        config = folder / "nginx.conf"
        config.write_text(
            _CONFIG.format(
                # A worker of another user could not read a folder that only root may enter.
                user_directive="user root;" if os.getuid() == 0 else "",
                folder=folder,
                certificate=certificate,
                key=key,
                plain=self.plain,
                tls=self.tls,
                h2c=self.h2c,
                sink=sink,
                root=self.root,
                keepalive_requests=keepalive_requests,
                http2_option="" if directive else " http2",
                http2_directive="http2 on;" if directive else "",
            )
        )
        command = [program, "-p", str(folder), "-e", "stderr", "-c", str(config)]
        with ExitStack() as stack:
            self._child = stack.enter_context(Child(command, folder / "nginx.log"))
            self._child.wait_for_port(self.h2c)
            stack.pop_all()

    def close(self) -> None:
        """End it."""
        self._child.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _version(program: str) -> tuple[int, ...]:
    output = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr
    match = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", output)
    if match is None:
        raise RuntimeError(f"{program} does not tell its version: {output!r}")
    return tuple(int(part) for part in match.groups())
