"""Serves one page on this machine alone."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from ppgan_zoo.errors import ConfigError, os_errors

HOST = "127.0.0.1"


def make_server(content: str, port: int = 0) -> ThreadingHTTPServer:
    """Return a server of one page, which no other machine reaches.

    Args:
        content: HTML.
        port: 0 for any that is free.

    Raises:
        ConfigError: The port is taken or not allowed.
    """
    raw = content.encode()

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path.partition("?")[0] == "/"
            self.send_response(200 if found else 404)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(raw) if found else 0))
            self.send_header("X-Content-Type-Options", "nosniff")
            self.end_headers()
            if found:
                self.wfile.write(raw)

        def log_message(self, *_: Any) -> None:
            """Say nothing of each request."""

    with os_errors(ConfigError, f"--port {port}: cannot be used", then="leave it out"):
        return ThreadingHTTPServer((HOST, port), Page)
