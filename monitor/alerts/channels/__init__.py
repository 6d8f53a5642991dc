"""Ways an alert reaches people: standard error, a webhook, PagerDuty."""

from __future__ import annotations

from collections.abc import Sequence

from monitor.alerts.channels.base import Channel, DeliveryError, Permanent, Retryable
from monitor.alerts.channels.log import LogChannel
from monitor.alerts.channels.pagerduty import PagerDutyChannel
from monitor.alerts.channels.settings import (
    ChannelError,
    ChannelSettings,
    LogSettings,
    PagerDutySettings,
    WebhookSettings,
)
from monitor.alerts.channels.webhook import WebhookChannel

__all__ = [
    "Channel",
    "ChannelError",
    "ChannelSettings",
    "DeliveryError",
    "LogChannel",
    "LogSettings",
    "PagerDutyChannel",
    "PagerDutySettings",
    "Permanent",
    "Retryable",
    "WebhookChannel",
    "WebhookSettings",
    "open_channels",
]


def open_channels(settings: Sequence[ChannelSettings]) -> list[Channel]:
    """The channels, in the order given; close each when done.

    Raises:
        ChannelError: one cannot be set up, or two have one name; nothing stays open.
    """
    channels: list[Channel] = []
    try:
        for one in settings:
            if any(c.name == one.name for c in channels):
                raise ChannelError(f"name: two channels are called {one.name!r}; rename one")
            channels.append(_open(one))
    except ChannelError:
        for channel in channels:
            channel.close()
        raise
    return channels


def _open(settings: ChannelSettings) -> Channel:
    match settings:
        case LogSettings():
            return LogChannel(settings)
        case WebhookSettings():
            return WebhookChannel(settings)
        case PagerDutySettings():
            return PagerDutyChannel(settings)
