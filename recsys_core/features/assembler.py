"""Assemble the ranker's input: requests and their candidates -> one float32 block, columns in the registry's order.

The same functions serve one user at a request and thousands of users in training.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.arrays import Float32s, Int64s
from recsys_core.days import DAY_S
from recsys_core.features.pairs import Pairs
from recsys_core.features.registry import DEFAULTS, FEATURE_NAMES, FEATURES, features_of
from recsys_core.features.state import RequestBatch
from recsys_core.feedback.values import FRESH, MISSING, STALE

UInt8s = npt.NDArray[np.uint8]

_AT = {name: at for at, name in enumerate(FEATURE_NAMES)}
_ITEM, _USER, _PAIR, _CONTEXT = (features_of(entity) for entity in ("item", "user", "user-item", "context"))
_ITEM_COLUMNS = [_AT[one.name] for one in _ITEM]
_USER_COLUMNS = [_AT[one.name] for one in _USER]
_MAX_AGES_S = DAY_S * np.array([np.inf if one.max_age_days is None else one.max_age_days for one in _ITEM])


@dataclass(frozen=True, kw_only=True)
class FeatureBlock:
    """The ranker's input, (n_users, n_candidates, n_features) each.

    Attributes:
        values: with the declared default wherever the state is not FRESH; NaN where there is no candidate.
        states: of each value; MISSING where there is no candidate.
    """

    values: Float32s
    states: UInt8s


def assemble(requests: RequestBatch, pairs: Pairs, user_values: Float32s | None = None) -> FeatureBlock:
    """All features of all candidates.

    Args:
        requests: users and times.
        pairs: the same users with their candidates.
        user_values: (n_users, n_user_features) of `user_feature_values`, if they are computed already.
    """
    values = np.empty((*pairs.item_idx.shape, len(FEATURES)), dtype=np.float32)
    values[..., _ITEM_COLUMNS] = pairs.items.features.take(pairs.item_idx, axis=0)
    by_user = user_feature_values(pairs) if user_values is None else user_values
    values[..., _USER_COLUMNS] = by_user[:, None]
    for one in _PAIR:
        values[..., _AT[one.name]] = pairs.value(one)
    for one in _CONTEXT:
        values[..., _AT[one.name]] = one(requests)[:, None]
    states = np.isnan(values).astype(np.uint8)
    _mark_stale(states, requests.requested_at, pairs.items.as_of)
    np.copyto(values, DEFAULTS, where=states != FRESH)
    if not pairs.is_candidate.all():
        values[~pairs.is_candidate], states[~pairs.is_candidate] = np.nan, MISSING
    return FeatureBlock(values=values, states=states)


def user_feature_values(pairs: Pairs) -> Float32s:
    """(n_users, n_user_features) in the order of the registry, from the users' sums."""
    sums = pairs.users.sums(pairs.items)
    return np.stack([one(sums) for one in _USER], axis=1)


def state_counts(block: FeatureBlock) -> dict[str, dict[str, int]]:
    """Numbers of missing and stale values: {feature: {"missing": n, "stale": n}}; zeros left out.

    Places without a candidate do not count.
    """
    ranks = block.values[..., _AT["pair_retrieval_rank"]]  # every candidate has a rank
    states = block.states[~np.isnan(ranks)]
    if not states.any():
        return {}
    counts = {"missing": (states == MISSING).sum(axis=0), "stale": (states == STALE).sum(axis=0)}
    return {
        name: {word: int(n[at]) for word, n in counts.items() if n[at]}
        for at, name in enumerate(FEATURE_NAMES)
        if any(n[at] for n in counts.values())
    }


def missing_shares(table: pl.DataFrame) -> pl.DataFrame:
    """feature, share: share of undefined values (null or NaN) of each feature of a table, highest first.

    The share is 0 in a table without rows. Other columns are left out.
    """
    names = [name for name in FEATURE_NAMES if name in table.columns]
    counts = table.select(pl.col(names).is_nan().fill_null(value=True).sum()).row(0) if names else ()
    n_rows = max(table.height, 1)
    shares = pl.DataFrame(
        {"feature": names, "share": [count / n_rows for count in counts]},
        schema={"feature": pl.String, "share": pl.Float64},
    )
    return shares.sort("share", descending=True, maintain_order=True)


def _mark_stale(states: UInt8s, requested_at: Int64s, as_of: int) -> None:
    """Mark item features that are older than allowed, counted from their cut-off; missing values stay missing."""
    is_old = (requested_at - as_of)[:, None] > _MAX_AGES_S  # (n_users, n_item_features)
    if is_old.any():
        columns = states[..., _ITEM_COLUMNS]
        states[..., _ITEM_COLUMNS] = np.where(is_old[:, None, :] & (columns == FRESH), STALE, columns)
