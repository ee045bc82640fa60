"""What a prediction declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from python_ml.training.pairs.spec import PairSpec
from python_ml.training.spec import PredictionSpec


@dataclass(frozen=True)
class Prediction:
    """A prediction that the product can train, score and publish.

    Parameters
    ----------
    name
        As in ``feat_<name>``, ``label_<name>`` and ``predictions.<name>``.
    question
        What it answers, for help texts and reports.
    entity_columns
        Key of its rows beside ``as_of_date``.
    group_column
        Whose rows stay together in folds and in the bootstrap: the customer.
    horizon_days
        Length of the window it looks at, unless the user says otherwise.
    spec
        Its candidates for a given horizon.
    """

    name: str
    question: str
    entity_columns: tuple[str, ...]
    group_column: str
    horizon_days: int
    spec: Callable[[int], PredictionSpec]

    @property
    def features_table(self) -> str:
        """Where dbt puts its features."""
        return f"features.feat_{self.name}"

    @property
    def labels_table(self) -> str:
        """Where dbt puts its labels."""
        return f"labels.label_{self.name}"


@dataclass(frozen=True)
class PairPrediction:
    """A prediction over pairs of customer and item, which are put together from three sides.

    ``feat_<name>`` holds what is known of items, ``feat_<name>_customers`` what is known of
    customers, and first-stage models fitted on ``int_interactions`` say how they go together.

    Parameters
    ----------
    name
        As in ``feat_<name>``, ``label_<name>`` and ``predictions.<name>``.
    question
        What it answers, for help texts and reports.
    entity_columns
        Key of its rows beside ``as_of_date``.
    group_column
        Whose rows stay together in folds and in the bootstrap: the customer.
    horizon_days
        Length of the window it looks at, unless the user says otherwise.
    efforts
        How much is looked at, by the name of the effort.
    """

    name: str
    question: str
    entity_columns: tuple[str, ...]
    group_column: str
    horizon_days: int
    efforts: Mapping[str, PairSpec]

    @property
    def features_table(self) -> str:
        """Where dbt puts the features of items."""
        return f"features.feat_{self.name}"

    @property
    def customers_table(self) -> str:
        """Where dbt puts the features of customers."""
        return f"features.feat_{self.name}_customers"

    @property
    def labels_table(self) -> str:
        """Where dbt puts the pairs that came true."""
        return f"labels.label_{self.name}"


AnyPrediction = Prediction | PairPrediction
