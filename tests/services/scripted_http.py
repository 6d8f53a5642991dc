"""A local HTTP(S) server that answers as a test tells it to, well or badly."""

from __future__ import annotations

import socket
import ssl
import subprocess
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal

from tests.services.process import find_program

Misbehaviour = Literal["hang", "close", "garbage", "take and close"]


@dataclass(frozen=True)
class Request:
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class ScriptedServer:
    """Answers every request by `take`, unless `answers` holds something else to do first.

    ``hang`` never answers, ``close`` closes without taking the request, ``take and close``
    takes it and closes before the answer, ``garbage`` takes it and says 202 with nonsense.

    Args:
        certificate: (certificate, key) files; plain HTTP without.
    """

    def __init__(self, certificate: tuple[Path, Path] | None = None) -> None:
        self.answers: deque[Answer | Misbehaviour] = deque()
        self.requests: list[Request] = []
        """All that arrived, taken or not."""
        self.taken: list[Request] = []
        self._released = threading.Event()
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                server.handle(self)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = False

            def handle_error(self, request: Any, client_address: Any) -> None:
                """A client that went away is what some tests are about."""

        self._http = Server(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._http.socket = context.wrap_socket(self._http.socket, server_side=True)
        scheme = "http" if certificate is None else "https"
        self.url = f"{scheme}://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self._thread.start()

    def take(self, request: Request) -> Answer:
        """What a healthy receiver does."""
        self.taken.append(request)
        return Answer(202)

    def handle(self, handler: BaseHTTPRequestHandler) -> None:
        length = int(handler.headers.get("Content-Length") or 0)
        request = Request(handler.path, dict(handler.headers), handler.rfile.read(length))
        self.requests.append(request)
        script = self.answers.popleft() if self.answers else None
        handler.close_connection = isinstance(script, str)
        if script == "hang":
            self._released.wait(60)
            return
        if script == "close":
            _drop(handler)
            return
        answer = script if isinstance(script, Answer) else self.take(request)
        if script == "take and close":
            _drop(handler)
            return
        if script == "garbage":
            answer = Answer(202, b"<html>\xff not what you asked for", {"Connection": "close"})
        handler.send_response(answer.status)
        for name, value in answer.headers.items():
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        handler.wfile.write(answer.body)

    def stop(self) -> None:
        self._released.set()
        self._http.shutdown()
        self._thread.join(10)
        self._http.server_close()


def _drop(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that is its own authority, and its key."""
    certificate, key = folder / "server.pem", folder / "server.key"
    subprocess.run(
        [
            find_program("openssl", "openssl"), "req", "-x509", "-newkey", "ec",
            "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
            "-keyout", str(key), "-out", str(certificate),
        ],
        check=True,
        capture_output=True,
    )  # fmt: skip
    return certificate, key
