"""Candidates are new to the customer, bounded, and described by what proposed them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from python_ml.training.pairs import candidates
from python_ml.training.pairs.candidates import Pairs, candidate_pairs
from python_ml.training.pairs.first_stage import fit_first_stage
from tests.python_ml.training.pairs.shops import snapshot


def pairs(most: int) -> Pairs:
    (found,) = list(candidate_pairs(snapshot(), np.arange(60), most))
    return found


@pytest.mark.parametrize("most", [1, 5, 500])
def test_no_customer_is_offered_what_they_own_or_more_than_asked(most: int) -> None:
    found, owned = pairs(most), snapshot().owned.toarray() > 0
    assert not owned[found.customer, found.item].any()
    assert np.bincount(found.customer).max() <= most
    assert len(set(zip(found.customer, found.item, strict=True))) == len(found)


def test_a_larger_bound_keeps_what_a_smaller_one_found() -> None:
    small, large = pairs(3), pairs(10)
    as_set = [set(zip(p.customer.tolist(), p.item.tolist(), strict=True)) for p in (small, large)]
    assert as_set[0] <= as_set[1]


def test_taste_runs_along_categories() -> None:
    found = pairs(500)
    own_half = found.customer % 2 == found.item % 2
    affinity = found.features["affinity_category"].to_numpy()
    assert affinity[own_half].min() == 1.0
    assert affinity[~own_half].max() == 0.0


def test_a_product_never_sold_is_a_candidate_by_its_category() -> None:
    shop = snapshot()
    items = shop.item_features.copy()
    unsold = 1  # of the second half
    items.loc[unsold, ["product_new_buyer_share_decayed_14d", "product_lines_total"]] = 0.0
    items.loc[unsold, ["product_age_days", "product_mean_price"]] = np.nan
    columns = np.ones(len(shop.items))
    columns[unsold] = 0.0
    blank = {
        name: (getattr(shop, name).multiply(columns)).tocsr()
        for name in ("bought", "recent", "owned")
    }
    (found,) = list(
        candidate_pairs(replace(shop, item_features=items, **blank), np.arange(60), 500)
    )
    of_unsold = found.item == unsold
    assert of_unsold.sum() == 60
    fond = found.customer[of_unsold] % 2 == 1
    affinity = found.features.loc[of_unsold, "affinity_category"].to_numpy()
    assert affinity[fond].min() > affinity[~fond].max()


def test_rows_stay_grouped_by_customer_and_columns_are_known() -> None:
    found = pairs(8)
    assert (np.diff(found.customer) >= 0).all()
    assert isinstance(found.features, pd.DataFrame)
    themes = {str(name).split("_")[0] for name in found.features.columns}
    assert themes == {"collaborative", "affinity", "item", "customer"}


def test_what_is_the_same_for_everybody_is_ranked_like_everything_else() -> None:
    random = np.random.default_rng(5)
    values = random.permutation(40).astype(np.float32) - 4  # without ties; some are not offered
    owned = random.random((9, 40)) < 0.3
    alike = np.tile(values, (9, 1))
    for most in (1, 7, 40):
        np.testing.assert_array_equal(
            candidates._shared_ranks(values, owned, most), candidates._ranks(alike, owned, most)
        )


def test_a_large_shop_looks_at_a_shelf_that_leaves_no_category_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    everything = pairs(500)
    monkeypatch.setattr(candidates, "MOST_POPULAR", 6)
    monkeypatch.setattr(candidates, "BEST_OF_GROUP", 5)
    shop = replace(snapshot(), stage=fit_first_stage(snapshot().bought, most_items=4))
    (found,) = list(candidate_pairs(shop, np.arange(60), 500))
    items = set(found.item.tolist())
    assert len(items) < len(set(everything.item.tolist()))
    buyers = shop.item_features["product_new_buyer_share_decayed_14d"].to_numpy()
    assert set(np.argsort(-buyers, kind="stable")[:6].tolist()) <= items
    assert set(shop.stage.top.tolist()) <= items
    assert {shop.item_features["category_name"][i] for i in items} == {"half 0", "half 1"}
    of_late = shop.item_features["product_new_buyer_share_decayed_45d"].to_numpy()
    for half in (0, 1):
        own = np.arange(half, len(shop.items), 2)
        assert set(own[np.argsort(-of_late[own], kind="stable")[:5]].tolist()) <= items
    # an item on the shelf is described as it is without one
    kept = [i for i in sorted(items) if i not in set(shop.stage.top.tolist())]
    of_all = everything.features[np.isin(everything.item, kept)]
    of_shelf = found.features[np.isin(found.item, kept)]
    for column in ("affinity_category", "affinity_price", "item_product_lines_total"):
        np.testing.assert_array_equal(of_all[column], of_shelf[column])
