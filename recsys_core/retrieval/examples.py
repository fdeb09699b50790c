"""Training examples of the two towers: one part of a history is the input, another part is the target.

Most batches are temporal: the past predicts the next ratings, as at serving time. The others denoise: a random part
predicts the rest, which uses the data more fully. Temporal batches alone lose recall, and denoising batches alone lose
the order of time.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.arrays import Bools, Float32s, Int64s
from recsys_core.data.histories import Catalogue, Histories, histories_of
from recsys_core.data.schemas import LIKED
from recsys_core.feedback.labels import still_implicit

NEXT_SHARE = 0.15
"""Share of a history, right after the cut, that is the target of a temporal example: mostly the same session."""


@dataclass(frozen=True, kw_only=True)
class Examples:
    """One example per user: inputs and targets, which share no item."""

    inputs: Histories
    targets: Histories
    click_weights: Float32s | None = None  # (n_targets,) of clicked items without a rating; NaN for rated items
    first_rated_at: Int64s | None = None  # (n_items,) seconds UTC; None: every item existed from the beginning

    def is_not_yet_rated(self, rows: Int64s, item_idx: Int64s) -> Bools:
        """Whether an item had no rating until after the last target of a user row; broadcasts.

        The user could not have chosen it, so it is no negative of this example: as a negative it would train the model
        to score new items low (Ji et al. 2023, doi:10.1145/3569930).
        """
        if self.first_rated_at is None:
            return np.zeros(np.broadcast_shapes(rows.shape, item_idx.shape), dtype=np.bool_)
        not_yet_rated: Bools = self.first_rated_at[item_idx] > self._last_target[rows]
        return not_yet_rated

    @cached_property
    def _last_target(self) -> Int64s:
        """(n_users,) seconds UTC of each user's last target; the least integer without targets."""
        latest = np.full(self.targets.n_users, np.iinfo(np.int64).min)
        np.maximum.at(latest, self.targets.rows, self.targets.timestamps)
        return latest


def temporal(users: Histories, rng: np.random.Generator) -> Examples:
    """Cut each history at a random rating: the past is the input, the next `NEXT_SHARE` are the targets.

    The probability of a cut is proportional to the length of the past, because users mostly have a full history at a
    request. Ratings of one second are never separated: the past is strictly before the second of the cut, and the
    targets end with a whole second. The order within a second is that of the ids, and would favour low ones.
    """
    if not len(users.timestamps):
        return Examples(inputs=users, targets=users)
    first, last = users.offsets[:-1], users.offsets[1:] - 1  # last < first where a history is empty
    cut = np.minimum(np.maximum((np.sqrt(rng.random(users.n_users)) * users.lengths).astype(np.int64), 1) + first, last)
    is_input = users.timestamps < users.timestamps[cut][users.rows]
    n_inputs = np.bincount(users.rows[is_input], minlength=users.n_users)
    span = np.ceil(NEXT_SHARE * users.lengths).astype(np.int64)
    until = users.timestamps[np.minimum(first + n_inputs + span - 1, last)]  # second of the last target
    return Examples(
        inputs=_part(users, is_input), targets=_part(users, ~is_input & (users.timestamps <= until[users.rows]))
    )


def denoising(users: Histories, rng: np.random.Generator) -> Examples:
    """A random share of each history, between 20 and 80 %, is the target; the rest is the input."""
    hidden_share = rng.uniform(0.2, 0.8, users.n_users)
    is_hidden = rng.random(len(users.item_idx)) < hidden_share[users.rows]
    return Examples(inputs=_part(users, ~is_hidden), targets=_part(users, is_hidden))


def with_clicks(examples: Examples, clicked: Histories, *, only_later: bool) -> Examples:
    """The same examples with clicks as further targets; clicks are never inputs, because serving does not read them.

    Args:
        examples: one per user.
        clicked: clicks of the same users on items without their rating, with weights in place of stars.
        only_later: only clicks after the last input become targets.
    """
    last_input = np.full(clicked.n_users, np.iinfo(np.int64).min)
    np.maximum.at(last_input, examples.inputs.rows, examples.inputs.timestamps)
    kept = _part(clicked, (clicked.timestamps > last_input[clicked.rows]) | (not only_later))
    targets, unrated = examples.targets, np.full(len(kept.item_idx), np.nan, dtype=np.float32)
    order = np.argsort(np.concatenate([targets.rows, kept.rows]), kind="stable")

    def joined(ours: npt.NDArray[Any], theirs: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.concatenate([ours, theirs])[order]

    return Examples(
        inputs=examples.inputs,
        targets=Histories(
            user_ids=targets.user_ids,
            offsets=targets.offsets + kept.offsets,
            item_idx=joined(targets.item_idx, kept.item_idx),
            ratings=joined(targets.ratings, unrated),
            timestamps=joined(targets.timestamps, kept.timestamps),
            n_items=targets.n_items,
        ),
        click_weights=joined(np.full_like(targets.ratings, np.nan), kept.ratings),
        first_rated_at=examples.first_rated_at,
    )


def clicked_targets(
    clicks: pl.DataFrame | None, ratings: pl.DataFrame, users: Histories, catalogue: Catalogue
) -> Histories | None:
    """The clicks (IMPLICIT_COLUMNS) on items that their users have not rated: targets; None without any."""
    if clicks is None:
        return None
    kept = still_implicit(clicks, ratings).rename({"weight": "rating"})
    clicked = histories_of(kept, catalogue, users.user_ids)
    return clicked if len(clicked.item_idx) else None


def target_weights(examples: Examples, other_weight: float) -> Float32s:
    """(n_targets,) weight of each target: 1 for a like, less for another rating, its own for a click.

    It is divided by the square root of the user's number of targets: a compromise between equal weight per user and
    equal weight per rating, where the users with most ratings would dominate.
    """
    targets, clicks = examples.targets, examples.click_weights
    weight = np.where(targets.ratings >= LIKED, 1.0, other_weight)
    if clicks is not None:
        weight = np.where(np.isnan(clicks), weight, clicks)
    return (weight / np.sqrt(np.maximum(targets.lengths, 1))[targets.rows]).astype(np.float32)


def _part(users: Histories, chosen: Bools) -> Histories:
    counts = np.bincount(users.rows[chosen], minlength=users.n_users)
    return Histories(
        user_ids=users.user_ids,
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        item_idx=users.item_idx[chosen],
        ratings=users.ratings[chosen],
        timestamps=users.timestamps[chosen],
        n_items=users.n_items,
    )
