"""A feature: a pure function over arrays, with a declaration of its values above it.

The name of the function is the name of the feature, and its docstring says what the feature means. All else follows
from the declaration: schemas, documentation, the order of the ranker's columns, the computation of a request, the
columns watched for drift. So a feature is written in one place.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Generic, Literal, TypeVar

import numpy as np

from recsys_core.arrays import Float32s

Entity = Literal["item", "user", "user-item", "context"]
Inputs = TypeVar("Inputs")
Function = Callable[[Inputs], Float32s]

NO_DEFAULT = float("nan")
"""The default of a feature whose absence the ranker has met in training: its trees have a branch for it."""

LONGEST_DAYS = 40_000.0
"""A bound that no value in days reaches, since the last rating that is believed comes 38,342 days after the first, and
that nearly every value in seconds passes: it guards the unit."""

CENTURIES = 250.0
"""Years, for the same reason: from the first films to the last date that a rating may have."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Feature(Generic[Inputs]):
    """One declared number.

    Attributes:
        function: from the entity's inputs to values, float32: (n_items,) of items, (n_users,) of users and context,
            (n_users, n_candidates) of pairs; NaN where undefined.
        entity: whose number it is.
        unit: of the values.
        low: least defined value, inclusive; None where there is no bound.
        high: the same for the greatest.
        sources: columns that it is computed from, as `asset.column`.
        default: what the ranker reads where the value is missing or stale.
        may_be_missing: whether NaN is a state of the world (a movie without a year) rather than a fault.
        max_age_days: a value that was computed longer before the request counts as stale; None for what is computed at
            the request itself.
        owner: who is asked when it looks wrong.
    """

    function: Function[Inputs]
    entity: Entity
    unit: str
    low: float | None
    high: float | None
    sources: tuple[str, ...]
    default: float
    may_be_missing: bool
    max_age_days: int | None
    owner: str
    dtype: str = "Float32"

    @property
    def name(self) -> str:
        """The function's name."""
        return self.function.__name__

    @property
    def group(self) -> str:
        """The module that declares it."""
        return self.function.__module__.rpartition(".")[2]

    @property
    def description(self) -> str:
        """The function's docstring, in one line."""
        return " ".join((inspect.getdoc(self.function) or "").split())

    def declared(self) -> dict[str, object]:
        """Everything that holds of the values, as JSON can hold it; what people read is left out."""
        return {
            "entity": self.entity,
            "dtype": self.dtype,
            "unit": self.unit,
            "low": self.low,
            "high": self.high,
            "sources": list(self.sources),
            "default": None if np.isnan(self.default) else self.default,
            "may_be_missing": self.may_be_missing,
            "max_age_days": self.max_age_days,
        }

    def __call__(self, inputs: Inputs) -> Float32s:
        """The values."""
        return self.function(inputs)


def feature(  # noqa: PLR0913  # one keyword for each thing that is declared
    *,
    entity: Entity,
    unit: str,
    sources: tuple[str, ...],
    low: float | None = 0.0,
    high: float | None = None,
    default: float = NO_DEFAULT,
    may_be_missing: bool = False,
    max_age_days: int | None = None,
    owner: str = "team:recsys",
) -> Callable[[Function[Any]], Feature[Any]]:
    """Declare the function below to be a feature; see `Feature` for the words."""

    def declare(function: Function[Any]) -> Feature[Any]:
        return Feature(
            function=function,
            entity=entity,
            unit=unit,
            low=low,
            high=high,
            sources=sources,
            default=default,
            may_be_missing=may_be_missing,
            max_age_days=max_age_days,
            owner=owner,
        )

    return declare


def declared_in(group: ModuleType) -> tuple[Feature[Any], ...]:
    """The features that a module declares, in its order; those that it merely reads belong to another."""
    own = group.__name__.rpartition(".")[2]
    return tuple(one for one in vars(group).values() if isinstance(one, Feature) and one.group == own)
