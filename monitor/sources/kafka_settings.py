"""Settings of a Kafka source. Does not import kafka-python, which takes .3 s."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from monitor.sources.base import SourceError


@dataclass(frozen=True, slots=True)
class KafkaSettings:
    """How to reach the brokers; the names are those of kafka-python. Empty means unset."""

    security_protocol: str = "PLAINTEXT"
    sasl_mechanism: str = ""
    sasl_plain_username: str = ""
    sasl_plain_password: str = field(default="", repr=False)
    sasl_plain_password_file: str = ""
    """Read at every start; wins over `sasl_plain_password`."""
    ssl_cafile: str = ""
    ssl_certfile: str = ""
    ssl_keyfile: str = ""
    group_id: str = ""
    """Group under which progress is shown to lag tools; by default ``backslide-<topic>``."""
    fetch_max_bytes: int = 16 * 1024 * 1024
    max_partition_fetch_bytes: int = 4 * 1024 * 1024
    bootstrap_timeout: float = 30.0
    """Seconds."""
    partition_refresh: float = 30.0
    """Seconds between two looks for new partitions."""

    def client_options(self) -> dict[str, Any]:
        """Keyword arguments that every client of kafka-python takes.

        Raises:
            SourceError: the password file cannot be read.
        """
        password = self.sasl_plain_password
        if self.sasl_plain_password_file:
            try:
                password = Path(self.sasl_plain_password_file).read_text().rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                raise SourceError(
                    f"sasl_plain_password_file: {self.sasl_plain_password_file} cannot be read: "
                    f"{type(error).__name__}; check the path and its permissions"
                ) from error
        options = {
            "security_protocol": self.security_protocol,
            "sasl_mechanism": self.sasl_mechanism,
            "sasl_plain_username": self.sasl_plain_username,
            "sasl_plain_password": password,
            "ssl_cafile": self.ssl_cafile,
            "ssl_certfile": self.ssl_certfile,
            "ssl_keyfile": self.ssl_keyfile,
        }
        return {name: value for name, value in options.items() if value}


DEFAULT_SETTINGS: Final = KafkaSettings()
