"""The ladder as a picture: what was reported beside what holds, rung by rung."""

from __future__ import annotations

from python_ml.experiments.ladder.study import Record, Section
from python_ml.reporting.measured import Figure, Rung
from python_ml.reporting.report import charts
from python_ml.training.metrics import Interval

DONE, HONEST = "as done", "honest"
ON_WHITE = {
    charts.OURS: "#1f6f8b",
    charts.OTHERS: "#c0392b",
    charts.LINES: "#dddddd",
    charts.TEXT: "#222222",
    charts.FAINT: "#777777",
}
"""Colours of a picture that stands alone; those of the report are the page's."""


def chart(section: Section) -> str:
    """Return an SVG with a point for each protocol, its 95 % interval as a line."""
    metric = next(h for h in section.headings if h.endswith(HONEST)).removesuffix(HONEST).strip()
    rungs = [
        Rung(
            str(next(iter(record.values()))),
            _figure(record, f"{metric} {DONE}"),
            _figure(record, f"{metric} {HONEST}"),
        )
        for record in section.records
    ]
    drawn = charts.ladder([r for r in rungs if r.as_done or r.honest], metric)
    for name, colour in ON_WHITE.items():
        drawn = drawn.replace(name, colour)
    return drawn.replace(' style="', ' style="background:white;', 1) + "\n"


def _figure(record: Record, heading: str) -> Figure | None:
    cell = record.get(heading)
    return Figure(cell.value, cell.low, cell.high) if isinstance(cell, Interval) else None
