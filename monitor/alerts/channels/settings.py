"""What the channels need to know; the configuration is mapped onto these."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from monitor.detection.finding import Severity

LogFormat = Literal["text", "json"]
Region = Literal["us", "eu"]


class ChannelError(ValueError):
    """A channel cannot be set up; the message names the setting and the fix."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings:
    """One line per alert on standard error."""

    name: str = "log"
    format: LogFormat = "text"
    min_severity: Severity = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class WebhookSettings:
    """POST of the alert line to a URL."""

    url: str = field(repr=False)
    """Kept out of logs: the addresses of many receivers hold a secret."""
    name: str = "webhook"
    token: str = field(default="", repr=False)
    """Bearer token; `token_file` is read instead when given."""
    token_file: Path | None = None
    secret: str = field(default="", repr=False)
    """Key of the HMAC-SHA-256 in ``X-Backslide-Signature``; none: no such header."""
    secret_file: Path | None = None
    ca_file: Path | None = None
    """Certificates to trust instead of the usual ones."""
    timeout: float = 10.0
    """Seconds for each of connect, write and read."""
    min_severity: Severity = "info"


@dataclass(frozen=True, slots=True, kw_only=True)
class PagerDutySettings:
    """PagerDuty Events API v2."""

    routing_key: str = field(default="", repr=False)
    """Integration key of the service; `routing_key_file` is read instead when given."""
    routing_key_file: Path | None = None
    name: str = "pagerduty"
    region: Region = "us"
    url: str = ""
    """Base address instead of the region's, https only."""
    ca_file: Path | None = None
    timeout: float = 10.0
    min_severity: Severity = "ticket"


ChannelSettings = LogSettings | WebhookSettings | PagerDutySettings


def secret_value(field_name: str, value: str, file: Path | None) -> str:
    """The secret itself, from `file` when there is one.

    Raises:
        ChannelError: the file cannot be read or is empty.
    """
    if file is None:
        return value
    try:
        text = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ChannelError(
            f"{field_name}_file: cannot read {file} ({type(error).__name__}); "
            "make it a UTF-8 text file that this user may read"
        ) from None
    if not text:
        raise ChannelError(f"{field_name}_file: {file} is empty; write the secret into it")
    return text
