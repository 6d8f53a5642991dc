"""What is configured is what each part gets."""

from __future__ import annotations

from pathlib import Path

from monitor.alerts.channels import LogSettings, PagerDutySettings, WebhookSettings
from monitor.config import Window, load
from monitor.pipeline.options import RunOptions
from monitor.pipeline.wiring import budget, channel_settings, kafka_settings
from tests.unit.config.files import config


def test_credentials_reach_the_kafka_client(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("hush\n")
    text = f"""\
source:
  kafka:
    security_protocol: SASL_PLAINTEXT
    sasl_mechanism: SCRAM-SHA-512
    sasl_username: app
    sasl_password_file: {tmp_path}/password
    group_id: lag
"""
    settings = kafka_settings(config(tmp_path, text))
    assert settings.group_id == "lag"
    assert settings.client_options() == {
        "security_protocol": "SASL_PLAINTEXT",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "app",
        "sasl_plain_password": "hush",
    }


def test_channels_get_their_addresses_secrets_and_severities(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("k\n")
    text = f"""\
alerts:
  log: {{severities: [page]}}
  webhooks: [{{name: hook, url: "http://h/x", token: t, secret: s, severities: [page, ticket]}}]
  pagerduty: {{routing_key_file: {tmp_path}/key, region: eu}}
log: {{format: json}}
"""
    log, hook, pager = channel_settings(config(tmp_path, text))
    assert log == LogSettings(format="json", min_severity="page")
    assert hook == WebhookSettings(
        url="http://h/x", name="hook", token="t", secret="s", min_severity="ticket"
    )
    assert pager == PagerDutySettings(
        routing_key_file=tmp_path / "key", region="eu", min_severity="page"
    )


def test_where_prometheus_delivers_only_the_log_is_written(tmp_path: Path) -> None:
    settings = channel_settings(config(tmp_path, "alerts: {delivery: prometheus}\n"))
    assert [type(one) for one in settings] == [LogSettings]
    silent = "alerts: {delivery: prometheus, log: {enabled: false}}\n"
    assert channel_settings(config(tmp_path, silent)) == []


def test_the_budget_is_the_one_stated() -> None:
    environ = {
        "BACKSLIDE_DETECTION__FALSE_PAGES": "2/30d",
        "BACKSLIDE_DETECTION__EXPECTED_DEPLOYMENTS": "4",
    }
    stated = budget(load(environ=environ))
    assert (stated.false_pages, stated.per_days, stated.expected_deployments) == (2, 30, 4)


def test_options_of_a_run_are_the_settings_in_force() -> None:
    environ = {"BACKSLIDE_SOURCE__URL": "a.jsonl", "BACKSLIDE_BASELINE__WINDOW": "24h"}
    options = RunOptions.of(load(environ=environ), {"alerts": "-"}, exit_code=True)
    assert (options.source, options.alerts, options.report) == ("a.jsonl", "-", None)
    assert options.baseline_window == Window(seconds=86400)
    assert options.exit_code
