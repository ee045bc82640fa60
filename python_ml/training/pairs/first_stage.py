"""First-stage models: how well an item goes with what a customer bought, without any label.

Fitted anew at every as-of date on what was known by then, so nothing of them needs to be kept:

- EASE, a closed-form linear autoencoder (Steck 2019, "Embarrassingly shallow autoencoders for
  sparse data");
- item to item by shrunk cosine (Sarwar et al. 2001);
- low rank: a truncated singular value decomposition of the scaled matrix.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.linalg import lapack
from sklearn.utils.extmath import randomized_svd

Matrix = npt.NDArray[np.float32]

MOST_ITEMS = 4_000
"""Items with collaborative scores, the most bought ones: cost grows with their cube."""
RIDGE_OF_MEAN, LEAST_RIDGE = 20.0, 50.0
"""EASE's penalty: so many times the mean item's weight, and no less than this."""
COSINE_SHRINKAGE = 3.0
FACTORS = 48
FACTOR_SHRINKAGE = 10.0
NEGLIGIBLE = 1e-6
"""Of the strongest factor: weaker ones are rounding."""


@dataclass(frozen=True, eq=False)
class FirstStage:
    """Fitted first-stage models.

    Parameters
    ----------
    top
        Positions of the items that have collaborative scores.
    ease, cosine
        Item to item, both (top, top): from what was bought to what goes with it.
    factors_in, factors_out
        Item factors (top, rank): what was bought times the first is the customer's place, and that
        times the second their scores.
    """

    top: npt.NDArray[np.int64]
    ease: Matrix
    cosine: Matrix
    factors_in: Matrix
    factors_out: Matrix

    def scores(
        self,
        bought: sparse.csr_matrix,
        recent: sparse.csr_matrix,
        items: npt.NDArray[np.int64] | None = None,
    ) -> dict[str, Matrix]:
        """Return each model's scores (customers, items); 0 for items without any.

        Parameters
        ----------
        bought, recent
            Decayed weights of the same customers, with a long and a short half life.
        items
            Positions of the items wanted, ascending, all of ``top`` among them; all by default.
        """
        items = np.arange(bought.shape[1]) if items is None else items
        where = np.searchsorted(items, self.top)
        long, short = bought[:, self.top], recent[:, self.top]
        by_name = {
            "ease": long @ self.ease,
            "ease_recent": short @ self.ease,
            "cosine": long @ self.cosine,
            "cosine_recent": short @ self.cosine,
            "low_rank": (long @ self.factors_in) @ self.factors_out.T,
        }
        found = {}
        for name, part in by_name.items():
            found[name] = np.zeros((len(part), len(items)), dtype=np.float32)
            found[name][:, where] = part
        return found


def fit_first_stage(bought: sparse.csr_matrix, *, most_items: int = MOST_ITEMS) -> FirstStage:
    """Fit all models on decayed weights (customers, items)."""
    weight = np.asarray(bought.sum(axis=0)).ravel()
    order = np.argsort(-weight, kind="stable")[:most_items]
    top = np.sort(order[weight[order] > 0])
    columns = bought[:, top]
    gram = np.asarray((columns.T @ columns).todense(), dtype=np.float32)
    factors_in, factors_out = _factors(columns)
    return FirstStage(
        top=top,
        ease=_ease(gram),
        cosine=_cosine(gram),
        factors_in=factors_in,
        factors_out=factors_out,
    )


def _ease(gram: Matrix) -> Matrix:
    if len(gram) == 0:
        return gram
    strengths = gram.diagonal().astype(np.float64)
    regular = np.array(gram, order="F")
    regular[np.diag_indices_from(regular)] += max(
        RIDGE_OF_MEAN * float(strengths.mean()), LEAST_RIDGE
    )
    factor, failed = lapack.spotrf(regular, lower=1, overwrite_a=1)
    if failed:
        raise FloatingPointError("the item matrix is not positive definite")
    inverse, _ = lapack.spotri(factor, lower=1, overwrite_c=1)
    inverse = np.tril(inverse) + np.tril(inverse, -1).T
    weights = np.asarray(-inverse / inverse.diagonal()[None, :], dtype=np.float32)
    np.fill_diagonal(weights, 0.0)
    return weights


def _cosine(gram: Matrix) -> Matrix:
    length = np.sqrt(gram.diagonal()) + COSINE_SHRINKAGE
    cosine = np.asarray(gram / length[:, None] / length[None, :], dtype=np.float32)
    np.fill_diagonal(cosine, 0.0)
    return cosine


def _factors(columns: sparse.csr_matrix) -> tuple[Matrix, Matrix]:
    """Right singular vectors of the matrix whose frequent items are scaled down."""
    rank = min(FACTORS, min(columns.shape) - 1)
    if rank < 1:
        nothing = np.zeros((columns.shape[1], 0), dtype=np.float32)
        return nothing, nothing
    buyers = np.asarray((columns > 0).sum(axis=0)).ravel()
    scale = 1.0 / np.sqrt(buyers + FACTOR_SHRINKAGE)
    scaled = (columns @ sparse.diags(scale)).astype(np.float64)
    # seeded: ARPACK restarts at random where factors are equally strong
    _, strengths, right = randomized_svd(scaled, n_components=rank, n_iter=5, random_state=0)
    vectors = right[strengths > NEGLIGIBLE * strengths.max(initial=0.0)].T
    return (vectors * scale[:, None]).astype(np.float32), vectors.astype(np.float32)
