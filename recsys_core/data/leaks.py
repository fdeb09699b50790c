"""Checks that splits respect time: one rule for each kind of leak."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import polars as pl

from recsys_core.data.splits import Splits, fit_ratings, known_ratings

PAIR = ["user_id", "item_id"]


@dataclass(frozen=True, kw_only=True)
class _Slice:
    """The rows of one slice: the input of the rules."""

    fit_end: int  # seconds UTC, as `until`
    until: int
    cuts: pl.DataFrame  # user_id, cut
    targets: pl.DataFrame
    dated: pl.DataFrame  # the targets of the slice's users, with the user's `cut`
    fitted: pl.DataFrame  # ratings that models may be fitted on
    known: pl.DataFrame  # histories of the users at the request


def _shares_pairs(one: pl.DataFrame, other: pl.DataFrame) -> bool:
    return not one.join(other, on=PAIR, how="semi").is_empty()


RULES: tuple[tuple[str, Callable[[_Slice], bool]], ...] = (
    (
        "a user's cut lies before the cut-off, so that the models saw ratings after the query",
        lambda one: bool((one.cuts["cut"] < one.fit_end).any()),
    ),
    (
        "a target lies before its user's cut, where it is known",
        lambda one: bool((one.dated["timestamp"] < one.dated["cut"]).any()),
    ),
    (
        "a target lies after the end of the slice, where a later one is judged",
        lambda one: bool((one.targets["timestamp"] >= one.until).any()),
    ),
    (
        "a known rating lies after the end of the slice",
        lambda one: bool((one.known["timestamp"] >= one.until).any()),
    ),
    (
        "a target is of a user who is not asked",
        lambda one: not one.targets.join(one.cuts, on="user_id", how="anti").is_empty(),
    ),
    ("a target stands in what is known of its user", lambda one: _shares_pairs(one.known, one.targets)),
    ("a target is among the ratings that models are fitted on", lambda one: _shares_pairs(one.fitted, one.targets)),
)
"""Rules: the sentence that describes a leak, and a function that says whether a slice has it."""


def leaks(ratings: pl.DataFrame, splits: Splits) -> list[str]:
    """Every violation of the order of time, as a sentence; empty without any.

    Args:
        ratings: RATINGS columns, every rating, replaced ones included.
        splits: a chain of windows.
    """
    found = [*_disorder(splits.cutoffs)]
    for name in splits.names:
        one = _slice(ratings, splits, name)
        found += [f"{name}: {sentence}" for sentence, is_broken in RULES if is_broken(one)]
    return found


def _disorder(cutoffs: pl.DataFrame) -> Iterator[str]:
    """Slices that end before they begin, or overlap with the next window."""
    rows = cutoffs.rows(named=True)
    for row in rows:
        if row["fit_end"] > row["until"]:
            yield f"{row['slice']} ends before it begins"
    for one, other in pairwise(rows):
        if one["fit_end"] > other["fit_end"]:
            yield f"{one['slice']} comes before {other['slice']}, but its models see later ratings"
        if one["window"] != other["window"] and one["until"] > other["fit_end"]:
            yield f"{one['slice']} ends at {one['until']} but {other['slice']} begins at {other['fit_end']}"


def _slice(ratings: pl.DataFrame, splits: Splits, name: str) -> _Slice:
    cuts = splits.users.filter(slice=name).select("user_id", "cut")
    targets = splits.targets.filter(slice=name)
    return _Slice(
        fit_end=splits.fit_end(name),
        until=splits.until(name),
        cuts=cuts,
        targets=targets,
        dated=targets.join(cuts, on="user_id"),
        fitted=fit_ratings(ratings, splits, name),
        known=known_ratings(ratings, splits, name),
    )
