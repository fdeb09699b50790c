"""Every way in which slices could break the order of time."""

from itertools import pairwise

import polars as pl

from recsys_core.data.splits import Splits, fit_ratings, known_ratings


def leaks(ratings: pl.DataFrame, splits: Splits) -> list[str]:
    """What breaks the order of time, as sentences; empty when all is well.

    Args:
        ratings: RATINGS columns, every rating that was ever given.
        splits: a chain of windows.
    """
    rows = {row["slice"]: row for row in splits.cutoffs.iter_rows(named=True)}
    found = [f"{name} ends before it begins" for name, row in rows.items() if row["fit_end"] > row["until"]]
    for (earlier, one), (later, other) in pairwise(rows.items()):
        if one["fit_end"] > other["fit_end"]:
            found.append(f"{earlier} comes before {later}, but its models see later ratings")
        if one["window"] != other["window"] and one["until"] > other["fit_end"]:
            found.append(f"{earlier} ends at {one['until']} but {later} begins at {other['fit_end']}")
    for name, row in rows.items():
        faults = _faults(ratings, splits, name, row["until"])
        found += [f"{name}: {fault}" for fault, is_so in faults.items() if is_so]
    return found


def _faults(ratings: pl.DataFrame, splits: Splits, name: str, until: int) -> dict[str, bool]:
    """What could be wrong with the rows of one slice, and whether it is."""
    targets = splits.targets.filter(slice=name)
    cuts = splits.users.filter(slice=name)
    pair = ["user_id", "item_id"]
    early = targets.join(cuts, on="user_id").filter(pl.col("timestamp") < pl.col("cut"))
    fitted, known = fit_ratings(ratings, splits, name), known_ratings(ratings, splits, name)
    return {
        "a user's cut lies before the cut-off, where models see everybody": bool(
            (cuts["cut"] < splits.fit_end(name)).any()
        ),
        "a target lies before its user's cut, where it is known": not early.is_empty(),
        "a target lies after the end of the slice, where a later one is judged": bool(
            (targets["timestamp"] >= until).any()
        ),
        "a known rating lies after the end of the slice": bool((known["timestamp"] >= until).any()),
        "a target is of a user who is not asked": not targets.join(cuts, on="user_id", how="anti").is_empty(),
        "a target stands in what is known of its user": not known.join(targets, on=pair, how="semi").is_empty(),
        "a target is among the ratings that models are fitted on": (
            not fitted.join(targets, on=pair, how="semi").is_empty()
        ),
    }
