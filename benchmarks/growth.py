"""How does the training time of the towers grow with the data?

Usage:
    python -m benchmarks.growth [N_INTERACTIONS ...] [--runs 3] [--setting NAME=VALUE ...]

Each run generates synthetic interactions from a seed and trains on them in a process of its own. A user has a hundred
interactions on average, some users many more. The catalogue grows with the square root of the interactions and is as
large as that of the shipped data for the same number. Popularity follows Zipf's law. The data contains nothing to
learn; only the cost counts.

The figures are the CPU seconds of `train_retrieval_model`, without generating the data, and the peak memory of the
process. The exponent is the slope of log CPU seconds over log interactions, by least squares over all runs: 1 is linear
growth. All sizes train for the same few epochs.
"""

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import polars as pl

from benchmarks import PROJECT
from benchmarks.measuring import BYTES_PER_UNIT, spread_of
from recsys_core.arrays import Float64s, Int64s
from recsys_core.data.schemas import MOVIES, MOVIES_COLUMNS, RATINGS, RATINGS_COLUMNS
from recsys_core.features.item_inputs import GENRES
from recsys_core.features.tables import item_features
from recsys_core.markdown import markdown_table
from recsys_core.retrieval.config import TwoTowerConfig
from recsys_core.retrieval.training import train_retrieval_model

SIZES = (100_000, 1_000_000, 5_000_000)
PER_USER = 100
ITEMS_PER_ROOT = 28.5
"""Items divided by the square root of the interactions: 9,000 items for 100,000 interactions."""
WARM_UP = 2_000
"""Interactions of a first training that is not timed."""
FLATTEST_RANKS = 20
"""Added to the rank in Zipf's law, so that the first few items are about equally popular."""
FIRST_SECOND, YEAR = 1_000_000_000, 365 * 86_400
BASE: Mapping[str, float] = {"n_epochs": 2}


@dataclass(frozen=True, kw_only=True, slots=True)
class Growth:
    """The size of one training, and its cost."""

    n_interactions: int
    n_users: int
    n_items: int
    cpu_s: float
    peak_gb: float


def interactions(n: int, seed: int) -> pl.DataFrame:
    """RATINGS: nearly `n` rows, and at most `n`; no user rates an item twice."""
    rng = np.random.default_rng(seed)
    n_users, n_items = max(2, n // PER_USER), max(4, round(ITEMS_PER_ROOT * n**0.5))
    activity = rng.lognormal(0.0, 0.7, n_users)
    popularity = 1 / (np.arange(n_items) + FLATTEST_RANKS)
    user = _drawn(activity, 3 * n // 2, rng)
    item = rng.permutation(n_items)[_drawn(popularity, len(user), rng)]
    pairs = np.unique(user * n_items + item)
    user, item = np.divmod(pairs[np.sort(rng.permutation(len(pairs))[:n])], n_items)
    joined = rng.integers(0, 8 * YEAR, n_users)
    table = pl.DataFrame(
        {
            "user_id": user + 1,
            "item_id": item + 1,
            "rating": rng.integers(1, 11, len(user)) / 2,
            "timestamp": FIRST_SECOND + joined[user] + rng.integers(0, 2 * YEAR, len(user)),
        },
        schema=RATINGS_COLUMNS,
    )
    return RATINGS.validate(table.sort("timestamp", "user_id", "item_id"))


def _drawn(weights: Float64s, n: int, rng: np.random.Generator) -> Int64s:
    """(n,) row numbers, drawn with probabilities proportional to the weights."""
    return np.searchsorted(np.cumsum(weights) / weights.sum(), rng.random(n))


def movies_of(ratings: pl.DataFrame, seed: int) -> pl.DataFrame:
    """MOVIES: each with two genres and a year."""
    rng = np.random.default_rng(seed)
    ids = ratings["item_id"].unique().sort()
    genres = np.array(GENRES)[rng.integers(0, len(GENRES), (len(ids), 2))]
    columns = {
        "item_id": ids,
        "title": [f"Movie {one}" for one in ids],
        "genres": [sorted(set(pair)) for pair in genres.tolist()],
        "year": rng.integers(1950, 2001, len(ids)),
    }
    return MOVIES.validate(pl.DataFrame(columns, schema=MOVIES_COLUMNS))


def training_cost(n: int, seed: int, config: TwoTowerConfig) -> Growth:
    """Make the data, train, and say what it took; the memory is that of this whole process so far."""
    _trained(WARM_UP, seed, config)  # torch imports its compiler with the first optimiser: not a matter of size
    ratings, n_items, cpu_s = _trained(n, seed, config)
    return Growth(
        n_interactions=len(ratings),
        n_users=ratings["user_id"].n_unique(),
        n_items=n_items,
        cpu_s=cpu_s,
        peak_gb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_PER_UNIT / 1e9,
    )


def _trained(n: int, seed: int, config: TwoTowerConfig) -> tuple[pl.DataFrame, int, float]:
    """The interactions, how many items they have, and the CPU seconds of a training on them."""
    ratings = interactions(n, seed)
    end = int(ratings["timestamp"].to_numpy().max()) + 1
    items = item_features(ratings, movies_of(ratings, seed), end)
    started = time.process_time()
    train_retrieval_model(ratings, items, end, config)
    return ratings, len(items), time.process_time() - started


def in_own_process(n: int, seed: int, setting: Mapping[str, float]) -> Growth:
    """`training_cost` in a fresh process, whose memory is that of this one training.

    Raises:
        subprocess.CalledProcessError: it failed; its message has been printed.
    """
    command = [sys.executable, "-m", "benchmarks.growth", str(n), "--alone", str(seed)]
    settings = [f"--setting={name}={value:g}" for name, value in setting.items()]
    done = subprocess.run([*command, *settings], cwd=PROJECT, check=True, stdout=subprocess.PIPE, text=True)
    return Growth(**json.loads(done.stdout))


def exponent(runs: Sequence[Growth]) -> float:
    """Slope of log CPU seconds over log interactions; NaN where all runs have one size."""
    x = np.log([run.n_interactions for run in runs])
    y = np.log([run.cpu_s for run in runs])
    return float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum()) if np.ptp(x) else float("nan")


def table(by_size: Sequence[Sequence[Growth]]) -> str:
    """A row per size: median, least and greatest over its runs."""
    rows = [
        [
            f"{runs[0].n_interactions:,}",
            f"{runs[0].n_users:,}",
            f"{runs[0].n_items:,}",
            str(spread_of([run.cpu_s for run in runs])),
            f"{spread_of([run.cpu_s / run.n_interactions * 1e6 for run in runs]).median:.1f}",
            str(spread_of([run.peak_gb for run in runs])),
        ]
        for runs in by_size
    ]
    return markdown_table(["interactions", "users", "items", "CPU s", "µs each", "peak GB"], rows)


def _parsed(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sizes", type=int, nargs="*", default=list(SIZES), help="interactions of each size")
    parser.add_argument("--runs", type=int, default=3, help="runs per size, each with data and seed of its own")
    parser.add_argument("--setting", action="append", default=[], help="a setting of the towers: NAME=VALUE")
    parser.add_argument("--alone", type=int, metavar="SEED", help="one training in this process, as JSON")
    return parser.parse_args(arguments)


def main(arguments: list[str]) -> None:
    """Print the table and the exponent."""
    given = _parsed(arguments)
    setting = {**BASE, **{name: float(value) for name, _, value in (one.partition("=") for one in given.setting)}}
    if given.alone is not None:
        config = TwoTowerConfig.model_validate({**setting, "seed": given.alone})
        print(json.dumps(asdict(training_cost(given.sizes[0], given.alone, config))))
        return
    # Round by round, so that a slow minute of the machine hits all sizes alike.
    rounds = [[in_own_process(n, seed, setting) for n in given.sizes] for seed in range(17, 17 + given.runs)]
    by_size = list(zip(*rounds, strict=True))
    print(table(by_size))
    print(f"\nexponent {exponent([run for runs in by_size for run in runs]):.3f}")


if __name__ == "__main__":
    main(sys.argv[1:])
