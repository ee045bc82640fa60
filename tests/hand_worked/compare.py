"""Holding built tables against the numbers worked out by hand."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

FOLDER = Path(__file__).parent


def mismatches(model: str, table: pd.DataFrame) -> list[str]:
    """Every cell of a model that is not as written down; none for models that nobody worked out."""
    if model.endswith("order_habit"):
        return order_habit_mismatches(table)
    return return_risk_mismatches(table) if model == "feat_return_risk" else []


def return_risk_mismatches(table: pd.DataFrame) -> list[str]:
    """Every count of `feat_return_risk` that is not as written down, line by line."""
    expected = pd.read_csv(FOLDER / "expected_return_risk.csv").set_index("line_key")
    built = table.set_index("line_key")
    found = [f"{key}: missing" for key in expected.index.difference(built.index)]
    for key in expected.index.intersection(built.index):
        for column in expected.columns:
            one, other = expected.loc[key, column], built.loc[key, column]
            if column == "as_of_date":
                one, other = pd.Timestamp(one), pd.Timestamp(other)
            if not _same(one, other):
                found.append(f"{key} {column}: {one} expected, {other} built")
    return found


def order_habit_mismatches(table: pd.DataFrame) -> list[str]:
    """Every cell of `feat_order_habit` or `label_order_habit` that is not as written down.

    Counts and dates exactly, sums to 1e-9. Customers and dates that the hand-worked shop does not
    have are left alone; for labels also windows that its own data do not close.
    """
    is_label = "label" in table.columns
    name = "expected_labels.csv" if is_label else "expected_features.csv"
    expected = pd.read_csv(FOLDER / name, dtype={"customer_id": str})
    keys = ["customer_id", "as_of_date", *(["horizon_days"] if is_label else [])]
    for frame in (expected, table := table.copy()):
        frame["as_of_date"] = pd.to_datetime(frame["as_of_date"])
        if is_label:
            frame["label_known_at"] = pd.to_datetime(frame["label_known_at"])
    people = pd.read_csv(FOLDER / "order_lines.csv")["customer_id"].dropna().unique()
    built = table[
        table["as_of_date"].isin(expected["as_of_date"]) & table["customer_id"].isin(people)
    ]
    merged = expected.merge(
        built, on=keys, how="outer", suffixes=("", "_built"), indicator="presence"
    )
    found = [
        f"{row.customer_id} {row.as_of_date:%Y-%m-%d}: {row.presence}"
        for row in merged[merged["presence"] != "both"].itertuples()
    ]
    both = merged[merged["presence"] == "both"]
    for column in expected.columns:
        if column in keys:
            continue
        for _, row in both.iterrows():
            if not _same(row[column], row[f"{column}_built"]):
                found.append(
                    f"{row.customer_id} {row.as_of_date:%Y-%m-%d} {column}: "
                    f"{row[column]} expected, {row[f'{column}_built']} built"
                )
    return found


def _same(expected: object, built: object) -> bool:
    if pd.isna(expected) or pd.isna(built):  # type: ignore[call-overload]
        return bool(pd.isna(expected) and pd.isna(built))  # type: ignore[call-overload]
    if isinstance(expected, pd.Timestamp):
        return expected == built
    return abs(float(expected) - float(built)) <= 1e-9 * max(1.0, abs(float(expected)))  # type: ignore[arg-type]
