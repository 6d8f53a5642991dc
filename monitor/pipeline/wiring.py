"""From the configuration to the settings that each part has of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pydantic import SecretStr

from classifiers import Classifier
from monitor.alerts.channels import (
    ChannelSettings,
    LogSettings,
    PagerDutySettings,
    WebhookSettings,
)
from monitor.config import Alerts, Config
from monitor.detection import Budget
from monitor.pipeline.classify import ClassifyStep
from monitor.pipeline.judges import Judges
from monitor.records import Interaction
from monitor.records.formats import Format, Limits
from monitor.sources import KafkaSettings


def budget(config: Config) -> Budget:
    """The false-alarm budget."""
    return Budget.parse(
        config.detection.false_pages,
        expected_deployments=config.detection.expected_deployments,
        probes=config.probes.enabled,
    )


def kafka_settings(config: Config) -> KafkaSettings:
    """How to reach the brokers."""
    kafka = config.source.kafka
    return KafkaSettings(
        security_protocol=kafka.security_protocol,
        sasl_mechanism=kafka.sasl_mechanism or "",
        sasl_plain_username=kafka.sasl_username or "",
        sasl_plain_password=_plain(kafka.sasl_password),
        sasl_plain_password_file=kafka.sasl_password_file or "",
        ssl_cafile=kafka.ssl_cafile or "",
        ssl_certfile=kafka.ssl_certfile or "",
        ssl_keyfile=kafka.ssl_keyfile or "",
        group_id=kafka.group_id or "",
    )


def channel_settings(config: Config) -> list[ChannelSettings]:
    """Every channel, the log first; the log alone where Prometheus delivers."""
    alerts: Alerts = config.alerts
    settings: list[ChannelSettings] = []
    if alerts.log.enabled:
        settings.append(LogSettings(format=config.log.format, min_severity=alerts.log.min_severity))
    if alerts.delivery == "prometheus":
        return settings
    settings += [
        WebhookSettings(
            url=webhook.url,
            name=webhook.name,
            token=_plain(webhook.token),
            token_file=_path(webhook.token_file),
            secret=_plain(webhook.secret),
            secret_file=_path(webhook.secret_file),
            ca_file=_path(webhook.ca_file),
            min_severity=webhook.min_severity,
        )
        for webhook in alerts.webhooks
    ]
    if alerts.pagerduty is not None:
        settings.append(
            PagerDutySettings(
                routing_key=_plain(alerts.pagerduty.routing_key),
                routing_key_file=_path(alerts.pagerduty.routing_key_file),
                region=alerts.pagerduty.region,
                url=alerts.pagerduty.url or "",
                ca_file=_path(alerts.pagerduty.ca_file),
                min_severity=alerts.pagerduty.min_severity,
            )
        )
    return settings


def classify_step(config: Config, classifier: Classifier, key: bytes, source: str) -> ClassifyStep:
    """The classify step for records of `source`; `key` makes the keyed hashes."""
    return ClassifyStep(
        classifier=classifier,
        source=source,
        key=key,
        format=Format(config.source.format),
        deployment=config.deployment,
        excluded=_excluded(config),
        identity=config.artifacts.identity,
        limits=Limits(record_bytes=config.pipeline.max_record_bytes),
        include_text=config.privacy.include_text,
        shadow=classifier.shadow if isinstance(classifier, Judges) else lambda *_: None,
    )


def _excluded(config: Config) -> Callable[[Interaction], bool]:
    rules = config.exclude
    if not rules:
        return lambda _: False
    return lambda record: any(rule.matches(record) for rule in rules)


def _plain(secret: SecretStr | None) -> str:
    return "" if secret is None else secret.get_secret_value()


def _path(name: str | None) -> Path | None:
    return None if name is None else Path(name)
