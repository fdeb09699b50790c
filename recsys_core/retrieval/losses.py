"""The training losses: cross-entropy of the asked items under a softmax, full or sampled.

Both losses mean the same softmax, over all items that were not shown. `full_softmax` adds it up; `sampled_softmax`
estimates the sum from a few items, so that the cost of a step does not depend on the size of the catalogue.
"""

from dataclasses import dataclass

import numpy as np
import torch

from recsys_core.retrieval.examples import Examples, target_weights
from recsys_core.retrieval.negatives import Negatives
from recsys_core.retrieval.towers import TwoTower


def full_softmax(
    user_vectors: torch.Tensor, item_vectors: torch.Tensor, examples: Examples, other_weight: float
) -> torch.Tensor:
    """Mean over the targets, by weight, of -log softmax over the catalogue without what was shown.

    Args:
        user_vectors: (n_users, dim + 1).
        item_vectors: (n_items, dim + 1).
        examples: what was shown and what was asked.
        other_weight: weight of a rating below a like.
    """
    logits = user_vectors @ item_vectors.T  # (n_users, n_items)
    # What was shown is never an answer: seen items are filtered when serving, so their mass must not count here. As a
    # step of its own that would copy all scores, there and back. The softmax of the least of all floats is 0, and so
    # its gradient; that of -inf is not, for a user who was shown the whole catalogue.
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
    """`full_softmax`, its sum over the catalogue estimated; nothing here is as large as the catalogue.

    Everything that a user rated or clicked and was not shown is in the sum as it is. The rest is drawn, and each drawn
    score s counts as s + log(times drawn / times expected): the logQ correction, without which what is drawn often
    would be pushed down for being popular. Then the expected sum is that of the full softmax, and the expected gradient
    approaches that of the full softmax as more is drawn (Bengio & Senécal 2008, doi:10.1109/TNN.2007.912312; Yi et al.
    2019, doi:10.1145/3298689.3346996). Scores for serving are not corrected: they stay the plain dot product.

    Args:
        user_vectors: (n_users, dim + 1).
        towers: give the vectors of the items needed, and of no other.
        examples: what was shown and what was asked.
        negatives: drawn for this batch.
        other_weight: weight of a rating below a like.
    """
    scores = sampled_scores(user_vectors, towers, examples, negatives)
    n_targets = len(examples.targets.item_idx)
    picked = scores.own[:n_targets] - scores.log_sum(scores.own_rows[:n_targets])
    return _mean_loss(picked, examples, other_weight)


@dataclass(frozen=True, kw_only=True)
class SampledScores:
    """The scores that represent those of the whole catalogue."""

    own: torch.Tensor  # (n_own,) what the user rated and was not shown: first what was asked, then the rest
    own_rows: torch.Tensor  # (n_own,) the user row of each
    drawn: torch.Tensor  # (n_users, n_negatives) corrected; -inf where the user has rated the item

    def log_sum(self, rows: torch.Tensor) -> torch.Tensor:
        """(n,) log of the sum of exponentials of everything that represents the catalogue, for some user rows.

        Only for rows with an own score: the sum of a row without any may be 0, whose logarithm has no gradient.
        """
        # The greatest score goes out first, as in any logsumexp; 0 where a row has none.
        top = self.drawn.detach().amax(dim=1).scatter_reduce(0, self.own_rows, self.own.detach(), "amax")
        top = top.nan_to_num(neginf=0.0)
        total = torch.exp(self.drawn - top[:, None]).sum(dim=1)
        total = total.index_add(0, self.own_rows, torch.exp(self.own - top[self.own_rows]))
        return torch.log(total[rows]) + top[rows]


def sampled_scores(
    user_vectors: torch.Tensor, towers: TwoTower, examples: Examples, negatives: Negatives
) -> SampledScores:
    """Scores of what each user rated and was not shown, and corrected ones of what was drawn."""
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
        # A hit is in the sum already, as what was asked, or must not be in it, as what was shown.
        drawn=corrected.masked_fill(torch.from_numpy(negatives.is_own | not_yet_rated), -torch.inf),
    )


def _mean_loss(log_shares: torch.Tensor, examples: Examples, other_weight: float) -> torch.Tensor:
    """Minus the mean, by weight of the target, of log softmax at what was asked, (n_asked,)."""
    weights = torch.from_numpy(target_weights(examples, other_weight))
    return -(weights * log_shares).sum() / weights.sum().clamp(min=1e-6)
