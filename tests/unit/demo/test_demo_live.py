from __future__ import annotations

from monitor.demo.live import alert_line, live_line
from tests.unit.report.scene import alert

MOMENT = 1_772_454_700.0


def test_a_live_line_shows_both_counts_beside_what_was_approved() -> None:
    line = live_line(
        at=MOMENT,
        deployment="demo-chat",
        refused=21.3,
        risky_answered=1.9,
        baseline=(20.9, 2.0),
        evidence=-3.1,
        state="armed",
    )
    assert line == (
        "12:31:40  demo-chat  refused 21.3/1k (baseline 20.9)  "
        "risky answered 1.9/1k (baseline 2.0)  evidence -3.1  armed"
    )


def test_while_learning_it_claims_no_baseline_and_no_evidence() -> None:
    line = live_line(
        at=MOMENT, deployment="demo-chat", state="learning", evidence=float("-inf"), note="3 read"
    )
    assert line == "12:31:40  demo-chat  learning  3 read"


def test_a_name_from_the_stream_cannot_move_the_cursor_or_fill_the_screen() -> None:
    line = live_line(at=MOMENT, deployment="a\x1b[2J\nb" + "c" * 99, state="armed")
    assert "\x1b" not in line
    assert "\n" not in line
    assert len(line) < 60


def test_an_alert_is_one_line_with_its_sentence() -> None:
    line = alert_line(alert())
    assert line.startswith("12:47:00  ALERT (page) Unalignment: checkout-assistant stopped")
    assert "\n" not in line
    assert alert_line(alert(event="resolve")).split("  ")[1].startswith("RESOLVED")
