"""Rules over a whole list, as the last step after the ranker's order: diversity, then most of one franchise.

A ranker scores each candidate alone; what a list should look like as a whole is decided here, in the open. With all
rules off the list is the ranker's order, to the bit. Each rule reorders all candidates, so that a list of k is the
beginning of every longer one. No rule leaves a place empty.

The rule for what was seen already stands before: `retrieval.candidates.seen_at`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.ranking.config import ListRulesConfig
from recsys_core.ranking.franchises import franchise_numbers
from recsys_core.ranking.inputs import Proposer
from recsys_core.ranking.lists import order_of
from recsys_core.retrieval.candidates import Candidates

Float32s = npt.NDArray[np.float32]
Int64s = npt.NDArray[np.int64]

POOL = 50
"""First candidates by score that diversity may reorder. Those behind are no better than the worst of them, and a place
on the first page that they took would cost more than it gives."""

DIVERSITY, FRANCHISE = "diversity", "franchise"


@dataclass(frozen=True, kw_only=True)
class ListedItems:
    """What the rules read of the items, each row one `item_idx`.

    Attributes:
        vectors: (n_items, d) of length one: the dot product of two rows is their likeness.
        titles: (n_items,) without the year; "" where there is none.
    """

    vectors: Float32s
    titles: Sequence[str]

    @cached_property
    def franchises(self) -> Int64s:
        """(n_items,) a number per item, the same within a franchise."""
        return franchise_numbers(self.titles)


def listed_items(proposer: Proposer, movies: pl.DataFrame) -> ListedItems:
    """The items of a proposer's catalogue; one that the movies (MOVIES) lack has no title."""
    item_ids = pl.DataFrame({"item_id": proposer.tower.catalogue.item_ids})
    titles = item_ids.join(movies.select("item_id", "title"), on="item_id", how="left", maintain_order="left")["title"]
    return ListedItems(vectors=proposer.side.unit_vectors, titles=titles.fill_null("").to_list())


@dataclass(frozen=True, kw_only=True)
class RuledList:
    """One request's final list, best first.

    Attributes:
        places: (n,) where each shown candidate stands among those given.
        ranker_ranks: (n,) its place by score alone, from 1.
        moved_by: (n,) the last rule that moved it; "" where it stands where the ranker put it.
    """

    places: Int64s
    ranker_ranks: Int64s
    moved_by: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Order:
    """An order of candidates, and the rule that last moved each of them; rows of both are candidates by score."""

    order: Int64s
    moved_by: npt.NDArray[np.object_] = field(repr=False)

    def moved(self, rule: str, order: Int64s) -> "_Order":
        """The same candidates in another order."""
        before, after = np.empty_like(order), np.empty_like(order)
        before[self.order] = after[order] = np.arange(len(order))
        return _Order(order=order, moved_by=np.where(before == after, self.moved_by, rule))


def ruled_list(item_idx: Int64s, scores: Float32s, items: ListedItems, rules: ListRulesConfig, k: int) -> RuledList:
    """The min(k, n) candidates of one request that are shown, in their final order.

    Args:
        item_idx: (n,) candidates, each once.
        scores: (n,) of the ranker; equal scores keep their order.
        items: what the rules read.
        rules: which are on.
        k: length of the list.
    """
    by_score = order_of(scores)
    n_shown = min(k, len(by_score))
    if not rules.diversity and rules.most_per_franchise is None:
        return RuledList(places=by_score[:n_shown], ranker_ranks=np.arange(1, n_shown + 1), moved_by=("",) * n_shown)
    ranked = item_idx[by_score]
    now = _Order(order=np.arange(len(ranked)), moved_by=np.full(len(ranked), "", dtype=object))
    if rules.diversity:
        pool = ranked[:POOL]
        first = diverse_order(scores[by_score[:POOL]], items.vectors[pool], rules.diversity)
        now = now.moved(DIVERSITY, np.concatenate([first, now.order[len(pool) :]]))
    if rules.most_per_franchise is not None:
        franchises = items.franchises[ranked[now.order]]
        now = now.moved(FRANCHISE, now.order[_few_of_each(franchises, rules.most_per_franchise)])
    shown = now.order[:n_shown]
    is_back = shown == np.arange(n_shown)  # one rule moved it, another moved it back
    return RuledList(
        places=by_score[shown],
        ranker_ranks=shown + 1,
        moved_by=tuple(np.where(is_back, "", now.moved_by[shown]).tolist()),
    )


def rule_all(ranked: Candidates, items: ListedItems, rules: ListRulesConfig) -> Candidates:
    """The lists of many users, (n_users, n) in the ranker's order, with the rules applied to each."""
    if not rules.diversity and rules.most_per_franchise is None:
        return ranked
    item_idx, scores = ranked.item_idx.copy(), ranked.scores.copy()
    for row, own in enumerate(ranked.item_idx):
        present = np.flatnonzero(own >= 0)
        n = len(present)
        places = present[ruled_list(own[present], ranked.scores[row, present], items, rules, n).places]
        item_idx[row, present], scores[row, present] = own[places], ranked.scores[row, places]
    return Candidates(item_idx=item_idx, scores=scores)


def diverse_order(scores: Float32s, vectors: Float32s, weight: float) -> Int64s:
    """(n,) candidates by maximal marginal relevance, chosen one by one.

    Each place goes to the candidate with the highest (1 - weight) relevance - weight likeness, where relevance is the
    score brought to [0, 1] among these candidates, and likeness the cosine to the nearest of those chosen before.

    Args:
        scores: (n,) falling.
        vectors: (n, d) of length one.
        weight: in [0, 1); with 0 the order stays.

    Source: Carbonell & Goldstein (1998), doi:10.1145/290941.291025.
    """
    n = len(scores)
    order = np.empty(n, dtype=np.int64)
    if not n:
        return order
    span = float(scores[0] - scores[-1])
    gain = (1 - weight) * ((scores - scores[-1]).astype(np.float64) / (span or 1.0))
    likeness = weight * (vectors @ vectors.T).astype(np.float64)
    nearest = np.full(n, -np.inf)
    value = gain  # nothing was chosen yet, so that the best by score comes first
    for place in range(n):
        chosen = order[place] = int(value.argmax())
        gain[chosen] = -np.inf
        np.maximum(nearest, likeness[chosen], out=nearest)
        value = gain - nearest
    return order


def _few_of_each(franchises: Int64s, most: int) -> Int64s:
    """(n,) the order in which those beyond `most` of a franchise come after all others, where they fill what is left.

    A list shorter than asked for would be worse than a third sequel.
    """
    grouped = np.argsort(franchises, kind="stable")
    ordered = franchises[grouped]
    ends = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] - 1))  # where a group begins
    sizes = np.diff(ends, append=len(ordered))
    n_before = np.empty_like(franchises)  # of the same franchise
    n_before[grouped] = np.arange(len(ordered)) - np.repeat(ends, sizes)
    return np.argsort(n_before >= most, kind="stable")
