"""Why some pitfalls are pitfalls: small worlds in which the mistake turns a result around."""

import numpy as np
import numpy.typing as npt

from recsys_core.metrics.ranking import ndcg_at_k

Ranks = npt.NDArray[np.int64]

N_USERS, N_ITEMS, N_SAMPLED = 4_000, 10_000, 100


def ndcg_at_10(ranks: Ranks) -> float:
    """Mean over users with one relevant item each, at these ranks from 1."""
    hits = np.arange(1, 11) == ranks[:, None]
    return float(ndcg_at_k(hits, np.ones(len(ranks), dtype=np.int64)).mean())


def among_sampled(ranks: Ranks, rng: np.random.Generator) -> Ranks:
    """The ranks among the relevant item and 100 others drawn at random, of which some lie above it."""
    return 1 + rng.hypergeometric(ranks - 1, N_ITEMS - ranks, N_SAMPLED)


def test_sampled_metrics_turn_the_order_of_two_models_around() -> None:
    """One model finds a fifth of the items at once and the rest never; the other puts each at place 300.

    Nobody sees place 300, so the first is the better one. Among a hundred sampled items, place 300 becomes place 4.
    Krichene & Rendle (2020), doi:10.1145/3394486.3403226.
    """
    rng = np.random.default_rng(0)
    sharp = np.where(rng.random(N_USERS) < 0.2, 1, rng.integers(3_000, N_ITEMS, N_USERS))
    blurred = np.full(N_USERS, 300)
    assert ndcg_at_10(sharp) > ndcg_at_10(blurred) == 0
    assert ndcg_at_10(among_sampled(sharp, rng)) < ndcg_at_10(among_sampled(blurred, rng))
