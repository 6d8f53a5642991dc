"""The whole configuration as types: every setting with its default and its meaning."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr, StringConstraints

from monitor.config.exclude import ExcludeRule
from monitor.config.section import Section, secret_of
from monitor.config.values import (
    BYTES,
    SECONDS,
    Count,
    Duration,
    FalsePages,
    LearningWindow,
    Link,
    Listen,
    ProbeRate,
    SecretUrl,
    Size,
    SourceUrl,
    StoreUrl,
    WebUrl,
    at_least,
    at_most,
)

Severity = Literal["page", "ticket", "info"]
Identity = Literal["model", "revision", "adapters", "system_prompt", "chat_template"]
Name = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f]+$")]
Share = Annotated[float, Field(ge=0, le=1)]
Hazard = Annotated[str, StringConstraints(pattern=r"^S([1-9]|1[0-4])$")]
Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-fA-F]{64}$")]
Kept = Annotated[Duration, AfterValidator(at_least(SECONDS["h"], "1h"))]


class Kafka(Section):
    """How to reach and authenticate to a Kafka cluster."""

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """Encryption and authentication of the connection."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] | None = None
    """How the password is proven."""
    sasl_username: Name | None = None
    """User name."""
    sasl_password: SecretStr | None = None
    """Password; better kept in a file."""
    sasl_password_file: Name | None = None
    """File that holds the password."""
    ssl_cafile: Name | None = None
    """Certificates of the authorities to trust (PEM); the system's own when not set."""
    ssl_certfile: Name | None = None
    """The client's certificate (PEM), where the cluster asks for one."""
    ssl_keyfile: Name | None = None
    """Key of that certificate (PEM)."""
    group_id: Name | None = None
    """Group under which progress is shown to lag tools; backslide-TOPIC if not set."""


class Receive(Section):
    """How records are received over HTTP."""

    token: SecretStr | None = None
    """Bearer token that senders must show; better kept in a file."""
    token_file: Name | None = None
    """File that holds the token."""
    anonymous: bool = False
    """Take records from other machines without a token; something else keeps strangers out."""
    journal: Name | None = None
    """Folder of what was accepted and is not in the store yet; beside the store if not set."""
    max_body: Annotated[
        Size,
        AfterValidator(at_least(BYTES["KiB"], "1KiB")),
        AfterValidator(at_most(BYTES["GiB"], "1GiB")),
    ] = 16 * BYTES["MiB"]
    """Larger requests get 413."""
    max_pending: Annotated[Size, AfterValidator(at_least(BYTES["MiB"], "1MiB"))] = (
        256 * BYTES["MiB"]
    )
    """Requests get 429 while so much was accepted and not read yet."""


class Source(Section):
    """Where interactions are read."""

    url: SourceUrl = ""
    """A JSON Lines file, - for standard input, kafka://host:port/topic, or http://host:port."""
    format: Literal["auto", "native", "openai", "otel", "litellm"] = "auto"
    """Shape of the records; auto looks at each one."""
    follow: bool = False
    """Wait for more at the end, as tail -F does."""
    kafka: Kafka = Kafka()
    """Connection to Kafka."""
    http: Receive = Receive()
    """Receiving over HTTP."""


class StoreRetention(Section):
    """How long rows are kept."""

    ledger: Kept = 90 * SECONDS["d"]
    """Counts per minute, in event time."""
    seen: Kept = 3 * SECONDS["d"]
    """Keys for deduplication, in event time; a key counts once a UTC day."""
    alerts: Kept = 365 * SECONDS["d"]
    """Resolved alerts, in event time."""
    outbox: Kept = 30 * SECONDS["d"]
    """Deliveries that were made or given up."""


class Store(Section):
    """Where state is kept."""

    url: StoreUrl = Field(default="sqlite:///backslide.db", repr=False)
    """sqlite:///path or postgresql://user@host/database."""
    retention: StoreRetention = StoreRetention()
    """How long rows are kept."""


class Privacy(Section):
    """What may leave the process."""

    key: SecretStr | None = None
    """Key of the hashes that deduplication uses; made once and kept in the store if not set."""
    key_file: Name | None = None
    """File that holds that key."""
    include_text: bool = False
    """Put the text of records that cannot be read into dead letters."""

    def secret(self) -> bytes | None:
        """The key, wherever it is kept, or None."""
        text = secret_of(self.key, self.key_file)
        return None if text is None else text.encode()


class EncoderLabels(Section):
    """What the labels of the encoder mean; a label that is not named means none of it."""

    refused: tuple[Name, ...] = ()
    """Labels of a refusal; their probabilities add up."""
    response_harm: tuple[Name, ...] = ()
    """Labels of a harmful response; their probabilities add up."""
    hazards: dict[Name, Hazard] = Field(default_factory=dict)
    """Labels of harmful prompts, each with its hazard."""


class Encoder(Section):
    """A Hugging Face sequence classifier; what it does not judge, linear does."""

    path: Name
    """Directory of the model; nothing is ever fetched."""
    backend: Literal["onnx", "transformers"] = "onnx"
    """Library that runs it: ONNX Runtime, or transformers with torch."""
    weights: Name | None = None
    """File of the weights in that directory; model.onnx or model.safetensors if not set."""
    revision: Name | None = None
    """Revision that was downloaded; held against the path of a Hugging Face snapshot."""
    sha256: dict[Name, Digest] = Field(default_factory=dict)
    """Files that are loaded, each with the digest that it must have."""
    reads: Literal["response", "prompt", "pair"] = "response"
    """Text that the model reads; pair is the prompt, then the response."""
    labels: EncoderLabels = EncoderLabels()
    """What its labels mean."""
    max_length: Annotated[Count, Field(ge=8, le=65_536)] | None = None
    """Tokens read from the start of a text; what the model takes, at most 512, if not set."""
    temperature: Annotated[float, Field(ge=0.05, le=20)] = 1.0
    """Logits are divided by this; above 1 makes a model that is too sure less sure."""
    any_language: bool = False
    """The model reads every language: nothing is left unjudged as foreign_text."""
    rows: Annotated[Count, Field(ge=1, le=1024)] = 8
    """Texts in each run of the model, always as many."""
    threads: Annotated[Count, Field(ge=1, le=1024)] | None = None
    """Threads that the model uses; all cores if not set."""


class Classifier(Section):
    """What judges the interactions."""

    name: Literal["linear", "encoder", "guard"] = "linear"
    """Classifier to use; guard is not built yet."""
    version: Name | None = None
    """Version of the weights of linear; the newest that ships if not set."""
    self_check: Duration = 10 * SECONDS["m"]
    """Time between two looks whether it still judges as it did when it shipped (JudgeDrift); 0
    looks at the start alone."""
    encoder: Encoder | None = None
    """The model of the classifier encoder."""


class Baseline(Section):
    """How the behaviour that counts as healthy is learned."""

    window: LearningWindow = None
    """How long to learn; if not set, until a loss to a fifth would be found, at most 24h."""
    auto_approve: bool = True
    """Approve the first baseline of a deployment without asking."""


class Detection(Section):
    """How many false alarms are accepted."""

    false_pages: FalsePages = "1/90d"
    """Accepted false pages, over all deployments."""
    expected_deployments: Annotated[Count, Field(ge=1, le=1000)] = 1
    """Deployments that share the budget."""
    tau: Annotated[float, Field(ge=0.5, lt=1)] | None = None
    """Probability from which a response counts as refused; chosen per baseline if not set."""


class Breaker(Section):
    """When a deployment's input counts as broken (alert IngestBroken)."""

    rejected_share: Annotated[Share, Field(gt=0)] = 0.5
    """Share of rejected records from which input counts as broken."""
    over_records: Annotated[Count, Field(ge=10, le=1_000_000)] = 1000
    """Number of latest records over which the share is taken."""


class Pipeline(Section):
    """How records flow."""

    batch_size: Annotated[Count, Field(ge=1, le=100_000)] = 4096
    """Records per transaction, at most."""
    idle_tick: Annotated[Duration, AfterValidator(at_most(SECONDS["h"], "1h"))] = 10.0
    """Close an epoch after so long without records, when following a source; 0 never does."""
    max_record_bytes: Annotated[
        Size,
        AfterValidator(at_least(BYTES["KiB"], "1KiB")),
        AfterValidator(at_most(BYTES["GiB"], "1GiB")),
    ] = 4 * BYTES["MiB"]
    """Larger records are rejected."""
    breaker: Breaker = Breaker()
    """When input counts as broken."""


class Artifacts(Section):
    """What makes one artifact (the weights and settings that answer) differ from another."""

    identity: tuple[Identity, ...] = (
        "model",
        "revision",
        "adapters",
        "system_prompt",
        "chat_template",
    )
    """Fields of a record that together name its artifact."""
    approved: tuple[Name, ...] = ()
    """Artifacts that are known and open no UnapprovedArtifact."""


class Channel(Section):
    """One way an alert reaches people."""

    severities: tuple[Severity, ...] = ("page", "ticket")
    """Severities that go there; one that gets tickets gets pages as well."""

    @property
    def min_severity(self) -> Severity:
        """The least severity that goes there."""
        least: tuple[Severity, ...] = ("info", "ticket", "page")
        return next(severity for severity in least if severity in self.severities)


class LogChannel(Channel):
    """Alerts as lines of the log."""

    enabled: bool = True
    """Write alerts to the log."""
    severities: tuple[Severity, ...] = ("page", "ticket", "info")
    """Severities that go there."""


class Webhook(Channel):
    """One address that receives every alert as JSON."""

    name: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]
    """Short name, shown instead of the url."""
    url: SecretUrl = Field(repr=False)
    """Address to post to."""
    token: SecretStr | None = None
    """Sent as a bearer token."""
    token_file: Name | None = None
    """File that holds the token."""
    secret: SecretStr | None = None
    """Key with which the body is signed (HMAC-SHA256)."""
    secret_file: Name | None = None
    """File that holds that key."""
    ca_file: Name | None = None
    """Certificates to trust instead of the system's own (PEM)."""


class PagerDuty(Channel):
    """PagerDuty, by Events API v2."""

    routing_key: SecretStr | None = None
    """Integration key of the service."""
    routing_key_file: Name | None = None
    """File that holds that key."""
    region: Literal["us", "eu"] = "us"
    """Service region of the account."""
    url: WebUrl | None = None
    """Another https address than the region's, such as a proxy."""
    ca_file: Name | None = None
    """Certificates to trust instead of the system's own (PEM)."""
    severities: tuple[Severity, ...] = ("page",)
    """Severities that go there."""


class Links(Section):
    """Links that alerts carry; {alert}, {deployment}, {artifact} and {group} are filled in."""

    runbook: Link = ""
    """What to do."""
    dashboard: Link = ""
    """What to look at."""


class Alerts(Section):
    """Who hears of an alert."""

    delivery: Literal["direct", "prometheus"] = "direct"
    """Deliver from here, or leave it to rules in Prometheus and Alertmanager; never both."""
    log: LogChannel = LogChannel()
    """Alerts as lines of the log."""
    webhooks: tuple[Webhook, ...] = ()
    """Addresses that receive alerts."""
    pagerduty: PagerDuty | None = None
    """Set any of its fields to use PagerDuty."""
    links: Links = Links()
    """Links that alerts carry."""


class Telemetry(Section):
    """What others may ask this process."""

    listen: Listen = None
    """Address of /metrics, /-/healthy and /-/ready; off if not set."""


class Log(Section):
    """The process's own log, on standard error."""

    format: Literal["text", "json"] = "text"
    """Lines for people or for machines."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """Least important level that is written."""


class Probes(Section):
    """Requests of our own to the served model (docs/probes.md)."""

    enabled: bool = False
    """Test canaries that arrive; they take .2 of the budget of false pages from Unalignment."""
    target: SecretUrl | None = Field(default=None, repr=False)
    """Endpoint that run itself asks, such as http://host:8000/v1; without, others send probes."""
    model: Name | None = None
    """Served name of the model to ask for."""
    api_key: SecretStr | None = None
    """Sent to the endpoint as a bearer token; better kept in a file."""
    api_key_file: Name | None = None
    """File that holds the key."""
    ca_file: Name | None = None
    """Certificates to trust instead of the system's own (PEM)."""
    suite: Name = "default"
    """Prompts to ask: the suite that ships, or a file."""
    rate: ProbeRate = "1/m"
    """How often, spread evenly."""
    warning_rate: ProbeRate = "20/m"
    """How often while evidence builds up, or a page has not been confirmed."""
    warning_probes: Annotated[Count, Field(ge=0, le=10_000)] = 140
    """How many of those at most for one warning."""
    timeout: Annotated[Duration, AfterValidator(at_least(1.0, "1s"))] = 60.0
    """Give up an answer after so long."""
    max_tokens: Annotated[Count, Field(ge=1, le=4096)] = 256
    """Longest answer."""
    sink_token: SecretStr | None = None
    """Bearer token for an http sink of backslide probe; better kept in a file."""
    sink_token_file: Name | None = None
    """File that holds that token."""


class Config(Section):
    """All settings of Backslide."""

    deployment: Name = "default"
    """Deployment of records that do not name one."""
    source: Source = Source()
    """Where interactions are read."""
    store: Store = Store()
    """Where state is kept."""
    privacy: Privacy = Privacy()
    """What may leave the process."""
    classifier: Classifier = Classifier()
    """What judges the interactions."""
    baseline: Baseline = Baseline()
    """How healthy behaviour is learned."""
    detection: Detection = Detection()
    """How many false alarms are accepted."""
    pipeline: Pipeline = Pipeline()
    """How records flow."""
    exclude: tuple[ExcludeRule, ...] = ()
    """Records to leave out, such as red teams and load tests; any rule that matches suffices."""
    artifacts: Artifacts = Artifacts()
    """What makes one artifact differ from another."""
    alerts: Alerts = Alerts()
    """Who hears of an alert."""
    probes: Probes = Probes()
    """Requests of our own to the served model."""
    telemetry: Telemetry = Telemetry()
    """What others may ask this process."""
    log: Log = Log()
    """The process's own log."""
