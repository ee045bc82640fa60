"""The model in force as a champion: what its bundle knows of it."""

from __future__ import annotations

from python_ml.training.bundle import Bundle
from python_ml.training.pairs.bundle import PairBundle
from python_ml.training.recipes.base import Recipe
from python_ml.training.tried import Tried
from python_ml.watch.challenge import Champion


def champion_of(bundle: Bundle | PairBundle, feature_hash: str) -> Champion:
    """Return what a challenger needs to know of the model in force.

    Parameters
    ----------
    feature_hash
        Of the features as they are now.
    """
    kept = bundle.tried if isinstance(bundle, Bundle) else None
    return Champion(
        bundle_id=bundle.bundle_id,
        recipe=bundle.recipe,
        same_features=bundle.feature_hash == feature_hash,
        tried=None if kept is None else Tried.from_json(kept),
    )


def recipe_beside(bundle: Bundle | PairBundle | None, champion: Champion | None) -> Recipe | None:
    """Return the champion's recipe, what it chose fixed, for fitting it on the same dates again.

    None where its features are no more: then it is compared where it was tested itself.
    """
    if champion is None or not champion.same_features or not isinstance(bundle, Bundle):
        return None
    return bundle.published.model.as_recipe()
