"""Five kills, one in each phase; ``make faults`` makes a hundred."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.kills import PHASES, Killer
from tests.faults.shop import FaultShop


@pytest.fixture(scope="module")
def killer(make_database: Callable[[], str], tmp_path_factory: pytest.TempPathFactory) -> Killer:
    """A small shop, and what each phase took last time on two busy cores."""
    shop = FaultShop(tmp_path_factory.mktemp("faults"), make_database())
    guesses = {"load": 0.4, "build": 8.0, "train": 0.8, "score": 0.5, "publish": 6.0}
    return Killer(shop, seed=5, seconds=guesses)


@pytest.mark.parametrize(
    "phase",
    [
        pytest.param(phase, marks=() if phase in ("score", "publish") else pytest.mark.slow)
        for phase in PHASES
    ],
)
def test_after_a_kill_the_marts_stand_and_the_next_run_succeeds(killer: Killer, phase: str) -> None:
    killer.kill_in(phase, 0)
