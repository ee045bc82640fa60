"""Every way of getting the time rules wrong that we can think of is noticed.

Each mutant is a copy of the dbt project with one rule broken. It is built over the three tellings
of the shop side by side, and must either tell them apart or miss the numbers worked out by hand.
"""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pytest

from python_ml.errors import BuildError
from python_ml.pipeline import Pipeline
from python_ml.settings import PROJECT_DIR
from tests.hand_worked.compare import mismatches
from tests.time_rules.builds import Tables, build, difference, rows_until
from tests.time_rules.shops import CUT, side_by_side, tellings

TIME_RULES = "dbt_project/macros/time_rules.sql"
CUSTOMERS = "models_sql/staging/order_lines/stg_order_lines__customers.sql"
LINES = "models_sql/intermediate/int_order_lines.sql"
ITEMS = "models_sql/intermediate/int_customer_items.sql"
RETURNS = "models_sql/intermediate/int_returns.sql"
FIRST_LINES = "models_sql/intermediate/int_lines_at_order.sql"
RETURN_HISTORIES = "dbt_project/macros/return_histories.sql"
ORDER_HABIT = "models_sql/features/feat_order_habit.sql"
PURCHASE_POTENTIAL = "models_sql/features/feat_purchase_potential.sql"


@dataclass(frozen=True)
class Mutant:
    """One text in one file, and what it is broken into."""

    name: str
    file: str
    text: str
    broken: str


MUTANTS = (
    Mutant(
        "what happens on the as-of date counts",
        TIME_RULES,
        "{{ fact }}.{{ happened }}_{{ grain }} < {{ as_of }}\n        and {{ version",
        "{{ fact }}.{{ happened }}_{{ grain }} <= {{ as_of }}\n        and {{ version",
    ),
    Mutant(
        "what is known on the as-of date counts",
        TIME_RULES,
        "{{ fact }}.known_{{ grain }} < {{ as_of }}",
        "{{ fact }}.known_{{ grain }} <= {{ as_of }}",
    ),
    Mutant(
        "when it was known does not matter",
        TIME_RULES,
        "{{ fact }}.known_{{ grain }} < {{ as_of }}",
        "true",
    ),
    Mutant(
        "only today's version counts",
        TIME_RULES,
        " or {{ fact }}.superseded_{{ grain }} >= {{ as_of }})",
        ")",
    ),
    Mutant(
        "a version ends a day early",
        TIME_RULES,
        "{{ fact }}.superseded_{{ grain }} >= {{ as_of }}",
        "{{ fact }}.superseded_{{ grain }} > {{ as_of }}",
    ),
    Mutant(
        "replaced versions go on counting",
        TIME_RULES,
        "and ({{ fact }}.superseded_{{ grain }} is null "
        "or {{ fact }}.superseded_{{ grain }} >= {{ as_of }})",
        "",
    ),
    Mutant(
        "running changes of the as-of date count",
        TIME_RULES,
        "({{ fact }}.changed_on < {{ as_of }})",
        "({{ fact }}.changed_on <= {{ as_of }})",
    ),
    Mutant(
        "what is known of a customer holds too long",
        TIME_RULES,
        "or {{ day }} < {{ span }}.until_date)",
        "or {{ day }} <= {{ span }}.until_date)",
    ),
    Mutant(
        "today's attributes are joined",
        LINES,
        "and {{ version_known_before('products', add_days('versions.counts_from', 1)) }}",
        "and products.superseded_on is null",
    ),
    Mutant(
        "today's attributes are features",
        ORDER_HABIT,
        "and {{ version_known_before('customers', 'customer_changes.from_date') }}",
        "and customers.superseded_on is null",
    ),
    Mutant(
        "today's attributes describe old lines",
        FIRST_LINES,
        "and {{ version_known_before('customers', 'first_versions.as_of_date') }}",
        "and customers.superseded_on is null",
    ),
    Mutant(
        "today's products describe old dates",
        PURCHASE_POTENTIAL,
        "on {{ version_known_before('product_versions', 'as_of_dates.as_of_date') }}",
        "on product_versions.superseded_on is null",
    ),
    Mutant(
        "attributes count before they happen",
        CUSTOMERS,
        "greatest(known_at, ordered_at) as known_at",
        "known_at",
    ),
    Mutant(
        "the time of recording is ignored",
        TIME_RULES,
        "coalesce(\n        {{ recorded_at }},",
        "coalesce(\n        cast(null as timestamp),",
    ),
    Mutant(
        "a product counts before it is bought",
        ITEMS,
        "greatest(known_on, ordered_on) as known_on",
        "known_on",
    ),
    Mutant(
        "a return is known with its line",
        RETURNS,
        "greatest(known_on, returned_on) as known_on",
        "known_on",
    ),
    Mutant(
        "the label window leaves out its first day",
        TIME_RULES,
        "{{ fact }}.{{ happened }}_{{ grain }} >= {{ as_of }}",
        "{{ fact }}.{{ happened }}_{{ grain }} > {{ as_of }}",
    ),
    Mutant(
        "the label window has a day too many",
        TIME_RULES,
        "{{ fact }}.{{ happened }}_{{ grain }} < {{ add_days(as_of, days) }}",
        "{{ fact }}.{{ happened }}_{{ grain }} <= {{ add_days(as_of, days) }}",
    ),
    Mutant(
        "labels see what was recorded later",
        TIME_RULES,
        "and {{ version_known_before(fact, label_known_at(as_of, days), grain) }}",
        "",
    ),
    Mutant(
        "the history of a line holds its own day",
        TIME_RULES,
        "rows between unbounded preceding and 1 preceding",
        "rows between unbounded preceding and current row",
    ),
    Mutant(
        "a line is what it was corrected to",
        FIRST_LINES,
        "min(as_of_date) as as_of_date",
        "max(as_of_date) as as_of_date",
    ),
    Mutant(
        "outcomes count in rates from the day of the order",
        RETURN_HISTORIES,
        "label_known_at as changed_on",
        "changed_on",
    ),
    Mutant(
        "early returns are known with the order",
        RETURN_HISTORIES,
        "returned_known_on as changed_on",
        "changed_on",
    ),
)

ALWAYS_TRIED = {
    "what is known on the as-of date counts",
    "replaced versions go on counting",
    "today's attributes are features",
    "the label window has a day too many",
    "labels see what was recorded later",
    "outcomes count in rates from the day of the order",
}
"""One of each kind; the others take as long and are tried with the slow tests."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    return side_by_side(tellings(tmp_path_factory.mktemp("mutants")))


def noticed(tables: Tables) -> list[str]:
    """What the tests would say: tellings that differ, hand-worked numbers that are missed."""
    found = []
    for model, table in tables.items():
        parts = {name: rows_until(_part(table, name), CUT) for name in ("all", "cut", "noise")}
        for other in ("cut", "noise"):
            if difference(parts["all"], parts[other]):
                found.append(f"{model}: all and {other} differ")
        if mismatches(model, _part(table, "all")):
            found.append(f"{model}: hand-worked numbers missed")
    return found


def _part(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of one telling, its prefix taken off every id and key."""
    names = [column for column in table.columns if column.endswith(("_id", "_key"))]
    part = table[table[names[0]].str.startswith(f"{name}:")].copy()
    for column in names:
        part[column] = part[column].str.replace(f"{name}:", "")
    return part


def test_the_rules_as_they_are_pass(
    time_rules_pipeline: Pipeline, shop: pd.DataFrame, tmp_path: Path
) -> None:
    assert noticed(build(time_rules_pipeline, shop, tmp_path)) == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name.replace(" ", "_"))
def test_a_rule_is_where_its_mutant_expects_it(mutant: Mutant) -> None:
    _, count = break_(mutant, (PROJECT_DIR / mutant.file).read_text())
    assert count == 1, "bring the mutant up to date"


@pytest.mark.parametrize(
    "mutant",
    [
        pytest.param(
            mutant,
            id=mutant.name.replace(" ", "_"),
            marks=() if mutant.name in ALWAYS_TRIED else pytest.mark.slow,
        )
        for mutant in MUTANTS
    ],
)
def test_a_broken_rule_is_noticed(
    mutant: Mutant, time_rules_pipeline: Pipeline, shop: pd.DataFrame, tmp_path: Path
) -> None:
    project = copy_of_project(tmp_path / "project")
    file = project / mutant.file
    broken, _ = break_(mutant, file.read_text())
    file.write_text(broken)
    pipeline = Pipeline(time_rules_pipeline.settings, project_dir=project)
    try:
        found = noticed(build(pipeline, shop, tmp_path))
    except BuildError as error:
        # versions that all count multiply each other's rows: nobody overlooks that
        found = [text for text in (str(error),) if "statement timeout" in text]
        if not found:
            raise
    assert found != []


def break_(mutant: Mutant, text: str) -> tuple[str, int]:
    """The text with the rule broken, and how often it stood there."""
    pattern = r"\s+".join(re.escape(word) for word in mutant.text.split())
    return re.subn(pattern, lambda _: mutant.broken, text)


def copy_of_project(folder: Path) -> Path:
    """The parts that dbt reads."""
    for part in ("dbt_project", "models_sql", "tests/dbt"):
        shutil.copytree(PROJECT_DIR / part, folder / part)
    shutil.copy(PROJECT_DIR / "dbt_project.yml", folder)
    return folder
