"""The process's own log: one line an event on standard error, for people or for machines.

Nothing of a record is ever logged. Messages are written with that in mind; exceptions are
reduced to their type and place, because their messages may quote what could not be parsed.
"""

from __future__ import annotations

import json
import logging
import sys
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal, TextIO

Format = Literal["text", "json"]
Level = Literal["debug", "info", "warning", "error"]

OWN: Final = ("monitor", "classifiers")
_QUIET: Final = ("kafka",)
"""Logs an error for every attempt to reach a broker; the Kafka source says it once in a while."""
_STANDARD: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}
_INSTALLED: Final = "backslide"


def configure(format: Format = "text", level: Level = "info") -> None:  # noqa: A002
    """Send log lines of this process to standard error; may be called again.

    `level` is that of our own packages; of others only warnings and errors are shown. Fields
    are given with ``extra``: ``logger.info("caught up", extra={"partition": 3})``.
    """
    root = logging.getLogger()
    for handler in [h for h in root.handlers if h.name == _INSTALLED]:
        root.removeHandler(handler)
    handler = _StandardError()
    handler.name = _INSTALLED
    handler.setFormatter(_JsonFormatter() if format == "json" else _TextFormatter())
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for name in OWN:
        logging.getLogger(name).setLevel(level.upper())
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.CRITICAL)


class _StandardError(logging.StreamHandler[TextIO]):
    """Looks standard error up at each line, as it may be redirected in between."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, _: TextIO) -> None:
        raise AttributeError("the log goes to standard error")


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields(record),
        }
        return json.dumps(line, default=str, ensure_ascii=False)


class _TextFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = "".join(f" {name}={value}" for name, value in _fields(record).items())
        line = f"{_time(record)} {record.levelname.lower()} {record.getMessage()}{fields}"
        return line.replace("\r", "\\r").replace("\n", "\\n")


def _time(record: logging.LogRecord) -> str:
    stamp = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    return stamp.replace("+00:00", "Z")


def _fields(record: logging.LogRecord) -> Mapping[str, Any]:
    fields = {name: value for name, value in vars(record).items() if name not in _STANDARD}
    if record.exc_info and record.exc_info[0] is not None:
        fields["error"] = record.exc_info[0].__name__
        frames = traceback.extract_tb(record.exc_info[2])
        fields["where"] = " > ".join(f"{frame.name}:{frame.lineno}" for frame in frames)
    return fields
