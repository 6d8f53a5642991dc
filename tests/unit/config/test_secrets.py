"""Secrets appear nowhere: not when shown, not in problems, not in a repr."""

from __future__ import annotations

from pathlib import Path

import pytest

from monitor.config import ConfigError, load
from monitor.config.reference import in_force, to_yaml
from tests.unit.config.files import config, write

MARK = "hunter2"
SECRETS = f"""\
store: {{url: "postgresql://user:{MARK}@host/db"}}
privacy: {{key: {MARK}}}
source:
  kafka:
    security_protocol: SASL_SSL
    sasl_mechanism: PLAIN
    sasl_username: u
    sasl_password: {MARK}
alerts:
  webhooks:
    - {{name: a, url: "https://example.org/{MARK}", token: {MARK}, secret: {MARK}}}
  pagerduty: {{routing_key: {MARK}}}
"""


def test_what_is_shown_holds_no_secret(tmp_path: Path) -> None:
    loaded = config(tmp_path, SECRETS)
    assert MARK not in to_yaml(loaded)
    assert MARK not in str(in_force(loaded))
    assert to_yaml(loaded).count("**********") == 7


def test_without_the_masks_the_same_check_fails(tmp_path: Path) -> None:
    """Dumped as the program uses it, the urls show their secrets: the masks do the work."""
    assert str(config(tmp_path, SECRETS).model_dump(mode="python")).count(MARK) == 2


def test_problems_hold_no_secret(tmp_path: Path) -> None:
    broken = SECRETS.replace(MARK, f"[{MARK}]").replace("https:", "ftp:").replace("postgresql", "x")
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, broken))
    assert MARK not in str(caught.value)
    assert len(caught.value.problems) >= 6


def test_a_repr_holds_no_secret(tmp_path: Path) -> None:
    assert MARK not in repr(config(tmp_path, SECRETS))
