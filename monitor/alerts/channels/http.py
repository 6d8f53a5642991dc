"""What the two HTTP channels have in common: trust, and reading how an answer was meant."""

from __future__ import annotations

import logging
import ssl
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx2

from monitor.alerts.channels.base import Permanent, Retryable
from monitor.alerts.channels.settings import ChannelError

# At INFO and DEBUG these write addresses and headers, and a webhook's address is often its
# only secret.
for _library in ("httpx2", "httpcore2"):
    logging.getLogger(_library).setLevel(logging.WARNING)


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Verifying context with the certificates of `ca_file`, else httpx2's own choice.

    Raises:
        ChannelError: `ca_file` holds no certificates or cannot be read.
    """
    if ca_file is None:
        return httpx2.create_ssl_context()
    try:
        return ssl.create_default_context(cafile=str(ca_file))
    except OSError as error:
        raise ChannelError(
            f"ca_file: cannot use {ca_file} ({type(error).__name__}); give a PEM file"
        ) from None


def raise_for_answer(channel: str, response: httpx2.Response) -> None:
    """Nothing for 2xx; 429, 408 and 5xx can be tried again; all else will not get better.

    Raises:
        Retryable: with what ``Retry-After`` asks for.
        Permanent: redirects too: following one would send a signed alert elsewhere.
    """
    status = response.status_code
    if 200 <= status < 300:
        return
    message = f"{channel}: HTTP {status}"
    if status in (408, 429) or status >= 500:
        raise Retryable(message, after=retry_after(response.headers))
    raise Permanent(message)


def retry_after(headers: httpx2.Headers) -> float | None:
    """Seconds of a ``Retry-After`` header in either of its forms (RFC 9110, 10.2.3); a date
    is read against the sender's own ``Date``, so that no two clocks are compared."""
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    until = _http_date(value)
    if until is None:
        return None
    now = _http_date(headers.get("Date", "")) or datetime.now(UTC)
    return max(0.0, (until - now).total_seconds())


def _http_date(value: str) -> datetime | None:
    try:
        parsed = parsedate_to_datetime(value)
    except ValueError:
        return None
    return parsed if parsed.tzinfo is not None else parsed.replace(tzinfo=UTC)
