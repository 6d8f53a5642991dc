"""backslide backtest: what would have been alerted on past outputs."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from monitor.cli.errors import CommandError
from monitor.cli.printing import print_table, stamp
from monitor.cli.progress import Progress
from monitor.cli.session import Session

if TYPE_CHECKING:
    from monitor.detection import Baseline
    from monitor.pipeline.backtest import BacktestResult

MOST_ROWS = 50


@click.command()
@click.argument("files", metavar="F...", nargs=-1, required=True)
@click.option("--baseline-window", metavar="N|24h", help="Learn from the first N or 24h of it.")
@click.option("--baseline", "file", metavar="F", help="Test against this exported baseline.")
@click.option("--false-pages", metavar="1/90d", help="Accepted false pages.")
@click.option("--format", "form", metavar="auto|native|openai|otel|litellm", help="Their form.")
@click.option("--deployment", metavar="D", help="Deployment of records that name none.")
@click.option("--report", metavar="F.html", help="Write a report at the end.")
@click.option("--store", metavar="FILE", help="Where to keep state; beside the report if not set.")
@click.option("--exit-code", is_flag=True, help="Exit 3 on a page or ticket, 4 if never armed.")
@click.pass_obj
def backtest(
    session: Session,
    files: Sequence[str],
    baseline_window: str | None,
    file: str | None,
    false_pages: str | None,
    form: str | None,
    deployment: str | None,
    report: str | None,
    store: str | None,
    exit_code: bool,
) -> int:
    """Replay past outputs, oldest file first: what would have been alerted?

    And what would a static threshold, 3-sigma and a windowed test have paged? Nobody is
    alerted. Interrupted, it goes on where it stopped; give the same files again. The last line
    of standard output is a summary (JSON, schema backslide.summary/1).
    """
    config = session.start(
        source__format=form,
        deployment=deployment,
        baseline__window=baseline_window,
        detection__false_pages=false_pages,
    )
    if (baseline_window is None) == (file is None):
        raise CommandError("give either --baseline-window or --baseline", 2)
    paths = _paths(files)
    from monitor.pipeline.backtest import Place
    from monitor.pipeline.backtest import backtest as replay
    from monitor.pipeline.summary import exit_code_of

    with _place(store, report) as path, Progress("records") as progress:
        result = replay(
            config,
            paths,
            Place(path),
            baseline=_baseline(file),
            report=report,
            progress=progress.show,
        )
    if not result.complete:
        click.echo("stopped before the end; the same command goes on from here", err=True)
    _print(result)
    click.echo(result.summary.to_line())
    return exit_code_of(
        result.summary, result.summary.rejected_share, exit_code, findings=result.findings
    )


def _paths(files: Sequence[str]) -> list[Path]:
    paths = [Path(file) for file in files]
    for path in paths:
        if not path.is_file():
            raise CommandError(f"{path}: no such file; give files of past outputs", 2)
    if len({path.absolute() for path in paths}) < len(paths):
        raise CommandError("a file is given twice; give each once, the oldest first", 2)
    return paths


def _baseline(file: str | None) -> Baseline | None:
    if file is None:
        return None
    from monitor.detection import Baseline

    with click.open_file(file, "rb") as source:
        return Baseline.from_json(source.read())


@contextmanager
def _place(store: str | None, report: str | None) -> Iterator[Path]:
    """Where to keep state: as told, beside the report, or nowhere for long."""
    if store is not None:
        yield Path(store.removeprefix("sqlite:///"))
    elif report is not None:
        yield Path(report).with_suffix(".backtest.db")
    else:
        with tempfile.TemporaryDirectory(prefix="backslide-backtest-") as folder:
            yield Path(folder) / "backtest.db"


def _print(result: BacktestResult) -> None:
    rows = [
        (stamp(alert.at) or "", alert.deployment, alert.severity, alert.alert)
        for alert in result.opened
    ]
    print_table(("AT", "DEPLOYMENT", "SEVERITY", "ALERT"), rows[:MOST_ROWS])
    _more(rows)
    click.echo()
    others = [
        (deployment, rule.name, str(len(rule.pages)), stamp(min(rule.pages, default=None)) or "")
        for deployment, rules in result.alternatives.items()
        for rule in rules
    ]
    print_table(("DEPLOYMENT", "ANOTHER RULE", "PAGES", "FIRST AT"), others[:MOST_ROWS])
    _more(others)


def _more(rows: Sequence[object]) -> None:
    if len(rows) > MOST_ROWS:
        click.echo(f"and {len(rows) - MOST_ROWS} more")
