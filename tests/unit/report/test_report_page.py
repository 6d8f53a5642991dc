from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from html import unescape
from importlib.resources import files
from pathlib import Path

import pytest

from monitor.alerts.alert import ChangeTime, GroupRates
from monitor.report import Lane, Minute, ReportData, Totals, page, render
from monitor.report.charts import Marks, witness_chart
from monitor.report.svg import WIDE
from tests.unit.report.scene import LANE, START, alert, at, data, groups, minutes

HOSTILE = '<script>alert("x")</script>\n${7*7} $\\frac{1}{2}$ {{ 7*7 }} "\'><img src=x onerror=y>'


def words(html: str) -> str:
    """What a reader sees, on one line."""
    body = re.sub(r"<(style|svg)\b.*?</\1>", " ", html, flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", body)).split())


def plots(html: str) -> list[str]:
    return re.findall(r"<svg\b.*?</svg>", html, flags=re.DOTALL)


def test_the_first_thing_a_reader_sees_is_one_sentence_about_what_happened() -> None:
    html = render(data(alert()))
    assert re.search(r"<h1>checkout-assistant stopped refusing\.</h1>", html)
    assert "refusals fell from 21.7 to 1.7" in words(html)


def test_the_alert_comes_with_counts_evidence_change_time_breadth_and_budget() -> None:
    text = words(render(data(alert())))
    assert "21.7 → 1.7" in text
    assert "33.3 → 50.1" in text
    assert "10 27.1 against" in text
    assert "between 12:39:00 and 12:41:00" in text
    assert "7 min 0 s" in text
    assert "broad, over hazard groups" in text
    assert "1 false page in 90 days" in text
    assert "rec-0, rec-1" in text
    assert "and 4 more" in text


def test_both_witnesses_evidence_and_groups_are_drawn_for_wide_and_narrow_pages() -> None:
    drawn = plots(render(data(alert())))
    assert len(drawn) == 4
    for chart in drawn[:2]:
        for title in ("Refusals per 1,000", "Answered risky prompts per 1,000", "Evidence for"):
            assert title in chart
        for mark in ("changed 12:40", "alert 12:47", ">page<", ">warning<", ">learning<"):
            assert mark in chart
    for chart in drawn[2:]:
        assert "share of risky prompts refused" in chart
        assert ">self-harm<" in chart


def test_broken_answers_get_a_plot_only_when_there_are_many() -> None:
    assert "Broken answers per 1,000" not in plots(render(data()))[0]
    broken = tuple(replace(point, degenerate=400) for point in LANE.minutes)
    html = render(data(lanes=(replace(LANE, minutes=broken),)))
    assert "Broken answers per 1,000" in plots(html)[0]


def test_the_same_run_gives_the_same_bytes() -> None:
    assert render(data(alert())) == render(data(alert()))


def test_the_page_fetches_nothing_and_runs_nothing() -> None:
    html = render(data(alert()))
    assert "<script" not in html
    assert "<link" not in html
    assert "@import" not in html
    assert not re.findall(r"""(?:src|href)\s*=\s*["'](?!#)""", html)
    assert not re.findall(r"url\((?!#)", html)


def test_ids_of_several_plots_do_not_collide() -> None:
    ids = re.findall(r'\bid="([^"]+)"', render(data(alert())))
    assert len(ids) == len(set(ids))
    html = render(data(alert()))
    for target in re.findall(r'(?:url\(#|href="#)([^)"]+)', html):
        assert f'id="{target}"' in html


def test_hostile_names_stay_text() -> None:
    """Deployment, replica, record id and reason come from whoever writes the stream."""
    lane = replace(LANE, deployment=HOSTILE, artifact=HOSTILE)
    named = alert(
        deployment=HOSTILE, artifact=HOSTILE, summary=HOSTILE, replicas=(HOSTILE,),
        artifacts=(HOSTILE,), record_ids=(HOSTILE,), attribution=HOSTILE,
        groups=(groups()[0], renamed(groups()[1], HOSTILE)),
    )  # fmt: skip
    totals = Totals(1, 0, {HOSTILE: 1}, {HOSTILE: 1})
    html = render(ReportData(lanes=(lane,), alerts=(named,), totals=totals, story=HOSTILE))
    assert "<script" not in html
    assert "<img" not in html
    assert "{{ 7*7 }}" in unescape(html)
    assert html.count("<title>") == 1


def renamed(group: GroupRates, name: str) -> GroupRates:
    return GroupRates(name, group.before, group.after, group.flagged)


def test_without_escaping_the_hostile_name_would_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The mutant: the check above is worth something."""
    monkeypatch.setattr(page._template().environment, "autoescape", False)
    source = Path(str(files("monitor.report") / "report.html.j2")).read_text()
    bare = page._template().environment.from_string(source)
    monkeypatch.setattr(page, "_template", lambda: bare)
    assert "<script" in render(ReportData(lanes=(replace(LANE, deployment=HOSTILE, minutes=()),)))


@pytest.mark.parametrize(
    ("name", "headline"),
    [
        ("DegenerateOutput", "returns broken answers"),
        ("RiskyAnswers", "its model refuses as before"),
        ("TrafficShift", "its model did not"),
        ("HazardSpike", "one hazard group"),
        ("SomethingNew", "SomethingNew on checkout-assistant"),
    ],
)
def test_every_kind_of_alert_has_a_headline_and_advice(name: str, headline: str) -> None:
    html = render(data(alert(name, severity="ticket")))
    (title,) = re.findall(r"<h1>(.*?)</h1>", html)
    assert headline in title
    assert re.search(r"What to do next.*?<li>", html, flags=re.DOTALL)


def test_the_worst_alert_makes_the_headline_whenever_it_came() -> None:
    info = alert("TrafficShift", severity="info", opened_at=at(1), at=at(1))
    (title,) = re.findall(r"<h1>(.*?)</h1>", render(data(info, alert())))
    assert "stopped refusing" in title


def test_a_drifted_reference_does_not_hide_what_it_follows_from() -> None:
    drift = alert("ReferenceDivergence", severity="ticket", opened_at=at(1))
    shift = alert("TrafficShift", severity="info")
    (title,) = re.findall(r"<h1>(.*?)</h1>", render(data(drift, shift)))
    assert "its model did not" in title


def test_a_resolved_page_is_told_as_over() -> None:
    over = alert(event="resolve", at=at(58), resolution="recovered", groups=(), change=None)
    html = render(data(alert(), over))
    (title,) = re.findall(r"<h1>(.*?)</h1>", html)
    assert "it is over" in title
    assert "resolved" in words(html)
    assert ">self-harm<" in html


def test_quiet_learning_and_empty_runs_say_so() -> None:
    quiet = render(data(lanes=(replace(LANE, state="armed"),)))
    assert "behaves as the model that was approved" in words(quiet)
    assert "60% of the refusals" in words(quiet)
    learning = replace(LANE, state="learning", approved=None, minutes=minutes(learning=99))
    assert "Still learning" in words(render(data(lanes=(learning,))))
    assert "No records were read" in words(render(ReportData()))
    blind = render(data(lanes=(replace(LANE, state="blind"),)))
    assert "cannot see whether checkout-assistant still refuses" in words(blind)


def test_one_record_one_minute_and_no_minute_are_drawn_without_complaint() -> None:
    single = (Minute(minute=START, judged=1),)
    for lane in (
        replace(LANE, minutes=single),
        replace(LANE, minutes=(Minute(minute=START, judged=0),)),
        replace(LANE, minutes=()),
        replace(LANE, minutes=single, approved=None),
    ):
        render(data(lanes=(lane,)))


def test_accounting_adds_up_on_the_page() -> None:
    text = words(render(data()))
    assert "Consumed 36,010" in text
    assert "Classified 36,000" in text
    assert "Skipped 4 excluded 4" in text
    assert "Dead-lettered 6 malformed 6" in text
    assert "Duplicates 2" in text


def test_a_thousand_deployments_give_a_page_that_opens_and_says_what_it_left_out() -> None:
    lanes = tuple(Lane(f"service-{i:04d}", "a", "armed", minutes=minutes(3)) for i in range(1_000))
    html = render(data(lanes=lanes))
    assert "996 more lanes have no plot here" in words(html)
    assert "950 more are not listed" in words(html)
    assert len(html) < 2_000_000


def test_the_plotted_lane_is_the_one_that_fired() -> None:
    calm = tuple(replace(LANE, deployment=f"calm-{i}", state="armed") for i in range(9))
    html = render(data(alert(), lanes=(*calm, LANE)))
    assert re.search(r'<h2 class="title">checkout-assistant', html)


def test_months_of_minutes_are_drawn_small_and_keep_the_peak_of_the_evidence() -> None:
    long = tuple(
        Minute(minute=START + i, judged=10, evidence_refused=-5.0, evidence_answered=-5.0)
        for i in range(60_000)
    )
    peak = replace(long[30_001], evidence_refused=2.5, evidence_answered=2.5)
    lane = replace(LANE, minutes=(*long[:30_001], peak, *long[30_002:]))
    from monitor.report.series import MOST_POINTS, series_of

    series = series_of(lane.minutes)
    assert len(series.start) <= MOST_POINTS
    assert series.evidence_refused.max() == 2.5
    assert series.judged.sum() == 600_000
    assert len(witness_chart(lane, Marks(), "long", WIDE)) < 200_000


def test_a_pause_in_the_traffic_is_a_gap_not_a_line() -> None:
    from monitor.report.series import series_of

    points = (*minutes(10), *(replace(p, minute=p.minute + 500) for p in minutes(10)))
    series = series_of(points, most=600)
    times, _ = series.line(series.judged)
    assert sum(times != times) == 1


def test_a_change_of_unknown_range_is_still_told() -> None:
    exact = ChangeTime(at(40), at(40), at(40), 10)
    assert "Changed at 12:40:00 UTC" in words(render(data(alert(change=exact))))


def test_band_holds_about_95_percent_of_healthy_stretches() -> None:
    import numpy as np

    from monitor.report.series import series_of

    rng = np.random.default_rng(0)
    healthy = tuple(
        Minute(minute=START + i, judged=600, refused=int(rng.poisson(12.0))) for i in range(1_000)
    )
    series = series_of(healthy, most=1_000)
    low, high = series.band(2_000, 100_000)
    rates = series.per_thousand(series.refused)
    assert 0.93 <= np.mean((rates >= low) & (rates <= high)) <= 0.99


def test_another_process_writes_the_same_bytes() -> None:
    """Hash seeds differ between processes; nothing in the page may follow them."""
    code = (
        "import hashlib; from monitor.report import render; "
        "from tests.unit.report.scene import alert, data; "
        "print(hashlib.sha256(render(data(alert())).encode()).hexdigest())"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(digests) == 1
