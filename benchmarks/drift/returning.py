"""What to take for a cluster, and how long a reference should be, where people come back: nothing ever drifts here."""

from collections.abc import Callable
from functools import partial

import numpy as np

from benchmarks.drift.requests import N_PLACES, Requests, Users, column
from recsys_core.arrays import Float64s
from recsys_core.monitoring.config import DriftConfig
from recsys_core.monitoring.drift import drift_report
from recsys_core.monitoring.reference import make_reference
from recsys_core.seeding import child

Arrivals = Callable[[np.random.Generator, Users], tuple[Users, Users]]
"""Chance and all users in any order -> the user of each visit, in the reference and in the window."""


def visits(rng: np.random.Generator, users: Users, chance: Float64s, n_days: int) -> Users:
    """The user of each visit, over some days on each of which a user comes with a chance of their own, (n_users,)."""
    return np.concatenate([users[rng.random(len(users)) < chance] for _ in range(n_days)])


def others(rng: np.random.Generator, users: Users) -> tuple[Users, Users]:
    """A week of 75 people who come on two days of three; a day of 100 others."""
    return visits(rng, users[:75], np.full(75, 2 / 3), 7), users[75:175]


def everybody(rng: np.random.Generator, users: Users, *, activity: Float64s, n_days: int) -> tuple[Users, Users]:
    """A week and some days of all people, of whom each comes with a chance of their own."""
    return visits(rng, users, activity[users], 7), visits(rng, users, activity[users], n_days)


def scenarios(requests: Requests) -> list[tuple[str, str, bool, Arrivals]]:
    """Reference and window in words, whether a cluster is a user rather than a user's day, and who comes."""
    n_ratings = requests.features[:, 0, column("user_n_ratings")]
    activity = 0.5 * (n_ratings.argsort().argsort() / len(n_ratings)) ** 2  # who rates most comes every other day
    day, week = (partial(everybody, activity=activity, n_days=n_days) for n_days in (1, 7))
    return [
        ("a week of 75 people", "a day of 100 others", False, others),
        ("a week of 75 people", "a day of 100 others", True, others),
        ("a week of all, some more often", "a day of all", True, day),
        ("a week of all, some more often", "a week of all", True, week),
    ]


def false_alarms(
    requests: Requests, arrivals: Arrivals, config: DriftConfig, *, by_user: bool, n_runs: int
) -> list[bool]:
    """Whether each report alarms. A visit shows a user's places drawn anew: the visits of one user hang together."""
    found = []
    for run in range(n_runs):
        rng = child(run, "benchmarks", "drift", "returning")
        samples = []
        for who in arrivals(rng, rng.permutation(len(requests.features))):
            places = rng.integers(0, N_PLACES, (len(who), N_PLACES, 1))
            seen = np.take_along_axis(requests.features[who], places, axis=1)
            samples.append(requests.sample(seen, who if by_user else None))
        report = drift_report(make_reference(samples[0], DriftConfig()), samples[1], config)
        assert report.is_judged  # else the figure would count windows that nobody looked at
        found.append(bool(report.drifted()))
    return found
