"""From a Matplotlib figure to SVG that lives inside a page and takes its colours from it."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from html import escape
from types import MappingProxyType
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

INK: Final = "#010101"
MUTED: Final = "#020202"
RULE: Final = "#030303"
BEFORE: Final = "#050505"
AFTER: Final = "#060606"
ALARM: Final = "#070707"

_VARIABLES: Final = MappingProxyType(
    {INK: "ink", MUTED: "muted", RULE: "rule", BEFORE: "before", AFTER: "after", ALARM: "alarm"}
)
"""Placeholder colours: the page's style sheet decides, for light and for dark."""


@dataclass(frozen=True, slots=True)
class Size:
    """A plot for wide or for narrow pages: inches, points, most ticks of the time axis."""

    width: float
    panel: float
    text: float
    ticks: int


WIDE: Final = Size(width=9.6, panel=1.75, text=9.5, ticks=10)
NARROW: Final = Size(width=4.4, panel=1.6, text=9.5, ticks=4)

_STYLE: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.sans-serif": ["DejaVu Sans"],
        "text.color": INK,
        "text.parse_math": False,
        "axes.edgecolor": RULE,
        "axes.labelcolor": MUTED,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.titlelocation": "left",
        "axes.formatter.use_mathtext": False,
        "axes.unicode_minus": True,
        "axes.grid": True,
        "figure.constrained_layout.h_pad": 0.09,
        "figure.constrained_layout.w_pad": 0.02,
        "grid.color": RULE,
        "grid.linewidth": 0.7,
        "xtick.color": RULE,
        "ytick.color": RULE,
        "xtick.labelcolor": MUTED,
        "ytick.labelcolor": MUTED,
        "ytick.major.size": 0,
        "lines.solid_capstyle": "round",
        "path.simplify": False,
    }
)


def styled(size: Size, grid: str = "y") -> AbstractContextManager[None]:
    """The look of all plots of one size, with grid lines across one axis."""
    settings: Any = {**_STYLE, "font.size": size.text, "axes.grid.axis": grid}
    return mpl.rc_context(settings)


def inline(figure: Figure, name: str, label: str) -> str:
    """`figure` as an ``<svg>`` element.

    `name` makes its ids its own on the page and its bytes the same in every run; `label` is
    what a screen reader says.
    """
    buffer = io.StringIO()
    with mpl.rc_context({"svg.hashsalt": name}):
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\n?", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    svg = re.sub(r'xlink:href="#', f'href="#{name}-', svg)
    svg = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var(--{variable})")
    # Size comes from the page; the view box keeps the proportions.
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    return svg.replace("<svg", f'<svg role="img" aria-label="{escape(label)}"', 1)
