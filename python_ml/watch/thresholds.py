"""How far things may move: read from one yml, checked, and hashed into the identity of runs."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import yaml

from python_ml.errors import SettingsError

GATES_FILE = Path(__file__).with_name("gates.yml")
LIMITED = (
    "drift", "step", "missing", "unseen", "scores", "performance", "volume", "prices", "categories",
)  # fmt: skip
"""The gates, as the file names them."""

Level = Literal["warn", "refuse"]


@dataclass(frozen=True)
class Limit:
    """``floor + noise + times * usual``: beyond it the level is reached."""

    floor: float
    times: float

    def at(self, usual: float = 0.0, noise: float = 0.0) -> float:
        """Return the limit for a shop whose usual move and chance are known.

        >>> Limit(0.1, 2.0).at(usual=0.05, noise=0.01)
        0.21000000000000002
        """
        return self.floor + noise + self.times * usual


@dataclass(frozen=True)
class Gate:
    """The two limits of one gate."""

    warn: Limit
    refuse: Limit

    def level(self, value: float, usual: float = 0.0, noise: float = 0.0) -> Level | None:
        """Return which level a value reaches, if any.

        >>> gate = Gate(Limit(0.1, 1.0), Limit(0.25, 2.0))
        >>> [gate.level(value, usual=0.1) for value in (0.2, 0.3, 0.5)]
        [None, 'warn', 'refuse']
        """
        if value > self.refuse.at(usual, noise):
            return "refuse"
        return "warn" if value > self.warn.at(usual, noise) else None

    def only_warning(self) -> Gate:
        """Return the same gate for what may be warned of, and no more."""
        return Gate(self.warn, Limit(math.inf, 0.0))


@dataclass(frozen=True)
class Thresholds:
    """Every gate, the challenger's margin, and a digest of the file that they come from."""

    gates: dict[str, Gate]
    challenger_margin: float
    digest: str

    def __getitem__(self, name: str) -> Gate:
        return self.gates[name]


def read_thresholds(path: Path | None = None) -> Thresholds:
    """Read the thresholds: those of the project, or a shop's own.

    Raises
    ------
    SettingsError
        When the file is not there, or lacks a gate, or a figure is no number above or equal to 0.
    """
    path = path or GATES_FILE
    try:
        content = path.read_bytes()
        given = yaml.safe_load(content)
        gates = {name: Gate(*(_limit(given[name][level]) for level in ("warn", "refuse")))
                 for name in LIMITED}  # fmt: skip
        margin = _figure(given["challenger"]["margin"])
    except OSError as error:
        raise SettingsError(
            f"The thresholds of the gates cannot be read: {error}.",
            "Set SMARTRETAIL_GATES_FILE to a file like python_ml/watch/gates.yml.",
        ) from None
    except (KeyError, TypeError, ValueError, yaml.YAMLError) as error:
        raise SettingsError(
            f"{path} does not say every threshold: {error}.",
            "Copy python_ml/watch/gates.yml and change figures only.",
        ) from None
    for name, gate in gates.items():
        if gate.refuse.floor < gate.warn.floor or gate.refuse.times < gate.warn.times:
            raise SettingsError(
                f"{path}: {name} refuses before it warns.", "Let `refuse` be the larger one."
            )
    return Thresholds(gates, margin, hashlib.sha256(content).hexdigest()[:16])


def _limit(given: dict[str, object]) -> Limit:
    return Limit(_figure(given["floor"]), _figure(given["times"]))


def _figure(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise ValueError(f"{value!r} is no number from 0 up")
    return float(value)
