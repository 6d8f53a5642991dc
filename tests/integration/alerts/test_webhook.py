"""A webhook that misbehaves, and one that checks what it gets."""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from monitor.alerts.channels import (
    ChannelError,
    Permanent,
    Retryable,
    WebhookChannel,
    WebhookSettings,
)
from monitor.alerts.channels.http import retry_after
from tests.integration.alerts.messages import lines
from tests.services.scripted_http import Answer, ScriptedServer

LINE = lines("open")[0]


@pytest.fixture
def webhook(receiver: ScriptedServer) -> Iterator[Callable[..., WebhookChannel]]:
    made = []

    def make(**settings: Any) -> WebhookChannel:
        made.append(WebhookChannel(WebhookSettings(**{"url": f"{receiver.url}/hook", **settings})))
        return made[-1]

    yield make
    for channel in made:
        channel.close()


def test_the_receiver_can_tell_that_the_alert_is_ours(
    webhook: Callable[..., WebhookChannel], receiver: ScriptedServer
) -> None:
    webhook(token="t0ken", secret="s3cret").send(LINE)
    (request,) = receiver.taken
    expected = hmac.new(b"s3cret", request.body, hashlib.sha256).hexdigest()
    assert request.body == LINE
    assert request.path == "/hook"
    assert request.headers["X-Backslide-Signature"] == f"sha256={expected}"
    assert request.headers["Authorization"] == "Bearer t0ken"
    assert request.headers["Content-Type"] == "application/json"


def test_secrets_come_from_files_without_their_line_end(
    webhook: Callable[..., WebhookChannel], receiver: ScriptedServer, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text("t0ken\n")
    (tmp_path / "secret").write_text("s3cret\n")
    webhook(token_file=tmp_path / "token", secret_file=tmp_path / "secret").send(LINE)
    (request,) = receiver.taken
    assert request.headers["Authorization"] == "Bearer t0ken"
    assert request.headers["X-Backslide-Signature"].startswith("sha256=")


def test_without_secrets_no_such_headers_are_sent(
    webhook: Callable[..., WebhookChannel], receiver: ScriptedServer
) -> None:
    webhook().send(LINE)
    assert not {"Authorization", "X-Backslide-Signature"} & set(receiver.taken[0].headers)


def test_a_repeated_delivery_carries_the_same_idempotency_key(
    webhook: Callable[..., WebhookChannel], receiver: ScriptedServer
) -> None:
    channel = webhook()
    for line in (LINE, LINE, lines("open", "update")[1]):
        channel.send(line)
    first, again, update = (r.headers["Idempotency-Key"] for r in receiver.taken)
    assert first == again != update


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_success_is_success(
    webhook: Callable[..., WebhookChannel], receiver: ScriptedServer, status: int
) -> None:
    receiver.answers.append(Answer(status))
    webhook().send(LINE)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_passing_refusal_is_tried_again(
    webhook: Callable[..., WebhookChannel], receiver: ScriptedServer, status: int
) -> None:
    receiver.answers.append(Answer(status, headers={"Retry-After": "42"}))
    with pytest.raises(Retryable, match=f"webhook: HTTP {status}") as caught:
        webhook().send(LINE)
    assert caught.value.after == 42.0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 422])
def test_a_final_refusal_is_not_tried_again(
    webhook: Callable[..., WebhookChannel], receiver: ScriptedServer, status: int
) -> None:
    receiver.answers.append(Answer(status, b"MARKER-PROMPT"))
    with pytest.raises(Permanent, match=f"webhook: HTTP {status}"):
        webhook().send(LINE)


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_does_not_carry_the_alert_and_its_token_elsewhere(
    webhook: Callable[..., WebhookChannel], receiver: ScriptedServer, status: int
) -> None:
    receiver.answers.append(Answer(status, headers={"Location": f"{receiver.url}/elsewhere"}))
    with pytest.raises(Permanent):
        webhook(token="t0ken").send(LINE)
    assert len(receiver.requests) == 1


def test_a_receiver_that_never_answers_costs_one_time_out(
    webhook: Callable[..., WebhookChannel], receiver: ScriptedServer
) -> None:
    receiver.answers.append("hang")
    before = time.monotonic()
    with pytest.raises(Retryable, match="webhook: ReadTimeout"):
        webhook(timeout=0.2).send(LINE)
    assert time.monotonic() - before < 5


def test_a_receiver_that_is_not_there_is_tried_again(
    webhook: Callable[..., WebhookChannel], receiver: ScriptedServer
) -> None:
    channel = webhook()
    receiver.stop()
    with pytest.raises(Retryable, match="webhook: ConnectError"):
        channel.send(LINE)


def test_an_untrusted_certificate_does_not_get_the_alert(certificate: tuple[Path, Path]) -> None:
    server = ScriptedServer(certificate)
    stranger = WebhookChannel(WebhookSettings(url=server.url))
    friend = WebhookChannel(WebhookSettings(url=server.url, ca_file=certificate[0]))
    try:
        with pytest.raises(Retryable, match="webhook: ConnectError"):
            stranger.send(LINE)
        assert server.requests == []
        friend.send(LINE)
        assert len(server.taken) == 1
    finally:
        stranger.close()
        friend.close()
        server.stop()


def test_the_address_with_its_secret_is_not_logged(
    webhook: Callable[..., WebhookChannel],
    receiver: ScriptedServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    channel = webhook(url=f"{receiver.url}/services/MARKER")
    with caplog.at_level(logging.INFO):
        channel.send(LINE)
    assert "MARKER" not in caplog.text


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"url": "ftp://host/x"}, "url: not a web address"),
        ({"url": "host/x"}, "url: not a web address"),
        ({"url": "http://host:port"}, "url: not an address"),
        ({"token": "zwölf"}, "token: holds characters"),
        ({"token_file": Path("does/not/exist")}, "token_file: cannot read"),
        ({"secret_file": Path("does/not/exist")}, "secret_file: cannot read"),
        ({"ca_file": Path("does/not/exist")}, "ca_file: cannot use"),
    ],
)
def test_a_wrong_setting_is_named_with_its_fix(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ChannelError, match=said) as caught:
        WebhookChannel(WebhookSettings(**{"url": "http://host", **settings}))
    assert ";" in str(caught.value)


def test_an_empty_secret_file_is_not_an_empty_secret(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("\n")
    with pytest.raises(ChannelError, match="is empty"):
        WebhookChannel(WebhookSettings(url="http://host", token_file=tmp_path / "token"))


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "7"}, 7.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "²"}, None),
        (
            {
                "Retry-After": "Tue, 03 Mar 2026 14:06:00 GMT",
                "Date": "Tue, 03 Mar 2026 14:05:00 GMT",
            },
            60.0,
        ),
        ({"Retry-After": "Tue, 03 Mar 2020 14:06:00 GMT"}, 0.0),
    ],
)
def test_both_forms_of_retry_after_are_understood(
    headers: dict[str, str], seconds: float | None
) -> None:
    encoded = httpx2.Headers([(k.encode(), v.encode()) for k, v in headers.items()])
    assert retry_after(encoded) == seconds
