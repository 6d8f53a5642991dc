"""A process that dies between sending an alert and writing down that it did.

Usage: python -m tests.integration.alerts.killed_sender STORE_URL PAGERDUTY_URL CA_FILE
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from monitor.alerts import OutboxWorker
from monitor.alerts.channels import PagerDutyChannel, PagerDutySettings
from monitor.store import open_store
from tests.services.events_v2 import ROUTING_KEY


class Killed(PagerDutyChannel):
    def send(self, alert: bytes) -> None:
        super().send(alert)
        os.kill(os.getpid(), signal.SIGKILL)


def main(store: str, url: str, ca_file: str) -> None:
    settings = PagerDutySettings(routing_key=ROUTING_KEY, url=url, ca_file=Path(ca_file))
    OutboxWorker(open_store(store), [Killed(settings)]).deliver_once(1e12)


if __name__ == "__main__":
    main(*sys.argv[1:])
