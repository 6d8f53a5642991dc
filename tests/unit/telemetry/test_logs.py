"""The log: one line an event, and nothing of a record."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from monitor.telemetry import logs

log = logging.getLogger("monitor.test")


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    before, level = list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in (*logs.OWN, "kafka")}
    yield
    root.handlers[:] = before
    root.setLevel(level)
    for name, value in levels.items():
        logging.getLogger(name).setLevel(value)


def test_json_lines_carry_their_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("json", "info")
    log.info("caught up after %d records", 3, extra={"partition": 2})
    captured = capsys.readouterr()
    line = json.loads(captured.err)
    assert line.pop("time").endswith("Z")
    assert line == {
        "level": "info",
        "logger": "monitor.test",
        "message": "caught up after 3 records",
        "partition": 2,
    }
    assert captured.out == "", "stdout is for data"


def test_text_lines_carry_their_fields(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("text", "info")
    log.warning("slow", extra={"partition": 2})
    assert capsys.readouterr().err.endswith("Z warning slow partition=2\n")


@pytest.mark.parametrize("form", ["text", "json"])
def test_an_event_is_one_line_whatever_its_text(
    form: logs.Format, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(form)
    log.error("first\nsecond\r\nthird", extra={"where_to": "a\nb"})
    try:
        raise ValueError("line\nbreak")
    except ValueError:
        log.exception("failed")
    assert capsys.readouterr().err.count("\n") == 2


@pytest.mark.parametrize("form", ["text", "json"])
def test_the_message_of_an_exception_is_not_logged(
    form: logs.Format, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.configure(form)
    try:
        b"planted-marker\xff".decode()
    except UnicodeDecodeError:
        log.exception("a record could not be decoded")
    line = capsys.readouterr().err
    assert "planted-marker" not in line
    assert "UnicodeDecodeError" in line
    assert "test_the_message_of_an_exception_is_not_logged" in line


def test_configuring_twice_does_not_double_the_lines(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure()
    logs.configure()
    log.info("once")
    assert capsys.readouterr().err.count("once") == 1


def test_the_level_is_ours_and_others_are_heard_only_when_it_matters(
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.configure("text", "debug")
    log.debug("ours")
    logging.getLogger("sqlalchemy.engine").info("theirs")
    logging.getLogger("sqlalchemy.pool").warning("a warning of theirs")
    logging.getLogger("kafka.net").error("the tenth attempt")
    err = capsys.readouterr().err
    assert "ours" in err
    assert "a warning of theirs" in err
    assert "info theirs" not in err
    assert "attempt" not in err
    logs.configure("text", "error")
    log.warning("not now")
    assert capsys.readouterr().err == ""
