"""Training examples of the two towers: part of a history as the question, another part as the answer.

Most batches are temporal (the past predicts what came next, as at serving time), the others denoise (a random part
predicts the rest, which uses the data more fully). Alone, the first loses recall and the second the feel for time.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from recsys_core.arrays import Bools, Float32s, Int64s
from recsys_core.data.histories import Histories
from recsys_core.data.schemas import LIKED

NEXT_SHARE = 0.15
"""Share of a history, right after the cut, that a temporal example asks for: the same sitting, mostly."""


@dataclass(frozen=True, kw_only=True)
class Examples:
    """One example per user: items shown and items asked for; no item of a user is in both."""

    inputs: Histories
    targets: Histories
    click_weights: Float32s | None = None  # (n_asked,) of what was clicked and not rated, NaN of what was rated
    first_rated_at: Int64s | None = None  # (n_items,) seconds UTC; None: every item was there from the beginning

    def is_not_yet_rated(self, rows: Int64s, item_idx: Int64s) -> Bools:
        """Whether an item was rated for the first time only after the last target of a user row; broadcasts.

        Nobody could have chosen it, so it is no negative of this example: to call it one would teach that new items
        are disliked (Ji et al. 2023, doi:10.1145/3569930).
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
    """Cut each history at a random rating; the past is shown, the next `NEXT_SHARE` are asked for.

    Late cuts are likelier, in proportion to the ratings that they show: users at a request mostly have a full history.
    Ratings of one second are never separated: the past is strictly before the second of the cut, and the asked part
    ends with a whole second. The order within a second is that of the ids, and would favour low ones.
    """
    if not len(users.timestamps):
        return Examples(inputs=users, targets=users)
    first, last = users.offsets[:-1], users.offsets[1:] - 1  # last < first where a history is empty
    cut = np.minimum(np.maximum((np.sqrt(rng.random(users.n_users)) * users.lengths).astype(np.int64), 1) + first, last)
    is_input = users.timestamps < users.timestamps[cut][users.rows]
    n_inputs = np.bincount(users.rows[is_input], minlength=users.n_users)
    span = np.ceil(NEXT_SHARE * users.lengths).astype(np.int64)
    until = users.timestamps[np.minimum(first + n_inputs + span - 1, last)]  # second of the last rating asked for
    return Examples(
        inputs=_part(users, is_input), targets=_part(users, ~is_input & (users.timestamps <= until[users.rows]))
    )


def denoising(users: Histories, rng: np.random.Generator) -> Examples:
    """Hide a random share of each history, between 20 and 80 %, and ask for it."""
    hidden_share = rng.uniform(0.2, 0.8, users.n_users)
    is_hidden = rng.random(len(users.item_idx)) < hidden_share[users.rows]
    return Examples(inputs=_part(users, ~is_hidden), targets=_part(users, is_hidden))


def with_clicks(examples: Examples, clicked: Histories, *, only_later: bool) -> Examples:
    """The same examples, with clicks asked for as well; clicks are never shown, as no answer reads them.

    Args:
        examples: one per user.
        clicked: clicks of the same users, on items that they have not rated, with weights in place of stars.
        only_later: ask only for clicks after what is shown.
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


def target_weights(examples: Examples, other_weight: float) -> Float32s:
    """(n_asked,) weight of each asked item: 1 for a like, less for another rating, its own for a click.

    It is divided by the root of the user's number of targets, which lies between two extremes: one vote per user, and
    one vote per rating, with which few users rule.
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
