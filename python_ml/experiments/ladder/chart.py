"""The ladder as a picture: what was reported beside what holds, rung by rung."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

from python_ml.experiments.ladder.study import Record, Section
from python_ml.training.metrics import Interval

WIDTH, ROW, LEFT, TOP, RIGHT = 760, 26, 250, 64, 40
DONE, HONEST = "as done", "honest"
COLOURS = {DONE: "#c0392b", HONEST: "#1f6f8b"}


def chart(section: Section) -> str:
    """Return an SVG with a point for each protocol, its 95 % interval as a line."""
    metric = next(h for h in section.headings if h.endswith(HONEST)).removesuffix(HONEST).strip()
    rows = [r for r in section.records if any(_cell(r, metric, how) for how in COLOURS)]
    low, high = _span(rows, metric)

    def x(value: float) -> float:
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    height = TOP + ROW * len(rows) + 30
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="13">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="12" y="22" font-weight="bold">{escape(section.title)}</text>',
    ]
    for place, (how, colour) in enumerate(COLOURS.items()):
        at = LEFT + 130 * place
        parts.append(f'<circle cx="{at}" cy="40" r="5" fill="{colour}"/>')
        parts.append(f'<text x="{at + 10}" y="44">{metric} {how}</text>')
    for place, record in enumerate(rows):
        y = TOP + ROW * place + ROW / 2
        name = escape(str(next(iter(record.values()))))
        parts.append(f'<text x="{LEFT - 12}" y="{y + 4:.1f}" text-anchor="end">{name}</text>')
        for how, colour in COLOURS.items():
            cell = _cell(record, metric, how)
            if cell is not None:
                parts += _point(x(cell.low), x(cell.value), x(cell.high), y, colour)
    for value in (low, (low + high) / 2, high):
        parts.append(
            f'<text x="{x(value):.1f}" y="{height - 10}" text-anchor="middle" fill="#555">'
            f"{value:.2f}</text>"
        )
    return "\n".join([*parts, "</svg>", ""])


def _cell(record: Record, metric: str, how: str) -> Interval | None:
    cell = record.get(f"{metric} {how}")
    return cell if isinstance(cell, Interval) else None


def _span(rows: Sequence[Record], metric: str) -> tuple[float, float]:
    cells = [cell for r in rows for how in COLOURS if (cell := _cell(r, metric, how)) is not None]
    low = min((cell.low for cell in cells), default=0.0)
    high = max((cell.high for cell in cells), default=1.0)
    return (low, high) if high > low else (0.0, 1.0)


def _point(low: float, value: float, high: float, y: float, colour: str) -> list[str]:
    return [
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{y:.1f}" y2="{y:.1f}" stroke="{colour}" '
        'stroke-width="2"/>',
        f'<circle cx="{value:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>',
    ]
