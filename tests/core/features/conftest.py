"""A request of the tiny world and one of the embedded data, with everything that its features read."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest
import scipy.sparse as sp

from recsys_core.data.config import SplitsConfig
from recsys_core.data.histories import Histories, catalogue_of, histories_of
from recsys_core.data.slicing import make_splits
from recsys_core.data.splits import TEST, fit_ratings, known_ratings
from recsys_core.features.tables import item_features
from recsys_core.features.matrix import feature_matrix
from recsys_core.features.pairs import ItemSide, ItemVectors, Proposed, item_side
from recsys_core.features.users import user_features
from tests import tiny_world
from tests.core import embedded

Asking = Callable[..., "Asked"]


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What `feature_matrix` reads, for the users of the test slice."""

    users: Histories
    user_rows: pl.DataFrame
    item_rows: pl.DataFrame
    side: ItemSide
    item_idx: npt.NDArray[np.int64]
    scores: npt.NDArray[np.float32]
    closed_form_scores: npt.NDArray[np.float32]
    trend_scores: npt.NDArray[np.float32]

    @property
    def proposed(self) -> Proposed:
        return Proposed(
            item_idx=self.item_idx,
            scores=self.scores,
            closed_form_scores=self.closed_form_scores,
            trend_scores=self.trend_scores,
        )

    def matrix(self) -> npt.NDArray[np.float32]:
        return feature_matrix(self.users, self.user_rows, self.item_rows, self.side, self.proposed)

    def only(self, rows: list[int], places: slice = slice(None)) -> "Asked":
        """Some of the users, and some of their candidates."""
        chosen = np.array(rows, dtype=np.int64)
        return replace(
            self,
            users=self.users.select(chosen),
            item_idx=self.item_idx[chosen][:, places],
            scores=self.scores[chosen][:, places],
            closed_form_scores=self.closed_form_scores[chosen][:, places],
            trend_scores=self.trend_scores[chosen][:, places],
        )


def ask(ratings: pl.DataFrame, movies: pl.DataFrame, n_candidates: int = 30) -> Asked:
    """Random candidates with random scores; every third user has fewer than asked for."""
    splits = make_splits(ratings, SplitsConfig())
    known = known_ratings(ratings, splits, TEST)
    catalogue = catalogue_of(fit_ratings(ratings, splits, TEST))
    users = histories_of(known, catalogue)
    item_rows = item_features(ratings, movies, splits.fit_end(TEST))
    rng = np.random.default_rng(5)
    item_idx = np.stack([rng.permutation(catalogue.n_items)[:n_candidates] for _ in range(users.n_users)])
    item_idx[::3, n_candidates // 2 :] = -1
    return Asked(
        users=users,
        user_rows=user_features(known, item_rows),
        item_rows=item_rows,
        side=item_side(item_rows, random_vectors(catalogue.n_items, rng)),
        item_idx=item_idx,
        scores=-np.sort(-rng.normal(size=item_idx.shape).astype(np.float32), axis=1),
        closed_form_scores=rng.normal(size=item_idx.shape).astype(np.float32),
        trend_scores=rng.normal(size=item_idx.shape).astype(np.float32),
    )


def random_vectors(n_items: int, rng: np.random.Generator) -> ItemVectors:
    trained, shown, offered = (rng.normal(size=(n_items, d)).astype(np.float32) for d in (17, 9, 9))
    lifts = sp.random_array((n_items, n_items), density=0.1, rng=rng, format="csr", dtype=np.float32)
    return ItemVectors(trained=trained, shown=shown, offered=offered, following=lifts, preceding=lifts.T.tocsr())


@pytest.fixture(scope="session")
def asking() -> Asking:
    return ask


@pytest.fixture(scope="session")
def asked() -> Asked:
    return ask(tiny_world.ratings(), tiny_world.movies())


@pytest.fixture(scope="session")
def asked_of_people() -> Asked:
    return ask(embedded.ratings(), embedded.movies())
