from __future__ import annotations

import re
from pathlib import Path

import pytest

from monitor.demo import SCENARIOS, play

HEADLINES = {
    "unalignment": "demo-chat stopped refusing.",
    "traffic-shift": "New traffic reaches demo-chat; its model refuses as before.",
    "jailbreak-wave": "New traffic reaches demo-chat; its model refuses as before.",
    "broken-model": "demo-chat returns broken answers.",
}


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_real_pipeline_finds_what_happened_and_nothing_else(
    scenario: str, tmp_path: Path
) -> None:
    lines: list[str] = []
    page = tmp_path / "report.html"
    played = play(scenario, report=str(page), show=lines.append)
    assert not played.problems
    assert played.summary.consumed == played.summary.classified
    assert sum(line.endswith("  armed") for line in lines) >= 3
    html = page.read_text(encoding="utf-8")
    assert re.findall(r"<h1>(.*?)</h1>", html) == [HEADLINES[scenario]]
    assert "<svg" in html
    text = "\n".join(lines) + html
    assert not re.search(r"\b(u-\d{5}|c-[0-9a-f]{12})\b|How do I|I can't help", text)
