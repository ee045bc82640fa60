"""Champion and challenger: whether a new model may take the place of the one in force.

What is compared are recipes, not fits: both learned from the same dates and are measured on rows
that neither saw, customer by customer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from python_ml.training.metrics import Interval, log_loss, paired_gain
from python_ml.training.tried import Tried

ROUNDS = 400
FEWEST_CUSTOMERS = 100
"""Fewer tell nothing: the newer model takes over."""


@dataclass(frozen=True)
class Champion:
    """The model in force, as far as a challenger needs to know it.

    Parameters
    ----------
    tried
        What it said of its test rows; None in bundles from before these were kept.
    same_features
        Whether it was trained on the features as they are now: then its recipe can be fitted again.
    """

    bundle_id: str
    recipe: str
    same_features: bool
    tried: Tried | None = None

    @property
    def tried_on(self) -> str | None:
        """The date on which it was tested, where only its own features can tell."""
        if self.same_features or self.tried is None or not self.tried.level_tested:
            return None
        return self.tried.test_date


@dataclass(frozen=True)
class Challenge:
    """What came of a challenge.

    Parameters
    ----------
    compared
        ``recipes``: both fitted again on every test of this training. ``features``: each recipe on
        the features that it had, at the date on which the champion was tested. ``nothing``: there
        was nothing to compare, or nothing to compare it on.
    gain
        Log-loss that the challenger saves; below zero it is worse.
    """

    champion: str
    champion_recipe: str
    challenger_recipe: str
    compared: Literal["recipes", "features", "nothing"]
    promoted: bool
    text: str
    gain: Interval | None = None
    customers: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return what the bundle of the challenger keeps: plain JSON types."""
        gain = self.gain
        return {
            "champion": self.champion,
            "champion_recipe": self.champion_recipe,
            "challenger_recipe": self.challenger_recipe,
            "compared": self.compared,
            "promoted": self.promoted,
            "text": self.text,
            "gain": None if gain is None else [gain.value, gain.low, gain.high],
            "customers": self.customers,
        }


def challenge(
    champion: Champion, challenger: str, rounds: Sequence[Tried], *, margin: float, seed: int
) -> Challenge:
    """Compare the recipe chosen now with that of the model in force.

    Parameters
    ----------
    challenger
        Name of the recipe that was chosen.
    rounds
        Every test of this training, the reported one last.
    margin
        Log-loss by which the challenger must be worse, for certain, to stay out.
    """
    if champion.same_features:
        if champion.recipe == challenger:
            return _unopposed(champion, challenger, f"the same recipe, {challenger}, fitted anew")
        both = [t for t in rounds if {champion.recipe, challenger} <= t.as_published.keys()]
        if not both:
            return _unopposed(champion, challenger, f"{champion.recipe} cannot be fitted any more")
        return _compared(
            champion,
            challenger,
            "recipes",
            label=np.concatenate([t.label for t in both]),
            old=np.concatenate([t.as_published[champion.recipe] for t in both]),
            new=np.concatenate([t.as_published[challenger] for t in both]),
            group=np.concatenate([t.group for t in both]),
            where=f"{len(both)} tests up to {both[-1].test_date}",
            margin=margin,
            seed=seed,
        )
    old = champion.tried
    if old is None or champion.recipe not in old.as_published:
        return _unopposed(champion, challenger, "the model in force kept no test to compare with")
    same_date = [t for t in rounds if t.test_date == old.test_date]
    if not same_date:
        return _unopposed(champion, challenger, f"no test falls on {old.test_date}, the champion's")
    new = same_date[-1]
    rows = pd.DataFrame(
        {"key": old.key, "old": old.as_published[champion.recipe], "label": old.label}
    ).merge(
        pd.DataFrame(
            {"key": new.key, "new": new.as_published[challenger], "group": new.group,
             "label_now": new.label}
        ),
        on="key",
    )  # fmt: skip
    return _compared(
        champion,
        challenger,
        "features",
        label=rows["label_now"].to_numpy(np.float64),
        old=rows["old"].to_numpy(np.float64),
        new=rows["new"].to_numpy(np.float64),
        group=rows["group"].to_numpy(object),
        where=f"the test of {old.test_date}",
        margin=margin,
        seed=seed,
    )


def _unopposed(champion: Champion, challenger: str, why: str) -> Challenge:
    return Challenge(
        champion.bundle_id, champion.recipe, challenger, "nothing", True, f"not compared: {why}"
    )


def _compared(
    champion: Champion,
    challenger: str,
    compared: Literal["recipes", "features"],
    *,
    label: np.ndarray,
    old: np.ndarray,
    new: np.ndarray,
    group: np.ndarray,
    where: str,
    margin: float,
    seed: int,
) -> Challenge:
    customers = len(set(group))
    if customers < FEWEST_CUSTOMERS:
        return _unopposed(champion, challenger, f"only {customers} customers were tested by both")
    gain = paired_gain(label, new, old, group, rounds=ROUNDS, seed=seed)["log_loss"]
    promoted = not (gain.high < 0 and gain.value < -margin)
    verdict = "promoted" if promoted else "stays out"
    text = (
        f"challenger {challenger} {verdict} against {champion.recipe}: log-loss "
        f"{log_loss(label, new):.4f} against {log_loss(label, old):.4f}, saves {gain.value:+.4f} "
        f"({gain.low:+.4f} to {gain.high:+.4f}) on {customers:,} customers in {where}"
        + (", each on its own features" if compared == "features" else "")
    )
    return Challenge(
        champion.bundle_id,
        champion.recipe,
        challenger,
        compared,
        promoted,
        text,
        gain,
        customers,
    )


def challenge_of_pairs(
    champion: Champion,
    chosen: Mapping[str, str],
    gains: Mapping[str, Mapping[str, Interval]],
    *,
    margin: float,
) -> Challenge:
    """Compare the rankings chosen now with those in force, on the test that both were fitted for.

    Parameters
    ----------
    chosen
        The recipe of each level.
    gains
        By level: what the chosen recipe gains in NDCG over each other one, paired by customer.
    """
    recipe = ", ".join(f"{level}: {name}" for level, name in chosen.items())
    if not champion.same_features:
        return _unopposed(champion, recipe, "the features of pairs have changed")
    before = dict(part.split(": ", 1) for part in champion.recipe.split(", "))
    worse, told = [], []
    for level, name in chosen.items():
        gain = gains.get(level, {}).get(before.get(level, ""))
        if gain is None:
            continue
        told.append(
            f"{level}: {name} against {before[level]}, NDCG {gain.value:+.4f} "
            f"({gain.low:+.4f} to {gain.high:+.4f})"
        )
        if gain.high < 0 and gain.value < -margin:
            worse.append(level)
    if not told:
        return _unopposed(champion, recipe, f"the same recipes, {recipe}, fitted anew")
    verdict = f"stays out ({', '.join(worse)})" if worse else "promoted"
    return Challenge(
        champion.bundle_id,
        champion.recipe,
        recipe,
        "recipes",
        not worse,
        f"challenger {verdict}: {'; '.join(told)}",
    )
