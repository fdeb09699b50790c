"""How much do the results vary between seeds?

Usage:
    python -m benchmarks.seeds [SEED ...]

For each seed, all towers and rankers are trained again on the tables of the lake; data, features, settings and
baselines stay the same. The figures of the development windows judge settings. Those of the test are read for their
spread alone, never to choose a seed. One seed takes some minutes of CPU.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from recsys_assets.resources import lake_root
from recsys_core.data.splits import TEST, Splits
from recsys_core.evaluation.accuracy import HEADLINE, HEADLINE_METRICS
from recsys_core.evaluation.baselines.tuning import BaselineLists
from recsys_core.evaluation.config import EvaluationConfig
from recsys_core.evaluation.end_to_end import SystemInputs, evaluate_end_to_end
from recsys_core.evaluation.report import ALL_WINDOWS, DEVELOPMENT, OURS, RETRIEVAL_ONLY
from recsys_core.features.tables import SliceFeatures
from recsys_core.lake.store import Lake
from recsys_core.markdown import markdown_table
from recsys_core.metrics.uncertainty import seed_spread
from recsys_core.ranking.config import NO_RULES, RankerConfig
from recsys_core.ranking.rankers import fit_rankers
from recsys_core.ranking.training_rows import examples_of_slices
from recsys_core.retrieval.config import CandidatesConfig, IndexConfig, TwoTowerConfig
from recsys_core.retrieval.training import fit_retrieval_models
from recsys_core.tables import read_table


@dataclass(frozen=True, kw_only=True)
class Tables:
    """The tables that every seed starts from."""

    ratings: pl.DataFrame
    movies: pl.DataFrame
    splits: Splits
    features: SliceFeatures
    baselines: BaselineLists

    @classmethod
    def load(cls, root: Path) -> "Tables":
        """The current tables of a lake.

        Raises:
            ArtifactError: one has not been built yet.
        """
        lake = Lake(root)
        return cls(
            ratings=read_table(lake.open("ratings") / "every_rating.parquet"),
            movies=read_table(lake.open("movies") / "movies.parquet"),
            splits=Splits.load(lake.open("splits"), with_test_targets=True),
            features=SliceFeatures(
                items=read_table(lake.open("item_features") / "item_features.parquet"),
                users=read_table(lake.open("user_features") / "user_features.parquet"),
            ),
            baselines=BaselineLists.load(lake.open("baselines")),
        )


def figures(tables: Tables, seed: int) -> dict[str, float]:
    """Every figure of one seed, by "windows model metric"."""
    ratings, splits, features = tables.ratings, tables.splits, tables.features
    models = fit_retrieval_models(ratings, features.items, splits, TwoTowerConfig.model_validate({"seed": seed}))
    examples = examples_of_slices(
        ratings, splits, features, models.__getitem__, n_candidates=CandidatesConfig().n_candidates
    )
    rankers = fit_rankers(examples, RankerConfig.model_validate({"seed": seed}), NO_RULES)
    inputs = SystemInputs(
        ratings=ratings,
        splits=splits,
        items=features.items,
        movies=tables.movies,
        model_of=models.__getitem__,
        ranker_of=rankers.window_rankers.__getitem__,
        index=IndexConfig(),
        baselines=tables.baselines,
    )
    # The bootstrap keeps its own seed: here the spread is that of the models.
    report = evaluate_end_to_end(inputs, EvaluationConfig())
    return {
        f"{window} {model} {name}": report.mean(model, name, window=window)
        for window, names in ((DEVELOPMENT, [HEADLINE]), (ALL_WINDOWS, HEADLINE_METRICS), (TEST, HEADLINE_METRICS))
        for model in (RETRIEVAL_ONLY, OURS)
        for name in names
    }


def table(by_seed: Sequence[dict[str, float]], seeds: Sequence[int]) -> str:
    """A row per figure: each seed's value, then mean and standard deviation."""
    rows = []
    for name in by_seed[0]:
        values = [one[name] for one in by_seed]
        spread = seed_spread(values)
        rows.append([name, *(f"{value:.4f}" for value in values), f"{spread.mean:.4f}", f"{spread.sd:.4f}"])
    return markdown_table(["figure", *(f"seed {seed}" for seed in seeds), "mean", "sd"], rows)


def main(arguments: list[str]) -> None:
    """Print the table for the given seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seeds", type=int, nargs="*", default=[17, 18, 19], help="seeds of both models")
    seeds = parser.parse_args(arguments).seeds
    tables = Tables.load(lake_root())
    print(table([figures(tables, seed) for seed in seeds], seeds))


if __name__ == "__main__":
    main(sys.argv[1:])
