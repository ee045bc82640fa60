"""The gates on scores and on the model: what moves, what habit excuses, what chance does."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from python_ml.watch.scores import Scored, judge_performance, judge_scores, score_move
from python_ml.watch.scores import TestedAuc as AucOnTest
from python_ml.watch.thresholds import read_thresholds

THRESHOLDS = read_thresholds()
CUSTOMERS = 2_000


def scored(month: int, *, shift: float = 0.0, customers: int = CUSTOMERS) -> Scored:
    """Probabilities of a month, their logits moved by ``shift``."""
    logit = np.random.default_rng(month).normal(-0.5, 1.2, customers) + shift
    return Scored(date(2025, month, 1), 1 / (1 + np.exp(-logit)), customers)


def test_the_same_kind_of_scores_passes() -> None:
    assert judge_scores(scored(6), scored(5), THRESHOLDS).level == "passed"


@pytest.mark.parametrize(("shift", "level"), [(0.8, "warn"), (-0.8, "warn"), (2.0, "refuse")])
def test_scores_that_moved_are_told_with_their_means(shift: float, level: str) -> None:
    now, before = scored(6, shift=shift), scored(5)
    verdict = judge_scores(now, before, THRESHOLDS)
    assert verdict.level == level
    assert "the probabilities moved since the run of 2025-05-01" in verdict.text()
    assert f"mean {before.probability.mean():.3f}, now {now.probability.mean():.3f}" in (
        verdict.text()
    )


def test_what_moved_as_far_before_is_usual() -> None:
    now, before = scored(6, shift=0.8), scored(5)
    usual = score_move(now.probability, before.probability)
    assert judge_scores(now, before, THRESHOLDS, usual=usual).level == "passed"
    assert judge_scores(scored(6, shift=2.0), before, THRESHOLDS, usual=usual).level != "passed"


def test_a_small_shop_may_move_further_by_chance() -> None:
    few = [scored(month, shift=0.8 * (month == 6), customers=120) for month in (5, 6)]
    assert judge_scores(few[1], few[0], THRESHOLDS).level == "passed"


def test_what_cannot_be_judged_is_said() -> None:
    first = judge_scores(scored(6), None, THRESHOLDS)
    assert (first.level, first.not_judged) == ("passed", ("scores: no earlier run is published",))
    tiny = judge_scores(scored(6, shift=3.0), scored(5, customers=20), THRESHOLDS)
    assert tiny.level == "passed"
    assert tiny.not_judged[0].startswith("scores: fewer than")


def auc(value: float, spread: float = 0.02, test_date: str = "2025-06-01") -> AucOnTest:
    return AucOnTest(value, value - spread, value + spread, test_date)


@pytest.mark.parametrize(
    ("now", "spread", "level"),
    [
        (0.80, 0.02, "passed"),
        (0.73, 0.02, "warn"),
        (0.68, 0.02, "refuse"),
        (0.73, 0.05, "passed"),  # the intervals meet
        (0.90, 0.02, "passed"),  # better is no alarm
    ],
)
def test_a_model_that_ranks_worse_than_the_one_in_force_is_told(
    now: float, spread: float, level: str
) -> None:
    before = {"": auc(0.80, spread, "2025-05-01")}
    verdict = judge_performance({"": auc(now, spread)}, before, THRESHOLDS)
    assert verdict.level == level
    assert ("ranks worse than the one in force" in verdict.text()) == (level != "passed")


def test_each_level_is_held_against_its_own() -> None:
    before = {"product": auc(0.85), "category": auc(0.75)}
    now = {"product": auc(0.75), "category": auc(0.75), "brand": auc(0.5)}
    verdict = judge_performance(now, before, THRESHOLDS)
    assert [finding.subject for finding in verdict.findings] == ["product"]
