"""Errors that a user can act on.

Every failure that a user can cause or mend is a :class:`SmartRetailError`: one sentence on what
is wrong and one on the way out. The command line prints both and exits with ``exit_code``;
anything else is a defect and keeps its traceback.
"""

from __future__ import annotations


class SmartRetailError(Exception):
    """Something that the user can mend.

    Parameters
    ----------
    message
        What is wrong, naming the file, setting, table or line.
    hint
        What to do next: a command or a flag, ready to type.
    """

    exit_code = 1

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class SettingsError(SmartRetailError):
    """A setting is missing or wrong."""

    exit_code = 2


class InputError(SmartRetailError):
    """A file or a row of the user's breaks the contract; nothing was changed."""

    exit_code = 3


class WarehouseError(SmartRetailError):
    """The database cannot be reached, started or used."""

    exit_code = 4


class ConnectionLostError(WarehouseError):
    """The database went away, or does not answer just now: doing it again may help."""


class BuildError(SmartRetailError):
    """A dbt model or test failed; what was published before stays in force."""

    exit_code = 5
    failed: tuple[str, ...] = ()
    """Unique ids of the nodes that failed, where dbt named them."""


class InterruptedBuildError(BuildError):
    """A dbt run that the database cut short, at no fault of a model: doing it again may help."""


class UnsettledError(SmartRetailError):
    """What came of earlier predictions could not be built; new ones are published all the same."""

    exit_code = 5


class StaleModelError(SmartRetailError):
    """The features have changed since the model was trained; train before scoring."""

    exit_code = 6


class BundleError(SmartRetailError):
    """A model bundle is missing, damaged or does not fit the features."""

    exit_code = 7


class NoModelError(BundleError):
    """Nothing was trained yet that could score this prediction."""


class BusyError(SmartRetailError):
    """Another run holds the publisher's lock."""

    exit_code = 8


class GateError(SmartRetailError):
    """Something moved further than it may; nothing is published, what was before stays."""

    exit_code = 9


class LostLockError(BusyError):
    """The publisher's lock was lost half way: the run that held it may change nothing more."""
