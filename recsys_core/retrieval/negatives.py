"""Sampled negatives: items that represent the catalogue in a training step, and how often each was expected.

Most come from the batch: a user of the batch at random, then one of the items that this user rated, so that items
that people do rate are compared most often. A few come uniformly from the whole catalogue, so that every item
can be drawn, even one that no training user rated (Yang et al. 2020, doi:10.1145/3366424.3386195).

They come from whole histories, not from the asked parts alone. The asked part depends on the kind of example and the
history does not, so the expected number of draws is known exactly and need not be estimated. `losses` uses that number.
"""

from dataclasses import dataclass

import numpy as np

from recsys_core.arrays import Bools, Float64s, Int64s
from recsys_core.data.histories import Histories
from recsys_core.retrieval.examples import Examples

UNIFORM_SHARE = 0.25
"""Share of the draws that come from the whole catalogue; on the shipped data 2 % to 50 % are alike."""


@dataclass(frozen=True, kw_only=True)
class Negatives:
    """The items that the users of a batch are compared with, beside the asked items."""

    item_idx: Int64s  # (n,) ascending, each drawn item once
    n_drawn: Int64s  # (n,) how often it was drawn, at least 1
    n_expected: Float64s  # (n,) how often it was expected for a user who has not rated it, above 0
    is_own: Bools  # (n_users, n) the user has rated it, or is asked for it: an accidental hit
    later_rows: Int64s  # (n_later,) user row of each rating that was neither shown nor asked for
    later_items: Int64s  # (n_later,) its item


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """Draws negatives for batches of some users."""

    users: Histories  # all training users; no history is empty
    share: Float64s  # (n_items,) chance that a random rating of a random user is of this item
    n_negatives: int

    def draw(self, examples: Examples, rng: np.random.Generator) -> Negatives:
        """`n_negatives` draws for a batch that holds each user at most once."""
        batch = self._histories(examples)
        n_uniform = max(1, round(self.n_negatives * UNIFORM_SHARE))
        user = rng.integers(batch.n_users, size=self.n_negatives - n_uniform)
        place = (rng.random(len(user)) * batch.lengths[user]).astype(np.int64)
        from_batch = batch.item_idx[batch.offsets[user] + place]
        return self.weighed(examples, from_batch, rng.integers(batch.n_items, size=n_uniform))

    def weighed(self, examples: Examples, from_batch: Int64s, from_catalogue: Int64s) -> Negatives:
        """The drawn items, with their expected counts and owners.

        The other users of a batch are a random part of all other users. So among the n draws from a batch of B out of U
        users an item outside the own history is expected n (B - 1) / B * U share / (U - 1) times. Draws from the own
        history, one in B, are lost: they are hits.
        """
        batch = self._histories(examples)
        n_batch, n_all = batch.n_users, self.users.n_users
        of_others = (n_batch - 1) / n_batch * n_all / max(n_all - 1, 1)
        item_idx, n_drawn = np.unique(np.concatenate([from_batch, from_catalogue]), return_counts=True)
        is_own = np.zeros((n_batch, len(item_idx)), dtype=np.bool_)
        for own in (batch, examples.targets):  # what is asked for may have been clicked alone
            at = np.minimum(np.searchsorted(item_idx, own.item_idx), len(item_idx) - 1)
            drawn = item_idx[at] == own.item_idx
            is_own[own.rows[drawn], at[drawn]] = True
        used = np.concatenate([_keys(examples.inputs), _keys(examples.targets)])
        is_later = ~np.isin(_keys(batch), used) & ~examples.is_not_yet_rated(batch.rows, batch.item_idx)
        return Negatives(
            item_idx=item_idx,
            n_drawn=n_drawn,
            n_expected=len(from_batch) * of_others * self.share[item_idx] + len(from_catalogue) / batch.n_items,
            is_own=is_own,
            later_rows=batch.rows[is_later],
            later_items=batch.item_idx[is_later],
        )

    def _histories(self, examples: Examples) -> Histories:
        return self.users.select(np.searchsorted(self.users.user_ids, examples.targets.user_ids))


def sampler_of(users: Histories, n_negatives: int) -> Sampler:
    """A sampler for batches out of `users`, none of whom may have an empty history."""
    votes = np.bincount(users.item_idx, weights=1 / users.lengths[users.rows], minlength=users.n_items)
    return Sampler(users=users, share=votes / max(users.n_users, 1), n_negatives=n_negatives)


def _keys(users: Histories) -> Int64s:
    """(n_ratings,) a number for each pair of user row and item."""
    keys: Int64s = users.rows * users.n_items + users.item_idx
    return keys
