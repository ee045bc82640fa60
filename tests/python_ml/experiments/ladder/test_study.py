"""How what was found is printed and kept."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from datetime import date
from pathlib import Path
from xml.etree import ElementTree

from python_ml.experiments.ladder.chart import chart
from python_ml.experiments.ladder.study import Section, Study, keep
from python_ml.training.metrics import Interval


def study(value: float = 0.71) -> Study:
    section = Section(
        name="rungs",
        title="a ladder",
        records=(
            {"rung": "one", "AUC honest": Interval(value, 0.6, 0.8), "rows": 1_200},
            {"rung": "two", "AUC honest": None, "log loss": float("nan")},
        ),
        test_date=date(2025, 7, 1),
        notes=("A note.",),
    )
    return Study("order_habit", "demo", date(2026, 1, 1), 180, 1, (section,))


def test_markdown_has_a_column_for_every_figure_and_the_notes() -> None:
    assert study().to_markdown().splitlines() == [
        "**a ladder**",
        "",
        "| rung | AUC honest | rows | log loss |",
        "|---|---|---|---|",
        "| one | 0.710 (0.600 to 0.800) | 1,200 |  |",
        "| two |  |  |  |",
        "",
        "- A note.",
    ]


def test_files_hold_every_figure_with_its_bounds(tmp_path: Path) -> None:
    as_json, as_csv, _ = keep(study(), tmp_path / "experiments", "<svg/>")
    [section] = json.loads(as_json.read_text())["sections"]
    assert section["records"][0]["AUC honest"] == {"value": 0.71, "low": 0.6, "high": 0.8}
    assert section["records"][1]["log loss"] is None
    with as_csv.open() as file:
        first = next(csv.DictReader(file))
    assert (first["row"], first["column"], first["low"]) == ("one", "AUC honest", "0.6")


def test_the_picture_has_a_point_for_each_protocol() -> None:
    records = (
        {"rung": "a < b", "AUC as done": Interval(0.9, 0.8, 1.0),
         "AUC honest": Interval(0.7, 0.6, 0.8)},
        {"rung": "c", "AUC as done": Interval(1.0, 1.0, 1.0), "AUC honest": None},
    )  # fmt: skip
    picture = ElementTree.fromstring(chart(replace(study().sections[0], records=records)))
    texts = [element.text for element in picture.iter() if element.text]
    assert {"a < b", "c", "as often done", "honest"} <= set(texts)
    filled = [element.get("fill") for element in picture.iter() if element.get("d")]
    assert (filled.count("#c0392b"), filled.count("#1f6f8b")) == (3, 2)  # one of each is the key
    assert not [value for element in picture.iter() for value in element.attrib.values()
                if "var(" in value]  # fmt: skip


def test_figures_land_under_an_id_of_their_content() -> None:
    rows = study().metric_rows()
    assert {row["metric"] for row in rows} == {"AUC_honest", "rows"}
    assert rows == study().metric_rows()
    assert rows[0]["bundle_id"] != study(0.72).metric_rows()[0]["bundle_id"]
