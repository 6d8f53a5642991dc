"""However a configuration is damaged: it is valid, or every problem has the exact form."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.config import Config, ConfigError, load
from monitor.config.fields import variables
from tests.unit.config.files import LINE

VALID = """\
deployment: chat
source:
  url: kafka://h:9092/llm.outputs
  follow: true
  kafka: {security_protocol: SSL, group_id: g}
store:
  url: postgresql://u:hunter2@h/d
  retention: {ledger: 90d, outbox: 30d}
baseline: {window: 24h}
detection: {false_pages: 1/90d, tau: 0.7}
pipeline: {batch_size: 512, idle_tick: 10s, max_record_bytes: 4MiB, breaker: {over_records: 50}}
exclude:
  - user: red-team
  - attributes: {job: {regex: "load-.*"}}
artifacts: {identity: [model, adapters], approved: [a, b]}
alerts:
  webhooks:
    - {name: a, url: "https://h/x", token: t, severities: [page]}
    - {name: b, url: "https://h/y"}
  pagerduty: {routing_key: r, region: eu}
  links: {runbook: "https://h/{alert}"}
telemetry: {listen: "127.0.0.1:9464"}
"""
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["10s", "-", "0", "page", "{alert}", "kafka://h:1/t", "a; b: c", "(", "\n"]),
    st.dates(),
    st.binary(max_size=4),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.one_of(st.text(max_size=8), st.integers()), inner, max_size=3),
    ),
    max_leaves=6,
)


def outcome(text: bytes, environ: dict[str, str] | None = None) -> Config | list[str]:
    """What a file with `text` comes to; anything but a `ConfigError` escapes and fails."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c.yaml"
        path.write_bytes(text)
        try:
            return load(str(path), environ=environ)
        except ConfigError as error:
            return str(error).split("\n")


def check(found: Config | list[str]) -> None:
    if isinstance(found, Config):
        return
    assert found
    for line in found:
        assert LINE.fullmatch(line), line
        assert "hunter2" not in line


def places(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Paths of everything in `value`."""
    if isinstance(value, dict):
        parts = list(value.items())
    else:
        parts = list(enumerate(value)) if isinstance(value, list) else []
    found = [path] if path else []
    return found + [at for key, inner in parts for at in places(inner, (*path, key))]


def replace(data: Any, path: tuple[str | int, ...], value: object) -> None:
    """Put `value` at `path`, unless an earlier change has taken that place away."""
    try:
        for part in path[:-1]:
            data = data[part]
        data[path[-1]] = value
    except (KeyError, IndexError, TypeError):
        pass


PLACES = places(yaml.safe_load(VALID))


def test_the_undamaged_configuration_is_valid() -> None:
    assert isinstance(outcome(VALID.encode()), Config)


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.lists(st.tuples(st.sampled_from(PLACES), VALUES), min_size=1, max_size=4))
def test_a_value_replaced_is_valid_or_named(
    changes: list[tuple[tuple[str | int, ...], object]],
) -> None:
    data = yaml.safe_load(VALID)
    for path, value in changes:
        replace(data, path, value)
    check(outcome(yaml.safe_dump(data, allow_unicode=True).encode()))


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.sampled_from(PLACES), st.text(max_size=12), VALUES)
def test_a_setting_added_anywhere_is_valid_or_named(
    path: tuple[str | int, ...], name: str, value: object
) -> None:
    data = yaml.safe_load(VALID)
    place = data
    for part in path:
        place = place[part]
    (place if isinstance(place, dict) else data)[name] = value
    check(outcome(yaml.safe_dump(data, allow_unicode=True).encode()))


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.integers(0, len(VALID)),
            st.integers(0, 12),
            st.one_of(
                st.sampled_from([b"\t", b":", b"-", b"[", b"}", b'"', b"&a", b"*a", b"\n", b"%"]),
                st.binary(max_size=6),
            ),
        ),
        min_size=1,
        max_size=4,
    )
)
def test_bytes_damaged_anywhere_are_valid_or_named(cuts: list[tuple[int, int, bytes]]) -> None:
    text = VALID.encode()
    for start, length, new in cuts:
        text = text[:start] + new + text[start + length :]
    check(outcome(text))


@settings(derandomize=True, deadline=None, max_examples=200)
@given(
    st.dictionaries(
        st.one_of(
            st.sampled_from(variables()),
            st.sampled_from(
                ["BACKSLIDE_ALERTS__WEBHOOKS__1__TOKEN", "BACKSLIDE_ALERTS__WEBHOOKS__0__QQ",
                 "BACKSLIDE_STORE", "BACKSLIDE_EXCLUDE__0", "BACKSLIDE___", "BACKSLIDE_0"]
            ),
            st.from_regex(r"BACKSLIDE_[A-Z0-9_]{0,20}", fullmatch=True),
        ),
        st.one_of(
            st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12),
            st.sampled_from(["[a]", "[", "{a: b}", "1", "true", "10s", "null", "[[[["]),
        ),
        max_size=5,
    )
)  # fmt: skip
def test_variables_of_any_name_and_value_are_valid_or_named(environ: dict[str, str]) -> None:
    environ.pop("BACKSLIDE_CONFIG", None)
    check(outcome(VALID.encode(), environ))
