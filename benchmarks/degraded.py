"""What do missing and stale features cost?

Usage:
    python -m benchmarks.degraded

Each row answers the queries of the development windows again with some information removed, by models that had not
seen the answers: NDCG@10 and recall@100 over all answers, and the paired difference of NDCG@10 to the whole system with
its 95 % bootstrap interval over users. Nothing is trained. The last rows show the alternatives to a default: a missing
value, or the old value.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from benchmarks.development import DevelopmentSlice, chance_note, difference, signed
from recsys_assets.resources import lake_root
from recsys_core.arrays import Float32s
from recsys_core.evaluation.accuracy import per_user_metrics
from recsys_core.evaluation.protocols import lists_table, of_window
from recsys_core.features.registry import names_of
from recsys_core.features.tables import item_features
from recsys_core.lake.store import Lake
from recsys_core.markdown import markdown_table
from recsys_core.ranking.inputs import CandidateGenerator, candidate_features, generate_candidates, generator_of
from recsys_core.ranking.lists import rank_by_features
from recsys_core.seeding import child

YEAR = 365 * 86_400
ITEM_FEATURES = slice(0, len(names_of("item")))


def asked(
    case: DevelopmentSlice,
    *,
    items: pl.DataFrame | None = None,
    known: pl.DataFrame | None = None,
    edit: Callable[[Float32s], None] | None = None,
    as_of: int | None = None,
) -> pl.DataFrame:
    """The metrics of every user, with other items, other histories, edited features, or items of another date."""
    generator: CandidateGenerator = generator_of(case.model, case.items if items is None else items)
    if as_of is not None:
        generator = replace(generator, items=replace(generator.items, as_of=as_of))
    inputs = generate_candidates(
        generator,
        case.questions.known if known is None else known,
        case.questions.requests,
        n_candidates=case.ranker.n_candidates,
    )
    features = candidate_features(inputs)
    if edit is not None:
        edit(features)
    ranked = rank_by_features(case.ranker, inputs.candidates, features)
    lists = lists_table("ours", inputs.users.user_ids, ranked.item_idx, case.model.catalogue)
    return of_window(case.questions, per_user_metrics(lists, case.questions.targets))


def conditions(case: DevelopmentSlice) -> dict[str, pl.DataFrame]:
    """The rows of the table: what was removed, and the metrics of every user without it."""
    known = case.questions.known
    seen = case.ratings.filter(pl.col("timestamp") < case.fit_end)
    unknown = child(17, "benchmarks", "degraded").random(case.items.height) < 0.2
    long_ago = {years: item_features(seen, case.movies, case.fit_end - years * YEAR) for years in (1, 3)}
    return {
        "whole": asked(case),
        "unknown user: empty history": asked(case, known=known.head(0)),
        "the user's latest 5 ratings not yet known": asked(case, known=_without_latest(known, 5)),
        "20 % of the items unknown": asked(case, items=case.items.filter(~pl.Series(unknown))),
        "all items unknown": asked(case, items=case.items.head(0)),
        "no years of release": asked(case, items=case.items.with_columns(year=None, item_age_years=None)),
        "no genres": asked(case, items=case.items.with_columns(genres=pl.lit([], dtype=pl.List(pl.String)))),
        "item features stale, defaults instead": asked(case, as_of=case.fit_end - 100 * YEAR),
        "item features stale, missing values instead": asked(case, edit=_gaps),
        "item features a year older, used as they are": asked(case, items=_aged(case.items, long_ago[1])),
        "item features three years older, used as they are": asked(case, items=_aged(case.items, long_ago[3])),
    }


def _without_latest(known: pl.DataFrame, n: int) -> pl.DataFrame:
    from_end = pl.col("timestamp").rank("ordinal", descending=True).over("user_id")
    return known.filter(from_end > n)


def _aged(items: pl.DataFrame, older: pl.DataFrame) -> pl.DataFrame:
    """The older features; an item that is newer has none, and other columns stay as they are."""
    features = [name for name in items.columns if name.startswith("item_") and name != "item_id"]
    kept = items.drop(features)
    return kept.join(older.select("item_id", *features), on="item_id", how="left", maintain_order="left")


def _gaps(features: Float32s) -> None:
    features[..., ITEM_FEATURES] = np.nan


def table(found: dict[str, pl.DataFrame]) -> str:
    """A row per condition."""
    whole = found["whole"]
    rows = []
    for name, metrics in found.items():
        lost = "" if name == "whole" else signed(difference(metrics, whole, "ndcg@10"))
        ndcg, recall = (f"{metrics[metric].to_numpy().mean():.4f}" for metric in ("ndcg@10", "recall@100"))
        rows.append([name, ndcg, lost, recall])
    return markdown_table(["removed", "NDCG@10", "difference [95 %]", "recall@100"], rows)


def main(root: Path) -> None:
    """Print the table."""
    by_slice = [conditions(case) for case in DevelopmentSlice.read(Lake(root))]
    found = {name: pl.concat([one[name] for one in by_slice]) for name in by_slice[0]}
    whole = found["whole"]
    print(f"development windows, {whole.height} answers to {whole['user_id'].n_unique()} users\n")
    print(f"{table(found)}\n")
    print(chance_note(len(found) - 1))


if __name__ == "__main__":
    main(lake_root())
