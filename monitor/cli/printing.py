"""Tables for people, JSON for programs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from monitor.cli.session import Acted

output_option = click.option(
    "--output",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Form of what is printed.",
)
store_option = click.option("--store", metavar="URL", help="Store (setting store.url).")


def print_json(value: Any) -> None:
    """One value as one line."""
    click.echo(json.dumps(value, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Columns of equal width under capital headings; ``-`` where there is nothing."""
    table = [list(columns), *([_cell(cell) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in table) for i in range(len(columns))]
    for row in table:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        click.echo("   ".join(cells).rstrip())


def print_fields(fields: Mapping[str, object]) -> None:
    """One field a line, aligned."""
    width = max(len(name) for name in fields) + 1
    for name, value in fields.items():
        click.echo(f"{(name + ':').ljust(width)}  {_cell(value)}")


def print_action(acted: Acted, output: str) -> None:
    """What became of an operator's action."""
    if output == "json":
        print_json({"action": acted.action, "applied": acted.applied, "result": acted.result})
    elif acted.applied:
        click.echo(f"{acted.result} (action {acted.action})")
    else:
        click.echo(f"recorded as action {acted.action}; {acted.result}")


def stamp(seconds: float | None) -> str | None:
    """RFC 3339 to the second, or None."""
    from datetime import UTC, datetime

    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text) or "-"
