"""The charts of the report, as SVG that needs nothing else: no script, no fonts, no network.

Colours are names that the page gives their values, one set for light and one for dark.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt
import vl_convert

from python_ml.reporting.measured import Figure, Importance, Point, Rung
from python_ml.reporting.report.facts import Group

OURS, OTHERS, LINES, TEXT, FAINT = (
    f"var(--{name})" for name in ("ours", "others", "lines", "text", "faint")
)
WIDTH, HEIGHT = 190, 215
LADDER_WIDTH = 320
STEP = 24
"""Height of one bar or one recipe."""
MOST_FEATURES = 12
_ROLES = re.compile(r' (?:role|aria-[a-z]+)="[^"]*"')
_CLIP = re.compile(r"(?<=[\"#])clip\d+")
_SIZE = re.compile(r'<svg([^>]*?) width="([\d.]+)" height="([\d.]+)"')

Rows = list[dict[str, Any]]


def bands(groups: Sequence[Group]) -> str:
    """Rows by band."""
    rows = [{"band": group.name, "rows": group.rows} for group in groups]
    return _bars(rows, "rows", "band", "rows", value_format=",d")


def themes(importances: Iterable[Importance]) -> str:
    """How much the features of each theme move the scores together, as shares."""
    sums: dict[str, float] = {}
    for found in importances:
        sums[found.theme] = sums.get(found.theme, 0.0) + found.importance
    whole = sum(sums.values()) or 1.0
    rows = [
        {"theme": theme, "share": value / whole}
        for theme, value in sorted(sums.items(), key=lambda item: -item[1])
    ]
    return _bars(rows, "share", "theme", "share of what moves the scores", value_format=".0%")


def _bars(rows: Rows, value: str, name: str, title: str, *, value_format: str) -> str:
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        y=alt.Y(f"{name}:N", sort=None, title=None, axis=alt.Axis(domain=False, ticks=False)),
        x=alt.X(
            f"{value}:Q", title=title, axis=alt.Axis(format=value_format, tickCount=3, grid=True)
        ),
    )
    labels = base.mark_text(align="left", dx=4, color=TEXT).encode(
        text=alt.Text(f"{value}:Q", format=value_format)
    )
    bars = base.mark_bar(color=OURS, cornerRadiusEnd=2, height={"band": 0.7})
    return _svg((bars + labels).properties(width=WIDTH, height=STEP * max(len(rows), 1)))


def recipes(lines: Mapping[str, Figure], published: str, title: str) -> str:
    """One metric of every recipe with its interval; what is published stands out."""
    rows = [
        {"recipe": name, "value": figure.value, "low": figure.low, "high": figure.high,
         "colour": OURS if name == published else OTHERS}
        for name, figure in lines.items()
    ]  # fmt: skip
    colour = alt.Color("colour:N", scale=None)
    return _intervals(rows, "recipe", colour, title, ticks=4, width=WIDTH)


def ladder(rungs: Sequence[Rung], metric: str) -> str:
    """What is reported as it is often done beside what holds in time, rung by rung."""
    names = {"as often done": OTHERS, "honest": OURS}
    rows = [
        {"rung": rung.name, "how": how, "value": figure.value, "low": figure.low,
         "high": figure.high}
        for rung in rungs
        for how, figure in zip(names, (rung.as_done, rung.honest), strict=True)
        if figure is not None
    ]  # fmt: skip
    colour = alt.Color(
        "how:N",
        scale=alt.Scale(domain=list(names), range=list(names.values())),
        legend=alt.Legend(title=None, orient="top", labelColor=TEXT, labelFontSize=12),
    )
    return _intervals(rows, "rung", colour, metric, ticks=5, width=LADDER_WIDTH)


def _intervals(
    rows: Rows, name: str, colour: alt.Color, title: str, *, ticks: int, width: int
) -> str:
    """Figures as points with their intervals as lines, one name below the other."""
    base = alt.Chart(alt.InlineData(values=rows)).encode(
        y=alt.Y(f"{name}:N", sort=None, title=None, axis=alt.Axis(domain=False, ticks=False)),
        color=colour,
    )
    spread = base.mark_rule(strokeWidth=2).encode(
        x=alt.X(
            "low:Q",
            title=title,
            scale=alt.Scale(zero=False),
            axis=alt.Axis(format=".2f", tickCount=ticks),
        ),
        x2="high:Q",
    )
    points = base.mark_point(filled=True, size=70, opacity=1).encode(x="value:Q")
    height = STEP * max(len({row[name] for row in rows}), 1)
    return _svg((spread + points).properties(width=width, height=height))


def calibration(points: Sequence[Point]) -> str:
    """What was promised beside what came true, by tenths of the rows."""
    top = max([0.01, *(max(p.x, p.y, p.high or 0) for p in points)])
    top = min(1.0, top * 1.05)
    rows = [{"x": p.x, "y": p.y, "low": p.low, "high": p.high} for p in points]
    x = alt.X("x:Q", title="promised", scale=alt.Scale(domain=[0, top]), axis=_axis())
    base = alt.Chart(alt.InlineData(values=rows)).encode(x=x)
    share = alt.Y("y:Q", title="came true", scale=alt.Scale(domain=[0, top]), axis=_axis())
    layers = (
        _diagonal(top)
        + base.mark_rule(color=OURS, strokeWidth=1.5).encode(y="low:Q", y2="high:Q")
        + base.mark_line(color=OURS, strokeWidth=1.5).encode(y=share)
        + base.mark_point(color=OURS, filled=True, size=45, opacity=1).encode(y=share)
    )
    return _svg(layers.properties(width=HEIGHT, height=HEIGHT))


def gain(points: Sequence[Point]) -> str:
    """What share of all yeses the best rows hold."""
    return _line(
        points,
        x=("of all rows, best first", 1.0),
        y=("of all yeses found", 1.0),
        beside=_diagonal(1.0),
    )


def precision_recall(points: Sequence[Point]) -> str:
    """Precision as more and more of the yeses are found; the line below is chance."""
    rate = points[-1].y if points else 0.0
    chance = (
        alt.Chart(alt.InlineData(values=[{"y": rate}]))
        .mark_rule(color=FAINT, strokeDash=[4, 4])
        .encode(y="y:Q")
    )
    top = min(1.0, 1.05 * max([0.01, *(p.y for p in points)]))
    return _line(
        points, x=("of all yeses found", 1.0), y=("yeses among those rows", top), beside=chance
    )


def _line(
    points: Sequence[Point], x: tuple[str, float], y: tuple[str, float], beside: alt.Chart
) -> str:
    rows = [{"x": point.x, "y": point.y} for point in points]
    across = alt.X("x:Q", title=x[0], scale=alt.Scale(domain=[0, x[1]]), axis=_axis())
    up = alt.Y("y:Q", title=y[0], scale=alt.Scale(domain=[0, y[1]]), axis=_axis())
    curve = alt.Chart(alt.InlineData(values=rows)).mark_line(color=OURS, strokeWidth=2)
    return _svg((beside + curve.encode(x=across, y=up)).properties(width=HEIGHT, height=HEIGHT))


def _diagonal(top: float) -> alt.Chart:
    ends = alt.InlineData(values=[{"x": 0.0, "y": 0.0}, {"x": top, "y": top}])
    line: alt.Chart = alt.Chart(ends).mark_line(color=FAINT, strokeDash=[4, 4])
    return line.encode(x="x:Q", y="y:Q")


def _axis(value_format: str = ".0%") -> alt.Axis:
    return alt.Axis(format=value_format, tickCount=5)


def _svg(chart: alt.LayerChart) -> str:
    """Draw a chart: its size follows the page, and its parts say nothing beside its caption."""
    spec = chart.configure(
        background="transparent",
        padding={"left": 20, "top": 5, "right": 25, "bottom": 5},  # fonts differ from page to page
        font="system-ui, sans-serif",
        view=alt.ViewConfig(stroke=None),
        axis=alt.AxisConfig(
            labelColor=TEXT, titleColor=TEXT, gridColor=LINES, domainColor=LINES, tickColor=LINES,
            labelFontSize=12, titleFontSize=12, titleFontWeight="normal", labelLimit=220,
            labelFlush=False,
        ),
        text=alt.MarkConfig(fontSize=12),
    ).to_dict(validate=False)  # fmt: skip
    drawn = _ROLES.sub("", vl_convert.vegalite_to_svg(spec))
    # the library counts on from one drawing to the next
    own = hashlib.sha256(_CLIP.sub("", drawn).encode()).hexdigest()[:8]
    names: dict[str, str] = {}
    drawn = _CLIP.sub(lambda clip: names.setdefault(clip[0], f"clip-{own}-{len(names)}"), drawn)
    return _SIZE.sub(r'<svg\1 style="max-width:\2px"', drawn, count=1)
