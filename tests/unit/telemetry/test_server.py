"""The telemetry address answers truthfully, and never holds the process up."""

from __future__ import annotations

import http.client
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from monitor.telemetry import (
    Health,
    MetricsSnapshot,
    TelemetryError,
    TelemetryServer,
    progressing,
)


@contextmanager
def serving(
    snapshot: Callable[[], MetricsSnapshot] = MetricsSnapshot,
    health: Callable[[], Health] = lambda: Health(True),
    ready: Callable[[], Health] = lambda: Health(True),
) -> Iterator[TelemetryServer]:
    with TelemetryServer("127.0.0.1:0", snapshot, health, ready) as server:
        yield server


def get(server: TelemetryServer, path: str, accept: str = "*/*") -> tuple[int, str, str]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    try:
        connection.request("GET", path, headers={"Accept": accept})
        response = connection.getresponse()
        content_type = response.headers["Content-Type"]
        return response.status, content_type, response.read().decode()
    finally:
        connection.close()


def test_metrics_show_what_is_committed_at_the_time_of_the_scrape() -> None:
    totals = {("consumed", ""): 1}
    with serving(snapshot=lambda: MetricsSnapshot(totals=dict(totals))) as server:
        assert "\nbackslide_records_consumed_total 1.0\n" in get(server, "/metrics")[2]
        totals["consumed", ""] = 5
        status, content_type, text = get(server, "/metrics?name=x")
    assert status == 200
    assert content_type.startswith("text/plain")
    assert "\nbackslide_records_consumed_total 5.0\n" in text
    assert "\nprocess_resident_memory_bytes " in text


def test_openmetrics_is_spoken_to_those_who_ask_for_it() -> None:
    accept = "application/openmetrics-text; version=1.0.0; charset=utf-8"
    with serving() as server:
        status, content_type, text = get(server, "/metrics", accept)
    assert status == 200
    assert content_type.startswith("application/openmetrics-text")
    assert text.endswith("# EOF\n")


def test_a_stuck_loop_is_not_healthy() -> None:
    now, beat = 1000.0, 0.0
    health = progressing(lambda: beat, limit=30, clock=lambda: now)
    with serving(health=health) as server:
        assert get(server, "/-/healthy")[0] == 200, "still starting"
        beat = 995.0
        assert get(server, "/-/healthy")[0] == 200
        now = 1026.0
        status, _, text = get(server, "/-/healthy")
    assert status == 503
    assert "no turn for 31 s" in text


def test_readiness_names_what_is_missing() -> None:
    answer = Health(False, "the store does not answer")
    with serving(ready=lambda: answer) as server:
        assert get(server, "/-/ready")[::2] == (503, "the store does not answer\n")
        answer = Health(True)
        assert get(server, "/-/ready")[::2] == (200, "ok\n")


def test_an_unknown_page_says_which_there_are() -> None:
    with serving() as server:
        status, _, text = get(server, "/")
    assert status == 404
    assert "/metrics" in text


def test_a_failing_snapshot_is_seen_in_the_scrape_and_leaks_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def fail() -> MetricsSnapshot:
        raise ValueError("planted-marker")

    with serving(snapshot=fail) as server:
        status, _, text = get(server, "/metrics")
        assert get(server, "/-/healthy")[0] == 200
    assert (status, text) == (500, "ValueError; see the log\n")
    assert any(r.levelno == logging.ERROR for r in caplog.records)


def test_a_client_that_says_nothing_stops_nobody_else() -> None:
    with serving() as server, socket.create_connection(("127.0.0.1", server.port)):
        assert get(server, "/-/healthy")[0] == 200
        began = time.monotonic()
    assert time.monotonic() - began < 5, "closing waited for the silent client"


def test_an_address_in_use_is_one_clear_error() -> None:
    with serving() as server:
        listen = f"127.0.0.1:{server.port}"
        with pytest.raises(
            TelemetryError, match=rf"--listen {listen}: .*in use.*port that is free"
        ):
            TelemetryServer(listen, MetricsSnapshot, lambda: Health(True), lambda: Health(True))


@pytest.mark.parametrize("listen", ["9090", "host", "127.0.0.1:99999", "127.0.0.1:1/x", ":port"])
def test_a_wrong_address_is_one_clear_error(listen: str) -> None:
    with pytest.raises(TelemetryError, match="host:port"):
        TelemetryServer(listen, MetricsSnapshot, lambda: Health(True), lambda: Health(True))


def test_a_closed_server_frees_its_port() -> None:
    with serving() as server:
        port = server.port
    server.close()
    with TelemetryServer(
        f":{port}", MetricsSnapshot, lambda: Health(True), lambda: Health(True)
    ) as again:
        assert get(again, "/-/ready")[0] == 200


def test_ipv6_is_listened_on() -> None:
    with (
        TelemetryServer(
            "[::1]:0", MetricsSnapshot, lambda: Health(True), lambda: Health(True)
        ) as server,
        socket.create_connection(("::1", server.port), timeout=5) as client,
    ):
        client.sendall(b"GET /-/ready HTTP/1.0\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.0 200")
