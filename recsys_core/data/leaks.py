"""Every way in which slices could break the order of time."""

import itertools

import polars as pl

from recsys_core.data.splits import EXAMS, Splits, fit_ratings, known_ratings


def leaks(ratings: pl.DataFrame, splits: Splits) -> list[str]:
    """What breaks the order of time, as sentences; empty when all is well."""
    rows = {row["slice"]: row for row in splits.cutoffs.iter_rows(named=True)}
    found = [f"{name} ends before it begins" for name in EXAMS if rows[name]["fit_end"] >= rows[name]["until"]]
    for earlier, later in itertools.pairwise(EXAMS):
        if rows[earlier]["until"] > rows[later]["fit_end"]:
            found.append(f"{earlier} ends at {rows[earlier]['until']} but {later} begins at {rows[later]['fit_end']}")
    for exam in EXAMS:
        found += [
            f"{name} ends at {rows[name]['until']}, within the exam that it prepares for"
            for name in splits.holdouts(exam)
            if rows[name]["until"] > rows[exam]["fit_end"]
        ]
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
        "a user's cut lies before the cut-off, where models see everybody": (
            name in EXAMS and bool((cuts["cut"] < splits.fit_end(name)).any())
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
