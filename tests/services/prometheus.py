"""A real Prometheus for tests: its own data, a free port, scrapes of a second, gone afterwards."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import yaml

from tests.services.process import Service, ServiceError, find_program

JOB = "backslide"


@dataclass(frozen=True)
class Prometheus:
    """A running server, and the questions that tests ask it."""

    url: str

    def query(self, expression: str) -> list[dict[str, Any]]:
        """The instant vector now: ``[{"metric": labels, "value": [time, text]}]``.

        Raises:
            ServiceError: the server refuses the expression; its reason.
        """
        result: list[dict[str, Any]] = self._get("query", {"query": expression})["result"]
        return result

    def query_range(self, expression: str, seconds: float, step: float) -> list[dict[str, Any]]:
        """The series of the last `seconds`."""
        now = time.time()
        asked = {"query": expression, "start": now - seconds, "end": now, "step": step}
        result: list[dict[str, Any]] = self._get("query_range", asked)["result"]
        return result

    def get(self, path: str) -> Any:
        """``data`` of a page of the API, such as ``rules`` or ``targets``."""
        return self._get(path, {})

    def wait_for(self, expression: str, seconds: float = 30.0) -> list[dict[str, Any]]:
        """The first answer to `expression` that is not empty.

        Raises:
            ServiceError: there is none after `seconds`.
        """
        deadline = time.monotonic() + seconds
        while not (result := self.query(expression)):
            if time.monotonic() > deadline:
                raise ServiceError(f"no answer to {expression} after {seconds:.0f} s")
            time.sleep(0.1)
        return result

    def _get(self, path: str, parameters: Mapping[str, Any]) -> Any:
        url = f"{self.url}/api/v1/{path}?{urlencode(parameters)}"
        try:
            with urllib.request.urlopen(url, timeout=10) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            with error:
                raise ServiceError(f"{error.code}: {error.read().decode()[:500]}") from None


@contextmanager
def running_prometheus(
    targets: Sequence[str],
    *,
    rules: Sequence[Path] = (),
    alertmanagers: Sequence[str] = (),
    interval: str = "1s",
    options: Sequence[str] = (),
) -> Iterator[Prometheus]:
    """A server that scrapes `targets` (``host:port``) as the job `JOB`.

    Raises:
        ServiceError: not installed (names the package), or it does not start.
    """
    program = find_program("prometheus", "prometheus")
    home = Path(tempfile.mkdtemp(prefix="backslide-prometheus-"))
    try:
        config = home / "prometheus.yml"
        config.write_text(yaml.safe_dump(_config(targets, rules, alertmanagers, interval)))
        service, port = _start(program, config, home, options)
        try:
            yield Prometheus(f"http://127.0.0.1:{port}")
        finally:
            service.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _config(
    targets: Sequence[str], rules: Sequence[Path], alertmanagers: Sequence[str], interval: str
) -> dict[str, Any]:
    return {
        "global": {"scrape_interval": interval, "evaluation_interval": interval},
        "rule_files": [str(path) for path in rules],
        "scrape_configs": [{"job_name": JOB, "static_configs": [{"targets": list(targets)}]}],
        "alerting": {
            "alertmanagers": [{"static_configs": [{"targets": list(alertmanagers)}]}]
            if alertmanagers
            else []
        },
    }


def _start(program: str, config: Path, home: Path, options: Sequence[str]) -> tuple[Service, int]:
    return Service.on_free_port(
        lambda port: [
            program,
            f"--config.file={config}",
            f"--storage.tsdb.path={home / 'data'}",
            f"--web.listen-address=127.0.0.1:{port}",
            *options,
        ],
        home / "log",
        lambda text: "Server is ready to receive web requests" in text,
    )
