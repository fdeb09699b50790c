"""The two towers: a user's history -> one vector, an item -> one vector; their dot product is the score.

User tower: the sum of the history's item vectors, each weighted by a learned number for its rating and one for its
recency, divided by the square root of the sum of the recency weights, plus a vector that all users share. Its input is
a history, not an id, so it serves users who came after training.

Item tower: an embedding plus linear maps of genres and period, and a bias that depends on popularity. The bias is the
last entry of the item vector, and the last entry of the user vector is 1: the score stays a plain dot product, which
the index can search.

After Covington et al. (2016), doi:10.1145/2959100.2959190, with the weighted-sum encoder of Steck's and Rendle's linear
models instead of an MLP, which did not improve results on this data.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from recsys_core.arrays import Float32s, Int64s
from recsys_core.data.histories import N_AGES, N_PLACES, Histories, recency
from recsys_core.retrieval.model import UserEncoder

PER_ITEM = ("rated.weight", "offered.weight", "item_bias")
"""Parameters with one row per item."""

N_RATING_LEVELS = 10
"""Half-star steps from 0.5 to 5."""


@dataclass(frozen=True, kw_only=True)
class HistoryBatch:
    """Some users' histories as tensors; user u owns `item[offsets[u]:offsets[u + 1]]`."""

    item: torch.Tensor  # (n,) int64
    offsets: torch.Tensor  # (n_users + 1,) int64
    row: torch.Tensor  # (n,) int64, the owner of each entry
    level: torch.Tensor  # (n,) int64 in 0..9
    place: torch.Tensor  # (n,) int64
    age: torch.Tensor  # (n,) int64

    @property
    def n_users(self) -> int:
        """Users in the batch."""
        return len(self.offsets) - 1


def history_batch(users: Histories) -> HistoryBatch:
    """Histories as the user tower reads them."""
    clocks = recency(users)
    return HistoryBatch(
        item=torch.from_numpy(users.item_idx),
        offsets=torch.from_numpy(users.offsets),
        row=torch.from_numpy(users.rows),
        level=torch.from_numpy(np.round(users.ratings * 2).astype(np.int64) - 1),
        place=torch.from_numpy(clocks.place),
        age=torch.from_numpy(clocks.age),
    )


class TwoTower(nn.Module):
    """Both towers. Vectors have `dim + 1` entries: the last is 1 for a user and the bias for an item."""

    content: torch.Tensor  # (n_items, n_content) what the items are
    log_popularity: torch.Tensor  # (n_items,) standardised

    def __init__(self, content: Float32s, log_popularity: Float32s, dim: int) -> None:
        super().__init__()
        n_items, n_content = content.shape
        self.dim = dim
        self.register_buffer("content", torch.from_numpy(content))
        self.register_buffer("log_popularity", torch.from_numpy(log_popularity))
        self.rated = nn.Embedding(n_items, dim)  # an item as part of a history
        self.offered = nn.Embedding(n_items, dim)  # an item as an answer
        self.content_rated = nn.Linear(n_content, dim, bias=False)
        self.content_offered = nn.Linear(n_content, dim, bias=False)
        self.item_bias = nn.Parameter(torch.zeros(n_items))
        self.popularity_weight = nn.Parameter(torch.ones(1))
        self.everyone = nn.Parameter(torch.zeros(dim))
        # Initially linear in the stars: a dislike moves the user vector away from the item, a like towards it.
        self.rating_weight = nn.Parameter(torch.linspace(-0.5, 1.0, N_RATING_LEVELS))
        self.place_bias = nn.Parameter(torch.zeros(N_PLACES))
        self.age_bias = nn.Parameter(torch.zeros(N_AGES))
        for table in (self.rated, self.offered):
            nn.init.normal_(table.weight, std=dim**-0.5 / 4)
        for linear in (self.content_rated, self.content_offered):
            nn.init.normal_(linear.weight, std=dim**-0.5 / 4)

    def start_from(self, earlier: "TwoTower", places: Int64s) -> None:
        """Copy the weights of earlier towers; items that these did not have keep their initial weights.

        Args:
            earlier: of the same dimension.
            places: (n_earlier_items,) the row of each of its items now; -1 for an item that is gone.
        """
        kept = torch.from_numpy(np.flatnonzero(places >= 0))
        now = torch.from_numpy(places)[kept]
        theirs = dict(earlier.named_parameters())
        with torch.no_grad():
            for name, own in self.named_parameters():
                if name in PER_ITEM:
                    own[now] = theirs[name][kept]
                else:
                    own.copy_(theirs[name])

    def forget(self, item_idx: Int64s) -> None:
        """Zero the embeddings and biases of some items, so that only their content describes them."""
        own = torch.from_numpy(item_idx)
        with torch.no_grad():
            for table in (self.rated.weight, self.offered.weight):
                table[own] = 0

    def users(
        self, batch: HistoryBatch, kept: torch.Tensor | None = None, *, only_needed: bool = False
    ) -> torch.Tensor:
        """(n_users, dim + 1) user vectors; an empty history gives the vector that all users share.

        Args:
            batch: histories.
            kept: (n,) weight of each history entry, 0 for one that dropout hides. Default: all 1.
            only_needed: touch no item outside these histories; the gradient of `rated` is then sparse.
        """
        fresh = torch.exp(self.place_bias[batch.place] + self.age_bias[batch.age])
        fresh = fresh if kept is None else fresh * kept
        weight = self.rating_weight[batch.level] * fresh
        if only_needed:
            needed, item = torch.unique(batch.item, return_inverse=True)
            rated = nn.functional.embedding(needed, self.rated.weight, sparse=True)
            table = rated + self.content_rated(self.content[needed])  # (n_needed, dim)
        else:
            item, table = batch.item, self.rated.weight + self.content_rated(self.content)  # (n_items, dim)
        pooled = nn.functional.embedding_bag(
            item, table, batch.offsets, mode="sum", per_sample_weights=weight, include_last_offset=True
        )
        amount = torch.zeros(batch.n_users).index_add(0, batch.row, fresh)
        vector = pooled / torch.sqrt(amount + 1.0)[:, None] + self.everyone
        return torch.cat([vector, torch.ones(batch.n_users, 1)], dim=1)

    def items(self, chosen: torch.Tensor | None = None) -> torch.Tensor:
        """(n_items, dim + 1) item vectors; with `chosen`, of these items only, with a sparse gradient of `offered`."""
        if chosen is None:
            vector = self.offered.weight + self.content_offered(self.content)
            bias = self.item_bias + self.popularity_weight * self.log_popularity
        else:
            offered = nn.functional.embedding(chosen, self.offered.weight, sparse=True)
            vector = offered + self.content_offered(self.content[chosen])
            bias = self.item_bias[chosen] + self.popularity_weight * self.log_popularity[chosen]
        return torch.cat([vector, bias[:, None]], dim=1)


def user_encoder(towers: TwoTower) -> UserEncoder:
    """The user tower as arrays; they are copies, so that a training that goes on does not change them."""
    with torch.inference_mode():
        return UserEncoder(
            rated=(towers.rated.weight + towers.content_rated(towers.content)).numpy(),
            rating_weight=towers.rating_weight.numpy().copy(),
            place_bias=towers.place_bias.numpy().copy(),
            age_bias=towers.age_bias.numpy().copy(),
            everyone=towers.everyone.numpy().copy(),
        )


def standardised_log_popularity(n_likes: npt.NDArray[np.int64]) -> Float32s:
    """(n_items,) log(1 + likes), with mean 0 and deviation 1."""
    logs = np.log1p(n_likes.astype(np.float64))
    standardised: Float32s = ((logs - logs.mean()) / max(float(logs.std()), 1e-6)).astype(np.float32)
    return standardised


def encode_items(towers: TwoTower) -> Float32s:
    """(n_items, dim + 1) item vectors."""
    with torch.inference_mode():
        return towers.items().numpy()
