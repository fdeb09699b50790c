"""The training losses: cross-entropy of the targets under a softmax over the catalogue, full or sampled.

Both losses use the same softmax over all items except the example's inputs. `full_softmax` computes the sum over the
catalogue. `sampled_softmax` estimates it from the sampled negatives below, so that the cost of a step does not depend
on the size of the catalogue.

Most negatives come from the batch: a random user of the batch, then a random item of this user's history, so that
popular items are compared most often. A few come uniformly from the whole catalogue, so that every item can be drawn,
even one that no training user rated (Yang et al. 2020, doi:10.1145/3366424.3386195). Negatives are drawn from whole
histories, not from the targets alone: the targets depend on the kind of example and the history does not, so the
expected number of draws is known exactly and need not be estimated.
"""

from dataclasses import dataclass

import numpy as np
import torch

from recsys_core.arrays import Bools, Float64s, Int64s
from recsys_core.data.histories import Histories
from recsys_core.retrieval.examples import Examples, target_weights
from recsys_core.retrieval.towers import TwoTower

UNIFORM_SHARE = 0.25
"""Share of the draws that come from the whole catalogue; on the shipped data 2 % to 50 % give the same results."""


@dataclass(frozen=True, kw_only=True)
class Negatives:
    """The items with which the users of a batch are compared, in addition to their targets."""

    item_idx: Int64s  # (n,) ascending, each drawn item once
    n_drawn: Int64s  # (n,) number of draws, at least 1
    n_expected: Float64s  # (n,) expected number of draws for a user who has not rated the item, above 0
    is_own: Bools  # (n_users, n) the item is in the user's history or a target: an accidental hit
    later_rows: Int64s  # (n_later,) user row of each rating that is neither an input nor a target
    later_items: Int64s  # (n_later,) its item


@dataclass(frozen=True, kw_only=True)
class SampledScores:
    """The scores that represent those of the whole catalogue."""

    own: torch.Tensor  # (n_own,) of rated items that are no inputs: the targets first, then the later ratings
    own_rows: torch.Tensor  # (n_own,) the user row of each
    drawn: torch.Tensor  # (n_users, n_negatives) with the logQ correction; -inf where the user has rated the item

    def log_sum(self, rows: torch.Tensor) -> torch.Tensor:
        """(n,) log of the estimated sum of exponentials over the catalogue, for some user rows.

            log_sum(u) = top_u + log( sum_drawn exp(drawn - top_u) + sum_own exp(own - top_u) )

        where top_u is the user's highest score, as in every stable logsumexp. Ask only for rows with an own score: the
        sum of any other row may be 0, whose logarithm has no gradient.
        """
        top = self.drawn.detach().amax(dim=1).scatter_reduce(0, self.own_rows, self.own.detach(), "amax")
        top = top.nan_to_num(neginf=0.0)  # a row without any score
        sum_drawn = torch.exp(self.drawn - top[:, None]).sum(dim=1)
        sum_all = sum_drawn.index_add(0, self.own_rows, torch.exp(self.own - top[self.own_rows]))
        return torch.log(sum_all[rows]) + top[rows]


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """Draws negatives for batches of some users."""

    users: Histories  # all training users; no history is empty
    share: Float64s  # (n_items,) probability that a random rating of a random user is of this item
    n_negatives: int

    def draw(self, examples: Examples, rng: np.random.Generator) -> Negatives:
        """`n_negatives` draws for a batch that holds each user at most once."""
        batch = self._histories(examples)
        n_uniform = max(1, round(self.n_negatives * UNIFORM_SHARE))
        user = rng.integers(batch.n_users, size=self.n_negatives - n_uniform)
        place = (rng.random(len(user)) * batch.lengths[user]).astype(np.int64)
        from_batch = batch.item_idx[batch.offsets[user] + place]
        return self.with_expectations(examples, from_batch, rng.integers(batch.n_items, size=n_uniform))

    def with_expectations(self, examples: Examples, from_batch: Int64s, from_catalogue: Int64s) -> Negatives:
        """The drawn items with their expected numbers of draws.

        For an item i outside a user's history,

            n_expected(i) = n_batch_draws (B - 1) / B  U / (U - 1) share(i)  +  n_catalogue_draws / n_items

        with B users in the batch and U users in all. The other users of a batch are a random sample of the U - 1 other
        users, whose share of i is U share(i) / (U - 1). One draw in B comes from the user's own history and is a hit.
        """
        batch = self._histories(examples)
        B, U = batch.n_users, self.users.n_users  # noqa: N806  # as in the formula
        others = (B - 1) / B * U / max(U - 1, 1)
        item_idx, n_drawn = np.unique(np.concatenate([from_batch, from_catalogue]), return_counts=True)
        used = np.concatenate([_keys(examples.inputs), _keys(examples.targets)])
        is_later = ~np.isin(_keys(batch), used) & ~examples.is_not_yet_rated(batch.rows, batch.item_idx)
        return Negatives(
            item_idx=item_idx,
            n_drawn=n_drawn,
            n_expected=len(from_batch) * others * self.share[item_idx] + len(from_catalogue) / batch.n_items,
            # A target may have been clicked without a rating, so that the history alone does not hold it.
            is_own=_hits(item_idx, batch) | _hits(item_idx, examples.targets),
            later_rows=batch.rows[is_later],
            later_items=batch.item_idx[is_later],
        )

    def _histories(self, examples: Examples) -> Histories:
        return self.users.select(np.searchsorted(self.users.user_ids, examples.targets.user_ids))


def sampler_of(users: Histories, n_negatives: int) -> Sampler:
    """A sampler for batches of `users`, none of whom may have an empty history."""
    votes = np.bincount(users.item_idx, weights=1 / users.lengths[users.rows], minlength=users.n_items)
    return Sampler(users=users, share=votes / max(users.n_users, 1), n_negatives=n_negatives)


def full_softmax(
    user_vectors: torch.Tensor, item_vectors: torch.Tensor, examples: Examples, other_weight: float
) -> torch.Tensor:
    """Weighted mean over the targets of -log softmax over the catalogue without the inputs.

    Args:
        user_vectors: (n_users, dim + 1).
        item_vectors: (n_items, dim + 1).
        examples: inputs and targets.
        other_weight: weight of a rating below a like.
    """
    logits = user_vectors @ item_vectors.T  # (n_users, n_items)
    # An input is never an answer: serving filters seen items, so their mass must not count here. The logits are changed
    # in place because a masked copy would double the memory traffic. They become the smallest float, whose softmax and
    # gradient are 0; -inf would give NaN for a user whose inputs are the whole catalogue.
    inputs = torch.from_numpy(examples.inputs.rows), torch.from_numpy(examples.inputs.item_idx)
    logits.detach()[inputs] = torch.finfo(logits.dtype).min
    rows, items = torch.from_numpy(examples.targets.rows), torch.from_numpy(examples.targets.item_idx)
    if examples.first_rated_at is not None:
        all_rows, all_items = np.arange(len(logits))[:, None], np.arange(len(item_vectors))
        not_yet_rated = torch.from_numpy(examples.is_not_yet_rated(all_rows, all_items))
        not_yet_rated[rows, items] = False  # a click may come before the first rating
        logits.detach().masked_fill_(not_yet_rated, torch.finfo(logits.dtype).min)
    return _mean_loss(torch.log_softmax(logits, dim=1)[rows, items], examples, other_weight)


def sampled_softmax(
    user_vectors: torch.Tensor, towers: TwoTower, examples: Examples, negatives: Negatives, other_weight: float
) -> torch.Tensor:
    """`full_softmax` with an estimate of the sum over the catalogue; no array here has a row per item.

    The sum contains every rated or clicked item of the user that is no input. The rest of the catalogue is represented
    by the negatives: a score s counts as s + log(n_drawn / n_expected), the logQ correction, without which popular
    items would be pushed down for being drawn often. The expected sum is that of the full softmax, and the expected
    gradient approaches that of the full softmax as the number of draws grows (Bengio & Senécal 2008,
    doi:10.1109/TNN.2007.912312; Yi et al. 2019, doi:10.1145/3298689.3346996). Scores for serving stay plain dot
    products without a correction.

    Args:
        user_vectors: (n_users, dim + 1).
        towers: give the vectors of the items that are needed here.
        examples: inputs and targets.
        negatives: drawn for this batch.
        other_weight: weight of a rating below a like.
    """
    scores = sampled_scores(user_vectors, towers, examples, negatives)
    n_targets = len(examples.targets.item_idx)
    picked = scores.own[:n_targets] - scores.log_sum(scores.own_rows[:n_targets])
    return _mean_loss(picked, examples, other_weight)


def sampled_scores(
    user_vectors: torch.Tensor, towers: TwoTower, examples: Examples, negatives: Negatives
) -> SampledScores:
    """Scores of each user's targets and later ratings, and corrected scores of the negatives."""
    own_items = torch.cat([torch.from_numpy(examples.targets.item_idx), torch.from_numpy(negatives.later_items)])
    own_rows = torch.cat([torch.from_numpy(examples.targets.rows), torch.from_numpy(negatives.later_rows)])
    drawn = torch.from_numpy(negatives.item_idx)
    needed, place = torch.unique(torch.cat([own_items, drawn]), return_inverse=True)
    vectors = towers.items(needed)  # (n_needed, dim + 1)
    n_own = len(own_items)
    correction = torch.from_numpy(negatives.n_drawn / negatives.n_expected).log().float()  # (n_negatives,)
    corrected = user_vectors @ vectors[place[n_own:]].T + correction
    own = (user_vectors[own_rows] * vectors[place[:n_own]]).sum(dim=1)
    not_yet_rated = examples.is_not_yet_rated(np.arange(len(user_vectors))[:, None], negatives.item_idx)
    return SampledScores(
        own=own,
        own_rows=own_rows,
        # A hit is in the sum already, as a target, or must not be in it, as an input.
        drawn=corrected.masked_fill(torch.from_numpy(negatives.is_own | not_yet_rated), -torch.inf),
    )


def _mean_loss(log_shares: torch.Tensor, examples: Examples, other_weight: float) -> torch.Tensor:
    """Minus the weighted mean of log softmax at the targets, (n_targets,)."""
    weights = torch.from_numpy(target_weights(examples, other_weight))
    return -(weights * log_shares).sum() / weights.sum().clamp(min=1e-6)


def _hits(item_idx: Int64s, own: Histories) -> Bools:
    """(n_users, n) whether each item, (n,) ascending, is among those of each user."""
    is_hit = np.zeros((own.n_users, len(item_idx)), dtype=np.bool_)
    at = np.minimum(np.searchsorted(item_idx, own.item_idx), len(item_idx) - 1)
    found = item_idx[at] == own.item_idx
    is_hit[own.rows[found], at[found]] = True
    return is_hit


def _keys(users: Histories) -> Int64s:
    """(n_ratings,) a number for each pair of user row and item."""
    keys: Int64s = users.rows * users.n_items + users.item_idx
    return keys
