"""What a channel is: one way an alert reaches people."""

from __future__ import annotations

from typing import Final, Protocol

SEVERITIES: Final = ("info", "ticket", "page")
"""Least first."""


class DeliveryError(Exception):
    """A delivery did not happen. The message names channel and cause, never the content, an
    address or a secret: it is logged and stored."""


class Retryable(DeliveryError):
    """Worth another try, not before `after` seconds if the receiver said so."""

    def __init__(self, message: str, after: float | None = None) -> None:
        super().__init__(message)
        self.after = after


class Permanent(DeliveryError):
    """The receiver will never take this."""


class Channel(Protocol):
    """Used by one thread at a time, never by the detector's.

    `send` returns when the receiver has taken responsibility, within a finite time. It may be
    called again with the same bytes, and the receiver must be able to tell: every alert
    carries its dedup key.
    """

    @property
    def name(self) -> str:
        """Unique among the channels; the outbox remembers deliveries by it."""
        ...

    def wants(self, severity: str) -> bool:
        """Whether alerts of this severity go here; whoever wants a ticket wants a page."""
        ...

    def send(self, alert: bytes) -> None:
        """Deliver one alert line (JSON).

        Raises:
            Retryable: not now.
            Permanent: never.
        """
        ...

    def close(self) -> None:
        """Give connections back."""
        ...


def at_least(severity: str, least: str) -> bool:
    """Whether `severity` is `least` or worse; an unknown one counts as the worst."""
    if severity not in SEVERITIES:
        return True
    return SEVERITIES.index(severity) >= SEVERITIES.index(least)
