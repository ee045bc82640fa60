"""featuretools with cut-off times, in an environment of its own: it fails beside pandas 3.

Lines go to it as a Parquet file, and features come back as one for each date.
"""

from __future__ import annotations

import json
import random
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd
import pyarrow.parquet as pq

from python_ml.pipeline import Pipeline
from python_ml.settings import PROJECT_DIR
from tests.bench.features.ours import Made, Ours, line_versions

PYTHON = PROJECT_DIR / ".venv-peers" / "bin" / "python"
ALONE = Path(__file__).with_name("featuretools_alone.py")


def is_installed() -> bool:
    """Whether its environment was made."""
    return PYTHON.is_file()


def by_featuretools(pipeline: Pipeline, ours: Ours, seconds: float) -> Made:
    """Make as many dates, drawn at random, as it finishes in so many seconds, one at least."""
    dates = list(ours.rows_of)
    random.Random(1).shuffle(dates)
    with TemporaryDirectory() as name:
        folder = Path(name)
        pq.write_table(line_versions(pipeline), folder / "lines.parquet")
        asked = [str(day) for day in dates]
        subprocess.run(
            [str(PYTHON), str(ALONE), str(folder), str(seconds), *asked],
            env={"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"},
            stdout=subprocess.DEVNULL,
            check=True,
        )
        said = json.loads((folder / "said.json").read_text(encoding="utf-8"))
        rows, columns, differing = 0, list[str](), set[str]()
        for day in dates[: said["dates"]]:
            made = pd.read_parquet(folder / f"{day}.parquet").set_index("customer_id")
            rows += len(made)
            columns = [str(column) for column in made.columns]
            differing |= ours.differing(made, day, {column: column for column in columns})
    taken = float(said["seconds"])
    return Made(taken, rows, len(columns), len(columns), tuple(sorted(differing)))
