"""All features: which there are, in which order the ranker reads them, and which version of them this code computes.

The order of the groups, and within a group that of the module, is the order of the columns.
"""

import hashlib
import json
from functools import cache
from types import ModuleType
from typing import Any

import numpy as np

from recsys_core.features import context, items, user_item, users
from recsys_core.features.feature import Entity, Feature, declared_in
from recsys_core.fingerprint import code_version

FeatureSet = dict[str, dict[str, object]]
"""The declaration and code of each feature by name, in the order of the columns; JSON-serialisable."""

GROUPS: tuple[ModuleType, ...] = (items, users, user_item, context)
"""A module per group. The features that it declares need not be named anywhere else."""


FEATURES: tuple[Feature[Any], ...] = tuple(one for group in GROUPS for one in declared_in(group))
"""All features, in the order of the ranker's columns."""

CODE = ("recsys_core.features", "recsys_core.data.histories", "recsys_core.data.schemas")
"""Packages whose code counts for a feature. How tables are stored and towers trained does not change a feature."""

FEATURE_NAMES: tuple[str, ...] = tuple(one.name for one in FEATURES)

DEFAULTS = np.array([one.default for one in FEATURES], dtype=np.float32)
"""(n_features,) what the ranker reads where a value is missing or stale."""


def features_of(entity: Entity) -> tuple[Feature[Any], ...]:
    """The features of one entity, in the order of the columns."""
    return tuple(one for one in FEATURES if one.entity == entity)


def names_of(entity: Entity) -> list[str]:
    """Their names."""
    return [one.name for one in features_of(entity)]


@cache
def feature_set() -> FeatureSet:
    """The feature set of this code: the declaration of each feature, and the version of the code that computes it.

    The code of a feature is its function and all that it reaches in `CODE`; what people read, and how a line is
    written, does not count.
    """
    return {
        one.name: {**one.declared(), "code": code_version(one.function, packages=CODE, parameters={}, libraries=[])}
        for one in FEATURES
    }


def feature_set_version(declared: FeatureSet | None = None) -> str:
    """Sixteen hex digits over a feature set, by default that of this code: order, declarations and code."""
    return _own_version() if declared is None else _version_of(declared)


def differences(theirs: FeatureSet) -> list[str]:
    """The differences between another feature set and that of this code, as sentences; empty without any."""
    ours = feature_set()
    shared = [name for name in ours if name in theirs]
    recoded = [name for name in shared if ours[name]["code"] != theirs[name].get("code")]
    found = [f"{name} is new" for name in ours if name not in theirs]
    found += [f"{name} is gone" for name in theirs if name not in ours]
    for name in shared:
        found += _declaration_changes(name, theirs[name], ours[name])
    if recoded:
        found.append(f"the code of {', '.join(recoded)} changed")
    if not found and list(ours) != list(theirs):
        found.append("the order of the features changed")
    return found


def _declaration_changes(name: str, before: dict[str, object], now: dict[str, object]) -> list[str]:
    """A sentence for each changed field of a feature's declaration; its code is no field."""
    changed = [field for field in now if field != "code" and now[field] != before.get(field)]
    return [f"{name}: {field} was {before.get(field)} and is {now[field]}" for field in changed]


@cache
def _own_version() -> str:
    return _version_of(feature_set())


def _version_of(declared: FeatureSet) -> str:
    text = json.dumps(list(declared.items()), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
