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
"""The default of a feature that is also missing in training: the trees have a branch for missing values."""

LONGEST_DAYS = 40_000.0
"""A bound in days that no valid value reaches (the last accepted rating comes 38,342 days after the first) and that
nearly every value in seconds exceeds: it guards the unit."""

CENTURIES = 250.0
"""A bound in years for the same reason: from the first films to the last accepted date of a rating."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Feature(Generic[Inputs]):
    """One declared feature.

    Attributes:
        function: from the entity's inputs to values, float32: (n_items,) of items, (n_users,) of users and context,
            (n_users, n_candidates) of pairs; NaN where undefined.
        entity: the kind of object that it describes.
        unit: of the values.
        low: lowest valid value, inclusive; None for no bound.
        high: highest valid value, likewise.
        sources: columns that it is computed from, as `asset.column`.
        default: the ranker's input if the value is missing or stale.
        may_be_missing: whether NaN is valid (a movie without a year) and not an error.
        max_age_days: a value that was computed longer before the request is stale; None for values that are computed at
            the request itself.
        owner: contact for questions.
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
        """The declaration as JSON values, without the fields for readers (description and owner)."""
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
    """Declare the decorated function as a feature; see `Feature` for the arguments."""

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
    """The features that a module declares, in its order; imported features belong to other modules."""
    own = group.__name__.rpartition(".")[2]
    return tuple(one for one in vars(group).values() if isinstance(one, Feature) and one.group == own)
