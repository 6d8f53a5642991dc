"""Alerts as PagerDuty incidents, by the Events API v2 and its official client.

https://developer.pagerduty.com/docs/events-api-v2-overview
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Any, Final

import httpx2
import msgspec
from pagerduty import Error, EventsApiV2Client, UrlError

from monitor.alerts.alert import Alert
from monitor.alerts.channels.base import DeliveryError, Permanent, Retryable, at_least
from monitor.alerts.channels.http import raise_for_answer, tls_context
from monitor.alerts.channels.settings import ChannelError, PagerDutySettings, secret_value
from monitor.alerts.sentences import shorten

REGIONS: Final = MappingProxyType(
    {"us": "https://events.pagerduty.com", "eu": "https://events.eu.pagerduty.com"}
)
SEVERITY: Final = MappingProxyType({"page": "critical", "ticket": "warning", "info": "info"})
LONGEST_SUMMARY: Final = 1024
LONGEST_FIELD: Final = 255
LARGEST_EVENT: Final = 500_000
"""Bytes; the API refuses events over 512 KB."""


class _Client(EventsApiV2Client):
    """The official client, one attempt a call: retrying is the outbox's, which forgets nothing
    when the process dies and never sleeps inside a delivery.

    On its own the client tries 429 again without limit, and 5xx and network errors for
    minutes.
    """

    max_network_attempts = 0

    def __init__(self, name: str, routing_key: str, base_url: str, **client: Any) -> None:
        super().__init__(routing_key, base_url=base_url, **client)
        self._name = name

    def postprocess(self, response: httpx2.Response) -> None:
        # Called before the client looks at the status, so nothing is left for it to retry.
        raise_for_answer(self._name, response)


class PagerDutyChannel:
    """Triggers, updates (a trigger under the same key) and resolves incidents.

    Raises:
        ChannelError: routing key, address or certificates are unusable.
    """

    def __init__(self, settings: PagerDutySettings) -> None:
        self.name = settings.name
        self._settings = settings
        key = secret_value("routing_key", settings.routing_key, settings.routing_key_file)
        if len(key) != 32 or not key.isalnum():
            raise ChannelError(
                "routing_key: not an integration key; copy the 32 letters and digits of the "
                "service's Events API v2 integration"
            )
        try:
            self._client = _Client(
                settings.name,
                key,
                settings.url or REGIONS[settings.region],
                verify=tls_context(settings.ca_file),
            )
        except UrlError:
            raise ChannelError(
                "url: PagerDuty is reached by https only; give https://host"
            ) from None
        self._client.timeout = settings.timeout  # type: ignore[assignment]

    def wants(self, severity: str) -> bool:
        return at_least(severity, self._settings.min_severity)

    def send(self, alert: bytes) -> None:
        try:
            parsed = msgspec.json.decode(alert, type=Alert)
        except msgspec.DecodeError:
            raise Permanent(f"{self.name}: this is not an alert") from None
        # The client's own messages may quote the answer or the end of the routing key.
        try:
            if parsed.event == "resolve":
                self._client.resolve(parsed.dedup_key)
            else:
                self._client.send_event("trigger", parsed.dedup_key, **trigger_event(parsed))
        except DeliveryError:
            raise
        except Error as error:
            cause = error.__cause__ if isinstance(error.__cause__, httpx2.TransportError) else error
            raise Retryable(f"{self.name}: {type(cause).__name__}") from None
        except (httpx2.HTTPError, ValueError) as error:
            raise Retryable(f"{self.name}: unreadable answer ({type(error).__name__})") from None

    def close(self) -> None:
        self._client.close()


def trigger_event(alert: Alert) -> dict[str, Any]:
    """Body of a trigger without key and action, inside every limit of the API."""
    event: dict[str, Any] = {
        "payload": {
            "summary": shorten(alert.summary, LONGEST_SUMMARY) or alert.alert,
            "source": shorten(alert.deployment, LONGEST_FIELD) or "backslide",
            "severity": SEVERITY.get(alert.severity, "critical"),
            "timestamp": alert.at,
            "component": shorten(alert.artifact, LONGEST_FIELD) or "unnamed artifact",
            "class": alert.alert,
            "custom_details": _details(alert),
        },
        "client": "Backslide",
        "links": [
            {"href": href, "text": text}
            for text, href in (
                ("Runbook", alert.links.runbook),
                ("Dashboard", alert.links.dashboard),
            )
            if href.startswith(("https://", "http://"))
        ],
    }
    if len(msgspec.json.encode(event)) > LARGEST_EVENT:
        event["payload"]["custom_details"] = {"shortened": "see alerts show " + alert.dedup_key}
    return event


def _details(alert: Alert) -> dict[str, Any]:
    """Everything in the alert that the other fields of the event do not carry."""
    details: dict[str, Any] = msgspec.to_builtins(alert)
    for said in ("schema", "summary", "severity", "dedup_key", "at"):
        del details[said]
    return details
