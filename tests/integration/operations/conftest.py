"""The receiver of pages, and what a started Backslide is asked."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

BACKSLIDE = str(Path(sys.executable).with_name("backslide"))


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in [name for name in os.environ if name.startswith("BACKSLIDE_")]:
        monkeypatch.delenv(name)


def wait_until(what: str, condition: Callable[[], bool], seconds: float = 100.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(0.05)


class Monitor:
    """``backslide run`` on a topic, in a process of its own that may be stopped and started."""

    def __init__(self, folder: Path, source: str, port: int, window: int) -> None:
        self.folder = folder
        self.port = port
        config = folder / "backslide.yaml"
        config.write_text("alerts:\n  delivery: prometheus\n")
        self._command = [
            BACKSLIDE, "--config", str(config), "run", "--source", source,
            "--store", str(folder / "store.db"), "--alerts", str(folder / "alerts.jsonl"),
            "--listen", f"127.0.0.1:{port}", "--baseline-window", str(window),
        ]  # fmt: skip
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with (self.folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                self._command, stdout=subprocess.DEVNULL, stderr=log, cwd=self.folder
            )

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            assert self._process.wait(60) == 0, self.log()

    def kill(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)

    def log(self) -> str:
        return (self.folder / "log.txt").read_text()

    def page(self) -> str:
        """What /metrics says; nothing while nobody listens."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=10) as it:
                text: str = it.read().decode()
                return text
        except OSError:
            assert self._process is not None
            assert self._process.poll() is None, self.log()
            return ""

    def wait_for(self, line: str) -> None:
        """Until /metrics has a line that begins with `line`."""
        wait_until(line, lambda: any(x.startswith(line) for x in self.page().splitlines()))
