"""nginx as an origin and as a reverse proxy: a configuration made for the run, a child process
that ends with it."""

from __future__ import annotations

import os
import re
import subprocess
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
    keepalive_timeout 300s;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
{servers}
}}
"""

_ORIGIN = """\
    keepalive_requests {keepalive_requests};
    types {{ text/plain txt; }}
    default_type application/octet-stream;
    gzip on;
    gzip_types text/plain;
    gzip_http_version 1.1;
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
        location = /cookies {{
            gzip off;
            default_type text/plain;
            add_header Set-Cookie "visit=1; Path=/; HttpOnly";
            return 200 "$cookie_session $cookie_theme $cookie_csrf";
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
"""

_PROXY = """\
    map $http_upgrade $onward {{ default upgrade; '' ''; }}
    upstream server {{ server {upstream}; keepalive 16; }}
    server {{
        listen 127.0.0.1:{port} ssl{http2_option};
        {http2_directive}
        location / {{
            proxy_pass http://server;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_set_header Host $http_host;
            proxy_set_header Upgrade $http_upgrade;
            proxy_set_header Connection $onward;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
    }}
"""


class _Running:
    """A running nginx.  Raises MissingProgram when nginx is not installed."""

    def __init__(
        self, folder: Path, certificate: Path, key: Path, servers: str, ready: int, **values: object
    ) -> None:
        program = find_program("nginx")
        # From 1.25.1 on HTTP/2 is a directive; before, an option of listen.
        directive = _version(program) >= (1, 25, 1)
        values["http2_option"] = "" if directive else " http2"
        values["http2_directive"] = "http2 on;" if directive else ""
        config = folder / "nginx.conf"
        config.write_text(
            _CONFIG.format(
                # A worker of another user could not read a folder that only root may enter.
                user_directive="user root;" if os.getuid() == 0 else "",
                folder=folder,
                certificate=certificate,
                key=key,
                servers=servers.format(**values),
            )
        )
        command = [program, "-p", str(folder), "-e", "stderr", "-c", str(config)]
        self._child = Child(command, folder / "nginx.log")
        try:
            self._child.wait_for_port(ready)
        except BaseException:
            self._child.close()
            raise

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


class Nginx(_Running):
    """nginx as an origin.  ``plain``, ``tls`` and ``h2c`` are its ports on 127.0.0.1.

    ``plain`` speaks HTTP/1.1, ``tls`` what ALPN chooses, ``h2c`` cleartext HTTP/2 for
    clients with prior knowledge.  Paths: ``/`` (13 bytes), ``/item/...`` (the same 13, with
    the request's ``X-Request-Id``), ``/cookies`` (the values of three cookies; sets
    another one, always the same), ``/protocol`` (the version that nginx saw),
    ``/connection`` (the serial number of the connection), ``/redirect``, ``/upload``
    (answers with the length of the body), and the files of ``root``.

    Args:
        folder: where its files go; ``folder / "root"`` is the document root.
        certificate, key: PEM files for TLS.
        keepalive_requests: after so many requests it ends a connection.
    """

    def __init__(
        self,
        folder: Path,
        certificate: Path,
        key: Path,
        *,
        keepalive_requests: int = 100_000_000,
    ) -> None:
        self.root = folder / "root"
        self.root.mkdir()
        self.plain, self.tls, self.h2c, sink = (free_port() for _ in range(4))
        super().__init__(
            folder,
            certificate,
            key,
            _ORIGIN,
            self.h2c,
            plain=self.plain,
            tls=self.tls,
            h2c=self.h2c,
            sink=sink,
            root=self.root,
            keepalive_requests=keepalive_requests,
        )


class Proxy(_Running):
    """nginx before another server: TLS and HTTP/2 outside, HTTP/1.1 inside; WebSockets pass.

    ``port`` is its port on 127.0.0.1.

    Args:
        folder: where its files go.
        certificate, key: PEM files for TLS.
        upstream: the address of the server, as nginx writes it: ``127.0.0.1:80``,
            ``unix:/path``.
    """

    def __init__(self, folder: Path, certificate: Path, key: Path, upstream: str) -> None:
        self.port = free_port()
        super().__init__(
            folder, certificate, key, _PROXY, self.port, port=self.port, upstream=upstream
        )


def _version(program: str) -> tuple[int, ...]:
    output = subprocess.run([program, "-v"], capture_output=True, text=True, check=True).stderr
    match = re.search(r"nginx/(\d+)\.(\d+)\.(\d+)", output)
    if match is None:
        raise RuntimeError(f"{program} does not tell its version: {output!r}")
    return tuple(int(part) for part in match.groups())
