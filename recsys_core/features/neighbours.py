"""Features of neighbours: did users who rated alike, lately, like the candidate?"""

from recsys_core.features.feature import Float32s, feature
from recsys_core.features.pairs import Pairs
from recsys_core.features.users import OWN


@feature(
    entity="user-item", unit="share", high=1.0001, sources=(*OWN, "ratings.rating", "two_tower.neighbours"),
    may_be_missing=True,
)  # fmt: skip
def pair_neighbour_share(pairs: Pairs) -> Float32s:
    """Share of the 100 most similar of the latest users, weighted by likeness and recency, who liked the item."""
    learned = pairs.items.learned
    return learned.neighbours.liked_share(pairs.users.histories, pairs.asking.evidence, pairs.item_idx)
