"""Precedence, and every problem at once with its place."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from monitor.config import Config, Flag, load
from tests.unit.config.files import LINE, config, problems, write


def test_without_any_setting_the_defaults_hold() -> None:
    assert load() == Config()


@pytest.mark.parametrize("text", ["", "\n", "# only a comment\n", "---\n", "store:\n", "\ufeff"])
def test_an_empty_file_or_section_is_fine(tmp_path: Path, text: str) -> None:
    assert config(tmp_path, text) == Config()


def test_a_flag_wins_over_the_environment_over_the_file_over_the_default(tmp_path: Path) -> None:
    path = write(tmp_path, "deployment: from-file\nlog: {level: debug}\nsource: {url: a}\n")
    environ = {"BACKSLIDE_DEPLOYMENT": "from-env", "BACKSLIDE_LOG__LEVEL": "error"}
    flags = [
        Flag("--deployment", ("deployment",), "from-flag"),
        Flag("--format", ("source", "format"), None),
    ]
    loaded = load(path, environ=environ, flags=flags)
    assert loaded.deployment == "from-flag"
    assert loaded.log.level == "error"
    assert loaded.source.url == "a"
    assert loaded.source.format == "auto"


def test_a_variable_names_the_file_when_no_flag_does(tmp_path: Path) -> None:
    path = write(tmp_path, "deployment: x\n")
    other = write(tmp_path, "deployment: y\n", "other.yaml")
    assert load(environ={"BACKSLIDE_CONFIG": path}).deployment == "x"
    assert load(other, environ={"BACKSLIDE_CONFIG": path}).deployment == "y"


def test_every_problem_is_reported_at_once_in_order_with_line_and_fix(tmp_path: Path) -> None:
    text = """\
deployment: 5
stor: {url: x}
source:
  url: gopher://x
  folow: true
store:
  retention: {ledger: 90, alerts: 1s}
pipeline:
  batch_size: true
window: 24h
exclude:
  - model: {regex: "("}
  - {}
alerts:
  webhooks:
    - {name: a, url: "https://example.org/x", token: t, token_file: /does/not/exist}
    - {nme: b, url: "https://example.org/y"}
"""
    environ = {"BACKSLIDE_STORE_URL": "x", "BACKSLIDE_SOURCE__FOLLOW": "maybe"}
    found = problems(write(tmp_path, text), environ, log__level="loud")
    assert [line.rpartition(": ")[0].partition(": ")[0:3:2] for line in found]
    starts = [
        "backslide.yaml:1: deployment: must be text; put it in quotes",
        "backslide.yaml:2: stor: is not a setting; did you mean 'store'?",
        "backslide.yaml:4: source.url: 'gopher' is not a kind of source; ",
        "backslide.yaml:5: source.folow: is not a setting; did you mean 'follow'?",
        "backslide.yaml:7: store.retention.ledger: 90 is a duration without a unit; ",
        "backslide.yaml:7: store.retention.alerts: is too small; give at least 1h",
        "backslide.yaml:9: pipeline.batch_size: must be a whole number; ",
        "backslide.yaml:10: window: is not a setting; did you mean baseline.window?",
        "backslide.yaml:12: exclude[0].model: '(' is not a regular expression ",
        "backslide.yaml:13: exclude[1]: matches nothing; ",
        "backslide.yaml:16: alerts.webhooks[0].token: is given together with token_file; ",
        "backslide.yaml:16: alerts.webhooks[0].token_file: there is no file ",
        "backslide.yaml:17: alerts.webhooks[1].name: is missing; add it",
        "backslide.yaml:17: alerts.webhooks[1].nme: is not a setting; did you mean 'name'?",
        "env BACKSLIDE_STORE_URL: store_url: is not a setting; did you mean",
        "env BACKSLIDE_SOURCE__FOLLOW: source.follow: must be true or false; ",
        "--log__level: log.level: 'loud' is not one of the choices; choose 'debug', ",
    ]
    assert len(found) == len(starts)
    for line, start in zip(found, starts, strict=True):
        assert line.startswith(start)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a:\n\tb: 1\n", "backslide.yaml:2: document: a tab stands where YAML wants spaces; "),
        ("- a\n", "backslide.yaml:1: document: is not a mapping; "),
        ("just text", "backslide.yaml:1: document: is not a mapping; "),
        ("a: [1\nb: 2\n", "backslide.yaml:2: document: is not valid YAML "),
        ("log: {}\n---\nlog: {}\n", "backslide.yaml:2: document: holds a second document; "),
        ("log:\n  level: info\n  level: debug\n", "backslide.yaml:3: log.level: is set twice, "),
        ("log: !!python/object:os.system x\n", "backslide.yaml:1: log: has the tag "),
        ("log: &a {format: *a}\n", "backslide.yaml:1: log.format"),
        ("[a, b]: c\n", "backslide.yaml:1: document: has a key that is not text; "),
        ("log: \x00\n", "backslide.yaml:1: document: holds a character that YAML forbids; "),
        ('log: "\\ud800"', "backslide.yaml:1: log: must be a mapping; "),
        ("a: 0b\nstore: {url: 0b_}\n", "backslide.yaml:1: a: is not a setting; "),
    ],
)
def test_what_is_not_a_yaml_mapping_is_named_by_line(tmp_path: Path, text: str, line: str) -> None:
    found = problems(write(tmp_path, text))
    assert found[0].startswith(line)
    assert all(LINE.fullmatch(one) for one in found)


def test_a_file_that_expands_without_end_is_refused_quickly(tmp_path: Path) -> None:
    layers = "".join(f"l{i}: &l{i} [{', '.join([f'*l{i - 1}'] * 9)}]\n" for i in range(1, 12))
    found = problems(write(tmp_path, "l0: &l0 [x]\n" + layers))
    assert any("is nested too deeply" in line for line in found)


def test_a_file_that_is_no_text_or_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "backslide.yaml"
    path.write_bytes(b"log:\n  level: \xff\n")
    assert problems(str(path)) == [
        "backslide.yaml:2: document: is not UTF-8 text; save the file as UTF-8"
    ]
    path.write_bytes(b"# " + b"x" * (1 << 20))
    assert "is larger than 1 MiB" in problems(str(path))[0]


def test_a_config_file_that_cannot_be_read_is_an_error_not_a_default(tmp_path: Path) -> None:
    missing = str(tmp_path / "nowhere.yaml")
    assert "there is no such file" in problems(missing)[0]
    assert problems(missing)[0].startswith("--config: ")
    assert problems(environ={"BACKSLIDE_CONFIG": missing})[0].startswith("env BACKSLIDE_CONFIG: ")
    assert "is a directory" in problems(str(tmp_path))[0]
    assert "not a path" in problems("a\0b")[0]


def test_a_file_that_may_not_be_read_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    path = write(tmp_path, "")
    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert "cannot be read (Permission denied)" in problems(path)[0]


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("BACKSLIDE_DEPLOYMENT", "123", ("deployment", "123")),
        ("BACKSLIDE_PIPELINE__BATCH_SIZE", "12", ("pipeline.batch_size", 12)),
        ("BACKSLIDE_SOURCE__FOLLOW", "true", ("source.follow", True)),
        ("BACKSLIDE_BASELINE__WINDOW", "null", ("baseline.window", None)),
        ("BACKSLIDE_PIPELINE__IDLE_TICK", "0", ("pipeline.idle_tick", 0.0)),
        ("BACKSLIDE_DETECTION__TAU", "0.9", ("detection.tau", 0.9)),
        ("BACKSLIDE_ARTIFACTS__APPROVED", "[a, b]", ("artifacts.approved", ("a", "b"))),
        ("BACKSLIDE_DEPLOYMENT", "", ("deployment", "default")),
    ],
)
def test_every_kind_of_setting_can_come_from_a_variable(
    name: str, text: str, value: tuple[str, object]
) -> None:
    found: object = load(environ={name: text})
    for part in value[0].split("."):
        found = getattr(found, part)
    assert found == value[1]


def test_a_secret_of_a_webhook_in_the_file_can_come_from_a_variable(tmp_path: Path) -> None:
    text = "alerts: {webhooks: [{name: a, url: 'http://h'}]}\n"
    loaded = config(tmp_path, text, {"BACKSLIDE_ALERTS__WEBHOOKS__0__TOKEN": "{hush"})
    token = loaded.alerts.webhooks[0].token
    assert token is not None
    assert token.get_secret_value() == "{hush"


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        ("BACKSLIDE_STORE_URL", "x", "is not a setting; did you mean BACKSLIDE_STORE__URL?"),
        ("BACKSLIDE_QQQ", "x", "is not a setting; see docs/configuration.md"),
        ("BACKSLIDE_", "x", "is not a setting; see docs/configuration.md"),
        ("BACKSLIDE_store__url", "x", "is not a setting; did you mean BACKSLIDE_STORE__URL?"),
        (
            "BACKSLIDE_STORE",
            "x",
            "is a section; set one of its settings, such as BACK",
        ),
        ("BACKSLIDE_ARTIFACTS__APPROVED", "a", "must be a list; "),
        ("BACKSLIDE_ARTIFACTS__APPROVED", "[a", "is not valid YAML "),
        ("BACKSLIDE_ALERTS__WEBHOOKS__0__TOKEN", "x", "has nothing to be set in; define the item"),
        ("BACKSLIDE_STORE__URL__X", "x", "is not a setting; did you mean BACKSLIDE_STORE__URL?"),
    ],
)
def test_a_variable_that_sets_nothing_is_an_error_not_ignored(
    name: str, value: str, line: str
) -> None:
    (found,) = problems(environ={name: value})
    assert found.startswith(f"env {name}: ")
    assert line in found
    assert LINE.fullmatch(found)


def test_variables_that_kubernetes_makes_for_a_service_do_not_stop_the_start() -> None:
    names = (
        "BACKSLIDE_SERVICE_HOST", "BACKSLIDE_SERVICE_PORT", "BACKSLIDE_SERVICE_PORT_HTTP",
        "BACKSLIDE_PORT", "BACKSLIDE_PORT_9464_TCP", "BACKSLIDE_PORT_9464_TCP_ADDR",
        "BACKSLIDE_METRICS_SERVICE_HOST", "BACKSLIDE_METRICS_PORT_9464_TCP_PROTO",
    )  # fmt: skip
    assert load(environ=dict.fromkeys(names, "tcp://10.0.0.1:9464")) == Config()


def test_a_section_that_is_no_mapping_stays_an_error_when_a_variable_sets_inside_it(
    tmp_path: Path,
) -> None:
    path = write(tmp_path, "store: 5\n")
    (found,) = problems(path, {"BACKSLIDE_STORE__URL": "x.db"})
    assert found.startswith("backslide.yaml:1: store: must be a mapping; ")


def test_what_is_wrong_in_one_item_keeps_the_place_of_problems_in_the_next(tmp_path: Path) -> None:
    text = """\
alerts:
  webhooks:
    - {name: 1, url: "http://h"}
    - {name: b, url: "http://h", severities: [ticket]}
    - {name: c, url: "ftp://h"}
    - {name: b, url: "http://h"}
"""
    assert problems(write(tmp_path, text)) == [
        "backslide.yaml:3: alerts.webhooks[0].name: must be text; put it in quotes",
        "backslide.yaml:4: alerts.webhooks[1].severities: leaves out more severe alerts; "
        "write [page], [page, ticket] or [page, ticket, info]",
        "backslide.yaml:5: alerts.webhooks[2].url: this is not a web address; "
        "write http://... or https://...",
        "backslide.yaml:6: alerts.webhooks[3].name: 'b' is taken; choose another name",
    ]
