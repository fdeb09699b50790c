"""What follows from the declarations of features: the order of columns, a version, and what breaks them."""

import hashlib
import json
from dataclasses import asdict

import polars as pl

from recsys_core.features.declarations import FEATURES, Entity

FEATURE_NAMES: tuple[str, ...] = tuple(feature.name for feature in FEATURES)


def names_of(entity: Entity) -> list[str]:
    """The features of one entity, in matrix order."""
    return [feature.name for feature in FEATURES if feature.entity == entity]


def feature_set_version() -> str:
    """Sixteen hex digits over all declarations: a ranker refuses features of any other version."""
    declared = json.dumps([asdict(feature) for feature in FEATURES], sort_keys=True)
    return hashlib.sha256(declared.encode()).hexdigest()[:16]


def violations(rows: pl.DataFrame) -> list[str]:
    """Where a table of features breaks the declarations, as sentences; empty when it keeps them.

    Args:
        rows: one column per feature, NaN or null where undefined.
    """
    found = []
    for feature in FEATURES:
        if feature.name not in rows.columns:
            found.append(f"{feature.name} is absent")
            continue
        values = rows[feature.name].fill_nan(None)
        if values.null_count() and not feature.may_be_missing:
            found.append(f"{feature.name} is missing in {values.null_count()} rows, but is declared to be always there")
        if values.is_infinite().any():
            found.append(f"{feature.name} is infinite in {values.is_infinite().sum()} rows")
        low = feature.low is not None and values.filter(values < feature.low).len()
        high = feature.high is not None and values.filter(values > feature.high).len()
        if low or high:
            bounds = f"[{feature.low}, {feature.high}]"
            found.append(f"{feature.name} leaves {bounds} in {int(low) + int(high)} rows")
    return found
