"""Ratings -> slices: two exams at cut-offs in time, and the hold-outs that teach the ranker for each."""

import polars as pl

from recsys_core.data.config import HoldoutsConfig, SplitsConfig
from recsys_core.data.schemas import LIKED, RATINGS_COLUMNS
from recsys_core.data.splits import TEST, VALIDATION, Splits, holdout_prefix
from recsys_core.errors import DataError


def make_splits(ratings: pl.DataFrame, config: SplitsConfig) -> Splits:
    """Cut the ratings at quantiles of time, and hold out likes of what lies before each cut-off.

    Raises:
        DataError: the ratings are too few, or too many of them share one second, for the cut-offs to differ.
    """
    parts = []
    for exam, start, end in _exam_cutoffs(ratings, config):
        parts += [hold_out(ratings, exam, start, config), _exam(ratings, exam, start, end)]
    return _joined(parts)


def hold_out(ratings: pl.DataFrame, exam: str, fit_end: int, config: HoldoutsConfig) -> Splits:
    """The hold-outs for one exam: the latest likes of every user before it, in growing shares.

    A hold-out asks every user with at least `holdout_likes` likes and something known before the cut. The cut is the
    second of the first held-out like, so that ratings of one second are never parted.

    Args:
        ratings: RATINGS; rows at or after `fit_end` are ignored.
        exam: names the slices.
        fit_end: where the exam begins.
        config: how much is held out.
    """
    before = ratings.filter(pl.col("timestamp") < fit_end)
    shares = [config.holdout_share * (n + 1) for n in range(config.n_holdouts)]
    return _joined([_holdout(before, exam, fit_end, share, config.holdout_likes) for share in reversed(shares)])


def without_exam(ratings: pl.DataFrame, name: str, config: HoldoutsConfig, *, with_holdouts: bool) -> Splits:
    """One slice whose models see everything and which asks nobody, after its hold-outs where they are wanted.

    For a system that is asked from outside.
    """
    fit_end = int(ratings["timestamp"].max()) + 1  # type: ignore[arg-type]  # never null in RATINGS
    nobody = pl.DataFrame(schema={"user_id": pl.Int64(), "cut": pl.Int64()})
    everything = _slice(ratings, name, fit_end, fit_end, nobody)
    return _joined([hold_out(ratings, name, fit_end, config), everything] if with_holdouts else [everything])


def _holdout(before: pl.DataFrame, exam: str, fit_end: int, share: float, least: int) -> Splits:
    likes = before.filter(pl.col("rating") >= LIKED).sort("user_id", "timestamp", "item_id")
    cuts = (
        likes.group_by("user_id", maintain_order=True)
        .agg(n=pl.len(), cut=pl.col("timestamp").slice(-(pl.len() * share).ceil().cast(pl.Int64)).first())
        .filter(pl.col("n") >= least)
        .select("user_id", "cut")
    )
    name = f"{holdout_prefix(exam)}{round(100 * share)}"
    return _slice(before, name, fit_end, fit_end, cuts)


def _exam(ratings: pl.DataFrame, name: str, start: int, end: int) -> Splits:
    """The cut of each user lies in the middle of the ratings given between start and end."""
    active = ratings.filter(pl.col("timestamp").is_between(start, end, closed="left"))
    # The second of the middle rating, not its place: ratings of one second are never parted.
    cuts = (
        active.sort("user_id", "timestamp")
        .group_by("user_id", maintain_order=True)
        .agg(cut=pl.col("timestamp").get(pl.len() // 2))
    )
    return _slice(ratings.filter(pl.col("timestamp") < end), name, start, end, cuts)


def _slice(ratings: pl.DataFrame, name: str, fit_end: int, until: int, cuts: pl.DataFrame) -> Splits:
    """The slice of those users who have something known before their cut and something to be found after it."""
    own = ratings.join(cuts, on="user_id").sort("user_id", "timestamp", "item_id")
    is_known = pl.col("timestamp") < pl.col("cut")
    targets = own.filter(~is_known & (pl.col("rating") >= LIKED))
    targets = targets.join(own.filter(is_known), on="user_id", how="semi", maintain_order="left")
    users = cuts.join(targets, on="user_id", how="semi").sort("user_id")
    return Splits(
        cutoffs=pl.DataFrame({"slice": [name], "fit_end": [fit_end], "until": [until]}),
        users=users.select(pl.lit(name).alias("slice"), "user_id", "cut"),
        targets=targets.select(pl.lit(name).alias("slice"), *RATINGS_COLUMNS),
    )


def _exam_cutoffs(ratings: pl.DataFrame, config: SplitsConfig) -> list[tuple[str, int, int]]:
    """(name, first second, end) of each exam."""
    stamps = ratings["timestamp"].sort()
    shares = (1 - config.test_share - config.validation_share, 1 - config.test_share)
    starts = [int(stamps[int(len(stamps) * share)]) for share in shares] if len(stamps) else []
    if len(set(starts)) < len(shares) or starts[0] == stamps[0]:
        raise DataError(
            f"{len(stamps)} ratings cannot be cut into a past, a validation and a test period: too few, or too many "
            "in one second; use more data or other shares (SplitsConfig)"
        )
    return [(VALIDATION, starts[0], starts[1]), (TEST, starts[1], int(stamps[-1]) + 1)]


def _joined(parts: list[Splits]) -> Splits:
    return Splits(
        cutoffs=pl.concat([part.cutoffs for part in parts]),
        users=pl.concat([part.users for part in parts]),
        targets=pl.concat([part.targets for part in parts]),
    )
