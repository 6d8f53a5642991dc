"""A real Alertmanager for tests: a free port, no cluster, gone afterwards."""

from __future__ import annotations

import json
import shutil
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from tests.services.process import Service, find_program

PACKAGE = "prometheus-alertmanager"


@dataclass(frozen=True)
class Alertmanager:
    """A running server, and what tests ask it."""

    address: str
    """``host:port``, as Prometheus is told."""

    def alerts(self) -> list[dict[str, Any]]:
        """All alerts it knows: labels, annotations, ``status`` with ``inhibitedBy``."""
        with urllib.request.urlopen(f"http://{self.address}/api/v2/alerts", timeout=10) as answer:
            found: list[dict[str, Any]] = json.load(answer)
        return found

    def post(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        """Hand alerts in, as Prometheus does."""
        request = urllib.request.Request(
            f"http://{self.address}/api/v2/alerts",
            json.dumps(alerts).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            answer.read()


@contextmanager
def running_alertmanager(config: Mapping[str, Any]) -> Iterator[Alertmanager]:
    """A server with the configuration `config`.

    Raises:
        ServiceError: not installed (names the package), or it does not start.
    """
    program = find_program("prometheus-alertmanager", PACKAGE)
    home = Path(tempfile.mkdtemp(prefix="backslide-alertmanager-"))
    try:
        file = home / "alertmanager.yml"
        file.write_text(yaml.safe_dump(dict(config)))
        service, port = _start(program, file, home)
        try:
            yield Alertmanager(f"127.0.0.1:{port}")
        finally:
            service.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _start(program: str, config: Path, home: Path) -> tuple[Service, int]:
    return Service.on_free_port(
        lambda port: [
            program,
            f"--config.file={config}",
            f"--storage.path={home / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            "--cluster.listen-address=",
            "--log.level=debug",
        ],
        home / "log",
        lambda text: 'msg="Listening on"' in text,
    )
