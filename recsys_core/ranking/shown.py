"""Shown slots whose outcome is known -> rows that the ranker learns from, beside those of the hold-outs.

They are what no hold-out can give: items that were in front of a user and left alone. The features are those that the
ranker read when it showed them, as logged, so that nothing of later can be in them.
"""

import polars as pl

from recsys_core.data.splits import EXAMS, Splits, holdout_prefix
from recsys_core.features.registry import FEATURE_NAMES, feature_set_version
from recsys_core.feedback.records import has_features, unpack_features

SHOWN = "shown/"
"""In the name of a slice: it is one request, `<hold-out prefix>shown/<request_id>`."""


def is_shown() -> pl.Expr:
    """Whether a row of the examples is of a slot that was really shown."""
    return pl.col("slice").str.contains(f"_{SHOWN}", literal=True)


def shown_rows(outcomes: pl.DataFrame, splits: Splits) -> pl.DataFrame:
    """Rows of `RankingExamples`: each request is a slice of its own, once for every exam that came after its outcome.

    Left out are requests of nobody we know, those in which all or none were liked, since they teach no order, and those
    that were answered with other features than the code computes now. Slots with another number of features are no
    lessons, whatever version they name: the log takes in any.

    Args:
        outcomes: OUTCOMES_COLUMNS.
        splits: the exams' dates.

    Returns:
        slice, user_id, item_id, label, features; a request's slots together, in the order in which they were shown.
    """
    is_ours = has_features(len(FEATURE_NAMES)) & (pl.col("feature_set") == feature_set_version())
    usable = outcomes.filter(is_ours, pl.col("user_id").is_not_null())
    n_likes = pl.col("label").sum().over("request_id")
    telling = usable.filter(n_likes > 0, n_likes < pl.len().over("request_id"))
    ordered = telling.sort("shown_at", "request_id", "position")
    return pl.concat([_for_exam(ordered, exam, splits.fit_end(exam)) for exam in EXAMS])


def _for_exam(outcomes: pl.DataFrame, exam: str, fit_end: int) -> pl.DataFrame:
    known = outcomes.filter(pl.col("settled_at") <= fit_end)
    named = known.select(
        pl.concat_str(pl.lit(f"{holdout_prefix(exam)}{SHOWN}"), "request_id").alias("slice"),
        "user_id",
        "item_id",
        "label",
    )
    features = dict.fromkeys(FEATURE_NAMES, pl.Float32)
    if known.is_empty():
        return named.with_columns(pl.lit(None, dtype).alias(name) for name, dtype in features.items())
    read = unpack_features(known["features"].to_list())
    return pl.concat([named, pl.DataFrame(read, schema=features, orient="row")], how="horizontal")
