"""How far can the ranker's probabilities be trusted, beyond what its report says?

Usage:
    python -m benchmarks.calibration

Three questions about the current artifacts of the lake; nothing is trained.

1. How much does the calibration error on the development windows depend on how the users are split into halves?

2. Do the probabilities differ between users as the users' shares of likes do?

3. Do they hold on the test window, whose answers neither the ranker nor its calibration has seen? The test is read for
this answer alone, never to choose anything.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from recsys_assets.resources import lake_root
from recsys_core.data.splits import TEST
from recsys_core.lake.store import Lake
from recsys_core.markdown import markdown_table
from recsys_core.metrics.uncertainty import paired_ratio
from recsys_core.ranking.rankers import load_window_ranker, scored_window
from recsys_core.ranking.report import crossfitted, forecast_scores
from recsys_core.ranking.training_rows import RankingExamples
from recsys_core.seeding import child

SEEDS = range(17, 37)


def scored(lake: Lake, examples: RankingExamples, windows: Sequence[str]) -> pl.DataFrame:
    """user_id, label, score, calibrated (NaN without a curve) of every candidate of some windows.

    Each window is scored by its own ranker, with the calibration curve from the windows before.
    """
    parts = []
    for window in windows:
        ranker = load_window_ranker(lake.open("ranker"), window)
        own = scored_window(ranker, examples, window)
        stated = ranker.probability(own["score"].to_numpy())
        known = np.full(own.height, np.nan) if stated is None else stated
        parts.append(own.with_columns(calibrated=pl.Series(known)))
    return pl.concat(parts)


def halvings(scored: pl.DataFrame) -> str:
    """Calibration error of all candidates, over many random splits of the users into halves."""
    errors = [forecast_scores(crossfitted(scored, seed))["calibration_error"][0] for seed in SEEDS]
    return f"{np.mean(errors):.4f} on average, {np.min(errors):.4f} to {np.max(errors):.4f}"


def between_users(forecast: pl.DataFrame) -> str:
    """The correlation of each user's mean probability with the user's share of likes, and the mean distance."""
    of_user = forecast.group_by("user_id").agg(pl.col("calibrated", "base_rate", "label").mean())
    liked = of_user["label"].to_numpy()
    ours, constant = (float(np.abs(of_user[name].to_numpy() - liked).mean()) for name in ("calibrated", "base_rate"))
    together = of_user.select(pl.corr("calibrated", "label", method="spearman")).item()
    return f"rank correlation {together:.2f}; mean distance {ours:.4f}, of the base rate {constant:.4f}"


def stated_and_true(forecast: pl.DataFrame, k: int = 10) -> str:
    """Mean probability of the first k candidates, and the share of them that was liked, bootstrapped over users."""
    shown = forecast.sort("score", descending=True, maintain_order=True).group_by("user_id").head(k)
    of_user = shown.group_by("user_id").agg(pl.col("label").sum().cast(pl.Float64), pl.len().cast(pl.Float64))
    likes, places = (of_user.sort("user_id")[name].to_numpy() for name in ("label", "len"))
    true = paired_ratio(likes, places, child(17, "shown"))
    return f"stated {shown['calibrated'].to_numpy().mean():.4f}, true {true} users"


def main(root: Path) -> None:
    """Print the three answers."""
    lake = Lake(root)
    examples = RankingExamples.load(lake.open("ranking_examples"))
    development = scored(lake, examples, examples.development).drop("calibrated")
    base_rate = float(development["label"].to_numpy().mean())
    forecast = scored(lake, examples, [TEST]).with_columns(base_rate=pl.lit(base_rate))
    print(f"calibration error over {len(SEEDS)} random halves: {halvings(development)}")
    print(f"between users: {between_users(crossfitted(development))}")
    print(f"between users, test: {between_users(forecast)}")
    print(f"first ten: {stated_and_true(crossfitted(development))}")
    print(f"first ten, test: {stated_and_true(forecast)}\n")
    table = forecast_scores(forecast)
    rows = [[f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row] for row in table.iter_rows()]
    print(markdown_table(table.columns, rows))


if __name__ == "__main__":
    main(lake_root())
