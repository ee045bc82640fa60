"""From rungs to the table: as it was done beside the honest figure."""

from __future__ import annotations

from collections.abc import Sequence

from python_ml.experiments.ladder.cuts import Cut, Leak
from python_ml.experiments.ladder.runner import Climbed, told
from python_ml.experiments.ladder.study import Cell, Record, Section
from python_ml.training.metrics import Measurement

CEILING = "oracle"


def section_of(
    cut: Cut, leaks: Sequence[Leak], climbed: Sequence[Climbed], ceiling: Measurement | None
) -> Section:
    """Lay out the rungs of one cut; ``ceiling`` is what who knows the truth would reach."""
    records = [_record(rung) for rung in climbed]
    if ceiling is not None:
        records.append(_ceiling(ceiling))
    honest = cut.honest
    return Section(
        name="rungs",
        title=f"{cut.spec.name}, {cut.spec.horizon_days} days ahead, as of {cut.as_of}",
        records=tuple(records),
        test_date=cut.as_of if honest is None else honest.test_date,
        notes=(*_protocols(cut, leaks), *_explanations(climbed)),
    )


def _record(rung: Climbed) -> Record:
    as_done = {leak: measured.auc for leak, measured in rung.as_done.items()}
    record: dict[str, Cell] = {
        "rung": rung.rung.name + (f" ({rung.recipe})" if rung.recipe else ""),
        "idea": rung.rung.idea,
        **{f"AUC {leak}": auc for leak, auc in as_done.items()},
        "AUC honest": None,
        "leak": None,
        "gain in AUC": rung.gain.get("auc"),
    }
    if rung.honest is not None and rung.corrected is not None:
        honest = rung.honest.auc
        first = next(iter(as_done.values()))
        record |= {
            "AUC honest": honest,
            "leak": first.value - honest.value if first and honest else None,
            "log loss": rung.honest.log_loss.value,
            "corrected": rung.corrected.log_loss.value,
            "cal. error": rung.honest.calibration.error,
            "cal. corrected": rung.corrected.calibration.error,
            "(perfect ≤)": rung.corrected.calibration.perfect_p95,
        }
    return record


def _ceiling(ceiling: Measurement) -> Record:
    return {
        "rung": CEILING,
        "idea": "knows the shop's laws",
        "AUC honest": ceiling.auc,
        "log loss": ceiling.log_loss.value,
        "corrected": ceiling.log_loss.value,
        "cal. error": ceiling.calibration.error,
        "cal. corrected": ceiling.calibration.error,
        "(perfect ≤)": ceiling.calibration.perfect_p95,
    }


def _protocols(cut: Cut, leaks: Sequence[Leak]) -> list[str]:
    notes = [
        f"AUC {leak.name}: {len(cut.as_done[leak.name]):,} rows, "
        f"{cut.as_done[leak.name].label.mean():.1%} ones, split at random; label: "
        + leak.says.format(days=cut.spec.horizon_days)
        + "."
        for leak in leaks
    ]
    if cut.honest is None:
        return [*notes, f"Honest: none. {cut.reason}"]
    train, test = cut.honest.train, cut.honest.test
    by = (
        f"tested on {cut.honest.test_date}, after every outcome that was learned from"
        if cut.honest.level_tested
        else "history is too short for a later date: tested on other customers of the same dates"
    )
    return [
        *notes,
        f"Honest: {len(train):,} rows of {len(train.dates())} as-of dates train, "
        f"{len(test):,} test ({test.label.mean():.1%} ones); {by}.",
        "Gains are paired, by customer, over the first rung, those of `rich, …` over the rich one. "
        "Intervals: 95 %.",
    ]


def _explanations(climbed: Sequence[Climbed]) -> list[str]:
    found = []
    for rung in climbed:
        found += [
            f"{rung.rung.name}, {protocol}, AUC lost without: {told(costs)}."
            for protocol, costs in rung.costs.items()
        ]
        if rung.reason is not None and rung.rung.model == "recipe":
            found.append(f"{rung.rung.name}: {rung.reason}")
    return found
