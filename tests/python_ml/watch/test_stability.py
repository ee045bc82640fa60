"""The stability index and its limits: what holds for every distribution."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from python_ml.watch.stability import (
    psi,
    psi_noise,
    share_noise,
    shares,
    usual_move,
    usual_step,
)
from python_ml.watch.thresholds import Gate, Limit

COUNTS = arrays(np.float64, 6, elements=st.integers(0, 10_000).map(float))


@given(COUNTS)
def test_shares_add_up_and_none_is_empty(counts: np.ndarray) -> None:
    found = shares(counts)
    assert found.min() > 0
    assert found.sum() == pytest.approx(1)


@given(COUNTS)
def test_what_did_not_move_has_index_0(counts: np.ndarray) -> None:
    assert psi(shares(counts), shares(counts)) == 0


@given(COUNTS, COUNTS)
def test_the_index_is_the_same_both_ways_and_never_below_0(
    first: np.ndarray, second: np.ndarray
) -> None:
    there, back = psi(shares(first), shares(second)), psi(shares(second), shares(first))
    assert there == pytest.approx(back)
    assert there >= 0


@given(COUNTS, COUNTS, st.permutations(range(6)))
def test_the_order_of_bins_does_not_matter(
    first: np.ndarray, second: np.ndarray, order: list[int]
) -> None:
    assert psi(shares(first), shares(second)) == pytest.approx(
        psi(shares(first[order]), shares(second[order])), abs=1e-12
    )


@given(st.floats(0.02, 0.98), st.floats(0.02, 0.98), st.floats(0.02, 0.98))
def test_moving_further_the_same_way_is_never_a_smaller_move(
    start: float, end: float, part: float
) -> None:
    def two(share: float) -> np.ndarray:
        return np.array([share, 1 - share])

    middle = start + (end - start) * part
    assert psi(two(start), two(middle)) <= psi(two(start), two(end)) + 1e-12


def test_chance_alone_stays_under_the_noise() -> None:
    random = np.random.default_rng(1)
    truth = np.array([0.05, 0.1, 0.15, 0.3, 0.4])
    rows, other_rows = 600, 900
    first = shares(random.multinomial(rows, truth, size=4_000).astype(np.float64))
    second = shares(random.multinomial(other_rows, truth, size=4_000).astype(np.float64))
    moves = psi(first, second)
    limit = psi_noise(len(truth), rows, other_rows)
    assert (moves > limit).mean() < 0.002
    assert np.quantile(moves, 0.999) > limit / 2, "a limit that far off is none"


@given(st.integers(2, 30), st.floats(10, 1e6), st.floats(10, 1e6))
def test_noise_falls_with_rows_and_grows_with_bins(bins: int, rows: float, other: float) -> None:
    noise = psi_noise(bins, rows, other)
    assert psi_noise(bins, rows * 2, other) < noise < psi_noise(bins + 1, rows, other)
    assert psi_noise(1, rows, other) == 0


@given(st.floats(0, 1), st.floats(0, 1), st.floats(1, 1e6), st.floats(1, 1e6))
def test_noise_of_a_share_is_never_0_and_falls_with_rows(
    share: float, other: float, rows: float, other_rows: float
) -> None:
    noise = share_noise(share, other, rows, other_rows)
    assert noise > 0
    assert share_noise(share, other, rows * 4, other_rows * 4) < noise


def months(moves_per_step: float, count: int = 10) -> tuple[np.ndarray, np.ndarray]:
    """Moves between dates of a feature that goes its way steadily: squares of the distance."""
    days = np.arange(count) * 30.0
    return moves_per_step * ((days[:, None] - days[None, :]) / 30) ** 2, days


@pytest.mark.parametrize("steps", [1, 2, 4])
def test_a_steady_drift_is_usual_at_any_lag(steps: int) -> None:
    moves, days = months(0.01)
    assert usual_move(moves, days, 30.0 * steps) == pytest.approx(0.01 * steps**2)
    assert usual_step(moves, days, 30.0) == pytest.approx(0.01)


def test_a_lag_that_the_dates_do_not_span_is_stretched() -> None:
    moves, days = months(0.01, count=5)  # 120 days, asked for 240
    assert usual_move(moves, days, 240.0) == pytest.approx(0.01 * 8**2)


def test_a_season_that_was_there_a_year_ago_is_no_move() -> None:
    days = np.arange(24) * 30.4
    season = np.sin(2 * np.pi * days / 364.8)
    moves = (season[:, None] - season[None, :]) ** 2
    usual = usual_move(moves, days, 182.0)
    assert usual is not None
    from_each = (np.sin(2 * np.pi * (days[-1] + 182) / 364.8) - season) ** 2
    assert from_each.min() <= usual + 1e-9


def test_two_dates_have_no_habit() -> None:
    moves, days = months(0.01, count=2)
    assert usual_move(moves, days, 30.0) is None
    assert usual_step(moves, days, 30.0) is None


@given(st.floats(0, 5), st.floats(0, 1), st.floats(0, 1))
def test_what_is_refused_would_have_been_warned_of(
    value: float, usual: float, noise: float
) -> None:
    gate = Gate(Limit(0.1, 1.0), Limit(0.3, 2.0))
    level = gate.level(value, usual, noise)
    if level is not None:
        assert value > gate.warn.at(usual, noise)
    if level != "refuse":
        assert gate.level(value / 2, usual, noise) != "refuse"
    assert gate.level(value, usual + 5, noise) is None
