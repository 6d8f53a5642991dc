"""One service process of a test: started, watched until it is ready, ended with the tests."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path


class ServiceError(RuntimeError):
    """A service that the tests need is missing or did not start; the message says what to do."""


def free_port() -> int:
    """A port of 127.0.0.1 that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def find_program(name: str, package: str, folders: Sequence[Path] = ()) -> str:
    """Path of an installed program.

    Raises:
        ServiceError: it is not installed; names the Debian package that has it.
    """
    found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(map(str, folders)))
    if found is None:
        raise ServiceError(f"the tests need {name!r}: apt-get install {package}")
    return found


def user_options(user: str) -> list[str]:
    """`setpriv` options that drop root for programs that refuse to run as root."""
    return [f"--reuid={user}", f"--regid={user}", "--clear-groups"] if os.geteuid() == 0 else []


@dataclass
class Service:
    """A running process whose output goes to a file."""

    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(
        cls, command: Sequence[str], log: Path, *, user: str = "", cwd: Path | None = None
    ) -> Service:
        """Start `command`; the kernel ends it should the test process itself be killed."""
        setpriv = find_program("setpriv", "util-linux")
        options = user_options(user) if user else []
        with log.open("wb") as output:
            process = subprocess.Popen(
                [setpriv, "--pdeathsig=KILL", *options, *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                cwd=cwd,
            )
        return cls(process, log)

    @classmethod
    def on_free_port(
        cls,
        command: Callable[[int], Sequence[str]],
        log: Path,
        ready: Callable[[str], bool],
        *,
        user: str = "",
        cwd: Path | None = None,
    ) -> tuple[Service, int]:
        """Start `command(port)` and wait until it is ready; somebody else may take the port in
        between, and then there is another one.

        Raises:
            ServiceError: it does not start, or three ports were taken.
        """
        for attempt in range(3):
            port = free_port()
            service = cls.start(command(port), log, user=user, cwd=cwd)
            try:
                service.wait_until(ready, 30)
            except ServiceError:
                if attempt < 2 and "address already in use" in service.tail().lower():
                    continue
                raise
            return service, port
        raise ServiceError("no free port after 3 tries")

    def wait_until(self, ready: Callable[[str], bool], seconds: float) -> None:
        """Poll the log until `ready(text of the log)`.

        Raises:
            ServiceError: the process ended, or the time is up; the end of the log is quoted.
        """
        deadline = time.monotonic() + seconds
        while not ready(self.log.read_text(errors="replace")):
            if self.process.poll() is not None:
                raise ServiceError(f"service ended with {self.process.returncode}: {self.tail()}")
            if time.monotonic() > deadline:
                self.stop(signal.SIGKILL)
                raise ServiceError(f"service not ready after {seconds:.0f} s: {self.tail()}")
            time.sleep(0.05)

    def tail(self, size: int = 2000) -> str:
        return self.log.read_text(errors="replace")[-size:]

    def stop(self, sign: signal.Signals = signal.SIGTERM, seconds: float = 20) -> None:
        """Send `sign`, wait, and kill what does not obey; returns when the process is gone."""
        if self.process.poll() is None:
            self.process.send_signal(sign)
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(seconds)
