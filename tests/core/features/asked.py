"""Requests with everything that their features read: by hand, or of a whole data set with vectors drawn at random."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl
import scipy.sparse as sp

from recsys_core.arrays import Float32s, Int64s
from recsys_core.data.histories import Catalogue, Histories, histories_of
from recsys_core.data.schemas import LIKED
from recsys_core.features.assembler import FeatureBlock, assemble
from recsys_core.features.exposures import Exposures, exposure_log
from recsys_core.features.item_inputs import GENRES, ItemInputs, ItemVectors, item_inputs
from recsys_core.features.neighbours import LIKE_EVIDENCE, Neighbours
from recsys_core.features.pairs import Pairs, UserParts
from recsys_core.features.registry import FEATURE_NAMES, names_of
from recsys_core.features.state import RequestBatch, user_states
from recsys_core.features.tables import item_features
from tests.core.worlds import Rating, histories_from

Floats = Sequence[Sequence[float]]

DIM, RANK, N_BINS, RATING_RANK = 17, 9, 4, 5
"""Lengths of vectors drawn at random: odd ones, so that nothing fits by chance."""


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What `assemble` reads, part by part."""

    users: Histories
    requested_at: Int64s
    items: pl.DataFrame  # item_features
    side: ItemInputs
    user_parts: UserParts
    item_idx: Int64s
    exposures: Exposures | None = None

    @property
    def requests(self) -> RequestBatch:
        states = user_states(self.users, self.side)
        return RequestBatch(users=states, requested_at=self.requested_at, exposures=self.exposures)

    @property
    def pairs(self) -> Pairs:
        return Pairs(
            users=self.requests.users,
            items=self.side,
            user_parts=self.user_parts,
            item_idx=self.item_idx,
            exposures=self.exposures,
        )

    def block(self, user_values: Float32s | None = None) -> FeatureBlock:
        return assemble(self.requests, self.pairs, user_values)

    def only(self, rows: Sequence[int], places: slice = slice(None)) -> "Asked":
        """Some of the users, and some of their candidates."""
        chosen = np.array(rows, dtype=np.int64)
        own, users = self.user_parts, self.users.select(chosen)
        return replace(
            self,
            users=users,
            requested_at=self.requested_at[chosen],
            user_parts=UserParts(
                trained=own.trained[chosen],
                ease=own.ease[chosen],
                trend=own.trend[chosen],
                rating=own.rating[chosen],
                evidence=evidence_of(users),
            ),
            item_idx=self.item_idx[chosen][:, places],
            exposures=self.exposures and self.exposures.select(chosen),
        )


def ask(
    ratings: pl.DataFrame, movies: pl.DataFrame, as_of: int, requests: pl.DataFrame, n_candidates: int = 30
) -> Asked:
    """Random candidates by random vectors; every third user has fewer than asked for.

    Args:
        ratings: RATINGS; of each user those strictly before the request are known.
        movies: MOVIES.
        as_of: seconds UTC, of the item side.
        requests: user_id, requested_at; sorted by user_id.
        n_candidates: per user.
    """
    items = item_features(ratings, movies, as_of)
    catalogue = Catalogue(item_ids=items["item_id"].to_numpy())
    known = ratings.join(requests, on="user_id").filter(pl.col("timestamp") < pl.col("requested_at"))
    users = histories_of(known.select(ratings.columns), catalogue, requests["user_id"].to_numpy())
    rng = np.random.default_rng(5)
    item_idx = np.stack([rng.permutation(catalogue.n_items)[:n_candidates] for _ in range(users.n_users)])
    item_idx[::3, n_candidates // 2 :] = -1
    trained, ease, trend, rating = (normal(rng, users.n_users, d) for d in (DIM, RANK, N_BINS, RATING_RANK))
    return Asked(
        users=users,
        requested_at=requests["requested_at"].to_numpy(),
        items=items,
        side=item_inputs(items, names_of("item"), catalogue, random_vectors(catalogue.n_items, rng), as_of),
        user_parts=UserParts(trained=trained, ease=ease, trend=trend, rating=rating, evidence=evidence_of(users)),
        item_idx=item_idx,
        exposures=random_exposures(requests, catalogue, item_idx),
    )


def random_exposures(requests: pl.DataFrame, catalogue: Catalogue, item_idx: Int64s, n_slots: int = 120) -> Exposures:
    """What each user was shown of their candidates in the 45 days before they asked, and after it; some often.

    Args:
        requests: user_id, requested_at.
        catalogue: of the items.
        item_idx: (n_users, n_candidates).
        n_slots: shown to each; one in twelve is clicked.
    """
    rng, times = np.random.default_rng(9), requests["requested_at"].to_numpy()
    n_users = requests.height
    places = (item_idx.shape[1] * rng.random((n_users, n_slots)) ** 3).astype(np.int64)
    items = catalogue.item_ids[np.maximum(np.take_along_axis(item_idx, places, axis=1), 0)]
    at = times[:, None] + rng.integers(-45 * 86_400, 5 * 86_400, (n_users, n_slots))
    shown = pl.DataFrame(
        {
            "request_id": [f"r{n}" for n in range(n_users * n_slots)],
            "user_id": np.repeat(requests["user_id"].to_numpy(), n_slots),
            "item_id": items.ravel(),
            "shown_at": at.ravel(),
        }
    )
    clicks = shown.gather_every(12).select("user_id", "item_id", timestamp=pl.col("shown_at") + 5)
    return exposure_log(shown, clicks, catalogue).before(requests["user_id"].to_numpy(), times)


def normal(rng: np.random.Generator, *shape: int) -> Float32s:
    return rng.normal(size=shape).astype(np.float32)


def evidence_of(users: Histories) -> Float32s:
    """(n_ratings,) 1 for a like, less for another rating."""
    return np.where(users.ratings >= LIKED, LIKE_EVIDENCE, 0.25).astype(np.float32)


def neighbours_of(users: Histories, recency: Sequence[float] | Float32s | None = None) -> Neighbours:
    """All of these users, who count alike unless told otherwise."""
    return Neighbours(
        offsets=users.offsets,
        item_idx=users.item_idx,
        evidence=evidence_of(users),
        recency=np.ones(users.n_users, dtype=np.float32) if recency is None else np.array(recency, dtype=np.float32),
        n_items=users.n_items,
    )


def random_neighbours(n_items: int, rng: np.random.Generator, n_users: int = 150) -> Neighbours:
    """More users than are ever asked, with up to twenty ratings each."""
    items = [rng.permutation(n_items)[: rng.integers(1, 1 + min(20, n_items))] for _ in range(n_users)]
    rated = [[(int(item), float(rng.integers(1, 11) / 2), at) for at, item in enumerate(own)] for own in items]
    return neighbours_of(histories_from(rated, n_items), rng.uniform(0.1, 1, n_users).astype(np.float32))


def random_vectors(n_items: int, rng: np.random.Generator, rank: int = RANK) -> ItemVectors:
    lifts = sp.random_array(
        (n_items, n_items), density=0.1, rng=np.random.default_rng(3), format="csr", dtype=np.float32
    )
    return ItemVectors(
        trained=normal(rng, n_items, DIM),
        biases=normal(rng, n_items),
        history_factors=normal(rng, n_items, rank),
        target_factors=normal(rng, n_items, rank),
        trend=normal(rng, n_items, N_BINS),
        following=lifts,
        preceding=lifts.T.tocsr(),
        neighbours=random_neighbours(n_items, rng),
        rating_biases=normal(rng, n_items),
        rating_factors=normal(rng, n_items, RATING_RANK),
    )


def random_side(n_items: int, rng: np.random.Generator, rank: int = RANK) -> ItemInputs:
    """Items of which a third has no genre and a fifth no year."""
    genres = np.where(rng.random((n_items, 1)) < 0.3, 0.0, rng.random((n_items, len(GENRES))) < 0.1)
    return ItemInputs(
        as_of=0,
        features=normal(rng, n_items, len(names_of("item"))),
        n_ratings=rng.integers(1, 500, n_items),
        years=np.where(rng.random(n_items) < 0.2, np.nan, rng.integers(1930, 2016, n_items)).astype(np.float32),
        genre_shares=(genres / np.maximum(genres.sum(axis=1, keepdims=True), 1)).astype(np.float32),
        learned=random_vectors(n_items, rng, rank),
    )


def side_of(
    vectors: Floats, *, shares: Floats | None = None, years: Sequence[float] | None = None, as_of: int = 0
) -> ItemInputs:
    """Items by hand: the closed form takes an item in a history and as an answer for what the tower takes it for.

    Each was rated ten times and has a bias of nothing; no item follows another, and there are no neighbours and no
    predicted stars.
    """
    array = np.array(vectors, dtype=np.float32)
    n_items = len(array)
    nothing = sp.csr_array((n_items, n_items), dtype=np.float32)
    return ItemInputs(
        as_of=as_of,
        features=np.full((n_items, len(names_of("item"))), 0.5, dtype=np.float32),
        n_ratings=np.full(n_items, 10),
        years=np.full(n_items, np.nan, dtype=np.float32) if years is None else np.array(years, dtype=np.float32),
        genre_shares=np.zeros((n_items, 2), dtype=np.float32) if shares is None else np.array(shares, np.float32),
        learned=ItemVectors(
            trained=array,
            biases=np.zeros(n_items, dtype=np.float32),
            history_factors=array,
            target_factors=array,
            trend=np.zeros((n_items, 1), dtype=np.float32),
            following=nothing,
            preceding=nothing,
            neighbours=neighbours_of(histories_from([], n_items)),
            rating_biases=np.zeros(n_items, dtype=np.float32),
            rating_factors=np.zeros((n_items, 1), dtype=np.float32),
        ),
    )


def pairs_of(
    histories: Sequence[Sequence[Rating]],
    item_idx: Sequence[Sequence[int]],
    side: ItemInputs,
    user_parts: UserParts | None = None,
) -> Pairs:
    """Users by hand beside their candidates; by default they ask for nothing."""
    users = histories_from(histories, len(side.n_ratings))
    return Pairs(
        users=user_states(users, side),
        items=side,
        user_parts=user_parts or no_user_parts(users, side),
        item_idx=np.array(item_idx, dtype=np.int64).reshape(users.n_users, -1),
    )


def no_user_parts(users: Histories, side: ItemInputs) -> UserParts:
    """Vectors of zeros, and the evidence of the histories."""
    learned = side.learned
    parts = (learned.trained, learned.target_factors, learned.trend, learned.rating_factors)
    trained, ease, trend, rating = (np.zeros((users.n_users, part.shape[1]), dtype=np.float32) for part in parts)
    return UserParts(trained=trained, ease=ease, trend=trend, rating=rating, evidence=evidence_of(users))


def column(block: FeatureBlock, name: str) -> Float32s:
    """(n_users, n_candidates) the values of a feature."""
    return block.values[..., FEATURE_NAMES.index(name)]


def equal(one: npt.NDArray[np.generic], other: npt.NDArray[np.generic]) -> bool:
    """Bit for bit, where all NaN are one."""
    return one.dtype == other.dtype and np.array_equal(one, other, equal_nan=True)
