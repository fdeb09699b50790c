"""Judged windows of the tiny world: random lists of three stages and of two baselines."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pytest

from recsys_core.arrays import Int64s
from recsys_core.data.histories import Catalogue, Histories, catalogue_of, histories_of
from recsys_core.data.splits import TEST, fit_ratings, make_splits
from recsys_core.evaluation.beyond_accuracy import Audience
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.evaluation.funnel import Stages
from recsys_core.evaluation.protocols import REFITTED, EvaluationQuestions, Questions, lists_table, of_window
from recsys_core.evaluation.report import POPULARITY, Answered, EvalReport, evaluate
from recsys_core.features.tables import item_features
from tests import tiny_world
from tests.core.worlds import QUICK_SPLITS

Judging = Callable[..., "Judged"]

N_FOUND = 30


@dataclass(frozen=True, kw_only=True)
class Judged:
    """What `evaluate` reads."""

    answered: list[Answered]
    baselines: pl.DataFrame

    def report(self, config: EvaluationConfig | None = None) -> EvalReport:
        settings = config or EvaluationConfig(n_draws=200, n_slice_users=3)
        return evaluate(self.answered, self.baselines, settings)

    def with_stages(self, change: Callable[[Answered], Stages]) -> "Judged":
        """The same questions, answered otherwise."""
        return replace(self, answered=[replace(one, stages=change(one)) for one in self.answered])

    def with_targets(self, change: Callable[[pl.DataFrame], pl.DataFrame]) -> "Judged":
        """The same answers to questions with other targets."""
        return replace(
            self,
            answered=[
                replace(one, questions=replace(one.questions, targets=change(one.questions.targets)))
                for one in self.answered
            ],
        )

    def of(self, protocol: str, *windows: str) -> list[Answered]:
        """The answers by one protocol, of some windows or all."""
        own = [one for one in self.answered if one.questions.protocol == protocol]
        return [one for one in own if not windows or one.questions.window in windows]

    @property
    def tested(self) -> Answered:
        """The last answers to the test, refitted."""
        return self.of(REFITTED, TEST)[-1]

    @property
    def stages(self) -> Stages:
        """Of the last answers to the test."""
        return self.tested.stages

    @property
    def targets(self) -> pl.DataFrame:
        """Of the last questions of the test."""
        return self.tested.questions.targets

    def own(self, table: pl.DataFrame) -> pl.DataFrame:
        """The rows of a table that are of the last questions of the test, without protocol and window."""
        users = self.stages.users.user_ids.tolist()
        own = table.filter(pl.col("user_id").is_in(users), protocol=REFITTED, window=TEST)
        return own.drop("protocol", "window")

    @property
    def audience(self) -> Audience:
        """Whom the last answers to the test were given to."""
        one = self.tested
        return Audience(
            users=one.stages.users,
            catalogue=one.stages.catalogue,
            items=one.items,
            n_trained_users=len(one.trained_users),
        )


def unseen_at_random(users: Histories, k: int, rng: np.random.Generator) -> Int64s:
    """(n_users, k) unseen items in random order; -1 after the last."""
    seen = users.seen().toarray() > 0
    keys = np.where(seen, np.inf, rng.random(seen.shape))
    order = np.argsort(keys, axis=1)[:, :k]
    return np.where(np.take_along_axis(seen, order, axis=1), -1, order)


def stages_at_random(questions: Questions, catalogue: Catalogue, rng: np.random.Generator) -> Stages:
    users = histories_of(questions.known, catalogue, questions.requests["user_id"].to_numpy())
    exact = unseen_at_random(users, N_FOUND + 6, rng)
    found = exact[:, :N_FOUND].copy()
    found[:, 4] = exact[:, N_FOUND + 3]  # the index found another item than the fifth
    shuffle = np.argsort(rng.random(found.shape) + 9 * (found < 0), axis=1)
    ranked = np.take_along_axis(found, shuffle, axis=1)
    return Stages(users=users, catalogue=catalogue, exact=exact[:, :N_FOUND], found=found, ranked=ranked)


def judge(seed: int = 0) -> Judged:
    rng = np.random.default_rng(seed)
    ratings = tiny_world.ratings(seed)
    splits = make_splits(ratings, QUICK_SPLITS)
    evaluation = EvaluationQuestions.of(ratings, splits)
    answered, lists = [], []
    for name in evaluation.slices:
        fit = fit_ratings(ratings, splits, name)
        items = item_features(ratings, tiny_world.movies(), splits.fit_end(name))
        for one in evaluation.questions(name):
            stages = stages_at_random(one, catalogue_of(fit), rng)
            answered.append(Answered(questions=one, stages=stages, items=items, trained_users=fit["user_id"].unique()))
            for model in (POPULARITY, "ease"):
                ranked = unseen_at_random(stages.users, 40, rng)
                lists.append(of_window(one, lists_table(model, stages.users.user_ids, ranked, stages.catalogue)))
    return Judged(answered=answered, baselines=pl.concat(lists))


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
