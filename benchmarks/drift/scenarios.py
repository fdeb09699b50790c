"""The data for the drift benchmark: real requests, windows that are shifted on purpose, and users who come back.

Three kinds of data: (1) the first ten candidates of each user's latest query, as the ranker reads them; (2) declared
shifts, to see which rule notices them; (3) scenarios without any drift in which users return, to choose what counts as
a cluster and how long a reference should be.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt
import polars as pl

from recsys_core.arrays import Float32s, Float64s
from recsys_core.data.splits import Splits, known_ratings
from recsys_core.features.registry import FEATURE_NAMES, FEATURES
from recsys_core.features.tables import of_slice
from recsys_core.lake.store import Lake
from recsys_core.monitoring.clustered_sample import ClusteredSample, scored_sample
from recsys_core.monitoring.config import DriftConfig
from recsys_core.monitoring.drift import drift_report
from recsys_core.monitoring.reference import make_reference
from recsys_core.ranking.inputs import candidate_features, generate_candidates, generator_of
from recsys_core.ranking.ranker import Ranker
from recsys_core.retrieval.model import load_retrieval_model
from recsys_core.seeding import child
from recsys_core.tables import read_table

Users = npt.NDArray[np.int64]


N_PLACES = 10


@dataclass(frozen=True, kw_only=True)
class Requests:
    """One request per user."""

    features: Float32s  # (n_users, N_PLACES, n_features)
    earlier: Float32s  # the same users, answered from a history that lacks the latest half of their ratings
    ranker: Ranker

    def sample(self, features: Float32s, clusters: Users | None = None) -> ClusteredSample:
        """The rows of (n, N_PLACES, n_features) requests with scores; by default each request is a cluster."""
        rows = features.reshape(-1, len(FEATURE_NAMES))
        numbers = np.arange(len(features)) if clusters is None else clusters
        return scored_sample(rows, self.ranker.score(rows), np.repeat(numbers, features.shape[1]))


def column(name: str) -> int:
    """Position of a feature among the columns."""
    return FEATURE_NAMES.index(name)


def latest_questions(splits: Splits) -> pl.DataFrame:
    """slice, user_id, cut: the latest query of each user in the chain."""
    order = {name: place for place, name in enumerate(splits.names)}
    placed = splits.users.with_columns(place=pl.col("slice").replace_strict(order, return_dtype=pl.Int64))
    return placed.sort("place").unique("user_id", keep="last", maintain_order=True).drop("place")


def read_requests(lake: Lake) -> Requests:
    """The users who have ten candidates, with all their ratings and with the earlier half of them."""
    ratings = read_table(lake.open("ratings") / "every_rating.parquet")
    splits = Splits.load(lake.open("splits"))
    items = read_table(lake.open("item_features") / "item_features.parquet")
    ranker = Ranker.load(lake.open("ranker"))
    features, earlier = [], []
    for (name,), own in latest_questions(splits).group_by("slice", maintain_order=True):
        model = load_retrieval_model(lake.open("two_tower"), str(name))
        generator = generator_of(model, of_slice(items, str(name)))
        requests = own.select("user_id", requested_at="cut")
        known = known_ratings(ratings, splits, str(name)).join(own, on="user_id", how="semi")
        place = pl.col("timestamp").rank("ordinal").over("user_id")
        now, then = (
            generate_candidates(generator, table, requests, n_candidates=ranker.n_candidates)
            for table in (known, known.filter(place <= pl.len().over("user_id") // 2))
        )
        both = [(one.candidates.item_idx[:, :N_PLACES] >= 0).all(axis=1) for one in (now, then)]
        features.append(candidate_features(now)[both[0] & both[1], :N_PLACES])
        earlier.append(candidate_features(then)[both[0] & both[1], :N_PLACES])
    return Requests(features=np.concatenate(features), earlier=np.concatenate(earlier), ranker=ranker)


NOTHING = "no drift"

Shift = Callable[[Requests, Users, np.random.Generator], Float32s]
"""Requests, the users of a window, generator -> the shifted features of the window, (n, N_PLACES, n_features)."""


def unmoved(requests: Requests, users: Users, rng: np.random.Generator) -> Float32s:
    """No drift."""
    return requests.features[users]


def stale(requests: Requests, users: Users, rng: np.random.Generator) -> Float32s:
    """A fifth of the users is answered from an earlier history."""
    moved = requests.features[users]
    some = rng.permutation(len(users))[: len(users) // 5]
    moved[some] = requests.earlier[users[some]]
    return moved


def all_stale(requests: Requests, users: Users, rng: np.random.Generator) -> Float32s:
    """Every user is answered from an earlier history."""
    return requests.earlier[users]


def emptied(requests: Requests, users: Users, rng: np.random.Generator) -> Float32s:
    """A fifth of the users has the user features of a user without ratings."""
    moved = requests.features[users]
    some = rng.permutation(len(users))[: len(users) // 5]
    for feature in FEATURES:
        if feature.entity == "user":
            moved[some, :, column(feature.name)] = 0 if feature.name == "user_n_ratings" else np.nan
    return moved


def nudged(requests: Requests, users: Users, rng: np.random.Generator) -> Float32s:
    """Every item is a little more popular."""
    moved = requests.features[users]
    at = column("item_popularity_share")
    moved[:, :, at] += 0.2 * requests.features[:, :, at].std()
    return moved


def rescaled(requests: Requests, users: Users, rng: np.random.Generator) -> Float32s:
    """One feature in another unit."""
    moved = requests.features[users]
    moved[:, :, column("item_days_known")] *= 60
    return moved


def thinned(requests: Requests, users: Users, rng: np.random.Generator) -> Float32s:
    """A fifth of the rows lacks one feature."""
    moved = requests.features[users]
    moved[rng.random(moved.shape[:2]) < 0.2, column("item_mean_rating")] = np.nan
    return moved


CAUSES: dict[str, Shift] = {
    NOTHING: unmoved,
    "20 % of users answered from a history that ends earlier": stale,
    "all users answered from a history that ends earlier": all_stale,
    "20 % of users with the features of an empty history": emptied,
    "`item_popularity_share` + 0.2 standard deviations": nudged,
    "`item_days_known` x 60": rescaled,
    "`item_mean_rating` missing in 20 % of rows": thinned,
}


Arrivals = Callable[[np.random.Generator, Users], tuple[Users, Users]]
"""Generator and all users in any order -> the user of each visit, in the reference and in the window."""


def visits(rng: np.random.Generator, users: Users, chance: Float64s, n_days: int) -> Users:
    """The user of each visit, over some days; on each day a user comes with the user's own probability, (n_users,)."""
    return np.concatenate([users[rng.random(len(users)) < chance] for _ in range(n_days)])


def others(rng: np.random.Generator, users: Users) -> tuple[Users, Users]:
    """A week of 75 users who come on two days of three, and a day of 100 other users."""
    return visits(rng, users[:75], np.full(75, 2 / 3), 7), users[75:175]


def all_users(rng: np.random.Generator, users: Users, *, activity: Float64s, n_days: int) -> tuple[Users, Users]:
    """A week, and some days, of all users, who each come with a probability of their own."""
    return visits(rng, users, activity[users], 7), visits(rng, users, activity[users], n_days)


def scenarios(requests: Requests) -> list[tuple[str, str, bool, Arrivals]]:
    """Reference and window in words, whether a cluster is a user rather than a user's day, and the visits."""
    n_ratings = requests.features[:, 0, column("user_n_ratings")]
    activity = 0.5 * (n_ratings.argsort().argsort() / len(n_ratings)) ** 2  # the most active user comes every other day
    day, week = (partial(all_users, activity=activity, n_days=n_days) for n_days in (1, 7))
    return [
        ("a week of 75 users", "a day of 100 others", False, others),
        ("a week of 75 users", "a day of 100 others", True, others),
        ("a week of all, some more often", "a day of all", True, day),
        ("a week of all, some more often", "a week of all", True, week),
    ]


def false_alarms(
    requests: Requests, arrivals: Arrivals, config: DriftConfig, *, by_user: bool, n_runs: int
) -> list[bool]:
    """Whether each report raises an alarm.

    A visit shows a random selection of the user's candidates, so that the visits of one user are correlated.
    """
    found = []
    for run in range(n_runs):
        rng = child(run, "benchmarks", "drift", "returning")
        samples = []
        for who in arrivals(rng, rng.permutation(len(requests.features))):
            places = rng.integers(0, N_PLACES, (len(who), N_PLACES, 1))
            seen = np.take_along_axis(requests.features[who], places, axis=1)
            samples.append(requests.sample(seen, who if by_user else None))
        report = drift_report(make_reference(samples[0], DriftConfig()), samples[1], config)
        assert report.is_judged  # otherwise windows without a verdict would count as passed
        found.append(bool(report.drifted()))
    return found
