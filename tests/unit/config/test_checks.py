"""Settings that are each right but wrong together, and the files they name."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.config.files import LINE, config, problems, write

HOOK = "{name: a, url: 'http://h'}"


def kafka(text: str) -> str:
    return "source: {kafka: {" + text + "}}\n"


def alerts(text: str) -> str:
    return "alerts: {" + text + "}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (kafka("security_protocol: SASL_SSL"), "security_protocol: SASL_SSL needs a mech"),
        (
            kafka("security_protocol: SASL_SSL, sasl_mechanism: PLAIN"),
            "sasl_mechanism: PLAIN needs a user name and a password; ",
        ),
        (
            kafka("security_protocol: SASL_SSL, sasl_mechanism: PLAIN, sasl_username: u"),
            "sasl_mechanism: PLAIN needs a user name and a password; ",
        ),
        (kafka("sasl_username: u"), "sasl_username: has no effect under PLAINTEXT; "),
        (kafka("ssl_cafile: FILE"), "ssl_cafile: has no effect under PLAINTEXT; "),
        (
            kafka("security_protocol: SSL, ssl_certfile: FILE"),
            "ssl_certfile: needs ssl_keyfile beside it; set ssl_keyfile too",
        ),
        (
            kafka("security_protocol: SSL, ssl_keyfile: FILE"),
            "ssl_keyfile: needs ssl_certfile beside it; set ssl_certfile too",
        ),
        (
            kafka(
                "security_protocol: SASL_SSL, sasl_mechanism: PLAIN, sasl_username: u,"
                " sasl_password: p, sasl_password_file: FILE"
            ),
            "sasl_password: is given together with sasl_password_file; ",
        ),
        ("privacy: {key: a, key_file: FILE}\n", "privacy.key: is given together with key_file"),
        ("privacy: {key_file: /no/such}\n", "privacy.key_file: there is no file '/no/such'; "),
        ("privacy: {key_file: FOLDER}\n", "is a directory; "),
        ("privacy: {key_file: EMPTY}\n", "is empty; write the secret into it"),
        ("privacy: {key_file: BINARY}\n", "is not text; "),
        ("exclude: [{}]\n", "exclude[0]: matches nothing; "),
        (alerts("pagerduty: {}"), "alerts.pagerduty: has no routing key; "),
        (
            alerts("pagerduty: {routing_key: a, routing_key_file: FILE}"),
            "routing_key: is given together with routing_key_file; ",
        ),
        (
            alerts("pagerduty: {routing_key: a, url: 'http://h'}"),
            "url: would send the routing key in the clear; use https://",
        ),
        (
            alerts("delivery: prometheus, pagerduty: {routing_key: a}"),
            "alerts.pagerduty: would alert a second time beside prometheus; ",
        ),
        (
            alerts(f"delivery: prometheus, webhooks: [{HOOK}]"),
            "alerts.webhooks: would alert a second time beside prometheus; ",
        ),
        (
            alerts(f"webhooks: [{HOOK}, {HOOK}]"),
            "alerts.webhooks[1].name: 'a' is taken; ",
        ),
        (
            alerts("webhooks: [{name: log, url: 'http://h'}]"),
            "alerts.webhooks[0].name: 'log' is taken; ",
        ),
        (
            alerts(f"webhooks: [{HOOK[:-1]}, token: a, token_file: FILE}}]"),
            "token: is given together with token_file; ",
        ),
        (alerts("log: {severities: []}"), "alerts.log.severities: leaves out more sev"),
    ],
)
def test_a_contradiction_is_refused_with_its_fix(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "file").write_text("secret\n")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    for name in ("file", "empty", "binary"):
        text = text.replace(name.upper(), str(tmp_path / name))
    found = problems(write(tmp_path, text.replace("FOLDER", str(tmp_path))))
    assert any(expected in line for line in found), found
    assert all(LINE.fullmatch(line) for line in found)


@pytest.mark.parametrize(
    "text",
    [
        kafka(
            "security_protocol: SASL_SSL, sasl_mechanism: SCRAM-SHA-512, sasl_username: u,"
            " sasl_password_file: FILE, ssl_cafile: FILE"
        ),
        kafka("security_protocol: SSL, ssl_certfile: FILE, ssl_keyfile: FILE"),
        alerts("pagerduty: {routing_key_file: FILE, region: eu}"),
        alerts("delivery: prometheus"),
        alerts(f"webhooks: [{HOOK[:-1]}, severities: [info, page, ticket]}}]"),
    ],
)
def test_what_belongs_together_is_accepted(tmp_path: Path, text: str) -> None:
    (tmp_path / "file").write_text("secret\n")
    config(tmp_path, text.replace("FILE", str(tmp_path / "file")))


def test_a_wrong_value_does_not_draw_conclusions_from_its_absence(tmp_path: Path) -> None:
    text = """\
source:
  kafka: {security_protocol: SASL_SSL, sasl_mechanism: PLAIN, sasl_username: u, sasl_password: 5}
alerts:
  pagerduty: {routing_key: 5}
"""
    assert problems(write(tmp_path, text)) == [
        "backslide.yaml:2: source.kafka.sasl_password: must be text; put it in quotes",
        "backslide.yaml:4: alerts.pagerduty.routing_key: must be text; put it in quotes",
    ]


def test_the_key_of_hashes_comes_from_its_file_without_the_line_break(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hush\n")
    assert (
        config(tmp_path, f"privacy: {{key_file: {tmp_path / 'key'}}}").privacy.secret() == b"hush"
    )
    assert config(tmp_path, "privacy: {key: hush}").privacy.secret() == b"hush"
    assert config(tmp_path, "").privacy.secret() is None


@pytest.mark.parametrize(
    ("severities", "least"),
    [("[page]", "page"), ("[ticket, page]", "ticket"), ("[page, info, ticket]", "info")],
)
def test_a_channel_gets_what_its_severities_say(
    tmp_path: Path, severities: str, least: str
) -> None:
    loaded = config(tmp_path, f"alerts: {{log: {{severities: {severities}}}}}")
    assert loaded.alerts.log.min_severity == least
