"""A judged test slice of the tiny world: random lists of three stages and of two baselines."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import polars as pl
import pytest

from recsys_core.data.config import SplitsConfig
from recsys_core.data.histories import Catalogue, Histories, catalogue_of, histories_of
from recsys_core.data.slicing import make_splits
from recsys_core.data.splits import TEST, fit_ratings, known_ratings
from recsys_core.evaluation.breadth import Audience
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.evaluation.funnel import Stages
from recsys_core.evaluation.lists import lists_table
from recsys_core.evaluation.report import POPULARITY, EvalReport, evaluate
from recsys_core.features.tables import item_features
from tests import tiny_world

Int64s = npt.NDArray[np.int64]
Judging = Callable[..., "Judged"]

N_FOUND = 30


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What `evaluate` reads."""

    stages: Stages
    baselines: pl.DataFrame
    targets: pl.DataFrame
    audience: Audience
    trained_users: pl.Series

    def report(self, config: EvaluationConfig | None = None) -> EvalReport:
        settings = config or EvaluationConfig(n_draws=200, n_slice_users=3)
        return evaluate(self.stages, self.baselines, self.targets, self.audience, self.trained_users, settings)


def unseen_at_random(users: Histories, k: int, rng: np.random.Generator) -> Int64s:
    """(n_users, k) unseen items in random order; -1 after the last."""
    seen = users.seen().toarray() > 0
    keys = np.where(seen, np.inf, rng.random(seen.shape))
    order = np.argsort(keys, axis=1)[:, :k]
    return np.where(np.take_along_axis(seen, order, axis=1), -1, order)


def judge(seed: int = 0) -> Judged:
    rng = np.random.default_rng(seed)
    ratings = tiny_world.ratings(seed)
    splits = make_splits(ratings, SplitsConfig())
    fit = fit_ratings(ratings, splits, TEST)
    catalogue = catalogue_of(fit)
    users = histories_of(known_ratings(ratings, splits, TEST), catalogue, splits.users_of(TEST))
    exact = unseen_at_random(users, N_FOUND + 6, rng)
    found = exact[:, :N_FOUND].copy()
    found[:, 4] = exact[:, N_FOUND + 3]  # the index found another item than the fifth
    shuffle = np.argsort(rng.random(found.shape) + 9 * (found < 0), axis=1)
    lists = {name: unseen_at_random(users, 40, rng) for name in (POPULARITY, "ease")}
    return Judged(
        stages=Stages(
            users=users,
            catalogue=catalogue,
            exact=exact[:, :N_FOUND],
            found=found,
            ranked=np.take_along_axis(found, shuffle, axis=1),
        ),
        baselines=pl.concat([lists_table(name, users.user_ids, array, catalogue) for name, array in lists.items()]),
        targets=splits.targets.filter(slice=TEST),
        audience=Audience(
            users=users,
            catalogue=catalogue,
            items=item_features(ratings, tiny_world.movies(), splits.fit_end(TEST)),
            n_trained_users=fit["user_id"].n_unique(),
        ),
        trained_users=fit["user_id"].unique(),
    )


@pytest.fixture(scope="session")
def judging() -> Judging:
    return judge


@pytest.fixture(scope="session")
def judged() -> Judged:
    return judge()


@pytest.fixture(scope="session")
def report(judged: Judged) -> EvalReport:
    return judged.report()


@pytest.fixture
def two_users() -> Stages:
    """Users 1 and 2, items 10 to 60 as rows 0 to 5; user 1 has rated item 60. All stages are still empty."""
    users = Histories(
        user_ids=np.array([1, 2]),
        offsets=np.array([0, 1, 1]),
        item_idx=np.array([5]),
        ratings=np.array([5], dtype=np.float32),
        timestamps=np.array([0]),
        n_items=6,
    )
    nothing = np.full((2, 4), -1)
    catalogue = Catalogue(item_ids=np.arange(10, 70, 10))
    return Stages(users=users, catalogue=catalogue, exact=nothing, found=nothing, ranked=nothing)


@pytest.fixture
def listing(two_users: Stages) -> Callable[..., Stages]:
    """`two_users` with what the stages gave user 1."""

    def listed(exact: list[int], found: list[int], ranked: list[int]) -> Stages:
        filled = {}
        for name, items in (("exact", exact), ("found", found), ("ranked", ranked)):
            filled[name] = np.full((2, 4), -1)
            filled[name][0, : len(items)] = items
        return replace(two_users, **filled)

    return listed
