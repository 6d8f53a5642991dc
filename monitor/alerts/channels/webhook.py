"""Alerts as HTTP POST of the alert line, signed."""

from __future__ import annotations

import hashlib
import hmac

import httpx2

from monitor.alerts.channels.base import Permanent, Retryable, at_least
from monitor.alerts.channels.http import raise_for_answer, tls_context
from monitor.alerts.channels.settings import ChannelError, WebhookSettings, secret_value

SIGNATURE_HEADER = "X-Backslide-Signature"


class WebhookChannel:
    """POSTs each alert line as ``application/json``; 2xx means taken.

    Headers: ``Authorization: Bearer <token>`` and ``X-Backslide-Signature: sha256=<hex HMAC of
    the body>`` where configured; ``Idempotency-Key``, equal when the same transition is sent
    again.

    Raises:
        ChannelError: the URL is not http(s), or a secret or certificate cannot be read.
    """

    def __init__(self, settings: WebhookSettings) -> None:
        self.name = settings.name
        self._settings = settings
        try:
            self._url = httpx2.URL(settings.url)
        except httpx2.InvalidURL:
            raise ChannelError("url: not an address; give http(s)://host/path") from None
        if self._url.scheme not in ("http", "https") or not self._url.host:
            raise ChannelError("url: not a web address; give http(s)://host/path")
        token = secret_value("token", settings.token, settings.token_file)
        self._headers = {"Content-Type": "application/json", "User-Agent": "backslide"}
        if token:
            if not (token.isascii() and token.isprintable()):
                raise ChannelError("token: holds characters a header cannot carry; check it")
            self._headers["Authorization"] = f"Bearer {token}"
        self._secret = secret_value("secret", settings.secret, settings.secret_file).encode()
        self._client = httpx2.Client(
            timeout=settings.timeout,
            follow_redirects=False,
            verify=tls_context(settings.ca_file),
        )

    def wants(self, severity: str) -> bool:
        return at_least(severity, self._settings.min_severity)

    def send(self, alert: bytes) -> None:
        headers = {**self._headers, "Idempotency-Key": hashlib.sha256(alert).hexdigest()[:32]}
        if self._secret:
            headers[SIGNATURE_HEADER] = signature(self._secret, alert)
        try:
            # The body of the answer is never read: it says nothing and may never end.
            with self._client.stream("POST", self._url, content=alert, headers=headers) as response:
                raise_for_answer(self.name, response)
        except httpx2.TransportError as error:
            raise Retryable(f"{self.name}: {type(error).__name__}") from None
        except httpx2.HTTPError as error:
            raise Permanent(f"{self.name}: {type(error).__name__}") from None

    def close(self) -> None:
        self._client.close()


def signature(secret: bytes, body: bytes) -> str:
    """``sha256=`` and the hex HMAC-SHA-256 of the body, as receivers should compute it."""
    return f"sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}"
